"""The parts of messages: text, tool calls and results, reasoning, references to files, and any other JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from gnomon_schemas.readable import bounded, load_json, pretty, printable, shown

PartKind = Literal["text", "reasoning", "tool_call", "tool_result", "reference", "data"]

MOST_PARTS: Final = 400
_LONGEST_LABEL: Final = 120
TEXTS: Final = ("text", "input_text", "output_text", "refusal", "summary_text")
REASONING: Final = ("reasoning", "thinking", "redacted_thinking")
CALLS: Final = ("tool_call", "function_call", "tool_use", "server_tool_call", "server_tool_use", "tool-call")
RESULTS: Final = (
    *("tool_call_response", "tool_result", "function_call_output", "server_tool_call_response"),
    *("tool-result", "web_search_tool_result"),
)
REFERENCES: Final = (
    *("blob", "image", "input_image", "image_url", "uri", "file", "input_file", "input_audio", "audio"),
    *("document", "video", "media"),
)
_ARGUMENTS: Final = ("arguments", "input", "args", "server_tool_call")
_RESULT_TEXT: Final = ("response", "result", "output", "content", "server_tool_call_response")
_IDS: Final = ("id", "call_id", "tool_use_id", "tool_call_id", "toolCallId")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message.

    Attributes:
        kind: text, reasoning, tool_call, tool_result, reference (an image, sound or file), or data: any JSON
        body: text, pretty JSON, or where a reference leads to
        title: name of the tool, or what a reference is
        call_id: what ties a tool's result to its call
    """

    kind: PartKind
    body: str
    title: str = ""
    call_id: str = ""


def content_parts(content: Any) -> list[Part]:
    if isinstance(content, list):
        return [part for item in content[:MOST_PARTS] for part in [one_part(item)] if part.body or part.title]
    if isinstance(content, str):
        loaded = load_json(content) if content.startswith("[{") else None
        if isinstance(loaded, list) and all(_is_part(item) for item in loaded):
            return content_parts(loaded)
        return [text_part(content)] if content else []
    if isinstance(content, dict) and _is_part(content):
        return [one_part(content)]
    return [] if content is None or content == {} else [Part("data", pretty(content))]


def _is_part(item: Any) -> bool:
    known = (*TEXTS, *REASONING, *CALLS, *RESULTS, *REFERENCES)
    return isinstance(item, dict) and item.get("type") in known


def one_part(item: Any) -> Part:
    if not isinstance(item, dict):
        return text_part(item) if isinstance(item, str) else Part("data", pretty(item))
    content = item.get("message_content")  # OpenInference's envelope, a tool call beside it
    item = {**item, **content} if isinstance(content, dict) else item
    kind = str(item.get("type") or _kind_by_member(item))
    if kind in TEXTS:
        return text_part(_joined(_member(item, ("content", "text", "refusal"))))
    if kind in REASONING:
        return Part("reasoning", shown(_thought(item)))
    if kind in CALLS:
        return tool_call(item)
    if kind in RESULTS:
        return tool_result(item)
    if kind in REFERENCES:
        return Part("reference", target(item), _media(kind, item))
    return Part("data", pretty(item))


def _kind_by_member(item: Mapping[str, Any]) -> str:
    """Gemini's parts have no type: the member says what they are."""
    for name, kind in (
        *(("text", "text"), ("function_call", "tool_call"), ("functionCall", "tool_call")),
        *(("function_response", "tool_result"), ("functionResponse", "tool_result")),
        *(("inline_data", "blob"), ("inlineData", "blob"), ("file_data", "file"), ("fileData", "file")),
        *(("toolUse", "tool_use"), ("toolResult", "tool_result"), ("image", "image")),
    ):
        if item.get(name) is not None:
            return "reasoning" if kind == "text" and item.get("thought") is True else kind
    return ""


def text_part(text: str) -> Part:
    return Part("text", shown(text))


def _thought(item: Mapping[str, Any]) -> str:
    said = next(
        (item[name] for name in ("content", "text", "thinking", "reasoning", "summary") if item.get(name)),
        None,
    )
    said = load_json(said) if isinstance(said, str) and said.startswith('[{"') else said
    if isinstance(said, list):
        said = "\n".join(_joined(each.get("text")) if isinstance(each, dict) else str(each) for each in said)
    return _joined(said) or ("(redacted)" if item.get("type") == "redacted_thinking" else "")


