"""What the page Review asks: how far the reviews are, the next answer, and a label for it."""

from datetime import datetime, timedelta
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from gnomon_collector.errors import BadRequest
from gnomon_collector.store import reviews
from gnomon_collector.store.engine import Store
from gnomon_collector.store.judge_inputs import load_material
from gnomon_collector.store.reviews import ReviewItem, ScaleLabel
from gnomon_dashboard import review_content, rights
from gnomon_dashboard.context import Context
from gnomon_dashboard.writes import answer, write

REVIEW_DAYS: Final = 30
UNSURE: Final = ScaleLabel("unsure", None, "I cannot tell")
NOBODY: Final = "reviewer"
"""Author of labels where nobody has to log in."""


class NextBody(BaseModel):
    """Which evaluator to review, and the items that are not wanted now."""

    model_config = ConfigDict(extra="forbid")
    project: str = Field(min_length=1, max_length=100)
    evaluator: str = Field(min_length=1, max_length=100)
    passed: list[str] = Field(default_factory=list, max_length=2_000)


class LabelBody(BaseModel):
    """A label for an answer."""

    model_config = ConfigDict(extra="forbid")
    project: str = Field(min_length=1, max_length=100)
    evaluator: str = Field(min_length=1, max_length=100)
    task_id: str = Field(max_length=100)
    unit: str = Field(pattern="^(span|trace|session)$")
    trace_id: str = Field("", max_length=64)
    span_id: str = Field("", max_length=32)
    session_id: str = Field("", max_length=500)
    happened_at: datetime
    label: str = Field(min_length=1, max_length=60)
    comment: str = Field("", max_length=8_192)


def add_routes(app: FastAPI, context: Context) -> None:
    """Add ``/api/review/…``. Who only may look is refused a label."""
    store = context.store

    @app.get("/api/review/progress", include_in_schema=False)
    async def read_progress(project: str) -> Response:
        author = rights.require("viewer", project).username or NOBODY
        since = context.now() - timedelta(days=REVIEW_DAYS)
        return await answer(
            lambda: {"author": author, "evaluators": _progress(store, project, author, since)}
        )

    @app.post("/api/review/next", include_in_schema=False)
    async def read_next(body: NextBody) -> Response:
        author = rights.require("viewer", body.project).username or NOBODY
        since = context.now() - timedelta(days=REVIEW_DAYS)
        return await answer(lambda: {"item": next_shown(store, body, author, since)})

    @app.post("/api/review/label", include_in_schema=False)
    async def write_label(body: LabelBody) -> Response:
        return await write(
            body.project,
            lambda author: {"score_id": label(store, body, author or NOBODY, context.now())},
        )


def next_shown(store: Store, body: NextBody, author: str, since: datetime) -> dict[str, Any] | None:
    """Return the next item with its texts, None when there is none."""
    item = reviews.next_item(store, body.project, body.evaluator, author, since, body.passed)
    scale = reviews.scale(store, body.evaluator)
    if item is None or scale is None:
        return None
    material = load_material(store, body.project, [item])[item.task_id]
    return review_content.shown(item, scale, material)


def label(store: Store, body: LabelBody, author: str, now: datetime) -> str:
    """Keep a label and return its score id.

    Raises:
        BadRequest: it is none of the scale's.
    """
    scale = reviews.scale(store, body.evaluator)
    known = {one.label: one for one in (*(scale.labels if scale else ()), UNSURE)}
    chosen = known.get(body.label)
    if chosen is None:
        raise BadRequest(f"{body.label!r} is no label of {body.evaluator}: {', '.join(known)}.")
    item = ReviewItem(
        body.task_id,
        body.evaluator,
        body.unit,
        body.trace_id,
        body.span_id,
        body.session_id,
        body.happened_at,
    )
    return reviews.save_label(store, body.project, item, author, chosen, body.comment, now)


def _progress(store: Store, project: str, author: str, since: datetime) -> list[dict[str, Any]]:
    return [
        {
            "evaluator": one.evaluator,
            "title": one.title,
            "judged": one.judged,
            "yours": one.by_author,
            "anyones": one.by_anyone,
        }
        for one in reviews.progress(store, project, author, since)
    ]
