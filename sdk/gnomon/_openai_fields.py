"""What OpenAI's requests and answers say, as attributes of the GenAI conventions: pure functions.

Attribute names and the shape of messages: OpenTelemetry semantic conventions for generative AI
(https://opentelemetry.io/docs/specs/semconv/gen-ai/). Requests hold whatever the host passed, so values
are looked at and never trusted.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gnomon import _values
from gnomon._plain_messages import Message, PlainMessages
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
_SAID: Final = (
    ("model", names.RESPONSE_MODEL),
    ("id", names.RESPONSE_ID),
    ("service_tier", "openai.response.service_tier"),
    ("system_fingerprint", "openai.response.system_fingerprint"),
)
_TOKENS: Final = (("prompt_tokens", names.INPUT_TOKENS), ("completion_tokens", names.OUTPUT_TOKENS))
_TOKEN_DETAILS: Final = (
    (
        "prompt_tokens_details",
        (
            ("cached_tokens", names.CACHE_READ_TOKENS),
            ("cache_write_tokens", names.CACHE_WRITE_TOKENS),
            ("audio_tokens", "gen_ai.usage.audio.input_tokens"),
        ),
    ),
    (
        "completion_tokens_details",
        (
            ("reasoning_tokens", names.REASONING_TOKENS),
            ("audio_tokens", "gen_ai.usage.audio.output_tokens"),
        ),
    ),
)
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
            (stop,) if isinstance(stop, str) else tuple(map(str, stop))
        )
    if (form := kwargs.get("response_format")) and (output_type := _output_type(form)) is not None:
        attributes["gen_ai.output.type"] = output_type
    if type(encoding := kwargs.get("encoding_format")) is str:
        attributes["gen_ai.request.encoding_formats"] = (encoding,)
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
    """Return a chat request's messages and tools: `PlainMessages`, or JSON text."""
    content: Attributes = {}
    messages = kwargs.get("messages")
    # An iterator is left alone: reading it would take the messages away from the request.
    if type(messages) is list or (isinstance(messages, Sequence) and not isinstance(messages, str)):
        content[names.INPUT_MESSAGES] = _plain_input(messages, max_chars) or dumped(
            [_input_message(message) for message in messages], max_chars
        )
    tools = kwargs.get("tools")
    if isinstance(tools, list | tuple) and tools:
        definitions = [definition for tool in tools if (definition := _tool(tool)) is not None]
        content["gen_ai.tool.definitions"] = dumped(definitions, max_chars)
    return content


def _plain_input(messages: Sequence[Any], max_chars: int) -> PlainMessages | None:
    """Return messages of a role and a text each; None when there are others, or too much of them."""
    plain: list[Message] = []
    for message in messages:
        if type(message) is not dict or len(message) != 2:
            return None
        role, text = message.get("role"), message.get("content")
        if type(role) is not str or type(text) is not str or role == "tool":
            return None
        plain.append((role, text, None))
    return _within(plain, max_chars)


def _within(messages: Sequence[Message], max_chars: int) -> PlainMessages | None:
    plain = PlainMessages(messages)
    return plain if plain.chars <= max_chars else None


def chat_attributes(answer: Any) -> Attributes:
    """Return what a chat completion, or a chunk of one, says besides its content."""
    attributes: Attributes = {}
    said = fields_of(answer)
    for key, name in _SAID:
        value = said.get(key)
        if value and isinstance(value, str):
            attributes[name] = value
    usage = said.get("usage")
    if usage is not None:
        attributes.update(usage_attributes(usage))
    return attributes


def usage_attributes(usage: Any) -> Attributes:
    """Return the tokens a provider reports; cached and reasoning tokens only where there are any."""
    said = fields_of(usage)
    attributes: Attributes = {}
    for key, name in _TOKENS:
        if type(count := said.get(key)) is int:
            attributes[name] = count
    for group, counts in _TOKEN_DETAILS:
        if (details := said.get(group)) is not None:
            split = fields_of(details)
            for key, name in counts:
                if type(count := split.get(key)) is int and count > 0:
                    attributes[name] = count
    return attributes


def fields_of(thing: Any) -> Mapping[str, Any]:
    """Return the fields of one of openai's objects, those its class does not know included.

    Asking a pydantic model for a field it lacks costs an exception, a dictionary costs nothing.
    """
    if isinstance(thing, dict):
        return thing
    extra = getattr(thing, "__pydantic_extra__", None)
    own = getattr(thing, "__dict__", None) or {}
    return {**own, **extra} if extra else own


def finish_reasons(choices: Iterable[Any]) -> tuple[str, ...]:
    """Return why each choice ended."""
    return tuple([_values.safe_str(choice.finish_reason or "error") for choice in choices])


def output_messages(choices: Sequence[Any], max_chars: int) -> str | PlainMessages:
    """Return the messages of a chat completion: `PlainMessages`, or JSON text."""
    messages = [(fields_of(choice.message), choice.finish_reason) for choice in choices]
    return _plain_output(messages, max_chars) or dumped(
        [
            output_message(_output_parts(said), reason, said.get("role") or "assistant")
            for said, reason in messages
        ],
        max_chars,
    )


def _plain_output(messages: Iterable[tuple[Mapping[str, Any], Any]], max_chars: int) -> PlainMessages | None:
    plain: list[Message] = []
    for said, reason in messages:
        get = said.get
        text, role = get("content"), get("role")
        if type(text) is not str or type(role) is not str or type(reason) is not str:
            return None
        if get("tool_calls") or get("refusal") or get("reasoning_content") or get("reasoning"):
            return None
        plain.append((role, text, _finish_reason(reason)))
    return _within(plain, max_chars)


def _output_parts(said: Mapping[str, Any]) -> list[Attributes]:
    # Reasoning is not OpenAI's own, but of servers that speak its protocol: DeepSeek, vLLM, OpenRouter.
    reasoning = said.get("reasoning_content") or said.get("reasoning")
    parts: list[Attributes] = (
        [{"type": "reasoning", "content": reasoning}] if isinstance(reasoning, str) else []
    )
    parts += _tool_calls(said.get("tool_calls")) + _parts(said.get("content"))
    if isinstance(refusal := said.get("refusal"), str):
        parts.append({"type": "text", "content": refusal})
    return parts


def output_message(parts: list[Attributes], finish_reason: object, role: str = "assistant") -> Attributes:
    """Return one message of an answer."""
    return {"role": role, "parts": parts, "finish_reason": _finish_reason(finish_reason)}


def _finish_reason(reason: Any) -> Any:
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
