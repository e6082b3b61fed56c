"""The tables ``users_per_day``, ``sessions_per_day`` and ``companies_per_day``: sums of `trace_summaries` by day (UTC).

Days that are over are computed, and again where their summaries changed. `people_days` says which computation of
a day holds: the rows of it alone are read, so that no day is ever half there, or twice. See docs/adr/0025.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, TypeAlias

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_int

Kind: TypeAlias = Literal["user", "session", "company"]

DAY: Final = timedelta(days=1)
SETTLES: Final = timedelta(hours=1)
"""So long after its end a day is computed: most of what comes late is here by then."""

REST: Final = timedelta(minutes=15)
"""A day to which late spans keep coming is computed no oftener."""


@dataclass(frozen=True, slots=True)
class DayTable:
    """Where a kind of people is summed by day.

    Attributes:
        person: column of the person, there and in `trace_summaries`.
        beside: columns that other kinds do not have: name to SQL over the summaries of a person.
    """

    name: str
    person: str
    beside: Mapping[str, str]


_SESSIONS: Final = {"sessions": "uniqCombinedState(session_id)"}
TABLES: Final[Mapping[Kind, DayTable]] = {
    "user": DayTable("users_per_day", "user_id", _SESSIONS),
    "session": DayTable("sessions_per_day", "session_id", {"user_id": "argMin(user_id, s.start_time)"}),
    "company": DayTable("companies_per_day", "company", _SESSIONS),
}
SUMS: Final[Mapping[str, str]] = {
    "start_time": "min(s.start_time)",
    "last_start_time": "max(s.last_start_time)",
    "traces": "count()",
    "calls": "sum(s.calls)",
    "failed_calls": "sum(s.failed_calls)",
    "input_tokens": "sum(ifNull(s.input_tokens, 0))",
    "output_tokens": "sum(ifNull(s.output_tokens, 0))",
    "cost_usd": "sum(ifNull(s.cost_usd, 0))",
}
"""What each kind has: name to SQL over the summaries of a person, ``s``."""

_NOW: Final = "toUnixTimestamp64Nano(now64(9))"
_TOUCH: Final = f"""
INSERT INTO people_days (project, day, touched, run)
SELECT project, day, {_NOW}, 0 FROM people_days
WHERE project IN {{projects:Array(String)}} AND day IN {{days:Array(Date)}}
GROUP BY project, day
"""  # noqa: S608  (a constant)
_BEGIN: Final = f"""
INSERT INTO people_days (project, day, touched, run) SELECT {{project:String}}, {{day:Date}}, {_NOW}, 0
"""
_RUN: Final = f"SELECT {_NOW}"
_HOLDS: Final = """
INSERT INTO people_days (project, day, touched, run) SELECT {project:String}, {day:Date}, 0, {run:UInt64}
"""
_COMPUTED: Final = """
SELECT day, max(run) AS computed FROM people_days
WHERE project = {project:String} AND day >= {first:Date} AND day < {after:Date}
GROUP BY day HAVING computed > max(touched)
ORDER BY day
"""
_DUE: Final = """
SELECT day FROM (
    SELECT DISTINCT toDate(time, 'UTC') AS day FROM calls_per_hour
    WHERE project = {project:String} AND time >= {since:DateTime('UTC')} AND time < {until:DateTime('UTC')}
)
WHERE day >= {first:Date} AND day < {after:Date} AND day NOT IN (
    SELECT day FROM people_days WHERE project = {project:String}
    GROUP BY day HAVING max(run) > max(touched) OR max(run) > toUnixTimestamp64Nano(now64(9)) - {rest_ns:UInt64}
)
ORDER BY day DESC
"""


def touch(store: Store, projects: Sequence[str], days: Sequence[date]) -> None:
    """Note that summaries of these days (UTC) changed, or are about to: until computed anew they do not hold."""
    store.command(_TOUCH, {"projects": list(projects), "days": sorted(set(days))})


def computed(store: Store, project: str, start: datetime, end: datetime) -> dict[date, int]:
    """Return the whole days within ``[start, end)`` (UTC) whose sums hold, in order, with the run of each."""
    bounds = {"first": _first_whole_day(start), "after": end.astimezone(UTC).date()}
    rows = store.query(_COMPUTED, {"project": project, **bounds}).rows
    return {_as_date(day): as_int(run) for day, run in rows}


def bring_up_to_date(
    store: Store, project: str, since: datetime, until: datetime, is_over: Callable[[], bool]
) -> bool:
    """Compute a project's days that never were, and those that changed, newest first.

    Args:
        since, until: from when to when (UTC) its traces are summarised.
        is_over: asked after each day, whether to stop.

    Returns:
        whether everything is done.
    """
    bounds = {"first": _first_whole_day(since), "after": (until - SETTLES).date(), "since": since}
    rest_ns = int(REST.total_seconds()) * 10**9
    due = store.query(_DUE, {"project": project, "until": until, "rest_ns": rest_ns, **bounds}).rows
    for number, (day,) in enumerate(due, start=1):
        compute(store, project, _as_date(day))
        if is_over():
            return number == len(due)
    return True


def compute(store: Store, project: str, day: date) -> None:
    """Sum a day (UTC) of a project anew; cut off, it does not hold, and is computed again."""
    of_day: dict[str, object] = {"project": project, "day": day}
    store.command(_BEGIN, of_day)
    of_day["run"] = as_int(store.query(_RUN).rows[0][0])
    start = datetime.combine(day, time(), UTC)
    for table in TABLES.values():
        bounds = {"start": start, "end": start + DAY}
        store.command(compute_sql(table), of_day | bounds, settings={"max_threads": 1})
    store.command(_HOLDS, of_day)
    for table in TABLES.values():
        # nobody reads these: not waited for, which takes the database seconds
        _delete(store, table, "day = {day:Date} AND run < {run:UInt64}", of_day, waits=0)


def compute_sql(table: DayTable) -> str:
    """Return the statement that sums a day of one kind of people."""
    sums = {**SUMS, **table.beside}
    return f"""
