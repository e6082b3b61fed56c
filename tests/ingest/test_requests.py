"""Checking a request: whatever bytes come, the answer is a checked request or a refusal."""

from __future__ import annotations

import gzip
import random
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.ingest.payloads import DAY_NS, MINUTE_NS, chat_span, hour_ago_ns, request, span, spans_of

from gnomon_collector.errors import BadRequest
from gnomon_collector.ingest.requests import (
    TooLarge,
    check_request,
    decompress,
    mend_request,
    plain_bytes,
)
from gnomon_schemas.normalise import EARLIEST, MAX_FUTURE_S

CAPTURES = [
    path.read_bytes() for path in sorted((Path(__file__).parent.parent / "captures").rglob("*.traces.pb"))
]
NOW_NS = time.time_ns()
MUTATIONS = 10_000


def check_or_refuse(body: bytes, max_spans: int = 100_000) -> bool:
    """Check a request, which must end well or be refused; return whether it was accepted."""
    try:
        checked = check_request(body, NOW_NS, max_spans)
    except BadRequest:
        return False
    parsed = ExportTraceServiceRequest.FromString(checked.body)
    assert checked.spans == sum(
        len(scope.spans) for resource in parsed.resource_spans for scope in resource.scope_spans
    )
    assert bool(checked.minutes) == bool(checked.spans)
    assert checked.rejected == 0 or str(checked.rejected) in checked.reason
    return True


def mutated(body: bytes, chance: random.Random) -> bytes:
    """Return `body` with a few bytes changed, taken out, put in or cut off."""
    changed = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed)) if changed else 0
        match chance.randrange(5):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[at : at + chance.randint(1, 8)]
            case 2:
                changed[at:at] = chance.randbytes(chance.randint(1, 8))
            case 3:
                del changed[at:]
            case 4:
                changed[at : at + 1] = bytes([changed[at] ^ 1 << chance.randrange(8)] if changed else [])
    return bytes(changed)


def test_seeded_mutations_of_real_requests_are_accepted_or_refused() -> None:
    chance = random.Random(20260501)
    accepted = [check_or_refuse(mutated(chance.choice(CAPTURES), chance)) for _ in range(MUTATIONS)]
    assert 0.02 * MUTATIONS < sum(accepted) < 0.98 * MUTATIONS


def test_seeded_mutations_of_a_request_large_enough_to_be_counted_on_the_wire() -> None:
    chance = random.Random(20260502)
    body = request([span(number, NOW_NS) for number in range(20)])
    accepted = [check_or_refuse(mutated(body, chance), max_spans=20) for _ in range(MUTATIONS)]
    assert 0.02 * MUTATIONS < sum(accepted) < 0.98 * MUTATIONS


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 5))
@example(b"\x0a\x80", 0)
@example(b"\x0a" + b"\xff" * 11, 0)
@example(b"\x0b", 0)
def test_any_bytes_are_accepted_or_refused(body: bytes, max_spans: int) -> None:
    check_or_refuse(body, max_spans)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.binary(max_size=18) | st.binary(min_size=16, max_size=16),
            st.binary(max_size=9) | st.binary(min_size=8, max_size=8),
            st.sampled_from([b"", b"\x01" * 8, b"\x01" * 7]),
        ),
        max_size=8,
    )
)
def test_spans_are_rejected_by_their_ids_alone(ids: list[tuple[bytes, bytes, bytes]]) -> None:
    sent = [
        span(0, NOW_NS, {"n": number}, trace_id=trace_id, span_id=span_id, parent_span_id=parent_id)
        for number, (trace_id, span_id, parent_id) in enumerate(ids)
    ]
    good = [
        each
        for each in sent
        if len(each.trace_id) == 16
        and any(each.trace_id)
        and len(each.span_id) == 8
        and any(each.span_id)
        and len(each.parent_span_id) in (0, 8)
    ]
    body = request(sent)
    checked = check_request(body, NOW_NS, 100)
    assert (checked.spans, checked.rejected) == (len(good), len(sent) - len(good))
    assert [each for _, _, each in spans_of(checked.body)] == good
    assert checked.rejected or checked.body is body


def test_minutes_are_those_the_database_will_have() -> None:
    now_minute = NOW_NS // MINUTE_NS
    starts = {
        0: now_minute,
        int(EARLIEST.timestamp()) * 10**9: int(EARLIEST.timestamp()) // 60,
        NOW_NS + (MAX_FUTURE_S + 1) * 10**9: now_minute,
        NOW_NS + MAX_FUTURE_S * 10**9: (NOW_NS + MAX_FUTURE_S * 10**9) // MINUTE_NS,
        NOW_NS - 300 * DAY_NS: (NOW_NS - 300 * DAY_NS) // MINUTE_NS,
        2**64 - 1: now_minute,
    }
    for start_ns, minute in starts.items():
        sent = span(1, 0, start_time_unix_nano=start_ns)
        assert check_request(request([sent]), NOW_NS, 1).minutes == {minute}


