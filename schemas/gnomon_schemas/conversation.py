"""A span's conversation, read from its attributes in every dialect. Pure, never raises on what was sent.

Where a dialect keeps messages, requests and responses is what its file says (`gnomon_schemas.dialects`), so a
new dialect needs nothing here. What their JSON means is `gnomon_schemas.messages`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Protocol

from gnomon_schemas import attributes as names
from gnomon_schemas.dialects import load_dialects
from gnomon_schemas.messages import (
    MOST_MESSAGES,
    Message,
    known_messages,
    message,
    messages,
    system_messages,
)
from gnomon_schemas.parts import Part, PartKind
from gnomon_schemas.readable import LONGEST_PART, load_json, pretty, shown

__all__ = [
    "LONGEST_PART",
    "Conversation",
    "Message",
    "Part",
    "PartKind",
    "SpanEvent",
    "messages",
    "parse_conversation",
    "pretty",
]

_FLAT: Final = re.compile(
    r"^(?:gen_ai\.(?P<side>prompt|completion)|llm\.(?P<oi>input|output)_messages)\.(?P<number>\d{1,4})\.(?P<path>.+)$"
)
_DEEPEST: Final = 20
_OLD_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_CHOICE: Final = "gen_ai.choice"
# What frameworks put around the input and the output of a step.
_WRAPPERS: Final = ("inputs", "outputs", "output", "result", "final_result")
_BESIDE: Final = frozenset(("tags", "metadata", "kwargs", "args"))

Messages = tuple[Message, ...]


class SpanEvent(Protocol):
    """An event of a span, or a log record of it with the members of its body among its attributes."""

    @property
    def name(self) -> str: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Conversation:
    """What went in and what came out."""

    input: Messages
    output: Messages


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
        events: of the span, and its log records, by time
        input_text: `spans.input_text`, shown when nothing else is there
        output_text: `spans.output_text`, likewise
    """
    span = _Span(attributes, dialect, kind)
    listed_in, listed_out = _from_events(_listed_events(attributes))
    event_in, event_out = _from_events(events)
    flat_in, flat_out = _from_flat(attributes)
    run_in, run_out = _whole_run(attributes)
    given = _first(
        listed_in, run_in, span.read("input_messages", span.given_by), flat_in, event_in,
        span.known("request", "user"), span.of_step("input", span.given_by),
        span.of_step("request", span.given_by),
        _text("user", attributes.get("gen_ai.retrieval.query.text", input_text)),
    )  # fmt: skip
    answered = _first(
        listed_out, run_out, span.read("output_messages", span.said_by), flat_out, event_out,
        _of_ai_sdk(attributes), _without_system(span.known("response", "assistant")),
        span.of_step("output", span.said_by), span.of_step("response", span.said_by),
        _text("assistant", output_text),
    )  # fmt: skip
    system = _system(attributes.get(names.SYSTEM_INSTRUCTIONS, "")) or span.instructions()
    return _named(Conversation(input=(*_without_repeat(system, given), *given), output=answered))


class _Span:
    """The attributes of a span, by the fields of its dialect."""

    def __init__(self, attributes: Mapping[str, str], dialect: str, kind: str) -> None:
        self._attributes = attributes
        self._dialect = dialect
        self._is_call = kind in ("generation", "embedding")
        self.given_by = "user" if self._is_call else "tool" if kind == "tool" else "input"
        self.said_by = "assistant" if self._is_call else "output"

    def _texts(self, field: str) -> Iterator[str]:
        sources = _sources(self._dialect).get(field, ())
        return (text for source in sources if (text := self._attributes.get(source, "")))

    def read(self, field: str, role: str) -> Messages:
        """Messages of a field that has nothing else."""
        return _first(*(messages(_unquoted(text), role) for text in self._texts(field)))

    def known(self, field: str, role: str) -> Messages:
        """Messages in a request or response, which may have none."""
        return _first(*(known_messages(load_json(text), role) for text in self._texts(field)))

    def of_step(self, field: str, role: str) -> Messages:
        """What went into a step or came out of it, whatever it is."""
        if field == "request" and self._is_call:  # parameters of the call, without messages
            return ()
        return _first(*(_of_step(text, role) for text in self._texts(field)))

    def instructions(self) -> Messages:
        """The system prompt, where the request alone has it."""
        for text in (*self._texts("request"), *self._texts("input")):
            found = known_messages(load_json(text), "user") if '"system' in text or '"instr' in text else ()
            if system := tuple(each for each in found if each.role == "system"):
                return system
        return ()


