"""Make an OpenTelemetry context current, and the one before it again."""

from contextvars import Token

from opentelemetry import context as otel_context


class Scope:
    """Like ``attach`` and ``detach``, but quiet when entered and left in different Python contexts.

    Web frameworks do that to generator dependencies; OpenTelemetry logs an error each time.
    """

    __slots__ = ("_before", "_inside", "_token")

    def __init__(self, inside: otel_context.Context, before: otel_context.Context | None = None) -> None:
        self._inside = inside
        self._before = otel_context.get_current() if before is None else before
        self._token: Token[otel_context.Context] = otel_context.attach(inside)

    def leave(self) -> None:
        """Make the context before this scope current again."""
        try:
            self._token.var.reset(self._token)
        except ValueError:
            # Another Python context: a copy of ours holds the same value, a foreign one is left alone.
            if otel_context.get_current() is self._inside:
                otel_context.attach(self._before)
