"""Finished spans → the bytes of an OTLP request, written straight in protobuf's wire format.

OpenTelemetry's encoder builds a Python object per attribute first, which costs four times as much as the
span itself. This one knows what nearly every span consists of; for the rest it raises and the caller takes
OpenTelemetry's. Field numbers: opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto of OTLP
1.x; wire format: https://protobuf.dev/programming-guides/encoding/.
"""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import DEFAULT_TRACE_STATE, SpanContext, SpanKind, Status

from gnomon._call_span import UNSET, CallSpan, attributes_of
from gnomon._plain_messages import PlainMessages
from gnomon._spans import copied

_FIXED64: Final = struct.Struct("<Q").pack
_FIXED32: Final = struct.Struct("<I").pack
_DOUBLE: Final = struct.Struct("<d").pack
_ONE_BYTE: Final = tuple(bytes((number,)) for number in range(128))
_TWO_BYTES: Final = 1 << 14
_REPEATED_CHARS: Final = 48
_INT64: Final = range(-(2**63), 2**63)
_ScopeSpans = tuple[InstrumentationScope | None, list[bytes]]
_HAS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200
"""Bits of ``Span.flags`` that say whether the parent came from another process."""
_LOCAL: Final = _FIXED32(_HAS_REMOTE)
_KINDS: Final = tuple(b"\x30" + _ONE_BYTE[kind.value + 1] + b"\x39" for kind in SpanKind)
"""``Span.kind``, and the tag of ``start_time_unix_nano`` that follows it."""


class UnsupportedError(Exception):
    """A span has something this encoder leaves to OpenTelemetry's."""


UNFIT: Final = (UnsupportedError, ValueError, TypeError, AttributeError, OverflowError, struct.error)
"""What `pack` raises for a span that OpenTelemetry's encoder has to deal with."""


class PackedSpan(NamedTuple):
    """A span in its final bytes, and what it has to be grouped by.

    Attributes:
        data: the ``Span`` message.
    """

    data: bytes
    resource: Resource
    scope: InstrumentationScope | None


def pack(span: ReadableSpan, max_text_chars: float = math.inf) -> PackedSpan:
    """Encode a finished span.

    Args:
        span: a span that has ended.
        max_text_chars: how long its longest text may be.

    Raises:
        UnsupportedError: it has links, trace state or nested attributes, or too long a text.
        ValueError, TypeError: a value does not fit into protobuf (UnicodeEncodeError: a lone surrogate).
    """
    return PackedSpan(_span(span, max_text_chars), span.resource, span.instrumentation_scope)


def encode_request(spans: Sequence[PackedSpan], resource: Mapping[str, str]) -> bytes:
    """Encode spans as an ``ExportTraceServiceRequest``.

    Args:
        spans: packed spans.
        resource: resource attributes to set over what the spans' own resource says.
    """
    # By identity: OpenTelemetry dumps a resource as JSON each time it is asked for its hash.
    groups: dict[int, tuple[Resource, dict[int, _ScopeSpans]]] = {}
    for data, own, scope in spans:
        scopes = groups.setdefault(id(own), (own, {}))[1]
        group = scopes.setdefault(id(scope), (scope, []))[1]
        group += (b"\x12", _varint(len(data)), data)
    return b"".join(
        [_field(b"\x0a", _resource_spans(own, scopes.values(), resource)) for own, scopes in groups.values()]
    )


def _span(span: ReadableSpan, max_text_chars: float) -> bytes:
    is_light = type(span) is CallSpan and span.is_light
    if is_light:
        # Properties are calls, and there is one for each of these.
        context, parent, status = span._context, span._parent, span._status
        name, kind, started, ended = span._name, span._kind, span._start_time, span._end_time
    else:
        context, parent, status = span.context, span.parent, span.status
        name, kind, started, ended = span.name, span.kind, span.start_time, span.end_time
    if context is None or started is None:
        raise UnsupportedError
    trace_id, span_id, _, _, trace_state, _ = context
    if trace_state is not DEFAULT_TRACE_STATE and trace_state:
        raise UnsupportedError
    parts = [
        b"\x0a\x10",
        trace_id.to_bytes(16, "big"),
        b"\x12\x08",
        span_id.to_bytes(8, "big"),
        b"" if parent is None else b"\x22\x08" + parent.span_id.to_bytes(8, "big"),
        _text(b"\x2a", name),
        _KINDS[kind._value_],
        _FIXED64(started),
        b"\x41",
        _FIXED64(ended or 0),
    ]
    _add_attributes(parts, b"\x4a", attributes_of(span), max_text_chars)
    if not is_light:
        _add_rest(parts, span)
    parts.append(b"\x7a\x00" if status is UNSET else _status(status))
    parts += (b"\x85\x01", _LOCAL if parent is None else _flags(parent))
    return b"".join(parts)


def _status(status: Status) -> bytes:
    message = _text(b"\x12", status.description) if status.description else b""
    code = b"\x18" + _ONE_BYTE[status.status_code.value] if status.status_code.value else b""
    return _field(b"\x7a", message + code)


