"""Senseless times are mended and flagged, and move neither the dashboard nor the partitions."""

from __future__ import annotations

import time

import pytest
from tests.ingest.payloads import DAY_NS, MINUTE_NS, SECOND_NS, chat_span, hour_ago_ns, request, span
from tests.ingest.pipeline import Pipeline

from gnomon_schemas.normalise import EARLIEST, MAX_DURATION_S, MAX_FUTURE_S

YEAR_NS = 365 * DAY_NS
IN_1960 = 2**64 - 10 * YEAR_NS  # a negative time, as an unsigned number


@pytest.mark.parametrize(
    "start_ns",
    [0, 1, IN_1960, 2**63 - 1, 2**63, 2**64 - 1, int(EARLIEST.timestamp()) * SECOND_NS - 1],
)
def test_a_start_far_from_now_becomes_the_time_of_receipt(pipeline: Pipeline, start_ns: int) -> None:
    _assert_start_clamped(pipeline, start_ns)


@pytest.mark.parametrize("ahead_ns", [(MAX_FUTURE_S + 1) * SECOND_NS, 10 * YEAR_NS])
def test_a_start_in_the_future_becomes_the_time_of_receipt(pipeline: Pipeline, ahead_ns: int) -> None:
    _assert_start_clamped(pipeline, time.time_ns() + ahead_ns)


def _assert_start_clamped(pipeline: Pipeline, start_ns: int) -> None:
    received_at_ns = time.time_ns()
    sent = chat_span(1, 0)
    sent.start_time_unix_nano, sent.end_time_unix_nano = start_ns, min(start_ns + SECOND_NS, 2**64 - 1)
    pipeline.put(request([sent]), received_at_ns=received_at_ns)
    pipeline.flush()

    rows = pipeline.rows(
        "SELECT toUnixTimestamp64Nano(start_time), has(data_flags, 'start_time_clamped') FROM spans"
    )
    assert rows == [(received_at_ns, True)]
    minute = pipeline.value("SELECT toUnixTimestamp(time) FROM calls_per_minute FINAL WHERE calls = 1")
    assert minute == received_at_ns // MINUTE_NS * 60


@pytest.mark.parametrize("start_ns", [int(EARLIEST.timestamp()) * SECOND_NS, hour_ago_ns()])
def test_a_start_within_bounds_is_kept_to_the_nanosecond(pipeline: Pipeline, start_ns: int) -> None:
    pipeline.send(request([span(1, start_ns + 123_456_789)]))
    rows = pipeline.rows("SELECT toUnixTimestamp64Nano(start_time), duration_ns, data_flags FROM spans")
    assert rows == [(start_ns + 123_456_789, 5_000_000, [])]


def test_a_clock_a_little_ahead_is_believed(pipeline: Pipeline) -> None:
    start_ns = time.time_ns() + (MAX_FUTURE_S - 60) * SECOND_NS
    pipeline.send(request([span(1, start_ns)]))
    assert pipeline.rows("SELECT toUnixTimestamp64Nano(start_time), data_flags FROM spans") == [
        (start_ns, [])
    ]


@pytest.mark.parametrize(
    "end_after_ns", [-1, -SECOND_NS, -hour_ago_ns(), MAX_DURATION_S * SECOND_NS + 1, YEAR_NS]
)
def test_an_end_before_the_start_or_weeks_after_it_is_no_duration(
    pipeline: Pipeline, end_after_ns: int
) -> None:
    start_ns = hour_ago_ns()
    pipeline.send(request([span(1, start_ns, end_time_unix_nano=start_ns + end_after_ns)]))
    rows = pipeline.rows("SELECT toUnixTimestamp64Nano(start_time), duration_ns, data_flags FROM spans")
    assert rows == [(start_ns, 0, ["duration_clamped"])]


