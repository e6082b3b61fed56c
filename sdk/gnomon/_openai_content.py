"""Messages of OpenAI's requests and answers in the shape of the GenAI conventions, and as JSON text.

Shape: https://opentelemetry.io/docs/specs/semconv/gen-ai/. Requests hold whatever the host passed, so values
are looked at and never trusted.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from gnomon import _values

Attributes = dict[str, Any]
_TEXT_PARTS: Final = ("text", "input_text", "output_text")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_MAX_MEDIA_CHARS: Final = 2_048
"""Longer references, such as images inside of ``data:`` URLs, are described instead of recorded."""


def output_message(parts: list[Attributes], finish_reason: object, role: str = "assistant") -> Attributes:
    """Return one message of an answer."""
    return {"role": role, "parts": parts, "finish_reason": finish_reason_of(finish_reason)}


def finish_reason_of(reason: Any) -> Any:
    """Return why a message ended, in the words of the GenAI conventions."""
    return "tool_call" if reason in ("tool_calls", "function_call") else reason or "error"


def tool_call(call_id: object, name: object, arguments: object) -> Attributes:
    """Return a part that asks for a tool; arguments are read as JSON where they are."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            pass
    return {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}


def dumped(messages: list[Any], max_chars: int) -> str:
    """Dump messages as JSON of about ``max_chars`` at most: the texts in it are cut, not the JSON."""
    try:
        text = _ENCODER.encode(messages)
    except (TypeError, ValueError, RecursionError):
        return _values.to_text(messages, max_chars)
    if len(text) <= max_chars:
        return text
    texts = sum(len(message.get("parts", ())) for message in messages if isinstance(message, dict))
    return _values.to_text(_cut(messages, max_chars // (texts + 1)), max_chars)


def _cut(value: Any, max_chars: int) -> Any:
    if isinstance(value, str):
        return _values.clip(value, max_chars)
    if isinstance(value, dict):
        return {key: _cut(item, max_chars) for key, item in value.items()}
    return [_cut(item, max_chars) for item in value] if isinstance(value, list) else value


def input_message(message: Any) -> Attributes:
    """Return one message of a chat request."""
    role, content = field(message, "role"), field(message, "content")
    if role == "tool":
        response = content if isinstance(content, str) else _text_of(content)
        part = {"type": "tool_call_response", "id": field(message, "tool_call_id"), "response": response}
        return {"role": role, "parts": [part]}
    parts = [{"type": "text", "content": content}] if type(content) is str else content_parts(content)
    if role == "assistant" and (calls := field(message, "tool_calls")):
        parts = tool_calls(calls) + parts
    shown: Attributes = {"role": role, "parts": parts}
    if type(name := field(message, "name")) is str:
        shown["name"] = name
    return shown


def content_parts(content: Any) -> list[Attributes]:
    """Return a message's content as parts."""
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    if not isinstance(content, list | tuple):
        return []
    return [part for item in content if (part := _part(item)) is not None]


def _part(item: Any) -> Attributes | None:
    if isinstance(item, str):
        return {"type": "text", "content": item}
    kind = field(item, "type")
    if kind in _TEXT_PARTS or kind == "refusal":
        return {"type": "text", "content": field(item, "refusal" if kind == "refusal" else "text")}
    if kind in ("image_url", "input_image"):
        url = field(item, "image_url")
        return reference("image", url if isinstance(url, str) else field(url, "url"))
    if kind == "input_audio":
        audio = field(item, "input_audio")
        return reference("audio", field(audio, "data"), field(audio, "format"))
    if kind in ("file", "input_file"):
        file = field(item, "file") or item
        return reference(
            "document", field(file, "file_id") or field(file, "file_data"), field(file, "filename")
        )
    return None


def reference(modality: str, uri: Any, note: Any = None) -> Attributes:
    """Return a part that names a picture, a recording or a document; its bytes are only counted."""
    if not isinstance(uri, str) or len(uri) > _MAX_MEDIA_CHARS or uri.startswith("data:"):
        head = uri.partition(",")[0] if isinstance(uri, str) and uri.startswith("data:") else str(note or "")
        uri = f"<{head} {len(uri) if isinstance(uri, str) else 0} characters>"
    return {"type": "uri", "modality": modality, "uri": uri}


def tool_calls(calls: Any) -> list[Attributes]:
    """Return parts that ask for tools."""
    parts = []
    for call in calls if isinstance(calls, list | tuple) else ():
        function = field(call, "function") or field(call, "custom")
        arguments = field(function, "arguments")
        parts.append(
            tool_call(
                field(call, "id"),
                field(function, "name"),
                field(function, "input") if arguments is None else arguments,
            )
        )
    return parts


def tool_definition(tool: Any) -> Attributes | None:
    """Return the function a chat may call; None for other tools."""
    function = field(tool, "function")
    if function is None:
        return None
    return {
        "type": "function",
        "name": field(function, "name"),
        "description": field(function, "description"),
        "parameters": field(function, "parameters"),
    }


def _text_of(content: Any) -> str:
    return "".join(str(part.get("content", "")) for part in content_parts(content))


def field(thing: Any, key: str) -> Any:
    """Return a field of a dictionary or an object; None when it has none of that name."""
    return thing.get(key) if isinstance(thing, Mapping) else getattr(thing, key, None)
