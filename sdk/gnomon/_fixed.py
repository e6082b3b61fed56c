"""A clock and ids that are the same in every run, for `gnomon.testing`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

_FIRST_NS: Final = 1_767_225_600_000_000_000
"""2026-01-01 00:00:00 UTC."""
_TICK_NS: Final = 1_000_000


class CountedIds(IdGenerator):
    """Trace and span ids 1, 2, 3, …"""

    def __init__(self) -> None:
        self._traces = count(1)
        self._spans = count(1)

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        return next(self._traces)

    def generate_span_id(self) -> int:
        """Return the next span id."""
        return next(self._spans)


def ticking_clock() -> Callable[[], int]:
    """Return a clock in ns that starts at 2026-01-01 and is 1 ms later each time it is asked."""
    ticks = count(_FIRST_NS, _TICK_NS)
    return lambda: next(ticks)


def use_ids(provider: object, ids: IdGenerator) -> None:
    """Have a provider, and the tracers it has handed out, take their ids from ``ids``."""
    if isinstance(provider, TracerProvider):
        holders: tuple[Any, ...] = (provider, *provider._tracers.values())
        for holder in holders:
            holder.id_generator = ids


@dataclass(frozen=True, slots=True)
class Fixed:
    """What replaces the real clock and the random ids."""

    clock: Callable[[], int] = field(default_factory=ticking_clock)
    ids: IdGenerator = field(default_factory=CountedIds)

    def use_ids_on(self, provider: object) -> None:
        """Have a provider and its tracers take their ids from here."""
        use_ids(provider, self.ids)
