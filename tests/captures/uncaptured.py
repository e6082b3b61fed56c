"""Payloads of which there is no capture, written by hand from what is known of the SDKs' habits.

What is expected of them was worked out by hand as well, from the same knowledge: calls as (model, input, output,
cache read, cache written, reasoning, status) and their cost in millionths of a dollar.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tests.ingest.payloads import hour_ago_ns, key_values, request, span
from tests.ingest.test_logs import log_request, record

Call = tuple[str, int | None, int | None, int | None, int | None, int | None, str]
MS: Final = 1_000_000

OTEL = "opentelemetry.instrumentation.genai.openai"
OPENAI_V2 = "opentelemetry.instrumentation.openai_v2"
NATIVE = "com.anthropic.sdk.python"
OLLM_ANTHROPIC = "opentelemetry.instrumentation.anthropic"
MINI, SONNET = "gpt-4o-mini", "claude-sonnet-4-5"
# 42 fresh, 64 cached, 36 out at $0.15, $0.075 and $0.60 a million
MINI_USD_E6 = 42 * 0.15 + 64 * 0.075 + 36 * 0.6
# 46 fresh, 64 read, 16 written, 36 out at $3, $0.30, $3.75 and $15
SONNET_USD_E6 = 46 * 3 + 64 * 0.3 + 16 * 3.75 + 36 * 15


@dataclass(frozen=True)
class Sent:
    """A span: `at` is its place in trace `trace`; times are in milliseconds after the scenario's start."""

    at: int
    scope: str
    attributes: Mapping[str, object]
    parent: int = 0
    trace: int = 0
    start_ms: int = 0
    length_ms: int = 900
    is_error: bool = False
    name: str = "step"
    exception: Mapping[str, object] = field(default_factory=dict)

    def body(self, first: int) -> bytes:
        """Return a request with this span alone; `first` keeps the ids of scenarios apart."""
        start_ns = hour_ago_ns() + self.start_ms * MS
        events = (
            [Span.Event(name="exception", time_unix_nano=start_ns, attributes=key_values(self.exception))]
            if self.exception
            else []
        )
        made = span(
            first + self.at,
            start_ns,
            self.attributes,
            trace_id=(first + self.trace).to_bytes(16, "big"),
            parent_span_id=(first + self.parent + 1).to_bytes(8, "big") if self.parent else b"",
            end_time_unix_nano=start_ns + self.length_ms * MS,
            name=self.name,
            events=events,
            status=Status(code=Status.STATUS_CODE_ERROR) if self.is_error else Status(),
        )
        return request([made], scope=self.scope)


@dataclass(frozen=True)
class Log:
    """A log record of the span at `at` in the trace of that number."""

    at: int
    event: str
    value: object

    def body(self, first: int) -> bytes:
        """Return a request with this record alone."""
        made = record(first + self.at, self.event, self.value, trace_id=first.to_bytes(16, "big"))
        return log_request([made])


@dataclass(frozen=True)
class Scenario:
    """What is sent in order, and what came of it."""

    sent: tuple[Sent | Log, ...]
    calls: tuple[Call, ...]
    cost_usd_e6: float | None = None


def chat(model: str = MINI, provider: str = "openai", **said: object) -> dict[str, object]:
    """Return OpenTelemetry's attributes of a chat; two underscores are a dot, before `gen_ai.`."""
    named = {f"gen_ai.{name.replace('__', '.')}": value for name, value in said.items()}
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        **named,
    }


def used(into: int, out: int, read: int | None = None, written: int | None = None) -> dict[str, object]:
    """Return OpenTelemetry's attributes of usage."""
    said = {"input_tokens": into, "output_tokens": out, "cache_read.input_tokens": read}
    said["cache_creation.input_tokens"] = written
    return {f"gen_ai.usage.{name}": count for name, count in said.items() if count is not None}


