"""Simulated spans as OTLP: a span in the making, and export requests from finished ones."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from gnomon_schemas import attributes as names

Value = bool | int | float | str | list[str]

SPANS_PER_REQUEST: Final = 500
_PARENT_IS_LOCAL: Final = 0x100
"""OTLP flag: it is known that the parent is of this process."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The instrumentation that made a span."""

    name: str
    version: str
    schema_url: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """The process that made a span."""

    name: str
    release: str
    environment: str
    instance: str


@dataclass(slots=True)
class SpanDraft:
    """A span being made; `parent_id` is empty for the first span of a trace."""

    name: str
    scope: Scope
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start_ns: int
    is_client: bool = False
    end_ns: int = 0
    attributes: dict[str, Value] = field(default_factory=dict)
    error_message: str | None = None
    exception_type: str | None = None
    """Type of the exception that gets an event of its own, as Gnomon's SDK writes it."""

    def to_otlp(self) -> Span:
        """The span as a protobuf message."""
        kind = Span.SpanKind.SPAN_KIND_CLIENT if self.is_client else Span.SpanKind.SPAN_KIND_INTERNAL
        failed = self.error_message is not None
        return Span(
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_span_id=self.parent_id,
            flags=_PARENT_IS_LOCAL,
            name=self.name,
            kind=kind,
            start_time_unix_nano=self.start_ns,
            end_time_unix_nano=self.end_ns,
            attributes=_key_values(self.attributes),
            events=self._events(),
            status=Status(
                code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET,
                message=self.error_message or "",
            ),
        )

    def _events(self) -> list[Span.Event]:
        if self.exception_type is None:
            return []
        attributes: dict[str, Value] = {
            "exception.type": self.exception_type,
            "exception.message": self.error_message or "",
        }
        return [Span.Event(time_unix_nano=self.end_ns, name="exception", attributes=_key_values(attributes))]


def export_requests(
    spans: Iterable[tuple[Service, SpanDraft]],
) -> Iterator[ExportTraceServiceRequest]:
    """Export requests of at most `SPANS_PER_REQUEST` spans, in the order given."""
    batch: list[tuple[Service, SpanDraft]] = []
    for item in spans:
        batch.append(item)
        if len(batch) == SPANS_PER_REQUEST:
            yield _request(batch)
            batch = []
    if batch:
        yield _request(batch)


def _request(batch: list[tuple[Service, SpanDraft]]) -> ExportTraceServiceRequest:
    grouped: dict[Service, dict[Scope, list[SpanDraft]]] = defaultdict(lambda: defaultdict(list))
    for service, span in batch:
        grouped[service][span.scope].append(span)
    return ExportTraceServiceRequest(
        resource_spans=[_resource_spans(service, scopes) for service, scopes in grouped.items()]
    )


def _resource_spans(service: Service, scopes: Mapping[Scope, list[SpanDraft]]) -> ResourceSpans:
    attributes: dict[str, Value] = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45.2",
        "service.instance.id": service.instance,
        names.ENVIRONMENT: service.environment,
        names.SERVICE_VERSION: service.release,
        names.SERVICE_NAME: service.name,
        names.SIMULATED: True,
    }
    return ResourceSpans(
        resource=Resource(attributes=_key_values(attributes)),
        scope_spans=[
            ScopeSpans(
                scope=InstrumentationScope(name=scope.name, version=scope.version),
                schema_url=scope.schema_url,
                spans=[span.to_otlp() for span in spans],
            )
            for scope, spans in scopes.items()
        ],
    )


def _key_values(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any_value(value)) for key, value in attributes.items()]


def _any_value(value: Value) -> AnyValue:
    # bool first: True is an int too.
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    return AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=item) for item in value]))
