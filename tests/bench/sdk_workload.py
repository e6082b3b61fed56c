"""One library under load, in its own virtualenv: prints what it cost as JSON. See `tests.bench.sdk`.

Needs the standard library, openai and the library under test, nothing of this repository. The bare client
is measured first in the same process, with the same provider, then the library is loaded.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import time
from collections.abc import Awaitable, Callable
from typing import Any

SYSTEM = "You are the assistant of a shoe shop. Answer in the customer's language, briefly and politely. " * 5
QUESTION = "Where is my order 4711 with the red running shoes, and can I still change the address? " * 4
MESSAGES = [
    {"role": "system", "content": SYSTEM},
    {"role": "user", "content": "Hello, do you ship to Riga?"},
    {"role": "assistant", "content": "Yes, we ship to Riga within three working days. " * 3},
    {"role": "user", "content": QUESTION},
]
MODEL = "gpt-4.1-mini"


def start_gnomon(collector: str) -> Any:
    import gnomon

    gnomon.init(service_name="bench", endpoint=collector)
    return gnomon.flush


def _start_otel(collector: str, instrumentor: Any) -> Any:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{collector}/v1/traces")))
    trace.set_tracer_provider(provider)
    instrumentor.instrument(tracer_provider=provider)
    return provider.force_flush


def start_opentelemetry(collector: str) -> Any:
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

    return _start_otel(collector, OpenAIInstrumentor())


def start_openinference(collector: str) -> Any:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    return _start_otel(collector, OpenAIInstrumentor())


def start_openllmetry(collector: str) -> Any:
    os.environ["TRACELOOP_TELEMETRY"] = "false"
    from opentelemetry import trace
    from traceloop.sdk import Traceloop

    Traceloop.init(app_name="bench", api_endpoint=collector, api_key="bench", disable_batch=False)
    provider: Any = trace.get_tracer_provider()
    return provider.force_flush


def start_langfuse(collector: str) -> Any:
    os.environ.update(
        LANGFUSE_HOST=collector,
        LANGFUSE_BASE_URL=collector,
        LANGFUSE_PUBLIC_KEY="pk-lf-bench",
        LANGFUSE_SECRET_KEY="sk-lf-bench",
    )
    from langfuse import get_client
    from langfuse.openai import openai  # noqa: F401

    client = get_client()
    return client.flush


def start_openlit(collector: str) -> Any:
    import openlit
    from opentelemetry import trace

    openlit.init(otlp_endpoint=collector, application_name="bench")
    provider: Any = trace.get_tracer_provider()
    return provider.force_flush


def start_logfire(collector: str) -> Any:
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector
    os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
    import logfire

    logfire.configure(send_to_logfire=False, console=False, service_name="bench")
    logfire.instrument_openai()
    return logfire.force_flush


def start_bare(collector: str) -> Any:
    return lambda: True


STARTERS = {name.removeprefix("start_"): made for name, made in globals().items() if name.startswith("start_")}


class Calls:
    """The four kinds of call of the scenario; clients are made anew after the library was loaded."""

    def __init__(self, provider: str) -> None:
        import openai

        settings: dict[str, Any] = {"base_url": provider, "api_key": "sk-bench", "max_retries": 0}
        self._client = openai.OpenAI(**settings)
        self._async_client = openai.AsyncOpenAI(**settings)

    def chat(self) -> None:
        self._client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=0.2)

    def stream(self) -> None:
        for _ in self._client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        ):
            pass

    def embeddings(self) -> None:
        self._client.embeddings.create(
            model="text-embedding-3-small", input="red running shoes", encoding_format="float"
        )

    async def async_chat(self) -> None:
        await self._async_client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=0.2)

    async def async_stream(self) -> None:
        async for _ in await self._async_client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        ):
            pass


def measure(call: Callable[[], Any], count: int, flush: Callable[[], Any]) -> dict[str, Any]:
    """Call ``count`` times; per call the caller's CPU and wall time, and the CPU of the whole process."""
    threads, walls = [0] * count, [0] * count
    whole = time.process_time_ns()
    for index in range(count):
        wall, thread = time.perf_counter_ns(), time.thread_time_ns()
        call()
        threads[index], walls[index] = time.thread_time_ns() - thread, time.perf_counter_ns() - wall
    flush()
    return {
        "thread_us": [value / 1_000 for value in threads],
        "wall_us": [value / 1_000 for value in walls],
        "process_us": (time.process_time_ns() - whole) / 1_000 / count,
    }


async def measure_async(
    call: Callable[[], Awaitable[None]], count: int, flush: Callable[[], Any]
) -> dict[str, Any]:
    """`measure` on an event loop."""
    threads, walls = [0] * count, [0] * count
    whole = time.process_time_ns()
    for index in range(count):
        wall, thread = time.perf_counter_ns(), time.thread_time_ns()
        await call()
        threads[index], walls[index] = time.thread_time_ns() - thread, time.perf_counter_ns() - wall
    flush()
    return {
        "thread_us": [value / 1_000 for value in threads],
        "wall_us": [value / 1_000 for value in walls],
        "process_us": (time.process_time_ns() - whole) / 1_000 / count,
    }


async def _run_async(calls: Calls, count: int, flush: Callable[[], Any]) -> dict[str, Any]:
    await measure_async(calls.async_chat, 30, flush)
    return {
        "async_chat": await measure_async(calls.async_chat, count, flush),
        "async_stream": await measure_async(calls.async_stream, count // 4, flush),
    }


def scenario(calls: Calls, count: int, flush: Callable[[], Any]) -> dict[str, Any]:
    """All kinds of call, after a warm-up."""
    measure(calls.chat, 50, flush)
    gc.collect()
    found = {"chat": measure(calls.chat, count, flush)}
    measure(calls.stream, 10, flush)
    found["stream"] = measure(calls.stream, count // 4, flush)
    found["embeddings"] = measure(calls.embeddings, count // 2, flush)
    return {**found, **asyncio.run(_run_async(calls, count // 2, flush))}


def rss_mib() -> float:
    """Resident memory of now, in MiB."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=sorted(STARTERS))
    parser.add_argument("--provider", required=True)
    parser.add_argument("--collector", required=True)
    parser.add_argument("--mode", choices=("cost", "memory", "exit"), default="cost")
    parser.add_argument("--count", type=int, default=400)
    options = parser.parse_args()
    result: dict[str, Any] = {}
    if options.mode == "cost":
        result["bare"] = scenario(Calls(options.provider), options.count, lambda: True)
    else:
        Calls(options.provider).chat()
    started = time.perf_counter()
    flush = STARTERS[options.library](options.collector)
    result["start_s"] = time.perf_counter() - started
    calls = Calls(options.provider)
    if options.mode == "cost":
        result["with"] = scenario(calls, options.count, flush)
    else:
        calls.chat()
        result["rss_before_mib"] = rss_mib()
        result["calls"] = measure(calls.chat, options.count, lambda: True)
        result["rss_after_mib"] = rss_mib()
        result["rss_peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
