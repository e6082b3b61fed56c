"""What the figures of users, sessions and companies are summed from: whole traces, or else calls.

`trace_summaries` has a quarter of the rows and none of the texts, but a trace stands there as one: it counts
for its first user, session and company, with all of its calls. So it answers where nothing is filtered and
the window is long; the newest traces, which are not summarised yet, come from `spans`. In all other cases the
calls answer.
"""

from dataclasses import dataclass
from typing import Final

from gnomon_collector.store import trace_summaries
from gnomon_collector.store.engine import Store
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
    WHERE project = {{project:String}} AND calls > 0
        AND start_time >= {{start:DateTime64(9)}} AND start_time < {{until:DateTime64(9)}}
"""  # noqa: S608  (names of the catalogue of columns)
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


@dataclass(frozen=True, slots=True)
class PersonRows:
    """Rows to sum, each with a user, a session and a company (`COLUMNS`), and the calls that it stands for.

    Attributes:
        sql: a subquery with the columns ``trace_id``, ``start_time``, ``last_start_time``, ``user_id``, ``session_id``,
            ``company``, ``calls``, ``failed_calls``, ``cancelled_calls``, ``calls_with_cost``, ``calls_ms``,
            ``cost_usd``, ``input_tokens`` and ``output_tokens``.
        requests: aggregate over its rows: the number of traces.
    """

    sql: str
    requests: str
    parameters: Parameters


def person_rows(store: Store, scope: Scope, window: Window) -> PersonRows:
    """Return what to sum for a window."""
    is_long = window.end - window.start > NARROW
    known = (
        trace_summaries.coverage(store, scope.project) if is_long and scope == Scope(scope.project) else None
    )
    if known is None or not known.since <= window.start < known.until - SLOT:
        return _calls(scope, window)
    fresh = known.until - SLOT
    parameters: Parameters = {"project": scope.project, "start": window.start}
    if window.end <= fresh:
        return PersonRows(_SUMMARISED, "count()", parameters | {"until": window.end})
    newest = {"until": fresh, "fresh": fresh, "begun": fresh - LONGEST_TRACE, "end": window.end}
    return PersonRows(f"{_SUMMARISED} UNION ALL {_NEWEST}", "count()", parameters | newest)


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
