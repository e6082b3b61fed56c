"""The same spans and log records in any order and in any requests give the same calls and rollups."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from tests.ingest.payloads import request_of, spans_of
from tests.ingest.pipeline import Pipeline

Part = tuple[ResourceSpans, ScopeSpans, Span]

CAPTURES = Path(__file__).parent.parent / "captures"
# A framework and a client library that report calls twice, in other traces and without response ids; and one whose
# contents are in log records.
FOLDERS = ("openinference", "otel-genai-event")
PARTS: list[Part] = [
    part
    for folder in FOLDERS
    for path in sorted((CAPTURES / folder).glob("*.traces.pb"))
    for part in spans_of(path.read_bytes())
]
LOGS = [path.read_bytes() for path in sorted((CAPTURES / "otel-genai-event").glob("*.logs.pb"))]
BOOKKEEPING = "batch, received_at"
TABLES = ("spans", "calls_per_minute", "calls_per_hour", "log_records", "span_contents")
Results = dict[str, list[tuple[object, ...]]]


def results(pipeline: Pipeline) -> Results:
    """Return everything but bookkeeping; rows of zeros tell of the way and not of the result."""
    return {
        "spans": pipeline.rows(
            f"SELECT * EXCEPT ({BOOKKEEPING}) REPLACE (arraySort(data_flags) AS data_flags) FROM spans"
            " ORDER BY trace_id, span_id"
        ),
        **{
            table: pipeline.rows(
                f"SELECT * EXCEPT (version) REPLACE (round(c.cost_usd, 12) AS cost_usd,"
                f" round(c.duration_ms, 6) AS duration_ms, round(c.ttft_ms, 6) AS ttft_ms,"
                f" round(c.cost_usd_squares, 12) AS cost_usd_squares,"
                f" round(c.duration_ms_squares, 3) AS duration_ms_squares)"
                f" FROM {table} AS c FINAL WHERE c.calls > 0 ORDER BY ALL"
            )
            for table in TABLES[1:3]
        },
    }


def written(pipeline: Pipeline, requests: list[list[Part]], flushes: set[int]) -> Results:
    """Write requests to an empty database, flushing after those numbered in `flushes` and at the end.

    The log records come in as many parts as the spans, each before its part of the spans.
    """
    for table in TABLES:
        pipeline.store.command(f"TRUNCATE TABLE {table}")
    for number, parts in enumerate(requests):
        for body in LOGS[number :: len(requests)]:
            pipeline.put_logs(body)
        pipeline.put(request_of(parts))
        if number in flushes:
            pipeline.flush()
    pipeline.flush()
    return results(pipeline)


def split(parts: list[Part], cuts: set[int]) -> list[list[Part]]:
    """Cut `parts` into requests at the given places."""
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(parts)), len(parts)]
    return [parts[start:end] for start, end in pairwise(edges)]


@pytest.fixture
def expected(pipeline: Pipeline) -> Results:
    """What all spans in one request give."""
    found = written(pipeline, [PARTS], set())
    assert len(found["spans"]) == len(PARTS)
    return found


def shuffled(order: list[int], cuts: set[int]) -> list[list[Part]]:
    return split([PARTS[index] for index in order], cuts)


orders = st.permutations(range(len(PARTS)))
cut_sets = st.sets(st.integers(1, len(PARTS) - 1), max_size=6)
flush_sets = st.sets(st.integers(0, 6), max_size=6)
NO_SHRINKING = [Phase.explicit, Phase.generate]


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=NO_SHRINKING,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(orders, cut_sets, flush_sets)
def test_any_order_and_any_split(
    pipeline: Pipeline, expected: Results, order: list[int], cuts: set[int], flushes: set[int]
) -> None:
    assert written(pipeline, shuffled(order, cuts), flushes) == expected


@pytest.mark.slow
@settings(
    max_examples=150,
    deadline=None,
    phases=NO_SHRINKING,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(orders, cut_sets, flush_sets)
def test_any_order_and_any_split_many_times(
    pipeline: Pipeline, expected: Results, order: list[int], cuts: set[int], flushes: set[int]
) -> None:
    assert written(pipeline, shuffled(order, cuts), flushes) == expected


def test_each_span_in_a_request_of_its_own(pipeline: Pipeline, expected: Results) -> None:
    order = list(range(len(PARTS)))
    random.Random(7).shuffle(order)
    assert written(pipeline, shuffled(order, set(order)), set(order[::9])) == expected


def test_some_spans_more_than_once(pipeline: Pipeline, expected: Results) -> None:
    chance = random.Random(11)
    requests = [chance.choices(PARTS, k=12) for _ in range(4)]
    assert written(pipeline, [*requests, PARTS, *requests], {1, 3, 6}) == expected
