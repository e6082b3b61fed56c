"""What a list of traces or calls is asked for, and its SQL conditions. Pure."""

from dataclasses import dataclass
from datetime import datetime

from gnomon_collector.store.queries.filters import Parameters, Scope
from gnomon_collector.store.queries.trace_columns import MODEL, Column, Rows, column
from gnomon_collector.store.queries.trace_filters import ColumnFilter
from gnomon_collector.store.queries.trace_language import ScoreFilter, TextFilter


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """What the Traces page asks for.

    Attributes:
        start: earliest start of a span, inclusive (UTC).
        end: latest start of a span, exclusive (UTC).
        text: kept are rows with this text in input or output, upper and lower case alike.
        texts: more texts that must, or must not, stand there.
        scores: kept are rows whose trace has such scores.
        sort: a column id, see `trace_columns.COLUMNS`.
    """

    scope: Scope
    start: datetime
    end: datetime
    rows: Rows = "traces"
    text: str = ""
    sort: str = "time"
    descending: bool = True
    filters: tuple[ColumnFilter, ...] = ()
    texts: tuple[TextFilter, ...] = ()
    scores: tuple[ScoreFilter, ...] = ()

    @property
    def wanted_texts(self) -> tuple[TextFilter, ...]:
        """All texts that must, or must not, stand in input or output."""
        return (*((TextFilter(self.text),) if self.text else ()), *self.texts)


def text_conditions(query: TraceQuery) -> list[tuple[str, bool]]:
    """Return for each text the condition on a span that has it, and whether none must have it."""
    return [
        (
            f"(positionCaseInsensitiveUTF8(input_text, {{text{index}:String}}) > 0"
            f" OR positionCaseInsensitiveUTF8(output_text, {{text{index}:String}}) > 0)",
            one.negated,
        )
        for index, one in enumerate(query.wanted_texts)
    ]


def where_of(query: TraceQuery) -> str:
    """Return the keyword before the conditions on spans.

    Left to itself ClickHouse reads the other columns of every row together with the texts, its largest columns,
    where few rows have what is looked for.
    """
    return "PREWHERE" if query.wanted_texts else "WHERE"


def text_parameters(query: TraceQuery) -> Parameters:
    """Return the parameters of `text_conditions`."""
    return {f"text{index}": one.text for index, one in enumerate(query.wanted_texts)}


def score_conditions(query: TraceQuery) -> tuple[list[str], Parameters]:
    """Return a condition on the trace for each score that is asked for."""
    conditions, parameters = list[str](), Parameters()
    for index, one in enumerate(query.scores):
        found = (  # the comparison is one of five signs
            "SELECT trace_id FROM scores FINAL WHERE project = {project:String}"  # noqa: S608
            f" AND name = {{score{index}:String}} AND value {one.comparison} {{bound{index}:Float64}}"
        )
        conditions.append(f"trace_id {'NOT IN' if one.negated else 'IN'} ({found})")
        parameters |= {f"score{index}": one.name, f"bound{index}": one.value}
    return conditions, parameters


def within(since: str = "start", until: str = "end") -> list[str]:
    """Return the conditions on project and start that a span or a summary has to meet.

    Args:
        since, until: names of the parameters of the earliest start, inclusive, and of the latest, exclusive.
    """
    return [
        "project = {project:String}",
        f"start_time >= {{{since}:DateTime64(9)}}",
        f"start_time < {{{until}:DateTime64(9)}}",
    ]


def window_parameters(query: TraceQuery) -> Parameters:
    """Return the parameters of `within`."""
    return Parameters(project=query.scope.project, start=query.start, end=query.end)


def label_values(scope: Scope) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return for each label that is restricted: the parameter's name, SQL over a span, and the values."""
    labels = [
        ("services", "service_name", scope.services),
        ("environments", "environment", scope.environments),
        ("models", MODEL, scope.models),
    ]
    return [label for label in labels if label[2]]


def label_parameters(scope: Scope) -> Parameters:
    """Return the parameters of `label_values`."""
    return {name: list(values) for name, _, values in label_values(scope)}


def order(query: TraceQuery, tie_break: str) -> str:
    """Return what to sort by: the aliases `c_…` of traces, the expressions of calls."""
    one = column(query.rows, query.sort) or column(query.rows, "time")
    expression = "start_time" if one is None else alias(one) if query.rows == "traces" else one.of_call
    direction = "DESC" if query.descending else "ASC"
    return f"{expression} {direction} NULLS LAST, {tie_break}"


def alias(one: Column) -> str:
    """Return what a column of traces is called in a query."""
    return "trace_id" if one.id == "trace_id" else f"c_{one.id}"
