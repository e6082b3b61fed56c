"""The benchmark load: right size, right attribute count, fresh ids in every request."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.bench.payloads import ATTRIBUTES, SPAN_BYTES, RequestTemplate, request_templates

NOW_NS = 1_790_000_000_000_000_000


def spans_in(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return list(request.resource_spans[0].scope_spans[0].spans)


def text_of(span: Span, key: str) -> str:
    return next(str(pair.value.string_value) for pair in span.attributes if pair.key == key)


def test_spans_have_the_size_and_attributes_of_the_design() -> None:
    spans = spans_in(RequestTemplate(100).fill(NOW_NS))
    assert len(spans) == 100
    assert {len(span.attributes) for span in spans} == {ATTRIBUTES} == {19}
    assert all(abs(span.ByteSize() - SPAN_BYTES) <= 32 for span in spans)


def test_every_request_has_fresh_ids_and_is_otherwise_the_same() -> None:
    template = RequestTemplate(50)
    first, second = spans_in(template.fill(NOW_NS)), spans_in(template.fill(NOW_NS))
    both = first + second
    assert len({span.trace_id for span in both}) == len({span.span_id for span in both}) == 100
    assert len({text_of(span, "gen_ai.response.id") for span in both}) == 100
    said = [[text_of(span, "gen_ai.input.messages") for span in spans] for spans in (first, second)]
    assert said[0] == said[1]


def test_spans_end_at_the_given_time() -> None:
    spans = spans_in(RequestTemplate(10).fill(NOW_NS))
    assert {span.end_time_unix_nano for span in spans} == {NOW_NS}
    assert all(10**7 < span.end_time_unix_nano - span.start_time_unix_nano < 10**11 for span in spans)


def test_templates_differ_and_are_repeatable() -> None:
    templates = request_templates(3, count=4)
    inputs = [
        text_of(span, "gen_ai.input.messages")
        for template in templates
        for span in spans_in(template.fill(NOW_NS))
    ]
    assert len(set(inputs)) == 12
    again = spans_in(RequestTemplate(3, seed=0).fill(NOW_NS))
    assert [text_of(span, "gen_ai.input.messages") for span in again] == inputs[:3]
