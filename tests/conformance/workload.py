"""What a service does with the OpenAI client, under one instrumentation SDK. Runs in that SDK's environment.

``python workload.py SDK PROVIDER_URL`` with the SDK's own settings in the environment; prints as JSON what the
client saw: the truth that the collector is held to. Imports nothing of Gnomon.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

QUESTION_RU = "Здравствуйте! Как вернуть дождевик, если он не подошёл?"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_order_status",
        "parameters": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
    },
}


def otel_provider() -> Any:
    """The plain OpenTelemetry SDK, set up by OTEL_* variables."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def openinference() -> tuple[Any, Callable[[], Any]]:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    provider = otel_provider()
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    import openai

    return openai.OpenAI, provider.force_flush


def openllmetry() -> tuple[Any, Callable[[], Any]]:
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    provider = otel_provider()
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    import openai

    return openai.OpenAI, provider.force_flush


def langfuse() -> tuple[Any, Callable[[], Any]]:
    from langfuse import get_client
    from langfuse.openai import OpenAI

    return OpenAI, get_client().flush


def logfire() -> tuple[Any, Callable[[], Any]]:
    import logfire as sdk

    sdk.configure(send_to_logfire=False, console=False)
    sdk.instrument_openai()
    import openai

    return openai.OpenAI, sdk.force_flush


def openlit() -> tuple[Any, Callable[[], Any]]:
    import openlit as sdk
    from opentelemetry import trace

    sdk.init(disable_batch=True)
    import openai

    return openai.OpenAI, trace.get_tracer_provider().force_flush  # type: ignore[attr-defined]


SDKS = {each.__name__: each for each in (openinference, openllmetry, langfuse, logfire, openlit)}


class Truth:
    """Adds up what the client saw."""

    def __init__(self) -> None:
        self.counts = {"calls": 0, "input_tokens": 0, "output_tokens": 0, "errors": 0}

    def called(self, usage: Any) -> None:
        self.counts["calls"] += 1
        self.counts["input_tokens"] += usage.prompt_tokens
        self.counts["output_tokens"] += getattr(usage, "completion_tokens", 0) or 0

    def failed(self) -> None:
        self.counts["calls"] += 1
        self.counts["errors"] += 1


def work(client: Any, truth: Truth) -> None:
    """Chat, chat in Russian with instructions, tools, a stream, embeddings, and a call that is refused."""
    chat = client.chat.completions.create
    truth.called(chat(model="gpt-4o-mini", messages=[user("How do I return my rain jacket?")]).usage)
    asked = [{"role": "system", "content": "Отвечай кратко."}, user(QUESTION_RU)]
    truth.called(chat(model="gpt-4o", messages=asked, temperature=0.2).usage)
    order = [user("Where is my order A-1001?")]
    truth.called(chat(model="gpt-4.1-mini", messages=order, tools=[TOOL]).usage)
    truth.called(chat(model="gpt-5-mini", messages=[user("What sizes do you have?")]).usage)
    truth.called(client.embeddings.create(model="text-embedding-3-small", input=["rain", "дождь"]).usage)
    stream = chat(
        model="gpt-4o-mini", messages=[user("Do you ship abroad?")], stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    for usage in [chunk.usage for chunk in stream if getattr(chunk, "usage", None)]:
        truth.called(usage)
    try:
        chat(model="err-400", messages=[user("Fail, please.")])
    except Exception as error:  # whichever class the SDK makes of it
        print(type(error).__name__, file=sys.stderr)
        truth.failed()


def user(text: str) -> dict[str, str]:
    """A message of the user."""
    return {"role": "user", "content": text}


def main() -> None:
    """Run the service once."""
    make_client, flush = SDKS[sys.argv[1]]()
    truth = Truth()
    with make_client(base_url=f"{sys.argv[2]}/v1", api_key="sk-none", max_retries=0) as client:
        work(client, truth)
    flush()
    print(json.dumps(truth.counts))


if __name__ == "__main__":
    main()