MINI_CALL: Call = (MINI, 106, 36, 64, None, None, "ok")
SONNET_CALL: Call = (SONNET, 126, 36, 64, 16, None, "ok")
ANTHROPIC = chat(SONNET, "anthropic", response__id="msg_1", response__model=SONNET)
NATIVE_SAID = {
    **ANTHROPIC,
    **used(126, 36, 64),
    "gen_ai.usage.cache_write.input_tokens": 16,
    "anthropic.message.stop_reason": "end_turn",
}
RAW_OPENAI = {
    "prompt_tokens": 106,
    "completion_tokens": 36,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 21},
}
BUCKETS = {"input": 42, "input_cache_read": 64, "output": 15, "output_reasoning": 21, "total": 142}
OI_OPENAI = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.model_name": MINI,
    "llm.token_count.prompt": 106,
    "llm.token_count.completion": 36,
    "llm.token_count.prompt_details.cache_read": 64,
    "llm.finish_reason": "stop",
}
LC_ANSWER = {
    "generations": [
        [
            {
                "text": "Yes.",
                "message": {"kwargs": {"response_metadata": {"id": "chatcmpl-1"}, "content": "Yes."}},
            }
        ]
    ]
}


def oi_message(text: str) -> dict[str, object]:
    """Return OpenInference's attributes of a question."""
    return {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": text,
    }


