"""One library under load, in its own virtualenv: prints what it cost as JSON. See `tests.bench.sdk`.

Needs the standard library, openai and the library under test, nothing of this repository. All libraries are
driven in turns, a few calls each, so that what else the machine does weighs on all of them alike.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
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


STARTERS = {
    name.removeprefix("start_"): made for name, made in globals().items() if name.startswith("start_")
}


class Calls:
    """The four kinds of call of the scenario; clients are made anew after the library was loaded."""

    def __init__(self, provider: str) -> None:
        import openai

        settings: dict[str, Any] = {"base_url": provider, "api_key": "sk-bench", "max_retries": 0}
        self._client = openai.OpenAI(**settings)
        self._async_client = openai.AsyncOpenAI(**settings)
        self._canned_client = openai.OpenAI(**settings, http_client=self._canned(provider))

    def _canned(self, provider: str) -> Any:
        """An HTTP client of the same make, which answers from memory: no socket, little noise."""
        roots = [base.__module__.partition(".")[0] for base in type(self._client._client).__mro__]
        httpx = importlib.import_module(next(root for root in roots if root.startswith("httpx")))
        with httpx.Client(trust_env=False) as client:
            body = client.post(f"{provider}/chat/completions", json={}).content
        answer = functools.partial(
            httpx.Response, 200, content=body, headers={"Content-Type": "application/json"}
        )
        return httpx.Client(transport=httpx.MockTransport(lambda request: answer()))

    def canned_chat(self) -> None:
        self._canned_client.chat.completions.create(model=MODEL, messages=MESSAGES, temperature=0.2)

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


Reply = dict[str, Any]


def measure(call: Callable[[], Any], count: int) -> Reply:
    """Call ``count`` times; CPU of the calling thread and wall time of each call, in µs."""
    threads, walls = [0] * count, [0] * count
    for index in range(count):
        wall, thread = time.perf_counter_ns(), time.thread_time_ns()
        call()
        threads[index], walls[index] = time.thread_time_ns() - thread, time.perf_counter_ns() - wall
    return _reply(threads, walls)


async def measure_async(call: Callable[[], Awaitable[None]], count: int) -> Reply:
    """`measure` on an event loop."""
    threads, walls = [0] * count, [0] * count
    for index in range(count):
        wall, thread = time.perf_counter_ns(), time.thread_time_ns()
        await call()
        threads[index], walls[index] = time.thread_time_ns() - thread, time.perf_counter_ns() - wall
    return _reply(threads, walls)


def _reply(threads_ns: list[int], walls_ns: list[int]) -> Reply:
    return {
        "thread_us": [value / 1_000 for value in threads_ns],
        "wall_us": [value / 1_000 for value in walls_ns],
        "process_us": time.process_time_ns() / 1_000,
        "rss_mib": rss_mib(),
    }


def rss_mib() -> float:
    """Resident memory of now, in MiB."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize() / 2**20


class Worker:
    """Obeys lines of ``<kind of call or "flush"> <count>``, each with a line of JSON."""

    def __init__(self, calls: Calls, flush: Callable[[], Any]) -> None:
        self._calls = calls
        self._flush = flush
        self._loop = asyncio.new_event_loop()

    def obey(self, kind: str, count: int) -> Reply:
        """Do what a line says."""
        if kind == "flush":
            return measure(self._flush, 1)
        call = getattr(self._calls, kind)
        if kind.startswith("async_"):
            return self._loop.run_until_complete(measure_async(call, count))
        return measure(call, count)


def main() -> None:
    """Start the library, then obey until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=sorted(STARTERS))
    parser.add_argument("--provider", required=True)
    parser.add_argument("--collector", required=True)
    options = parser.parse_args()
    Calls(options.provider).chat()
    started = time.perf_counter()
    flush = STARTERS[options.library](options.collector)
    start_s = time.perf_counter() - started
    worker = Worker(Calls(options.provider), flush)
    worker.obey("chat", 5)
    gc.collect()
    print(json.dumps({"start_s": start_s, "rss_mib": rss_mib()}), flush=True)
    for line in sys.stdin:
        kind, count = line.split()
        print(json.dumps(worker.obey(kind, int(count))), flush=True)


if __name__ == "__main__":
    main()
