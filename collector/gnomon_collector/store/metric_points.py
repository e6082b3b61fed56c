"""Data points of OTLP metrics: kept for a while to be looked at, never added up with spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gnomon_collector.store.engine import Store

_COLUMNS: Final = (
    "project",
    "name",
    "time",
    "point_id",
    "start_time",
    "kind",
    "temporality",
    "is_monotonic",
    "unit",
    "service_name",
    "environment",
    "scope_name",
    "value",
    "count",
    "sum",
    "min",
    "max",
    "bounds",
    "bucket_counts",
    "quantile_values",
    "attributes",
    "resource",
    "received_at",
)
_STORED = """
SELECT point_id FROM metric_points
WHERE project = {project:String} AND name IN {names:Array(String)}
    AND time BETWEEN fromUnixTimestamp64Nano({earliest_ns:Int64}, 'UTC')
        AND fromUnixTimestamp64Nano({latest_ns:Int64}, 'UTC')
    AND point_id IN {ids:Array(String)}
"""
_IDS_AT_ONCE: Final = 2000


@dataclass(frozen=True)
class MetricPoint:
    """A row of `metric_points` but for its project.

    Attributes:
        time, start_time, received_at: nanoseconds since 1970
        kind: gauge, sum, histogram or summary
        temporality: delta, cumulative or empty
        value: of a gauge or sum
        count, sum, min, max: of a histogram or summary
        bounds: upper bounds of the buckets but the last; the quantiles of a summary
        attributes, resource: texts by name
    """

    name: str
    time: int
    point_id: str
    start_time: int
    kind: str
    temporality: str
    is_monotonic: bool
    unit: str
    service_name: str
    environment: str
    scope_name: str
    received_at: int
    value: float | None = None
    count: int = 0
    sum: float | None = None
    min: float | None = None
    max: float | None = None
    bounds: Sequence[float] = ()
    bucket_counts: Sequence[int] = ()
    quantile_values: Sequence[float] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    resource: Mapping[str, str] = field(default_factory=dict)


def insert_metric_points(store: Store, project: str, points: Sequence[MetricPoint]) -> int:
    """Insert the points that are not there yet and return how many those were."""
    by_id = {point.point_id: point for point in points}
    times = [point.time for point in points]
    names = sorted({point.name for point in points})
    ids = sorted(by_id)
    stored: set[str] = set()
    for start in range(0, len(ids), _IDS_AT_ONCE):
        parameters: dict[str, object] = {"project": project, "names": names}
        parameters |= {"earliest_ns": min(times), "latest_ns": max(times)}
        parameters["ids"] = ids[start : start + _IDS_AT_ONCE]
        stored |= {str(point_id) for (point_id,) in store.query(_STORED, parameters).rows}
    rows = [_row(project, point) for id_, point in by_id.items() if id_ not in stored]
    store.insert_rows("metric_points", _COLUMNS, rows)
    return len(rows)


def _row(project: str, point: MetricPoint) -> tuple[object, ...]:
    return (project, *(getattr(point, name) for name in _COLUMNS[1:]))
