"""OpenTelemetry span processor: stamps the session on starting spans, hands finished ones to the sink."""

from dataclasses import dataclass

from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from gnomon._checks_target import note_call
from gnomon._guard import Guard
from gnomon._session import current_stamp
from gnomon._sink import Sink
from gnomon._spans import is_genai


@dataclass(frozen=True, slots=True)
class _Connection:
    sink: Sink
    export_all_spans: bool
    timeout_s: float


class GnomonSpanProcessor(SpanProcessor):
    """Runs inside the host's calls, so it does little and never raises.

    OpenTelemetry cannot take a processor off a provider: this one is connected to a sink and
    disconnected from it, and costs nothing in between.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._connection: _Connection | None = None

    def connect(self, sink: Sink, export_all_spans: bool, timeout_s: float) -> None:
        """Send finished spans to ``sink`` from now on; ``timeout_s`` bounds its closing."""
        self._connection = _Connection(sink, export_all_spans, timeout_s)

    def disconnect(self) -> None:
        """Do nothing from now on."""
        self._connection = None

    def on_start(self, span: Span, parent_context: otel_context.Context | None = None) -> None:
        """Stamp the session around this point on the span."""
        if self._connection is None:
            return
        try:
            stamp = current_stamp(parent_context)
            if stamp is not None:
                span.set_attributes(stamp.attributes)
        except Exception as error:
            self._guard.report("stamping a span", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span if it is Gnomon's business."""
        connection = self._connection
        if connection is None or span.context is None or not span.context.trace_flags.sampled:
            return
        try:
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
