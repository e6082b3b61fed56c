"""Log records of OTLP: which may be taken in, and what the database keeps of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as WireRecord
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs, ScopeLogs

from gnomon_collector.ingest.any_value import text, texts
from gnomon_collector.ingest.requests import CheckedRequest, check_count, decoded
from gnomon_collector.ingest.signals import LOGS
from gnomon_collector.store.logs import LogRecord
from gnomon_schemas import attributes
from gnomon_schemas.normalise import EARLIEST, MAX_FUTURE_S

_TRACE_ID_BYTES: Final = (0, 16)
_SPAN_ID_BYTES: Final = (0, 8)
_EVENT_NAME: Final = "event.name"
_EARLIEST_NS: Final = int(EARLIEST.timestamp()) * 10**9


def check_logs(body: bytes, max_records: int) -> CheckedRequest:
    """Check an ``ExportLogsServiceRequest``.

    Args:
        body: protobuf, not compressed.
        max_records: most log records (and resources, and scopes) in one request.

    Raises:
        BadRequest: it is not valid protobuf of that type.
        TooLarge: it has too many log records.
    """
    check_count(body, max_records, LOGS)
    request = decoded(body, ExportLogsServiceRequest)
    total = sum(len(scope.log_records) for each in request.resource_logs for scope in each.scope_logs)
    rejected = sum(not _has_valid_ids(record) for _, _, record in _records(request))
    if not rejected:
        return CheckedRequest(body, total, 0, "", frozenset())
    reason = (
        f"{rejected} log records with a trace id that has not 16 bytes or a span id that has not 8 were left"
        " out."
    )
    return CheckedRequest(_without_invalid(request), total - rejected, rejected, reason, frozenset())


def log_records(body: bytes, received_at_ns: int) -> list[LogRecord]:
    """Return what the database keeps of a request.

    Args:
        body: a request that `check_logs` has accepted.
        received_at_ns: nanoseconds since 1970; a record that says no time, or none that makes sense, gets it.
    """
    request = ExportLogsServiceRequest.FromString(body)
    return [
        _kept(resource_logs, scope_logs, record, position, received_at_ns)
        for position, (resource_logs, scope_logs, record) in enumerate(_records(request))
    ]


def _records(request: ExportLogsServiceRequest) -> Iterator[tuple[ResourceLogs, ScopeLogs, WireRecord]]:
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                yield resource_logs, scope_logs, record


def _has_valid_ids(record: WireRecord) -> bool:
    return len(record.trace_id) in _TRACE_ID_BYTES and len(record.span_id) in _SPAN_ID_BYTES


def _without_invalid(request: ExportLogsServiceRequest) -> bytes:
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            valid = [record for record in scope_logs.log_records if _has_valid_ids(record)]
            del scope_logs.log_records[:]
            scope_logs.log_records.extend(valid)
    return bytes(request.SerializeToString())


def _kept(
    resource_logs: ResourceLogs,
    scope_logs: ScopeLogs,
    record: WireRecord,
    position: int,
    received_at_ns: int,
) -> LogRecord:
    resource = texts(resource_logs.resource.attributes)
    said = texts(record.attributes)
    body = text(record.body)
    return LogRecord(
        time=time_of((record.time_unix_nano, record.observed_time_unix_nano), received_at_ns),
        record_id=_record_id(record, scope_logs.scope.name, body, said, resource),
        position=position,
        trace_id=_hex_id(record.trace_id),
        span_id=_hex_id(record.span_id),
        event_name=record.event_name or said.get(_EVENT_NAME, ""),
        severity_number=min(max(record.severity_number, 0), 255),
        severity_text=record.severity_text,
        service_name=resource.get(attributes.SERVICE_NAME, ""),
        environment=environment_of(resource),
        scope_name=scope_logs.scope.name,
        scope_version=scope_logs.scope.version,
        body=body,
        attributes=said,
        resource=resource,
        received_at=received_at_ns,
    )


def time_of(said_ns: tuple[int, ...], received_at_ns: int) -> int:
    """Return the first time of some that makes sense, else that of receipt; nanoseconds since 1970."""
    latest_ns = received_at_ns + MAX_FUTURE_S * 10**9
    return next((ns for ns in said_ns if _EARLIEST_NS <= ns <= latest_ns), received_at_ns)


def environment_of(resource: dict[str, str]) -> str:
    """Return the name of the environment that a resource says, by its new or its old name."""
    return resource.get(attributes.ENVIRONMENT, resource.get("deployment.environment", ""))


def _hex_id(id_: bytes) -> str:
    return id_.hex() if any(id_) else ""


def _record_id(
    record: WireRecord, scope: str, body: str, said: dict[str, str], resource: dict[str, str]
) -> str:
    times = (record.time_unix_nano, record.observed_time_unix_nano)
    ids = (record.trace_id.hex(), record.span_id.hex(), record.event_name, record.severity_number)
    return content_hash(times, ids, scope, body, said, resource)


def content_hash(*parts: object) -> str:
    """Return 32 hex digits that tell one content from another; `parts` are what JSON can hold."""
    content = json.dumps(parts, ensure_ascii=False, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:32]