SCENARIOS: dict[str, Scenario] = {
    "OpenLLMetry over the anthropic SDK, a sibling in a trace of its own; its stream says one token more": Scenario(
        (
            Sent(1, OLLM_ANTHROPIC, {**ANTHROPIC, **used(126, 37, 64, 16), "gen_ai.is_streaming": True}),
            Sent(2, NATIVE, NATIVE_SAID, trace=1, start_ms=2, length_ms=890),
        ),
        (SONNET_CALL,),
        SONNET_USD_E6,
    ),
    "otel-genai over the anthropic SDK, child first": Scenario(
        (
            Sent(2, NATIVE, NATIVE_SAID, parent=1, start_ms=2, length_ms=890),
            Sent(1, "opentelemetry.instrumentation.genai.anthropic", {**ANTHROPIC, **used(126, 36, 64, 16)}),
        ),
        (SONNET_CALL,),
        SONNET_USD_E6,
    ),
    "OpenInference's LangChain and OpenAI in two traces, the id in the answer alone": Scenario(
        (
            Sent(
                1,
                "openinference.instrumentation.langchain",
                {**OI_OPENAI, **oi_message("Paris?"), "output.value": json.dumps(LC_ANSWER)},
            ),
            Sent(
                2,
                "openinference.instrumentation.openai",
                {
                    **OI_OPENAI,
                    **oi_message("Paris?"),
                    "output.value": json.dumps({"id": "chatcmpl-1", "usage": RAW_OPENAI}),
                },
                trace=1,
                start_ms=3,
                length_ms=880,
            ),
        ),
        ((MINI, 106, 36, 64, None, 21, "ok"),),
        MINI_USD_E6,
    ),
    "Langfuse's LangChain over its OpenAI: buckets above, the provider's own below": Scenario(
        (
            Sent(
                1,
                "langfuse-sdk",
                {
                    "langfuse.observation.type": "generation",
                    "langfuse.observation.model.name": MINI,
                    "langfuse.observation.usage_details": json.dumps(BUCKETS),
                },
            ),
            Sent(
                2,
                "langfuse-sdk",
                {
                    "langfuse.observation.type": "generation",
                    "langfuse.observation.model.name": MINI,
                    "langfuse.observation.usage_details": json.dumps(RAW_OPENAI),
                    "langfuse.observation.output": '{"role": "assistant", "content": "Yes."}',
                },
                parent=1,
                start_ms=3,
                length_ms=880,
            ),
        ),
        ((MINI, 106, 36, 64, None, 21, "ok"),),
        MINI_USD_E6,
    ),
    "Langfuse, usage by hand in its buckets": Scenario(
        (
            Sent(
                1,
                "langfuse-sdk",
                {
                    "langfuse.observation.type": "generation",
                    "langfuse.observation.model.name": SONNET,
                    "langfuse.observation.output": '"Yes."',
                    "langfuse.observation.usage_details": json.dumps(
                        {"input": 46, "input_cache_read": 64, "input_cache_creation": 16, "output": 36}
                    ),
                },
            ),
        ),
        (SONNET_CALL,),
        SONNET_USD_E6,
    ),
    "Vercel 6: two steps, a tool, and their sum above": Scenario(
        (
            Sent(
                1,
                "ai",
                {
                    "ai.operationId": "ai.generateText",
                    "ai.model.id": MINI,
                    "ai.model.provider": "openai.chat",
                    "ai.usage.inputTokens": 156,
                    "ai.usage.outputTokens": 46,
                },
            ),
            Sent(
                2,
                "ai",
                {
                    "ai.operationId": "ai.generateText.doGenerate",
                    "ai.model.id": MINI,
                    "ai.model.provider": "openai.chat",
                    "ai.response.id": "r1",
                    "ai.response.finishReason": "tool-calls",
                    "ai.usage.inputTokens": 106,
                    "ai.usage.outputTokens": 36,
                    "ai.usage.cachedInputTokens": 64,
                    "gen_ai.usage.input_tokens": 106,
                    "gen_ai.usage.output_tokens": 36,
                },
                parent=1,
                length_ms=300,
            ),
            Sent(
                3,
                "ai",
                {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "weather"},
                parent=1,
                start_ms=310,
            ),
            Sent(
                4,
                "ai",
                {
                    "ai.operationId": "ai.generateText.doGenerate",
                    "ai.model.id": MINI,
                    "ai.model.provider": "openai.chat",
                    "ai.response.id": "r2",
                    "ai.response.finishReason": "stop",
                    "ai.usage.inputTokens": 50,
                    "ai.usage.outputTokens": 10,
                    "gen_ai.usage.input_tokens": 50,
                },
                parent=1,
                start_ms=400,
                length_ms=300,
            ),
        ),
        (MINI_CALL, (MINI, 50, 10, None, None, None, "ok")),
        MINI_USD_E6 + 50 * 0.15 + 10 * 0.6,
    ),
    "Vercel 6: one span for each attempt, the first one refused": Scenario(
        (
            Sent(
                1,
                "ai",
                {
                    "ai.operationId": "ai.generateText.doGenerate",
                    "ai.model.id": MINI,
                    "ai.model.provider": "openai.chat",
                },
                is_error=True,
                length_ms=100,
                exception={"exception.type": "AI_APICallError", "exception.message": "Rate limit reached"},
            ),
            Sent(
                2,
                "ai",
                {
                    "ai.operationId": "ai.generateText.doGenerate",
                    "ai.model.id": MINI,
                    "ai.model.provider": "openai.chat",
                    "ai.response.finishReason": "stop",
                    "ai.usage.inputTokens": 106,
                    "ai.usage.cachedInputTokens": 64,
                    "ai.usage.outputTokens": 36,
                },
                start_ms=600,
            ),
        ),
        ((MINI, None, None, None, None, None, "error"), MINI_CALL),
        MINI_USD_E6,
    ),
    "Vercel 6: embeddings in embeddings": Scenario(
        (
            Sent(
                1,
                "ai",
                {
                    "ai.operationId": "ai.embedMany",
                    "ai.model.id": "text-embedding-3-small",
                    "ai.usage.tokens": 12,
                },
            ),
            Sent(
                2,
                "ai",
                {
                    "ai.operationId": "ai.embedMany.doEmbed",
                    "ai.model.id": "text-embedding-3-small",
                    "ai.model.provider": "openai.embedding",
                    "ai.usage.tokens": 12,
                },
                parent=1,
            ),
            Sent(
                3,
                "ai",
                {"ai.operationId": "ai.rerank.doRerank", "ai.model.id": "rerank-v3.5", "ai.usage.tokens": 9},
                start_ms=950,
            ),
        ),
        (("text-embedding-3-small", 12, None, None, None, None, "ok"),),
        12 * 0.02,
    ),
    "Vercel 7: the agent repeats its calls under the same names": Scenario(
        (
            Sent(
                1,
                "gen_ai",
                {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": MINI, **used(156, 46)},
            ),
            Sent(2, "gen_ai", {"gen_ai.operation.name": "agent_step"}, parent=1),
            Sent(
                3,
                "gen_ai",
                chat(response__id="r1", response__finish_reasons=["tool-calls"]) | used(106, 36, 64),
                parent=2,
                length_ms=300,
            ),
            Sent(
                4,
                "gen_ai",
                chat(response__id="r2", response__finish_reasons=["stop"]) | used(50, 10),
                parent=2,
                start_ms=400,
                length_ms=300,
            ),
        ),
        (MINI_CALL, (MINI, 50, 10, None, None, None, "ok")),
        MINI_USD_E6 + 50 * 0.15 + 10 * 0.6,
    ),
    "pydantic-ai over Logfire's OpenAI, and the agent's total": Scenario(
        (
            Sent(
                1,
                "pydantic-ai",
                {
                    "gen_ai.operation.name": "invoke_agent",
                    "gen_ai.request.model": MINI,
                    "gen_ai.aggregated_usage.input_tokens": 106,
                    "gen_ai.aggregated_usage.output_tokens": 36,
                },
            ),
            Sent(
                2,
                "pydantic-ai",
                chat(response__id="r1", usage__details__reasoning_tokens=21) | used(106, 36, 64),
                parent=1,
                start_ms=2,
                length_ms=880,
            ),
            Sent(
                3,
                "logfire.openai",
                {
                    **chat(response__id="r1", response__finish_reasons='["stop"]'),
                    **used(106, 36),
                    "logfire.span_type": "span",
                    "gen_ai.usage.raw": json.dumps(RAW_OPENAI),
                },
                parent=2,
                start_ms=4,
                length_ms=870,
            ),
        ),
        ((MINI, 106, 36, 64, None, 21, "ok"),),
        MINI_USD_E6,
    ),
    "v1.30: a stream without usage, its end in logs that come first": Scenario(
        (
            Log(1, "gen_ai.user.message", {"content": "Paris?"}),
            Log(1, "gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": "Yes."}}),
            Sent(
                1,
                OPENAI_V2,
                {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": MINI},
            ),
        ),
        ((MINI, None, None, None, None, None, "ok"),),
    ),
    "otel-genai: a stream that broke": Scenario(
        (
            Sent(
                1,
                OTEL,
                chat(request__stream=True) | {"error.type": "openai.APIError"},
                is_error=True,
            ),
        ),
        ((MINI, None, None, None, None, None, "error"),),
    ),
    "otel-genai: a stream whose reader went away": Scenario(
        (Sent(1, OTEL, chat(request__stream=True, response__finish_reasons=["error"])),),
        ((MINI, None, None, None, None, None, "cancelled"),),
    ),
    "OpenLLMetry: a stream whose reader went away": Scenario(
        (
            Sent(
                1,
                "opentelemetry.instrumentation.openai.v1",
                {**chat(response__finish_reasons=[""]), "gen_ai.is_streaming": True},
            ),
        ),
        ((MINI, None, None, None, None, None, "cancelled"),),
    ),
    "Vercel 6: a stream that broke, with no word of it in the status": Scenario(
        (
            Sent(
                1,
                "ai",
                {
                    "ai.operationId": "ai.streamText.doStream",
                    "ai.model.id": MINI,
                    "ai.response.finishReason": "error",
                },
            ),
        ),
        ((MINI, None, None, None, None, None, "error"),),
    ),
    "no tokens said is not none: 0 of an Anthropic helper's stream, and 0 of an answer that was filtered": Scenario(
        (
            Sent(
                1,
                OLLM_ANTHROPIC,
                {
                    "llm.request.type": "chat",
                    "gen_ai.system": "Anthropic",
                    "gen_ai.request.model": SONNET,
                    "gen_ai.usage.prompt_tokens": 0,
                    "gen_ai.usage.completion_tokens": 0,
                    "gen_ai.completion.0.finish_reason": "end_turn",
                },
            ),
            Sent(2, OTEL, chat(response__finish_reasons=["content_filter"]) | used(100, 0), trace=1),
        ),
        ((SONNET, None, None, None, None, None, "ok"), (MINI, 100, 0, None, None, None, "ok")),
        100 * 0.15,
    ),
    "OpenLIT on Anthropic counts beside the cache": Scenario(
        (
            Sent(
                1,
                "openlit.otel.tracing",
                {**ANTHROPIC, **used(46, 36, 64, 16), "gen_ai.client.token.usage": 82},
            ),
        ),
        (SONNET_CALL,),
        SONNET_USD_E6,
    ),
    "by hand: more from the cache than there is input": Scenario(
        (Sent(1, "my.service", chat() | used(42, 36, 64)),),
        (MINI_CALL,),
        MINI_USD_E6,
    ),
    "by hand: more reasoning than there is output": Scenario(
        (
            Sent(
                1,
                "my.service",
                chat("grok-3-mini", "x_ai", usage__reasoning__output_tokens=300) | used(100, 10),
            ),
        ),
        (("grok-3-mini", 100, 310, None, None, 300, "ok"),),
        100 * 0.3 + 310 * 0.5,
    ),
    "OpenInference: an image, a tool call, a rerank and an agent": Scenario(
        (
            Sent(1, "openinference.instrumentation.openai_agents", {"openinference.span.kind": "AGENT"}),
            Sent(
                2,
                "openinference.instrumentation.openai",
                {
                    **OI_OPENAI,
                    "llm.input_messages.0.message.role": "user",
                    "llm.input_messages.0.message.contents.0.message_content.type": "text",
                    "llm.input_messages.0.message.contents.0.message_content.text": "What is it?",
                    "llm.input_messages.0.message.contents.1.message_content.type": "image",
                    "llm.input_messages.0.message.contents.1.message_content.image.image.url": "data:image/png;base64,AA",
                    "llm.output_messages.0.message.role": "assistant",
                    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "look_up",
                    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"q": 1}',
                    "output.value": json.dumps({"id": "chatcmpl-9", "usage": RAW_OPENAI}),
                },
                parent=1,
            ),
            Sent(
                3,
                "openinference.instrumentation.cohere",
                {"openinference.span.kind": "RERANKER", "reranker.model_name": "rerank-v3.5"},
                parent=1,
                start_ms=950,
            ),
        ),
        ((MINI, 106, 36, 64, None, 21, "ok"),),
        MINI_USD_E6,
    ),
    "MLflow: words in quotes, usage as JSON, an embedding without, a stream that broke": Scenario(
        (
            Sent(
                1,
                "mlflow.tracing.provider",
                {
                    "mlflow.spanType": '"CHAT_MODEL"',
                    "model": f'"{MINI}"',
                    "mlflow.chat.tokenUsage": json.dumps(
                        {"input_tokens": 106, "output_tokens": 36, "cache_read_input_tokens": 64}
                    ),
                },
            ),
            Sent(
                2,
                "mlflow.tracing.provider",
                {"mlflow.spanType": '"EMBEDDING"', "model": '"text-embedding-3-small"'},
                trace=1,
                start_ms=1000,
            ),
            Sent(
                3,
                "mlflow.tracing.provider",
                {"mlflow.spanType": '"CHAT_MODEL"', "model": f'"{MINI}"', "stream": "true"},
                trace=2,
                start_ms=2000,
                is_error=True,
            ),
        ),
        (
            MINI_CALL,
            ("text-embedding-3-small", None, None, None, None, None, "ok"),
            (MINI, None, None, None, None, None, "error"),
        ),
        MINI_USD_E6,
    ),
    "LangSmith: a retriever that calls itself embeddings, a prompt that calls itself chat": Scenario(
        (
            Sent(1, "langsmith", {"langsmith.span.kind": "retriever", "gen_ai.operation.name": "embeddings"}),
            Sent(
                2,
                "langsmith",
                {"langsmith.span.kind": "prompt", "gen_ai.operation.name": "chat"},
                start_ms=10,
            ),
            Sent(
                3,
                "langsmith",
                {
                    **chat(),
                    **used(106, 36),
                    "langsmith.span.kind": "llm",
                    "gen_ai.usage.input_token_details": "{'cache_read': 64, 'audio': 0}",
                    "langsmith.metadata.usage_metadata": json.dumps(
                        {
                            "input_tokens": 106,
                            "output_tokens": 36,
                            "input_token_details": {"cache_read": 64},
                            "output_token_details": {"reasoning": 21},
                        }
                    ),
                },
                start_ms=20,
            ),
        ),
        ((MINI, 106, 36, 64, None, 21, "ok"),),
        MINI_USD_E6,
    ),
    "Strands: the agent and its loop repeat the tokens of the call": Scenario(
        (
            Sent(
                1,
                "strands-agents",
                {
                    "gen_ai.operation.name": "invoke_agent",
                    "gen_ai.system": "strands-agents",
                    "gen_ai.request.model": MINI,
                    **used(106, 36),
                },
            ),
            Sent(
                2, "strands-agents", {"event_loop.cycle_id": "c"}, parent=1, name="execute_event_loop_cycle"
            ),
            Sent(
                3,
                "strands-agents",
                chat(usage__cache_read_input_tokens=64) | used(106, 36),
                parent=2,
                name="chat",
            ),
        ),
        (MINI_CALL,),
        MINI_USD_E6,
    ),
    "two answers of one instrumentation to the same question are two calls": Scenario(
        tuple(
            Sent(n, OTEL, chat(response__id=f"r{n}") | used(106, 36, 64), start_ms=n * 1000) for n in (1, 2)
        ),
        (MINI_CALL, MINI_CALL),
        2 * MINI_USD_E6,
    ),
    "OpenLLMetry 0.40: names with capitals, flat messages, a workflow around": Scenario(
        (
            Sent(1, "traceloop.tracer", {"traceloop.span.kind": "workflow", "traceloop.entity.name": "w"}),
            Sent(
                2,
                "opentelemetry.instrumentation.openai.v1",
                {
                    "llm.request.type": "chat",
                    "gen_ai.system": "OpenAI",
                    "gen_ai.request.model": MINI,
                    "gen_ai.usage.prompt_tokens": 106,
                    "gen_ai.usage.completion_tokens": 36,
                    "gen_ai.usage.cache_read_input_tokens": 64,
                    "llm.usage.total_tokens": 142,
                    "gen_ai.prompt.0.role": "user",
                    "gen_ai.prompt.0.content": "Paris?",
                    "gen_ai.completion.0.finish_reason": "stop",
                },
                parent=1,
            ),
        ),
        (MINI_CALL,),
        MINI_USD_E6,
    ),
    "Traceloop's LangChain chat over OpenLLMetry's OpenAI, one answer": Scenario(
        (
            Sent(
                1,
                "opentelemetry.instrumentation.langchain",
                {
                    **chat(provider="langchain", response__id="r1"),
                    **used(106, 36, 64),
                    "traceloop.workflow.name": "w",
                },
            ),
            Sent(
                2,
                "opentelemetry.instrumentation.openai.v1",
                chat(response__id="r1", response__finish_reasons=["stop"], usage__total_tokens=142)
                | used(106, 36, 64),
                parent=1,
                start_ms=3,
                length_ms=880,
            ),
        ),
        (MINI_CALL,),
        MINI_USD_E6,
    ),
}
