"""Streams as answers of a fallback: a candidate has answered when its first piece is there."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

_END: Final = object()


class StartedStream:
    """A stream of which the first piece was read already; otherwise the stream itself, in all respects."""

    def __init__(self, first: Any, rest: Any) -> None:
        self._first = first
        self._rest = rest

    def __iter__(self) -> "StartedStream":
        return self

    def __next__(self) -> Any:
        first, self._first = self._first, None
        if first is _END:
            self._first = _END
            raise StopIteration
        return next(self._rest) if first is None else first.piece

    def __aiter__(self) -> "StartedStream":
        return self

    async def __anext__(self) -> Any:
        first, self._first = self._first, None
        if first is _END:
            self._first = _END
            raise StopAsyncIteration
        return await anext(self._rest) if first is None else first.piece

    def __enter__(self) -> "StartedStream":
        self._rest.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._rest.__exit__(*error)

    async def __aenter__(self) -> "StartedStream":
        await self._rest.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._rest.__aexit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)


class _First:
    """Holds the first piece, which may be None."""

    __slots__ = ("piece",)

    def __init__(self, piece: Any) -> None:
        self.piece = piece


def started(answer: Any) -> Any:
    """Return the answer; of a stream, read the first piece, so that what fails does so now."""
    if not isinstance(answer, Iterator):
        return answer
    piece = next(answer, _END)
    return StartedStream(_END if piece is _END else _First(piece), answer)


async def started_async(answer: Any) -> Any:
    """Like `started`, of an asynchronous stream too."""
    if not isinstance(answer, AsyncIterator):
        return started(answer)
    piece = await anext(answer, _END)
    return StartedStream(_END if piece is _END else _First(piece), answer)
