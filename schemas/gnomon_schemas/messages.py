"""One part model for the messages of every provider and framework. Pure, and never raises on what was sent.

Shapes read: the messages of OpenTelemetry's GenAI conventions
(https://opentelemetry.io/docs/specs/semconv/gen-ai/), OpenAI's chat and responses, Anthropic's messages,
Gemini's contents, LangChain's serialised messages and the AI SDK's. What is none of these is shown as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gnomon_schemas.parts import (
    CALLS,
    REASONING,
    REFERENCES,
    RESULTS,
    TEXTS,
    Part,
    content_parts,
    one_part,
    target,
    text_part,
    tool_call,
    tool_result,
)
from gnomon_schemas.readable import load_json, pretty, printable, shown

MOST_MESSAGES: Final = 400
_ROLES: Final = {
    "human": "user",
    "HumanMessage": "user",
    "ai": "assistant",
    "model": "assistant",
    "AIMessage": "assistant",
    "AIMessageChunk": "assistant",
    "SystemMessage": "system",
    "function": "tool",
    "ToolMessage": "tool",
    "ToolMessageChunk": "tool",
    "FunctionMessage": "tool",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `role` is system, user, assistant, tool, or whatever the service says."""

    role: str
    parts: tuple[Part, ...]
    finish_reason: str = ""

    @property
    def text(self) -> str:
        """What is said in it, without tool calls, reasoning and files."""
        return "\n".join(part.body for part in self.parts if part.kind == "text")


def messages(text: str, default_role: str) -> tuple[Message, ...]:
    """Return the messages of a text: of JSON in a known shape, else one message that shows it as it is."""
    if not text:
        return ()
    loaded = load_json(text)
    return known_messages(loaded, default_role) or _as_it_is(text, loaded, default_role)


def known_messages(value: Any, default_role: str) -> tuple[Message, ...]:
    """Return the messages in parsed JSON, () when it is in no known shape of messages."""
    if isinstance(value, list):
        return _merged(_of_list(value, default_role))
    return _merged(_of_object(value, default_role)) if isinstance(value, dict) else ()


def system_messages(value: Any, text: str) -> tuple[Message, ...]:
    """Return instructions given beside the messages: a text, a list of parts, or messages."""
    if isinstance(value, list) and any(isinstance(item, dict) and "role" in item for item in value):
        return known_messages(value, "system")
    parts = tuple(content_parts(value)) if isinstance(value, list | dict) else ()
    said = value if isinstance(value, str) else text
    return (Message("system", parts or (Part("text", shown(said)),)),) if parts or said else ()


def _as_it_is(text: str, loaded: Any, role: str) -> tuple[Message, ...]:
    if isinstance(loaded, list) and loaded and all(isinstance(item, str) for item in loaded):
        return tuple(Message(role, (Part("text", shown(_plain(item))),)) for item in loaded[:MOST_MESSAGES])
    if isinstance(loaded, list | dict):
        return (Message(role, (Part("data", pretty(loaded)),)),)
    return (Message(role, (Part("text", shown(loaded if isinstance(loaded, str) else text)),)),)


def _plain(item: str) -> str:
    """A text of a list, which the AI SDK has in JSON's quotes once more."""
    inner = load_json(item) if item.startswith('"') else None
    return inner if isinstance(inner, str) else item


# --- lists and envelopes ------------------------------------------------------------------------


def _of_list(items: Sequence[Any], role: str) -> list[Message]:
    found: list[Message] = []
    # LangChain reports a list of conversations
    flat = [inner for item in items for inner in (item if isinstance(item, list) else [item])]
    if not any(isinstance(item, dict) and _is_message(item) for item in flat):
        return []
    for item in flat[:MOST_MESSAGES]:
        found.append(message(item, role))
    return found


