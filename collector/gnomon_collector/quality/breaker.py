"""A breaker: after several failures in a row nothing is tried for a while, then one call at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_LONGEST_PAUSE_S: Final = 300.0


class Breaker:
    """Not for several threads: the judge's calls run in one event loop.

    Args:
        failures: so many in a row open it.
        pause_s: how long it stays open the first time; doubled each time it opens again, up to 5 minutes.
        clock: seconds, monotonic.
    """

    def __init__(
        self, failures: int = 5, pause_s: float = 5.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failures
        self._first_pause_s = pause_s
        self._pause_s = pause_s
        self._clock = clock
        self._failures = 0
        self._open_until_s = 0.0
        self.reason = ""

    @property
    def waits_s(self) -> float:
        """Seconds until something may be tried again; 0 when it may now."""
        return max(0.0, self._open_until_s - self._clock())

    @property
    def is_probing(self) -> bool:
        """Whether it was open and no call has succeeded since: then one call at a time is enough."""
        return self._failures >= self._limit

    def succeeded(self) -> None:
        """Note that a call was answered."""
        self._failures, self._pause_s, self.reason = 0, self._first_pause_s, ""

    def failed(self, reason: str, *, hopeless: bool = False) -> None:
        """Note that a call was not answered; `hopeless` opens at once, as for a wrong key."""
        if self.waits_s > 0:
            return
        self._failures = max(self._limit, self._failures + 1) if hopeless else self._failures + 1
        if self._failures >= self._limit:
            self.reason = reason
            self._open_until_s = self._clock() + self._pause_s
            self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