INSERT INTO {table.name} (project, {table.person}, day, run, {", ".join(sums)})
SELECT {{project:String}}, s.{table.person}, {{day:Date}}, {{run:UInt64}}, {", ".join(sums.values())}
FROM trace_summaries AS s FINAL
WHERE project = {{project:String}} AND s.calls > 0 AND s.{table.person} != ''
    AND s.start_time >= {{start:DateTime64(9, 'UTC')}} AND s.start_time < {{end:DateTime64(9, 'UTC')}}
GROUP BY s.{table.person}
"""  # noqa: S608  (names of this module)


def forget(store: Store, project: str, before: datetime) -> None:
    """Delete the days of a project that lie before a time (UTC); the day it is in is computed anew."""
    day = before.astimezone(UTC).date()
    touch(store, [project], [day])
    for table in TABLES.values():
        _delete(store, table, "day < {day:Date}", {"project": project, "day": day}, waits=2)


def _delete(
    store: Store, table: DayTable, condition: str, parameters: Mapping[str, object], *, waits: int
) -> None:
    """Delete rows; `waits` is the database's `mutations_sync`."""
    where = f"project = {{project:String}} AND {condition}"
    bound = {name: value for name, value in parameters.items() if f"{{{name}:" in where}
    if store.query(f"SELECT 1 FROM {table.name} WHERE {where} LIMIT 1", bound).rows:  # noqa: S608  (of this module)
        delete = f"ALTER TABLE {table.name} DELETE WHERE {where}"
        store.command(delete, bound, settings={"mutations_sync": waits})


def _first_whole_day(start: datetime) -> date:
    utc = start.astimezone(UTC)
    return utc.date() if utc.time() == time() else utc.date() + DAY


def _as_date(cell: object) -> date:
    if not isinstance(cell, date):
        raise TypeError(f"{cell!r} is no date")
    return cell
