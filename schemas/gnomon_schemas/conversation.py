"""A span's conversation, read from its attributes. Pure, and never raises on what a service sent.

Read are, in this order: the messages of OpenTelemetry's GenAI conventions since 1.37
(``gen_ai.input.messages``, ``gen_ai.output.messages``, ``gen_ai.system_instructions``;
https://opentelemetry.io/docs/specs/semconv/gen-ai/), the indexed attributes of older instrumentations
(``gen_ai.prompt.0.role`` and so on), the events that OTel had before (``gen_ai.user.message``,
``gen_ai.choice``), what tools and `gnomon.observe` report, and at last the readable texts that ingest kept.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from gnomon_schemas import attributes as names

PartKind = Literal["text", "reasoning", "tool_call", "tool_result", "reference", "data"]

LONGEST_PART: Final = 40_000
MOST_MESSAGES: Final = 400
_ESCAPE: Final = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
_INDEXED: Final = re.compile(
    r"^(?:gen_ai\.(?P<side>prompt|completion)|llm\.(?P<oi>input|output)_messages)\.(?P<number>\d{1,4})\.(?P<path>.+)$"
)
_OLD_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}


class SpanEvent(Protocol):
    """An event of a span, or a log record of it with the members of its body among its attributes."""

    @property
    def name(self) -> str: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message: `title` names a tool or what a reference is, `body` is text or pretty JSON."""

    kind: PartKind
    body: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `role` is system, user, assistant, tool, or whatever the service says."""

    role: str
    parts: tuple[Part, ...]
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What went in and what came out."""

    input: tuple[Message, ...]
    output: tuple[Message, ...]


def parse_conversation(
    attributes: Mapping[str, str],
    *,
    dialect: str = "",
    kind: str = "",
    events: Sequence[SpanEvent] = (),
    input_text: str = "",
    output_text: str = "",
) -> Conversation:
    """Return the conversation of a span; both sides are empty when the service sent no content.

    Args:
        attributes: of the span, values as text or JSON (`spans.attributes`)
        dialect: id of the span's dialect (`spans.dialect`)
        kind: of the span, as in `spans.kind`
        events: of the span, by time
        input_text: `spans.input_text`, shown when nothing else is there
        output_text: `spans.output_text`, likewise
    """
    old_in, old_out = _from_indexed(attributes)
    event_in, event_out = _from_events(events)
    system = _system(attributes.get(names.SYSTEM_INSTRUCTIONS, ""))
    given = _first(
        messages(attributes.get(names.INPUT_MESSAGES, ""), "user"),
        old_in,
        event_in,
        _single(
            "tool" if kind == "tool" else "input",
            attributes.get(names.TOOL_CALL_ARGUMENTS) or attributes.get(names.INPUT, ""),
        ),
        _single("user", input_text),
    )
    answered = _first(
        messages(attributes.get(names.OUTPUT_MESSAGES, ""), "assistant"),
        old_out,
        event_out,
        _single("output", attributes.get(names.TOOL_CALL_RESULT) or attributes.get(names.OUTPUT, "")),
        _single("assistant", output_text),
    )
    return Conversation(input=(*_without_repeat(system, given), *given), output=answered)


def messages(text: str, default_role: str) -> tuple[Message, ...]:
    """Return the messages of a JSON attribute; text that is no JSON becomes one message."""
    if not text:
        return ()
    loaded = load_json(text)
    if loaded is None:
        return _single(default_role, text)
    items = loaded if isinstance(loaded, list) else [loaded]
    return tuple(_message(item, default_role) for item in items[:MOST_MESSAGES])


def pretty(value: object) -> str:
    """Return JSON indented and without escapes; a text that holds JSON likewise, another text as it is."""
    if isinstance(value, str):
        loaded = load_json(value)
        return pretty(loaded) if isinstance(loaded, (dict, list)) else _bounded(unescaped(value))
    try:
        return _bounded(_printable(json.dumps(value, ensure_ascii=False, indent=2)))
    except (ValueError, RecursionError):
        return _bounded(_printable(str(value)))


