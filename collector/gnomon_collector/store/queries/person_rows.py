"""What the figures of users, sessions and companies are summed from: days, whole traces, or else calls.

`trace_summaries` has a quarter of the rows and none of the texts, but a trace stands there as one: it counts
for its first user, session and company, with all of its calls. So it answers where nothing is filtered and
the window is long; the newest traces, which are not summarised yet, come from `spans`. Where a list asks for one
kind of people, their sums per day stand for the whole days that have them. In all other cases the calls answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from gnomon_collector.store import people_per_day, trace_summaries
from gnomon_collector.store.engine import Store
from gnomon_collector.store.people_per_day import DAY, SUMS, TABLES, Kind
from gnomon_collector.store.queries.filters import Parameters, Scope, Window, scope_conditions
from gnomon_collector.store.queries.trace_columns import COLUMNS, SUMS_OF_CALLS, summary_column
from gnomon_collector.store.queries.trace_finding import NARROW, NOT_BEGUN_BEFORE
from gnomon_collector.store.trace_summaries import LONGEST_TRACE, SLOT

_OF_TRACES: Final = (
    *("session_id", "user_id", "company", "calls", "cost_usd", "input_tokens", "output_tokens"),
    *SUMS_OF_CALLS,
)
_OF_SPANS: Final = {summary_column(one): one.of_trace for one in COLUMNS if one.of_trace} | SUMS_OF_CALLS
_FROM_SPANS: Final = ", ".join(f"{_OF_SPANS[name]} AS t_{name}" for name in _OF_TRACES)
_RENAMED: Final = ", ".join(
    # of the type it has in the summaries: else all of them would be made strings, and three times as slow to group
    f"toLowCardinality(t_{name}) AS {name}" if name == "company" else f"t_{name} AS {name}"
    for name in _OF_TRACES
)
_SUMMARISED: Final = f"""
    SELECT trace_id, start_time, last_start_time, {", ".join(_OF_TRACES)}
    FROM trace_summaries FINAL
    WHERE project = {{project:String}} AND calls > 0 AND """  # noqa: S608  (names of the catalogue of columns)
_NEWEST: Final = f"""
    SELECT trace_id, t_start_time AS start_time, t_last_start_time AS last_start_time, {_RENAMED}
    FROM (
        SELECT trace_id, min(start_time) AS t_start_time, max(start_time) AS t_last_start_time, {_FROM_SPANS}
        FROM spans
        WHERE project = {{project:String}}
            AND start_time >= {{fresh:DateTime64(9)}} AND start_time < {{end:DateTime64(9)}}
            AND {NOT_BEGUN_BEFORE}
        GROUP BY trace_id
    )
    WHERE t_calls > 0
