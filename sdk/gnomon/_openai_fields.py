"""What OpenAI's requests and answers say, as attributes of the GenAI conventions: pure functions.

Attribute names and the shape of messages: OpenTelemetry semantic conventions for generative AI
(https://opentelemetry.io/docs/specs/semconv/gen-ai/). Requests hold whatever the host passed, so values
are looked at and never trusted.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gnomon import _values
from gnomon_schemas import attributes as names

Attributes = dict[str, Any]
_SCALARS: Final = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "seed": "gen_ai.request.seed",
    "reasoning_effort": "gen_ai.request.reasoning.level",
    "service_tier": "openai.request.service_tier",
    "dimensions": "gen_ai.embeddings.dimension.count",
    "stream": names.STREAM,
}
_SCALAR_TYPES: Final = (int, float, str, bool)
_TEXT_PARTS: Final = ("text", "input_text", "output_text")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_MAX_MEDIA_CHARS: Final = 2_048
"""Longer references, such as images inside of ``data:`` URLs, are described instead of recorded."""


def request_attributes(kwargs: Mapping[str, Any], operation: str) -> Attributes:
    """Return what a request says besides its content; ``operation`` is ``chat`` or ``embeddings``."""
    attributes: Attributes = {
        names.OPERATION_NAME: operation,
        names.PROVIDER_NAME: "openai",
        names.REQUEST_MODEL: _values.safe_str(kwargs.get("model", "")),
    }
    for key, value in kwargs.items():
        name = _SCALARS.get(key)
        if name is not None and type(value) in _SCALAR_TYPES and value is not False:
            attributes[name] = value
    count, stop = kwargs.get("n"), kwargs.get("stop")
    if type(count) is int and count != 1:
        attributes["gen_ai.request.choice.count"] = count
    if isinstance(stop, str | list | tuple):
        attributes["gen_ai.request.stop_sequences"] = (
            [stop] if isinstance(stop, str) else list(map(str, stop))
        )
    if (output_type := _output_type(kwargs.get("response_format"))) is not None:
        attributes["gen_ai.output.type"] = output_type
    if type(encoding := kwargs.get("encoding_format")) is str:
        attributes["gen_ai.request.encoding_formats"] = [encoding]
    return attributes


def server_attributes(client: Any) -> Attributes:
    """Return where a client sends its requests."""
    url = getattr(client, "base_url", None)
    host, port = getattr(url, "host", None), getattr(url, "port", None)
    attributes: Attributes = {"server.address": host} if isinstance(host, str) and host else {}
    if isinstance(port, int) and port != 443:
        attributes["server.port"] = port
    return attributes


def input_content(kwargs: Mapping[str, Any], max_chars: int) -> Attributes:
    """Return a chat request's messages and tools as JSON text."""
    content: Attributes = {}
    messages = kwargs.get("messages")
    # An iterator is left alone: reading it would take the messages away from the request.
    if isinstance(messages, Sequence) and not isinstance(messages, str):
        content[names.INPUT_MESSAGES] = dumped([_input_message(message) for message in messages], max_chars)
    tools = kwargs.get("tools")
    if isinstance(tools, list | tuple) and tools:
        definitions = [definition for tool in tools if (definition := _tool(tool)) is not None]
        content["gen_ai.tool.definitions"] = dumped(definitions, max_chars)
    return content


def chat_attributes(answer: Any) -> Attributes:
    """Return what a chat completion, or a chunk of one, says besides its content."""
    attributes: Attributes = {}
    for name, value in (
        (names.RESPONSE_MODEL, getattr(answer, "model", None)),
        (names.RESPONSE_ID, getattr(answer, "id", None)),
        ("openai.response.service_tier", getattr(answer, "service_tier", None)),
        ("openai.response.system_fingerprint", getattr(answer, "system_fingerprint", None)),
    ):
        if value and isinstance(value, str):
            attributes[name] = value
    usage = getattr(answer, "usage", None)
    return attributes if usage is None else attributes | usage_attributes(usage)


def usage_attributes(usage: Any) -> Attributes:
    """Return the tokens a provider reports; cached and reasoning tokens only where there are any."""
    given, made = _get(usage, "prompt_tokens_details"), _get(usage, "completion_tokens_details")
    counts = (
        (names.INPUT_TOKENS, _get(usage, "prompt_tokens"), 0),
        (names.OUTPUT_TOKENS, _get(usage, "completion_tokens"), 0),
        (names.CACHE_READ_TOKENS, _get(given, "cached_tokens"), 1),
        (names.CACHE_WRITE_TOKENS, _get(given, "cache_write_tokens"), 1),
        ("gen_ai.usage.audio.input_tokens", _get(given, "audio_tokens"), 1),
        (names.REASONING_TOKENS, _get(made, "reasoning_tokens"), 1),
        ("gen_ai.usage.audio.output_tokens", _get(made, "audio_tokens"), 1),
    )
    return {name: count for name, count, least in counts if type(count) is int and count >= least}