@pytest.mark.parametrize("duration_ns", [0, 1, MAX_DURATION_S * SECOND_NS])
def test_a_duration_within_bounds_is_kept(pipeline: Pipeline, duration_ns: int) -> None:
    start_ns = hour_ago_ns()
    pipeline.send(request([span(1, start_ns, end_time_unix_nano=start_ns + duration_ns)]))
    assert pipeline.rows("SELECT duration_ns, data_flags FROM spans") == [(duration_ns, [])]


def test_a_span_that_has_not_ended_is_of_unknown_status(pipeline: Pipeline) -> None:
    pipeline.send(request([span(1, hour_ago_ns(), end_time_unix_nano=0)]))
    assert pipeline.rows("SELECT status, duration_ns FROM spans") == [("unknown", 0)]


def test_hundreds_of_days_in_one_request(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    sent = [chat_span(day, start_ns - day * DAY_NS) for day in range(110)]
    pipeline.send(request(sent), request([chat_span(999, start_ns)]))

    assert pipeline.value("SELECT count() FROM calls") == 111
    assert pipeline.value("SELECT uniqExact(toDate(start_time)) FROM spans") == 110
    assert pipeline.value("SELECT sum(calls) FROM calls_per_hour FINAL") == 111
    assert pipeline.flusher.stats.failures == 0
    assert pipeline.inbox.quarantined() == 0


def test_a_request_of_which_every_span_is_in_a_minute_of_its_own(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    pipeline.send(request(chat_span(minute, start_ns - minute * MINUTE_NS) for minute in range(3000)))
    rows = pipeline.rows("SELECT count(), sum(calls), sum(input_tokens) FROM calls_per_minute FINAL")
    assert rows == [(3000, 3000, 300_000)]


@pytest.mark.parametrize("start_ns", [0, 2**63])
def test_a_span_of_senseless_time_sent_again_is_stored_once(pipeline: Pipeline, start_ns: int) -> None:
    pipeline.send(request([chat_span(1, start_ns), chat_span(2, start_ns), chat_span(2, hour_ago_ns())]))
    for _ in range(2):
        pipeline.send(request([chat_span(1, start_ns)]), request([chat_span(1, start_ns)]))
    pipeline.send(request([chat_span(1, start_ns)]), project="another")

    rows = pipeline.rows("SELECT project, count() FROM spans GROUP BY project ORDER BY project")
    assert rows == [("another", 1), ("shop", 3)]
    assert pipeline.value("SELECT sum(calls) FROM calls_per_minute FINAL WHERE project = 'shop'") == 3


def test_spans_of_senseless_time_in_one_batch_are_stored_once(pipeline: Pipeline) -> None:
    for number in range(3):
        pipeline.put(request([chat_span(1, 0), chat_span(2, number)]), received_at_ns=time.time_ns() + number)
    pipeline.flush()
    assert pipeline.rows("SELECT span_id, count() FROM spans GROUP BY span_id ORDER BY span_id") == [
        (f"{number:016x}", 1) for number in (2, 3)
    ]


def test_a_span_of_days_ago_sent_again_is_stored_once(pipeline: Pipeline) -> None:
    body = request([chat_span(1, hour_ago_ns() - 2 * DAY_NS)])
    for _ in range(2):
        pipeline.send(body)
    assert pipeline.value("SELECT count() FROM spans") == 1
    assert pipeline.value("SELECT sum(calls) FROM calls_per_hour FINAL") == 1


def test_event_times_at_the_ends_of_the_scale(pipeline: Pipeline) -> None:
    sent = span(1, hour_ago_ns())
    for time_ns in (0, 2**63 - 1, 2**64 - 1):
        sent.events.add(time_unix_nano=time_ns, name="e")
    pipeline.send(request([sent]))
    rows = pipeline.rows("SELECT arrayMap(t -> toUnixTimestamp64Nano(t), events.time) FROM spans")
    assert rows == [([0, 2**63 - 1, 2**63 - 1],)]
