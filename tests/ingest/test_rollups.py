"""The rollups say what the calls say."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.ingest.payloads import MINUTE_NS, chat_span, hour_ago_ns, request
from tests.ingest.pipeline import Pipeline

from gnomon_collector.ingest import rollup_worker
from gnomon_collector.store import rollups

SUMS = [name for name in rollups.SUMS if name != "calls" and not name.endswith("_squares")]
LABELS = [name for name in rollups.LABELS if name != "time"]

DIRECT = f"""
SELECT {{start}}(start_time) AS time, {", ".join(LABELS)}, count() AS calls,
    round(sum(duration_ns) / 1e6, 6) AS duration_ms,
    sum(ifNull(c.input_tokens, 0)) AS input_tokens, sum(ifNull(c.output_tokens, 0)) AS output_tokens,
    sum(ifNull(c.cache_read_tokens, 0)) AS cache_read_tokens,
    sum(ifNull(c.cache_write_tokens, 0)) AS cache_write_tokens,
    sum(ifNull(c.reasoning_tokens, 0)) AS reasoning_tokens,
    countIf(c.input_tokens IS NOT NULL OR c.output_tokens IS NOT NULL) AS calls_with_usage,
    round(sum(ifNull(c.cost_usd, 0)), 12) AS cost_usd, count(c.cost_usd) AS calls_with_cost,
    round(sum(ifNull(c.ttft_ms, 0)), 6) AS ttft_ms, count(c.ttft_ms) AS calls_with_ttft,
    count(c.output_tokens) AS calls_with_output,
    arraySort(groupArrayIf(least(128, greatest(1, 1 + floor(6 * log2(greatest(ifNull(c.ttft_ms, 0), 1e-6))))), c.ttft_ms IS NOT NULL)) AS first_tokens,
    arraySort(groupArray(least(128, greatest(1, 1 + floor(6 * log2(duration_ns / 1e6)))))) AS latencies
FROM (SELECT * FROM calls) AS c GROUP BY ALL ORDER BY ALL
"""
ROUNDED = {"duration_ms": 6, "cost_usd": 12, "ttft_ms": 6}
STORED = f"""
SELECT time, {", ".join(LABELS)}, calls,
    {", ".join(f"round({name}, {ROUNDED[name]})" if name in ROUNDED else name for name in SUMS)},
    arrayFlatten(arrayMap(i -> arrayWithConstant(ttft_buckets[i], i), range(1, 129))) AS first_tokens,
    arrayFlatten(arrayMap(i -> arrayWithConstant(latency_buckets[i], i), range(1, 129))) AS latencies
FROM {{table}} FINAL WHERE calls > 0 ORDER BY ALL
"""
SQUARES = """
SELECT {start}(start_time) AS time, sum(pow(duration_ns / 1e6, 2)), sum(ifNull(pow(cost_usd, 2), 0)),
    sum(ifNull(pow(output_tokens, 2), 0))
