"""What users say of answers: shares of thumbs up with intervals, by label, and how far the judge says the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.quality_agreement import rank_correlation
from gnomon_collector.store.quality_estimates import Estimate, share
from gnomon_collector.store.queries.cells import as_float, as_int
from gnomon_collector.store.queries.filters import Scope, Window, scope_conditions

GROUPS: Final[Mapping[str, str]] = {
    "prompt version": "concat(last.3, ' ', last.4)",
    "model": "last.2",
    "company": "last.5",
    "service": "last.1",
    "language": "last.6",
}
"""By what satisfaction can be grouped, and its SQL."""

# A judgement of a trace is one of its last call: that is what the user read.
_RATED: Final = """
SELECT {group} AS label, countIf(rated >= 0.5), count()
FROM (
    SELECT trace_id, argMax(value, created_at) AS rated FROM scores FINAL
    WHERE project = {{project:String}} AND source = 'user' AND value IS NOT NULL AND trace_id != ''
        AND created_at >= {{start:DateTime64(9)}} AND created_at < {{end:DateTime64(9)}} + INTERVAL 1 DAY
    GROUP BY trace_id
) AS s
INNER JOIN (
    SELECT trace_id, argMax((service_name, model, prompt_name, prompt_version, company_id, language), start_time) AS last
    FROM calls
    WHERE {conditions} AND kind = 'generation' AND start_time >= {{start:DateTime64(9)}}
        AND start_time < {{end:DateTime64(9)}}
        -- without it the calls of all traces are grouped, of which few are rated
        AND trace_id IN (
            SELECT trace_id FROM scores
            WHERE project = {{project:String}} AND source = 'user' AND value IS NOT NULL
                AND created_at >= {{start:DateTime64(9)}}
        )
    GROUP BY trace_id
) AS c USING (trace_id)
GROUP BY label
ORDER BY 3 DESC, label
LIMIT 50
"""

_BOTH: Final = """
SELECT evaluator, groupArray(judged), groupArray(rated)
FROM (
    SELECT evaluator, trace_id, avg(value) AS judged FROM judge_tasks FINAL
    WHERE {conditions} AND state = 'judged' AND value IS NOT NULL AND trace_id != ''
        AND happened_at >= {{start:DateTime64(9)}} AND happened_at < {{end:DateTime64(9)}}
    GROUP BY evaluator, trace_id
) AS j
INNER JOIN (
    SELECT trace_id, argMax(value, created_at) AS rated FROM scores FINAL
    WHERE project = {{project:String}} AND source = 'user' AND value IS NOT NULL AND trace_id != ''
        AND created_at >= {{start:DateTime64(9)}}
    GROUP BY trace_id
) AS u USING (trace_id)
GROUP BY evaluator ORDER BY evaluator
"""


@dataclass(frozen=True, slots=True)
class Correlation:
    """How far a judge's values and the users' go together.

    Attributes:
        pairs: answers that both judged
        rho: Spearman's rank correlation, None where it is not defined
        low, high: its interval of 95 %
    """

    evaluator: str
    pairs: int
    rho: float | None
    low: float | None
    high: float | None


def satisfaction(store: Store, scope: Scope, window: Window, by: str) -> list[tuple[str, Estimate]]:
    """Return the share of users' ratings that are good (0.5 or more), by label, with Wilson's interval.

    Args:
        by: a key of `GROUPS`

    Raises:
        KeyError: it is none
    """
    conditions, parameters = scope_conditions(scope)
    sql = _RATED.format(group=GROUPS[by], conditions=" AND ".join(conditions))
    rows = store.query(sql, {**parameters, "start": window.start, "end": window.end}).rows
    return [(str(label).strip(), share(as_int(good), as_int(count))) for label, good, count in rows]


def judge_and_users(store: Store, scope: Scope, window: Window) -> list[Correlation]:
    """Return for each evaluator how far it goes together with what users say of the same traces."""
    conditions, parameters = scope_conditions(scope)
    sql = _BOTH.format(conditions=" AND ".join(conditions))
    rows = store.query(sql, {**parameters, "start": window.start, "end": window.end}).rows
    return [_correlation(str(name), judged, rated) for name, judged, rated in rows]


def _correlation(evaluator: str, judged: object, rated: object) -> Correlation:
    first, second = ([as_float(cell) for cell in side] for side in (judged, rated) if isinstance(side, list))
    found = rank_correlation(first, second)
    rho, low, high = found if found is not None else (None, None, None)
    return Correlation(evaluator, len(first), rho, low, high)
