"""Finished spans → bodies of OTLP requests that keep to a size.

Runs on the background thread only. What `gnomon._wire` does not know is encoded by OpenTelemetry's own
encoder; what is added is what a host needs: a span that cannot be encoded never takes its batch along,
and requests are split by bytes.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.util.types import AnyValue

from gnomon._scrub import Mask, scrub_spans
from gnomon._wire import UnsupportedError, encode_request

TRUNCATED: Final = "gnomon.truncated"
"""Attribute set to true on a span whose long values were cut to fit into a request."""
_INT64: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Body:
    """One encoded request and the spans in it."""

    data: bytes
    spans: Sequence[ReadableSpan]


def encode(
    spans: Sequence[ReadableSpan], max_bytes: int, resource: Mapping[str, str], mask: Mask | None = None
) -> Iterator[Body | Exception]:
    """Encode spans into requests of at most ``max_bytes`` each.

    Args:
        spans: finished spans.
        max_bytes: size limit of one request before compression. A single span beyond it is cut down to it.
        resource: resource attributes to set over what the spans' own resource says.
        mask: applied to every text; what it makes longer is not counted against ``max_bytes``.

    Yields:
        Request bodies; for each span that cannot be encoded at all, the exception instead.
    """
    quick = _quickly(spans, resource) if mask is None else None
    if quick is not None and len(quick) <= max_bytes:
        yield Body(quick, spans)
        return
    try:
        message = encode_spans([cleaned(span) for span in spans])
    except Exception as error:
        # One bad span must not take the others along: narrow it down.
        yield from _halves(spans, max_bytes, resource, mask) if len(spans) > 1 else iter([error])
        return
    _override_resource(message, resource)
    if message.ByteSize() > max_bytes and len(spans) > 1:
        yield from _halves(spans, max_bytes, resource, mask)
        return
    if mask is not None:
        # Before anything is cut: half a card number is no longer recognised as one.
        scrub_spans(message, mask)
    if message.ByteSize() > max_bytes and len(spans) == 1:
        _truncate(message, max_bytes)
    yield Body(message.SerializeToString(), spans)


def _quickly(spans: Sequence[ReadableSpan], resource: Mapping[str, str]) -> bytes | None:
    try:
        return encode_request(spans, resource)
    except (UnsupportedError, ValueError, TypeError, AttributeError, OverflowError, struct.error):
        return None


def _halves(
    spans: Sequence[ReadableSpan], max_bytes: int, resource: Mapping[str, str], mask: Mask | None
) -> Iterator[Body | Exception]:
    middle = len(spans) // 2
    yield from encode(spans[:middle], max_bytes, resource, mask)
    yield from encode(spans[middle:], max_bytes, resource, mask)


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
