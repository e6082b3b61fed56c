"""What the pages write: saved views, and scores, comments and corrections of people who look."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import JSONResponse, Response

from gnomon_collector.errors import BadRequest, StoreError
from gnomon_collector.store import saved_views
from gnomon_collector.store.engine import Store
from gnomon_collector.store.ingest import insert_scores
from gnomon_collector.store.users import Role
from gnomon_dashboard import rights
from gnomon_dashboard.context import Context


class ViewBody(BaseModel):
    """A view to save."""

    model_config = ConfigDict(extra="forbid")
    project: str = Field(min_length=1, max_length=100)
    name: str = Field(min_length=1, max_length=saved_views.LONGEST_NAME)
    path: str = Field(max_length=500)
    query: str = Field("", max_length=20_000)


class ScoreBody(BaseModel):
    """A judgement by the person who looks at a trace.

    Attributes:
        value: 0 (bad) to 1 (good).
        correction: what the answer should have been; stored as a score of its own, named ``correction``.
    """

    model_config = ConfigDict(extra="forbid")
    project: str = Field(min_length=1, max_length=100)
    trace_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    span_id: str = Field("", pattern=r"^([0-9a-f]{16})?$")
    name: str = Field("review", min_length=1, max_length=256)
    value: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    label: str = Field("", max_length=256)
    comment: str = Field("", max_length=8192)
    correction: str = Field("", max_length=8192)

    @model_validator(mode="after")
    def _says_something(self) -> "ScoreBody":
        if self.value is None and not (self.label or self.comment or self.correction):
            raise ValueError("Say a score, a label, a comment or a correction.")
        return self


def add_routes(app: FastAPI, context: Context) -> None:
    """Add ``/api/views`` and ``POST /api/scores``. Who only may look is refused."""
    store = context.store

    @app.get("/api/views", include_in_schema=False)
    async def list_views(project: str) -> Response:
        rights.require("viewer", project)
        return await answer(
            lambda: {"views": [_shown(one) for one in saved_views.list_views(store, project)]}
        )

    @app.post("/api/views", include_in_schema=False)
    async def save_view(body: ViewBody) -> Response:
        return await write(
            body.project,
            lambda author: _shown(
                saved_views.save_view(store, body.project, body.name, body.path, body.query, author)
            ),
        )

    @app.delete("/api/views/{view_id}", include_in_schema=False)
    async def delete_view(view_id: str, project: str) -> Response:
        return await write(project, lambda _author: _shown(saved_views.delete_view(store, project, view_id)))

    @app.post("/api/scores", include_in_schema=False)
    async def add_score(body: ScoreBody) -> Response:
        return await write(body.project, lambda author: _insert(store, body, author))


def score_rows(body: ScoreBody, author: str, now: datetime) -> list[tuple[object, ...]]:
    """Return the rows of `scores` for a judgement: the score itself, and its correction as another one."""
    said = [(body.name, body.value, body.label, body.comment)] if _judges(body) else []
    if body.correction:
        said.append(("correction", None, "correction", body.correction))
    return [
        (
            uuid4().hex,
            body.project,
            body.trace_id,
            body.span_id,
            "",
            name,
            value,
            label,
            comment,
            "human",
            author,
            now,
            now,
        )
        for name, value, label, comment in said
    ]


def _judges(body: ScoreBody) -> bool:
    return body.value is not None or bool(body.label or body.comment)


def _insert(store: Store, body: ScoreBody, author: str) -> dict[str, Any]:
    rows = score_rows(body, author, datetime.now(UTC))
    insert_scores(store, rows)
    return {"score_ids": [row[0] for row in rows]}


def _shown(view: saved_views.SavedView) -> dict[str, Any]:
    return asdict(view) | {"created_at": view.created_at.isoformat()}


async def write(project: str, act: Callable[[str], Any], role: Role = "editor") -> Response:
    """Act in the name of who is logged in; where nobody has to log in, in nobody's ("").

    Raises:
        NotAllowed: the person has not that role on the project.
    """
    author = rights.require(role, project).username
    return await answer(lambda: act(author))


async def answer(ask: Callable[[], Any]) -> Response:
    """Return what `ask` returns as JSON; what it refuses is an answer with the words why."""
    try:
        return JSONResponse(await asyncio.to_thread(ask))
    except BadRequest as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    except StoreError as error:
        return JSONResponse({"error": str(error)}, status_code=503)
