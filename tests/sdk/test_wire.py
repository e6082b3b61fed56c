"""The quick encoder writes what OpenTelemetry's does, byte by byte of meaning, or leaves it to that."""

import random
import string
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from gnomon._wire import UnsupportedError, encode_request, pack

SCOPES = (
    None,
    InstrumentationScope("gnomon", "1.0"),
    InstrumentationScope("other", None, "https://example.org/schema", {"level": 3}),
)
RESOURCES = (
    Resource({"service.name": "shop", "host.cpus": 4}),
    Resource({"service.name": "bar"}, "https://x.org"),
)
VALUES: tuple[Any, ...] = (
    *("", "x", "я" * 70, "z" * 20_000, True, False, 0, 1, -1, 127, 128, 16_383, 16_384, 2**63 - 1, -(2**63)),
    *(0.0, -1.5, 1e300, float("inf"), (), ("a", "б"), (1, 2**40), (True,), (0.5, -0.0)),
)


def random_span(draw: random.Random) -> ReadableSpan:
    def context(remote: bool) -> SpanContext:
        return SpanContext(draw.getrandbits(128), draw.getrandbits(64), remote, TraceFlags(1))

    def attributes() -> dict[str, Any]:
        return {
            "".join(draw.choices(string.ascii_lowercase, k=draw.randint(1, 200))): draw.choice(VALUES)
            for _ in range(draw.randint(0, 12))
        }

    start = draw.randint(0, 2**62)
    return ReadableSpan(
        name=draw.choice(("chat", "", "имя" * 50)),
        context=context(False),
        parent=draw.choice((None, context(False), context(True))),
        resource=draw.choice(RESOURCES),
        attributes=attributes(),
        events=[Event("e" * draw.randint(0, 300), attributes(), start) for _ in range(draw.randint(0, 2))],
        kind=draw.choice(list(SpanKind)),
        status=draw.choice((Status(), Status(StatusCode.OK), Status(StatusCode.ERROR, "ö" * 99))),
        start_time=start,
        end_time=start + draw.randint(0, 10**12),
        instrumentation_scope=draw.choice(SCOPES),
    )


def encoded(spans: Sequence[ReadableSpan], resource: Mapping[str, str] = MappingProxyType({})) -> bytes:
    return encode_request([pack(span) for span in spans], resource)


@pytest.mark.parametrize("seed", range(60))
def test_it_writes_what_opentelemetry_writes(seed: int) -> None:
    draw = random.Random(seed)
    spans = [random_span(draw) for _ in range(draw.randint(1, 12))]
    assert ExportTraceServiceRequest.FromString(encoded(spans)) == encode_spans(spans)


def test_given_resource_attributes_win() -> None:
    spans = [random_span(random.Random(1))]
    message = ExportTraceServiceRequest.FromString(encoded(spans, {"service.name": "given"}))
    pairs = {p.key: p.value.string_value for p in message.resource_spans[0].resource.attributes}
    assert pairs["service.name"] == "given"


def with_attributes(**attributes: Any) -> ReadableSpan:
    span = random_span(random.Random(2))
    span._attributes = attributes
    return span


@pytest.mark.parametrize(
    ("span", "error"),
    [
        (with_attributes(deep={"a": 1}), UnsupportedError),
        (with_attributes(text="lone \ud800"), UnicodeEncodeError),
        (with_attributes(huge=2**64), ValueError),
    ],
)
def test_what_it_does_not_know_it_refuses(span: ReadableSpan, error: type[Exception]) -> None:
    with pytest.raises(error):
        pack(span)


def test_links_are_left_to_opentelemetry() -> None:
    span = random_span(random.Random(3))
    span._links = (Link(SpanContext(1, 2, False)),)
    with pytest.raises(UnsupportedError):
        pack(span)
