"""Chat completions in OpenAI's wire format: from a request's JSON to an answer's JSON, all pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import Any, Final, Self, TypeGuard

from gnomon_collector.demo.conversation import answer_from_tool, answer_to, tool_arguments
from gnomon_collector.demo.models import (
    Timing,
    count_tokens,
    draw_cached_tokens,
    draw_reasoning_tokens,
    draw_timing,
    profile_of,
)

_TOKENS_PER_MESSAGE: Final = 4
_WORDS_PER_CHUNK: Final = 3
_FINGERPRINT: Final = "fp_44709d6fcb"


class InvalidRequestError(ValueError):
    """The request body is not what the endpoint takes; the message says which field is wrong."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, its content reduced to text."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call."""

    name: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What the stand-in heeds of a `/v1/chat/completions` body."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        """Parse a request body.

        Raises:
            InvalidRequestError: `model` is no string, or `messages` no non-empty list of objects.
        """
        model, messages = body.get("model"), body.get("messages")
        if not isinstance(model, str):
            raise InvalidRequestError("you must provide a model parameter")
        if not _is_list_of_objects(messages) or not messages:
            raise InvalidRequestError("'messages' must be a non-empty list of objects")
        return cls(
            model=model,
            messages=tuple(_message(message) for message in messages),
            tools=_tools(body),
            stream=body.get("stream") is True,
            include_usage=_mapping(body.get("stream_options")).get("include_usage") is True,
            max_tokens=_whole_number(body.get("max_completion_tokens") or body.get("max_tokens")),
        )

    @property
    def question(self) -> str:
        """The text of the last user message, or an empty string."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")

    @property
    def context(self) -> str:
        """The text of the system messages."""
        return "\n".join(m.text for m in self.messages if m.role in ("system", "developer"))

    @property
    def input_tokens(self) -> int:
        """Tokens of all messages, tools not counted."""
        return sum(count_tokens(m.text) + _TOKENS_PER_MESSAGE for m in self.messages)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one call; cached is part of input, reasoning part of output."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def body(self) -> dict[str, object]:
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens + self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call the model asks for; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str

    def body(self) -> dict[str, object]:
        return {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer: what it says, what it used, and when it is to arrive."""

    id: str
    response_model: str
    created_s: int
    text: str
    finish_reason: str
    usage: Usage
    timing: Timing
    tool_call: ToolCall | None = None


def complete(request: ChatRequest, *, answer_id: str, created_s: int, rng: Random) -> Completion:
    """Draw the answer to `request`.

    Args:
        answer_id: unique text of hex digits, put into the response's id.
        created_s: Unix time the answer is stamped with.
        rng: decides wording, token details and timing; the same state gives the same answer.
    """
    profile = profile_of(request.model)
    tool_call = _tool_call(request, answer_id, rng)
    text = "" if tool_call else _text(request, rng)
    text, was_cut = _limited(text, request.max_tokens)
    reasoning = draw_reasoning_tokens(profile, rng)
    output_tokens = count_tokens(tool_call.arguments if tool_call else text) + reasoning + 2
    input_tokens = request.input_tokens
    shared = count_tokens(request.context)
    return Completion(
        id=f"chatcmpl-{answer_id}",
        response_model=profile.response_model,
        created_s=created_s,
        text=text,
        finish_reason="tool_calls" if tool_call else "length" if was_cut else "stop",
        usage=Usage(input_tokens, output_tokens, draw_cached_tokens(shared, rng), reasoning),
        timing=draw_timing(profile, output_tokens, rng),
        tool_call=tool_call,
    )


def reworded(completion: Completion, text: str) -> Completion:
    """`completion` saying `text` instead, its output tokens counted anew."""
    output_tokens = count_tokens(text) + completion.usage.reasoning_tokens + 2
    usage = replace(completion.usage, output_tokens=output_tokens)
    return replace(completion, text=text, finish_reason="stop", usage=usage, tool_call=None)


def completion_body(completion: Completion) -> dict[str, object]:
    """The JSON of an answer that is not streamed."""
    message: dict[str, object] = {"role": "assistant", "content": completion.text or None, "refusal": None}
    if completion.tool_call:
        message["tool_calls"] = [completion.tool_call.body()]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": completion.finish_reason}
    return _envelope(completion, "chat.completion") | {
        "choices": [choice],
        "usage": completion.usage.body(),
    }


def chunk_bodies(completion: Completion, *, include_usage: bool) -> Iterator[dict[str, object]]:
    """The JSON of each chunk of a streamed answer, the one with the usage last if asked for."""
    yield _chunk(completion, {"role": "assistant", "content": "" if completion.text else None})
    for delta in _deltas(completion):
        yield _chunk(completion, delta)
    yield _chunk(completion, {}, completion.finish_reason)
    if include_usage:
        yield _envelope(completion, "chat.completion.chunk") | {
            "choices": [],
            "usage": completion.usage.body(),
        }


def _message(body: Mapping[str, Any]) -> Message:
    content = body.get("content")
    if isinstance(content, list):
        texts = (str(part.get("text", "")) for part in content if isinstance(part, dict))
        return Message(str(body.get("role")), " ".join(texts))
    return Message(str(body.get("role")), content if isinstance(content, str) else "")


def _tools(body: Mapping[str, Any]) -> tuple[Tool, ...]:
    definitions = body.get("tools")
    if body.get("tool_choice") == "none" or not _is_list_of_objects(definitions):
        return ()
    functions = [_mapping(definition.get("function")) for definition in definitions]
    return tuple(Tool(str(f.get("name")), _mapping(f.get("parameters"))) for f in functions)


def _is_list_of_objects(value: object) -> TypeGuard[list[Mapping[str, Any]]]:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _whole_number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _tool_call(request: ChatRequest, answer_id: str, rng: Random) -> ToolCall | None:
    if not request.tools or request.messages[-1].role == "tool":
        return None
    tool = request.tools[0]
    arguments = tool_arguments(tool.parameters, request.question, rng)
    return ToolCall(f"call_{answer_id}", tool.name, json.dumps(arguments, ensure_ascii=False))


def _text(request: ChatRequest, rng: Random) -> str:
    last = request.messages[-1]
    if last.role == "tool":
        return answer_from_tool(request.question, last.text)
    return answer_to(request.question, request.context, rng)


def _limited(text: str, max_tokens: int | None) -> tuple[str, bool]:
    if max_tokens is None or count_tokens(text) <= max_tokens:
        return text, False
    words = text.split(" ")
    while len(words) > 1 and count_tokens(" ".join(words)) > max_tokens:
        words.pop()
    return " ".join(words), True


def _envelope(completion: Completion, kind: str) -> dict[str, object]:
    return {
        "id": completion.id,
        "object": kind,
        "created": completion.created_s,
        "model": completion.response_model,
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }


def _chunk(
    completion: Completion, delta: dict[str, object], finish_reason: str | None = None
) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _envelope(completion, "chat.completion.chunk") | {"choices": [choice], "usage": None}


def _deltas(completion: Completion) -> Iterator[dict[str, object]]:
    call = completion.tool_call
    if call is None:
        for piece in pieces(completion.text):
            yield {"content": piece}
        return
    opening = {**call.body(), "index": 0, "function": {"name": call.name, "arguments": ""}}
    yield {"tool_calls": [opening]}
    for piece in pieces(call.arguments):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def pieces(text: str) -> Iterator[str]:
    """A text in the portions it streams in."""
    words = text.split(" ")
    starts = [*range(0, len(words), _WORDS_PER_CHUNK), len(words)]
    for start, end in pairwise(starts):
        yield (" " if start else "") + " ".join(words[start:end])
