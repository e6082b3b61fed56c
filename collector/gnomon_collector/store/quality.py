"""What the judge found: means with intervals by time and label, examples, health of the queue, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, cast

from gnomon_collector.store.engine import Store
from gnomon_collector.store.judge_sampling import STRATUM_COLUMNS
from gnomon_collector.store.quality_estimates import Sums
from gnomon_collector.store.queries.cells import as_float, as_int, as_list, as_time, optional_float
from gnomon_collector.store.queries.filters import Parameters, Scope, Window, scope_conditions

GROUPS: Final[Mapping[str, str]] = {**STRATUM_COLUMNS, "policy": "policy"}
"""By what scores can be grouped, and its column."""

_SUMS: Final = """
SELECT {group} AS label, sum(n), count(), sum(b), sum(a), sum(a * a), sum(a * b), sum(b * b),
    sum(pow(a, 4)), sum(pow(a, 3) * b), sum(a * a * b * b), sum(a * pow(b, 3)), sum(pow(b, 4))
FROM (
    SELECT {inner} AS label, if(session_id != '', session_id, trace_id) AS conversation,
        count() AS n, sum(1 / inclusion_probability) AS b, sum(value / inclusion_probability) AS a
    FROM judge_tasks FINAL
    WHERE {conditions} AND evaluator = {{evaluator:String}} AND evaluator_version = {{version:String}}
        AND state = 'judged' AND value IS NOT NULL AND happened_at >= {{start:DateTime64(9)}} AND happened_at < {{end:DateTime64(9)}}
    GROUP BY label, conversation
)
GROUP BY label
ORDER BY label
"""

_NAMES: Final = """
SELECT evaluator, argMax(evaluator_version, changed_at) AS newest, countIf(state = 'judged'), any(title), any(description),
    max(changed_at)
FROM judge_tasks AS t FINAL
LEFT JOIN (SELECT evaluator_version, any(title) AS title, any(description) AS description FROM judge_evaluators
    GROUP BY evaluator_version) AS e ON e.evaluator_version = t.evaluator_version
WHERE project = {project:String} AND happened_at >= {start:DateTime64(9)} AND happened_at < {end:DateTime64(9)}
    AND state = 'judged'
GROUP BY evaluator
ORDER BY evaluator
"""

_QUEUE: Final = """
SELECT evaluator, countIf(state = 'waiting'), countIf(state = 'judged'), countIf(state = 'failed'),
    countIf(state = 'skipped'), countIf(state = 'skipped' AND startsWith(reason, 'budget')),
    minIf(planned_at, state = 'waiting' AND not_before <= now64(3)),
    topKIf(3)(reason, state = 'failed' OR state = 'waiting' AND reason != '')
FROM judge_tasks FINAL
WHERE project = {project:String} AND planned_at >= {since:DateTime64(3)}
GROUP BY evaluator
ORDER BY evaluator
"""

_EXAMPLES: Final = """
SELECT t.task_id, evaluator, unit, trace_id, span_id, session_id, happened_at, value, label, comment, model,
    prompt_name, prompt_version
FROM (
    SELECT * FROM judge_tasks FINAL
    WHERE {conditions} AND evaluator = {{evaluator:String}} AND evaluator_version = {{version:String}}
        AND state = 'judged' AND value < 1 AND happened_at >= {{start:DateTime64(9)}} AND happened_at < {{end:DateTime64(9)}}
    ORDER BY value, happened_at DESC
    LIMIT {{limit:UInt32}}
) AS t
LEFT JOIN (SELECT score_id, comment FROM scores FINAL WHERE project = {{project:String}} AND source = 'judge') AS s
    ON s.score_id = t.task_id
ORDER BY value, happened_at DESC
"""

_COST: Final = """
SELECT day, evaluator, sum(ifNull(cost_usd, reserved_usd)), countIf(outcome NOT IN ('withdrawn'))
FROM judge_attempts FINAL
WHERE project = {project:String} AND day >= {first:Date} AND day <= {last:Date} AND outcome != 'withdrawn'
GROUP BY day, evaluator
ORDER BY day, evaluator
"""

_LABELS: Final = """
SELECT label, count(), sum(1 / inclusion_probability) FROM judge_tasks FINAL
WHERE {conditions} AND evaluator = {{evaluator:String}} AND evaluator_version = {{version:String}} AND state = 'judged'
    AND happened_at >= {{start:DateTime64(9)}} AND happened_at < {{end:DateTime64(9)}}
GROUP BY label ORDER BY 3 DESC
"""


@dataclass(frozen=True, slots=True)
class Judged:
    """An evaluator with verdicts: its newest version, and how many verdicts of any version there are."""

    evaluator: str
    version: str
    count: int
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class QueueState:
    """How the tasks of an evaluator are doing.

    Attributes:
        over_budget: of the skipped ones, those for which the budget did not suffice
        oldest_waiting: planned at, of what could be judged now; None when nothing waits
        reasons: the most frequent ones of what failed or is tried again
    """

    evaluator: str
    waiting: int
    judged: int
    failed: int
    skipped: int
    over_budget: int
    oldest_waiting: datetime | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A verdict, with what it is about."""

    task_id: str
    evaluator: str
    unit: str
    trace_id: str
    span_id: str
    session_id: str
    happened_at: datetime
    value: float | None
    label: str
    reasoning: str
    model: str
    prompt_name: str
    prompt_version: str


