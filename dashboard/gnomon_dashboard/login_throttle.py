"""Slows down guessing of passwords, by user name and by client address, in all processes together."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.login_attempts import Failures, count_attempt, failures

FREE_FAILURES: Final = 5
FIRST_WAIT_S: Final = 5.0
LONGEST_WAIT_S: Final = 900.0


def wait_s(failed: Iterable[Failures]) -> float:
    """Return for how many seconds no attempt is let through; 0 when one may try.

    From the fifth failure in a row on, each doubles the wait, up to 15 minutes.
    """
    return max((_wait_after(each) for each in failed), default=0.0)


def _wait_after(failed: Failures) -> float:
    over = failed.count - FREE_FAILURES
    if over < 0:
        return 0.0
    return max(0.0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(over, 20)) - failed.since_s)


@dataclass
class LoginThrottle:
    """Lets attempts through, or says how long to wait."""

    store: Store
    _admitting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def admit(self, *keys: str) -> float:
        """Let an attempt through and return 0, or return for how many seconds none is let through.

        An attempt counts as failed from here on, until `succeeded`: a hundred sent at once are not all tried
        before the first has failed. Each further process can let one more slip through in the same instant.

        Raises:
            StoreError: the database does not answer; nobody is let in then.
        """
        async with self._admitting:
            left_s = wait_s(await asyncio.to_thread(failures, self.store, keys))
            if left_s == 0:
                await asyncio.to_thread(count_attempt, self.store, keys, is_success=False)
        return left_s

    async def succeeded(self, *keys: str) -> None:
        """Forget the failures.

        Raises:
            StoreError: the database does not answer.
        """
        await asyncio.to_thread(count_attempt, self.store, keys, is_success=True)
