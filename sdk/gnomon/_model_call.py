"""The span of one call of a model, from the request to the answer or the end of its stream.

Made to cost little: one span, its attributes set at once at the end, no locks of its own.
"""

import time
from os import getpid
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.trace import Status, StatusCode

from gnomon import _values
from gnomon._call_span import CallSpan, start_call_span
from gnomon._plain_messages import written
from gnomon._scope import Scope
from gnomon_schemas import attributes as names

_MAX_MESSAGE_CHARS: Final = 4_096
ERROR_MESSAGE: Final = "error.message"
"""Attribute of an answer that says itself that it failed; it becomes the span's status."""


class ModelCall:
    """A span under way. Nothing here is guarded: the caller keeps faults from the host.

    Attributes:
        attributes: what is known of the answer, set on the span when it ends.
    """

    __slots__ = (
        "_around",
        "_ended",
        "_first_s",
        "_last_s",
        "_pid",
        "_scope",
        "_started_s",
        "attributes",
        "span",
    )

    def __init__(
        self, tracer: trace.Tracer, name: str, attributes: dict[str, Any], around: Context | None = None
    ) -> None:
        self.attributes: dict[str, Any] = {}
        self._pid = getpid()
        self._scope: Scope | None = None
        self._first_s: float | None = None
        self._last_s = 0.0
        self._ended = False
        self._started_s = time.perf_counter()
        self._around = get_current() if around is None else around
        self.span = start_call_span(tracer, name, attributes, self._around)

    def enter(self) -> None:
        """Make the span current."""
        self._scope = Scope(trace.set_span_in_context(self.span, self._around), self._around)

    def leave(self) -> None:
        """Make the span before it current again."""
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.leave()

    def token(self) -> None:
        """Note that a piece of the answer came; the first one is the time to first token."""
        self._last_s = time.perf_counter()
        if self._first_s is None:
            self._first_s = self._last_s

    def fail(self, error: BaseException) -> None:
        """Mark the call as failed, or as cancelled when somebody stopped it."""
        if not isinstance(error, Exception):
            self.attributes[names.STATUS] = "cancelled"
            return
        kind = type(error)
        self.attributes[names.ERROR_TYPE] = (
            kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        )
        status = getattr(error, "status_code", None)
        if type(status) is int:
            self.attributes["http.response.status_code"] = status
        message = _values.clip(_values.safe_str(error), _MAX_MESSAGE_CHARS)
        self._set_error(message)

    def end(self) -> None:
        """Set what is known and end the span; a second time does nothing."""
        if self._ended:
            return
        self._ended = True
        if self._first_s is not None:
            self._add_speed(self._first_s)
        if (said := self.attributes.pop(ERROR_MESSAGE, None)) is not None:
            self._set_error(said)
        # After a fork the parent sends it; the child's copy would be a second span of the same id.
        if getpid() == self._pid:
            if type(self.span) is CallSpan:
                self.span.add_known(self.attributes)
            else:
                self.span.set_attributes(written(self.attributes))
            self.span.end()

    def _set_error(self, message: str) -> None:
        self.span.set_status(Status(StatusCode.ERROR, message))

    def _add_speed(self, first_s: float) -> None:
        self.attributes[names.TIME_TO_FIRST_CHUNK_S] = first_s - self._started_s
        tokens = self.attributes.get(names.OUTPUT_TOKENS)
        streaming_s = self._last_s - first_s
        if isinstance(tokens, int) and tokens > 1 and streaming_s > 0:
            # The first token is what the time to first token measures: it is not part of the rate.
            self.attributes[names.TOKENS_PER_SECOND] = (tokens - 1) / streaming_s
