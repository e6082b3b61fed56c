"""Dialects of which there is no capture, as their documentation and sources say them."""

from __future__ import annotations

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.ingest.payloads import hour_ago_ns, key_values, request, span
from tests.ingest.pipeline import Pipeline

COLUMNS = (
    "dialect, kind, provider, model, status, usage_source, input_tokens, output_tokens, cache_read_tokens,"
    " cache_write_tokens, reasoning_tokens, finish_reason, input_text, output_text, session_id, user_id, stream,"
    " ttft_ms, duration_ns / 1e6 AS duration_ms, cost_reported_usd, tags, error_type, error_code, documents.id,"
    " operation, prompt_name, prompt_version, metadata"
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
    "Sentry, a call": (
        "sentry.python",
        {
            "sentry.op": "gen_ai.chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.request.messages": '[{"role": "user", "content": "Paris?"}]',
            "gen_ai.response.text": "Yes.",
            "gen_ai.usage.input_tokens": 106,
            "gen_ai.usage.input_tokens.cached": 64,
            "gen_ai.usage.input_tokens.cache_write": 16,
            "gen_ai.usage.output_tokens": 36,
            "gen_ai.usage.output_tokens.reasoning": 21,
        },
        {
            "dialect": "sentry",
            "kind": "generation",
            "input_tokens": 106,
            "cache_read_tokens": 64,
            "cache_write_tokens": 16,
            "output_tokens": 36,
            "reasoning_tokens": 21,
            "input_text": "Paris?",
            "output_text": "Yes.",
        },
    ),
    "Sentry, an agent repeats its calls": (
        "",
        {"sentry.op": "gen_ai.invoke_agent", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 106},
        {"dialect": "sentry", "kind": "agent"},
    ),
    "Sentry, what is no call": ("", {"sentry.op": "db.query"}, {"dialect": "sentry", "kind": "other"}),
    "OpenTelemetry to come, modalities and levels": (
        "",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "moonshot_ai",
            "gen_ai.request.model": "kimi-k2",
            "gen_ai.request.reasoning.level": "high",
            "gen_ai.usage.input_tokens": 106,
            "gen_ai.usage.text.input_tokens": 100,
            "gen_ai.usage.image.input_tokens": 6,
            "gen_ai.usage.cache_write.input_tokens": 16,
            "gen_ai.response.finish_reasons": ["stop"],
        },
        {"kind": "generation", "input_tokens": 106, "cache_write_tokens": 16, "finish_reason": "stop"},
    ),
    "OpenTelemetry to come, a search of memory": (
        "",
        {
            "gen_ai.operation.name": "search_memory",
            "gen_ai.retrieval.top_k": 3,
            "gen_ai.memory.query.text": "Paris?",
        },
        {"kind": "retrieval", "input_text": "Paris?"},
    ),
    "Python's dict of usage": (
        "litellm",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o-mini",
            "metadata.usage_object": "{'prompt_tokens': 106, 'completion_tokens': 36, 'total_tokens': None,"
            " 'prompt_tokens_details': {'cached_tokens': 64}}",
            "gen_ai.cost.total_cost": 0.5,
        },
        {"dialect": "litellm", "input_tokens": 106, "cache_read_tokens": 64, "cost_reported_usd": 0.5},
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
    "Logfire v1, the provider's own JSON": (
        "logfire.openai",
        {
            "logfire.msg_template": "Chat Completion with {request_data[model]!r}",
            "request_data": '{"messages":[{"role":"user","content":"Hi?"}],"model":"gpt-4o-mini","stream":false}',
            "response_data": '{"message":{"role":"assistant","content":"Yes."},"usage":{"prompt_tokens":106,'
            '"completion_tokens":36,"prompt_tokens_details":{"cached_tokens":64}}}',
            "gen_ai.system": "openai",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "operation.cost": 0.0001,
            "session_id": "[Scrubbed due to 'session']",
            "logfire.tags": ["LLM"],
        },
        {
            "dialect": "logfire",
            "input_text": "Hi?",
            "output_text": "Yes.",
            "input_tokens": 106,
            "cache_read_tokens": 64,
            "stream": False,
            "session_id": "",
            "cost_reported_usd": 0.0001,
            "tags": ["LLM"],
        },
    ),
    "Logfire, the end of a stream": (
        "logfire.openai",
        {
            "logfire.span_type": "log",
            "request_data": '{"messages":[{"role":"user","content":"Hi?"}],"model":"gpt-4o-mini","stream":true}',
            "response_data": '{"combined_chunk_content":"Yes.","chunk_count":3}',
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o-mini",
            "duration": 0.25,
            "gen_ai.usage.input_tokens": 106,
            "gen_ai.usage.output_tokens": 36,
        },
        {"kind": "generation", "stream": True, "output_text": "Yes.", "duration_ms": 250.0, "ttft_ms": None},
    ),
    "pydantic-ai, a call": (
        "pydantic-ai",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 106,
            "gen_ai.usage.output_tokens": 36,
            "gen_ai.usage.cache_read.input_tokens": 64,
            "gen_ai.usage.cache_creation.input_tokens": 16,
            "gen_ai.usage.details.reasoning_tokens": 21,
            "gen_ai.client.operation.time_to_first_chunk": 0.04,
            "gen_ai.conversation.id": "c",
            "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Hi?"}]}]',
            "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"tool_call","id":"1","name":"f",'
            '"arguments":"{\\"a\\":1}"}]}]',
        },
        {
            "dialect": "pydantic-ai",
            "cache_write_tokens": 16,
            "reasoning_tokens": 21,
            "ttft_ms": 40.0,
            "stream": True,
            "session_id": "c",
            "input_text": "Hi?",
            "output_text": 'f({"a":1})',
        },
    ),
    "pydantic-ai, a tool": (
        "pydantic-ai",
        {"gen_ai.tool.name": "weather", "tool_arguments": '{"city":"Paris"}', "tool_response": "18"},
        {"kind": "tool", "input_text": '{"city":"Paris"}', "output_text": "18"},
    ),
    "OpenLIT says a time to the first token without a stream": (
        "openlit.instrumentation.openai",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.request.stream": False,
            "gen_ai.server.time_to_first_token": 0.8,
            "gen_ai.usage.input_tokens": 106,
            "gen_ai.usage.output_tokens": 36,
            "gen_ai.usage.cost": 0,
            "gen_ai.response.finish_reasons": ["completed"],
            "gen_ai.request.user": "u",
        },
        {
            "stream": False,
            "ttft_ms": None,
            "usage_source": "provider",
            "cost_reported_usd": None,
            "finish_reason": "stop",
            "user_id": "u",
        },
    ),
    "OpenLIT, no word of a stream": (
        "openlit.instrumentation.openai",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.server.time_to_first_token": 0.8,
            "gen_ai.usage.input_tokens": 106,
        },
        {"stream": None, "ttft_ms": None, "usage_source": "provider"},
    ),
    "OpenLIT, a stream": (
        "openlit.instrumentation.openai",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.request.stream": True,
            "gen_ai.server.time_to_first_token": 0.8,
            "gen_ai.usage.input_tokens": 18,
            "gen_ai.usage.cost": 0.001,
        },
        {"stream": True, "ttft_ms": 800.0, "usage_source": "sdk_estimate", "cost_reported_usd": 0.001},
    ),
    "Traceloop SDK, a task that retrieves": (
        "traceloop.tracer",
        {
            "gen_ai.operation.name": "vector_db_retrieve",
            "traceloop.entity.input": "returns",
            "traceloop.entity.output": '{"documents":[{"page_content":"14 days","metadata":{"id":"d"}}]}',
            "traceloop.association.properties.session_id": "s",
            "traceloop.prompt.key": "answer",
            "traceloop.prompt.version": "4",
        },
        {
            "dialect": "openllmetry",
            "kind": "retrieval",
            "session_id": "s",
            "prompt_name": "answer",
            "prompt_version": "4",
        },
    ),
    "Traceloop SDK, a tool": (
        "traceloop.tracer",
        {"traceloop.span.kind": "tool", "traceloop.entity.output": '"18"'},
        {"kind": "tool"},
    ),
    "Vercel 6, an embedding inside another": (
        "ai",
        {"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "e", "ai.usage.tokens": 4},
        {"kind": "embedding", "input_tokens": 4, "output_tokens": None},
    ),
    "Vercel 6, the first chunk in milliseconds": (
        "ai",
        {
            "ai.operationId": "ai.streamText.doStream",
            "ai.response.msToFirstChunk": 40.5,
            "ai.telemetry.metadata.userId": "u",
        },
        {"ttft_ms": 40.5, "stream": True, "metadata": {"userId": "u"}},
    ),
    "LangSmith, tags and a tool": (
        "langsmith",
        {
            "langsmith.span.kind": "tool",
            "langsmith.span.tags": "a,b",
            "langsmith.trace.session_name": "project",
        },
        {"kind": "tool", "tags": ["a", "b"], "session_id": ""},
    ),
    "by hand, nothing but a model and what came out": (
        "my.service",
        {"gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.output_tokens": 3, "gen_ai.system": "OpenAI"},
        {"dialect": "otel-genai", "kind": "generation", "provider": "openai", "output_tokens": 3},
    ),
    "by hand, an error with its code": (
        "my.service",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o-mini",
            "error.type": "openai.RateLimitError",
            "http.response.status_code": 429,
        },
        {"kind": "generation", "status": "error", "error_type": "RateLimitError", "error_code": 429},
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
    "Claude Code, a call": (
        "com.anthropic.claude_code.tracing",
        {
            "span.type": "llm_request",
            "model": "claude-sonnet-4-5",
            "input_tokens": 12,
            "cache_read_tokens": 2000,
            "cache_creation_tokens": 300,
            "output_tokens": 40,
            "ttft_ms": 812.5,
            "stop_reason": "end_turn",
            "new_context": "Fix the test.",
            "response.model_output": "Fixed.",
            "session.id": "s",
            "attempt": 1,
        },
        {
            "dialect": "claude-code",
            "kind": "generation",
            "model": "claude-sonnet-4-5",
            "input_tokens": 2312,
            "cache_read_tokens": 2000,
            "cache_write_tokens": 300,
            "output_tokens": 40,
            "ttft_ms": 812.5,
            "finish_reason": "stop",
            "input_text": "Fix the test.",
            "output_text": "Fixed.",
            "session_id": "s",
        },
    ),
    "Claude Code, a call with little in the cache": (
        "com.anthropic.claude_code.tracing",
        {"span.type": "llm_request", "model": "c", "input_tokens": 500, "cache_read_tokens": 100},
        {"input_tokens": 600, "cache_read_tokens": 100},
    ),
    "Claude Code, the prompt that it began with": (
        "com.anthropic.claude_code.tracing",
        {"span.type": "interaction", "user_prompt": "Fix the test.", "interaction.sequence": 1},
        {"kind": "agent", "input_text": "Fix the test.", "input_tokens": None},
    ),
    "Claude Code, a failed call": (
        "com.anthropic.claude_code.tracing",
        {"span.type": "llm_request", "model": "c", "success": False, "status_code": 529},
        {"kind": "generation", "status": "error", "error_code": 529},
    ),
    "Gemini CLI, a call": (
        "gemini-cli",
        {
            "gen_ai.operation.name": "llm_call",
            "gen_ai.agent.name": "gemini-cli",
            "gen_ai.request.model": "gemini-2.5-pro",
            "gen_ai.usage.input_tokens": 7,
            "gen_ai.usage.output_tokens": 2,
            "gen_ai.input.messages": '[{"role":"user","parts":[{"text":"Привет"}]}]',
            "gen_ai.output.messages": '[{"role":"model","parts":[{"text":"Hi."}]}]',
        },
        {
            "dialect": "gemini-cli",
            "kind": "generation",
            "input_tokens": 7,
            "input_text": "Привет",
            "output_text": "Hi.",
        },
    ),
    "Gemini CLI, a tool": ("gemini-cli", {"gen_ai.operation.name": "tool_call"}, {"kind": "tool"}),
    "Google ADK, a call": (
        "gcp.vertex.agent",
        {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.system": "gcp.vertex.agent",
            "gen_ai.request.model": "gemini-2.5-flash",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 50,
            "gen_ai.usage.experimental.reasoning_tokens": 10,
            "gen_ai.response.finish_reasons": ["stop"],
            "gcp.vertex.agent.session_id": "s",
            "gcp.vertex.agent.llm_request": '{"model":"gemini-2.5-flash","config":{"system_instruction":"Be kind."},'
            '"contents":[{"role":"user","parts":[{"text":"Weather in Oslo?"}]}]}',
            "gcp.vertex.agent.llm_response": '{"content":{"role":"model","parts":[{"text":"Rain."}]},"partial":false}',
        },
        {
            "dialect": "google-adk",
            "kind": "generation",
            "input_tokens": 100,
            "output_tokens": 50,
            "reasoning_tokens": 10,
            "session_id": "s",
            "input_text": "Weather in Oslo?",
            "output_text": "Rain.",
        },
    ),
    "Google ADK, a tool": (
        "gcp.vertex.agent",
        {
            "gen_ai.operation.name": "execute_tool",
            "gcp.vertex.agent.tool_call_args": '{"city":"Oslo"}',
            "gcp.vertex.agent.tool_response": '{"sky":"rain"}',
        },
        {"kind": "tool", "input_text": '{"city":"Oslo"}', "output_text": '{"sky":"rain"}'},
    ),
    "Laminar, a call": (
        "lmnr.tracer",
        {
            "lmnr.span.type": "LLM",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 106,
            "gen_ai.usage.output_tokens": 36,
            "lmnr.span.input": '[{"role":"user","content":"Paris?"}]',
            "lmnr.association.properties.session_id": "s",
            "lmnr.association.properties.user_id": "u",
            "lmnr.association.properties.metadata.plan": "free",
        },
        {
            "dialect": "laminar",
            "kind": "generation",
            "provider": "openai",
            "input_tokens": 106,
            "session_id": "s",
            "user_id": "u",
            "metadata": {"plan": "free"},
        },
    ),
    "Laminar, what its cache answered": (
        "lmnr.tracer",
        {"lmnr.span.type": "CACHED", "lmnr.span.output": "Yes."},
        {"kind": "step", "output_text": "Yes."},
    ),
    "LiveKit, a call": (
        "livekit-agents",
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 30,
            "gen_ai.usage.output_tokens": 9,
            "lk.response.ttft": 0.25,
            "lk.chat_ctx": '{"items":[{"id":"1","type":"message","role":"user","content":"Hello?"}]}',
            "lk.response.text": "Hi there.",
        },
        {
            "dialect": "livekit",
            "kind": "generation",
            "input_tokens": 30,
            "ttft_ms": 250.0,
            "input_text": "Hello?",
            "output_text": "Hi there.",
        },
    ),
    "LiveKit, a tool": (
        "livekit-agents",
        {
            "lk.function_tool.name": "weather",
            "lk.function_tool.arguments": "{}",
            "lk.function_tool.output": "rain",
        },
        {"kind": "tool", "output_text": "rain"},
    ),
    "VoltAgent, a call inside an agent": (
        "@voltagent/core",
        {
            "entity.type": "agent",
            "span.type": "llm",
            "llm.model": "openai/gpt-4o-mini",
            "llm.messages": '[{"role":"user","content":"Paris?"}]',
            "output": "Yes.",
            "llm.usage.prompt_tokens": 106,
            "llm.usage.completion_tokens": 36,
            "voltagent.conversation_id": "s",
            "user.id": "u",
        },
        {
            "dialect": "voltagent",
            "kind": "generation",
            "input_tokens": 106,
            "output_tokens": 36,
            "session_id": "s",
            "user_id": "u",
            "input_text": "Paris?",
            "output_text": "Yes.",
        },
    ),
    "VoltAgent, the agent": (
        "@voltagent/core",
        {
            "entity.type": "agent",
            "usage.prompt_tokens": 106,
            "agent.messages": '[{"role":"user","content":"Paris?"}]',
        },
        {"kind": "agent", "input_text": "Paris?"},
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
        length_ns = 0 if "duration" in said else 5_000_000
        sent = span(number, start_ns, said, end_time_unix_nano=start_ns + length_ns)
        pipeline.send(request([sent], scope=scope))
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


def test_a_stream_that_logfire_reports_at_its_end_began_before(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns() + 1_000_000
    said = dict(SPANS["Logfire, the end of a stream"][1]) | {"duration": 150.0}
    end_ns = start_ns + 150 * 10**9
    asked = {name: said[name] for name in ("gen_ai.operation.name", "gen_ai.request.model", "request_data")}
    request_span = span(1, start_ns, asked)
    name = "streaming response from {request_data[model]!r} took {duration:.2f}s"
    end_span = span(2, end_ns, said, end_time_unix_nano=end_ns, name=name)
    for each in (end_span, request_span):
        pipeline.send(request([each], scope="logfire.openai"))
    rows = pipeline.rows("SELECT toUnixTimestamp64Nano(start_time), duration_ns, output_tokens FROM calls")
    assert rows == [(start_ns, 150 * 10**9, 36)]
    assert pipeline.value("SELECT sum(calls) FROM calls_per_minute FINAL") == 1


def test_texts_of_span_events_are_read(pipeline: Pipeline) -> None:
    """Spring AI keeps what was asked and answered in events."""
    start_ns = hour_ago_ns()
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 106,
        "spring.ai.chat.client.stream": "false",
    }
    events = [
        Span.Event(name=name, time_unix_nano=start_ns + 1, attributes=key_values(values))
        for name, values in (
            ("gen_ai.content.prompt", {"gen_ai.prompt": "Привет?"}),
            ("gen_ai.content.completion", {"gen_ai.completion": "Здравствуйте."}),
        )
    ]
    pipeline.send(request([span(1, start_ns, said, events=events)], scope="org.springframework.ai"))
    assert pipeline.rows(
        "SELECT dialect, kind, input_tokens, input_text, output_text, stream FROM calls"
    ) == [("spring-ai", "generation", 106, "Привет?", "Здравствуйте.", False)]
