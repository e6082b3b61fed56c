"""`gnomon.span`: a step of your own in the trace, and what can be said about it."""

import traceback
from collections.abc import Mapping
from os import getpid
from types import TracebackType
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from gnomon import _values
from gnomon._errors import UsageError
from gnomon._runtime import runtime
from gnomon._scope import Scope
from gnomon_schemas import attributes as names

_MAX_MESSAGE_CHARS: Final = 4_096
_MAX_STACK_CHARS: Final = 16_384


class SpanHandle:
    """Context manager made by `span`; its methods never raise and do nothing while Gnomon is not running."""

    def __init__(self, name: str, kind: str, attributes: Mapping[str, object] | None) -> None:
        self._name = name
        self._kind = kind
        self._attributes = attributes
        self._span: trace.Span = trace.INVALID_SPAN
        self._scope: Scope | None = None
        self._pid = 0

    @property
    def trace_id(self) -> str | None:
        """The trace id as 32 hex digits; None when nothing is recorded."""
        return hex_trace_id(self._span)

    @property
    def span_id(self) -> str | None:
        """The span id as 16 hex digits; None when nothing is recorded."""
        return hex_span_id(self._span)

    @property
    def recording(self) -> bool:
        """Whether anything said here is kept."""
        return self._span.is_recording()

    def set_attribute(self, key: str, value: object) -> None:
        """Attach a value: scalars and flat lists as they are, anything else as JSON text."""
        with runtime.guard.harmless("set_attribute"):
            if value is not None and self.recording:
                self._span.set_attribute(key, _values.to_attribute(value, _max_value_chars()))

    def set_input(self, value: object) -> None:
        """Record what goes into this step, unless content capture is off."""
        self._set_content(names.INPUT, value)

    def set_output(self, value: object) -> None:
        """Record what comes out of this step, unless content capture is off."""
        self._set_content(names.OUTPUT, value)

    def record_error(self, error: BaseException) -> None:
        """Mark this step as failed (or cancelled) without raising."""
        with runtime.guard.harmless("record_error"):
            if self.recording:
                self._record_error(error)

    def start(self) -> None:
        """Start the span without making it current; `resume` and `pause` do that."""
        with runtime.guard.harmless("starting a span"):
            client = runtime.client
            if client is None:
                return
            self._pid = getpid()
            self._span = client.tracer.start_span(
                _values.safe_str(self._name),
                attributes={names.KIND: _checked_kind(self._kind)},
                record_exception=False,
                set_status_on_exception=False,
            )
            for key, value in (self._attributes or {}).items():
                self.set_attribute(key, value)

    def resume(self) -> None:
        """Make this span the current one; a generator does so before each of its steps."""
        with runtime.guard.harmless("entering a span"):
            if self._span is not trace.INVALID_SPAN:
                self._scope = Scope(trace.set_span_in_context(self._span))

    def pause(self) -> None:
        """Make the span before this one current again."""
        with runtime.guard.harmless("leaving a span"):
            scope, self._scope = self._scope, None
            if scope is not None:
                scope.leave()

    def end(self) -> None:
        """End the span."""
        with runtime.guard.harmless("ending a span"):
            # After a fork the parent sends it; the child's copy would be a second span of the same id.
            if self.recording and getpid() == self._pid:
                self._span.end()

    def __enter__(self) -> "SpanHandle":
        self.start()
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.record_error(error)
        self.pause()
        self.end()

    def _set_content(self, key: str, value: object) -> None:
        with runtime.guard.harmless("capturing a value"):
            client = runtime.client
            if client is not None and client.captures_content and self.recording:
                self._span.set_attribute(key, _values.to_text(value, client.settings.max_value_chars))

    def _record_error(self, error: BaseException) -> None:
        if not isinstance(error, Exception):
            # CancelledError, GeneratorExit, KeyboardInterrupt: somebody stopped it, it did not fail.
            self._span.set_attribute(names.STATUS, "cancelled")
            return
        kind = type(error)
        error_type = (
            kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        )
        message = _values.clip(_values.safe_str(error), _MAX_MESSAGE_CHARS)
        self._span.set_attribute(names.ERROR_TYPE, error_type)
        self._span.set_status(Status(StatusCode.ERROR, message))
        stack = "".join(traceback.format_exception(error, limit=-20))
        self._span.add_event(
            "exception",
            {
                "exception.type": error_type,
                "exception.message": message,
                "exception.stacktrace": stack[-_MAX_STACK_CHARS:],
            },
        )


def span(name: str, kind: str = "step", attributes: Mapping[str, object] | None = None) -> SpanHandle:
    """Record the ``with`` block as a span.

    Args:
        name: what it is called in the trace.
        kind: one of `gnomon_schemas.attributes.SPAN_KINDS`: step, retrieval, tool, agent, workflow …
        attributes: further attributes to set at the start.

    Returns:
        A context manager that yields itself: `SpanHandle`, with ``set_input``, ``set_output``,
        ``set_attribute``, ``trace_id`` and ``span_id``. Exceptions of the block are recorded and go on.
    """
    return SpanHandle(name, kind, attributes)


def current_trace_id() -> str | None:
    """Return the current trace's id as 32 hex digits, for a later `gnomon.feedback`; None outside of any."""
    return hex_trace_id(trace.get_current_span())


def hex_trace_id(span: trace.Span) -> str | None:
    """Return a span's trace id as text; None for the span that stands for "no span"."""
    context = span.get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def hex_span_id(span: trace.Span) -> str | None:
    """Return a span's id as text; None for the span that stands for "no span"."""
    context = span.get_span_context()
    return trace.format_span_id(context.span_id) if context.is_valid else None


def _checked_kind(kind: str) -> str:
    if kind in names.SPAN_KINDS:
        return kind
    with runtime.guard.harmless("starting a span"):
        raise UsageError(f"kind must be one of {', '.join(names.SPAN_KINDS)}")
    return "other"


def _max_value_chars() -> int:
    client = runtime.client
    return client.settings.max_value_chars if client is not None else 0