def load_json(text: str) -> Any:
    """Return what a JSON text stands for, or None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def unescaped(text: str) -> str:
    """Return the text with ``\\uXXXX`` escapes as letters: what broken JSON needs to be readable."""
    return _printable(_ESCAPE.sub(_letters, text))


def _letters(match: re.Match[str]) -> str:
    return bytes.fromhex(match.group().replace("\\u", "")).decode("utf-16-be", "replace")


def _printable(text: str) -> str:
    """Without lone surrogates, which no response can carry."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _bounded(text: str) -> str:
    rest = len(text) - LONGEST_PART
    return text if rest <= 0 else f"{text[:LONGEST_PART]}\n… and {rest:,} more characters"


def _first(*candidates: tuple[Message, ...]) -> tuple[Message, ...]:
    return next((found for found in candidates if found), ())


def _single(role: str, text: str) -> tuple[Message, ...]:
    return (Message(role, (_readable(text),)),) if text else ()


def _readable(text: str) -> Part:
    is_json = text.lstrip()[:1] in ("{", "[") and load_json(text) is not None
    return Part("data", pretty(text)) if is_json else Part("text", _bounded(unescaped(text)))


def _without_repeat(system: tuple[Message, ...], given: tuple[Message, ...]) -> tuple[Message, ...]:
    """Some SDKs report the system prompt both on its own and as the first message."""
    return () if any(message.role == "system" for message in given) else system


def _system(text: str) -> tuple[Message, ...]:
    if not text:
        return ()
    loaded = load_json(text)
    if isinstance(loaded, list) and any(isinstance(item, dict) and "role" in item for item in loaded):
        return messages(text, "system")
    parts = tuple(_parts(loaded)) if isinstance(loaded, list) else ()
    return (Message("system", parts or (Part("text", _bounded(unescaped(_plain(loaded, text)))),)),)


def _plain(loaded: object, text: str) -> str:
    return loaded if isinstance(loaded, str) else text


def _message(item: object, default_role: str) -> Message:
    if not isinstance(item, dict):
        return Message(default_role, (_readable(item if isinstance(item, str) else pretty(item)),))
    nested = item.get("message")
    inner: dict[str, Any] = nested if isinstance(nested, dict) else item
    parts = tuple(_parts(inner.get("parts", inner.get("content"))))
    calls = tuple(_tool_call(call) for call in _dicts(inner.get("tool_calls")))
    role = str(inner.get("role") or default_role)
    if not parts and not calls:
        leftover = {key: value for key, value in inner.items() if key not in ("role", "content", "parts")}
        parts = (Part("data", pretty(leftover)),) if leftover else ()
    return Message(_printable(role)[:60], parts + calls, _finish(item))


def _finish(item: Mapping[str, Any]) -> str:
    return str(item.get("finish_reason") or "")[:60]


def _parts(content: object) -> Iterable[Part]:
    if isinstance(content, list):
        return [_part(item) for item in content[:MOST_MESSAGES]]
    if isinstance(content, str):
        return [_text_part(content)] if content else []
    return [] if content is None else [Part("data", pretty(content))]


def _text_part(text: str) -> Part:
    return Part("text", _bounded(_printable(text)))


def _part(item: object) -> Part:
    if not isinstance(item, dict):
        return _text_part(item) if isinstance(item, str) else Part("data", pretty(item))
    kind = str(item.get("type", ""))
    if kind in ("text", "input_text", "output_text", "refusal"):
        return _text_part(_joined(item.get("content", item.get("text", item.get("refusal")))))
    if kind in ("reasoning", "thinking"):
        return Part(
            "reasoning",
            _bounded(_printable(_joined(item.get("content", item.get("thinking", item.get("summary")))))),
        )
    if kind in ("tool_call", "function_call", "tool_use", "server_tool_call"):
        return _tool_call(item)
    if kind in ("tool_call_response", "tool_result", "function_call_output", "server_tool_call_response"):
        return _tool_result(item)
    return _reference(kind, item) or Part("data", pretty(item))


