"""Judgements that come as telemetry, as scores: OpenTelemetry's evaluation events, Logfire's feedback. Pure.

A judgement may come twice, as OpenLIT sends it (a span event and a log record), and so may a request. The id
of a score is made of what it says, so it is one score all the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gnomon_collector.ingest.logs import content_hash

EVALUATION_EVENT: Final = "gen_ai.evaluation.result"
LOGFIRE_SCOPE: Final = "logfire.feedback"

_NAME: Final = "gen_ai.evaluation.name"
_VALUE: Final = "gen_ai.evaluation.score.value"
_LABEL: Final = "gen_ai.evaluation.score.label"
_EXPLANATION: Final = "gen_ai.evaluation.explanation"
_LOGFIRE_NAME: Final = "logfire.feedback.name"
_LOGFIRE_COMMENT: Final = "logfire.feedback.comment"
_MAX_NAME_CHARS: Final = 256
_MAX_COMMENT_CHARS: Final = 8192
_TRUTHS: Final[Mapping[str, float]] = {"true": 1.0, "false": 0.0}
_OF_USERS: Final = ("user", "feedback", "thumb")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Judged:
    """What is judged, by whom and when.

    Attributes:
        span_id: empty for the whole trace
        author: the scope that says so
        time_ns, received_at_ns: nanoseconds since 1970
    """

    project: str
    trace_id: str
    span_id: str
    author: str
    time_ns: int
    received_at_ns: int


def evaluation_score(judged: Judged, said: Mapping[str, str]) -> tuple[object, ...] | None:
    """Return the score of an event `EVALUATION_EVENT`, None when it judges nothing or says nothing.

    Returns:
        values in the order of `gnomon_collector.store.ingest.SCORE_COLUMNS`
    """
    verdict = (said.get(_VALUE, ""), said.get(_LABEL, ""), said.get(_EXPLANATION, ""))
    return _score(judged, said.get(_NAME, ""), *verdict)


def logfire_score(judged: Judged, said: Mapping[str, str]) -> tuple[object, ...] | None:
    """Return the score of a span of Logfire's feedback, whose value is an attribute named as the feedback is.

    Args:
        judged: the span's parent is what is judged.
        said: attributes of the feedback's span.
    """
    name = said.get(_LOGFIRE_NAME, "")
    return _score(judged, name, said.get(name, ""), "", said.get(_LOGFIRE_COMMENT, ""), source="user")


def _score(
    judged: Judged, name: str, value: str, label: str, comment: str, source: str = ""
) -> tuple[object, ...] | None:
    if not judged.trace_id or not (value or label or comment):
        return None
    number = _number(value)
    in_range = number is not None and 0 <= number <= 1
    kept_label = label or ("" if in_range else value)
    title = name[:_MAX_NAME_CHARS] or "evaluation"
    return (
        f"otel-{content_hash(judged.trace_id, judged.span_id, name, number, label, comment)}",
        judged.project,
        judged.trace_id,
        judged.span_id,
        "",
        title,
        number if in_range else None,
        kept_label[:_MAX_NAME_CHARS],
        comment[:_MAX_COMMENT_CHARS],
        source or _source(title),
        judged.author[:_MAX_NAME_CHARS],
        _time(judged.time_ns),
        _time(judged.received_at_ns),
    )


def _number(value: str) -> float | None:
    """Return a value as a number, rounded so that the same one reads the same however it was written."""
    try:
        number = _TRUTHS.get(value.lower()) if value.lower() in _TRUTHS else float(value)
    except ValueError:
        return None
    return round(number, 9) if number is not None and math.isfinite(number) else None


def _source(name: str) -> str:
    """People's feedback is told by its name alone; all else is some evaluator's."""
    return "user" if any(word in name.lower() for word in _OF_USERS) else "check"


def _time(time_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_ns // 1000)
