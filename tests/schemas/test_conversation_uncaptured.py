"""Conversations of dialects and providers without a capture, as their documentation and sources say them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gnomon_schemas.conversation import Conversation, parse_conversation

BASE64 = "QUJD" * 40


def lang_chain(kind: str, **said: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", kind], "kwargs": said}


def brief(talk: Conversation) -> list[tuple[str, ...]]:
    """Role, kind, title and body of every part; JSON in one line."""
    return [
        (message.role, part.kind, part.title, _line(part.body))
        for message in (*talk.input, *talk.output)
        for part in message.parts
    ]


def _line(body: str) -> str:
    try:
        return json.dumps(json.loads(body), ensure_ascii=False)
    except ValueError:
        return body


USER = ("user", "text", "", "Привет")
ANSWER = ("assistant", "text", "", "Да")
SYSTEM = ("system", "text", "", "Кратко")

# dialect, kind, attributes (JSON unless text), what is read
SPANS: dict[str, tuple[str, str, dict[str, Any], list[tuple[str, ...]]]] = {
    "LangSmith with LangChain": (
        "langsmith",
        "generation",
        {
            "gen_ai.prompt": {
                "messages": [[lang_chain("SystemMessage", content="Кратко", type="system"), lang_chain("HumanMessage", content="Привет", type="human")]]
            },
            "gen_ai.completion": {
                "generations": [[{"text": "Да", "message": lang_chain("AIMessage", content="Да", type="ai", tool_calls=[{"name": "f", "args": {"a": 1}, "id": "c"}])}]]
            },
        },
        [SYSTEM, USER, ANSWER, ("assistant", "tool_call", "f", '{"a": 1}')],
    ),
    "LangSmith's wrapper": (
        "langsmith",
        "generation",
        {
            "gen_ai.prompt": {"messages": [{"role": "user", "content": "Привет"}], "model": "m"},
            "gen_ai.completion": {"id": "x", "choices": [{"message": {"role": "assistant", "content": "Да"}}]},
        },
        [USER, ANSWER],
    ),
    "Vercel 6, a step": (
        "vercel-ai-6",
        "generation",
        {
            "ai.prompt.messages": [
                {"role": "system", "content": "Кратко"},
                {"role": "user", "content": [{"type": "text", "text": "Привет"}, {"type": "file", "data": BASE64, "mediaType": "application/pdf"}]},
                {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "c", "toolName": "w", "input": {"c": 1}}]},
                {"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c", "toolName": "w", "output": {"type": "json", "value": {"t": 1}}}]},
            ],
            "ai.response.text": "Да",
            "ai.response.reasoning": "hm",
            "ai.response.toolCalls": [{"toolCallId": "d", "toolName": "w", "input": '{"c": 2}'}],
        },
        [
            SYSTEM,
            USER,
            ("user", "reference", "application/pdf", "inline, about 120 bytes"),
            ("assistant", "tool_call", "w", '{"c": 1}'),
            ("tool", "tool_result", "w", '{"t": 1}'),
            ("assistant", "reasoning", "", "hm"),
            ANSWER,
            ("assistant", "tool_call", "w", '{"c": 2}'),
        ],
    ),
    "Vercel 6, the call around": (
        "vercel-ai-6",
        "agent",
        {"ai.prompt": {"system": "Кратко", "messages": [{"role": "user", "content": "Привет"}]}, "ai.response.text": "Да"},
        [SYSTEM, USER, ANSWER],
    ),
    "Vercel 6, a tool": (
        "vercel-ai-6",
        "tool",
        {"ai.toolCall.args": {"city": "Paris"}, "ai.toolCall.result": {"t": 1}},
        [("tool", "data", "", '{"city": "Paris"}'), ("output", "data", "", '{"t": 1}')],
    ),
    "Vercel 6, embeddings": (
        "vercel-ai-6",
        "embedding",
        {"ai.values": ['"Привет"', '"Да"']},
        [USER, ("user", "text", "", "Да")],
    ),
    "Logfire v1": (
        "logfire",
        "generation",
        {
            "request_data": {"messages": [{"role": "user", "content": "Привет"}], "model": "m"},
            "response_data": {"message": {"role": "assistant", "content": "Да"}, "usage": {"total_tokens": 1}},
        },
        [USER, ANSWER],
    ),
    "Logfire v1, a stream": (
        "logfire",
        "generation",
        {
            "request_data": {"messages": [{"role": "user", "content": "Привет"}], "stream": True},
            "response_data": {"combined_chunk_content": "Да", "chunk_count": 3},
        },
        [USER, ANSWER],
    ),
    "Logfire's events": (
        "logfire",
        "generation",
        {
            "events": [
                {"event.name": "gen_ai.user.message", "content": "Привет", "role": "user"},
                {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "Да"}},
            ]
        },
        [USER, ANSWER],
    ),
    "pydantic-ai, an agent": (
        "pydantic-ai",
        "agent",
        {
            "pydantic_ai.all_messages": [
                {"role": "system", "parts": [{"type": "text", "content": "Кратко"}]},
                {"role": "user", "parts": [{"type": "text", "content": "Привет"}]},
                {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "f", "arguments": '{"a": 1}'}]},
                {"role": "user", "parts": [{"type": "tool_call_response", "id": "c", "name": "f", "result": "4"}]},
                {"role": "assistant", "parts": [{"type": "text", "content": "Да"}]},
            ],
            "final_result": "Да",
        },
        [SYSTEM, USER, ("assistant", "tool_call", "f", '{"a": 1}'), ("user", "tool_result", "f", "4"), ANSWER],
    ),
    "OpenLIT says its instructions twice": (
        "openlit",
        "generation",
        {
            "gen_ai.input.messages": [
                {"role": "system", "parts": [{"type": "text", "content": "Кратко"}]},
                {"role": "user", "parts": [{"type": "text", "content": "Привет"}]},
            ],
            "gen_ai.system_instructions": [{"type": "text", "content": "Кратко"}],
            "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "Да"}]}],
        },
        [SYSTEM, USER, ANSWER],
    ),
    "Traceloop SDK, a workflow": (
        "openllmetry",
        "workflow",
        {"traceloop.entity.input": {"inputs": "Привет", "tags": [], "kwargs": {}}, "traceloop.entity.output": '"Да"'},
        [("input", "text", "", "Привет"), ("output", "text", "", "Да")],
    ),
    "MLflow with Anthropic": (
        "mlflow",
        "generation",
        {
            "mlflow.spanInputs": {
                "model": "c",
                "system": [{"type": "text", "text": "Кратко"}],
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": BASE64}},
                            {"type": "document", "source": {"type": "url", "url": "https://shop.example/terms.pdf"}},
                            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "four"}]},
                        ],
                    }
                ],
            },
            "mlflow.spanOutputs": {
                "role": "assistant",
                "type": "message",
                "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Да"}],
                "stop_reason": "end_turn",
            },
        },
        [
            SYSTEM,
            ("user", "reference", "image/jpeg", "inline, about 120 bytes"),
            ("user", "reference", "document", "https://shop.example/terms.pdf"),
            ("user", "tool_result", "", "four"),
            ("assistant", "reasoning", "", "hm"),
            ANSWER,
        ],
    ),
    "OpenAI, sound and files": (
        "",
        "generation",
        {
            "gen_ai.input.messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}},
                        {"type": "file", "file": {"file_id": "file-1"}},
                        {"type": "input_image", "image_url": "https://shop.example/a.png"},
                    ],
                }
            ],
            "gen_ai.output.messages": [{"role": "assistant", "content": None, "audio": {"id": "a", "data": BASE64, "transcript": "Да"}}],
        },
        [
            ("user", "reference", "wav", "inline, about 120 bytes"),
            ("user", "reference", "file", "file-1"),
            ("user", "reference", "image", "https://shop.example/a.png"),
            ("assistant", "reference", "audio", "inline, about 120 bytes"),
            ANSWER,
        ],
    ),
    "OpenAI's responses, with tools": (
        "openinference",
        "generation",
        {
            "output.value": {
                "output": [
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                    {"type": "function_call", "call_id": "c", "id": "fc_1", "name": "f", "arguments": '{"a": 1}'},
                ]
            },
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "Привет",
        },
        [USER, ("assistant", "reasoning", "", "hm"), ("assistant", "tool_call", "f", '{"a": 1}')],
    ),
    "GenAI conventions, every kind of part": (
        "otel-genai",
        "generation",
        {
            "gen_ai.input.messages": [
                {
                    "role": "user",
                    "parts": [
                        {"type": "uri", "modality": "image", "uri": "gs://bucket/x.png"},
                        {"type": "file", "modality": "document", "file_id": "f-9"},
                        {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "QUJD"},
                        {"type": "server_tool_call", "id": "s", "name": "search", "server_tool_call": {"q": 1}},
                        {"type": "server_tool_call_response", "id": "s", "server_tool_call_response": {"r": 2}},
                        {"type": "mystery", "x": 1},
                    ],
                }
            ]
        },
        [
            ("user", "reference", "image", "gs://bucket/x.png"),
            ("user", "reference", "document", "f-9"),
            ("user", "reference", "audio", "inline, about 3 bytes"),
            ("user", "tool_call", "search", '{"q": 1}'),
            ("user", "tool_result", "search", '{"r": 2}'),
            ("user", "data", "", '{"type": "mystery", "x": 1}'),
        ],
    ),
    "Gemini's own JSON": (
        "openinference",
        "generation",
        {
            "input.value": {
                "config": {"system_instruction": "Кратко"},
                "contents": [
                    {"role": "user", "parts": [{"text": "Привет"}, {"inline_data": {"mime_type": "image/png", "data": BASE64}}]},
                    {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"a": 1}}}]},
                    {"role": "user", "parts": [{"function_response": {"name": "f", "response": {"r": 1}}}]},
                ],
            },
            "output.value": {"candidates": [{"content": {"role": "model", "parts": [{"text": "Да"}]}, "finishReason": "STOP"}]},
        },
        [
            SYSTEM,
            USER,
            ("user", "reference", "image/png", "inline, about 120 bytes"),
            ("assistant", "tool_call", "f", '{"a": 1}'),
            ("user", "tool_result", "f", '{"r": 1}'),
            ANSWER,
        ],
    ),
    "an embedding's vector": (
        "openinference",
        "step",
        {"output.value": {"embedding": [0.25] * 1536}},
        [("output", "data", "", '{"embedding": "[1,536 numbers: 0.25, 0.25, 0.25, 0.25, …]"}')],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPANS)
def test_conversations_are_read(name: str) -> None:
    dialect, kind, said, expected = SPANS[name]
    attributes = {key: value if isinstance(value, str) else json.dumps(value) for key, value in said.items()}
    assert brief(parse_conversation(attributes, dialect=dialect, kind=kind)) == expected


def test_two_different_instructions_are_both_kept() -> None:
    talk = parse_conversation(
        {
            "gen_ai.system_instructions": "Be brief.",
            "gen_ai.input.messages": json.dumps([{"role": "system", "content": "Be kind."}]),
        }
    )
    assert [message.text for message in talk.input] == ["Be brief.", "Be kind."]


@pytest.mark.parametrize(
    "text",
    [
        "{" * 5000,
        '{"messages": [[[[',
        '[{"role": {"a": 1}}]',
        '{"choices": [null, 3, {"message": 4}]}',
        "null",
        '""',
    ],
)
def test_broken_and_odd_json_raises_nothing(text: str) -> None:
    for name in ("gen_ai.input.messages", "input.value", "output.value", "mlflow.spanInputs", "request_data"):
        parse_conversation({name: text}, dialect="openinference", kind="generation")


def test_an_indexed_attribute_with_thousands_of_dots_raises_nothing() -> None:
    parse_conversation({"gen_ai.prompt.0." + "a." * 20_000 + "b": "x"}, dialect="openllmetry-legacy")
