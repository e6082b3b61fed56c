"""Dialects of which there is no capture, as their documentation and sources say them."""

from __future__ import annotations

import pytest
from tests.ingest.payloads import hour_ago_ns, request, span
from tests.ingest.pipeline import Pipeline

COLUMNS = (
    "dialect, kind, provider, model, status, usage_source, input_tokens, output_tokens, cache_read_tokens,"
    " cache_write_tokens, reasoning_tokens, finish_reason, input_text, output_text, session_id, user_id"
)

# Scope, attributes, what is in the columns then.
SPANS: dict[str, tuple[str, dict[str, object], dict[str, object]]] = {
    "Vercel 6, a step": (
        "ai",
        {
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.provider": "openai.chat",
            "ai.model.id": "gpt-4o-mini",
            "ai.response.model": "gpt-4o-mini-2024-07-18",
            "ai.response.finishReason": "tool-calls",
            "ai.prompt.messages": '[{"role":"user","content":[{"type":"text","text":"Paris?"}]}]',
            "ai.response.text": "Yes.",
            "ai.usage.inputTokens": 106,
            "ai.usage.outputTokens": 36,
            "ai.usage.cachedInputTokens": 64,
            "ai.usage.reasoningTokens": 21,
            "gen_ai.usage.input_tokens": 106,
        },
        {
            "dialect": "vercel-ai-6",
            "kind": "generation",
            "provider": "openai",
            "model": "gpt-4o-mini-2024-07-18",
            "input_tokens": 106,
            "cache_read_tokens": 64,
            "reasoning_tokens": 21,
            "finish_reason": "tool_call",
            "input_text": "Paris?",
            "output_text": "Yes.",
            "status": "ok",
        },
    ),
    "Vercel 6, the sum of the steps": (
        "ai",
        {"ai.operationId": "ai.streamText", "ai.usage.inputTokens": 106, "ai.model.id": "gpt-4o-mini"},
        {"dialect": "vercel-ai-6", "kind": "agent"},
    ),
    "Vercel 6, a failed stream": (
        "ai",
        {"ai.operationId": "ai.streamText.doStream", "ai.response.finishReason": "error"},
        {"kind": "generation", "status": "error"},
    ),
    "Logfire": (
        "logfire.openai",
        {
            "logfire.span_type": "span",
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 106,
            "gen_ai.usage.output_tokens": 36,
            "gen_ai.usage.raw": '{"prompt_tokens":106,"prompt_tokens_details":{"cached_tokens":64},'
            '"completion_tokens_details":{"reasoning_tokens":21}}',
            "gen_ai.response.finish_reasons": '["stop"]',
            "session_id": "s",
            "user_id": "u",
        },
        {
            "dialect": "logfire",
            "input_tokens": 106,
            "cache_read_tokens": 64,
            "reasoning_tokens": 21,
            "finish_reason": "stop",
            "session_id": "s",
            "user_id": "u",
        },
    ),
    "pydantic-ai, the agent": (
        "pydantic-ai",
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.aggregated_usage.input_tokens": 212,
        },
        {"dialect": "pydantic-ai", "kind": "agent", "input_tokens": None},
    ),
    "OpenLIT on Anthropic counts beside the cache": (
        "openlit.instrumentation.anthropic",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-sonnet-4-5",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 36,
            "gen_ai.usage.cache_read.input_tokens": 64,
            "gen_ai.usage.cache_creation.input_tokens": 16,
        },
        {"dialect": "openlit", "input_tokens": 180, "cache_write_tokens": 16, "usage_source": "provider"},
    ),
    "OpenLIT makes up the usage of a stream": (
        "openlit.instrumentation.openai",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.request.stream": True,
            "gen_ai.usage.input_tokens": 18,
            "gen_ai.usage.output_tokens": 16,
        },
        {"dialect": "openlit", "input_tokens": 18, "usage_source": "sdk_estimate"},
    ),
    "LangSmith's own word for the kind is right": (
        "langsmith",
        {
            "langsmith.span.kind": "retriever",
            "gen_ai.operation.name": "embeddings",
            "langsmith.metadata.session_id": "s",
        },
        {"dialect": "langsmith", "kind": "retrieval", "session_id": "s"},
    ),
    "LangSmith, usage as metadata": (
        "langsmith",
        {
            "langsmith.span.kind": "llm",
            "gen_ai.operation.name": "chat",
            "langsmith.metadata.ls_provider": "openai",
            "langsmith.metadata.ls_model_name": "gpt-4o-mini",
            "langsmith.metadata.usage_metadata": '{"input_tokens":106,"output_tokens":36,'
            '"input_token_details":{"cache_read":64},"output_token_details":{"reasoning":21}}',
        },
        {
            "kind": "generation",
            "provider": "openai",
            "model": "gpt-4o-mini",
            "input_tokens": 106,
            "cache_read_tokens": 64,
            "reasoning_tokens": 21,
        },
    ),
    "Traceloop SDK, a workflow": (
        "traceloop.tracer",
        {
            "traceloop.span.kind": "workflow",
            "traceloop.entity.input": '{"q": "why"}',
            "traceloop.association.properties.user_id": "u",
        },
        {"dialect": "openllmetry", "kind": "workflow", "input_text": '{"q": "why"}', "user_id": "u"},
    ),
    "OpenInference by hand, any scope": (
        "my.service",
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o-mini",
            "llm.token_count.prompt": 106,
            "llm.input_messages.10.message.role": "user",
            "llm.input_messages.10.message.content": "the last",
            "llm.input_messages.9.message.role": "user",
            "llm.input_messages.9.message.content": "the one before",
        },
        {"dialect": "openinference", "kind": "generation", "input_tokens": 106, "input_text": "the last"},
    ),
    "names that mean something in one dialect alone": (
        "my.service",
        {"model": "Volvo", "duration": "4", "input.value": "x", "session_id": "y"},
        {"dialect": "", "kind": "other", "model": "", "input_text": "", "session_id": ""},
    ),
}


@pytest.fixture(scope="module")
def names() -> list[str]:
    return list(SPANS)


def test_every_span_is_understood(pipeline: Pipeline, names: list[str]) -> None:
    start_ns = hour_ago_ns()
    for number, name in enumerate(names, 1):
        scope, said, _ = SPANS[name]
        pipeline.send(request([span(number, start_ns, said)], scope=scope))
    rows = pipeline.store.query(
        f"SELECT {COLUMNS} FROM (SELECT *, if(response_model != '', response_model, request_model) AS model"
        " FROM spans) ORDER BY span_id"
    ).dicts()
    wrong = {
        name: {
            column: (row[column], value) for column, value in SPANS[name][2].items() if row[column] != value
        }
        for name, row in zip(names, rows, strict=True)
    }
    assert {name: columns for name, columns in wrong.items() if columns} == {}
