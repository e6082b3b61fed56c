"""The scenarios of a service that uses the OpenAI client, whatever instruments it."""

from __future__ import annotations

from typing import Any

from stage import ORDER, QUESTION, QUESTION_RU, SYSTEM, SYSTEM_RU, Stage

TOOL = {
    "type": "function",
    "function": {
        "name": "get_order_status",
        "description": "Where an order is",
        "parameters": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
    },
}


def said(role: str, content: str) -> dict[str, str]:
    """A message."""
    return {"role": role, "content": content}


def play(stage: Stage, client: Any) -> None:
    """Play all of them."""
    chat = client.chat.completions.create
    with stage.scene("chat"):
        chat(model="gpt-5-mini", messages=[said("system", SYSTEM), said("user", QUESTION)])
    with stage.scene("chat_ru"):
        chat(model="gpt-4o", messages=[said("system", SYSTEM_RU), said("user", QUESTION_RU)], temperature=0.2)
    with stage.scene("chat_stream"):
        for _ in chat(
            model="gpt-4o-mini", messages=[said("system", SYSTEM), said("user", QUESTION)], stream=True,
            stream_options={"include_usage": True},
        ):  # fmt: skip
            pass
    with stage.scene("chat_stream_abort"):
        stream = chat(model="gpt-4o-mini", messages=[said("user", QUESTION)], stream=True)
        next(iter(stream))
        if hasattr(stream, "close"):
            stream.close()
        del stream
    with stage.scene("chat_stream_error"):
        for _ in chat(model="err-midstream", messages=[said("user", QUESTION)], stream=True):
            pass
    with stage.scene("tools"):
        tools(chat)
    with stage.scene("embeddings"):
        client.embeddings.create(model="text-embedding-3-small", input=["rain", "дождь"])
    with stage.scene("error_400"):
        chat(model="err-400", messages=[said("user", QUESTION)])
    with stage.scene("error_500"):
        chat(model="err-500", messages=[said("user", QUESTION)])
    with stage.scene("retry_429"):
        client.with_options(max_retries=2).chat.completions.create(
            model="err-429-once", messages=[said("user", QUESTION)]
        )
    with stage.scene("responses"):
        client.responses.create(model="gpt-5-mini", instructions=SYSTEM, input=QUESTION)
    with stage.scene("responses_stream"):
        for _ in client.responses.create(
            model="gpt-5-mini", instructions=SYSTEM, input=QUESTION, stream=True
        ):
            pass


def tools(chat: Any) -> None:
    """Let the model call a tool and give it the result."""
    asked: list[Any] = [said("user", ORDER)]
    answer = chat(model="gpt-4.1-mini", messages=asked, tools=[TOOL]).choices[0].message
    (call,) = answer.tool_calls
    asked += [answer.model_dump(exclude_none=True)]
    asked += [{"role": "tool", "tool_call_id": call.id, "content": '{"status": "shipped"}'}]
    chat(model="gpt-4.1-mini", messages=asked, tools=[TOOL])
