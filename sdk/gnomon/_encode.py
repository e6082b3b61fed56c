"""Finished spans → bodies of OTLP requests that keep to a size.

Runs on the background thread only. What `gnomon._wire` does not know is encoded by OpenTelemetry's own
encoder; what is added is what a host needs: a span that cannot be encoded never takes its batch along,
and requests are split by bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.util.types import AnyValue

from gnomon._scrub import Mask, scrub_spans
from gnomon._wire import UNFIT, PackedSpan, encode_request, pack

TRUNCATED: Final = "gnomon.truncated"
"""Attribute set to true on a span whose long values were cut to fit into a request."""
T = TypeVar("T")
_INT64: Final = range(-(2**63), 2**63)


Finished = ReadableSpan | PackedSpan


@dataclass(frozen=True, slots=True)
class Body:
    """One encoded request and the spans in it."""

    data: bytes
    spans: Sequence[Finished]


def encode(
    spans: Sequence[Finished], max_bytes: int, resource: Mapping[str, str], mask: Mask | None = None
) -> Iterator[Body | Exception]:
    """Encode spans into requests of at most ``max_bytes`` each.

    Args:
        spans: finished spans, some of them perhaps packed already.
        max_bytes: size limit of one request before compression. A single span beyond it is cut down to it.
        resource: resource attributes to set over what the spans' own resource says.
        mask: applied to every text; what it makes longer is not counted against ``max_bytes``.

    Yields:
        Request bodies; for each span that cannot be encoded at all, the exception instead.
    """
    packed: list[PackedSpan] = []
    odd: list[ReadableSpan] = []
    for span in spans:
        try:
            packed.append(span if isinstance(span, PackedSpan) else pack(span))
        except UNFIT:
            odd.append(span)  # type: ignore[arg-type]
    if packed:
        yield from _quickly(packed, max_bytes, resource, mask)
    if odd:
        yield from _slowly(odd, max_bytes, resource, mask)


def _quickly(
    spans: Sequence[PackedSpan], max_bytes: int, resource: Mapping[str, str], mask: Mask | None
) -> Iterator[Body]:
    data = encode_request(spans, resource)
    if len(data) > max_bytes and len(spans) > 1:
        for half in _halves(spans):
            yield from _quickly(half, max_bytes, resource, mask)
    elif mask is None and len(data) <= max_bytes:
        yield Body(data, spans)
    else:
        yield _finished(ExportTraceServiceRequest.FromString(data), spans, max_bytes, mask)


def _slowly(
    spans: Sequence[ReadableSpan], max_bytes: int, resource: Mapping[str, str], mask: Mask | None
) -> Iterator[Body | Exception]:
    """Encode as OpenTelemetry does, what `gnomon._wire` does not know."""
    try:
        message = encode_spans([cleaned(span) for span in spans])
        too_large = message.ByteSize() > max_bytes
    except Exception as error:
        if len(spans) == 1:
            yield error
            return
        # One bad span must not take the others along: narrow it down.
        too_large = True
    if too_large and len(spans) > 1:
        for half in _halves(spans):
            yield from _slowly(half, max_bytes, resource, mask)
        return
    _override_resource(message, resource)
    yield _finished(message, spans, max_bytes, mask)


def _finished(message: Any, spans: Sequence[Finished], max_bytes: int, mask: Mask | None) -> Body:
    if mask is not None:
        # Before anything is cut: half a card number is no longer recognised as one.
        scrub_spans(message, mask)
    if len(spans) == 1 and message.ByteSize() > max_bytes:
        _truncate(message, max_bytes)
    return Body(message.SerializeToString(), spans)


def _halves(spans: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    middle = len(spans) // 2
    return spans[:middle], spans[middle:]


def cleaned(span: ReadableSpan) -> ReadableSpan:
    """Return the span, or a copy without what protobuf cannot hold: lone surrogates, huge integers."""
    attributes = span.attributes or {}
    dirty = any(_is_dirty(value) for value in attributes.values())
    dirty = dirty or _is_dirty(span.name) or _is_dirty(span.status.description)
    dirty = dirty or any(
        _is_dirty(value) for event in span.events for value in (event.attributes or {}).values()
    )
    return _clean_copy(span) if dirty else span


def _is_dirty(value: AnyValue) -> bool:
    if isinstance(value, str):
        return not value.isascii() and _has_surrogate(value)
    if isinstance(value, int):
        return value not in _INT64
    if isinstance(value, Mapping):
        return any(_is_dirty(key) or _is_dirty(item) for key, item in value.items())
    return isinstance(value, Sequence) and not isinstance(value, bytes) and any(map(_is_dirty, value))


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and value not in _INT64:
        return str(value) if value.bit_length() <= 256 else f"<int of {value.bit_length()} bits>"
    if isinstance(value, Mapping):
        return {_clean(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_clean(item) for item in value]
    return value


def _clean_copy(span: ReadableSpan) -> ReadableSpan:
    status = span.status
    return ReadableSpan(
        name=_clean(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=_clean(span.attributes or {}),
        events=[
            Event(_clean(event.name), _clean(event.attributes or {}), event.timestamp)
            for event in span.events
        ],
        links=span.links,
        kind=span.kind,
        status=type(status)(status.status_code, _clean(status.description)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _override_resource(message: Any, resource: Mapping[str, str]) -> None:
    for group in message.resource_spans if resource else ():
        kept = [pair for pair in group.resource.attributes if pair.key not in resource]
        del group.resource.attributes[:]
        group.resource.attributes.extend(kept)
        for key, value in resource.items():
            group.resource.attributes.add(key=key).value.string_value = value


def _truncate(message: Any, max_bytes: int) -> None:
    """Cut the longest texts of the one span in ``message`` until it fits."""
    span = message.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key=TRUNCATED).value.bool_value = True
    limit_chars = max_bytes // 4
    while message.ByteSize() > max_bytes and limit_chars >= 64:
        for pair in _pairs(span):
            _shorten(pair.value, limit_chars)
        limit_chars //= 2
    if message.ByteSize() > max_bytes:
        # Many values or deep structures rather than long texts: only the small attributes are kept.
        small = [pair for pair in span.attributes if pair.ByteSize() < 1_000][:64]
        del span.events[:], span.links[:], span.attributes[:]
        span.attributes.extend(small)


def _pairs(span: Any) -> Iterator[Any]:
    yield from span.attributes
    for event in span.events:
        yield from event.attributes


def _shorten(value: Any, limit_chars: int) -> None:
    kind = value.WhichOneof("value")
    if kind == "string_value" and len(value.string_value) > limit_chars:
        value.string_value = value.string_value[:limit_chars]
    elif kind == "bytes_value" and len(value.bytes_value) > limit_chars:
        value.bytes_value = value.bytes_value[:limit_chars]
    elif kind == "array_value":
        for item in value.array_value.values:
            _shorten(item, limit_chars)
    elif kind == "kvlist_value":
        for pair in value.kvlist_value.values:
            _shorten(pair.value, limit_chars)
