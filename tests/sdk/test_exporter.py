"""Export: batched, bounded, retried, split, never traced, and over in time."""

import http.client
import logging
import random
import threading
import time
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from tests.sdk.collector_double import (
    Answer,
    CollectorDouble,
    dead_collector,
    hanging_collector,
    partial_success,
    run_collector,
)
from tests.sdk.conftest import Start

import gnomon


def record(count: int, text: str = "", prefix: str = "work") -> list[str]:
    names = [f"{prefix} {index}" for index in range(count)]
    for name in names:
        with gnomon.span(name, attributes={"gen_ai.output.messages": text}):
            pass
    return names


def names_of(collector: CollectorDouble) -> list[str]:
    return sorted(span.name for span in collector.spans)


def test_spans_that_end_together_leave_together(collector: CollectorDouble, start: Start) -> None:
    start(api_key="k")
    names = record(100)
    assert gnomon.flush()
    assert names_of(collector) == sorted(names)
    assert len(collector.requests) <= 2
    stats = gnomon.stats()
    assert (stats.exported_spans, stats.queued_spans, stats.queued_bytes, stats.dropped_total) == (
        100,
        0,
        0,
        0,
    )


def test_spans_leave_by_themselves_after_the_interval(collector: CollectorDouble, start: Start) -> None:
    start()
    record(3)
    assert len(collector.wait_for_spans(3, timeout_s=5.0)) == 3


def test_bodies_are_gzipped_unless_switched_off(collector: CollectorDouble, start: Start) -> None:
    start(compression="gzip")
    record(20, "x" * 200)
    gnomon.flush()
    assert collector.requests[0].headers["Content-Encoding"] == "gzip"
    for compression in ("none", "auto"):  # the collector of this test is on the same machine
        gnomon.shutdown()
        start(compression=compression)
        record(20, "x" * 200)
        gnomon.flush()
        assert "Content-Encoding" not in collector.requests[-1].headers


def test_a_503_with_retry_after_is_waited_for_and_nothing_is_lost(
    collector: CollectorDouble, start: Start
) -> None:
    collector.script.append(Answer(503, {"Retry-After": "1"}))
    start()
    names = record(10)
    assert gnomon.flush(timeout_s=8.0)
    assert names_of(collector) == sorted(names)
    first, second = collector.requests
    assert second.at_s - first.at_s >= 1.0
    # Byte for byte the same, so that the collector can tell a retry.
    assert first.body == second.body
    assert (gnomon.stats().retries, gnomon.stats().dropped_total) == (1, 0)


