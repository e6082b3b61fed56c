"""The signals of OTLP: traces, logs and metrics, and what differs between them on the wire.

https://opentelemetry.io/docs/specs/otlp/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Signal:
    """One kind of telemetry.

    Attributes:
        name: also the last part of its HTTP path
        items: what its requests are full of, for messages
        service: of gRPC
        request: the message that is sent
        response: makes the answer from the number of items left out and the reason, 0 and "" for none
        envelope: name of the JSON field that every request has
    """

    name: str
    items: str
    service: str
    request: type[Message]
    response: Callable[[int, str], Message]
    envelope: str


def _trace_response(rejected: int, reason: str) -> Message:
    if not rejected:
        return ExportTraceServiceResponse()
    partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=reason)
    return ExportTraceServiceResponse(partial_success=partial)


def _logs_response(rejected: int, reason: str) -> Message:
    if not rejected:
        return ExportLogsServiceResponse()
    partial = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=reason)
    return ExportLogsServiceResponse(partial_success=partial)


def _metrics_response(rejected: int, reason: str) -> Message:
    if not rejected:
        return ExportMetricsServiceResponse()
    partial = ExportMetricsPartialSuccess(rejected_data_points=rejected, error_message=reason)
    return ExportMetricsServiceResponse(partial_success=partial)


_SERVICE: Final = "opentelemetry.proto.collector"

TRACES: Final = Signal(
    "traces",
    "spans",
    f"{_SERVICE}.trace.v1.TraceService",
    ExportTraceServiceRequest,
    _trace_response,
    "resourceSpans",
)
LOGS: Final = Signal(
    "logs",
    "log records",
    f"{_SERVICE}.logs.v1.LogsService",
    ExportLogsServiceRequest,
    _logs_response,
    "resourceLogs",
)
METRICS: Final = Signal(
    "metrics",
    "data points",
    f"{_SERVICE}.metrics.v1.MetricsService",
    ExportMetricsServiceRequest,
    _metrics_response,
    "resourceMetrics",
)
SIGNALS: Final = (TRACES, LOGS, METRICS)