def _joined(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(item, dict) and "text" in item for item in value):
        return "\n".join(str(item["text"]) for item in value)
    return value if isinstance(value, str) else "" if value is None else pretty(value)


def tool_call(item: Mapping[str, Any]) -> Part:
    inner = item.get("tool_call")
    item = inner if isinstance(inner, dict) else item
    call = next((item[name] for name in ("function", "function_call", "functionCall", "toolUse")
                 if isinstance(item.get(name), dict)), item)  # fmt: skip
    arguments = _member(call, _ARGUMENTS)
    name = call.get("name") or call.get("toolName") or item.get("name") or "tool"
    return Part(
        "tool_call", "" if arguments is None else pretty(arguments), _label(name), _id({**item, **call})
    )


def tool_result(item: Mapping[str, Any]) -> Part:
    inner = next((item[name] for name in ("function_response", "functionResponse", "toolResult")
                  if isinstance(item.get(name), dict)), item)  # fmt: skip
    result = _member(inner, _RESULT_TEXT)
    if isinstance(result, list) and result and all(_is_part(each) for each in result):
        result = "\n".join(part.body for part in content_parts(result))
    if isinstance(result, dict) and result.keys() == {"type", "value"}:  # the AI SDK's envelope
        result = result["value"]
    name = inner.get("name") or inner.get("toolName") or ""
    return Part("tool_result", "" if result is None else pretty(result), _label(name), _id(inner))


def _member(item: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _id(item: Mapping[str, Any]) -> str:
    # the id of an item of OpenAI's responses is not that of its call
    found = item.get("call_id") or item.get("tool_call_id") or _member(item, _IDS)
    return _label(found) if isinstance(found, str) else ""


def _label(text: object) -> str:
    return printable(str(text))[:_LONGEST_LABEL]


# --- images, sound and files --------------------------------------------------------------------

_MEDIA_NAMES: Final = ("media_type", "mime_type", "mimeType", "mediaType", "content_type")
_HOLDERS: Final = (
    *("source", "image_url", "image", "audio", "video", "file", "input_audio", "inline_data", "inlineData"),
    *("file_data", "fileData"),
)


def _media(kind: str, item: Mapping[str, Any]) -> str:
    names = ("modality", *_MEDIA_NAMES, "format")
    said = next((holder[name] for holder in _held(item) for name in names if holder.get(name)), "")
    plain = {"image_url": "image", "input_image": "image", "input_audio": "audio", "input_file": "file"}
    return _label(said or plain.get(kind, kind))


def _held(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The part and the objects within it that may say what it is and where."""
    held: list[Mapping[str, Any]] = [item]
    for holder in held:  # grows while it is read: OpenInference has image.image.url
        held.extend(
            inner for name in _HOLDERS if isinstance(inner := holder.get(name), dict) and len(held) < 9
        )
    return held


def target(item: Mapping[str, Any]) -> str:
    """Return where a reference leads to. What came inline is told by its size alone, never shown."""
    held = _held(item)
    said = [holder[name] for name in _PLACES for holder in held if isinstance(holder.get(name), str)]
    place = next((text for text in said if _leads_somewhere(text)), "")
    if place:
        return bounded(printable(place))[:500]
    inline = [holder[name] for name in (*_PLACES, *_CONTENTS) for holder in held
              if isinstance(holder.get(name), str) and holder[name]]  # fmt: skip
    if inline:
        return f"inline, about {len(inline[0].partition('base64,')[2] or inline[0]) * 3 // 4:,} bytes"
    named = next((holder[name] for name in _IDENTIFIERS for holder in held
                  if isinstance(holder.get(name), str)), "")  # fmt: skip
    return _label(named) or "no content sent"


_PLACES: Final = ("uri", "url", "file_uri", "fileUri", "image_url", "image")
_CONTENTS: Final = ("content", "data", "file_data", "bytes")
_IDENTIFIERS: Final = ("file_id", "filename", "id")
_SCHEMES: Final = (
    "http://",
    "https://",
    "gs://",
    "s3://",
    "file:",
    "mlflow-attachment:",
    "@@@langfuseMedia:",
)


def _leads_somewhere(text: str) -> bool:
    return text.startswith(_SCHEMES) or (
        len(text) < 300 and "base64" not in text and "/" in text[:60] and ":" in text
    )
