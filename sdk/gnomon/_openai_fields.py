"""What OpenAI's requests and answers say, as attributes of the GenAI conventions: pure functions.

Attribute names and the shape of messages: OpenTelemetry semantic conventions for generative AI
(https://opentelemetry.io/docs/specs/semconv/gen-ai/). Requests hold whatever the host passed, so values
are looked at and never trusted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as field_of
from typing import Any, Final

from gnomon import _values
from gnomon._conversations import Conversations
from gnomon._openai_content import (
    content_parts,
    dumped,
    field,
    finish_reason_of,
    input_message,
    output_message,
    tool_calls,
    tool_definition,
)
from gnomon._plain_messages import Message, PlainMessages
from gnomon_schemas import attributes as names

Attributes = dict[str, Any]
_SCALARS: Final = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
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
# Chat completions and embeddings say prompt and completion, responses and images input and output.
_TOKENS: Final = (
    ("prompt_tokens", names.INPUT_TOKENS),
    ("completion_tokens", names.OUTPUT_TOKENS),
    ("input_tokens", names.INPUT_TOKENS),
    ("output_tokens", names.OUTPUT_TOKENS),
)
_INPUT_DETAILS: Final = (
    ("cached_tokens", names.CACHE_READ_TOKENS),
    ("cache_write_tokens", names.CACHE_WRITE_TOKENS),
    ("audio_tokens", "gen_ai.usage.audio.input_tokens"),
)
_OUTPUT_DETAILS: Final = (
    ("reasoning_tokens", names.REASONING_TOKENS),
    ("audio_tokens", "gen_ai.usage.audio.output_tokens"),
)
_TOKEN_DETAILS: Final = (
    ("prompt_tokens_details", _INPUT_DETAILS),
    ("completion_tokens_details", _OUTPUT_DETAILS),
    ("input_tokens_details", _INPUT_DETAILS),
    ("output_tokens_details", _OUTPUT_DETAILS),
)
_SCALAR_TYPES: Final = (int, float, str, bool)


@dataclass(frozen=True, slots=True)
class Reading:
    """How requests and answers are read.

    Attributes:
        content: whether messages, inputs and outputs are recorded.
        max_chars: how much of one value is kept.
        conversations: the conversation each response of late belongs to.
    """

    content: bool
    max_chars: int
    conversations: Conversations = field_of(default_factory=Conversations)


def chat_request(kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what the request of a chat completion says."""
    attributes = request_attributes(kwargs, "chat")
    if reading.content:
        attributes.update(input_content(kwargs, reading.max_chars))
    return attributes


def chat_answer(answer: Any, kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what a chat completion says."""
    attributes = chat_attributes(answer)
    choices = answer.choices
    if choices:
        attributes[names.FINISH_REASONS] = finish_reasons(choices)
        if reading.content:
            attributes[names.OUTPUT_MESSAGES] = output_messages(choices, reading.max_chars)
    return attributes


def embeddings_request(kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what a request for embeddings says; a list of texts is not recorded."""
    attributes = request_attributes(kwargs, "embeddings")
    if reading.content and isinstance(text := kwargs.get("input"), str):
        attributes[names.INPUT] = text[: reading.max_chars]
    return attributes


def embeddings_answer(answer: Any, kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what an answer with embeddings says besides the vectors."""
    return chat_attributes(answer)


def request_attributes(kwargs: Mapping[str, Any], operation: str) -> Attributes:
    """Return what a request says besides its content; ``operation`` as in the GenAI conventions."""
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
            [input_message(message) for message in messages], max_chars
        )
    tools = kwargs.get("tools")
    if isinstance(tools, list | tuple) and tools:
        definitions = [definition for tool in tools if (definition := tool_definition(tool)) is not None]
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
    return plain_within(plain, max_chars)


def plain_within(messages: Sequence[Message], max_chars: int) -> PlainMessages | None:
    """Return messages as they are; None when they are too long, and have to be cut."""
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
        plain.append((role, text, finish_reason_of(reason)))
    return plain_within(plain, max_chars)


def _output_parts(said: Mapping[str, Any]) -> list[Attributes]:
    # Reasoning is not OpenAI's own, but of servers that speak its protocol: DeepSeek, vLLM, OpenRouter.
    reasoning = said.get("reasoning_content") or said.get("reasoning")
    parts: list[Attributes] = (
        [{"type": "reasoning", "content": reasoning}] if isinstance(reasoning, str) else []
    )
    parts += tool_calls(said.get("tool_calls")) + content_parts(said.get("content"))
    if isinstance(refusal := said.get("refusal"), str):
        parts.append({"type": "text", "content": refusal})
    return parts


def _output_type(response_format: Any) -> str | None:
    if isinstance(response_format, type):
        return "json"
    kind = response_format if isinstance(response_format, str) else field(response_format, "type")
    if not isinstance(kind, str):
        return None
    return "json" if kind.startswith("json") else kind
