"""A model call as a request that can be sent again: as curl, or as Python. Pure.

Only what the span says is in it: messages, model and sampling parameters. Keys are never part of telemetry,
so they come from the environment.
"""

import json
import shlex
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from gnomon_collector.store.queries.trace import SpanDetail
from gnomon_dashboard.conversation import conversation
from gnomon_schemas.conversation import Message
from gnomon_schemas.readable import load_json

Form: TypeAlias = Literal["curl", "python"]

_PARAMETERS: Final[Mapping[str, str]] = {
    "gen_ai.request.temperature": "temperature",
    "gen_ai.request.top_p": "top_p",
    "gen_ai.request.max_tokens": "max_tokens",
    "gen_ai.request.frequency_penalty": "frequency_penalty",
    "gen_ai.request.presence_penalty": "presence_penalty",
    "gen_ai.request.seed": "seed",
    "gen_ai.request.stop_sequences": "stop",
}


def request_of(span: SpanDetail) -> dict[str, Any] | None:
    """Return the body of a chat completion request, or None where the span shows no messages."""
    if span.kind != "generation":
        return None
    messages = [_message(one) for one in conversation(span).input]
    if not messages:
        return None
    body: dict[str, Any] = {"model": span.request_model or span.response_model, "messages": messages}
    for attribute, name in _PARAMETERS.items():
        value = load_json(span.attributes[attribute]) if attribute in span.attributes else None
        if value is not None:
            body[name] = value
    return body


def replay(span: SpanDetail, form: Form) -> str | None:
    """Return a script that sends the call to an OpenAI-compatible API; None where nothing can be sent."""
    body = request_of(span)
    if body is None:
        return None
    return _curl(body) if form == "curl" else _python(body)


def _curl(body: dict[str, Any]) -> str:
    text = json.dumps(body, ensure_ascii=False, indent=2)
    return "\n".join(
        (
            'curl "${OPENAI_BASE_URL:-https://api.openai.com/v1}/chat/completions" \\',
            '  -H "Authorization: Bearer $OPENAI_API_KEY" \\',
            '  -H "Content-Type: application/json" \\',
            f"  -d {shlex.quote(text)}",
        )
    )


def _python(body: dict[str, Any]) -> str:
    arguments = "".join(f"    {name}={value!r},\n" for name, value in body.items())
    return (
        "from openai import OpenAI\n\n"
        "client = OpenAI()  # OPENAI_API_KEY, and OPENAI_BASE_URL for another provider\n"
        f"answer = client.chat.completions.create(\n{arguments})\n"
        "print(answer.choices[0].message.content)\n"
    )


def _message(said: Message) -> dict[str, Any]:
    """Tool calls and their results keep their shape; other parts that are no text are named in brackets."""
    calls = [part for part in said.parts if part.kind == "tool_call"]
    results = [part for part in said.parts if part.kind == "tool_result"]
    if results:
        return {"role": "tool", "tool_call_id": results[0].call_id, "content": results[0].body}
    message: dict[str, Any] = {"role": said.role, "content": _content(said)}
    if calls:
        message["tool_calls"] = [
            {"id": part.call_id, "type": "function", "function": {"name": part.title, "arguments": part.body}}
            for part in calls
        ]
    return message


def _content(said: Message) -> str:
    shown = [
        part.body if part.kind in ("text", "data") else f"[{part.title or 'file'}: {part.body}]"
        for part in said.parts
        if part.kind in ("text", "data", "reference")
    ]
    return "\n".join(shown)
