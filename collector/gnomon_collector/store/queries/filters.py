"""What a view looks at: the scope (who and what) and the window (when), and their SQL conditions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from gnomon_collector.store.engine import Store
from gnomon_collector.store.own_projects import OWN_PROJECTS

MINUTE_TABLE: Final = "calls_per_minute"
HOUR_TABLE: Final = "calls_per_hour"
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_MAX_OPTIONS: Final = 500

Parameters: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which telemetry a view looks at. An empty tuple means no restriction."""

    project: str
    services: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time, `start` inclusive and `end` exclusive (both UTC), cut into buckets of `step_s` seconds."""

    start: datetime
    end: datetime
    step_s: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    @property
    def grain_s(self) -> int:
        """Seconds of one row of the rollup that is coarse enough to be quick and fine enough for the buckets."""
        return _HOUR_S if self.step_s % _HOUR_S == 0 else _MINUTE_S

    @property
    def table(self) -> str:
        """The rollup with that grain."""
        return HOUR_TABLE if self.grain_s == _HOUR_S else MINUTE_TABLE

    @property
    def previous(self) -> "Window":
        """The window of equal length that ends where this one starts, widened to whole rows of the rollup."""
        start = floor_time(self.start - (self.end - self.start), self.grain_s)
        return Window(start, self.start, self.step_s)

    @property
    def latest_parts(self) -> "tuple[Window, ...]":
        """Its latest sixty-fourth, its latest eighth, and all of it: what is latest is mostly found in the first."""
        return tuple(replace(self, start=self.end - (self.end - self.start) / part) for part in (64, 8, 1))

    def buckets(self) -> list[datetime]:
        """Start of each bucket that overlaps the window, as `toStartOfInterval` in UTC cuts them."""
        first = int(self.start.timestamp()) // self.step_s * self.step_s
        return [
            datetime.fromtimestamp(second, UTC)
            for second in range(first, max(first + 1, _ceil(self.end.timestamp())), self.step_s)
        ]


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """Values that the filters can take, most used first."""

    services: tuple[str, ...]
    environments: tuple[str, ...]
    models: tuple[str, ...]


def scope_conditions(scope: Scope, model_column: str = "model") -> tuple[list[str], Parameters]:
    """Return SQL conditions and their parameters for rows that carry every label (rollups, `calls`)."""
    conditions, parameters = ["project = {project:String}"], Parameters(project=scope.project)
    for name, column, values in (
        ("services", "service_name", scope.services),
        ("environments", "environment", scope.environments),
        ("models", model_column, scope.models),
    ):
        if values:
            conditions.append(f"{column} IN {{{name}:Array(String)}}")
            parameters[name] = list(values)
    return conditions, parameters


def projects(store: Store) -> tuple[str, ...]:
    """Return every project that has calls or a key: where something happened last comes first.

    Gnomon's own come last: the judge is at work all the time.
    """
    result = store.query(
        """
        SELECT project FROM (
            SELECT project, max(time) AS called_at, toDateTime(0) AS made_at FROM calls_per_hour GROUP BY project
            UNION ALL
            -- of those in use to the minute: within an hour the name would decide
            SELECT project, max(time) AS called_at, toDateTime(0) AS made_at FROM calls_per_minute
            WHERE time >= (SELECT max(time) FROM calls_per_hour) GROUP BY project
            UNION ALL
            SELECT project, toDateTime(0) AS called_at, max(created_at) AS made_at FROM api_keys FINAL
            WHERE revoked_at IS NULL AND project NOT IN ('', '*') GROUP BY project
        )
        GROUP BY project
        ORDER BY project IN {own_projects:Array(String)}, max(called_at) DESC, max(made_at) DESC, project
        LIMIT 1000
        """,
        {"own_projects": list(OWN_PROJECTS)},
    )
    return tuple(str(row[0]) for row in result.rows)


def filter_options(store: Store, project: str, window: Window) -> FilterOptions:
    """Return the services, environments and models seen in `window`, most used first."""
    since = min(window.start, window.end - timedelta(days=1))
    result = store.query(
        f"""
        SELECT 'service' AS label, service_name AS value, sum(calls) AS used FROM calls_per_hour
        WHERE project = {{project:String}} AND time >= {{start:DateTime}} AND time < {{end:DateTime}} AND calls > 0
        GROUP BY value ORDER BY used DESC, value LIMIT {_MAX_OPTIONS}
        UNION ALL
        SELECT 'environment' AS label, environment AS value, sum(calls) AS used FROM calls_per_hour
        WHERE project = {{project:String}} AND time >= {{start:DateTime}} AND time < {{end:DateTime}} AND calls > 0
        GROUP BY value ORDER BY used DESC, value LIMIT {_MAX_OPTIONS}
        UNION ALL
        SELECT 'model' AS label, model AS value, sum(calls) AS used FROM calls_per_hour
        WHERE project = {{project:String}} AND time >= {{start:DateTime}} AND time < {{end:DateTime}} AND calls > 0
        GROUP BY value ORDER BY used DESC, value LIMIT {_MAX_OPTIONS}
        """,  # noqa: S608 (a constant of this module)
        {"project": project, "start": floor_time(since, _HOUR_S), "end": window.end},
    )
    return FilterOptions(
        services=_values(result.rows, "service"),
        environments=_values(result.rows, "environment"),
        models=_values(result.rows, "model"),
    )


def has_data(store: Store, project: str) -> bool:
    """Return whether the project ever had a span."""
    result = store.query(
        "SELECT 1 FROM spans WHERE project = {project:String} LIMIT 1",
        {"project": project},
    )
    return bool(result.rows)


def floor_time(moment: datetime, step_s: int) -> datetime:
    """Return `moment` rounded down to a multiple of `step_s` seconds since 1970."""
    return datetime.fromtimestamp(int(moment.timestamp()) // step_s * step_s, UTC)


def merged(*parts: Mapping[str, object]) -> Parameters:
    """Return one dictionary of parameters out of several."""
    return {name: value for part in parts for name, value in part.items()}


def _values(rows: list[tuple[object, ...]], label: str) -> tuple[str, ...]:
    return tuple(str(value) for kind, value, _ in rows if kind == label and value)


def _ceil(seconds: float) -> int:
    return int(-(-seconds // 1))
