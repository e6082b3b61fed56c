"""Simulated model calls, held against what the real instrumentation says about the same calls."""

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import openai
import pytest
from openai import OpenAI
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.demo.conftest import serving

from gnomon_collector.demo.provider import make_provider_app
from gnomon_collector.demo.recorder import Recorder, SimulatedError
from gnomon_collector.demo.shop import EMBEDDING_DIMENSIONS, EMBEDDING_MODEL, ORDER_TOOL
from gnomon_collector.demo.timeline import Conditions

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
QUESTION = [
    {"role": "system", "content": "Be brief. " * 60},
    {"role": "user", "content": "Как вернуть товар из заказа A-10442?"},
]
CALLS: list[dict[str, Any]] = [
    {"model": "gpt-4o-mini", "messages": QUESTION, "temperature": 0.2},
    {"model": "gpt-4o", "messages": QUESTION, "stream": True, "stream_options": {"include_usage": True}},
    {"model": "gpt-4o-mini", "messages": QUESTION, "tools": [ORDER_TOOL]},
]


@pytest.fixture(scope="module")
def instrumented() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    patch = pytest.MonkeyPatch()
    patch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()
    patch.undo()


@pytest.fixture(scope="module")
def real_client() -> Iterator[OpenAI]:
    app = make_provider_app(seed=7, latency_scale=0.0, error_rate=0.0)
    with serving(app) as url, OpenAI(base_url=f"{url}/v1", api_key="sk-demo", max_retries=0) as client:
        yield client


def call(client: OpenAI, body: dict[str, Any]) -> list[object]:
    create: Any = client.chat.completions.create
    return list(create(**body))


def plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(plain(item) for item in value.array_value.values)
    return getattr(value, str(kind))


# What differs between two runs of the same call, in any instrumentation.
FRESH = {
    "gen_ai.response.id",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.output.messages",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "server.port",
}


def comparable(attributes: dict[str, object]) -> dict[str, object]:
    """Attributes with the type alone of what differs from run to run; a cache read may be missing."""
    shown = {key: type(value) if key in FRESH else value for key, value in attributes.items()}
    shown.pop("gen_ai.usage.cache_read.input_tokens", None)
    return shown


def simulated(span: Span) -> dict[str, object]:
    return comparable({pair.key: plain(pair.value) for pair in span.attributes})


def recorder(error_rate: float = 0.0) -> Recorder:
    conditions = Conditions("2.4.0", "v4", "gpt-4o-mini", error_rate, latency_factor=1.0)
    return Recorder(Random(5), NOW, conditions, {})


@pytest.mark.parametrize("body", CALLS, ids=["plain", "stream", "tool"])
def test_simulated_chats_look_like_instrumented_ones(
    instrumented: InMemorySpanExporter, real_client: OpenAI, body: dict[str, Any]
) -> None:
    instrumented.clear()
    assert call(real_client, body)
    real = instrumented.get_finished_spans()[0]
    made = recorder()
    made.chat(body)
    span = made.spans[0].to_otlp()
    assert (span.name, span.kind) == (real.name, Span.SpanKind.SPAN_KIND_CLIENT)
    assert simulated(span) == comparable(dict(real.attributes or {}))
    assert span.status.code == Status.STATUS_CODE_UNSET


def test_simulated_embeddings_look_like_instrumented_ones(
    instrumented: InMemorySpanExporter, real_client: OpenAI
) -> None:
    instrumented.clear()
    texts = ["How do I return my coat?"]
    real_client.embeddings.create(model=EMBEDDING_MODEL, input=texts, dimensions=EMBEDDING_DIMENSIONS)
    made = recorder()
    made.embed(EMBEDDING_MODEL, texts)
    real = instrumented.get_finished_spans()[0]
    assert simulated(made.spans[0].to_otlp()) == comparable(dict(real.attributes or {}))


@pytest.mark.parametrize("stream", [False, True])
def test_simulated_failures_look_like_instrumented_ones(
    instrumented: InMemorySpanExporter, real_client: OpenAI, stream: bool
) -> None:
    def real(model: str) -> dict[str, object]:
        instrumented.clear()
        with pytest.raises(openai.APIError):
            call(real_client, {**CALLS[int(stream)], "model": model})
        span = instrumented.get_finished_spans()[0]
        return {"status": span.status.description, **comparable(dict(span.attributes or {}))}

    forced = ["err-429", "err-500", "err-400", *(["err-midstream", "err-cut"] if stream else [])]
    expected = {str(span["error.type"]): span for span in map(real, forced)}
    made = recorder(error_rate=1.0)
    for _ in range(80):
        with pytest.raises(SimulatedError):
            made.chat(CALLS[int(stream)])
    seen = {}
    for span in (draft.to_otlp() for draft in made.spans):
        attributes = {"status": span.status.message, **simulated(span)}
        seen[str(attributes["error.type"])] = attributes
    # An impatient client has its own kind of failure, which takes a real timeout to provoke.
    assert seen.pop("openai.APITimeoutError")["status"] == "Request timed out."
    assert set(seen) == set(expected)
    for error_type, attributes in seen.items():
        for key in ("gen_ai.request.model", "gen_ai.response.model"):
            expected[error_type].pop(key, None)
            attributes.pop(key, None)
        assert attributes == expected[error_type]
