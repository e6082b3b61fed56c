"""One answer for all who look at the same panel at the same time.

A page on many screens asks the same questions over and over. Who asks while the same question is being
answered, or was a moment ago, gets that answer. One that is some seconds old is given as well, and asked for
anew meanwhile, so that of many viewers hardly one waits. "The same" is the whole view and everything that
decides what a person may see: nothing passes between projects, or between people with different rights.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Keep:
    """For how long an answer is given again, in seconds from when it was asked for; one under way is shared
    however old.

    Attributes:
        fresh_s: so long it is given, and nothing else happens.
        usable_s: so long it is given, and asked for anew meanwhile: the one who comes does not wait.
    """

    fresh_s: float = 2.5
    usable_s: float = 2.5


BRIEFLY: Final = Keep()
"""Half of the shortest refresh."""

_LONGEST: Final = Keep(5.0, 9.0)


def keep(refresh_s: float) -> Keep:
    """Return how answers are kept where pages refresh themselves so often, in seconds (0: never).

    Shorter than that time, so that nobody gets the same twice, and by seconds at most, for who opens the page
    meanwhile.
    """
    if not refresh_s:
        return BRIEFLY
    return Keep(min(0.5 * refresh_s, _LONGEST.fresh_s), min(0.9 * refresh_s, _LONGEST.usable_s))


@dataclass
class _Asked:
    """A question that was asked, and once more where its answer grew old."""

    at_s: float
    keep: Keep
    task: "asyncio.Task[Any]"
    anew: "_Asked | None" = None

    def is_given(self, now_s: float) -> bool:
        """Whether who comes now waits for this, or gets it."""
        return not self.task.done() or (now_s < self.at_s + self.keep.usable_s and self.is_good())

    def is_good(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None


@dataclass
class SharedAnswers:
    """Answers under way and just given. Of one event loop.

    Attributes:
        clock: in seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _asked: dict[Hashable, _Asked] = field(default_factory=dict)

    async def get(self, key: Hashable, answer: Callable[[], Awaitable[Any]], kept: Keep = BRIEFLY) -> Any:
        """Return what `answer` comes to, or what it did for who asked with the same key.

        What it raises is raised to all who wait for it, and is not kept. Whoever leaves early stops nothing.

        Args:
            kept: how long it is given again.
        """
        self._forget_old()
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = self._ask(answer, kept)
        elif asked.anew is None and asked.is_good() and self.clock() >= asked.at_s + asked.keep.fresh_s:
            asked.anew = self._ask(answer, kept)
        return await asyncio.shield(asked.task)

    def _ask(self, answer: Callable[[], Awaitable[Any]], kept: Keep) -> _Asked:
        return _Asked(self.clock(), kept, asyncio.ensure_future(answer()))

    def _forget_old(self) -> None:
        """Put the newer answer in the place of the older where it came, or where the older is too old."""
        now_s = self.clock()
        for key, asked in list(self._asked.items()):
            anew = asked.anew
            if anew is not None and (anew.is_good() or not asked.is_given(now_s)):
                self._asked[key] = asked = anew
            elif anew is not None and anew.task.done():
                asked.anew = None  # it failed: whoever comes next asks again
            if not asked.is_given(now_s):
                del self._asked[key]
