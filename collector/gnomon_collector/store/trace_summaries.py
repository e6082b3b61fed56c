"""The table ``trace_summaries``: one row per trace, computed anew for the ten minutes in which spans changed.

Only slots of ten minutes that are over are computed, so that a trace is counted once and not with each of its
spans. `trace_coverage` says from when to when a project's traces are there; the newest are read from `spans`.
See docs/adr/0016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gnomon_collector.store import people_per_day
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_int, as_time
from gnomon_collector.store.queries.filters import floor_time
from gnomon_collector.store.queries.trace_columns import (
    IN_SUMMARY,
    PACKED,
    SUMMARY_LABELS,
    SUMS_OF_CALLS,
    shown,
    summary_column,
)

SLOT: Final = timedelta(minutes=10)
LONGEST_PAUSE: Final = timedelta(hours=1)
"""A trace whose spans pause for longer is counted as two."""

LONGEST_TRACE: Final = timedelta(days=1)
EVERYTHING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""`Coverage.since` of a project of which every span is summarised."""

_SLOT_S: Final = int(SLOT.total_seconds())
_DAY_S: Final = int(people_per_day.DAY.total_seconds())
_MOST_SPANS: Final = 400_000
_ONE_THREAD: Final = {"max_threads": 1}

_TOUCH: Final = """
INSERT INTO trace_slots (project, slot, touched, summarised)
SELECT project, slot, toUnixTimestamp64Nano(now64(9)), 0
FROM (
    SELECT project, arrayJoin({slots:Array(DateTime('UTC'))}) AS slot
    FROM trace_coverage FINAL
    WHERE project IN {projects:Array(String)}
)
WHERE slot <= now() - INTERVAL 10 MINUTE
"""
_DUE: Final = """
SELECT slot, max(touched) AS changed
FROM trace_slots
WHERE project = {project:String} AND slot >= {since:DateTime('UTC')} AND slot < {until:DateTime('UTC')}
GROUP BY slot
HAVING changed > max(summarised)
ORDER BY slot DESC
"""

_SUMMARISED: Final = """
INSERT INTO trace_slots (project, slot, touched, summarised)
SELECT {project:String}, change.1, 0, change.2
FROM (SELECT arrayJoin(arrayZip({slots:Array(DateTime('UTC'))}, {changes:Array(UInt64)})) AS change)
"""
_COVERAGE: Final = "SELECT since, until FROM trace_coverage FINAL WHERE project = {project:String}"
_COVER: Final = """
INSERT INTO trace_coverage (project, since, until, version)
SELECT {project:String}, {since:DateTime('UTC')}, {until:DateTime('UTC')}, toUnixTimestamp64Nano(now64(9))
"""
_PROJECTS: Final = """
SELECT project FROM calls_per_hour GROUP BY project
UNION DISTINCT SELECT project FROM trace_coverage GROUP BY project
UNION DISTINCT SELECT project FROM spans WHERE start_time > now() - INTERVAL 1 DAY GROUP BY project
ORDER BY project
"""
_EARLIEST: Final = "SELECT count(), min(start_time) FROM spans WHERE project = {project:String}"

_COLUMNS: Final = ", ".join(summary_column(one) for one in IN_SUMMARY)
_SUM_NAMES: Final = ", ".join(SUMS_OF_CALLS)
_SUMS: Final = ", ".join(f"{sql} AS s_{name}" for name, sql in SUMS_OF_CALLS.items())
_KEY: Final = "project, trace_id, start_time, last_start_time"
_WITHIN: Final = "start_time >= {start:DateTime64(9, 'UTC')} AND start_time < {end:DateTime64(9, 'UTC')}"
_COUNTS: Final = f"""
SELECT toStartOfTenMinutes(start_time) AS slot, count() FROM spans
WHERE project = {{project:String}} AND {_WITHIN}
GROUP BY slot ORDER BY slot
"""  # noqa: S608
# Traces with spans before or after as well, as far as the summaries know.
_REACHING_OUT: Final = f"""\
FROM trace_summaries FINAL
        WHERE project = {{project:String}}
            AND start_time >= {{earliest:DateTime64(9, 'UTC')}} AND start_time < {{latest:DateTime64(9, 'UTC')}}
            AND last_start_time >= {{paused:DateTime64(9, 'UTC')}}
            AND NOT (start_time >= {{start:DateTime64(9, 'UTC')}} AND last_start_time < {{end:DateTime64(9, 'UTC')}})
            AND trace_id IN (SELECT trace_id FROM spans WHERE project = {{project:String}} AND {_WITHIN})"""  # noqa: S608
