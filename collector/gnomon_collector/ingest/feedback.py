"""``POST /v1/feedback``: judgements of answers, by users, people or programs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from gnomon_collector.errors import BadRequest
from gnomon_schemas.normalise import EARLIEST, MAX_FUTURE_S

MAX_SCORES = 1000

TraceId = Annotated[str, Field(pattern=r"^([0-9a-fA-F]{32})?$")]
SpanId = Annotated[str, Field(pattern=r"^([0-9a-fA-F]{16})?$")]
ShortText = Annotated[str, Field(max_length=256)]


class Score(BaseModel):
    """One judgement of a span, a trace or a session.

    Attributes:
        score_id: the same id again replaces the earlier score; made up when missing
        value: 0 (bad) to 1 (good)
        correction: what the answer should have been; stored as a score of its own, named ``correction``
    """

    model_config = ConfigDict(extra="forbid")

    score_id: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        default_factory=lambda: str(uuid.uuid4())
    )
    trace_id: TraceId = ""
    span_id: SpanId = ""
    session_id: ShortText = ""
    name: Annotated[str, Field(min_length=1, max_length=256)] = "user_feedback"
    value: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = None
    label: ShortText = ""
    comment: Annotated[str, Field(max_length=8192)] = ""
    correction: Annotated[str, Field(max_length=8192)] = ""
    source: Literal["user", "human", "judge", "check"] = "user"
    author: ShortText = ""
    created_at: datetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_missing(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None}

    @model_validator(mode="after")
    def _says_something(self) -> Score:
        if not (self.trace_id or self.session_id):
            raise ValueError("trace_id or session_id must say what is judged")
        if self.value is None and not (self.label or self.comment or self.correction):
            raise ValueError("one of value, label, comment and correction must be there")
        return self


class Scores(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid")
    scores: Annotated[list[Score], Field(min_length=1, max_length=MAX_SCORES)]


def parse_scores(body: bytes) -> list[Score]:
    """Read a request body: ``{"scores": [...]}`` or one score.

    Raises:
        BadRequest: it is not JSON, or a score is wrong. The message says where; it quotes no value.
    """
    try:
        parsed = (Scores if _has_list(body) else Score).model_validate_json(body)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'body'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)[:5]
        )
        raise BadRequest(f"The body is not valid feedback: {problems}.") from None
    return parsed.scores if isinstance(parsed, Scores) else [parsed]


def _has_list(body: bytes) -> bool:
    try:
        said = from_json(body)
    except ValueError:
        return False  # the model says what is wrong with it
    return isinstance(said, dict) and "scores" in said


def score_rows(
    scores: list[Score], project: str, received_at: datetime, *, only_user: bool
) -> list[tuple[object, ...]]:
    """Return the rows for `gnomon_collector.store.ingest.insert_scores`.

    Args:
        only_user: whatever the sender says, the source is ``user``: what a publishable key may say.

    Raises:
        BadRequest: a score says that it was made in the far past or in the future.
    """
    return [
        (
            score.score_id,
            project,
            score.trace_id.lower(),
            score.span_id.lower(),
            score.session_id,
            score.name,
            score.value,
            score.label,
            score.comment,
            "user" if only_user else score.source,
            score.author,
            _created_at(score.created_at, received_at),
            received_at,
        )
        for score in _with_corrections(scores)
    ]


def _with_corrections(scores: list[Score]) -> Iterator[Score]:
    """Yield the scores, and each correction as one of its own: found, shown and exported by its name."""
    for score in scores:
        judges = score.value is not None or score.label or score.comment
        if judges:
            yield score
        if score.correction:
            # Derived, so that the same feedback sent again replaces both.
            score_id = f"{score.score_id}:correction" if judges else score.score_id
            yield score.model_copy(
                update={
                    "score_id": score_id,
                    "name": "correction",
                    "value": None,
                    "label": "correction",
                    "comment": score.correction,
                }
            )


def _created_at(said: datetime | None, received_at: datetime) -> datetime:
    if said is None:
        return received_at
    time = said.replace(tzinfo=UTC) if said.tzinfo is None else said
    latest = received_at + timedelta(seconds=MAX_FUTURE_S)
    if not EARLIEST <= time <= latest:
        raise BadRequest(
            f"The body is not valid feedback: created_at must lie between {EARLIEST:%Y-%m-%d} and now."
        )
    return time.astimezone(UTC)
