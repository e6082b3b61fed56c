"""OpenAI's Responses API as attributes of the GenAI conventions: requests, answers, streamed events.

Requests and answers are flat lists of items (messages, reasoning, calls of tools and what they returned):
https://platform.openai.com/docs/api-reference/responses. One answer is one message here, as of a chat.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gnomon import _values
from gnomon._model_call import ERROR_MESSAGE
from gnomon._openai_content import (
    content_parts,
    dumped,
    field,
    input_message,
    output_message,
    tool_call,
)
from gnomon._openai_fields import Reading, chat_attributes, fields_of, plain_within, request_attributes
from gnomon._openai_stream import StreamRecord
from gnomon._plain_messages import PlainMessages
from gnomon_schemas import attributes as names

Attributes = dict[str, Any]
_API_TYPE: Final = "openai.api.type"
_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input", "computer_call": "action"}
"""Items that ask the client to run a tool, and where they keep its arguments."""
_RESULTS: Final = ("function_call_output", "custom_tool_call_output", "computer_call_output")
_REASONS: Final = {"max_output_tokens": "length"}
_ENDED: Final = ("response.completed", "response.incomplete", "response.failed")
_DELTAS: Final = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "text",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.function_call_arguments.delta": "tool_call",
    "response.custom_tool_call_input.delta": "tool_call",
}


def responses_request(kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what a request to the Responses API says."""
    attributes = request_attributes(kwargs, "chat")
    attributes[_API_TYPE] = "responses"
    if type(effort := field(kwargs.get("reasoning"), "effort")) is str:
        attributes["gen_ai.request.reasoning.level"] = effort
    if (conversation := _conversation(kwargs, reading)) is not None:
        attributes[names.CONVERSATION_ID] = conversation
    if isinstance(kwargs.get("text_format"), type):
        attributes["gen_ai.output.type"] = "json"
    elif type(kind := field(field(kwargs.get("text"), "format"), "type")) is str:
        attributes["gen_ai.output.type"] = "json" if kind.startswith("json") else kind
    if reading.content:
        attributes.update(_input(kwargs, reading.max_chars))
    return attributes


def responses_answer(answer: Any, kwargs: Mapping[str, Any], reading: Reading) -> Attributes:
    """Return what a response says."""
    attributes = chat_attributes(answer)
    output = answer.output or ()
    reason = _finish_reason(answer, output)
    if reason is not None:
        attributes[names.FINISH_REASONS] = (reason,)
    if reading.content and output:
        attributes[names.OUTPUT_MESSAGES] = _output(output, reason, reading.max_chars)
    if answer.error is not None:
        attributes[names.ERROR_TYPE] = _values.safe_str(field(answer.error, "code") or "error")
        attributes[ERROR_MESSAGE] = _values.safe_str(field(answer.error, "message"))
    previous = answer.previous_response_id
    if type(previous) is str and type(answer.id) is str:
        reading.conversations.grow(previous, answer.id)
    return attributes


def _conversation(kwargs: Mapping[str, Any], reading: Reading) -> str | None:
    """Return the conversation a request names, or else that of the response it goes on from."""
    given, previous = kwargs.get("conversation"), kwargs.get("previous_response_id")
    named = given if type(given) is str else field(given, "id")
    if type(named) is str and named:
        return named
    return reading.conversations.of(previous) if type(previous) is str and previous else None


def _input(kwargs: Mapping[str, Any], max_chars: int) -> Attributes:
    content: Attributes = {}
    instructions, given, tools = kwargs.get("instructions"), kwargs.get("input"), kwargs.get("tools")
    if type(instructions) is str:
        parts = [{"type": "text", "content": _values.clip(instructions, max_chars)}]
        content[names.SYSTEM_INSTRUCTIONS] = dumped(parts, max_chars)
    if type(given) is str:
        content[names.INPUT_MESSAGES] = plain_within([("user", given, None)], max_chars) or dumped(
            [{"role": "user", "parts": content_parts(given)}], max_chars
        )
    elif isinstance(given, list | tuple):
        content[names.INPUT_MESSAGES] = dumped(_input_messages(given), max_chars)
    if isinstance(tools, list | tuple) and tools:
        content["gen_ai.tool.definitions"] = dumped([_tool(tool) for tool in tools], max_chars)
    return content


def _input_messages(items: Iterable[Any]) -> list[Attributes]:
    """Return one message per turn: calls of tools that belong together are items of their own."""
    messages: list[Attributes] = []
    for item in items:
        message = _message(item)
        if message is None:
            continue
        if messages and _asks_for_tools(message) and _asks_for_tools(messages[-1]):
            messages[-1]["parts"] += message["parts"]
        else:
            messages.append(message)
    return messages