@cache
def _sources(dialect: str) -> Mapping[str, tuple[str, ...]]:
    """Return where the fields of a conversation stand: first in the dialect's own names, then in any's."""
    wanted = ("input_messages", "output_messages", "request", "response", "input", "output")
    listed = load_dialects()
    own = [each.own_fields for each in listed if each.id == dialect]
    mine = [each.fields for each in listed if each.id == dialect]
    found = [*own, *mine, *(each.fields for each in listed)]
    return {
        field: tuple(dict.fromkeys(name for fields in found for name in fields.get(field, ())))
        for field in wanted
    }


def _first(*candidates: Messages) -> Messages:
    return next((found for found in candidates if found), ())


def _text(role: str, text: str) -> Messages:
    return messages(text, role) if text else ()


def _unquoted(text: str) -> str:
    """A text in JSON's quotes, as MLflow has it, without them."""
    loaded = load_json(text) if text.startswith('"') else None
    return loaded if isinstance(loaded, str) else text


def _of_step(text: str, role: str) -> Messages:
    value = _unwrapped(load_json(text))
    if isinstance(value, str):
        return (Message(role, (Part("text", shown(value)),)),) if value else ()
    said_by = "assistant" if role in ("output", "assistant") else "user"
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return messages(text, role)
    if isinstance(value, dict | list):
        return known_messages(value, said_by) or (Message(role, (Part("data", pretty(value)),)),)
    return (Message(role, (Part("text", shown(text)),)),)


def _unwrapped(value: Any) -> Any:
    """What a framework's own envelope holds: {"inputs": …, "tags": …, "kwargs": …}."""
    if not isinstance(value, dict):
        return value
    inner = [name for name in value if name in _WRAPPERS]
    return value[inner[0]] if len(inner) == 1 and value.keys() - {inner[0]} <= _BESIDE else value


# --- the system prompt --------------------------------------------------------------------------


def _system(text: str) -> Messages:
    return system_messages(load_json(text), text) if text else ()


def _without_repeat(system: Messages, given: Messages) -> Messages:
    """Some SDKs report the system prompt both on its own and as the first message."""
    said = {_words(each) for each in given if each.role in ("system", "developer")}
    return tuple(each for each in system if _words(each) not in said)


def _without_system(answered: Messages) -> Messages:
    """Some providers repeat the instructions in the response."""
    return tuple(each for each in answered if each.role != "system")


def _words(said: Message) -> str:
    return " ".join(said.text.split())


# --- attributes by index ------------------------------------------------------------------------


def _from_flat(attributes: Mapping[str, str]) -> tuple[Messages, Messages]:
    sides: dict[str, dict[int, dict[str, Any]]] = {"in": {}, "out": {}}
    for name, value in attributes.items():
        if match := _FLAT.match(name):
            side = "in" if match["side"] == "prompt" or match["oi"] == "input" else "out"
            tree = sides[side].setdefault(int(match["number"]), {})
            _plant(tree, match["path"].removeprefix("message.").split(".", _DEEPEST), value)
    return _flat_side(sides["in"], "user"), _flat_side(sides["out"], "assistant")


def _plant(tree: dict[str, Any], path: Sequence[str], value: str) -> None:
    """Set a value in a tree of dicts; where a value and a branch meet, the branch stays."""
    for step in path[:-1]:
        branch = tree.get(step)
        if not isinstance(branch, dict):
            branch = tree[step] = {}
        tree = branch
    tree.setdefault(path[-1], value)


def _flat_side(numbered: Mapping[int, dict[str, Any]], role: str) -> Messages:
    items = [_with_lists(numbered[number]) for number in sorted(numbered)[:MOST_MESSAGES]]
    return known_messages([item if "role" in item else {"role": role, **item} for item in items], role)


def _with_lists(tree: Any) -> Any:
    """A tree in which dicts with numbers for keys are lists."""
    if not isinstance(tree, dict):
        return tree
    members = {key: _with_lists(value) for key, value in list(tree.items())[:MOST_MESSAGES]}
    if members and all(key.isdigit() for key in members):
        return [members[key] for key in sorted(members, key=int)]
    return members


