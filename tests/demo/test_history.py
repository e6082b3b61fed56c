"""The simulated history: valid OTLP, and the story it is to tell."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import mean, median

import pytest

from gnomon_collector.demo.history import (
    SimulatedTrace,
    history_feedback,
    history_requests,
    history_traces,
)
from gnomon_collector.demo.otlp import SPANS_PER_REQUEST, SpanDraft
from gnomon_collector.demo.timeline import INCIDENT_LENGTH, Timeline, conversations_per_hour

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
DAYS = 7


@pytest.fixture(scope="module")
def traces() -> list[SimulatedTrace]:
    return list(history_traces(now=NOW, days=DAYS, seed=1))


@pytest.fixture(scope="module")
def timeline() -> Timeline:
    return Timeline.until(NOW, DAYS)


def drafts(traces: list[SimulatedTrace]) -> Iterator[SpanDraft]:
    return (span for trace in traces for span in trace.spans)


def began(span: SpanDraft) -> datetime:
    return datetime.fromtimestamp(span.start_ns / 1e9, UTC)


def chats(traces: list[SimulatedTrace]) -> list[SpanDraft]:
    return [span for span in drafts(traces) if span.name.startswith("chat ")]


def test_as_many_spans_as_a_week_of_a_small_service(traces: list[SimulatedTrace]) -> None:
    assert 15_000 <= sum(1 for _ in drafts(traces)) <= 32_000


def test_ids_are_unique_and_of_the_right_length(traces: list[SimulatedTrace]) -> None:
    spans = list(drafts(traces))
    assert {len(span.trace_id) for span in spans} == {16}
    assert {len(span.span_id) for span in spans} == {8}
    assert len({span.span_id for span in spans}) == len(spans)
    assert len({trace.spans[0].trace_id for trace in traces}) == len(traces)


def test_every_trace_has_one_root_and_parents_inside_it(traces: list[SimulatedTrace]) -> None:
    for trace in traces:
        by_id = {span.span_id: span for span in trace.spans}
        assert len({span.trace_id for span in trace.spans}) == 1
        assert sum(not span.parent_id for span in trace.spans) == 1
        for span in trace.spans:
            if span.parent_id:
                parent = by_id[span.parent_id]
                assert parent.start_ns <= span.start_ns <= span.end_ns <= parent.end_ns


def test_times_lie_within_the_window(traces: list[SimulatedTrace]) -> None:
    begins_ns = (NOW - timedelta(days=DAYS + 1)).timestamp() * 1e9
    assert all(begins_ns < span.start_ns < span.end_ns for span in drafts(traces))
    latest = max(span.end_ns for span in drafts(traces)) / 1e9
    assert NOW - timedelta(minutes=15) < datetime.fromtimestamp(latest, UTC) <= NOW


def test_response_ids_are_unique(traces: list[SimulatedTrace]) -> None:
    ids = [span.attributes["gen_ai.response.id"] for span in chats(traces) if not span.error_message]
    assert len(ids) > 5000
    assert len(set(ids)) == len(ids)


def test_incident_shows_in_failures_and_latency(traces: list[SimulatedTrace], timeline: Timeline) -> None:
    calls = chats(traces)
    inside = [span for span in calls if timeline.in_incident(began(span))]
    outside = [span for span in calls if not timeline.in_incident(began(span))]
    assert timeline.incident_begins.date() == (NOW - timedelta(days=2)).date()
    assert timedelta(minutes=40) == INCIDENT_LENGTH
    assert len(inside) > 40

    def failed_share(spans: list[SpanDraft]) -> float:
        return mean(span.error_message is not None for span in spans)

    def median_s(spans: list[SpanDraft]) -> float:
        answered = (span for span in spans if span.error_message is None)
        return median((span.end_ns - span.start_ns) / 1e9 for span in answered)

    assert failed_share(outside) < 0.03 < 0.35 < failed_share(inside)
    assert median_s(inside) > 3 * median_s(outside)


def test_prompt_and_model_change_midway(traces: list[SimulatedTrace], timeline: Timeline) -> None:
    def used(key: str, begin: datetime, end: datetime) -> set[object]:
        calls = (span for span in chats(traces) if begin <= began(span) < end)
        return {span.attributes[key] for span in calls if key in span.attributes}

    hour = timedelta(hours=1)
    first, last = timeline.begins, NOW + hour
    assert first < timeline.released_at < timeline.model_changed_at < NOW
    assert used("gen_ai.prompt.version", first, timeline.released_at) == {"v3"}
    assert used("gen_ai.prompt.version", timeline.released_at + hour, timeline.reworded_at) == {"v4"}
    assert used("gen_ai.prompt.version", timeline.reworded_at + hour, last) == {"v5"}
    assert "gpt-4o-mini" in used("gen_ai.request.model", first, timeline.model_changed_at)
    after = used("gen_ai.request.model", timeline.model_changed_at + hour, last)
    assert "gpt-4.1-mini" in after and "gpt-4o-mini" not in after


def test_traffic_follows_day_and_week(traces: list[SimulatedTrace]) -> None:
    starts = [began(trace.spans[0]) for trace in traces]
    by_hour = Counter(start.hour for start in starts)
    assert by_hour[14] > 4 * by_hour[2]
    by_weekday = Counter(start.weekday() for start in starts)
    assert by_weekday[1] > 1.3 * max(by_weekday[5], by_weekday[6])
    saturday = datetime(2026, 11, 14, 14, tzinfo=UTC)
    assert conversations_per_hour(saturday) < conversations_per_hour(saturday - timedelta(days=1))


def test_rag_traces_have_their_children_in_order(traces: list[SimulatedTrace]) -> None:
    answered = [
        trace
        for trace in traces
        if trace.spans[-1].name == "answer_question" and trace.spans[-1].error_message is None
    ]
    missed = [trace for trace in answered if "find_pages" in {span.name for span in trace.spans}]
    assert 0.75 < len(missed) / len(answered) < 0.95
    usual = [trace for trace in missed if len(trace.spans) == 5]
    assert len(usual) > 0.9 * len(missed)
    for trace in usual:
        names = [span.name.split()[0] for span in trace.spans]
        assert names == ["embeddings", "answer_cache", "find_pages", "chat", "answer_question"]


def test_failed_calls_are_tried_again_and_fall_back(traces: list[SimulatedTrace]) -> None:
    spans = list(drafts(traces))
    assert all(span.attributes["gnomon.attempt"] == 2 for span in spans if span.name == "try_again")
    fallbacks = [span for span in spans if span.name == "fall_back"]
    assert fallbacks
    assert {span.attributes["gnomon.fallback.of"] for span in fallbacks} <= {"gpt-4o-mini", "gpt-4.1-mini"}
    assert all(str(span.attributes["gnomon.fallback.reason"]).startswith("openai.") for span in fallbacks)


def test_sessions_users_and_companies(traces: list[SimulatedTrace]) -> None:
    roots = [trace.spans[-1] for trace in traces if trace.spans[-1].name != "index_pages"]
    sessions = Counter(root.attributes["gen_ai.conversation.id"] for root in roots)
    users = {root.attributes["user.id"] for root in roots}
    company_of = {(root.attributes["user.id"], root.attributes["gnomon.company.id"]) for root in roots}
    assert len(users) > 20 and len(company_of) == len(users)
    assert 1.5 < len(roots) / len(sessions) < 3


def test_requests_are_valid_and_marked_as_simulated() -> None:
    requests = list(islice(history_requests(now=NOW, days=2, seed=1), 4))
    for request in requests:
        spans = [
            span
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        assert 1 <= len(spans) <= SPANS_PER_REQUEST
        assert len(request.SerializeToString()) < 2_000_000
        for resource in request.resource_spans:
            marks = {pair.key: pair.value for pair in resource.resource.attributes}
            assert marks["gnomon.simulated"].bool_value is True
            assert marks["service.name"].string_value == "shop-assistant"
    assert len(requests) == 4


def test_same_day_same_story_another_seed_another(timeline: Timeline) -> None:
    def ids(now: datetime, seed: int) -> list[bytes]:
        return [trace.spans[0].trace_id for trace in history_traces(now=now, days=1, seed=seed)]

    earlier = ids(NOW - timedelta(hours=3), 1)
    assert ids(NOW, 1)[: len(earlier)] == earlier
    assert not set(earlier) & set(ids(NOW, 2))
    assert not set(earlier) & set(ids(NOW + timedelta(days=1), 1))


def test_scores_belong_to_traces_and_have_happened(traces: list[SimulatedTrace]) -> None:
    scores = list(history_feedback(now=NOW, days=DAYS, seed=1))
    ids = {trace.spans[0].trace_id.hex() for trace in traces}
    assert len(scores) > 400
    assert len({score["score_id"] for score in scores}) == len(scores)
    assert {str(score["trace_id"]) for score in scores} <= ids
    assert all(datetime.fromisoformat(str(score["created_at"])) <= NOW for score in scores)
    assert {(score["name"], score["source"]) for score in scores} == {
        ("user_feedback", "user"),
        ("correctness", "human"),
    }
    keys = "score_id trace_id span_id session_id name value label comment source author created_at"
    assert {tuple(score) for score in scores} == {tuple(keys.split())}


def test_new_prompt_is_liked_better(traces: list[SimulatedTrace], timeline: Timeline) -> None:
    def liked(begin: datetime, end: datetime) -> float:
        values = [
            score["value"]
            for trace in traces
            if begin <= began(trace.spans[0]) < end and not timeline.in_incident(began(trace.spans[0]))
            for score in trace.scores
            if score["name"] == "user_feedback"
        ]
        return mean(float(str(value)) for value in values)

    assert liked(timeline.begins, timeline.released_at) + 0.05 < liked(timeline.released_at, NOW)


@pytest.mark.parametrize(("now", "days"), [(NOW, 0), (NOW.replace(tzinfo=None), 3)])
def test_senseless_windows_are_refused(now: datetime, days: int) -> None:
    with pytest.raises(ValueError, match="history"):
        next(history_requests(now=now, days=days, seed=1))
