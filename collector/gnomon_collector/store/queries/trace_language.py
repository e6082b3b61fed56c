"""The query language of the Traces page and of the API: one line of text to typed filters. Pure.

::

    model:gpt-4o* status:error latency>3s user:u42 "text in prompt" score.groundedness<0.5 tag:beta -env:staging

=====================  ============================================================================
``field:value``        the field is the value, upper and lower case alike; ``"…"`` around blanks
``field:a,b``          is any of the values
``field:gpt*``         begins (``*4o``: ends, ``*4*``: has) so; ``field:*``: is set
``field>3s``           also ``>=  <  <=  =``; numbers may carry ``ms s m h``, ``$``, ``%``, ``k M``
``score.NAME<0.5``     a score of that name on the trace or one of its spans
``tag:beta``           has the tag
``-…``                 not so; before any of the above
words, ``"words"``     stand so in the input or the output
=====================  ============================================================================
"""

import re
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from gnomon_collector.errors import BadRequest
from gnomon_collector.store.queries.trace_columns import Rows, column, columns
from gnomon_collector.store.queries.trace_filters import ColumnFilter, Condition, Operator

Comparison: TypeAlias = Literal["<", "<=", ">", ">=", "="]

NAMES: Final = {
    "latency": "latency_ms",
    "duration": "latency_ms",
    "ttft": "ttft_ms",
    "cost": "cost_usd",
    "env": "environment",
    "error": "error_type",
    "version": "prompt_version",
    "cache": "cache_status",
    "cached_tokens": "cache_read_tokens",
    "trace": "trace_id",
    "span": "span_id",
    "tag": "tags",
    "finish": "finish_reason",
    "lang": "language",
    "fallback": "fallback_of",
}
"""Short names of columns."""