"""  # noqa: S608  (as above)
_SUMMED: Final = tuple(name for name in SUMS if name != "traces")
_OF_ONE_TRACE: Final = {
    "sessions": "initializeAggregation('uniqCombinedState', session_id)",
    # of the types they have in the days: else all of those would be made nullable
    **{name: f"ifNull(x.{name}, 0)" for name in ("input_tokens", "output_tokens", "cost_usd")},
}
"""Columns of a row of days as one trace, ``x``, has them, where they are not the same."""


@dataclass(frozen=True, slots=True)
class PersonRows:
    """Rows to sum, each with the calls that it stands for.

    Attributes:
        sql: a subquery with the columns ``start_time``, ``last_start_time``, ``calls``, ``failed_calls``, ``cost_usd``,
            ``input_tokens`` and ``output_tokens``. Where whole days stand in it, also the person, and of a session
            ``user_id``; else ``trace_id``, ``user_id``, ``session_id``, ``company``, ``cancelled_calls``,
            ``calls_with_cost`` and ``calls_ms``.
        requests: aggregate over its rows: the number of traces.
        sessions: likewise, the number of sessions.
    """

    sql: str
    requests: str
    parameters: Parameters
    sessions: str = "uniqCombined(session_id)"


def person_rows(store: Store, scope: Scope, window: Window, by_day: Kind | None = None) -> PersonRows:
    """Return what to sum for a window.

    Args:
        by_day: kind of people that is asked about: sums of whole days are used where there are any.
    """
    is_long = window.end - window.start > NARROW
    known = (
        trace_summaries.coverage(store, scope.project) if is_long and scope == Scope(scope.project) else None
    )
    if known is None or not known.since <= window.start < known.until - SLOT:
        return _calls(scope, window)
    fresh = known.until - SLOT
    until = min(window.end, fresh)
    runs = people_per_day.computed(store, scope.project, window.start, until) if by_day else {}
    sql, parameters = _summarised(list(_gaps(window.start, until, list(runs))))
    parameters["project"] = scope.project
    if window.end > fresh:
        sql.append(_NEWEST)
        parameters |= {"fresh": fresh, "begun": fresh - LONGEST_TRACE, "end": window.end}
    traces = " UNION ALL ".join(sql)
    if not by_day or not runs:
        return PersonRows(traces, "count()", parameters)
    return PersonRows(
        _by_day(by_day, traces),
        "sum(traces)",
        parameters | {"runs": list(runs.values())},
        "uniqCombinedMerge(sessions)",
    )


def _by_day(kind: Kind, traces: str) -> str:
    """SQL of the days of a kind of people, and of traces of other times in the same columns."""
    table = TABLES[kind]
    columns = (table.person, *table.beside, *_SUMMED)
    as_days = ", ".join(f"{_OF_ONE_TRACE[one]} AS {one}" if one in _OF_ONE_TRACE else one for one in columns)
    days = f"""
    SELECT {", ".join(columns)}, traces FROM {table.name}
    WHERE project = {{project:String}} AND run IN {{runs:Array(UInt64)}}
"""  # noqa: S608  (names of tables and columns are constants)
    return f"{days} UNION ALL SELECT {as_days}, 1 AS traces FROM ({traces}) AS x" if traces else days  # noqa: S608


def _gaps(start: datetime, end: datetime, days: list[date]) -> Iterator[tuple[datetime, datetime]]:
    """Yield what of ``[start, end)`` lies outside of some whole days, which are in order."""
    for day in days:
        midnight = datetime.combine(day, time(), UTC)
        if start < midnight:
            yield start, midnight
        start = midnight + DAY
    if start < end:
        yield start, end


def _summarised(ranges: list[tuple[datetime, datetime]]) -> tuple[list[str], Parameters]:
    """SQL of the summarised traces that begin in some ranges of time: none for no range."""
    within = " OR ".join(
        f"(start_time >= {{start{number}:DateTime64(9)}} AND start_time < {{until{number}:DateTime64(9)}})"
        for number in range(len(ranges))
    )
    bounds: Parameters = {}
    for number, (start, until) in enumerate(ranges):
        bounds |= {f"start{number}": start, f"until{number}": until}
    return [f"{_SUMMARISED}({within})\n"] if ranges else [], bounds


def _calls(scope: Scope, window: Window) -> PersonRows:
    conditions, parameters = scope_conditions(scope)
    conditions += ["start_time >= {start:DateTime64(9)}", "start_time < {end:DateTime64(9)}"]
    sql = f"""
    SELECT trace_id, start_time, start_time AS last_start_time, session_id, user_id, company_id AS company, 1 AS calls,
        status = 'error' AS failed_calls, status = 'cancelled' AS cancelled_calls, cost_usd IS NOT NULL AS calls_with_cost,
        duration_ns / 1e6 AS calls_ms, cost_usd, input_tokens, output_tokens
    FROM calls
    WHERE {" AND ".join(conditions)}
"""  # noqa: S608  (conditions are constants, values are bound)
    return PersonRows(sql, "uniq(trace_id)", parameters | {"start": window.start, "end": window.end})