def finish_reasons(choices: Iterable[Any]) -> list[str]:
    """Return why each choice ended."""
    return [_values.safe_str(getattr(choice, "finish_reason", None) or "error") for choice in choices]


def output_messages(choices: Iterable[Any], max_chars: int) -> str:
    """Return the messages of a chat completion as JSON text."""
    shown = []
    for choice in choices:
        message = getattr(choice, "message", None)
        if message is not None:
            parts = _tool_calls(getattr(message, "tool_calls", None))
            parts = _reasoning(message) + parts + _parts(getattr(message, "content", None))
            if isinstance(refusal := getattr(message, "refusal", None), str):
                parts.append({"type": "text", "content": refusal})
            shown.append(output_message(parts, choice.finish_reason, message.role or "assistant"))
    return dumped(shown, max_chars)


def output_message(parts: list[Attributes], finish_reason: object, role: str = "assistant") -> Attributes:
    """Return one message of an answer."""
    reason = "tool_call" if finish_reason in ("tool_calls", "function_call") else finish_reason or "error"
    return {"role": role, "parts": parts, "finish_reason": reason}


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


def _input_message(message: Any) -> Attributes:
    role, content = _get(message, "role"), _get(message, "content")
    if role == "tool":
        response = content if isinstance(content, str) else _text_of(content)
        part = {"type": "tool_call_response", "id": _get(message, "tool_call_id"), "response": response}
        return {"role": role, "parts": [part]}
    parts = [{"type": "text", "content": content}] if type(content) is str else _parts(content)
    if role == "assistant" and (calls := _get(message, "tool_calls")):
        parts = _tool_calls(calls) + parts
    shown: Attributes = {"role": role, "parts": parts}
    if type(name := _get(message, "name")) is str:
        shown["name"] = name
    return shown


def _parts(content: Any) -> list[Attributes]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    if not isinstance(content, list | tuple):
        return []
    return [part for item in content if (part := _part(item)) is not None]


def _part(item: Any) -> Attributes | None:
    if isinstance(item, str):
        return {"type": "text", "content": item}
    kind = _get(item, "type")
    if kind in _TEXT_PARTS or kind == "refusal":
        return {"type": "text", "content": _get(item, "refusal" if kind == "refusal" else "text")}
    if kind in ("image_url", "input_image"):
        url = _get(item, "image_url")
        return _reference("image", url if isinstance(url, str) else _get(url, "url"))
    if kind == "input_audio":
        audio = _get(item, "input_audio")
        return _reference("audio", _get(audio, "data"), _get(audio, "format"))
    if kind in ("file", "input_file"):
        file = _get(item, "file") or item
        return _reference(
            "document", _get(file, "file_id") or _get(file, "file_data"), _get(file, "filename")
        )
    return None


def _reference(modality: str, uri: Any, note: Any = None) -> Attributes:
    if not isinstance(uri, str) or len(uri) > _MAX_MEDIA_CHARS or uri.startswith("data:"):
        head = uri.partition(",")[0] if isinstance(uri, str) and uri.startswith("data:") else str(note or "")
        uri = f"<{head} {len(uri) if isinstance(uri, str) else 0} characters>"
    return {"type": "uri", "modality": modality, "uri": uri}


def _tool_calls(calls: Any) -> list[Attributes]:
    parts = []
    for call in calls if isinstance(calls, list | tuple) else ():
        function = _get(call, "function") or _get(call, "custom")
        arguments = _get(function, "arguments")
        parts.append(
            tool_call(
                _get(call, "id"),
                _get(function, "name"),
                _get(function, "input") if arguments is None else arguments,
            )
        )
    return parts


def _reasoning(message: Any) -> list[Attributes]:
    # Not OpenAI's own, but of servers that speak its protocol: DeepSeek, vLLM, OpenRouter.
    # Looked up among the extra fields: asking a pydantic model for a field it lacks takes an exception.
    extra = getattr(message, "model_extra", None) or {}
    text = extra.get("reasoning_content") or extra.get("reasoning")
    return [{"type": "reasoning", "content": text}] if isinstance(text, str) else []


def _tool(tool: Any) -> Attributes | None:
    function = _get(tool, "function")
    if function is None:
        return None
    return {
        "type": "function",
        "name": _get(function, "name"),
        "description": _get(function, "description"),
        "parameters": _get(function, "parameters"),
    }


def _text_of(content: Any) -> str:
    return "".join(str(part.get("content", "")) for part in _parts(content))


def _output_type(response_format: Any) -> str | None:
    if isinstance(response_format, type):
        return "json"
    kind = response_format if isinstance(response_format, str) else _get(response_format, "type")
    if not isinstance(kind, str):
        return None
    return "json" if kind.startswith("json") else kind


def _get(thing: Any, key: str) -> Any:
    return thing.get(key) if isinstance(thing, Mapping) else getattr(thing, key, None)