def judged_names(store: Store, project: str, window: Window) -> list[Judged]:
    """Return the evaluators that judged something that happened in a window."""
    parameters = {"project": project, "start": window.start, "end": window.end}
    return [
        Judged(str(name), str(version), as_int(count), str(title) or str(name), str(description))
        for name, version, count, title, description, _ in store.query(_NAMES, parameters).rows
    ]


def score_sums(
    store: Store, scope: Scope, window: Window, evaluator: str, version: str, by: str = ""
) -> dict[str, Sums]:
    """Return the sums of an evaluator's verdicts by label; under "" the whole where `by` is empty.

    Args:
        by: a key of `GROUPS`

    Raises:
        KeyError: `by` is none
    """
    column = GROUPS[by] if by else "''"
    conditions, parameters = _conditions(scope, window, evaluator, version)
    sql = _SUMS.format(group="label", inner=column, conditions=conditions)
    return {str(row[0]): _sums(row) for row in store.query(sql, parameters).rows}


def score_series(
    store: Store, scope: Scope, window: Window, evaluator: str, version: str
) -> list[tuple[datetime, Sums]]:
    """Return the sums of an evaluator's verdicts by bucket of the window, those without verdicts left out."""
    conditions, parameters = _conditions(scope, window, evaluator, version)
    bucket = "toStartOfInterval(happened_at, toIntervalSecond({step:UInt32}), 'UTC')"
    sql = _SUMS.format(group="label", inner=bucket, conditions=conditions)
    rows = store.query(sql, {**parameters, "step": window.step_s}).rows
    return [(as_time(row[0]), _sums(row)) for row in rows]


def label_counts(
    store: Store, scope: Scope, window: Window, evaluator: str, version: str
) -> list[tuple[str, int, float]]:
    """Return each label of an evaluator with its verdicts, and how many answers they stand for."""
    conditions, parameters = _conditions(scope, window, evaluator, version)
    rows = store.query(_LABELS.format(conditions=conditions), parameters).rows
    return [(str(label), as_int(count), as_float(weight)) for label, count, weight in rows]


def worst_examples(
    store: Store, scope: Scope, window: Window, evaluator: str, version: str, limit: int = 10
) -> list[Example]:
    """Return the worst verdicts of a window, newest first among equals."""
    conditions, parameters = _conditions(scope, window, evaluator, version)
    rows = store.query(_EXAMPLES.format(conditions=conditions), {**parameters, "limit": limit}).rows
    return [_example(row) for row in rows]


def queue_states(store: Store, project: str, since: datetime) -> list[QueueState]:
    """Return how the tasks planned since `since` are doing, by evaluator."""
    rows = store.query(_QUEUE, {"project": project, "since": since}).rows
    return [
        QueueState(
            evaluator=str(row[0]),
            waiting=as_int(row[1]),
            judged=as_int(row[2]),
            failed=as_int(row[3]),
            skipped=as_int(row[4]),
            over_budget=as_int(row[5]),
            # The database's answer for "none" is 1970.
            oldest_waiting=oldest if (oldest := as_time(row[6])).year > 1970 else None,
            reasons=tuple(str(reason) for reason in as_list(row[7]) if reason),
        )
        for row in rows
    ]


def cost_by_day(store: Store, project: str, first: date, last: date) -> list[tuple[date, str, float, int]]:
    """Return (day, evaluator, USD, calls) of a project's judging."""
    rows = store.query(_COST, {"project": project, "first": first, "last": last}).rows
    return [(cast(date, day), str(name), as_float(usd), as_int(calls)) for day, name, usd, calls in rows]


def _conditions(scope: Scope, window: Window, evaluator: str, version: str) -> tuple[str, Parameters]:
    conditions, parameters = scope_conditions(scope)
    parameters |= {"evaluator": evaluator, "version": version, "start": window.start, "end": window.end}
    return " AND ".join(conditions), parameters


def _sums(row: Sequence[object]) -> Sums:
    w, wy, aa, ab, bb, a4, a3b, a2b2, ab3, b4 = (as_float(cell) for cell in row[3:])
    fourth = (a4, a3b, a2b2, ab3, b4)
    return Sums(as_int(row[1]), as_int(row[2]), w, wy, aa, ab, bb, fourth)


def _example(row: Sequence[object]) -> Example:
    return Example(
        task_id=str(row[0]),
        evaluator=str(row[1]),
        unit=str(row[2]),
        trace_id=str(row[3]),
        span_id=str(row[4]),
        session_id=str(row[5]),
        happened_at=as_time(row[6]),
        value=optional_float(row[7]),
        label=str(row[8]),
        reasoning=str(row[9]),
        model=str(row[10]),
        prompt_name=str(row[11]),
        prompt_version=str(row[12]),
    )
