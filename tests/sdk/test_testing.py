"""`gnomon.testing`: what users write their own tests with."""

import pytest
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon
from gnomon import testing


def test_capture_takes_the_place_of_the_collector(collector: CollectorDouble, start: Start) -> None:
    start()
    with testing.capture(capture_content="none") as captured:
        with gnomon.span("inside"):
            gnomon.feedback(True)
        assert gnomon.stats().queued_spans == 2
        assert gnomon.flush()
    assert [span.name for span in captured.spans] == ["inside"]
    assert captured.scores[0]["value"] == 1.0
    assert collector.requests == []


def test_span_asks_for_exactly_one() -> None:
    with testing.capture() as captured:
        for _ in range(2):
            with gnomon.span("twice"):
                pass
    with pytest.raises(AssertionError, match="2 spans are named 'twice'"):
        captured.span("twice")
    with pytest.raises(AssertionError, match="0 spans are named 'never'; there are"):
        captured.span("never")


def test_unusable_settings_raise() -> None:
    with pytest.raises(ValueError, match="queue_bytes"), testing.capture(queue_bytes="many"):
        pass


def test_raising_ends_with_the_block() -> None:
    with testing.capture():
        pass
    assert gnomon.feedback(7, trace_id="1" * 32)


def record_two() -> list[tuple[object, ...]]:
    with testing.capture(fixed=True) as captured, gnomon.span("outer") as outer, gnomon.span("inner"):
        assert outer.trace_id == f"{1:032x}"
    return [(s.name, s.context and s.context.span_id, s.start_time, s.end_time) for s in captured.spans]


def test_fixed_spans_are_the_same_in_every_run() -> None:
    first = record_two()
    assert first == record_two()
    assert first[0] == ("inner", 2, 1767225600001000000, 1767225600002000000)
    with testing.capture(), gnomon.span("random again") as span:
        assert span.trace_id is not None and span.trace_id != f"{1:032x}"


pytest_plugins = ["gnomon.pytest_plugin"]


def test_the_fixture_captures(gnomon_captured: testing.Captured) -> None:
    with gnomon.span("seen"):
        pass
    assert gnomon_captured.span("seen").start_time == 1767225600000000000