def _is_message(item: Mapping[str, Any]) -> bool:
    return (
        isinstance(item.get("role"), str)
        or isinstance(item.get("parts"), list)
        or isinstance(item.get("message"), dict)
        or "tool_calls" in item
        or _constructed(item) is not None
        or item.get("type") in (*_ROLES, *CALLS, *RESULTS, *REASONING, *TEXTS, "message")
    )


def _of_object(value: Mapping[str, Any], role: str) -> list[Message]:
    system = [
        found
        for name in ("system", "instructions", "system_instruction", "systemInstruction")
        for found in _said_beside(value.get(name))
    ]
    system = system or _said_beside(_inner(value, "config").get("system_instruction"))
    said = _body(value, role)
    return [*system, *said] if not any(each.role == "system" for each in said) else said


def _said_beside(value: Any) -> list[Message]:
    inner = value.get("parts", value) if isinstance(value, dict) else value
    return list(system_messages(inner, "")) if isinstance(inner, str | list) and inner else []


def _body(value: Mapping[str, Any], role: str) -> list[Message]:
    for name in ("messages", "input_messages", "contents", "output_messages"):
        if isinstance(value.get(name), list):
            return _of_list(value[name], role)
    for name in ("choices", "candidates"):
        if isinstance(value.get(name), list):
            return [message(_choice(item), "assistant") for item in value[name][:MOST_MESSAGES]]
    if isinstance(value.get("generations"), list):
        return _generations(value["generations"])
    items = value.get("items")
    if isinstance(items, list) and any(_is_message(item) for item in items):  # LiveKit's chat context
        return _of_list(items, role)
    if isinstance(value.get("output"), list):  # OpenAI's responses
        return _of_list(value["output"], "assistant")
    if "input" in value and ("model" in value or "instructions" in value):
        return _of_input(value["input"], role)
    for name in ("prompt", "combined_chunk_content"):  # the latter is a stream of Logfire's
        if isinstance(value.get(name), str) and value[name]:
            return [Message(role, (text_part(value[name]),))]
    content = value.get("content")
    if isinstance(content, dict) and "parts" in content:  # Gemini's response, one candidate
        return [message(content, role)]
    return [message(value, role)] if _is_message(value) else []


def _of_input(value: Any, role: str) -> list[Message]:
    if isinstance(value, str) and value:
        return [Message(role, (text_part(value),))]
    if not isinstance(value, list):
        return []
    return _of_list(value, role) or [
        Message(role, (text_part(item),)) for item in value[:MOST_MESSAGES] if isinstance(item, str)
    ]


def _choice(item: Any) -> Any:
    """The message of a choice, where the finish reason stands beside it."""
    if not isinstance(item, dict):
        return item
    inner = item.get("message", item.get("content", item.get("delta")))
    if isinstance(inner, dict):
        return {**inner, "finish_reason": item.get("finish_reason", item.get("finishReason"))}
    return {
        "role": "assistant",
        "content": item.get("text", inner),
        "finish_reason": item.get("finish_reason"),
    }


def _generations(value: Sequence[Any]) -> list[Message]:
    flat = [inner for item in value for inner in (item if isinstance(item, list) else [item])]
    return [
        message(_generation(item), "assistant") for item in flat[:MOST_MESSAGES] if isinstance(item, dict)
    ]


def _generation(item: Mapping[str, Any]) -> Mapping[str, Any]:
    reason = _inner(item, "generation_info").get("finish_reason")
    said = item.get("message")
    if isinstance(said, dict):
        return {**(_constructed(said) or said), "finish_reason": reason}
    return {"role": "assistant", "content": item.get("text", ""), "finish_reason": reason}


