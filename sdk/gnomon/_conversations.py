"""Which conversation a response goes on: the provider only says which response came before it."""

from typing import Final

_MOST: Final = 10_000


class Conversations:
    """The first response of the chain each response belongs to, as far as this process saw it grow.

    A conversation is named after its first response. Only the last 10,000 responses are remembered; what goes
    on from an older one starts a conversation of its own.
    """

    def __init__(self) -> None:
        self._firsts: dict[str, str] = {}

    def of(self, previous_id: str) -> str:
        """Return the conversation of what goes on from a response."""
        return self._firsts.get(previous_id, previous_id)

    def grow(self, previous_id: str, response_id: str) -> None:
        """Note that one response goes on from another."""
        self._firsts[response_id] = self.of(previous_id)
        while len(self._firsts) > _MOST:
            self._firsts.pop(next(iter(self._firsts)), None)