FROM calls GROUP BY time ORDER BY time
"""
STORED_SQUARES = """
SELECT time, sum(duration_ms_squares), sum(cost_usd_squares), sum(output_tokens_squares)
FROM {table} FINAL WHERE calls > 0 GROUP BY time ORDER BY time
"""
TABLES = {"calls_per_minute": "toStartOfMinute", "calls_per_hour": "toStartOfHour"}


def assert_rollups_are_right(pipeline: Pipeline) -> None:
    for table, start in TABLES.items():
        direct = pipeline.rows(DIRECT.replace("{start}", start))
        assert pipeline.rows(STORED.replace("{table}", table)) == direct
        squares = [list(row[1:]) for row in pipeline.rows(SQUARES.replace("{start}", start))]
        stored = [list(row[1:]) for row in pipeline.rows(STORED_SQUARES.replace("{table}", table))]
        assert stored == [pytest.approx(row, rel=1e-9) for row in squares]
        zeros = " + ".join([*rollups.SUMS, "arraySum(latency_buckets)", "arraySum(ttft_buckets)"])
        assert pipeline.value(f"SELECT sum({zeros}) FROM {table} FINAL WHERE calls = 0") == 0


def traffic(count: int, seed: int) -> list[bytes]:
    """Return calls of all sorts over some hours, in requests of 25."""
    chance = random.Random(seed)
    first_ns = hour_ago_ns() - 180 * MINUTE_NS
    spans = []
    for number in range(count):
        each = chat_span(
            seed * 10_000 + number,
            first_ns + chance.randrange(180 * MINUTE_NS),
            model=chance.choice(["gpt-4o", "gpt-4o-mini", "unheard-of"]),
            gen_ai__usage__cache_read__input_tokens=chance.choice([0, 20]),
            gen_ai__usage__reasoning__output_tokens=chance.choice([0, 5]),
            gen_ai__prompt__name=chance.choice(["", "greeting"]),
            gen_ai__response__time_to_first_chunk=chance.random(),
            gnomon__cache__status=chance.choice(["", "hit"]),
        )
        each.end_time_unix_nano = each.start_time_unix_nano + int(10 ** chance.uniform(0, 13))
        if chance.random() < 0.2:
            each.status.code = 2
            del each.attributes[3:5]  # no usage
        spans.append(each)
    return [
        request(spans[at : at + 25], resource={"service.name": chance.choice(["shop", "desk"])})
        for at in range(0, count, 25)
    ]


def test_they_equal_a_direct_aggregate(pipeline: Pipeline) -> None:
    for seed in (1, 2):
        pipeline.send(*traffic(300, seed))
        assert_rollups_are_right(pipeline)
    assert pipeline.value("SELECT count() FROM calls_per_minute FINAL") > 100  # type: ignore[operator]


def test_more_calls_of_one_kind_than_a_byte_counts(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    pipeline.send(request(chat_span(number, start_ns + number) for number in range(700)))
    assert_rollups_are_right(pipeline)
    assert pipeline.value("SELECT max(arrayMax(latency_buckets)) FROM calls_per_minute FINAL") == 700


def test_computing_again_changes_nothing(pipeline: Pipeline) -> None:
    pipeline.send(*traffic(200, 3))
    before = [pipeline.rows(f"SELECT * EXCEPT version FROM {table} FINAL ORDER BY ALL") for table in TABLES]
    minutes = [
        minute
        for (minute,) in pipeline.rows("SELECT DISTINCT toStartOfMinute(start_time) FROM spans")
        if isinstance(minute, datetime)
    ]
    for _ in range(2):
        rollups.recompute(
            pipeline.store, ["shop", "someone else"], [*minutes, datetime(2024, 1, 1, tzinfo=UTC)]
        )
        after = [
            pipeline.rows(f"SELECT * EXCEPT version FROM {table} FINAL ORDER BY ALL") for table in TABLES
        ]
        assert after == before


def test_a_label_set_that_is_gone_becomes_zero(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    pipeline.send(request([chat_span(1, start_ns), chat_span(2, start_ns, model="gpt-4o")]))
    pipeline.store.command("UPDATE spans SET duplicate_of = 'x' WHERE request_model = 'gpt-4o'")
    minute = datetime.fromtimestamp(start_ns // 10**9, UTC)
    for _ in range(2):
        rollups.recompute(pipeline.store, ["shop"], [minute])
        assert_rollups_are_right(pipeline)
        assert pipeline.rows("SELECT model, calls FROM calls_per_minute FINAL ORDER BY model") == [
            ("gpt-4o", 0),
            ("gpt-4o-mini", 1),
        ]
    pipeline.store.command("UPDATE spans SET duplicate_of = '' WHERE request_model = 'gpt-4o'")
    rollups.recompute(pipeline.store, ["shop"], [minute])
    assert_rollups_are_right(pipeline)
    assert pipeline.value("SELECT sum(calls) FROM calls_per_hour FINAL") == 2


def test_other_projects_and_minutes_are_left_alone(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    for project in ("left", "right"):
        pipeline.send(request([chat_span(1, start_ns), chat_span(2, start_ns + MINUTE_NS)]), project=project)
    pipeline.store.command("TRUNCATE TABLE spans")
    minute = datetime.fromtimestamp(start_ns // 10**9, UTC)
    rollups.recompute(pipeline.store, ["left"], [minute])
    found = pipeline.rows("SELECT project, time, calls FROM calls_per_minute FINAL ORDER BY ALL")
    assert [(project, calls) for project, _, calls in found] == [
        ("left", 0),
        ("left", 1),
        ("right", 1),
        ("right", 1),
    ]
    assert found[0][1] == minute


def test_a_duplicate_that_comes_later_in_the_next_minute_corrects_both(pipeline: Pipeline) -> None:
    """The wrapper's span starts at the end of a minute, the library's own at the start of the next."""
    start_ns = hour_ago_ns() + MINUTE_NS - 1000
    wrapper = chat_span(1, start_ns, gen_ai__response__id="r")
    own = chat_span(2, start_ns + 2000, gen_ai__response__id="r", gen_ai__usage__reasoning__output_tokens=3)
    own.trace_id, own.parent_span_id = wrapper.trace_id, wrapper.span_id
    pipeline.send(request([wrapper], scope="opentelemetry.instrumentation.genai.anthropic"))
    assert pipeline.value("SELECT sum(calls) FROM calls_per_minute FINAL") == 1
    pipeline.send(request([own], scope="com.anthropic.sdk.python"))

    assert pipeline.rows("SELECT count(), countIf(duplicate_of = '') FROM spans") == [(2, 1)]
    assert_rollups_are_right(pipeline)
    assert pipeline.value("SELECT sum(calls) FROM calls_per_hour FINAL") == 1


def test_an_error_nobody_thought_of_does_not_end_the_thread(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup_worker, "_RETRY_S", 0.01)
    failures = []

    def fail(limit: int) -> None:
        failures.append(limit)
        raise sqlite3.OperationalError("disk I/O error")

    pipeline.put(request([chat_span(1, hour_ago_ns())]))
    pipeline.flusher.flush_oldest()
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.inbox, "touched_minutes", fail)
        pipeline.rollups.start()
        wait_for(lambda: len(failures) > 1)
    try:
        wait_for(lambda: not pipeline.inbox.touched_minutes(1).minutes)
    finally:
        pipeline.rollups.stop()
    assert_rollups_are_right(pipeline)


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("duration_ns", [0, 1, 10**6, 10**6 + 1, 7 * 86_400 * 10**9])
def test_durations_fall_in_a_bucket_whatever_they_are(pipeline: Pipeline, duration_ns: int) -> None:
    sent = chat_span(1, hour_ago_ns())
    sent.end_time_unix_nano = sent.start_time_unix_nano + duration_ns
    pipeline.send(request([sent]))
    rows = pipeline.rows(
        "SELECT arraySum(latency_buckets), indexOf(latency_buckets, 1) FROM calls_per_minute FINAL"
    )
    ((total, bucket),) = rows
    assert total == 1
    assert isinstance(bucket, int)
    duration_ms = timedelta(microseconds=duration_ns / 1000) / timedelta(milliseconds=1)
    assert bucket in (1, 128) or 2 ** ((bucket - 1) / 6) <= duration_ms < 2 ** (bucket / 6)