def _joined(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else pretty(value)


def _tool_call(item: Mapping[str, Any]) -> Part:
    function = item.get("function")
    call = function if isinstance(function, dict) else item
    arguments = call.get("arguments", call.get("input", call.get("server_tool_call")))
    return Part(
        "tool_call",
        "" if arguments is None else pretty(arguments),
        _printable(str(call.get("name") or "tool"))[:120],
    )


def _tool_result(item: Mapping[str, Any]) -> Part:
    result = next((item[key] for key in ("response", "result", "content", "output") if key in item), None)
    return Part(
        "tool_result",
        "" if result is None else pretty(result),
        _printable(str(item.get("id") or item.get("call_id") or ""))[:120],
    )


def _reference(kind: str, item: Mapping[str, Any]) -> Part | None:
    """Images, audio and files are named, never shown: a page must fetch nothing that a prompt names."""
    if kind in ("blob", "image", "input_image", "image_url", "uri", "file", "input_audio", "document"):
        modality = str(item.get("modality") or item.get("mime_type") or kind).replace("image_url", "image")
        return Part("reference", _described(item), _printable(modality)[:60])
    return None


def _described(item: Mapping[str, Any]) -> str:
    target = item.get("uri") or item.get("url") or item.get("file_id") or item.get("image_url")
    if isinstance(target, dict):
        target = target.get("url")
    if isinstance(target, str) and not target.startswith("data:"):
        return _printable(target)[:500]
    inline = next(
        (value for value in (target, item.get("content"), item.get("data")) if isinstance(value, str)), ""
    )
    return f"inline, about {len(inline) * 3 // 4:,} bytes" if inline else "no content sent"


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


# --- older shapes -------------------------------------------------------------------------------


def _from_indexed(attributes: Mapping[str, str]) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    sides: dict[str, dict[int, dict[str, str]]] = {"in": {}, "out": {}}
    for name, value in attributes.items():
        if match := _INDEXED.match(name):
            side = "in" if match["side"] == "prompt" or match["oi"] == "input" else "out"
            fields = sides[side].setdefault(int(match["number"]), {})
            fields[match["path"].removeprefix("message.")] = value
    return _indexed_side(sides["in"], "user"), _indexed_side(sides["out"], "assistant")


def _indexed_side(numbered: Mapping[int, Mapping[str, str]], default_role: str) -> tuple[Message, ...]:
    return tuple(
        _indexed_message(numbered[number], default_role) for number in sorted(numbered)[:MOST_MESSAGES]
    )


def _indexed_message(fields: Mapping[str, str], default_role: str) -> Message:
    content = fields.get("content", "")
    loaded = load_json(content) if content[:1] == "[" else None
    parts = list(_parts(loaded if isinstance(loaded, list) else content))
    prefixes = sorted(
        {match[0] for name in fields if (match := re.match(r"(?:message\.)?tool_calls\.\d+\.", name))}
    )
    for prefix in prefixes:
        call = {name.removeprefix(prefix).removeprefix("tool_call.").removeprefix("function."): value
                for name, value in fields.items() if name.startswith(prefix)}  # fmt: skip
        parts.append(_tool_call(call))
    return Message(
        _printable(fields.get("role", default_role))[:60], tuple(parts), fields.get("finish_reason", "")[:60]
    )


def _from_events(events: Sequence[SpanEvent]) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    given: list[Message] = []
    answered: list[Message] = []
    for event in events[:MOST_MESSAGES]:
        if event.name in _OLD_EVENTS:
            given.append(_event_message(event, _OLD_EVENTS[event.name]))
        elif event.name == "gen_ai.choice":
            answered.append(_event_message(event, "assistant"))
        elif event.name == "gen_ai.content.prompt":
            given.extend(messages(event.attributes.get("gen_ai.prompt", ""), "user"))
        elif event.name == "gen_ai.content.completion":
            answered.extend(messages(event.attributes.get("gen_ai.completion", ""), "assistant"))
    return tuple(given), tuple(answered)


def _event_message(event: SpanEvent, role: str) -> Message:
    item: dict[str, Any] = {
        key: loaded if isinstance(loaded := load_json(value), (dict, list)) else value
        for key, value in event.attributes.items()
    }
    return _message({"role": role} | item, role)
