"""Metrics of OTLP: which may be taken in, and what the database keeps of their data points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from gnomon_collector.ingest.any_value import texts
from gnomon_collector.ingest.logs import content_hash, environment_of, time_of
from gnomon_collector.ingest.requests import METRIC_PATH, CheckedRequest, check_count, decoded
from gnomon_collector.ingest.signals import METRICS
from gnomon_collector.store.metric_points import MetricPoint
from gnomon_schemas import attributes

Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint

_KINDS: Final[Mapping[str, str]] = {
    "gauge": "gauge",
    "sum": "sum",
    "histogram": "histogram",
    "exponential_histogram": "histogram",
    "summary": "summary",
}
_TEMPORALITIES: Final = ("", "delta", "cumulative")
_MAX_TIME_NS: Final = 2**63 - 1
_MAX_EXPONENT: Final = 1023.0


def check_metrics(body: bytes, max_points: int) -> CheckedRequest:
    """Check an ``ExportMetricsServiceRequest``.

    Args:
        body: protobuf, not compressed.
        max_points: most data points (and metrics, resources and scopes) in one request.

    Raises:
        BadRequest: it is not valid protobuf of that type.
        TooLarge: it has too many data points.
    """
    check_count(body, max_points, METRICS, METRIC_PATH)
    request = decoded(body, ExportMetricsServiceRequest)
    named = rejected = 0
    for metric in _metrics(request):
        points = len(_points(metric))
        if metric.name:
            named += points
        else:
            rejected += points
    if not rejected:
        return CheckedRequest(body, named, 0, "", frozenset())
    reason = f"{rejected} data points of metrics without a name were left out."
    return CheckedRequest(_without_nameless(request), named, rejected, reason, frozenset())


def metric_points(body: bytes, received_at_ns: int) -> list[MetricPoint]:
    """Return what the database keeps of a request.

    Args:
        body: a request that `check_metrics` has accepted.
        received_at_ns: nanoseconds since 1970; a point that says no time that makes sense gets it.
    """
    request = ExportMetricsServiceRequest.FromString(body)
    found = []
    for resource_metrics in request.resource_metrics:
        resource = texts(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            around = {
                "service_name": resource.get(attributes.SERVICE_NAME, ""),
                "environment": environment_of(resource),
                "scope_name": scope_metrics.scope.name,
                "resource": resource,
                "received_at": received_at_ns,
            }
            for metric in scope_metrics.metrics:
                found += [_kept(metric, point, around) for point in _points(metric)]
    return found


def _metrics(request: ExportMetricsServiceRequest) -> Iterator[Metric]:
    for resource_metrics in request.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            yield from scope_metrics.metrics


def _points(metric: Metric) -> list[Point]:
    kind = metric.WhichOneof("data")
    return [] if kind is None else list(getattr(metric, kind).data_points)


def _without_nameless(request: ExportMetricsServiceRequest) -> bytes:
    for resource_metrics in request.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            named = [metric for metric in scope_metrics.metrics if metric.name]
            del scope_metrics.metrics[:]
            scope_metrics.metrics.extend(named)
    return bytes(request.SerializeToString())


def _kept(metric: Metric, point: Point, around: Mapping[str, Any]) -> MetricPoint:
    kind = str(metric.WhichOneof("data"))
    data = getattr(metric, kind)
    said = texts(point.attributes)
    figures = _figures(point)
    temporality = _TEMPORALITIES[data.aggregation_temporality] if _has_temporality(data) else ""
    times = (point.time_unix_nano, point.start_time_unix_nano)
    stream = (metric.name, metric.unit, kind, around["scope_name"], around["resource"])
    return MetricPoint(
        name=metric.name,
        time=time_of(times[:1], around["received_at"]),
        point_id=content_hash(times, stream, said, figures),
        start_time=min(times[1], _MAX_TIME_NS),
        kind=_KINDS[kind],
        temporality=temporality,
        is_monotonic=kind == "sum" and data.is_monotonic,
        unit=metric.unit,
        attributes=said,
        **figures,
        **around,
    )


def _has_temporality(data: Any) -> bool:
    known = "aggregation_temporality" in data.DESCRIPTOR.fields_by_name
    return known and 0 <= data.aggregation_temporality < len(_TEMPORALITIES)


def _figures(point: Point) -> dict[str, Any]:
    if isinstance(point, NumberDataPoint):
        kind = point.WhichOneof("value")
        return {"value": None if kind is None else float(getattr(point, kind))}
    if isinstance(point, SummaryDataPoint):
        return {
            "count": point.count,
            "sum": point.sum,
            "bounds": [each.quantile for each in point.quantile_values],
            "quantile_values": [each.value for each in point.quantile_values],
        }
    bounds, counts = (
        (list(point.explicit_bounds), list(point.bucket_counts))
        if isinstance(point, HistogramDataPoint)
        else explicit_buckets(point)
    )
    optional = {name: getattr(point, name) for name in ("sum", "min", "max") if point.HasField(name)}
    return {"count": point.count, "bounds": bounds, "bucket_counts": counts, **optional}


def explicit_buckets(point: ExponentialHistogramDataPoint) -> tuple[list[float], list[int]]:
    """Return the upper bounds and the counts of an exponential histogram's buckets, ascending.

    Bucket i is (base^i, base^(i+1)] with base = 2^(2^-scale), those of negative values mirrored
    (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram). Zeros have a bucket
    up to the zero threshold. The last bucket, which has no bound, is empty.
    """
    below = [
        (-_power(point.negative.offset + index, point.scale), count)
        for index, count in enumerate(point.negative.bucket_counts)
    ]
    above = [
        (_power(point.positive.offset + index + 1, point.scale), count)
        for index, count in enumerate(point.positive.bucket_counts)
    ]
    buckets = [*reversed(below), (point.zero_threshold, point.zero_count), *above]
    if above:
        # the gap between the zeros and the first bucket
        buckets.insert(len(below) + 1, (_power(point.positive.offset, point.scale), 0))
    return [bound for bound, _ in buckets], [*(count for _, count in buckets), 0]


def _power(index: int, scale: int) -> float:
    exponent = math.ldexp(float(index), -scale) if abs(scale) < _MAX_EXPONENT else 0.0
    return float(2.0 ** min(max(exponent, -_MAX_EXPONENT), _MAX_EXPONENT))