def _add_rest(parts: list[bytes], span: ReadableSpan) -> None:
    """Add what a span of Gnomon's own hardly ever has."""
    if span.links:
        raise UnsupportedError
    parts += (
        *[_field(b"\x5a", _event(event)) for event in span.events],
        _count(b"\x50", span.dropped_attributes),
        _count(b"\x60", span.dropped_events),
        _count(b"\x70", span.dropped_links),
    )


def _resource_spans(own: Resource, scopes: Iterable[_ScopeSpans], given: Mapping[str, str]) -> bytes:
    # What is set is set last, as on the slow way.
    attributes = {key: value for key, value in own.attributes.items() if key not in given} | dict(given)
    parts = [_field(b"\x0a", _attributes(b"\x0a", attributes))]
    for scope, spans in scopes:
        head = _field(b"\x0a", b"" if scope is None else _scope(scope))
        url = _text(b"\x1a", scope.schema_url) if scope is not None and scope.schema_url else b""
        parts.append(_field(b"\x12", head + b"".join(spans) + url))
    if own.schema_url:
        parts.append(_text(b"\x1a", own.schema_url))
    return b"".join(parts)


def _scope(scope: InstrumentationScope) -> bytes:
    version = _text(b"\x12", scope.version) if scope.version else b""
    return _text(b"\x0a", scope.name) + version + _attributes(b"\x1a", scope.attributes)


def _event(event: Event) -> bytes:
    parts = [b"\x09", _FIXED64(event.timestamp), _text(b"\x12", event.name)]
    _add_attributes(parts, b"\x1a", event.attributes)
    parts.append(_count(b"\x20", event.dropped_attributes))
    return b"".join(parts)


def _attributes(tag: bytes, attributes: Mapping[str, Any] | None) -> bytes:
    parts: list[bytes] = []
    _add_attributes(parts, tag, attributes)
    return b"".join(parts)


def _add_attributes(
    parts: list[bytes], tag: bytes, attributes: Mapping[str, Any] | None, max_text_chars: float = math.inf
) -> None:
    known: Mapping[str, Any] = copied(attributes) if attributes else {}
    for key, value in known.items():
        kind = type(value)
        if isinstance(value, PlainMessages):
            value, kind = _text_within(value, max_text_chars), str
        if kind is str and len(value) > _REPEATED_CHARS:
            if len(value) > max_text_chars:
                raise UnsupportedError
            _add_text(parts, tag, _key(key), value.encode())
        elif kind is str or kind is int or kind is bool or _is_word(value):
            # Model, provider, server, operation: the same in call after call.
            parts += (tag, _pair(key, value))
        else:
            parts.append(_field(tag, _key(key) + _field(b"\x12", _value(value))))


def _text_within(messages: PlainMessages, max_chars: float) -> str:
    if messages.chars > max_chars:
        raise UnsupportedError
    return messages.text()


def _add_text(parts: list[bytes], tag: bytes, key: bytes, text: bytes) -> None:
    """Add a ``KeyValue`` of a long text without copying the text."""
    size = _varint(len(text))
    value_bytes = 1 + len(size) + len(text)
    value_size = _varint(value_bytes)
    pair_bytes = len(key) + 1 + len(value_size) + value_bytes
    parts += (tag, _varint(pair_bytes), key, b"\x12", value_size, b"\x0a", size, text)


def _is_word(value: Any) -> bool:
    # Why an answer ended is a list, and nearly always one of one word.
    return (
        type(value) is tuple and len(value) == 1 and type(value[0]) is str and len(value[0]) < _REPEATED_CHARS
    )


@lru_cache(maxsize=4_096, typed=True)
def _pair(key: str, value: Any) -> bytes:
    """Return a ``KeyValue``, with its length before it."""
    return _field(b"", _key(key) + _field(b"\x12", _value(value)))


def _value(value: Any) -> bytes:
    """Encode an ``AnyValue``; exact types only: a subclass with ideas of its own goes the slow way."""
    kind = type(value)
    if kind is str:
        return _text(b"\x0a", value)
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int:
        if value not in _INT64:
            raise ValueError("beyond 64 bits")
        return b"\x18" + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)
    if kind is float:
        return b"\x21" + _DOUBLE(value)
    if kind is tuple or kind is list:
        return _field(b"\x2a", b"".join([_field(b"\x0a", _value(item)) for item in value]))
    raise UnsupportedError


@lru_cache(maxsize=1_024)
def _key(key: str) -> bytes:
    return _text(b"\x0a", key)


def _text(tag: bytes, text: str) -> bytes:
    return _field(tag, text.encode())


def _field(tag: bytes, data: bytes) -> bytes:
    size = len(data)
    return tag + (_ONE_BYTE[size] if size < 128 else _varint(size)) + data


def _count(tag: bytes, number: int) -> bytes:
    return tag + _varint(number) if number else b""


def _flags(parent: SpanContext) -> bytes:
    return _FIXED32(_HAS_REMOTE | _IS_REMOTE) if parent.is_remote else _LOCAL


def _varint(number: int) -> bytes:
    if number < 128:
        return _ONE_BYTE[number]
    if number < _TWO_BYTES:
        return bytes((number & 0x7F | 0x80, number >> 7))
    digits = bytearray()
    while number > 127:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
