"""What the services of all SDKs share. Runs in the SDK's environment and imports nothing of Gnomon."""

from __future__ import annotations

import gc
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SYSTEM = (
    "You are the assistant of a shop for rain clothes. Answer in one or two sentences, in the language of the question. "
    "Returns are accepted within 14 days, unworn, with the receipt; shipping abroad takes five to nine working days and "
    "costs 12 euros; jackets come in sizes XS to XXL, trousers by waist and length. Never promise a refund that the rules "
    "do not give; never ask for a card number; offer the number of the office when somebody is angry. Repairs of zips are "
    "free in the first two years, patches are sold at the counter, and wax for cotton is sold in tins of 200 grams only."
)
QUESTION = "How do I return my rain jacket?"
QUESTION_RU = "Здравствуйте! Как вернуть дождевик, если он не подошёл?"
SYSTEM_RU = "Отвечай кратко и вежливо."
ORDER = "Where is my order A-1001?"
SESSION, USER = "session-7", "user-42"


class Stage:
    """Where a service plays its scenarios.

    Attributes:
        url: base of the OpenAI-compatible API
    """

    def __init__(self, provider_url: str) -> None:
        self.url = f"{provider_url}/v1"
        self._root = provider_url
        self.flush: Callable[[], Any] = lambda: None

    @contextmanager
    def scene(self, name: str) -> Iterator[None]:
        """Play one scenario; an exception ends it, as it would end a request of the service."""
        with urllib.request.urlopen(urllib.request.Request(f"{self._root}/scenario/{name}", method="POST")):
            pass
        try:
            yield
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
        gc.collect()
        time.sleep(0.3)
        self.flush()
        time.sleep(0.2)


def otel_provider() -> Any:
    """Set up the plain OpenTelemetry SDK by OTEL_* variables and return its tracer provider."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def otel_logs() -> Any:
    """The same of log records; returns the logger provider."""
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    set_logger_provider(provider)
    return provider


def flush_of(*providers: Any) -> Callable[[], Any]:
    """Return what flushes all of them."""
    return lambda: [provider.force_flush() for provider in providers]