@pytest.mark.parametrize("status", [429, 502, 504])
def test_other_retryable_answers(status: int, collector: CollectorDouble, start: Start) -> None:
    collector.script.append(Answer(status))
    start()
    names = record(2)
    assert gnomon.flush(timeout_s=8.0)
    assert names_of(collector) == sorted(names)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "same version"),
        (401, "check GNOMON_API_KEY"),
        (403, "ingest scope"),
        (404, "check GNOMON_ENDPOINT"),
        (413, "GNOMON_MAX_EXPORT_BYTES"),
        (500, "answered 500"),
    ],
)
def test_final_answers_drop_with_a_count_and_one_warning(
    status: int, advice: str, collector: CollectorDouble, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    collector.always = Answer(status)
    start(api_key="s3cret-key")
    for round_number in range(3):
        record(2, prefix=f"round {round_number}")
        assert gnomon.flush()
    warnings = [entry for entry in caplog.records if entry.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert advice in warnings[0].getMessage()
    assert "s3cret-key" not in caplog.text
    assert gnomon.stats().dropped == {f"http_{status}": 6}
    assert len(collector.requests) == 3


def test_a_413_is_answered_with_smaller_requests(collector: CollectorDouble, start: Start) -> None:
    collector.script.append(Answer(413))
    start()
    names = record(20, random.Random(1).randbytes(20_000).hex())
    assert gnomon.flush()
    assert names_of(collector) == sorted(names)
    assert len(collector.requests) >= 3
    assert gnomon.stats().dropped_total == 0


def test_what_a_partial_success_rejects_is_counted(collector: CollectorDouble, start: Start) -> None:
    collector.script.append(Answer(200, {}, partial_success(2)))
    start()
    record(5)
    assert gnomon.flush()
    stats = gnomon.stats()
    assert (stats.exported_spans, stats.dropped) == (3, {"rejected": 2})
    assert "rejected 2 spans" in (stats.last_error or "")


def test_a_large_answer_is_not_read_whole(collector: CollectorDouble, start: Start) -> None:
    collector.script.append(Answer(200, {}, b"\xff" * 5_000_000))
    start()
    record(1)
    assert gnomon.flush()
    record(1, prefix="next")
    assert gnomon.flush()
    assert names_of(collector) == ["next 0", "work 0"]


def test_512_spans_of_200_kb_are_split_by_bytes_and_none_is_lost(
    collector: CollectorDouble, start: Start
) -> None:
    start(queue_bytes=200_000_000, max_value_chars=200_000)
    text = random.Random(2).randbytes(100_000).hex()
    names = record(512, text)
    assert gnomon.flush(timeout_s=60.0)
    assert names_of(collector) == sorted(names)
    assert max(len(request.body) for request in collector.requests) <= 4_000_000
    assert len(collector.requests) >= 26


def test_a_span_larger_than_a_request_is_cut_and_marked(collector: CollectorDouble, start: Start) -> None:
    start(max_export_bytes=100_000, max_value_chars=10**7)
    with gnomon.span("huge") as span:
        span.set_attribute("gen_ai.input.messages", "я" * 1_000_000)
        span.set_attribute("gen_ai.request.model", "m")
    assert gnomon.flush()
    attributes = collector.span("huge").attributes
    assert attributes["gnomon.truncated"] is True
    assert attributes["gen_ai.request.model"] == "m"
    assert len(collector.requests[0].body) <= 100_000


def test_values_protobuf_cannot_hold_take_nothing_along(collector: CollectorDouble, start: Start) -> None:
    start()
    with trace.get_tracer("t").start_as_current_span("lone \ud800 surrogate") as span:
        span.set_attribute("gen_ai.input.messages", "before \ud800 after")
        span.set_attribute("gen_ai.usage.input_tokens", 2**70)
        span.set_attribute("gen_ai.deep", {"a": ["\udfff", 2**64]})
        span.add_event("e", {"text": "\ud800"})
    record(1)
    assert gnomon.flush()
    odd = collector.span("lone ? surrogate")
    assert odd.attributes["gen_ai.input.messages"] == "before ? after"
    assert odd.attributes["gen_ai.usage.input_tokens"] == str(2**70)
    assert odd.attributes["gen_ai.deep"] == {"a": ["?", str(2**64)]}
    assert collector.span("work 0")


def test_the_queue_is_bounded_by_bytes(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    with hanging_collector() as url:
        start(endpoint=url, queue_bytes=1_000_000)
        record(200, "x" * 50_000)
        stats = gnomon.stats()
        assert stats.queued_bytes <= 1_000_000
        assert 15 <= stats.queued_spans <= 20
        assert stats.dropped == {"queue_full": 200 - stats.queued_spans}
        gnomon.shutdown(timeout_s=0.0)
    assert gnomon.stats().dropped_total == 200
    assert caplog.text.count("the queue is full") == 1


def test_the_queue_is_bounded_by_items(start: Start) -> None:
    with hanging_collector() as url:
        start(endpoint=url, queue_spans=10)
        record(25)
        stats = gnomon.stats()
        assert (stats.queued_spans, stats.dropped) == (10, {"queue_full": 15})


def test_recording_does_not_wait_for_a_hanging_collector(start: Start) -> None:
    with hanging_collector() as url:
        start(endpoint=url, queue_bytes=500_000)
        record(50)
        begin = time.perf_counter()
        record(500, "x" * 1_000)
        # 200 µs a span are allowed; a machine under load gets ten times that before this fails.
        assert time.perf_counter() - begin < 1.0


@pytest.mark.parametrize("state", [dead_collector, hanging_collector])
def test_shutdown_is_over_in_time(state: Any) -> None:
    with state() as url:
        gnomon.init("x", endpoint=url, instrument="none", export_interval_s=0.05)
        record(1_000, "x" * 1_000)
        time.sleep(0.3)
        begin = time.perf_counter()
        complete = gnomon.shutdown()
        assert time.perf_counter() - begin < 2.5
    assert complete is False
    assert gnomon.stats().dropped == {"shutdown": 1_000}
    assert gnomon.stats().queued_spans == 0


def test_a_dead_collector_does_not_hold_up_the_end(start: Start) -> None:
    with dead_collector() as url:
        start(endpoint=url)
        record(10)
        begin = time.perf_counter()
        gnomon.shutdown()
        assert time.perf_counter() - begin < 1.0


def test_shutdown_sends_what_is_left(collector: CollectorDouble, start: Start) -> None:
    start(export_interval_s=60.0)
    names = record(2_000)
    assert gnomon.shutdown()
    assert names_of(collector) == sorted(names)


def test_a_503_during_shutdown_is_still_tried_again(collector: CollectorDouble, start: Start) -> None:
    collector.script.append(Answer(503))
    start(export_interval_s=60.0)
    names = record(3)
    assert gnomon.shutdown(timeout_s=5.0)
    assert names_of(collector) == sorted(names)


def test_flush_gives_up_in_time_and_loses_nothing(collector: CollectorDouble, start: Start) -> None:
    collector.script.append(Answer(503, {"Retry-After": "1"}))
    start()
    names = record(1)
    begin = time.perf_counter()
    assert gnomon.flush(timeout_s=0.2) is False
    assert time.perf_counter() - begin < 0.7
    assert gnomon.flush(timeout_s=8.0)
    assert names_of(collector) == names


def test_a_collector_that_comes_back_gets_everything(caplog: pytest.LogCaptureFixture, start: Start) -> None:
    with dead_collector() as url:
        port = int(url.rpartition(":")[2])
    start(endpoint=f"http://127.0.0.1:{port}")
    names = record(5)
    assert gnomon.flush(timeout_s=0.3) is False
    assert "no answer from" in caplog.text
    with run_collector(port) as collector:
        assert gnomon.flush(timeout_s=8.0)
        assert names_of(collector) == sorted(names)


def test_a_connection_the_server_closed_is_opened_again(collector: CollectorDouble, start: Start) -> None:
    collector.always = Answer(200, {"Connection": "close"})
    start()
    record(1)
    assert gnomon.flush()
    record(1, prefix="next")
    assert gnomon.flush()
    assert names_of(collector) == ["next 0", "work 0"]
    assert gnomon.stats().errors == 0


def test_many_threads_lose_and_double_nothing(collector: CollectorDouble, start: Start) -> None:
    start(queue_bytes=10**9)
    threads = [threading.Thread(target=record, args=(200, "x", f"t{number}")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gnomon.flush(timeout_s=20.0)
    assert len(names_of(collector)) == len(set(names_of(collector))) == 1_600


def test_the_exporters_own_requests_are_not_traced(
    collector: CollectorDouble, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = http.client.HTTPConnection.request

    def instrumented(*args: Any, **kwargs: Any) -> None:
        # What an HTTP instrumentation does around every request of the process.
        if is_http_instrumentation_enabled():
            with trace.get_tracer("http").start_as_current_span("POST"):
                return request(*args, **kwargs)
        return request(*args, **kwargs)

    monkeypatch.setattr(http.client.HTTPConnection, "request", instrumented)
    start(export_all_spans=True)
    record(1)
    assert gnomon.flush()
    assert gnomon.flush()
    assert names_of(collector) == ["work 0"]


def test_what_was_lost_is_told_once_the_collector_takes_spans_again(
    collector: CollectorDouble, start: Start
) -> None:
    collector.script.append(Answer(400))
    start()
    for name in ("lost", "taken", "also taken"):
        with gnomon.span(name):
            pass
        assert gnomon.flush()
    report = next(span for span in collector.wait_for_spans(3) if span.name == "gnomon dropped")
    assert report.attributes == {
        "gnomon.span.kind": "event",
        "gnomon.dropped": 1,
        "gnomon.dropped.http_400": 1,
    }
    assert gnomon.flush()
    assert [span.name for span in collector.spans].count("gnomon dropped") == 1
