"""Traces that Gnomon and Phoenix both understand: OpenInference's attributes, a chain of a retrieval and two calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

SPANS_PER_TRACE: Final = 4
TRACES_PER_REQUEST: Final = 25
RARE_WORD: Final = "heliotrope"
"""Stands in the question of one trace in a thousand."""

_SCOPE: Final = "openinference.instrumentation.openai"
_MODELS: Final = ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini")
_WORDS: Final = [
    "order",
    "delivery",
    "return",
    "shoes",
    "invoice",
    "address",
    "discount",
    "refund",
    "size",
    "colour",
    "stock",
    "warehouse",
    "courier",
    "Tuesday",
    "customer",
    "please",
    "answer",
    "number",
    "within",
    "thirty",
    "days",
    "standard",
    "express",
    "payment",
    "card",
    "voucher",
    "email",
    "account",
]
_RARE_SHARE: Final = 0.001
_FAILING_SHARE: Final = 0.02
_SECOND_NS: Final = 1_000_000_000


def requests(traces: int, *, start_ns: int, end_ns: int, seed: int = 6) -> Iterator[bytes]:
    """Yield export requests of `TRACES_PER_REQUEST` traces each, spread evenly from start to end, oldest first.

    Args:
        start_ns, end_ns: Unix times in ns.
    """
    rng = Random(seed)
    step_ns = (end_ns - start_ns) // max(1, traces)
    for first in range(0, traces, TRACES_PER_REQUEST):
        numbers = range(first, min(traces, first + TRACES_PER_REQUEST))
        yield _request([span for number in numbers for span in _trace(rng, start_ns + number * step_ns)])


def _request(spans: list[Span]) -> bytes:
    scope = ScopeSpans(scope=InstrumentationScope(name=_SCOPE, version="0.1.40"), spans=spans)
    resource = Resource(attributes=[_attribute("service.name", "shop-assistant")])
    message = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])]
    )
    return message.SerializeToString()


def _trace(rng: Random, start_ns: int) -> list[Span]:
    question = _text(rng, 24) + (f" {RARE_WORD}" if rng.random() < _RARE_SHARE else "")
    answers = [_text(rng, 36) for _ in range(2)]
    took_ns = [round(rng.lognormvariate(-0.1, 0.5) * _SECOND_NS) for _ in range(2)]
    trace_id, root_id = rng.randbytes(16), rng.randbytes(8)
    labels = {"session.id": f"s{rng.randrange(2000)}", "user.id": f"u{rng.randrange(500)}"}

    def span(
        name: str, kind: str, at_ns: int, long_ns: int, parent: bytes, more: dict[str, str | int]
    ) -> Span:
        failed = kind == "LLM" and rng.random() < _FAILING_SHARE
        said = {"openinference.span.kind": kind, **labels, **more}
        return Span(
            trace_id=trace_id,
            span_id=rng.randbytes(8) if parent else root_id,
            parent_span_id=parent,
            name=name,
            start_time_unix_nano=start_ns + at_ns,
            end_time_unix_nano=start_ns + at_ns + long_ns,
            attributes=[_attribute(key, value) for key, value in said.items()],
            status=Status(
                code=Status.StatusCode.STATUS_CODE_ERROR if failed else Status.StatusCode.STATUS_CODE_OK
            ),
        )

    spoken = {"input.value": question, "output.value": answers[1]}
    retrieved = {
        "input.value": question,
        "retrieval.documents.0.document.id": "faq-1",
        "retrieval.documents.0.document.content": question,
    }
    second_ns = 120_000_000 + took_ns[0]
    return [
        span("answer question", "CHAIN", 0, second_ns + took_ns[1] + 5_000_000, b"", {**spoken}),
        span("retrieve", "RETRIEVER", 4_000_000, 60_000_000, root_id, {**retrieved}),
        span("ChatCompletion", "LLM", 110_000_000, took_ns[0], root_id, _call(rng, question, answers[0])),
        span("ChatCompletion", "LLM", second_ns, took_ns[1], root_id, _call(rng, question, answers[1])),
    ]


def _call(rng: Random, question: str, answer: str) -> dict[str, str | int]:
    tokens_in, tokens_out = rng.randrange(300, 1200), rng.randrange(20, 320)
    return {
        "llm.model_name": rng.choice(_MODELS),
        "llm.provider": "openai",
        "llm.system": "openai",
        "input.value": json.dumps({"messages": [{"role": "user", "content": question}]}),
        "input.mime_type": "application/json",
        "output.value": answer,
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": question,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": answer,
        "llm.token_count.prompt": tokens_in,
        "llm.token_count.completion": tokens_out,
        "llm.token_count.total": tokens_in + tokens_out,
    }


def _text(rng: Random, words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=words))


def _attribute(key: str, value: str | int) -> KeyValue:
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(string_value=value))
