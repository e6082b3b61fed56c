"""Telemetry of a made-up shop assistant, put into a store without ingest.

The same seed gives the same traces. Spans are shaped as the OpenTelemetry GenAI conventions shape them, so that
the dashboard is tried with conversations, tool calls, documents, errors and a hostile span.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.rollups import recompute

PROJECT: Final = "shop"

QUESTIONS: Final = (
    ("Where is my order {n}?", "Order {n} left our warehouse on Tuesday and arrives on Friday."),
    ("Can I return shoes after 20 days?", "Yes. You have 30 days, as long as the shoes are unworn."),
    ("Do you ship to Norway?", "We do. Standard delivery to Norway takes 4 to 6 working days."),
    ("Где мой заказ {n}?", "Заказ {n} передан курьеру, доставка завтра с 10 до 14."),
    (
        "The discount code SUMMER does not work",
        "That code ended on 31 August. AUTUMN gives 10 % until Sunday.",
    ),
)
MODELS: Final = (
    ("openai", "gpt-4o-mini-2024-07-18", 0.15, 0.6, 700),
    ("openai", "gpt-4o-2024-08-06", 2.5, 10.0, 1400),
    ("anthropic", "claude-sonnet-4-20250514", 3.0, 15.0, 1900),
)
ERRORS: Final = (("rate_limit_error", 429), ("timeout", None), ("server_error", 500))
HOSTILE: Final = (
    '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>[x](javascript:alert(1)) =1+1'
)


@dataclass
class Span:
    """A row of `spans`, as far as the dashboard reads it."""

    trace_id: str
    span_id: str
    start_time: datetime
    duration_ns: int
    name: str
    kind: str
    parent_span_id: str = ""
    project: str = PROJECT
    operation: str = ""
    dialect: str = "otel-semconv"
    scope_name: str = "opentelemetry.util.genai.handler"
    service_name: str = "shop-assistant"
    environment: str = "production"
    release: str = "1.4.2"
    provider: str = ""
    request_model: str = ""
    response_model: str = ""
    response_id: str = ""
    status: str = "ok"
    error_type: str = ""
    error_code: int | None = None
    status_message: str = ""
    stream: bool | None = None
    ttft_ms: float | None = None
    finish_reason: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    usage_source: str = ""
    cost_usd: float | None = None
    session_id: str = ""
    user_id: str = ""
    company_id: str = ""
    prompt_name: str = ""
    prompt_version: str = ""
    input_text: str = ""
    output_text: str = ""
    retrieval_query: str = ""
    documents: list[tuple[str, str, float | None]] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    resource: dict[str, str] = field(default_factory=dict)
    events: list[tuple[datetime, str, dict[str, str]]] = field(default_factory=list)
    data_flags: list[str] = field(default_factory=list)
    duplicate_of: str = ""
    batch: str = "seed"
    received_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)


def insert(store: Store, spans: Sequence[Span]) -> None:
    """Insert spans and compute the rollups of every minute and hour they touch."""
    columns = [field.name for field in fields(Span)]
    for first in range(0, len(spans), 5_000):
        rows = [[getattr(span, name) for name in columns] for span in spans[first : first + 5_000]]
        store.insert_rows("spans", columns, rows)
    minutes = {span.start_time.replace(second=0, microsecond=0) for span in spans}
    recompute(store, sorted({span.project for span in spans}), sorted(minutes))


def history(now: datetime, *, days: float, traces_per_day: int, seed: int = 7) -> Iterator[Span]:
    """Yield the spans of some days of traffic that rises by day and falls by night."""
    rng = Random(seed)
    total = int(days * traces_per_day)
    for number in range(total):
        ago_s = days * 86_400 * (number + rng.random()) / total
        start = now - timedelta(seconds=ago_s + 5)
        daylight = 0.5 + 0.5 * math.sin((start.hour - 6) / 24 * 2 * math.pi)
        if rng.random() < 0.25 + 0.75 * daylight:
            yield from conversation(start, f"{seed}-{number}", rng)


def conversation(start: datetime, key: str, rng: Random) -> list[Span]:
    """Return one trace: a request, its retrieval, one or two model calls and a tool."""
    trace_id = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    ids = _Ids(trace_id)
    question, answer = (text.format(n=rng.randint(10_000, 99_999)) for text in rng.choice(QUESTIONS))
    user, session = f"u{rng.randint(1, 400)}", f"s{rng.randint(1, 900)}"
    common = {
        "session_id": session,
        "user_id": user,
        "company_id": rng.choice(("acme", "globex", "")),
        "environment": rng.choices(("production", "staging"), (9, 1))[0],
        "service_name": rng.choices(("shop-assistant", "mail-bot"), (8, 2))[0],
        "resource": {
            "service.name": "shop-assistant",
            "service.version": "1.4.2",
            "telemetry.sdk.language": "python",
        },
    }
    root = Span(trace_id, ids.next(), start, 0, "answer question", "workflow", input_text=question, **common)  # type: ignore[arg-type]
    retrieval = _retrieval(root, ids.next(), question, rng, common)
    at = _end(retrieval)
    calls = []
    if rng.random() < 0.3:
        first = _call(root, ids.next(), at, question, "", rng, common, tool=True)
        tool = _tool(root, ids.next(), _end(first), rng, common)
        calls += [first, tool]
        at = _end(tool)
    if rng.random() < 0.06:
        failed = _call(root, ids.next(), at, question, "", rng, common, fails=True)
        calls.append(failed)
        at = _end(failed)
    last = _call(root, ids.next(), at, question, answer, rng, common, fails=rng.random() < 0.02)
    calls.append(last)
    root.duration_ns = int((_end(last) - start).total_seconds() * 1e9) + 3_000_000
    root.status, root.error_type, root.output_text = last.status, last.error_type, last.output_text
    return [root, retrieval, *calls]


def hostile(start: datetime) -> list[Span]:
    """Return a trace whose every text tries to be markup, script or a formula."""
    trace_id = hashlib.md5(b"hostile", usedforsecurity=False).hexdigest()
    messages = json.dumps([{"role": HOSTILE, "parts": [{"type": "text", "content": HOSTILE}]}])
    return [
        Span(
            trace_id, "f" * 16, start, 250_000_000, HOSTILE, "generation",
            request_model=HOSTILE, response_model=HOSTILE, provider="openai", user_id=HOSTILE, session_id="=cmd",
            input_text="=HYPERLINK(\"http://x\")", output_text="+1+1", input_tokens=1, output_tokens=1,
            service_name="shop-assistant", status="error", error_type=HOSTILE, status_message=HOSTILE,
            attributes={"gen_ai.input.messages": messages, "gen_ai.output.messages": "{broken " + HOSTILE, HOSTILE: HOSTILE, "__proto__": "x"},
            documents=[(HOSTILE, HOSTILE, 0.5)], events=[(start, HOSTILE, {HOSTILE: HOSTILE})],
        )
    ]  # fmt: skip


def wide_trace(start: datetime, spans: int) -> list[Span]:
    """Return one trace of `spans` spans, nested up to six deep."""
    trace_id = hashlib.md5(f"wide{spans}".encode(), usedforsecurity=False).hexdigest()
    ids = _Ids(trace_id)
    rows = [
        Span(
            trace_id,
            ids.next(),
            start,
            spans * 12_000_000,
            "nightly batch",
            "workflow",
            service_name="shop-assistant",
        )
    ]
    rng = Random(spans)
    while len(rows) < spans:
        parent = rows[max(0, len(rows) - rng.randint(1, 6))] if len(rows) % 9 else rows[0]
        kind = rng.choice(("step", "tool", "retrieval", "agent"))
        began = max(parent.start_time, start + timedelta(milliseconds=12 * len(rows)))
        rows.append(
            Span(trace_id, ids.next(), began, rng.randint(1, 90) * 1_000_000, f"{kind} {len(rows)}", kind,
                 parent_span_id=parent.span_id, service_name="shop-assistant")
        )  # fmt: skip
    return rows


class _Ids:
    def __init__(self, trace_id: str) -> None:
        self._trace_id, self._number = trace_id, 0

    def next(self) -> str:
        self._number += 1
        return hashlib.md5(f"{self._trace_id}{self._number}".encode(), usedforsecurity=False).hexdigest()[:16]


def _retrieval(root: Span, span_id: str, question: str, rng: Random, common: dict[str, object]) -> Span:
    documents = [
        (f"faq-{rng.randint(1, 60)}", text, round(rng.uniform(0.55, 0.95), 3))
        for text in rng.sample([answer.format(n=rng.randint(10_000, 99_999)) for _, answer in QUESTIONS], 3)
    ]
    return Span(
        root.trace_id, span_id, root.start_time + timedelta(milliseconds=4), int(rng.lognormvariate(4, 0.4) * 1e6),
        "retrieve faq", "retrieval", parent_span_id=root.span_id, operation="retrieval", input_text=question,
        retrieval_query=question, documents=documents, **common,  # type: ignore[arg-type]
    )  # fmt: skip


def _tool(root: Span, span_id: str, at: datetime, rng: Random, common: dict[str, object]) -> Span:
    return Span(
        root.trace_id, span_id, at, int(rng.uniform(20, 160) * 1e6), "execute_tool order_status", "tool",
        parent_span_id=root.span_id, operation="execute_tool", input_text='{"order_id": 42}',
        output_text='{"state": "shipped"}',
        attributes={"gen_ai.tool.name": "order_status", "gen_ai.tool.call.arguments": '{"order_id": 42}',
                    "gen_ai.tool.call.result": '{"state": "shipped"}'}, **common,  # type: ignore[arg-type]
    )  # fmt: skip


def _call(
    root: Span, span_id: str, at: datetime, question: str, answer: str, rng: Random, common: dict[str, object],
    *, tool: bool = False, fails: bool = False,
) -> Span:  # fmt: skip
    provider, model, price_in, price_out, median_ms = rng.choices(MODELS, (6, 3, 1))[0]
    tokens_in, tokens_out = rng.randint(180, 900), rng.randint(20, 260)
    duration_ms = rng.lognormvariate(math.log(median_ms), 0.45)
    span = Span(
        root.trace_id, span_id, at, int(duration_ms * 1e6), f"chat {model}", "generation", parent_span_id=root.span_id,
        operation="chat", provider=provider, request_model=model, response_model=model,
        response_id=f"chatcmpl-{span_id}", stream=True, prompt_name="answer", prompt_version=rng.choice(("v3", "v4")),
        input_text=question, **common,  # type: ignore[arg-type]
    )  # fmt: skip
    span.attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.request.temperature": "0.2",
        "gen_ai.input.messages": _messages(question),
    }
    if fails:
        error_type, code = rng.choice(ERRORS)
        span.status, span.error_type, span.error_code = "error", error_type, code
        span.status_message = f"{error_type}: the provider refused the request or did not answer in time"
        span.events = [
            (at, "exception", {"exception.type": error_type, "exception.message": span.status_message})
        ]
        return span
    span.input_tokens, span.output_tokens, span.usage_source = tokens_in, tokens_out, "provider"
    span.cache_read_tokens = rng.choice((0, 64, 128))
    span.cost_usd = (tokens_in * price_in + tokens_out * price_out) / 1e6
    span.ttft_ms, span.finish_reason = duration_ms * 0.3, "tool_call" if tool else "stop"
    span.output_text = "" if tool else answer
    span.attributes["gen_ai.output.messages"] = _answer(answer, tool)
    return span


def _messages(question: str) -> str:
    return json.dumps(
        [
            {"role": "system", "parts": [{"type": "text", "content": "You help the customers of a shoe shop. Answer briefly."}]},
            {"role": "user", "parts": [{"type": "text", "content": question}]},
        ]
    )  # fmt: skip


def _answer(answer: str, tool: bool) -> str:
    call = {"type": "tool_call", "id": "call_1", "name": "order_status", "arguments": {"order_id": 42}}
    part = call if tool else {"type": "text", "content": answer}
    return json.dumps(
        [{"role": "assistant", "parts": [part], "finish_reason": "tool_call" if tool else "stop"}]
    )


def _end(span: Span) -> datetime:
    return span.start_time + timedelta(microseconds=span.duration_ns / 1000 + 2_000)
