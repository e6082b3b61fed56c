"""For tests of services that use Gnomon: spans in a list, no network, and faults that raise.

>>> from gnomon import testing
>>> with testing.capture() as captured:
...     answer = my_function()
>>> assert captured.span("my_function").attributes["gnomon.output"] == answer
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from gnomon._fixed import Fixed, use_ids
from gnomon._outbox import Score
from gnomon._runtime import runtime
from gnomon._spans import estimate_bytes
from gnomon._stats import Stats

__all__ = ["Captured", "capture"]


class Captured:
    """What was recorded, in the order it was finished."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.spans: list[ReadableSpan] = []
        self.scores: list[Score] = []
        self.dropped: dict[str, int] = {}

    def span(self, name: str) -> ReadableSpan:
        """Return the only span of that name; raises AssertionError when there is none or more than one."""
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, (
            f"{len(found)} spans are named {name!r}; there are {[s.name for s in self.spans]}"
        )
        return found[0]

    def put_span(self, span: ReadableSpan) -> None:
        """Take a finished span."""
        with self._lock:
            self.spans.append(span)

    def put_score(self, score: Score) -> None:
        """Take a score."""
        with self._lock:
            self.scores.append(score)

    def drop(self, reason: str) -> None:
        """Count something that could not be kept."""
        with self._lock:
            self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def flush(self, timeout_s: float) -> bool:
        """Nothing is ever outstanding."""
        return True

    def close(self, timeout_s: float) -> bool:
        """Nothing is ever lost."""
        return True

    def stats(self) -> Stats:
        """Return what is held."""
        return Stats(
            enabled=True,
            queued_spans=len(self.spans) + len(self.scores),
            queued_bytes=sum(map(estimate_bytes, self.spans)),
            dropped=dict(self.dropped),
        )


@contextmanager
def capture(*, fixed: bool = False, **settings: object) -> Iterator[Captured]:
    """Record into a list inside the block; what would be swallowed in production raises.

    A Gnomon that was running is stopped first and stays stopped afterwards.

    Args:
        fixed: the clock starts at 2026-01-01 00:00:00 UTC and is 1 ms later each time it is asked; trace
            and span ids are 1, 2, 3, … Spans are then the same in every run, for snapshots.
        settings: as for `gnomon.init`.
    """
    runtime.stop(0.0)
    captured = Captured()
    ids = getattr(trace.get_tracer_provider(), "id_generator", None) or RandomIdGenerator()
    was_raising, runtime.guard.raising = runtime.guard.raising, True
    try:
        runtime.start(settings, captured, Fixed() if fixed else None)
        yield captured
    finally:
        runtime.stop(0.0)
        if fixed:
            use_ids(trace.get_tracer_provider(), ids)
        runtime.guard.raising = was_raising
