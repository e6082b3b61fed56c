"""One answer for all who look at the same panel at the same time.

A page on many screens asks the same questions over and over. Who asks while the same question is being
answered, or was a moment ago, gets that answer. "The same" is the whole view and everything that decides what
a person may see, so that nothing passes between projects, or between people with different rights.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final

FRESH_S: Final = 2.5
"""How long an answer is given again, from when it was asked for; one under way is shared however old.

Half of the shortest refresh: a page that refreshes itself never gets the same answer twice.
"""

_LONGEST_FRESH_S: Final = 5.0


def fresh_s(refresh_s: float) -> float:
    """Return for how many seconds an answer is kept where pages refresh themselves so often (0: never).

    Half of that time, so that nobody gets the same twice; at most five, for who opens the page meanwhile.
    """
    return min(refresh_s / 2, _LONGEST_FRESH_S) if refresh_s else FRESH_S


@dataclass
class SharedAnswers:
    """Answers under way and just given. Of one event loop.

    Attributes:
        clock: in seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _asked: dict[Hashable, tuple[float, "asyncio.Task[Any]"]] = field(default_factory=dict)

    async def get(self, key: Hashable, answer: Callable[[], Awaitable[Any]], kept_s: float = FRESH_S) -> Any:
        """Return what `answer` comes to, or what it did for who asked with the same key.

        What it raises is raised to all who wait for it, and is not kept. Whoever leaves early stops nothing.

        Args:
            kept_s: seconds from when it was asked for, after which it is not given again.
        """
        self._forget_old()
        if key not in self._asked:
            self._asked[key] = (self.clock() + kept_s, asyncio.ensure_future(answer()))
        return await asyncio.shield(self._asked[key][1])

    def _forget_old(self) -> None:
        now = self.clock()
        self._asked = {
            key: (until, task)
            for key, (until, task) in self._asked.items()
            if not task.done() or (now < until and not task.cancelled() and task.exception() is None)
        }
