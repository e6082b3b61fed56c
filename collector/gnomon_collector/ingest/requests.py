"""From the bytes of an export request to one that may be acknowledged.

Bad protobuf must be found here: once in a batch it would spoil the whole of it.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar, cast

from google.protobuf.message import DecodeError, Message
from isal import igzip_lib, isal_zlib
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gnomon_collector.errors import BadRequest
from gnomon_collector.ingest.signals import TRACES, Signal
from gnomon_schemas.normalise import EARLIEST, MAX_DURATION_S, MAX_FUTURE_S

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_TRACE_ID_BYTES = 16
_SPAN_ID_BYTES = 8
_MINUTE_NS = 60 * 10**9
_DURATION = "duration"
_EARLIEST_NS = int(EARLIEST.timestamp()) * 10**9
Path = tuple[tuple[int, ...], ...]
# Nesting of the messages whose number is bounded: request, resource spans, scope spans, spans; or of logs.
SPAN_PATH: Final[Path] = ((1,), (2,), (2,))
# A metric has its data (gauge, sum, histogram, exponential histogram or summary), and that has points.
METRIC_PATH: Final[Path] = (*SPAN_PATH, (5, 7, 9, 10, 11), (1,))
# A span in a resource and a scope of its own comes with seven fields down to the span, a data point with four
# more; more is no OTLP, and reading on would take seconds.
_FIELDS_PER_ITEM: Final[Mapping[Path, int]] = {SPAN_PATH: 7, METRIC_PATH: 16}
_LENGTH_DELIMITED = 2
_FIXED_BYTES = {1: 8, 5: 4}
# isal says the type of its error wrongly.
_GZIP_ERROR: Final = cast(type[Exception], igzip_lib.IsalError)


class TooLarge(BadRequest):
    """A request is larger than the collector takes. The message names the setting."""


@dataclass(frozen=True)
class CheckedRequest:
    """A request that may be taken in.

    Attributes:
        body: the request without what was rejected of it; the very bytes received when that is nothing
        spans: spans, log records or data points in `body`
        rejected: those left out
        reason: why, for the client
        minutes: minutes since 1970 in which the spans start, as the database will have them; none of logs and
            metrics
    """

    body: bytes
    spans: int
    rejected: int
    reason: str
    minutes: frozenset[int]


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Undo a content encoding: "" or identity, gzip, deflate (RFC 9110, 8.4.1) or zstd (RFC 8878).

    Raises:
        BadRequest: unknown encoding, or not what it says it is.
        TooLarge: more than `max_bytes` come out; no more than that is ever held.
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in _DECOMPRESSORS:
        known = ", ".join(_DECOMPRESSORS)
        raise BadRequest(f"Content-Encoding {encoding!r} is not supported: use {known} or none.")
    decompressor = _DECOMPRESSORS[encoding]()
    try:
        plain = decompressor.decompress(body, max_bytes + 1)
    except (zlib.error, _GZIP_ERROR, zstd.ZstdError) as error:
        raise BadRequest(f"The body is not valid {encoding}: {error}.") from None
    if len(plain) > max_bytes:
        raise TooLarge(
            f"The request is larger than {max_bytes} bytes after decompression: send fewer spans at a time,"
            " or raise GNOMON_MAX_REQUEST_BYTES."
        )
    if not decompressor.eof:
        raise BadRequest(f"The body is not valid {encoding}: it ends early.")
    if decompressor.unused_data:
        raise BadRequest(f"The body is not valid {encoding}: something follows its end. Send one member.")
    return plain


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


_DECOMPRESSORS: Final[Mapping[str, Callable[[], _Decompressor]]] = {
    # Most of what comes compressed; zlib takes twice the time. docs/adr/0023.
    "gzip": lambda: isal_zlib.decompressobj(wbits=31),
    "deflate": lambda: zlib.decompressobj(wbits=15),
    "zstd": lambda: zstd.ZstdDecompressor(),
}


def plain_bytes(body: bytes, encoding: str) -> int:
    """Return how many bytes come out of a body that `decompress` has accepted, without decompressing it."""
    # The last field of a gzip member (RFC 1952, 2.3.1), which zlib has checked.
    return int.from_bytes(body[-4:], "little") if encoding == "gzip" else len(body)


def check_request(body: bytes, received_at_ns: int, max_spans: int, oldest_ns: int = 0) -> CheckedRequest:
    """Check an ``ExportTraceServiceRequest``.

    Args:
        body: protobuf, not compressed.
        received_at_ns: nanoseconds since 1970.
        max_spans: most spans (and resources, and scopes) in one request.
        oldest_ns: spans that start before this are left out: their project would delete them at once.

    Raises:
        BadRequest: it is not valid protobuf of that type.
        TooLarge: it has too many spans.
    """
    check_count(body, max_spans, TRACES)
    request = decoded(body, ExportTraceServiceRequest)
    minutes = set()
    spans = expired = invalid = 0
    latest_ns = received_at_ns + MAX_FUTURE_S * 10**9
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                start_ns = span.start_time_unix_nano
                if not _has_valid_ids(span):
                    invalid += 1
                elif _EARLIEST_NS <= start_ns < oldest_ns:
                    expired += 1
                else:
                    minutes.add(
                        (start_ns if _EARLIEST_NS <= start_ns <= latest_ns else received_at_ns) // _MINUTE_NS
                    )
                    spans += 1
                    if span.end_time_unix_nano <= start_ns:
                        minutes.update(_minute_of_its_call(span))
    if not invalid and not expired:
        return CheckedRequest(body, spans, 0, "", frozenset(minutes))
    kept = _without_refused(request, oldest_ns)
    return CheckedRequest(kept, spans, invalid + expired, _refusal(invalid, expired), frozenset(minutes))


def _minute_of_its_call(span: Span) -> Iterator[int]:
    """Yield the minute in which a call began that is reported at its end: Logfire's streams, in seconds."""
    for attribute in span.attributes:
        if attribute.key == _DURATION:
            duration_s = attribute.value.double_value or attribute.value.int_value
            if 0 < duration_s <= MAX_DURATION_S:
                yield (span.start_time_unix_nano - int(duration_s * 1e9)) // _MINUTE_NS


