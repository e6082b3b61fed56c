"""The queue of the LLM judge: tasks, attempts, marks and switches (migration 0013).

Whoever works on a task writes its attempt first. Of several workers that write the same attempt, the one whose
row the database dated first has it; the others withdraw. A verdict is a score whose id is the task's, so there
is one at the most, whatever happens between the two.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_int, as_time, optional_float

TASK_COLUMNS: Final = (
    "task_id", "project", "evaluator", "evaluator_version", "unit", "trace_id", "span_id", "session_id",
    "happened_at", "service_name", "environment", "model", "prompt_name", "prompt_version", "language",
    "company_id", "user_id", "policy", "origin", "inclusion_probability", "state", "reason", "tries",
    "not_before", "value", "label", "cost_usd", "planned_at", "changed_at", "version",
)  # fmt: skip
ATTEMPT_COLUMNS: Final = (
    "project", "day", "task_id", "attempt", "worker", "evaluator", "claimed_at", "lease_until", "reserved_usd",
    "outcome", "reason", "cost_usd", "input_tokens", "output_tokens", "duration_ms", "version",
)  # fmt: skip
_CLAIM_COLUMNS: Final = tuple(name for name in ATTEMPT_COLUMNS if name != "claimed_at")
JUDGE_SCORE_COLUMNS: Final = (
    "score_id", "project", "trace_id", "span_id", "session_id", "name", "value", "label", "comment", "source",
    "author", "evaluator_version", "inclusion_probability", "cost_usd", "created_at", "received_at",
)  # fmt: skip

_READY: Final = f"""
SELECT {", ".join(TASK_COLUMNS)}, ifNull(last_attempt, 0) AS last_attempt
FROM (
    SELECT {", ".join(TASK_COLUMNS)} FROM judge_tasks FINAL
    WHERE project = {{project:String}} AND state = 'waiting' AND not_before <= {{now:DateTime64(3)}}
        AND evaluator_version IN {{versions:Array(String)}}
) AS t
LEFT JOIN (
    SELECT task_id, max(attempt) AS last_attempt, max(outcome = '' AND lease_until > {{now:DateTime64(3)}}) AS is_held
    FROM judge_attempts FINAL
    WHERE project = {{project:String}} AND day >= {{day:Date}} - 7
    GROUP BY task_id
) AS a ON a.task_id = t.task_id
WHERE NOT is_held
ORDER BY origin = 'backfill', happened_at, t.task_id
LIMIT {{limit:UInt32}}
"""  # noqa: S608  (column names of this module)

_SPENT: Final = """
SELECT sum(ifNull(cost_usd, reserved_usd)), count()
FROM judge_attempts FINAL
WHERE project = {project:String} AND day = {day:Date} AND outcome != 'withdrawn'
"""

_CLAIMED: Final = """
SELECT task_id, attempt, worker, claimed_at
FROM judge_attempts FINAL
WHERE project = {project:String} AND day >= {day:Date} - 7 AND outcome = ''
    AND task_id IN {tasks:Array(String)}
ORDER BY task_id, attempt, claimed_at, worker
"""

_WITH_WORK: Final = """
SELECT DISTINCT project FROM judge_tasks
WHERE state = 'waiting' AND project NOT IN {without:Array(String)} ORDER BY project
"""

_VERDICTS: Final = """
SELECT score_id, value, label FROM scores FINAL
WHERE project = {project:String} AND score_id IN {ids:Array(String)} AND source = 'judge'
"""


@dataclass(frozen=True)
class Task:
    """One judgement to be made; the fields are the columns of `judge_tasks`."""

    task_id: str
    project: str
    evaluator: str
    evaluator_version: str
    unit: str
    trace_id: str
    span_id: str
    session_id: str
    happened_at: datetime
    service_name: str
    environment: str
    model: str
    prompt_name: str
    prompt_version: str
    language: str
    company_id: str
    user_id: str
    policy: str
    origin: str
    inclusion_probability: float
    state: str
    reason: str
    tries: int
    not_before: datetime
    value: float | None
    label: str
    cost_usd: float | None
    planned_at: datetime
    changed_at: datetime
    version: int
    last_attempt: int = 0


@dataclass(frozen=True)
class Attempt:
    """One call of the judge for a task; the fields are the columns of `judge_attempts`."""

    project: str
    day: date
    task_id: str
    attempt: int
    worker: str
    evaluator: str
    claimed_at: datetime | None
    lease_until: datetime
    reserved_usd: float
    outcome: str = ""
    reason: str = ""
    cost_usd: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    duration_ms: float = 0.0


@dataclass(frozen=True)
class Spent:
    """What a project's judging took of the budget of a day."""

    usd: float
    calls: int


