"""The generator's bodies are what they say they are."""

from __future__ import annotations

import gzip
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.bench.gzip_template import GzipTemplate
from tests.bench.load import LoadOptions, command
from tests.bench.payloads import SPAN_BYTES, RequestTemplate
from tests.bench.quantiles import quantile


def _spans(body: bytes) -> list[tuple[bytes, bytes]]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        (span.trace_id, span.span_id)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_bodies_have_fresh_ids_and_the_promised_size() -> None:
    template = RequestTemplate(20)
    first, second = (template.fill(time.time_ns()) for _ in range(2))
    assert len({*_spans(first), *_spans(second)}) == 40
    assert abs(len(first) / 20 - SPAN_BYTES) < 100
    assert template.first_trace_id(first) == _spans(first)[0][0].hex()


def test_gzip_bodies_are_the_same_requests_compressed() -> None:
    now_ns = time.time_ns()
    template = RequestTemplate(20)
    zipped = [GzipTemplate(template).fill(now_ns) for _ in range(2)]
    plain = [gzip.decompress(body) for body in zipped]
    assert len({*_spans(plain[0]), *_spans(plain[1])}) == 40
    assert len(plain[0]) == len(template.fill(now_ns))
    assert len(zipped[0]) < len(plain[0]) / 3


def test_a_load_is_a_command_line() -> None:
    options = LoadOptions("http://127.0.0.1:1/v1/traces", (("A", "b: c"),), spans=5, gzip=True)
    words = command(options)
    assert words[words.index("--header") + 1] == "A: b: c"
    assert "--gzip" in words and "--markers" not in words


def test_quantiles_are_nearest_rank() -> None:
    values = [float(number) for number in range(1, 101)]
    assert quantile(values, 0.5) == 50
    assert quantile(values, 0.99) == 99
    assert quantile([], 0.5) == 0
