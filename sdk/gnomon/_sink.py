"""Where finished spans and scores go: the exporter, or a list in tests."""

from typing import TYPE_CHECKING, Protocol

from gnomon._outbox import Score
from gnomon._stats import Stats

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


class Sink(Protocol):
    """Takes spans and scores without blocking."""

    def put_span(self, span: "ReadableSpan") -> None:
        """Take a finished span."""

    def put_score(self, score: Score) -> None:
        """Take a score."""

    def drop(self, reason: str) -> None:
        """Count something that could not even be queued."""

    def flush(self, timeout_s: float) -> bool:
        """Send what is queued; returns whether it was settled in time."""

    def close(self, timeout_s: float) -> bool:
        """Send what is left and take nothing more; returns whether nothing was lost."""

    def stats(self) -> Stats:
        """Return the counters of now."""