REACH: Final = f"SELECT count(), min(start_time), max(last_start_time) {_REACHING_OUT}"
AROUND: Final = f"""\
project = {{project:String}}
        AND start_time >= {{first:DateTime64(9, 'UTC')}} AND start_time < {{last:DateTime64(9, 'UTC')}}
        AND ({_WITHIN} OR trace_id IN (
        SELECT trace_id {_REACHING_OUT}))"""


def summarise_sql(spans: str) -> tuple[str, str]:
    """Return the statement that computes the summaries of spans, and the one that removes rows that are none.

    Args:
        spans: condition, on `spans` and on `trace_summaries` alike.
    """
    computed = f"""
INSERT INTO trace_summaries ({_KEY}, {_COLUMNS}, {_SUM_NAMES}, labels, shown, version, is_deleted)
SELECT {{project:String}}, * EXCEPT (packed), toJSONString(packed), toUnixTimestamp64Nano(now64(9)), 0
FROM (
    SELECT trace_id, min(start_time), max(start_time), {", ".join(f"{shown(one, 'traces')} AS c_{one.id}" for one in IN_SUMMARY)},
        {_SUMS}, {SUMMARY_LABELS}, tuple({", ".join(f"c_{one.id}" for one in PACKED)}) AS packed
    FROM spans
    WHERE {spans}
    GROUP BY trace_id
)
"""  # noqa: S608  (identifiers and expressions of the catalogue of columns)
    removed = f"""
INSERT INTO trace_summaries ({_KEY}, version, is_deleted)
SELECT {_KEY}, toUnixTimestamp64Nano(now64(9)), 1
FROM trace_summaries FINAL
WHERE {spans}
    AND (trace_id, start_time) NOT IN (SELECT trace_id, min(start_time) FROM spans WHERE {spans} GROUP BY trace_id)
"""  # noqa: S608
    return computed, removed


_SUMMARISE: Final = summarise_sql(f"project = {{project:String}} AND {_WITHIN}")
_SUMMARISE_AROUND: Final = summarise_sql(AROUND)


@dataclass(frozen=True)
class Coverage:
    """From when to when (UTC, `until` exclusive) the summaries of a project are complete."""

    since: datetime
    until: datetime


def touch(store: Store, projects: Sequence[str], minutes: Sequence[datetime]) -> None:
    """Note that spans of these minutes (UTC) came, changed or went.

    Where nothing is summarised, and in the ten minutes that are not over, there is nothing to bring up to date.
    """
    slots = sorted({floor_time(minute, _SLOT_S) for minute in minutes})
    store.command(_TOUCH, {"projects": list(projects), "slots": slots})
    # erasure has deleted summaries before it says so: the sums of their day must not outlive them
    _touch_days(store, projects, slots)


def coverage(store: Store, project: str) -> Coverage | None:
    """Return what is summarised of a project; None for nothing."""
    rows = store.query(_COVERAGE, {"project": project}).rows
    return Coverage(as_time(rows[0][0]), as_time(rows[0][1])) if rows else None


def projects(store: Store) -> list[str]:
    """Return the projects that have spans."""
    return [str(name) for (name,) in store.query(_PROJECTS).rows]


def bring_up_to_date(store: Store, project: str, until: datetime, is_over: Callable[[], bool]) -> bool:
    """Summarise a project's traces: those that are new, those that changed, then older ones, newest first.

    What people did is then summed up by day.

    Args:
        until: spans that start from here on (UTC) are left alone; full ten minutes.
        is_over: asked between two steps, whether to stop.

    Returns:
        whether everything is done.
    """
    known = coverage(store, project) or _cover(store, project, Coverage(until, until))
    for start, end in _pieces(store, project, known.until, until):
        summarise(store, project, start, end)
        known = _cover(store, project, Coverage(known.since, end))
        if is_over():
            return False
    if not _summarise_changes(store, project, known, is_over):
        return False
    if known.since != EVERYTHING and not _summarise_older(store, project, known, is_over):
        return False
    return people_per_day.bring_up_to_date(store, project, EVERYTHING, known.until, is_over)


