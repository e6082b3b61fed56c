"""Benchmark load: OTLP requests of LLM spans, built once and given fresh ids and times per request.

A span has about 2,600 bytes and 19 attributes, in the shape of opentelemetry-instrumentation-genai-openai
1.3b0 with content. Building one through protobuf costs some 300 µs, giving it fresh ids and times about
1 µs, so that a load generator beside the server does not measure itself.
"""

import json
import os
import struct
from random import Random
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from gnomon_collector.demo.conversation import answer_to, draw_question
from gnomon_collector.demo.models import PROFILES, ModelProfile, count_tokens
from gnomon_collector.demo.phrases import ENGLISH

SPAN_BYTES: Final = 2600
ATTRIBUTES: Final = 19
SCOPE: Final = "opentelemetry.instrumentation.genai.openai"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.37.0"

# Wire tags inside `Span`: span_id stands right behind trace_id, the end time behind the start time.
_SPAN_TAG: Final = b"\x12\x08"
_END_TAG: Final = b"\x41"
_TIME: Final = struct.Struct("<Q")
_RESPONSE_ID: Final = b"chatcmpl-"
_RESPONSE_ID_BYTES: Final = 24
_FRESH_BYTES: Final = 24
_CHAT_MODELS: Final = ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini")


class RequestTemplate:
    """One export request of `spans` chat spans, each in a trace of its own.

    Args:
        spans: spans in the request.
        seed: decides texts, models, tokens and durations; ids are fresh in every `fill`.
        service: `service.name` of the resource.
    """

    def __init__(self, spans: int, *, seed: int = 0, service: str = "bench") -> None:
        rng = Random(seed)
        vocabulary = _vocabulary()
        message = _request([_span(rng, vocabulary) for _ in range(spans)], service)
        self.spans = spans
        self._durations_ns = [span.end_time_unix_nano - span.start_time_unix_nano for span in _spans(message)]
        self._pieces = _pieces(message)

    def fill(self, now_ns: int) -> bytes:
        """The request with fresh trace, span and response ids, all its spans having ended at `now_ns`.

        Args:
            now_ns: Unix time in ns.
        """
        return b"".join(self.fill_pieces(now_ns))

    def fill_pieces(self, now_ns: int) -> list[bytes]:
        """What `fill` joins: pieces that are the same in every request, and fresh ones at the odd places."""
        fresh = os.urandom(_FRESH_BYTES * self.spans)
        response_ids = fresh.hex().encode()
        end = _END_TAG + _TIME.pack(now_ns)
        pieces = self._pieces.copy()
        pieces[1::6] = [
            fresh[at : at + 16] + _SPAN_TAG + fresh[at + 16 : at + 24]
            for at in range(0, len(fresh), _FRESH_BYTES)
        ]
        pieces[3::6] = [_TIME.pack(now_ns - duration_ns) + end for duration_ns in self._durations_ns]
        # Twice as long in hex: taking every other stretch keeps them unique.
        pieces[5::6] = [
            response_ids[at : at + _RESPONSE_ID_BYTES]
            for at in range(0, len(response_ids), 2 * _RESPONSE_ID_BYTES)
        ]
        return pieces

    def first_trace_id(self, body: bytes) -> str:
        """The trace id (hex) of the first span of a `body` that `fill` made."""
        begin = len(self._pieces[0])
        return body[begin : begin + 16].hex()


def request_templates(spans: int, *, count: int = 8, service: str = "bench") -> list[RequestTemplate]:
    """`count` templates of different texts, so that a store does not compress one text over and over."""
    return [RequestTemplate(spans, seed=seed, service=service) for seed in range(count)]


def _request(spans: list[Span], service: str) -> ExportTraceServiceRequest:
    resource = Resource(
        attributes=[
            _text("telemetry.sdk.language", "python"),
            _text("telemetry.sdk.name", "opentelemetry"),
            _text("telemetry.sdk.version", "1.45.2"),
            _text("service.name", service),
            _text("service.version", "1.0.0"),
            _text("deployment.environment.name", "bench"),
        ]
    )
    scope = ScopeSpans(
        scope=InstrumentationScope(name=SCOPE, version="1.3b0"), spans=spans, schema_url=SCHEMA_URL
    )
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])])


