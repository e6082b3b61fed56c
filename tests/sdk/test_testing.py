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
