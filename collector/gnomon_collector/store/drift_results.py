"""The table ``drift_results``: writing evaluations, and what the job, the command and the page read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from gnomon_collector.store.drift_windows import DimensionSet, Windows
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_int, as_time

Json = Any

_KEY: Final = ("service_name", "model", "prompt_name", "prompt_version")
_COLUMNS: Final = (
    "project",
    "time",
    *_KEY,
    "metric",
    "statistic",
    "value",
    "threshold",
    "severity",
    "state",
    "reference_start",
    "reference_end",
    "current_start",
    "reference_count",
    "current_count",
    "explanation",
)
_OF_SET: Final = " AND ".join(f"{name} = {{{name}:String}}" for name in _KEY)


@dataclass(frozen=True)
class DriftResult:
    """What one evaluation found for one metric of one dimension set.

    Attributes:
        windows: what was compared; the evaluation's time is the end of the current one.
        statistic: the one that decided, "" without enough data.
        severity: value / threshold; 1 and more is a breach.
        state: ok, breach, drift or not_enough_data.
        reference_count, current_count: calls (or texts) in each window.
        explanation: see docs/drift.md; `summary` is a sentence for people.
    """

    dimension_set: DimensionSet
    metric: str
    windows: Windows
    statistic: str
    value: float
    threshold: float
    severity: float
    state: str
    reference_count: int
    current_count: int
    explanation: Mapping[str, Json] = field(default_factory=dict)

    @property
    def time(self) -> datetime:
        """End of the current window (UTC)."""
        return self.windows.current_end

    @property
    def summary(self) -> str:
        """What happened, in a sentence."""
        return str(self.explanation.get("summary", ""))


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of the heat map."""

    time: datetime
    metric: str
    severity: float
    state: str


@dataclass(frozen=True, slots=True)
class SetState:
    """How many metrics of a dimension set drift, by its newest evaluation."""

    dimension_set: DimensionSet
    drifting: int
    breached: int


def write(store: Store, project: str, results: Sequence[DriftResult], version: int) -> None:
    """Write results; those of the same evaluation are replaced.

    Args:
        version: grows with each write; the newest wins.
    """
    rows = [(*_row(project, one), version) for one in results]
    store.insert_rows("drift_results", (*_COLUMNS, "version"), rows)


def last_time(store: Store, project: str, metrics: Sequence[str] = ()) -> datetime | None:
    """Return the newest evaluation (UTC) of a project, or of some of its metrics; None before the first."""
    rows = store.query(
        "SELECT max(time), count() FROM drift_results WHERE project = {project:String}"
        " AND (empty({metrics:Array(String)}) OR metric IN {metrics:Array(String)})",
        {"project": project, "metrics": list(metrics)},
    ).rows
    return as_time(rows[0][0]) if rows and as_int(rows[0][1]) else None


def last_time_of(store: Store, project: str, dimension_set: DimensionSet, until: datetime) -> datetime | None:
    """Return the newest evaluation (UTC) of a dimension set at or before a time; None before the first."""
    rows = store.query(
        "SELECT max(time), count() FROM drift_results"  # noqa: S608 (a constant of this module)
        f" WHERE project = {{project:String}} AND time <= {{until:DateTime}} AND {_OF_SET}",
        {"project": project, "until": until, **_set_parameters(dimension_set)},
    ).rows
    return as_time(rows[0][0]) if rows and as_int(rows[0][1]) else None


def states_at(store: Store, project: str, time: datetime) -> dict[tuple[DimensionSet, str], str]:
    """Return the state of each metric of each dimension set at one evaluation (UTC)."""
    rows = store.query(
        f"SELECT {', '.join(_KEY)}, metric, state FROM drift_results FINAL"  # noqa: S608 (a constant)
        " WHERE project = {project:String} AND time = {time:DateTime}",
        {"project": project, "time": time},
    ).rows
    return {(_dimension_set(row[:4]), str(row[4])): str(row[5]) for row in rows}


def results_at(store: Store, project: str, dimension_set: DimensionSet, time: datetime) -> list[DriftResult]:
    """Return every result of one dimension set at one evaluation (UTC), the most severe first."""
    return _read(
        store,
        f"project = {{project:String}} AND time = {{time:DateTime}} AND {_OF_SET}",
        {"project": project, "time": time, **_set_parameters(dimension_set)},
    )


def newest_before(
    store: Store, project: str, dimension_set: DimensionSet, metric: str, until: datetime
) -> DriftResult | None:
    """Return the newest result of one metric at or before a time (UTC)."""
    found = _read(
        store,
        f"project = {{project:String}} AND metric = {{metric:String}} AND time <= {{until:DateTime}} AND {_OF_SET}",
        {"project": project, "metric": metric, "until": until, **_set_parameters(dimension_set)},
        order="time DESC LIMIT 1",
    )
    return found[0] if found else None