@pytest.mark.parametrize(("spans", "limit"), [(10, 10), (1, 1), (0, 1)])
def test_as_many_spans_as_allowed(spans: int, limit: int) -> None:
    sent = [span(number, NOW_NS) for number in range(spans)]
    assert check_request(request(sent), NOW_NS, limit).spans == spans


def test_as_many_spans_as_allowed_each_in_a_resource_and_scope_of_its_own() -> None:
    (parts,) = spans_of(request([span(1, NOW_NS)]))
    parts[0].schema_url = parts[1].schema_url = "https://opentelemetry.io/schemas/1.37.0"
    made = ExportTraceServiceRequest(resource_spans=[parts[0]] * 10)
    assert check_request(made.SerializeToString(), NOW_NS, 10).spans == 10


def wrapped(content: bytes, field: int) -> bytes:
    size, out = len(content), bytearray([field << 3 | 2])
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size]) + content


@pytest.mark.parametrize(
    "body",
    [
        request([span(number, NOW_NS) for number in range(11)]),
        b"\x0a\x00" * 11,
        wrapped(b"\x12\x00" * 11, 1),
        wrapped(wrapped(b"\x12\x00" * 11, 2), 1),
        b"".join(wrapped(wrapped(b"\x12\x00", 2), 1) for _ in range(11)),
        b"\x78\x00" * 500,  # a field nobody knows, over and over
    ],
    ids=["spans", "resources", "scopes", "empty spans", "spread", "unknown fields"],
)
def test_more_spans_than_allowed_are_refused_before_decoding(body: bytes) -> None:
    with pytest.raises(TooLarge, match=r"more than 10 spans.*GNOMON_MAX_REQUEST_SPANS"):
        check_request(body, NOW_NS, 10)


def test_values_nested_too_deep_for_protobuf_are_refused() -> None:
    value = b""
    for _ in range(60):
        value = wrapped(wrapped(value, 1), 5)
    attribute = wrapped(wrapped(value, 2), 9)
    sent = span(1, NOW_NS).SerializeToString() + attribute
    with pytest.raises(BadRequest, match="not a valid ExportTraceServiceRequest"):
        check_request(wrapped(wrapped(wrapped(sent, 2), 2), 1), NOW_NS, 10)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=5000), st.integers(0, 9))
def test_gzip_comes_back_as_it_went_in(plain: bytes, level: int) -> None:
    packed = gzip.compress(plain, level)
    assert decompress(packed, "gzip", len(plain)) == plain
    assert plain_bytes(packed, "gzip") == len(plain)
    if plain:
        with pytest.raises(TooLarge):
            decompress(packed, "gzip", len(plain) - 1)


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_plain_bodies_are_not_copied(encoding: str) -> None:
    body = b"anything"
    assert decompress(body, encoding, 100) is body
    assert plain_bytes(body, "") == 8


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
@example(gzip.compress(b"a")[:-1])
@example(gzip.compress(b"a") + b"\x00")
@example(gzip.compress(b"a") + gzip.compress(b"b"))
@example(zlib.compress(b"a"))
def test_what_is_not_one_gzip_member_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="not valid gzip"):
        decompress(body, "gzip", 1000)


@pytest.mark.parametrize("encoding", ["br", "compress", "gzip, gzip", "x"])
def test_unknown_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(BadRequest, match="not supported"):
        decompress(b"", encoding, 1000)


@pytest.mark.parametrize("body", CAPTURES[:10])
def test_a_sound_request_needs_no_mending(body: bytes) -> None:
    assert ExportTraceServiceRequest.FromString(mend_request(body)) == ExportTraceServiceRequest.FromString(
        body
    )


def test_mending_keeps_what_can_be_understood() -> None:
    sent = chat_span(1, hour_ago_ns())
    sent.status.code = -1  # type: ignore[assignment]
    sent.kind = -5  # type: ignore[assignment]
    unknown = b"\xa3\x01\x08\x05\xa4\x01" + b"\x48\x07"  # a group, and attributes as a number
    body = wrapped(wrapped(wrapped(sent.SerializeToString() + unknown, 2), 2), 1)
    ((_, _, mended),) = spans_of(mend_request(body))
    sent.status.code, sent.kind = 0, 0  # type: ignore[assignment]
    assert mended == sent
