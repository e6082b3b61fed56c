"""Ten days of made-up calls for the tests of drift: the same each time, with what a test changes on the last day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.rollups import recompute

PROJECT: Final = "shop"
NOW: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAYS: Final = 8
QUESTIONS: Final = (
    "Where is my order, I would like to know when it arrives?",
    "How do I return the shoes that I bought last week?",
    "Can you tell me what the delivery to Norway does cost?",
    "The discount code is refused, what do I do?",
)
ANSWERS: Final = (
    "Your order left our warehouse and arrives within two working days.",
    "You have thirty days to return them, as long as they are unworn.",
    "Standard delivery to Norway costs nine euros and takes a week.",
    "That code ended in August; the one for autumn is valid until Sunday.",
)


@dataclass
class Call:
    """A row of `spans`, as far as drift reads it."""

    trace_id: str
    span_id: str
    start_time: datetime
    project: str = PROJECT
    kind: str = "generation"
    service_name: str = "assistant"
    request_model: str = "gpt-4o"
    response_model: str = "gpt-4o-2024-08-06"
    prompt_name: str = "answer"
    prompt_version: str = "v1"
    status: str = "ok"
    error_type: str = ""
    finish_reason: str = "stop"
    duration_ns: int = 900_000_000
    input_tokens: int | None = 400
    output_tokens: int | None = 60
    cost_usd: float | None = 0.001
    session_id: str = ""
    user_id: str = ""
    company_id: str = ""
    language: str = ""
    cache_status: str = ""
    cache_similarity: float | None = None
    input_text: str = QUESTIONS[0]
    output_text: str = ANSWERS[0]
    documents: list[tuple[str, str, float | None]] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    duplicate_of: str = ""
    received_at: datetime = NOW


Change = Callable[[Call, Random], None]


def insert(store: Store, calls: Sequence[Call]) -> None:
    """Insert calls and compute the rollups of every minute and hour they touch."""
    columns = [one.name for one in fields(Call)]
    store.insert_rows("spans", columns, [[getattr(call, name) for name in columns] for call in calls])
    minutes = sorted({call.start_time.replace(second=0, microsecond=0) for call in calls})
    recompute(store, sorted({call.project for call in calls}), minutes)


def calls(
    change: Change | None = None,
    *,
    changed_hours: float = 24,
    per_hour: int = 12,
    days: int = DAYS,
    seed: int = 1,
) -> list[Call]:
    """Return calls at an even pace until `NOW`; `change` is applied to those of the last hours."""
    rng = Random(seed)
    made = []
    for number in range(days * 24 * per_hour):
        start = NOW - timedelta(days=days) + timedelta(hours=(number + rng.random()) / per_hour)
        call = one_call(rng, number, start)
        if change is not None and start >= NOW - timedelta(hours=changed_hours):
            change(call, rng)
        made.append(call)
    return made


def one_call(rng: Random, number: int, start: datetime) -> Call:
    """Return a call as they usually are."""
    topic = rng.randrange(len(QUESTIONS))
    user = rng.randrange(60)
    answer = " ".join([ANSWERS[topic]] + ["It is free of charge."] * rng.randrange(4))
    return Call(
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        start_time=start,
        service_name="mailer" if number % 4 == 0 else "assistant",
        duration_ns=int(1e9 * rng.lognormvariate(0, 0.4)),
        input_tokens=300 + rng.randrange(200),
        output_tokens=len(answer) // 4,
        session_id=f"s{number}",
        user_id=f"u{user}",
        company_id=("acme", "globex", "initech")[user % 3],
        input_text=QUESTIONS[topic],
        output_text=answer,
    )


def wordier(call: Call, rng: Random) -> None:
    """The answer is three times as long."""
    call.output_text = " ".join([call.output_text] * 3)
    call.output_tokens = (call.output_tokens or 0) * 3
