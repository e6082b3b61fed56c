"""Finished spans → the bytes of an OTLP request, written straight in protobuf's wire format.

OpenTelemetry's encoder builds a Python object per attribute first, which costs four times as much as the
span itself. This one knows what nearly every span consists of; for the rest it raises and the caller takes
OpenTelemetry's. Field numbers: opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto of OTLP
1.x; wire format: https://protobuf.dev/programming-guides/encoding/.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext

from gnomon._spans import copied

_FIXED64: Final = struct.Struct("<Q").pack
_FIXED32: Final = struct.Struct("<I").pack
_DOUBLE: Final = struct.Struct("<d").pack
_ONE_BYTE: Final = tuple(bytes((number,)) for number in range(128))
_TWO_BYTES: Final = 1 << 14
_INT64: Final = range(-(2**63), 2**63)
_ScopeSpans = tuple[InstrumentationScope | None, list[bytes]]
_HAS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200
"""Bits of ``Span.flags`` that say whether the parent came from another process."""


class UnsupportedError(Exception):
    """A span has something this encoder leaves to OpenTelemetry's."""


def encode_request(spans: Sequence[ReadableSpan], resource: Mapping[str, str]) -> bytes:
    """Encode spans as an ``ExportTraceServiceRequest``.

    Args:
        spans: finished spans.
        resource: resource attributes to set over what the spans' own resource says.

    Raises:
        UnsupportedError: a span has links, trace state or nested attributes.
        ValueError, TypeError: a value does not fit into protobuf (UnicodeEncodeError: a lone surrogate).
    """
    # By identity: OpenTelemetry dumps a resource as JSON each time it is asked for its hash.
    groups: dict[int, tuple[Resource, dict[int, _ScopeSpans]]] = {}
    for span in spans:
        own, scope = span.resource, span.instrumentation_scope
        scopes = groups.setdefault(id(own), (own, {}))[1]
        scopes.setdefault(id(scope), (scope, []))[1].append(_field(b"\x12", encode_span(span)))
    return b"".join(
        [_field(b"\x0a", _resource_spans(own, scopes.values(), resource)) for own, scopes in groups.values()]
    )


def encode_span(span: ReadableSpan) -> bytes:
    """Encode one span as a ``Span`` message; raises as `encode_request` does."""
    context, parent, status = span.get_span_context(), span.parent, span.status
    if context is None or span.start_time is None or span.links or context.trace_state:
        raise UnsupportedError
    parts = [
        b"\x0a\x10",
        context.trace_id.to_bytes(16, "big"),
        b"\x12\x08",
        context.span_id.to_bytes(8, "big"),
        b"" if parent is None else b"\x22\x08" + parent.span_id.to_bytes(8, "big"),
        _text(b"\x2a", span.name),
        b"\x30",
        _ONE_BYTE[span.kind.value + 1],
        b"\x39",
        _FIXED64(span.start_time),
        b"\x41",
        _FIXED64(span.end_time or 0),
        *_attributes(b"\x4a", span.attributes),
        *[_field(b"\x5a", _event(event)) for event in span.events],
        _count(b"\x50", span.dropped_attributes),
        _count(b"\x60", span.dropped_events),
        _count(b"\x70", span.dropped_links),
    ]
    message = _text(b"\x12", status.description) if status.description else b""
    code = b"\x18" + _ONE_BYTE[status.status_code.value] if status.status_code.value else b""
    parts += (_field(b"\x7a", message + code), b"\x85\x01", _FIXED32(_flags(parent)))
    return b"".join(parts)


def _resource_spans(own: Resource, scopes: Iterable[_ScopeSpans], given: Mapping[str, str]) -> bytes:
    # What is set is set last, as on the slow way.
    attributes = {key: value for key, value in own.attributes.items() if key not in given} | dict(given)
    parts = [_field(b"\x0a", b"".join(_attributes(b"\x0a", attributes)))]
    for scope, spans in scopes:
        head = _field(b"\x0a", b"" if scope is None else _scope(scope))
        url = _text(b"\x1a", scope.schema_url) if scope is not None and scope.schema_url else b""
        parts.append(_field(b"\x12", head + b"".join(spans) + url))
    if own.schema_url:
        parts.append(_text(b"\x1a", own.schema_url))
    return b"".join(parts)


def _scope(scope: InstrumentationScope) -> bytes:
    version = _text(b"\x12", scope.version) if scope.version else b""
    return _text(b"\x0a", scope.name) + version + b"".join(_attributes(b"\x1a", scope.attributes))


def _event(event: Event) -> bytes:
    return b"".join(
        (
            b"\x09",
            _FIXED64(event.timestamp),
            _text(b"\x12", event.name),
            *_attributes(b"\x1a", event.attributes),
            _count(b"\x20", event.dropped_attributes),
        )
    )


def _attributes(tag: bytes, attributes: Mapping[str, Any] | None) -> list[bytes]:
    return [
        _field(tag, _key(key) + _field(b"\x12", _value(value)))
        for key, value in (copied(attributes) if attributes else {}).items()
    ]


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


def _flags(parent: SpanContext | None) -> int:
    return _HAS_REMOTE | _IS_REMOTE if parent is not None and parent.is_remote else _HAS_REMOTE


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