def _constructed(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """LangChain's serialised message: a class name and what it was made of."""
    names, made_of = item.get("id"), item.get("kwargs", item.get("data"))
    if not isinstance(made_of, dict):
        return None
    name = names[-1] if isinstance(names, list) and names else item.get("type")
    role = _ROLES.get(str(made_of.get("type"))) or _ROLES.get(str(name))
    known = role or str(made_of.get("type") or name or "")
    return {**made_of, "role": known} if role or known in ("system", "tool") else None


def _inner(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


# --- one message --------------------------------------------------------------------------------


def message(item: Any, default_role: str) -> Message:
    """Return one message; JSON of an unknown shape is a message with that JSON as its part."""
    if not isinstance(item, dict):
        return Message(
            default_role, (text_part(item) if isinstance(item, str) else Part("data", pretty(item)),)
        )
    inner = _constructed(item) or item
    nested = inner.get("message")
    if isinstance(nested, dict):
        inner = {"role": inner.get("role", default_role), **nested}
    kind = inner.get("type")
    if kind in (*CALLS, *RESULTS, *REASONING, *REFERENCES, *TEXTS) and "role" not in inner:
        return Message(_role_of(str(kind), default_role), (one_part(inner),))
    role = _role(inner, default_role)
    return Message(role, tuple(_message_parts(inner, role)), _finish(item) or _finish(inner))


def _role(inner: Mapping[str, Any], default_role: str) -> str:
    kind = inner.get("type")
    said = inner.get("role") or (kind if kind in (*_ROLES, "system", "tool") else None) or default_role
    known = _ROLES.get(str(said), str(said))
    return default_role if known == "unknown" else printable(known)[:60]


def _role_of(kind: str, default_role: str) -> str:
    if kind in RESULTS:
        return "tool"
    return "assistant" if kind in (*CALLS, *REASONING) else default_role


def _finish(item: Mapping[str, Any]) -> str:
    reason = item.get("finish_reason") or item.get("stop_reason")
    return printable(reason)[:60] if isinstance(reason, str) else ""


def _message_parts(inner: Mapping[str, Any], role: str) -> Iterable[Part]:
    content = inner.get("parts", inner.get("contents", inner.get("content", inner.get("text"))))
    parts = [*_thoughts(inner), *content_parts(content)]
    if role == "tool" and not any(part.kind == "tool_result" for part in parts):
        parts = [tool_result({**inner, "content": content})]
    calls = [tool_call(call) for call in _dicts(inner.get("tool_calls"))]
    # some say a call both ways
    known = {part.call_id for part in parts if part.kind == "tool_call" and part.call_id}
    parts += [call for call in calls if call.call_id not in known]
    if isinstance(inner.get("function_call"), dict) and not calls:
        parts.append(tool_call(inner["function_call"]))
    parts += _spoken(inner.get("audio"))
    return parts or _leftover(inner)


def _thoughts(inner: Mapping[str, Any]) -> list[Part]:
    said = inner.get("reasoning_content") or inner.get("reasoning")
    return [Part("reasoning", shown(said))] if isinstance(said, str) else []


def _spoken(audio: Any) -> list[Part]:
    if not isinstance(audio, dict):
        return []
    said = audio.get("transcript")
    reference = Part("reference", target(audio), "audio")
    return [reference, text_part(said)] if isinstance(said, str) and said else [reference]


def _leftover(inner: Mapping[str, Any]) -> list[Part]:
    names = ("role", "content", "parts", "finish_reason", "refusal", "annotations", "name", "type", "id")
    rest = {
        key: value for key, value in inner.items() if key not in names and value not in (None, [], {}, "")
    }
    refused = inner.get("refusal")
    if isinstance(refused, str) and refused:
        return [text_part(refused)]
    return [Part("data", pretty(rest))] if rest else []


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _merged(found: Sequence[Message]) -> tuple[Message, ...]:
    """One message of what a model said at once and a provider lists apart: thoughts, calls, text."""
    merged: list[Message] = []
    for each in found:
        before = merged[-1] if merged else None
        if before and before.role == each.role == "assistant" and _is_prelude(before):
            merged[-1] = Message("assistant", before.parts + each.parts, each.finish_reason)
        else:
            merged.append(each)
    return tuple(merged)


def _is_prelude(said: Message) -> bool:
    kinds = {part.kind for part in said.parts}
    return bool(kinds) and kinds <= {"reasoning", "tool_call"} and not said.finish_reason