def _asks_for_tools(message: Attributes) -> bool:
    return message["role"] == "assistant" and all(part["type"] == "tool_call" for part in message["parts"])


def _message(item: Any) -> Attributes | None:
    kind = field(item, "type")
    if kind in _RESULTS:
        return {"role": "tool", "parts": [_tool_result(item)]}
    if field(item, "role") is not None:
        return input_message(item)
    parts = _parts_of_item(item)
    return {"role": "assistant", "parts": parts} if parts else None


def _parts_of_item(item: Any) -> list[Attributes]:
    kind = field(item, "type")
    if kind == "message":
        return content_parts(field(item, "content"))
    if kind == "reasoning":
        return _reasoning(item)
    if kind in _CALLS:
        name = field(item, "name") or str(kind).removesuffix("_call")
        return [tool_call(_call_id(item), name, _plain(field(item, _CALLS[kind])))]
    return [] if kind in ("item_reference", None) else [_server_tool(item)]


def _reasoning(item: Any) -> list[Attributes]:
    texts = [field(part, "text") for key in ("summary", "content") for part in field(item, key) or ()]
    return [{"type": "reasoning", "content": text} for text in texts if isinstance(text, str)]


def _tool_result(item: Any) -> Attributes:
    output = field(item, "output")
    if isinstance(output, list | tuple):
        output = content_parts(output)
    return {"type": "tool_call_response", "id": _call_id(item), "response": _plain(output)}


def _server_tool(item: Any) -> Attributes:
    """Describe what OpenAI ran itself, such as a web search, by the fields of its item."""
    said = {key: value for key, value in fields_of(item).items() if value is not None}
    name = said.get("name") or said.get("type")
    return {"type": "server_tool_call", "id": said.get("id"), "name": name, "server_tool_call": _plain(said)}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else _values.to_plain(value, 100_000)


def _call_id(item: Any) -> Any:
    return field(item, "call_id") or field(item, "id")


def _tool(tool: Any) -> Attributes:
    kind = field(tool, "type")
    name = field(tool, "name") or kind
    if kind != "function":
        return {"type": kind, "name": name}
    return {
        "type": kind,
        "name": name,
        "description": field(tool, "description"),
        "parameters": field(tool, "parameters"),
    }


def _finish_reason(answer: Any, output: Iterable[Any]) -> str | None:
    status = answer.status
    if status == "incomplete":
        reason = field(answer.incomplete_details, "reason") or status
        return _REASONS.get(reason, _values.safe_str(reason))
    if status in ("failed", "cancelled"):
        return "error"
    if status not in ("completed", None):
        return None  # queued, or still in progress in the background
    return "tool_calls" if any(field(item, "type") in _CALLS for item in output) else "stop"


def _output(items: Any, reason: str | None, max_chars: int) -> str | PlainMessages:
    parts = [part for item in items for part in _parts_of_item(item)]
    if len(parts) == 1 and parts[0]["type"] == "text" and type(text := parts[0]["content"]) is str:
        plain = plain_within([("assistant", text, reason or "error")], max_chars)
        if plain is not None:
            return plain
    return dumped([output_message(parts, reason)], max_chars)


class ResponsesStream(StreamRecord):
    """What a streamed response says; a last event repeats all of it, if the stream gets that far."""

    def _add(self, event: Any) -> None:
        kind = event.type
        if kind in _DELTAS:
            self._call.token()
            self._keep((event.output_index, _DELTAS[kind]), event.delta)
        elif kind == "response.output_item.added" and field(event.item, "type") in _CALLS:
            self._tools[event.output_index] = (_call_id(event.item), field(event.item, "name"))
        elif kind == "response.created":
            self._call.attributes.update(chat_attributes(event.response))
        elif kind in _ENDED:
            self._complete = True
            self._call.attributes.update(responses_answer(event.response, {}, self._reading))

    def _finish(self) -> None:
        if not self._complete and self._reading.content and self._texts:
            parts = [self._part(*key, "".join(texts)) for key, texts in sorted(self._texts.items())]
            message = output_message(parts, None)
            self._call.attributes[names.OUTPUT_MESSAGES] = dumped([message], self._reading.max_chars)

    def _part(self, index: int, kind: str, text: str) -> Attributes:
        if kind == "tool_call":
            call_id, name = self._tools.get(index, (None, None))
            return tool_call(call_id, name, text)
        return {"type": kind, "content": text}
