"""Attributes of model calls as opentelemetry-instrumentation-genai-openai 1.3b0 writes them.

Read off its captured payloads; `tests/demo/test_history.py` holds them against the instrumentation itself.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from gnomon_collector.demo.completions import Completion
from gnomon_collector.demo.otlp import Scope, Value
from gnomon_schemas import attributes as names

OPENAI_SCOPE: Final = Scope(
    "opentelemetry.instrumentation.genai.openai", "1.3b0", "https://opentelemetry.io/schemas/1.37.0"
)
_FINISH_REASONS: Final = {"tool_calls": "tool_call"}


def call_attributes(operation: str, body: Mapping[str, Any]) -> dict[str, Value]:
    """What a span of `operation` (chat, embeddings) says about the request with the JSON `body`."""
    attributes: dict[str, Value] = {
        names.OPERATION_NAME: operation,
        names.PROVIDER_NAME: "openai",
        names.REQUEST_MODEL: body["model"],
        "server.address": "127.0.0.1",
        "server.port": 8081,
    }
    if "dimensions" in body:
        attributes["gen_ai.embeddings.dimension.count"] = body["dimensions"]
    if "temperature" in body:
        attributes["gen_ai.request.temperature"] = body["temperature"]
    if "messages" in body:
        attributes[names.INPUT_MESSAGES] = _json([_input_message(message) for message in body["messages"]])
    if "tools" in body:
        attributes["gen_ai.tool.definitions"] = _json([_tool_definition(tool) for tool in body["tools"]])
    return attributes


def completion_attributes(completion: Completion, first_chunk_s: float | None) -> dict[str, Value]:
    """What a chat span says about its answer; `first_chunk_s` is None when nothing was streamed."""
    usage = completion.usage
    attributes: dict[str, Value] = {
        names.FINISH_REASONS: [completion.finish_reason],
        names.RESPONSE_MODEL: completion.response_model,
        names.RESPONSE_ID: completion.id,
        names.INPUT_TOKENS: usage.input_tokens,
        names.OUTPUT_TOKENS: usage.output_tokens,
        names.OUTPUT_MESSAGES: _json([_output_message(completion)]),
        "openai.response.service_tier": "default",
    }
    # The instrumentation leaves out details of 0.
    if usage.cached_tokens:
        attributes[names.CACHE_READ_TOKENS] = usage.cached_tokens
    if usage.reasoning_tokens:
        attributes[names.REASONING_TOKENS] = usage.reasoning_tokens
    if first_chunk_s is None:
        attributes["openai.response.system_fingerprint"] = "fp_44709d6fcb"
    else:
        attributes |= {names.STREAM: True, names.TIME_TO_FIRST_CHUNK_S: first_chunk_s}
    return attributes


def broken_stream_attributes(completion: Completion, first_chunk_s: float) -> dict[str, Value]:
    """What a chat span says about an answer that broke off: what had come by then, and no usage."""
    came = " ".join(completion.text.split(" ")[:6])
    part = {"content": came, "type": "text"}
    return {
        names.STREAM: True,
        names.FINISH_REASONS: ["error"],
        names.RESPONSE_MODEL: completion.response_model,
        names.RESPONSE_ID: completion.id,
        names.TIME_TO_FIRST_CHUNK_S: first_chunk_s,
        names.OUTPUT_MESSAGES: _json([_message("assistant", [part], finish_reason="error")]),
        "openai.response.service_tier": "default",
    }


def _input_message(message: Mapping[str, Any]) -> dict[str, Any]:
    if message["role"] == "tool":
        response = {"response": message["content"], "id": message["tool_call_id"]}
        return _message("tool", [response | {"type": "tool_call_response"}])
    calls = [_tool_call(call) for call in message.get("tool_calls", ())]
    content = message.get("content")
    texts = [{"content": content, "type": "text"}] if content else []
    return _message(message["role"], texts + calls)


def _output_message(completion: Completion) -> dict[str, Any]:
    call = completion.tool_call
    part = _tool_call(call.body()) if call else {"content": completion.text, "type": "text"}
    reason = _FINISH_REASONS.get(completion.finish_reason, completion.finish_reason)
    return _message("assistant", [part], finish_reason=reason)


def _message(role: str, parts: list[dict[str, Any]], **more: str) -> dict[str, Any]:
    return {"role": role, "parts": parts, **more, "name": None}


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {
        "arguments": json.loads(function["arguments"]),
        "name": function["name"],
        "id": call["id"],
        "type": "tool_call",
    }


def _tool_definition(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool["function"]
    return {
        "name": function["name"],
        "description": function["description"],
        "parameters": function["parameters"],
        "type": "function",
    }


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