def projects_with_work(store: Store, without: Collection[str]) -> list[str]:
    """Return the projects that may have waiting tasks."""
    rows = store.query(_WITH_WORK, {"without": list(without)}).rows
    return [str(row[0]) for row in rows]


def ready_tasks(store: Store, project: str, versions: Sequence[str], now: datetime, limit: int) -> list[Task]:
    """Return waiting tasks that nobody works on: online before backfill, the oldest answers first."""
    parameters = {
        "project": project,
        "versions": list(versions),
        "now": now,
        "day": now.date(),
        "limit": limit,
    }
    return [_task(row) for row in store.query(_READY, parameters).rows]


def verdicts_of(store: Store, project: str, task_ids: Sequence[str]) -> dict[str, tuple[float | None, str]]:
    """Return value and label of the tasks that have a verdict already."""
    if not task_ids:
        return {}
    rows = store.query(_VERDICTS, {"project": project, "ids": list(task_ids)}).rows
    return {str(score_id): (optional_float(value), str(label)) for score_id, value, label in rows}


def spent(store: Store, project: str, day: date) -> Spent:
    """Return what was spent on a day (UTC); a call under way counts with what it may cost."""
    usd, calls = store.query(_SPENT, {"project": project, "day": day}).rows[0]
    return Spent(as_float(usd), as_int(calls))


def claim(store: Store, attempts: Sequence[Attempt]) -> None:
    """Write attempts before they are made. Whether they are ours, `won` says."""
    version = time.time_ns()
    rows = [[*(getattr(one, name) for name in _CLAIM_COLUMNS[:-1]), version] for one in attempts]
    store.insert_rows("judge_attempts", _CLAIM_COLUMNS, rows)


