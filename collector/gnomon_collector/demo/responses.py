"""OpenAI's Responses API in wire format, on top of the stand-in's chat completions: all pure.

A request becomes a `ChatRequest`, and its `Completion` is told as output items or as the events of a stream:
https://platform.openai.com/docs/api-reference/responses.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gnomon_collector.demo.completions import ChatRequest, Completion, InvalidRequestError, pieces

_REASONING: Final = "The question is about an order, so its number and date decide."
_CALL_ROLES: Final = {"function_call": "assistant", "function_call_output": "tool"}


def request_of(body: Mapping[str, Any]) -> ChatRequest:
    """Read a `/v1/responses` body.

    Raises:
        InvalidRequestError: `model` is no string, or `input` neither text nor a list of objects.
    """
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise InvalidRequestError("'input' must be a string or a list of objects")
    messages = [_message(item) for item in items]
    if isinstance(body.get("instructions"), str):
        messages.insert(0, {"role": "system", "content": body["instructions"]})
    tools = [{"type": "function", "function": tool} for tool in body.get("tools") or ()]
    return ChatRequest.from_body(
        {
            **{key: body[key] for key in ("model", "stream", "tool_choice") if key in body},
            "messages": messages,
            "tools": tools,
            "max_tokens": body.get("max_output_tokens"),
        }
    )


def response_body(completion: Completion, request: Mapping[str, Any]) -> dict[str, object]:
    """The JSON of an answer that is not streamed."""
    was_cut = completion.finish_reason == "length"
    return {
        **_envelope(completion, request),
        "status": "incomplete" if was_cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if was_cut else None,
        "output": _items(completion),
        "usage": _usage(completion),
    }


def event_bodies(completion: Completion, request: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """The JSON of each event of a streamed answer, the last with all of it."""
    opening = {**_envelope(completion, request), "status": "in_progress", "output": [], "usage": None}
    events = [{"type": "response.created", "response": opening}]
    for index, item in enumerate(_items(completion)):
        events += _item_events(index, item)
    whole = response_body(completion, request)
    events.append({"type": f"response.{whole['status']}", "response": whole})
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    role = item.get("role") or _CALL_ROLES.get(str(item.get("type")), "assistant")
    return {"role": role, "content": item.get("content") or item.get("output") or ""}


def _envelope(completion: Completion, request: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": completion.id.replace("chatcmpl-", "resp_"),
        "object": "response",
        "created_at": completion.created_s,
        "model": completion.response_model,
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "previous_response_id": request.get("previous_response_id"),
        "parallel_tool_calls": True,
        "service_tier": "default",
        "tool_choice": request.get("tool_choice", "auto"),
        "tools": request.get("tools", []),
        "text": {"format": {"type": "text"}},
    }


def _items(completion: Completion) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if completion.usage.reasoning_tokens:
        summary = [{"type": "summary_text", "text": _REASONING}]
        items.append({"id": f"rs_{completion.id}", "type": "reasoning", "summary": summary})
    if (call := completion.tool_call) is not None:
        items.append(
            {
                "id": f"fc_{call.id}",
                "type": "function_call",
                "status": "completed",
                "call_id": call.id,
                "name": call.name,
                "arguments": call.arguments,
            }
        )
        return items
    content = [{"type": "output_text", "text": completion.text, "annotations": []}]
    items.append(
        {
            "id": f"msg_{completion.id}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": content,
        }
    )
    return items


def _item_events(index: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    place = {"output_index": index, "item_id": item["id"]}
    events = [{"type": "response.output_item.added", "output_index": index, "item": _emptied(item)}]
    if item["type"] == "message":
        part = item["content"][0]
        place |= {"content_index": 0}
        events.append({"type": "response.content_part.added", **place, "part": {**part, "text": ""}})
        events += [
            {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
            for piece in pieces(part["text"])
        ]
        events.append({"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []})
        events.append({"type": "response.content_part.done", **place, "part": part})
    elif item["type"] == "function_call":
        kind = "response.function_call_arguments"
        events += [{"type": f"{kind}.delta", **place, "delta": piece} for piece in pieces(item["arguments"])]
        events.append({"type": f"{kind}.done", **place, "name": item["name"], "arguments": item["arguments"]})
    else:
        place |= {"summary_index": 0}
        kind = "response.reasoning_summary_text"
        events += [{"type": f"{kind}.delta", **place, "delta": piece} for piece in pieces(_REASONING)]
    return [*events, {"type": "response.output_item.done", "output_index": index, "item": item}]


def _emptied(item: dict[str, Any]) -> dict[str, Any]:
    empty = {"content": [], "arguments": "", "summary": [], "status": "in_progress"}
    return {key: empty.get(key, value) for key, value in item.items()}


def _usage(completion: Completion) -> dict[str, object]:
    usage = completion.usage
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
