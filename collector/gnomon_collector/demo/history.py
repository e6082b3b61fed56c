"""Several days of telemetry of a service that never ran, so that the demo's charts are full at once.

Pure: the same day, number of days and seed give the same spans and scores, and nothing is sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gnomon_collector.demo.conversation import draw_question
from gnomon_collector.demo.otlp import Service, SpanDraft, Value, export_requests
from gnomon_collector.demo.phrases import TOPICS
from gnomon_collector.demo.recorder import Recorder, SimulatedError
from gnomon_collector.demo.scenarios import SCENARIOS, Turn, index_pages
from gnomon_collector.demo.shop import (
    COMPLAINTS,
    LIKED_SHARE,
    PRAISE,
    RATED_SHARE,
    SERVICE_NAME,
    Visitor,
    draw_visitor,
)
from gnomon_collector.demo.timeline import Conditions, Timeline, draw_starts
from gnomon_schemas import attributes as names

Score = dict[str, object]

_ANOTHER_TURN: Final = 0.52
_STAGING_SHARE: Final = 0.05
_REVIEWED_SHARE: Final = 0.03
_INDEXING_HOUR: Final = 3
_REVIEWERS: Final = ("anna", "jonas", "mira")


@dataclass(frozen=True, slots=True)
class SimulatedTrace:
    """The spans of one trace, who made them, and the scores it was given."""

    service: Service
    spans: list[SpanDraft]
    scores: list[Score]

    @property
    def ends_ns(self) -> int:
        return max(span.end_ns for span in self.spans)


def history_requests(*, now: datetime, days: int, seed: int) -> Iterator[ExportTraceServiceRequest]:
    """The spans of the `days` days before `now` as export requests of at most 500 spans.

    Every resource has `gnomon.simulated` = true. Hangs on the date of `now`: asked again on the same
    day, the same spans come with the same ids, so that sending them again adds nothing.

    Args:
        now: aware; no span ends after it.
        days: whole days before the day of `now`, at least 1.
        seed: decides everything that is drawn.

    Raises:
        ValueError: `days` is below 1, or `now` has no time zone.
    """
    traces = history_traces(now=now, days=days, seed=seed)
    return export_requests((trace.service, span) for trace in traces for span in trace.spans)


def history_feedback(*, now: datetime, days: int, seed: int) -> Iterator[Score]:
    """The scores of the traces that `history_requests` gives, as bodies of `POST /v1/feedback`."""
    for trace in history_traces(now=now, days=days, seed=seed):
        # A reviewer may take hours: what is later than now has not happened yet.
        yield from (
            score for score in trace.scores if datetime.fromisoformat(str(score["created_at"])) <= now
        )


def history_traces(*, now: datetime, days: int, seed: int) -> Iterator[SimulatedTrace]:
    """The traces of the history, hour by hour; arguments as of `history_requests`."""
    timeline = Timeline.until(now, days)
    ends_ns = round(timeline.ends.timestamp() * 1e9)
    hour = timeline.begins
    while hour < timeline.ends:
        rng = Random(f"{seed}/{timeline.begins:%Y-%m-%d}/{days}/{hour:%Y-%m-%dT%H}")
        yield from (trace for trace in _hour(timeline, hour, rng) if trace.ends_ns <= ends_ns)
        hour += timedelta(hours=1)


def _hour(timeline: Timeline, hour: datetime, rng: Random) -> Iterator[SimulatedTrace]:
    if hour.hour == _INDEXING_HOUR:
        yield _indexing(timeline, hour, rng)
    for start in draw_starts(hour, rng):
        yield from _conversation(timeline, start, rng)


def _indexing(timeline: Timeline, start: datetime, rng: Random) -> SimulatedTrace:
    conditions = timeline.conditions(start)
    recorder = Recorder(rng, start, conditions, {})
    try:
        index_pages(recorder)
    except SimulatedError:
        # The job gives up; its failed span stays in the trace.
        pass
    return SimulatedTrace(_service(conditions, "production"), recorder.spans, [])


def _conversation(timeline: Timeline, start: datetime, rng: Random) -> Iterator[SimulatedTrace]:
    visitor = draw_visitor(rng)
    environment = "staging" if rng.random() < _STAGING_SHARE else "production"
    moment = start
    while True:
        trace = _turn(timeline.conditions(moment), moment, visitor, environment, rng)
        yield trace
        if rng.random() >= _ANOTHER_TURN:
            return
        answered_at = datetime.fromtimestamp(trace.ends_ns / 1e9, UTC)
        moment = answered_at + timedelta(seconds=rng.uniform(12, 90))


def _turn(
    conditions: Conditions, moment: datetime, visitor: Visitor, environment: str, rng: Random
) -> SimulatedTrace:
    stamp: dict[str, Value] = {
        names.USER_ID: visitor.user,
        names.COMPANY_ID: visitor.company,
        names.CONVERSATION_ID: visitor.session,
    }
    topic = rng.choice([topic for topic in TOPICS if topic.language == visitor.language])
    turn = Turn(draw_question(rng, topic), conditions.chat_model, conditions.prompt_version)
    recorder = Recorder(rng, moment, conditions, stamp)
    scenario = rng.choices(tuple(SCENARIOS), weights=tuple(SCENARIOS.values()))[0]
    try:
        scenario(recorder, turn)
        liked_share = LIKED_SHARE[turn.prompt_version]
    except SimulatedError:
        liked_share = 0.02
    scores = [*_ratings(recorder, visitor, liked_share), *_reviews(recorder, visitor, liked_share)]
    return SimulatedTrace(_service(conditions, environment), recorder.spans, scores)


def _service(conditions: Conditions, environment: str) -> Service:
    instance = Random(f"{conditions.release}/{environment}").randbytes(8).hex()
    return Service(SERVICE_NAME, conditions.release, environment, instance)


def _ratings(recorder: Recorder, visitor: Visitor, liked_share: float) -> Iterator[Score]:
    rng = recorder.rng
    if rng.random() < RATED_SHARE:
        liked = rng.random() < liked_share
        yield _score(
            recorder,
            visitor,
            name="user_feedback",
            value=float(liked),
            label="thumbs_up" if liked else "thumbs_down",
            comment=rng.choice(PRAISE if liked else COMPLAINTS),
            source="user",
            author=visitor.user,
            delay_s=rng.uniform(2, 40),
        )


def _reviews(recorder: Recorder, visitor: Visitor, liked_share: float) -> Iterator[Score]:
    rng = recorder.rng
    if rng.random() < _REVIEWED_SHARE:
        correct = rng.random() < min(1.0, liked_share + 0.08)
        yield _score(
            recorder,
            visitor,
            name="correctness",
            value=float(correct),
            label="correct" if correct else "wrong",
            comment="" if correct else "names a page that does not answer the question",
            source="human",
            author=rng.choice(_REVIEWERS),
            delay_s=rng.uniform(600, 7200),
        )


def _score(
    recorder: Recorder,
    visitor: Visitor,
    *,
    name: str,
    value: float,
    label: str,
    comment: str,
    source: str,
    author: str,
    delay_s: float,
) -> Score:
    created_at = recorder.now + timedelta(seconds=delay_s)
    return {
        "score_id": f"{name}-{recorder.trace_id.hex()}",
        "trace_id": recorder.trace_id.hex(),
        "span_id": None,
        "session_id": visitor.session,
        "name": name,
        "value": value,
        "label": label,
        "comment": comment or None,
        "source": source,
        "author": author,
        "created_at": created_at.isoformat(timespec="milliseconds"),
    }
