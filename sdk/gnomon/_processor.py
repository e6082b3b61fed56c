"""OpenTelemetry span processor: stamps the session on starting spans, hands finished ones to the sink."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanContext

from gnomon._baggage import from_baggage
from gnomon._checks_target import note_call
from gnomon._guard import Guard
from gnomon._session import current_stamp
from gnomon._settings import Settings
from gnomon._sink import Sink
from gnomon._spans import is_genai

_TRACE_IDS: Final = 1 << 64
"""Sampling looks at the lower half of a trace id, as OpenTelemetry's ``TraceIdRatioBased`` does."""


@dataclass(frozen=True, slots=True)
class _Connection:
    sink: Sink
    export_all_spans: bool
    timeout_s: float
    takes_baggage: bool
    sample_bound: int
    clock: Callable[[], int] | None


class GnomonSpanProcessor(SpanProcessor):
    """Runs inside the host's calls, so it does little and never raises.

    OpenTelemetry cannot take a processor off a provider: this one is connected to a sink and
    disconnected from it, and costs nothing in between.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._connection: _Connection | None = None

    def connect(self, sink: Sink, settings: Settings, clock: Callable[[], int] | None = None) -> None:
        """Send finished spans to ``sink`` from now on; a ``clock`` (ns) replaces the real one, in tests."""
        self._connection = _Connection(
            sink,
            settings.export_all_spans,
            settings.exit_timeout_s,
            settings.baggage,
            round(settings.sample * _TRACE_IDS),
            clock,
        )

    def disconnect(self) -> None:
        """Do nothing from now on."""
        self._connection = None

    def on_start(self, span: Span, parent_context: otel_context.Context | None = None) -> None:
        """Stamp the session around this point on the span."""
        connection = self._connection
        if connection is None:
            return
        try:
            stamp = current_stamp(parent_context)
            if stamp is not None:
                span.set_attributes(stamp.attributes)
            elif connection.takes_baggage:
                span.set_attributes(from_baggage(parent_context))
            if connection.clock is not None:
                span._start_time = connection.clock()
        except Exception as error:
            self._guard.report("stamping a span", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span if it is Gnomon's business."""
        connection = self._connection
        context = span.context
        if connection is None or context is None or not context.trace_flags.sampled:
            return
        if connection.sample_bound < _TRACE_IDS and not _is_sampled(context, connection.sample_bound):
            return
        try:
            if connection.clock is not None:
                span._end_time = connection.clock()
            note_call(span)
            if connection.export_all_spans or is_genai(span):
                connection.sink.put_span(span)
        except Exception as error:
            self._guard.report("queueing a span", error)

    def shutdown(self) -> None:
        """Called by the provider's own shutdown; bounded by the exit timeout."""
        connection = self._connection
        if connection is not None:
            with self._guard.harmless("shutdown"):
                connection.sink.close(connection.timeout_s)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Called by the provider's own flush."""
        connection = self._connection
        return connection.sink.flush(timeout_millis / 1_000) if connection is not None else True


def _is_sampled(context: SpanContext, bound: int) -> bool:
    return context.trace_id & (_TRACE_IDS - 1) < bound
