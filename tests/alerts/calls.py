"""Calls for tests of alerts: so many a minute, so slow, so many failing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.dashboard import seed

PROJECT = "shop"


def minute_of_calls(
    minute: datetime,
    calls: int = 20,
    *,
    failing: int = 0,
    latency_ms: float = 800.0,
    cost_usd: float = 0.001,
    service: str = "assistant",
    project: str = PROJECT,
    model: str = "gpt-4o-mini",
    user: str = "u-1",
    release: str = "1.0",
    error_type: str = "server_error",
    spread: float = 0.2,
) -> Iterator[seed.Span]:
    """Yield the calls of a minute; the first `failing` of them fail. Latencies vary by `spread` around the mean."""
    for number in range(calls):
        key = f"{project}{service}{model}{user}{minute.isoformat()}{number}"
        digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
        factor = 1 + spread * (2 * number / max(1, calls - 1) - 1)
        fails = number < failing
        yield seed.Span(
            trace_id=digest,
            span_id=digest[:16],
            start_time=minute + timedelta(seconds=60 * (number + 0.5) / calls),
            duration_ns=int(latency_ms * factor * 1e6),
            name="chat",
            kind="generation",
            project=project,
            service_name=service,
            provider="openai",
            request_model=model,
            response_model=model,
            status="error" if fails else "ok",
            error_type=error_type if fails else "",
            input_tokens=100,
            output_tokens=20,
            usage_source="provider",
            cost_usd=cost_usd,
            user_id=user,
            release=release,
            input_text="Where is my order?",
        )


def steady(start: datetime, minutes: int, step_minutes: int = 1, **call: object) -> Iterator[seed.Span]:
    """Yield calls for every `step_minutes`-th of so many minutes from `start` on."""
    for number in range(0, minutes, step_minutes):
        yield from minute_of_calls(start + timedelta(minutes=number), **call)  # type: ignore[arg-type]