def _span(rng: Random, vocabulary: list[str]) -> Span:
    model = PROFILES[rng.choice(_CHAT_MODELS)]
    duration_ns = round(rng.lognormvariate(0, 0.5) * 1e9)
    # English alone: a character is one byte in JSON too, so the size comes out as wanted.
    topic = rng.choice(ENGLISH)
    question = draw_question(rng, topic)
    answer = answer_to(question, f"[{topic.key}]", rng)
    missing = SPAN_BYTES - _span_saying("", question, answer, model, duration_ns, rng).ByteSize()
    # Words in random order compress like text that is not repeated, as whole sentences would not.
    context = " ".join(rng.choices(vocabulary, k=missing // 3))
    return _span_saying(context[:missing], question, answer, model, duration_ns, rng)


def _vocabulary() -> list[str]:
    return sorted({word for topic in ENGLISH for fact in topic.facts for word in fact.split()})


def _span_saying(
    context: str, question: str, answer: str, model: ModelProfile, duration_ns: int, rng: Random
) -> Span:
    input_tokens = count_tokens(context) + count_tokens(question) + 12
    return Span(
        trace_id=rng.randbytes(16),
        span_id=rng.randbytes(8),
        flags=0x100,
        name=f"chat {model.name}",
        kind=Span.SpanKind.SPAN_KIND_CLIENT,
        start_time_unix_nano=1,
        end_time_unix_nano=1 + duration_ns,
        attributes=[
            _text("gen_ai.operation.name", "chat"),
            _text("gen_ai.provider.name", "openai"),
            _text("gen_ai.request.model", model.name),
            _text("server.address", "127.0.0.1"),
            _number("server.port", 8081),
            KeyValue(key="gen_ai.request.temperature", value=AnyValue(double_value=0.2)),
            _number("gen_ai.request.max_tokens", 512),
            _texts("gen_ai.response.finish_reasons", ["stop"]),
            _text("gen_ai.response.model", model.response_model),
            _text("gen_ai.response.id", f"chatcmpl-{rng.randbytes(12).hex()}"),
            _number("gen_ai.usage.input_tokens", input_tokens),
            _number("gen_ai.usage.output_tokens", count_tokens(answer)),
            _number("gen_ai.usage.cache_write.input_tokens", 0),
            _number("gen_ai.usage.cache_read.input_tokens", input_tokens // 128 * 128),
            _number("gen_ai.usage.reasoning.output_tokens", 0),
            _text("gen_ai.input.messages", _messages(("system", context), ("user", question))),
            _text("gen_ai.output.messages", _messages(("assistant", answer))),
            _text("openai.response.service_tier", "default"),
            _text("openai.response.system_fingerprint", "fp_44709d6fcb"),
        ],
    )


def _messages(*said: tuple[str, str]) -> str:
    messages = [
        {"role": role, "parts": [{"content": text, "type": "text"}], "name": None} for role, text in said
    ]
    return json.dumps(messages, separators=(",", ":"))


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _texts(key: str, values: list[str]) -> KeyValue:
    array = ArrayValue(values=[AnyValue(string_value=value) for value in values])
    return KeyValue(key=key, value=AnyValue(array_value=array))


def _number(key: str, value: int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value))


def _spans(message: ExportTraceServiceRequest) -> list[Span]:
    return list(message.resource_spans[0].scope_spans[0].spans)


def _pieces(message: ExportTraceServiceRequest) -> list[bytes]:
    """The serialised request cut so that each span's ids, times and response id are pieces 1, 3, 5 of six."""
    serialized: bytes = message.SerializeToString()
    pieces = []
    position = 0
    for span in _spans(message):
        for fresh in _fresh_parts(span):
            begin = serialized.index(fresh, position)
            pieces += [serialized[position:begin], fresh]
            position = begin + len(fresh)
    return [*pieces, serialized[position:]]


def _fresh_parts(span: Span) -> tuple[bytes, bytes, bytes]:
    response_id = next(pair for pair in span.attributes if pair.key == "gen_ai.response.id")
    return (
        span.trace_id + _SPAN_TAG + span.span_id,
        _TIME.pack(span.start_time_unix_nano) + _END_TAG + _TIME.pack(span.end_time_unix_nano),
        response_id.value.string_value.encode().removeprefix(_RESPONSE_ID),
    )
