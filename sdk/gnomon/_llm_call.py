"""`gnomon.llm_call`: calls of models that no instrumentor knows, such as your own server over HTTP."""

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from gnomon import _values
from gnomon._openai_content import dumped, output_message
from gnomon._openai_fields import input_content
from gnomon._plain_messages import written
from gnomon._runtime import runtime
from gnomon._span import SpanHandle
from gnomon_schemas import attributes as names

T = TypeVar("T")
_PARAMETERS: Final = "gen_ai.request."


class LlmCall(SpanHandle):
    """The span of a call of a model; made by `llm_call`."""

    def __init__(self, name: str, attributes: Mapping[str, object]) -> None:
        super().__init__(name, "generation", attributes)
        self._started_s = 0.0
        self._first_s: float | None = None
        self._last_s = 0.0
        self._streams = False
        self._texts: list[str] = []
        self._chars = 0

    def start(self) -> None:
        """Start the span, and the clock of the time to first token."""
        self._started_s = time.perf_counter()
        super().start()

    def token(self) -> None:
        """Say that a piece of the answer arrived; `stream` does so by itself."""
        self._last_s = time.perf_counter()
        if self._first_s is None:
            self._first_s = self._last_s
            self.set_attribute(names.TIME_TO_FIRST_CHUNK_S, self._first_s - self._started_s)
            self.set_attribute(names.STREAM, True)

    def stream(self, pieces: Iterable[T], text: Callable[[T], str] | None = None) -> Iterator[T]:
        """Pass on the pieces of a streamed answer, each at once, and record what they say.

        Args:
            pieces: what the server streams.
            text: returns the text of a piece; a piece that is text needs none.
        """
        self._streams = True
        for piece in pieces:
            self._piece(piece, text)
            yield piece
        self._finish_stream()

    async def astream(
        self, pieces: AsyncIterable[T], text: Callable[[T], str] | None = None
    ) -> AsyncIterator[T]:
        """`stream` for an asynchronous stream."""
        self._streams = True
        async for piece in pieces:
            self._piece(piece, text)
            yield piece
        self._finish_stream()

    def set_answer(
        self,
        text: str | None = None,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        finish_reason: str | None = None,
        model: str | None = None,
        response_id: str | None = None,
    ) -> None:
        """Record the answer. What the server does not report is left out, never guessed.

        Args:
            text: what the model said; for a stream it is known already.
            input_tokens: tokens of the request, cached ones included.
            output_tokens: tokens of the answer, reasoning included.
            cache_read_tokens: of the input tokens, those read from the provider's cache.
            reasoning_tokens: of the output tokens, those spent on reasoning.
            finish_reason: ``stop``, ``length``, ``tool_calls``, ``content_filter``.
            model: model that answered, when it is not the one that was asked.
            response_id: the server's id of the answer.
        """
        given = {
            names.INPUT_TOKENS: input_tokens,
            names.OUTPUT_TOKENS: output_tokens,
            names.CACHE_READ_TOKENS: cache_read_tokens,
            names.REASONING_TOKENS: reasoning_tokens,
            names.RESPONSE_MODEL: model,
            names.RESPONSE_ID: response_id,
            names.FINISH_REASONS: None if finish_reason is None else [finish_reason],
        }
        for key, value in given.items():
            self.set_attribute(key, value)
        self._streams = False
        if text is not None:
            self._set_text(text, finish_reason)
        if output_tokens is not None:
            self._set_speed(output_tokens)

    def end(self) -> None:
        """End the span; a stream that was not read to its end shows what it said."""
        if self._streams and self.recording:
            self.set_attribute(names.STATUS, "cancelled")
            self._set_text("".join(self._texts), "cancelled")
        super().end()

    def _piece(self, piece: Any, text: Callable[[Any], str] | None) -> None:
        with runtime.guard.harmless("recording a piece of a stream"):
            said = piece if text is None else text(piece)
            if isinstance(said, str) and said:
                self.token()
                if self._chars < _max_chars():
                    self._chars += len(said)
                    self._texts.append(said)

    def _finish_stream(self) -> None:
        with runtime.guard.harmless("recording a stream"):
            self._streams = False
            if self._texts:
                self._set_text("".join(self._texts), "stop")
                self._texts.clear()

    def _set_text(self, text: str, finish_reason: str | None) -> None:
        with runtime.guard.harmless("recording an answer"):
            client = runtime.client
            if client is not None and client.captures_content and self.recording:
                message = output_message([{"type": "text", "content": text}], finish_reason or "stop")
                self.set_attribute(names.OUTPUT_MESSAGES, dumped([message], client.settings.max_value_chars))

    def _set_speed(self, output_tokens: int) -> None:
        if self._first_s is not None and output_tokens > 1 and self._last_s > self._first_s:
            speed = (output_tokens - 1) / (self._last_s - self._first_s)
            self.set_attribute(names.TOKENS_PER_SECOND, speed)


def llm_call(
    model: str,
    *,
    provider: str = "self-hosted",
    messages: object = None,
    operation: str = "chat",
    parameters: Mapping[str, object] | None = None,
    server: str | None = None,
) -> LlmCall:
    """Record the ``with`` block as one call of a model.

    For models no instrumentor knows: your own Falcon or Alpaca server, a client of your own. Exceptions of
    the block are recorded and go on; a stream that the block gives up half-way is recorded as cancelled.

    Args:
        model: model that is asked.
        provider: who serves it; prices are looked up by provider and model.
        messages: a list of messages as OpenAI takes them, or the prompt as text; recorded where content is.
        operation: ``chat`` or ``text_completion``.
        parameters: ``temperature``, ``max_tokens``, … each as ``gen_ai.request.<name>``.
        server: address of the server.

    Returns:
        A context manager as of `gnomon.span`, with ``set_answer``, ``stream``, ``astream``, ``token``.
    """
    attributes: dict[str, object] = {}
    with runtime.guard.harmless("llm_call"):
        attributes = {
            names.OPERATION_NAME: operation,
            names.PROVIDER_NAME: provider,
            names.REQUEST_MODEL: _values.safe_str(model),
            **{_PARAMETERS + _values.safe_str(key): value for key, value in (parameters or {}).items()},
        }
        if server is not None:
            attributes["server.address"] = server
        attributes.update(_input(messages))
    return LlmCall(f"{operation} {_values.safe_str(model)}", attributes)


def _input(messages: object) -> dict[str, Any]:
    client = runtime.client
    if client is None or not client.captures_content or messages is None:
        return {}
    listed = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return written(input_content({"messages": listed}, client.settings.max_value_chars))


def _max_chars() -> int:
    client = runtime.client
    return client.settings.max_value_chars if client is not None else 0
