"""What the log records of a call say of it: its messages and how it ended. Pure.

Two generations of OpenTelemetry's GenAI conventions are read: one event for each message (v1.30:
``gen_ai.user.message``, ``gen_ai.choice`` and such) and one for the whole call (v1.37 and after:
``gen_ai.client.inference.operation.details``). Both become the messages that v1.37 has on spans.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gnomon_collector.store.logs import CONTENT_EVENTS, LogRecord, SpanContent
from gnomon_schemas.normalise import MAX_TEXT_CHARS
from gnomon_schemas.vocabulary import FINISH_REASONS

_DETAILS: Final = "gen_ai.client.inference.operation.details"
_CHOICE: Final = "gen_ai.choice"
_ROLES: Final = {name: name.split(".")[1] for name in CONTENT_EVENTS if name.endswith(".message")}
_INPUT: Final = "gen_ai.input.messages"
_OUTPUT: Final = "gen_ai.output.messages"
_BESIDE_INPUT: Final = ("gen_ai.system_instructions", "gen_ai.tool.definitions")
_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
_SILENT_PARTS: Final = frozenset({"reasoning", "blob", "file", "uri"})

Message = dict[str, Any]


def content_of(records: Sequence[LogRecord]) -> SpanContent:
    """Return what the records of one span say together; of what several say, the last one counts.

    Args:
        records: with contents (`CONTENT_EVENTS`), in the order of their times.
    """
    whole = [record for record in records if record.event_name == _DETAILS]
    inputs = _last_messages(whole, _INPUT) or [_message(record) for record in records if _is_input(record)]
    outputs = _last_messages(whole, _OUTPUT) or _choices(records)
    beside = {
        name: record.attributes[name]
        for record in whole
        for name in _BESIDE_INPUT
        if record.attributes.get(name)
    }
    input_text, output_text = (
        _text_of_last(inputs, {"user", "human"}),
        _text_of_last(outputs, {"assistant", "ai", "model", "unknown"}),
    )
    said = {"input": input_text, "output": output_text}
    return SpanContent(
        input_text=input_text[:MAX_TEXT_CHARS],
        output_text=output_text[:MAX_TEXT_CHARS],
        finish_reason=_finish_reason(whole, outputs),
        input_attributes=({_INPUT: _json(inputs)} if inputs else {}) | beside,
        output_attributes={_OUTPUT: _json(outputs)} if outputs else {},
        data_flags=[f"{name}_text_truncated" for name, text in said.items() if len(text) > MAX_TEXT_CHARS],
        records=len(records),
    )


def _is_input(record: LogRecord) -> bool:
    return record.event_name in _ROLES


def _last_messages(records: Iterable[LogRecord], name: str) -> list[Message]:
    """Return the messages that the last of the records with any gives as an attribute."""
    said = [_parsed(record.attributes.get(name, "")) for record in records]
    lists = [each for each in said if isinstance(each, list) and each]
    return [message for message in lists[-1] if isinstance(message, dict)] if lists else []


def _message(record: LogRecord) -> Message:
    """Return the message of an event of v1.30."""
    role = _ROLES[record.event_name]
    body = _body(record)
    if role == "tool":
        response = body.get("content", "")
        return {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": body.get("id", ""), "response": response}],
        }
    return {"role": str(body.get("role") or role), "parts": _parts(body)}


def _choices(records: Iterable[LogRecord]) -> list[Message]:
    """Return the answers of v1.30, by index: one record for each."""
    found: dict[int, Message] = {}
    for record in records:
        if record.event_name == _CHOICE:
            body = _body(record)
            index = body.get("index")
            found[index if isinstance(index, int) else len(found)] = _choice(body)
    return [found[index] for index in sorted(found)]


def _choice(body: Mapping[str, Any]) -> Message:
    message = body.get("message")
    said = message if isinstance(message, dict) else body
    finish = {"finish_reason": str(body["finish_reason"])} if body.get("finish_reason") else {}
    return {"role": str(said.get("role") or "assistant"), "parts": _parts(said), **finish}


def _parts(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a message of a provider's shape as the parts of v1.37."""
    content = said.get("content")
    parts = (
        [_content_part(each) for each in content]
        if isinstance(content, list)
        else [{"type": "text", "content": _plain_text(content)}]
        if content not in (None, "")
        else []
    )
    calls = said.get("tool_calls")
    return [*parts, *(_tool_call(call) for call in (calls if isinstance(calls, list) else []))]


def _content_part(part: object) -> dict[str, Any]:
    if not isinstance(part, dict):
        return {"type": "text", "content": _plain_text(part)}
    if "text" in part:
        return {"type": "text", "content": _plain_text(part["text"])}
    return part


def _tool_call(call: object) -> dict[str, Any]:
    said = call if isinstance(call, dict) else {}
    function = said.get("function")
    named = function if isinstance(function, dict) else said
    return {
        "type": "tool_call",
        "id": said.get("id", ""),
        "name": named.get("name", ""),
        "arguments": named.get("arguments", ""),
    }


def _body(record: LogRecord) -> Mapping[str, Any]:
    """Return the body of an event, which is a map, that map as JSON, or the text alone."""
    said = _parsed(record.body)
    return said if isinstance(said, dict) else {"content": record.body}


def _finish_reason(whole: Sequence[LogRecord], outputs: Sequence[Message]) -> str:
    said = [_parsed(record.attributes.get(_FINISH_REASONS, "")) for record in whole]
    reasons = [str(each[0]) for each in said if isinstance(each, list) and each]
    first = next((str(message["finish_reason"]) for message in outputs if message.get("finish_reason")), "")
    reason = reasons[-1] if reasons else first
    return FINISH_REASONS.get(reason, reason)


def _text_of_last(messages: Sequence[Message], roles: set[str]) -> str:
    """Return the readable text of the last message of a role, tool calls as name(arguments)."""
    spoken = [message for message in messages if message.get("role") in roles and not _is_result(message)]
    if not spoken:
        return ""
    parts = spoken[-1].get("parts")
    if not isinstance(parts, list):
        return _plain_text(spoken[-1].get("content"))
    texts = [_text_of_part(part) for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if text)


def _is_result(message: Message) -> bool:
    """Whether a message gives a tool's result back, which some do in the user's name."""
    parts = message.get("parts")
    return (
        bool(parts)
        and isinstance(parts, list)
        and all(isinstance(part, dict) and part.get("type") == "tool_call_response" for part in parts)
    )


def _text_of_part(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    if kind == "tool_call":
        return f"{part.get('name', '')}({_plain_text(part.get('arguments'))})"
    if kind == "tool_call_response":
        return _plain_text(part.get("response", part.get("result")))
    return "" if kind in _SILENT_PARTS else _plain_text(part.get("content"))


def _plain_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value)


def _parsed(text: str) -> object:
    try:
        return json.loads(text) if text[:1] in ("[", "{") else None
    except (ValueError, RecursionError):
        return None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