# --- events and log records ---------------------------------------------------------------------


def _from_events(events: Iterable[SpanEvent]) -> tuple[Messages, Messages]:
    given: list[Message] = []
    answered: list[Message] = []
    for event in list(events)[:MOST_MESSAGES]:
        if event.name in _OLD_EVENTS:
            given.append(_event_message(event, _OLD_EVENTS[event.name]))
        elif event.name == _CHOICE:
            answered.append(_event_message(event, "assistant"))
        else:
            given.extend(_event_side(event, ("gen_ai.input.messages", "gen_ai.prompt"), "user"))
            answered.extend(_event_side(event, ("gen_ai.output.messages", "gen_ai.completion"), "assistant"))
            given[:0] = _without_repeat(
                _system(event.attributes.get(names.SYSTEM_INSTRUCTIONS, "")), tuple(given)
            )
    return tuple(given), tuple(answered)


def _event_side(event: SpanEvent, sources: Sequence[str], role: str) -> Messages:
    return _first(*(messages(event.attributes.get(name, ""), role) for name in sources))


def _event_message(event: SpanEvent, role: str) -> Message:
    item: dict[str, Any] = {
        key: loaded if isinstance(loaded := load_json(value), dict | list) else value
        for key, value in event.attributes.items()
        if not key.startswith(("gen_ai.", "event."))
    }
    body = item.pop("body", None)
    return message({"role": role} | (body if isinstance(body, dict) else {}) | item, role)


@dataclass(frozen=True, slots=True)
class _Listed:
    name: str
    attributes: Mapping[str, str]


def _listed_events(attributes: Mapping[str, str]) -> list[_Listed]:
    """The events that Logfire and pydantic-ai (v1) keep in an attribute."""
    text = attributes.get("events") or attributes.get("all_messages_events", "")
    loaded = load_json(text) if "gen_ai." in text else None
    if not isinstance(loaded, list):
        return []
    return [
        _Listed(str(item.get("event.name", "")), {key: _as_text(value) for key, value in item.items()})
        for item in loaded
        if isinstance(item, dict)
    ]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else pretty(value)


# --- shapes of one framework --------------------------------------------------------------------


def _whole_run(attributes: Mapping[str, str]) -> tuple[Messages, Messages]:
    """An agent's whole run, of which pydantic-ai has one list: what it answered is the last message."""
    said = messages(attributes.get("pydantic_ai.all_messages", ""), "user")
    answers = bool(said) and said[-1].role == "assistant"
    return (said[:-1], said[-1:]) if answers else (said, ())


def _of_ai_sdk(attributes: Mapping[str, str]) -> Messages:
    """The answer of the AI SDK (Vercel), which has an attribute for each kind of part."""
    said = {
        name: attributes.get(f"ai.response.{name}", "")
        for name in ("reasoning", "text", "object", "toolCalls")
    }
    calls = load_json(said["toolCalls"])
    content = [
        *([{"type": "reasoning", "text": said["reasoning"]}] if said["reasoning"] else []),
        *([{"type": "text", "text": said["text"]}] if said["text"] else []),
        *([load_json(said["object"]) or said["object"]] if said["object"] else []),
    ]
    item = {"role": "assistant", "content": content, "tool_calls": calls if isinstance(calls, list) else []}
    reason = {"finish_reason": attributes.get("ai.response.finishReason", "")}
    return (message(item | reason, "assistant"),) if content or item["tool_calls"] else ()


# --- tools --------------------------------------------------------------------------------------


def _named(talk: Conversation) -> Conversation:
    """Results carry the id of the call alone: give them the tool's name."""
    called = {
        part.call_id: part.title
        for each in (*talk.input, *talk.output)
        for part in each.parts
        if part.kind == "tool_call" and part.call_id
    }
    return Conversation(_with_names(talk.input, called), _with_names(talk.output, called))


def _with_names(said: Messages, called: Mapping[str, str]) -> Messages:
    return tuple(replace(each, parts=tuple(_with_name(part, called) for part in each.parts)) for each in said)


def _with_name(part: Part, called: Mapping[str, str]) -> Part:
    if part.kind != "tool_result" or part.title or part.call_id not in called:
        return part
    return replace(part, title=called[part.call_id])
