"""What the seed leaves out: caches, retries, fallbacks, tags, releases, a new prompt version, scores."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from tests.dashboard import seed

from gnomon_collector.store.ingest import insert_scores
from gnomon_collector.store.rollups import recompute

if TYPE_CHECKING:
    from gnomon_collector.store.engine import Store

REQUESTS = 120
SYSTEM = {
    "v8": "You help the customers of a shoe shop.\nAnswer briefly.\nDocuments: {n}",
    "v9": "You help the customers of a shoe shop.\nAnswer in two sentences.\nDocuments: {n}",
}


def fill(store: Store, now: datetime) -> list[str]:
    """Add requests of the last hours with everything that pages show, and return their trace ids."""
    rng = Random(5)
    rows: list[dict[str, object]] = []
    scores: list[tuple[object, ...]] = []
    ids = []
    for number in range(REQUESTS):
        start = now - timedelta(minutes=4 * (REQUESTS - number) + 1)
        trace_id = hashlib.md5(f"rich{number}".encode(), usedforsecurity=False).hexdigest()
        ids.append(trace_id)
        rows += _request(trace_id, start, number, rng)
        good = rng.random() < (0.6 if number < REQUESTS // 2 else 0.95)
        scores.append(_score(trace_id, "user_feedback", float(good), "", "user", start, number))
        if number % 10 == 0:
            scores.append(
                _score(trace_id, "correction", None, f"Corrected answer {number}", "human", start, number)
            )
    columns = list(dict.fromkeys(name for row in rows for name in row))
    store.insert_rows(
        "spans", columns, [[row.get(name, _EMPTY.get(name, "")) for name in columns] for row in rows]
    )
    insert_scores(store, scores)
    minutes = sorted({row["start_time"].replace(second=0, microsecond=0) for row in rows})  # type: ignore[attr-defined]
    recompute(store, [seed.PROJECT], minutes)
    return ids


_EMPTY: dict[str, object] = {
    "input_tokens": None,
    "output_tokens": None,
    "cache_read_tokens": None,
    "cost_usd": None,
    "ttft_ms": None,
    "attempt": None,
    "cache_similarity": None,
    "tags": [],
    "attributes": {},
    "duration_ns": 1_000_000,
    "usage_source": "none",
}


def _request(trace_id: str, start: datetime, number: int, rng: Random) -> list[dict[str, object]]:
    version = "v8" if number < REQUESTS // 2 else "v9"
    common: dict[str, object] = {
        "project": seed.PROJECT,
        "trace_id": trace_id,
        "session_id": f"rich-s{number // 6}",
        "dialect": "otel-semconv",
        "user_id": f"rich-u{number % 7}",
        "company_id": "initech",
        "service_name": "shop-assistant",
        "environment": "production",
        "release": "2.0.0" if number > REQUESTS // 2 else "1.9.0",
        "language": "en",
        "tags": ["beta"] if number % 4 == 0 else ["stable"],
        "received_at": datetime(2026, 1, 1, tzinfo=UTC),
        "status": "ok",
        "batch": "rich",
    }
    root, cache, call = (f"{number:08x}{kind:08x}" for kind in (1, 2, 3))
    cached = ("hit", "semantic_hit", "miss", "miss")[number % 4]
    spans = [
        common
        | {
            "span_id": root,
            "start_time": start,
            "name": "answer",
            "kind": "workflow",
            "duration_ns": int(2e9 if cached == "miss" else 5e7),
            "input_text": f"question {number}",
            "output_text": f"answer {number}",
        },
        common
        | {
            "span_id": cache,
            "parent_span_id": root,
            "start_time": start + timedelta(milliseconds=1),
            "name": "look up",
            "kind": "cache",
            "cache_status": cached,
            "cache_similarity": 0.9 + rng.random() / 20,
            "duration_ns": 3_000_000,
        },
    ]
    if cached == "miss":
        text = SYSTEM[version].format(n=number)
        spans.append(
            common
            | {
                "span_id": call,
                "parent_span_id": root,
                "start_time": start + timedelta(milliseconds=5),
                "name": "chat gpt-4o",
                "kind": "generation",
                "provider": "openai",
                "request_model": "gpt-4o-2024-08-06",
                "response_model": "gpt-4o-2024-08-06",
                "duration_ns": int(rng.uniform(0.8, 1.9) * 1e9),
                "input_tokens": 900,
                "output_tokens": 60,
                "cache_read_tokens": 512,
                "cost_usd": 0.004 if version == "v8" else 0.002,
                "ttft_ms": 210.0,
                "usage_source": "provider",
                "prompt_name": "reply",
                "prompt_version": version,
                "attempt": 2 if number % 12 == 2 else 1,
                "fallback_of": "gpt-4.1" if number % 12 == 3 else "",
                "fallback_reason": "timeout" if number % 12 == 3 else "",
                "input_text": f"question {number}",
                "output_text": f"answer {number}",
                "attributes": {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.temperature": "0.2",
                    "gen_ai.input.messages": seed.json.dumps(
                        [
                            {"role": "system", "parts": [{"type": "text", "content": text}]},
                            {"role": "user", "parts": [{"type": "text", "content": f"question {number}"}]},
                        ]
                    ),
                    "gen_ai.output.messages": seed._answer(f"answer {number}", tool=False),
                },
            }
        )
    return spans


def _score(
    trace_id: str, name: str, value: float | None, comment: str, source: str, at: datetime, number: int
) -> tuple[object, ...]:
    label = "correction" if name == "correction" else ""
    return (
        f"{name}{number}",
        seed.PROJECT,
        trace_id,
        "",
        "",
        name,
        value,
        label,
        comment,
        source,
        f"rich-u{number % 7}",
        at,
        at,
    )
