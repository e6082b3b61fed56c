"""`gnomon.feedback`: what is sent, about what, and what is refused."""

import re
import uuid
from typing import Any

import pytest
from tests.sdk.collector_double import Answer, CollectorDouble
from tests.sdk.conftest import Start

import gnomon
from gnomon import testing

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"


def test_feedback_about_the_current_span(collector: CollectorDouble, start: Start) -> None:
    start(api_key="k")
    with gnomon.session(session="s1"), gnomon.span("answer") as span:
        score_id = gnomon.feedback(True, comment="спасибо", label="helpful", author="user-7")
    assert gnomon.flush()
    (score,) = collector.scores
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", score.pop("created_at"))
    assert score == {
        "score_id": score_id,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "session_id": "s1",
        "name": "user_feedback",
        "value": 1.0,
        "label": "helpful",
        "comment": "спасибо",
        "source": "user",
        "author": "user-7",
    }
    assert uuid.UUID(score_id)
    headers = next(request.headers for request in collector.requests if request.path == "/v1/feedback")
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer k", "application/json")
    assert gnomon.stats().exported_scores == 1


def scores_of(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    with testing.capture() as captured:
        for arguments in calls:
            gnomon.feedback(**arguments)
    return [dict(score) for score in captured.scores]


@pytest.mark.parametrize(("value", "sent"), [(True, 1.0), (False, 0.0), (0.25, 0.25), (1, 1.0), (None, None)])
def test_values(value: Any, sent: float | None) -> None:
    (score,) = scores_of({"value": value, "trace_id": TRACE_ID})
    assert score["value"] == sent


def test_ids_as_text_or_number() -> None:
    text, number, session = scores_of(
        {"trace_id": TRACE_ID.upper(), "span_id": SPAN_ID, "score_id": "mine"},
        {"trace_id": int(TRACE_ID, 16), "span_id": int(SPAN_ID, 16)},
        {"session_id": "s1", "value": 0},
    )
    assert (text["trace_id"], text["span_id"], text["score_id"]) == (TRACE_ID, SPAN_ID, "mine")
    assert (number["trace_id"], number["span_id"]) == (TRACE_ID, SPAN_ID)
    assert (session["trace_id"], session["span_id"], session["session_id"]) == (None, None, "s1")


def test_a_given_trace_is_not_mixed_with_the_current_span() -> None:
    with testing.capture() as captured, gnomon.session(session="now"), gnomon.span("now"):
        gnomon.feedback(False, trace_id=TRACE_ID)
    (score,) = captured.scores
    assert (score["trace_id"], score["span_id"], score["session_id"]) == (TRACE_ID, None, None)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"value": 5, "trace_id": TRACE_ID}, "between 0 .bad. and 1 .good."),
        ({"value": float("nan"), "trace_id": TRACE_ID}, "between 0"),
        ({"trace_id": "xyz"}, "32 hex digits"),
        ({"trace_id": TRACE_ID, "span_id": "0" * 16}, "16 hex digits"),
    ],
)
def test_nonsense_raises_under_test_and_is_logged_in_production(
    arguments: dict[str, Any], complaint: str, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with testing.capture(), pytest.raises(ValueError, match=complaint):
        gnomon.feedback(**arguments)
    start()
    assert gnomon.feedback(**arguments)
    assert re.search(complaint, caplog.text)
    assert gnomon.stats().queued_spans == 0


def test_without_a_target_it_is_dropped_with_a_count(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    start()
    gnomon.feedback(True)
    assert gnomon.stats().dropped == {"no_target": 1}
    assert "pass trace_id= or session_id=" in caplog.text


def test_before_init_it_says_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    assert gnomon.feedback(True, trace_id=TRACE_ID)
    assert "call gnomon.init() first" in caplog.text


def test_a_retry_carries_the_same_score_id(collector: CollectorDouble, start: Start) -> None:
    collector.script.append(Answer(503))
    start()
    score_id = gnomon.feedback(True, trace_id=TRACE_ID)
    assert gnomon.flush(timeout_s=8.0)
    assert [score["score_id"] for score in collector.scores] == [score_id]
    assert collector.requests[0].body == collector.requests[1].body