def _refusal(invalid: int, expired: int) -> str:
    reasons = []
    if invalid:
        reasons.append(
            f"{invalid} spans without a valid trace id (16 bytes) and span id (8 bytes) were left out."
        )
    if expired:
        reasons.append(f"{expired} spans older than the project keeps them were left out.")
    return " ".join(reasons)


def mend_request(body: bytes) -> bytes:
    """Return a request as a plain encoder would write it, without what OTLP does not know.

    Python's protobuf decoder takes what ClickHouse's refuses: two members of a oneof (the last counts),
    numbers with bits beyond their type, fields of the wrong wire type (left out).

    Args:
        body: a request that `check_request` has accepted.
    """
    request = ExportTraceServiceRequest.FromString(body)
    request.DiscardUnknownFields()
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                span.kind = max(span.kind, 0)
                span.status.code = max(span.status.code, 0)
    return bytes(request.SerializeToString())


def _has_valid_ids(span: Span) -> bool:
    return (
        len(span.trace_id) == _TRACE_ID_BYTES
        and len(span.span_id) == _SPAN_ID_BYTES
        and any(span.trace_id)
        and any(span.span_id)
        and len(span.parent_span_id) in (0, _SPAN_ID_BYTES)
    )


def _without_refused(request: ExportTraceServiceRequest, oldest_ns: int) -> bytes:
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            kept = [
                span
                for span in scope_spans.spans
                if _has_valid_ids(span) and not _EARLIEST_NS <= span.start_time_unix_nano < oldest_ns
            ]
            del scope_spans.spans[:]
            scope_spans.spans.extend(kept)
    return bytes(request.SerializeToString())


M = TypeVar("M", bound=Message)


def decoded(body: bytes, message: type[M]) -> M:
    """Decode a request.

    Raises:
        BadRequest: it is not valid protobuf of that type.
    """
    try:
        found: M = message.FromString(body)
    except DecodeError as error:
        raise BadRequest(f"The body is not a valid {message.__name__}: {error}.") from None
    return found


def check_count(body: bytes, max_items: int, signal: Signal, path: Path = SPAN_PATH) -> None:
    """Count on the wire, before decoding: the 2 bytes of an empty span take 170 decoded.

    Args:
        path: numbers of the fields that lead to the items, of each message from the request down.

    Raises:
        TooLarge: it has too many items, or too many messages around them.
        BadRequest: it is not valid protobuf.
    """
    if len(body) <= 2 * max_items:
        return
    try:
        _WireCount(max_items, signal.items, path).add(memoryview(body), 0)
    except IndexError:
        raise BadRequest(f"The body is not a valid {signal.request.__name__}: it ends early.") from None


class _WireCount:
    """Counts the resources, scopes, spans and fields around them in a serialized request."""

    def __init__(self, max_items: int, items: str, path: Path) -> None:
        self._max_items = max_items
        self._items = items
        self._path = path
        self._messages = [0] * len(path)
        self._max_fields = _FIELDS_PER_ITEM[path] * max_items
        self._fields = 0

    def add(self, message: memoryview, level: int) -> None:
        """Count what is in a message.

        Raises:
            TooLarge: too many of a kind.
            BadRequest, IndexError: it is not valid protobuf.
        """
        position = 0
        while position < len(message):
            tag, position = _varint(message, position)
            self._fields += 1
            wire_type = tag & 7
            if wire_type == _LENGTH_DELIMITED:
                size, position = _varint(message, position)
                if tag >> 3 in self._path[level]:
                    self._add_repeated(message[position : position + size], level)
                position += size
            elif wire_type in _FIXED_BYTES:
                position += _FIXED_BYTES[wire_type]
            elif wire_type == 0:
                _, position = _varint(message, position)
            else:
                raise BadRequest("The body is not a valid export request: unknown wire type.")
            if self._fields > self._max_fields:
                raise self._too_large()

    def _add_repeated(self, message: memoryview, level: int) -> None:
        self._messages[level] += 1
        if self._messages[level] > self._max_items:
            raise self._too_large()
        if level + 1 < len(self._path):
            self.add(message, level + 1)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The request has more than {self._max_items} {self._items}: send fewer at a time,"
            " or raise GNOMON_MAX_REQUEST_SPANS."
        )


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    byte = message[position]
    if byte < 0x80:
        return byte, position + 1
    value, shift = byte & 0x7F, 7
    while True:
        position += 1
        byte = message[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
        if shift > 63:
            raise BadRequest("The body is not a valid export request: a number is too long.")