def won(store: Store, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return those of our attempts that no other worker dated before, with the database's time of them."""
    if not attempts:
        return []
    tasks = [one.task_id for one in attempts]
    rows = store.query(
        _CLAIMED, {"project": attempts[0].project, "day": attempts[0].day, "tasks": tasks}
    ).rows
    first: dict[tuple[str, int], tuple[str, datetime]] = {}
    for task_id, attempt, worker, claimed_at in rows:
        first.setdefault((str(task_id), as_int(attempt)), (str(worker), as_time(claimed_at)))
    return [
        replace(one, claimed_at=first[one.task_id, one.attempt][1])
        for one in attempts
        if first.get((one.task_id, one.attempt), ("", None))[0] == one.worker
    ]


def save_attempts(store: Store, attempts: Sequence[Attempt]) -> None:
    """Write how attempts went."""
    version = time.time_ns()
    timed = [one for one in attempts if one.claimed_at is not None]
    rows = [[*(getattr(one, name) for name in ATTEMPT_COLUMNS[:-1]), version] for one in timed]
    store.insert_rows("judge_attempts", ATTEMPT_COLUMNS, rows)


def withdraw(store: Store, attempts: Sequence[Attempt], now: datetime) -> None:
    """Take attempts back that will not be made."""
    save_attempts(
        store, [replace(one, outcome="withdrawn", claimed_at=one.claimed_at or now) for one in attempts]
    )


def save_tasks(store: Store, tasks: Sequence[Task], now: datetime) -> None:
    """Write the new state of tasks."""
    version = time.time_ns()
    rows = [
        [*(getattr(task, name) for name in TASK_COLUMNS[:-2]), now, max(version, task.version + 1)]
        for task in tasks
    ]
    store.insert_rows("judge_tasks", TASK_COLUMNS, rows)


def insert_verdicts(store: Store, rows: Sequence[Sequence[object]]) -> None:
    """Insert scores of the judge, values in the order of `JUDGE_SCORE_COLUMNS`."""
    store.insert_rows("scores", JUDGE_SCORE_COLUMNS, rows)


def read_mark(store: Store, project: str, policy: str) -> datetime | None:
    """Return up to when (`spans.received_at`) a policy has planned, None before its first time."""
    rows = store.query(
        "SELECT planned_until FROM judge_marks FINAL"
        " WHERE project = {project:String} AND policy = {policy:String}",
        {"project": project, "policy": policy},
    ).rows
    return as_time(rows[0][0]) if rows else None


def save_mark(store: Store, project: str, policy: str, planned_until: datetime) -> None:
    """Remember up to when a policy has planned."""
    row = [project, policy, planned_until, time.time_ns()]
    store.insert_rows("judge_marks", ("project", "policy", "planned_until", "version"), [row])


def is_paused(store: Store) -> bool:
    """Return whether people have paused the judge."""
    rows = store.query("SELECT value FROM judge_switches FINAL WHERE name = 'paused'").rows
    return bool(rows) and rows[0][0] == "1"


def set_paused(store: Store, paused: bool, now: datetime) -> None:
    """Pause the judge, or let it go on, in all workers."""
    row = ["paused", "1" if paused else "0", now, time.time_ns()]
    store.insert_rows("judge_switches", ("name", "value", "changed_at", "version"), [row])


# In the statements below REPLACE would put the new value into the condition too: hence the inner SELECT.
def retry_failed(store: Store, project: str, now: datetime) -> None:
    """Put failed tasks, and those skipped for want of budget, back into the queue."""
    store.command(
        """INSERT INTO judge_tasks SELECT * REPLACE ('waiting' AS state, '' AS reason, 0 AS tries,
            {now:DateTime64(3)} AS not_before, {now:DateTime64(3)} AS changed_at,
            toUnixTimestamp64Nano(now64(9)) AS version)
        FROM (SELECT * FROM judge_tasks FINAL WHERE project = {project:String}
            AND (state = 'failed' OR state = 'skipped' AND startsWith(reason, 'budget')))""",
        {"project": project, "now": now},
    )


def skip_all_waiting(store: Store, project: str, versions: Sequence[str], reason: str, now: datetime) -> None:
    """Pass over what waits in a project and was planned before `now`: its budget is used up."""
    store.command(
        """INSERT INTO judge_tasks SELECT * REPLACE ('skipped' AS state, {reason:String} AS reason,
            {now:DateTime64(3)} AS changed_at, toUnixTimestamp64Nano(now64(9)) AS version)
        FROM (SELECT * FROM judge_tasks FINAL WHERE project = {project:String} AND state = 'waiting'
            AND evaluator_version IN {versions:Array(String)} AND task_id NOT IN (
                SELECT task_id FROM judge_attempts FINAL WHERE project = {project:String} AND outcome = ''
                    AND day >= {day:Date} - 1 AND lease_until > {now:DateTime64(3)}))""",
        {
            "project": project,
            "versions": list(versions),
            "reason": reason,
            "now": now,
            "day": now.date(),
        },
    )


def register_evaluators(store: Store, rows: Sequence[Mapping[str, object]], now: datetime) -> None:
    """Make evaluators known to the dashboard; those that are known stay as they are."""
    known = {str(row[0]) for row in store.query("SELECT evaluator_version FROM judge_evaluators").rows}
    columns = ("name", "evaluator_version", "title", "description", "unit", "labels", "judge_model")
    new = [row for row in rows if row["evaluator_version"] not in known]
    store.insert_rows(
        "judge_evaluators",
        (*columns, "registered_at", "version"),
        [[*(row[name] for name in columns), now, time.time_ns()] for row in new],
    )


def _task(row: Sequence[object]) -> Task:
    fields = dict(zip((*TASK_COLUMNS, "last_attempt"), row, strict=True))
    times = {
        name: as_time(fields[name]) for name in ("happened_at", "not_before", "planned_at", "changed_at")
    }
    numbers = {name: as_int(fields[name]) for name in ("tries", "version", "last_attempt")}
    return Task(**{**fields, **times, **numbers})  # type: ignore[arg-type]


def count_waiting(store: Store, project: str, versions: Sequence[str]) -> int:
    """Return how many tasks of a project wait, those under way and those to be tried again included."""
    rows = store.query(
        """SELECT count() FROM judge_tasks FINAL WHERE project = {project:String} AND state = 'waiting'
            AND evaluator_version IN {versions:Array(String)}""",
        {"project": project, "versions": list(versions)},
    ).rows
    return as_int(rows[0][0])