def cells(
    store: Store, project: str, dimension_set: DimensionSet, start: datetime, end: datetime, step_s: int
) -> list[Cell]:
    """Return the heat map of one dimension set: the worst of each metric per bucket of time, in order."""
    rows = store.query(
        f"""
        SELECT toStartOfInterval(time - 1, toIntervalSecond({{step:UInt32}}), 'UTC') AS bucket, metric,
            max(severity), argMax(state, (state = 'drift', state = 'breach', state = 'ok', severity))
        FROM drift_results FINAL
        WHERE project = {{project:String}} AND time > {{start:DateTime}} AND time <= {{end:DateTime}} AND {_OF_SET}
        GROUP BY bucket, metric
        ORDER BY bucket, metric
        """,  # noqa: S608 (a constant of this module)
        {
            "project": project,
            "start": start,
            "end": end,
            "step": step_s,
            **_set_parameters(dimension_set),
        },
    ).rows
    return [
        Cell(as_time(time), str(metric), as_float(severity), str(state))
        for time, metric, severity, state in rows
    ]


def set_states(store: Store, project: str, start: datetime, end: datetime) -> list[SetState]:
    """Return the dimension sets evaluated in ``(start, end]`` (UTC), most drifting first.

    The counts are those of the newest evaluation in that time.
    """
    rows = store.query(
        f"""
        SELECT {", ".join(_KEY)}, countIf(last = 'drift') AS drifting, countIf(last = 'breach') AS breached
        FROM (
            SELECT {", ".join(_KEY)}, metric, argMax(state, time) AS last
            FROM drift_results FINAL
            WHERE project = {{project:String}} AND time > {{start:DateTime}} AND time <= {{end:DateTime}}
            GROUP BY {", ".join(_KEY)}, metric
        )
        GROUP BY {", ".join(_KEY)}
        ORDER BY drifting DESC, breached DESC, {", ".join(_KEY)}
        LIMIT 200
        """,  # noqa: S608 (constants of this module)
        {"project": project, "start": start, "end": end},
    ).rows
    return [SetState(_dimension_set(row[:4]), as_int(row[4]), as_int(row[5])) for row in rows]


def alarms(store: Store, project: str, start: datetime, end: datetime, limit: int = 100) -> list[DriftResult]:
    """Return one result per metric and dimension set that drifted in ``(start, end]`` (UTC), newest first.

    It is the most severe one while it drifted.
    """
    return _read(
        store,
        "project = {project:String} AND time > {start:DateTime} AND time <= {end:DateTime} AND state = 'drift'",
        {"project": project, "start": start, "end": end, "limit": limit},
        order=f"severity DESC LIMIT 1 BY metric, {', '.join(_KEY)} LIMIT {{limit:UInt32}}",
    )


def pinned_reference(store: Store, project: str) -> tuple[datetime, datetime] | None:
    """Return the window (UTC) that somebody pinned as the reference of a project; None for the trailing one."""
    rows = store.query(
        "SELECT start_time, end_time FROM drift_references FINAL"
        " WHERE project = {project:String} AND start_time < end_time",
        {"project": project},
    ).rows
    return (as_time(rows[0][0]), as_time(rows[0][1])) if rows else None


def pin_reference(store: Store, project: str, start: datetime, end: datetime, version: int) -> None:
    """Pin the reference of a project to a window (UTC); an empty one makes it trailing again."""
    columns = ("project", "start_time", "end_time", "version")
    store.insert_rows("drift_references", columns, [(project, start, end, version)])


def _row(project: str, one: DriftResult) -> tuple[object, ...]:
    text = json.dumps(one.explanation, ensure_ascii=False, separators=(",", ":"))
    return (
        project,
        one.time,
        *astuple(one.dimension_set),
        one.metric,
        one.statistic,
        one.value,
        one.threshold,
        one.severity,
        one.state,
        one.windows.reference_start,
        one.windows.reference_end,
        one.windows.current_start,
        one.reference_count,
        one.current_count,
        text,
    )


def _read(
    store: Store, where: str, parameters: Mapping[str, object], order: str = "severity DESC, metric"
) -> list[DriftResult]:
    sql = f"SELECT {', '.join(_COLUMNS)} FROM drift_results FINAL WHERE {where} ORDER BY {order}"  # noqa: S608
    return [_result(row) for row in store.query(sql, parameters).rows]


def _result(row: tuple[object, ...]) -> DriftResult:
    cell = dict(zip(_COLUMNS, row, strict=True))
    windows = Windows(
        as_time(cell["reference_start"]),
        as_time(cell["reference_end"]),
        as_time(cell["current_start"]),
        as_time(cell["time"]),
    )
    return DriftResult(
        _dimension_set([cell[name] for name in _KEY]),
        str(cell["metric"]),
        windows,
        str(cell["statistic"]),
        as_float(cell["value"]),
        as_float(cell["threshold"]),
        as_float(cell["severity"]),
        str(cell["state"]),
        as_int(cell["reference_count"]),
        as_int(cell["current_count"]),
        _explanation(str(cell["explanation"])),
    )


def _explanation(text: str) -> Mapping[str, Json]:
    value = json.loads(text) if text else {}
    return value if isinstance(value, dict) else {}


def _dimension_set(labels: Sequence[object]) -> DimensionSet:
    return DimensionSet(*(str(label) for label in labels))


def _set_parameters(dimension_set: DimensionSet) -> dict[str, object]:
    return dict(zip(_KEY, astuple(dimension_set), strict=True))


def version_at(moment: datetime) -> int:
    """Return the version of what is written at a moment: nanoseconds since 1970."""
    return round(moment.astimezone(UTC).timestamp() * 1e9)