def summarise(store: Store, project: str, start: datetime, end: datetime) -> None:
    """Compute the summaries of the traces that have a span in ``[start, end)`` (UTC) anew."""
    parameters: dict[str, object] = {"project": project, "start": start, "end": end}
    reach = {
        "earliest": start - LONGEST_TRACE,
        "latest": end + LONGEST_PAUSE,
        "paused": start - LONGEST_PAUSE,
    }
    count, first, last = store.query(REACH, parameters | reach, settings=_ONE_THREAD).rows[0]
    statements = _SUMMARISE
    if as_int(count):
        statements = _SUMMARISE_AROUND
        # what comes back has lost the nanoseconds
        after = max(end, as_time(last) + timedelta(microseconds=1))
        start, end = min(start, as_time(first)), after
        parameters |= {**reach, "first": start, "last": end}
    _touch_days(store, [project], _days(start, end))
    for statement in statements:
        store.command(statement, parameters, settings=_ONE_THREAD)


def _summarise_changes(store: Store, project: str, known: Coverage, is_over: Callable[[], bool]) -> bool:
    """Summarise anew what changed within the coverage; return whether that is all."""
    changes = _changes(store, project, known)
    for run_start, run_end in reversed(adjoining(sorted(changes), SLOT)):
        for start, end in _pieces(store, project, run_start, run_end):
            summarise(store, project, start, end)
            done = [slot for slot in changes if start <= slot < end]
            parameters = {"project": project, "slots": done, "changes": [changes[slot] for slot in done]}
            store.command(_SUMMARISED, parameters)
            if is_over():
                return False
    return True


def _summarise_older(store: Store, project: str, known: Coverage, is_over: Callable[[], bool]) -> bool:
    """Summarise what is older than the coverage, newest first; return whether that is all."""
    earliest = _earliest(store, project) or known.since
    for start, end in reversed(list(_pieces(store, project, earliest, known.since))):
        summarise(store, project, start, end)
        known = _cover(store, project, Coverage(start, known.until))
        if is_over():
            return False
    _cover(store, project, Coverage(EVERYTHING, known.until))
    return True


def _touch_days(store: Store, projects: Sequence[str], moments: Sequence[datetime]) -> None:
    today = datetime.now(UTC).date()
    if days := [moment.date() for moment in moments if moment.date() < today]:
        people_per_day.touch(store, projects, days)


def _days(start: datetime, end: datetime) -> list[datetime]:
    count = (end - floor_time(start, _DAY_S)) // people_per_day.DAY + 1
    return [start + number * people_per_day.DAY for number in range(count)]


def _changes(store: Store, project: str, known: Coverage) -> Mapping[datetime, int]:
    parameters = {"project": project, "since": known.since, "until": known.until}
    return {as_time(slot): as_int(changed) for slot, changed in store.query(_DUE, parameters).rows}


def adjoining(slots: Sequence[datetime], width: timedelta) -> list[tuple[datetime, datetime]]:
    """Return the slots, sorted, as ranges ``[start, end)``: those that touch are one."""
    ranges: list[tuple[datetime, datetime]] = []
    for slot in slots:
        if ranges and ranges[-1][1] == slot:
            ranges[-1] = (ranges[-1][0], slot + width)
        else:
            ranges.append((slot, slot + width))
    return ranges


def _pieces(
    store: Store, project: str, start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Cut ``[start, end)`` at slots, so that a piece has `_MOST_SPANS` spans at most, or is one slot."""
    while start < end:
        day_end = min(end, start + timedelta(days=1))
        counts = store.query(_COUNTS, {"project": project, "start": start, "end": day_end}).rows
        yield from cut(
            start, day_end, [(as_time(slot), as_int(count)) for slot, count in counts], _MOST_SPANS
        )
        start = day_end


def cut(
    start: datetime, end: datetime, counts: Sequence[tuple[datetime, int]], most: int
) -> Iterator[tuple[datetime, datetime]]:
    """Cut ``[start, end)`` before the slots, sorted, whose spans would make a piece have more than `most`."""
    spans = 0
    for slot, count in counts:
        if spans and spans + count > most and slot > start:
            yield start, slot
            start, spans = slot, 0
        spans += count
    yield start, end


def _cover(store: Store, project: str, covered: Coverage) -> Coverage:
    store.command(_COVER, {"project": project, "since": covered.since, "until": covered.until})
    return covered


def _earliest(store: Store, project: str) -> datetime | None:
    count, earliest = store.query(_EARLIEST, {"project": project}).rows[0]
    return floor_time(as_time(earliest), _SLOT_S) if as_int(count) else None
