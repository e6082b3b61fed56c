"""`gnomon.check_stream`: checks that follow a stream, which passes on at once."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Literal

from gnomon._checks import acheck, check, current_ids, record
from gnomon._checks_types import Check, CheckFailedError, CheckResult, Feed, Outcome
from gnomon._runtime import runtime

_MAX_KEPT_CHARS: Final = 1_000_000


def check_stream(
    chunks: Any,
    *checks: Check,
    on_fail: Literal["record", "raise"] = "record",
    text: Callable[[Any], str] | None = None,
) -> Any:
    """Pass a stream on, piece by piece, and check it meanwhile; the outcome is recorded at its end.

    Checks that know early (`json`, `max_length`, `forbidden`, `language`) fail while it runs, the others at
    its end. Nothing is held back.

    Args:
        chunks: an iterable or async iterable of texts, or of chunks as openai and LangChain stream them.
        checks: of `gnomon.checks`.
        on_fail: ``"raise"`` ends the stream with `CheckFailedError`, before the piece that made it fail.
        text: how to get the text of a chunk, for other chunks.

    Returns:
        A generator, or an async generator, of the same chunks.
    """
    watch = _Watch(checks, on_fail == "raise", text or text_of_chunk)
    return _pass_on_async(chunks, watch) if isinstance(chunks, AsyncIterable) else _pass_on(chunks, watch)


def text_of_chunk(chunk: Any) -> str:
    """Return the text in a chunk of a stream, "" for one without."""
    if isinstance(chunk, str):
        return chunk
    choices = getattr(chunk, "choices", None)
    if choices is not None:
        delta = getattr(choices[0], "delta", None) if choices else None
        return getattr(delta, "content", None) or ""
    content = getattr(chunk, "content", None) or getattr(chunk, "delta", None)
    return content if isinstance(content, str) else ""


class _Watch:
    """What the checks know of a stream so far."""

    def __init__(self, checks: Sequence[Check], raises: bool, text: Callable[[Any], str]) -> None:
        self.checks = checks
        self.raises = raises
        self._text = text
        self._feeds: list[Feed | None] = [None if made.feed is None else made.feed() for made in checks]
        self._early: dict[int, Outcome] = {}
        self._parts: list[str] = []
        self._kept_chars = 0

    def take(self, chunk: Any) -> bool:
        """Look at a chunk; returns whether the stream is to be ended before it."""
        with runtime.guard.harmless("checking a stream"):
            piece = self._text(chunk)
            if piece:
                self._keep(piece)
                self._feed(piece)
        return self.raises and bool(self._early)

    def early_result(self) -> CheckResult:
        """What failed while the stream ran."""
        return CheckResult(tuple(self._early.values()))

    def early_checks(self) -> list[Check]:
        """The checks of `early_result`."""
        return [self.checks[index] for index in self._early]

    def late_checks(self) -> list[Check]:
        """The checks that are still to be made, of the whole text."""
        return [made for index, made in enumerate(self.checks) if index not in self._early]

    def whole_text(self) -> str:
        """Everything that came, up to a bound."""
        return "".join(self._parts)

    def _keep(self, piece: str) -> None:
        if self._kept_chars < _MAX_KEPT_CHARS:
            self._parts.append(piece)
            self._kept_chars += len(piece)

    def _feed(self, piece: str) -> None:
        for index, feed in enumerate(self._feeds):
            problem = feed(piece) if feed is not None and index not in self._early else ""
            if problem:
                self._early[index] = Outcome(self.checks[index].name, False, problem, None)


def _pass_on(chunks: Iterable[Any], watch: _Watch) -> Iterator[Any]:
    try:
        for chunk in chunks:
            if watch.take(chunk):
                # Closed first: the call ends then, and the outcome is recorded on it.
                _close(chunks)
                raise CheckFailedError(watch.early_result())
            yield chunk
    finally:
        # Also of a stream that the consumer left, or that broke: what failed by then has failed.
        record(watch.early_result(), watch.early_checks(), current_ids())
    late = check(watch.whole_text(), *watch.late_checks())
    if watch.raises and not late:
        raise CheckFailedError(late)


async def _pass_on_async(chunks: AsyncIterable[Any], watch: _Watch) -> AsyncIterator[Any]:
    try:
        async for chunk in chunks:
            if watch.take(chunk):
                await _close_async(chunks)
                raise CheckFailedError(watch.early_result())
            yield chunk
    finally:
        record(watch.early_result(), watch.early_checks(), current_ids())
    late = await acheck(watch.whole_text(), *watch.late_checks())
    if watch.raises and not late:
        raise CheckFailedError(late)


def _close(chunks: Any) -> None:
    with runtime.guard.harmless("closing a stream"):
        close = getattr(chunks, "close", None)
        if callable(close):
            close()


async def _close_async(chunks: Any) -> None:
    with runtime.guard.harmless("closing a stream"):
        close = getattr(chunks, "aclose", None) or getattr(chunks, "close", None)
        if callable(close):
            await close()
