"""A streamed answer, watched on its way: every chunk goes on at once, unchanged.

The client's own stream object is kept, so that the host's ``isinstance``, ``close`` and ``with`` work as
ever; only the iterator inside of it is replaced.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final

from gnomon._guard import Guard
from gnomon._model_call import ModelCall
from gnomon._openai_content import dumped, output_message, tool_call
from gnomon._openai_fields import Reading, chat_attributes, fields_of
from gnomon_schemas import attributes as names

_MAX_TOOL_CALLS: Final = 128
_TEXTS: Final = ("content", "refusal", "reasoning_content", "reasoning")


class StreamRecord:
    """A stream on its way: its speed and how it ended; those below also keep what it says."""

    def __init__(self, call: ModelCall, guard: Guard, reading: Reading) -> None:
        self._call = call
        self._guard = guard
        self._reading = reading
        self._texts: dict[tuple[int, str], list[str]] = {}
        self._reasons: dict[int, str] = {}
        self._tools: dict[Any, Any] = {}
        self._chars = 0
        self._complete = False
        self._ended = False

    def add(self, chunk: Any) -> None:
        """Take note of a chunk; never raises."""
        try:
            self._add(chunk)
        except Exception as error:
            self._guard.report("reading a chunk", error)

    def end(self, error: BaseException | None = None) -> None:
        """Record how it ended: well, by an error, or given up by the consumer (GeneratorExit)."""
        if self._ended:
            return
        self._ended = True
        try:
            if error is not None:
                self._call.fail(error)
            self._finish()
        except Exception as fault:
            self._guard.report("recording a stream", fault)
        finally:
            self._call.end()

    def _add(self, chunk: Any) -> None:
        self._call.token()

    def _finish(self) -> None:
        """Add what was said to the call's attributes."""

    def _keep(self, key: tuple[int, str], text: str) -> None:
        if self._reading.content and self._chars <= self._reading.max_chars:
            self._chars += len(text)
            self._texts.setdefault(key, []).append(text)


class ChatStream(StreamRecord):
    """What a streamed chat completion has said so far: texts, tool calls, usage, and why it ended."""

    def _add(self, chunk: Any) -> None:
        attributes = self._call.attributes
        if not attributes or chunk.usage is not None:
            attributes.update(chat_attributes(chunk))
        for choice in chunk.choices or ():
            if choice.finish_reason:
                self._reasons[choice.index] = choice.finish_reason
            if choice.delta is not None:
                self._add_delta(choice.index, fields_of(choice.delta))

    def _add_delta(self, index: int, delta: Mapping[str, Any]) -> None:
        for kind in _TEXTS:
            text = delta.get(kind)
            if text and isinstance(text, str):
                self._call.token()
                self._keep((index, kind), text)
        for piece in delta.get("tool_calls") or ():
            self._call.token()
            self._keep_tool(index, piece)

    def _keep_tool(self, index: int, piece: Any) -> None:
        is_full = len(self._tools) >= _MAX_TOOL_CALLS or self._chars > self._reading.max_chars
        if is_full or not self._reading.content:
            return
        known = self._tools.setdefault((index, piece.index), [None, None, []])
        known[0] = known[0] or piece.id
        if piece.function is not None:
            known[1] = known[1] or piece.function.name
            known[2].append(piece.function.arguments or "")
            self._chars += len(piece.function.arguments or "")

    def _finish(self) -> None:
        attributes = self._call.attributes
        if self._reasons:
            attributes[names.FINISH_REASONS] = tuple([reason for _, reason in sorted(self._reasons.items())])
        indexes = sorted({index for index, _ in self._texts} | {index for index, _ in self._tools})
        if self._reading.content and indexes:
            messages = [self._message(index) for index in indexes]
            attributes[names.OUTPUT_MESSAGES] = dumped(messages, self._reading.max_chars)

    def _message(self, index: int) -> dict[str, Any]:
        parts = [
            {"type": "reasoning" if kind.startswith("reasoning") else "text", "content": "".join(texts)}
            for (at, kind), texts in self._texts.items()
            if at == index
        ]
        parts += [
            tool_call(call_id, name, "".join(pieces))
            for (at, _), (call_id, name, pieces) in self._tools.items()
            if at == index
        ]
        return output_message(parts, self._reasons.get(index))


def watch(stream: Any, record: StreamRecord) -> bool:
    """Watch a ``Stream`` or ``AsyncStream`` from inside; returns False for what is none."""
    inner: Any = getattr(stream, "_iterator", None)
    if hasattr(inner, "__anext__"):
        stream._iterator = _watched_async(inner, record)
        stream.close = _closing_async(stream.close, record)
        return True
    if hasattr(inner, "__next__"):
        stream._iterator = _watched(inner, record)
        stream.close = _closing(stream.close, record)
        return True
    return False


def _watched(inner: Iterator[Any], record: StreamRecord) -> Iterator[Any]:
    try:
        for chunk in inner:
            record.add(chunk)
            yield chunk
    except BaseException as error:
        record.end(error)
        raise
    record.end()


async def _watched_async(inner: AsyncIterator[Any], record: StreamRecord) -> AsyncIterator[Any]:
    try:
        async for chunk in inner:
            record.add(chunk)
            yield chunk
    except BaseException as error:
        record.end(error)
        raise
    record.end()


def _closing(close: Callable[[], Any], record: StreamRecord) -> Callable[[], Any]:
    def closing() -> Any:
        record.end(GeneratorExit())
        return close()

    return closing


def _closing_async(close: Callable[[], Any], record: StreamRecord) -> Callable[[], Any]:
    async def closing() -> Any:
        record.end(GeneratorExit())
        return await close()

    return closing
