"""What arrives: from which SDKs and services, how late, and what had to be mended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_int, as_time
from gnomon_collector.store.queries.filters import Parameters, Scope, Window

_MOST: Final = 60
# One number for the four names: hashed once for each entry of a column's dictionary, where strings would be
# compared row by row. 64 bits of a few hundred combinations do not meet.
_SOURCE: Final = "cityHash64(service_name) + 3 * cityHash64(dialect) + 5 * cityHash64(scope_name) + 7 * cityHash64(scope_version)"


@dataclass(frozen=True, slots=True)
class Source:
    """Spans of one instrumentation of one service."""

    service: str
    dialect: str
    scope: str
    version: str
    spans: int
    duplicates: int
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Arrival:
    """Spans by the minute or hour in which they were received; `delay_ms` is the mean from end to arrival."""

    time: datetime
    spans: int
    delay_ms: float


@dataclass(frozen=True, slots=True)
class Flag:
    """Something that had to be mended on spans, see `data_flags` of the table."""

    flag: str
    spans: int


@dataclass(frozen=True, slots=True)
class ProjectSize:
    """Calls and cost that a project ever had, from the rollup per hour."""

    project: str
    calls: int
    cost_usd: float
    first_seen: datetime
    last_seen: datetime


def sources(store: Store, scope: Scope, window: Window) -> list[Source]:
    """Return who sent spans in a window, most first."""
    rows = store.query(
        f"""
        SELECT any(service_name) AS service, any(dialect), any(scope_name) AS scope, any(scope_version), count() AS spans,
            countIf(duplicate_of != ''), max(start_time)
        FROM spans
        WHERE {_WHERE}
        GROUP BY {_SOURCE}
        ORDER BY spans DESC, service, scope
        LIMIT {_MOST}
        """,  # noqa: S608 (constants of this module)
        _bound(scope, window),
    ).rows
    return [
        Source(
            str(row[0]),
            str(row[1]),
            str(row[2]),
            str(row[3]),
            as_int(row[4]),
            as_int(row[5]),
            as_time(row[6]),
        )
        for row in rows
    ]


def arrivals(store: Store, scope: Scope, window: Window) -> list[Arrival]:
    """Return how many spans came, and how late, per bucket of a window."""
    rows = store.query(
        f"""
        SELECT toStartOfInterval(start_time, toIntervalSecond({{step:UInt32}}), 'UTC') AS bucket, count(),
            avg(greatest(0, toUnixTimestamp64Nano(received_at) - toUnixTimestamp64Nano(start_time) - toInt64(duration_ns))) / 1e6
        FROM spans
        WHERE {_WHERE}
        GROUP BY bucket
        ORDER BY bucket
        """,  # noqa: S608 (as above)
        _bound(scope, window) | {"step": window.step_s},
    ).rows
    return [Arrival(as_time(time), as_int(spans), as_float(delay)) for time, spans, delay in rows]


def flags(store: Store, scope: Scope, window: Window) -> list[Flag]:
    """Return what had to be mended in a window, most frequent first."""
    rows = store.query(
        f"""
        SELECT arrayJoin(data_flags) AS flag, count() AS spans
        FROM spans
        WHERE {_WHERE} AND notEmpty(data_flags)
        GROUP BY flag
        ORDER BY spans DESC, flag
        """,  # noqa: S608 (as above)
        _bound(scope, window),
    ).rows
    return [Flag(str(flag), as_int(spans)) for flag, spans in rows]


def project_sizes(store: Store) -> list[ProjectSize]:
    """Return every project that has calls, the one that was used last first."""
    rows = store.query(
        """
        SELECT project, sum(calls), sum(cost_usd), min(time), max(time) AS last_seen
        FROM calls_per_hour FINAL
        WHERE calls > 0
        GROUP BY project
        ORDER BY last_seen DESC, project
        LIMIT 1000
        """
    ).rows
    return [
        ProjectSize(str(row[0]), as_int(row[1]), as_float(row[2]), as_time(row[3]), as_time(row[4]))
        for row in rows
    ]


_WHERE: Final = (
    "project = {project:String} AND start_time >= {start:DateTime64(9)} AND start_time < {end:DateTime64(9)}"
)


def _bound(scope: Scope, window: Window) -> Parameters:
    return {"project": scope.project, "start": window.start, "end": window.end}
