"""Column filters of the Traces page, typed, and as SQL. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gnomon_collector.store.queries.filters import Parameters
from gnomon_collector.store.queries.trace_columns import Column

TextOperator: TypeAlias = Literal[
    "contains",
    "notContains",
    "equals",
    "notEqual",
    "startsWith",
    "endsWith",
    "notStartsWith",
    "notEndsWith",
    "hasItem",
    "hasNoItem",
]
NumberOperator: TypeAlias = Literal[
    "equals", "notEqual", "greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual", "inRange"
]
Operator: TypeAlias = TextOperator | NumberOperator | Literal["blank", "notBlank"]

TEXT_SQL: Final = {
    "contains": "positionCaseInsensitiveUTF8({column}, {value}) > 0",
    "notContains": "positionCaseInsensitiveUTF8({column}, {value}) = 0",
    "equals": "lowerUTF8({column}) = lowerUTF8({value})",
    "notEqual": "lowerUTF8({column}) != lowerUTF8({value})",
    "startsWith": "startsWith(lowerUTF8({column}), lowerUTF8({value}))",
    "endsWith": "endsWith(lowerUTF8({column}), lowerUTF8({value}))",
    "notStartsWith": "NOT startsWith(lowerUTF8({column}), lowerUTF8({value}))",
    "notEndsWith": "NOT endsWith(lowerUTF8({column}), lowerUTF8({value}))",
    # of texts joined with a comma
    "hasItem": "has(splitByString(', ', lowerUTF8({column})), lowerUTF8({value}))",
    "hasNoItem": "NOT has(splitByString(', ', lowerUTF8({column})), lowerUTF8({value}))",
    "blank": "{column} = ''",
    "notBlank": "{column} != ''",
}
NUMBER_SQL: Final = {
    "equals": "{column} = {value}",
    "notEqual": "{column} != {value}",
    "greaterThan": "{column} > {value}",
    "greaterThanOrEqual": "{column} >= {value}",
    "lessThan": "{column} < {value}",
    "lessThanOrEqual": "{column} <= {value}",
    "inRange": "({column} >= {value} AND {column} <= {upper})",
    "blank": "{column} IS NULL",
    "notBlank": "{column} IS NOT NULL",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison; `upper` is the end of `inRange`."""

    operator: Operator
    value: str | float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True)
class ColumnFilter:
    """One or more conditions on a column, all of them or any of them."""

    column: str
    conditions: tuple[Condition, ...]
    any_of: bool = False


def filter_sql(
    filters: tuple[ColumnFilter, ...],
    find: Callable[[str], Column | None],
    expression: Callable[[Column], str],
) -> tuple[list[str], Parameters]:
    """Return one SQL condition per filter, and the parameters f0, f1, ….

    Args:
        filters: what to keep; a filter on an unknown column is left out.
        find: the allow-list of columns.
        expression: the SQL that stands for a column.
    """
    parameters = Parameters()
    conditions = [
        _filter_sql(one, column, expression(column), parameters)
        for one in filters
        if (column := find(one.column)) is not None and one.conditions
    ]
    return [condition for condition in conditions if condition], parameters


def _filter_sql(one: ColumnFilter, column: Column, expression: str, parameters: Parameters) -> str:
    parts = [
        part
        for condition in one.conditions
        if (part := _condition_sql(condition, column, expression, parameters))
    ]
    return f"({(' OR ' if one.any_of else ' AND ').join(parts)})" if parts else ""


def _condition_sql(condition: Condition, column: Column, expression: str, parameters: Parameters) -> str:
    templates, sql_type = (NUMBER_SQL, "Float64") if column.type == "number" else (TEXT_SQL, "String")
    template = templates.get(condition.operator)
    if template is None:
        return ""
    slots = {"column": expression}
    for slot, value in (("value", condition.value), ("upper", condition.upper)):
        if f"{{{slot}}}" in template:
            name = f"f{len(parameters)}"
            parameters[name] = _typed(value, sql_type)
            slots[slot] = f"{{{name}:{sql_type}}}"
    return template.format(**slots)


def _typed(value: str | float | None, sql_type: str) -> str | float:
    if sql_type == "String":
        return "" if value is None else str(value)
    return float(value) if isinstance(value, (int, float)) else 0.0