MOST_TERMS: Final = 40
_LONGEST: Final = 2000
_TERM: Final = re.compile(
    r"""(?P<not>-)?(?P<field>[A-Za-z_][\w.\-/]*)(?P<op>:|>=|<=|>|<|=)(?P<value>"(?:[^"\\]|\\.)*"|[^\s"]+(?:"(?:[^"\\]|\\.)*")?|$)""",
    re.VERBOSE,
)
_TEXT: Final = re.compile(r"""(?P<not>-)?"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>\S+)""", re.VERBOSE)
_NUMBER: Final = re.compile(
    r"^\$?(?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(?P<unit>ms|s|m|h|k|M|%|)$"
)
_FACTORS: Final = {"": 1.0, "k": 1e3, "M": 1e6, "%": 0.01}
_MS: Final = {"": 1.0, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
_OPERATORS: Final[dict[str, Operator]] = {
    ">": "greaterThan",
    ">=": "greaterThanOrEqual",
    "<": "lessThan",
    "<=": "lessThanOrEqual",
    "=": "equals",
    ":": "equals",
}
_OPPOSITE: Final[dict[Operator, Operator]] = {
    "greaterThan": "lessThanOrEqual",
    "greaterThanOrEqual": "lessThan",
    "lessThan": "greaterThanOrEqual",
    "lessThanOrEqual": "greaterThan",
    "equals": "notEqual",
    "startsWith": "notStartsWith",
    "endsWith": "notEndsWith",
    "contains": "notContains",
    "hasItem": "hasNoItem",
    "blank": "notBlank",
    "notBlank": "blank",
}


@dataclass(frozen=True, slots=True)
class ScoreFilter:
    """Kept are rows whose trace has (or has not) a score that compares so."""

    name: str
    comparison: Comparison
    value: float
    negated: bool = False


@dataclass(frozen=True, slots=True)
class TextFilter:
    """Kept are rows with (or without) this text in input or output."""

    text: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """What a line of the language asks for; all of it must hold."""

    filters: tuple[ColumnFilter, ...] = ()
    texts: tuple[TextFilter, ...] = ()
    scores: tuple[ScoreFilter, ...] = field(default=())


class QuerySyntaxError(BadRequest):
    """The query cannot be read; the message says what to write instead."""


def parse(line: str, rows: Rows) -> ParsedQuery:
    """Return what a query asks for.

    Args:
        rows: what is searched: traces or calls have not quite the same fields.

    Raises:
        QuerySyntaxError: there is no such field, or a number is none.
    """
    parsed, words, at = ParsedQuery(), list[str](), 0
    text = line[:_LONGEST].strip()
    for _ in range(MOST_TERMS):
        while at < len(text) and text[at].isspace():
            at += 1
        if at >= len(text):
            break
        found = _TERM.match(text, at)
        if found:
            parsed = _with_words(parsed, words)
            parsed = _with_term(parsed, found, rows)
        else:
            found = _TEXT.match(text, at)
            assert found is not None  # something that is no blank stands there
            parsed = _with_text(parsed, words, found)
        at = found.end()
    return _with_words(parsed, words)


def fields(rows: Rows) -> list[str]:
    """Return the names that a query may use, short ones first."""
    known = [one.id for one in columns(rows) if one.type != "time"]
    short = [name for name, target in NAMES.items() if target in known]
    return [*short, *(name for name in known if name not in NAMES.values() or name in ("tags",))]


def _with_text(parsed: ParsedQuery, words: list[str], found: re.Match[str]) -> ParsedQuery:
    if found["bare"] is not None:
        words.append(found["bare"])
        return parsed
    parsed = _with_words(parsed, words)
    return replace(parsed, texts=(*parsed.texts, TextFilter(_unquoted(found["quoted"]), bool(found["not"]))))


def _with_words(parsed: ParsedQuery, words: list[str]) -> ParsedQuery:
    """Words side by side are searched as they stand."""
    if not words:
        return parsed
    text = " ".join(words)
    words.clear()
    return replace(parsed, texts=(*parsed.texts, TextFilter(text)))


def _with_term(parsed: ParsedQuery, found: re.Match[str], rows: Rows) -> ParsedQuery:
    name, operator, negated = found["field"], found["op"], bool(found["not"])
    value = found["value"]
    if name.startswith("score."):
        return replace(parsed, scores=(*parsed.scores, _score(name[6:], operator, value, negated)))
    one = column(rows, NAMES.get(name.lower(), name.lower()))
    if one is None or one.type == "time":
        known = ", ".join(fields(rows))
        raise QuerySyntaxError(
            f'There is no field {name!r}. Fields: {known}, score.NAME. Put text with a colon in quotes: "{name}:…".'
        )
    if one.type == "number":
        conditions = [_number_condition(one.id, operator, value)]
    elif operator not in (":", "="):
        raise QuerySyntaxError(f"{name} is text: write {name}:value, or {name}:begin* for a beginning.")
    else:
        conditions = [_text_condition(item, is_list=_is_list(one.id, rows)) for item in _items(value)]
    if negated:
        conditions = [replace(each, operator=_OPPOSITE[each.operator]) for each in conditions]
    filtered = ColumnFilter(one.id, tuple(conditions), any_of=not negated)
    return replace(parsed, filters=(*parsed.filters, filtered))


def _is_list(column_id: str, rows: Rows) -> bool:
    return column_id == "tags" or (column_id == "model" and rows == "traces")


def _score(name: str, operator: str, value: str, negated: bool) -> ScoreFilter:
    comparison: Comparison = "=" if operator in (":", "=") else operator  # type: ignore[assignment]
    return ScoreFilter(name, comparison, _number(f"score.{name}", value, _FACTORS), negated)


def _number_condition(column_id: str, operator: str, value: str) -> Condition:
    if value == "*":
        return Condition("notBlank")
    units = _MS if column_id.endswith("_ms") else _FACTORS
    return Condition(_OPERATORS[operator], _number(column_id, value, units))


def _number(name: str, value: str, units: dict[str, float]) -> float:
    found = _NUMBER.match(_unquoted(value.strip('"')))
    if found is None or found["unit"] not in units:
        example = "3s or 250ms" if units is _MS else "0.5 or 10k"
        raise QuerySyntaxError(f"{name} is a number: write for example {example}, not {value[:40]!r}.")
    return float(found["number"]) * units[found["unit"]]


def _items(value: str) -> list[str]:
    if value.startswith('"'):
        return [_unquoted(value[1:-1])]
    return [item for item in value.split(",") if item] or [""]


def _text_condition(item: str, *, is_list: bool) -> Condition:
    if item == "*":
        return Condition("notBlank")
    begins, ends = item.endswith("*"), item.startswith("*")
    bare = item.strip("*")
    if begins and ends:
        return Condition("contains", bare)
    if begins or ends:
        # of a list, joined: no item can be told from another
        return Condition("contains" if is_list else "startsWith" if begins else "endsWith", bare)
    return Condition("hasItem" if is_list and item else "equals", item)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
