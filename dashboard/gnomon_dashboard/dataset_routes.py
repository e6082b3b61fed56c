"""What the pages read and write of datasets (assets/datasets.js), and their downloads."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Literal

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from gnomon_collector.errors import BadRequest, StoreError
from gnomon_collector.store import audit, datasets
from gnomon_collector.store.dataset_contents import dataset_lines
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import traces
from gnomon_collector.store.queries.traces import TraceQuery
from gnomon_dashboard import rights, state
from gnomon_dashboard.context import Context, resolve
from gnomon_dashboard.writes import answer, write

MOST_OF_A_RESULT = 10_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewDataset(_Body):
    """A dataset to make."""

    project: str = Field(min_length=1, max_length=100)
    name: str = Field(min_length=1, max_length=datasets.LONGEST_NAME)
    description: str = Field("", max_length=datasets.LONGEST_DESCRIPTION)


class OfDataset(_Body):
    """A dataset by its name."""

    project: str = Field(min_length=1, max_length=100)
    dataset: str = Field(min_length=1, max_length=datasets.LONGEST_NAME)


class OneCall(OfDataset):
    """A call to add; an empty `span_id` is the call of the trace that answered."""

    trace_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    span_id: str = Field("", pattern=r"^([0-9a-f]{16})?$")


class OfResult(OfDataset):
    """A part of the result of a query to add.

    Attributes:
        search: query string of the Traces page.
        until: end of the result in Unix ms, so that all parts are of the same one; the first answer tells it.
    """

    search: str = Field("", max_length=50_000)
    offset: int = Field(0, ge=0, lt=MOST_OF_A_RESULT)
    limit: int = Field(500, ge=1, le=datasets.MOST_AT_ONCE)
    until: float | None = Field(None, ge=0, le=8e12)


class OfExample(OfDataset):
    """An example, and what its answer should have been."""

    example: str = Field(min_length=1, max_length=64)
    expected: str = Field("", max_length=datasets.LONGEST_EXPECTED)


def add_routes(app: FastAPI, context: Context) -> None:
    """Add ``/api/datasets…`` and ``/export/datasets/{kind}.jsonl``. Who only may look cannot write."""
    store = context.store

    @app.get("/api/datasets", include_in_schema=False)
    async def list_all(project: str) -> Response:
        rights.require("viewer", project)
        return await answer(
            lambda: {
                "datasets": [
                    {"name": one.name, "examples": one.examples}
                    for one in datasets.list_datasets(store, project)
                ]
            }
        )

    @app.post("/api/datasets", include_in_schema=False)
    async def create(body: NewDataset) -> Response:
        return await write(body.project, lambda author: made(store, body, author))

    @app.post("/api/datasets/delete", include_in_schema=False)
    async def delete(body: OfDataset) -> Response:
        return await write(body.project, lambda author: deleted(store, body, author))

    @app.post("/api/datasets/add", include_in_schema=False)
    async def add(body: OneCall) -> Response:
        return await write(
            body.project, lambda author: added(store, body, [(body.trace_id, body.span_id)], author)
        )

    @app.post("/api/datasets/add-result", include_in_schema=False)
    async def add_result(body: OfResult, request: Request) -> Response:
        view = await resolve(context, body.search, request.cookies)
        now = datetime.fromtimestamp(body.until / 1000, UTC) if body.until else context.now()
        query = state.trace_query(view.state, body.project, now)
        return await write(body.project, lambda author: result_added(store, body, query, author))

    @app.post("/api/datasets/expect", include_in_schema=False)
    async def expect(body: OfExample) -> Response:
        return await write(body.project, lambda _author: expected(store, body))

    @app.post("/api/datasets/remove", include_in_schema=False)
    async def remove(body: OfExample) -> Response:
        return await write(body.project, lambda _author: removed(store, body))

    _add_download(app, context)


def made(store: Store, body: NewDataset, author: str) -> dict[str, Any]:
    """Make a dataset."""
    dataset = datasets.create_dataset(store, body.project, body.name, body.description, author)
    audit.record(store, author, "dataset.create", project=body.project, target=dataset.name)
    return asdict(dataset) | {"created_at": dataset.created_at.isoformat()}


def deleted(store: Store, body: OfDataset, author: str) -> dict[str, Any]:
    """Delete a dataset."""
    datasets.delete_dataset(store, _found(store, body))
    audit.record(store, author, "dataset.delete", project=body.project, target=body.dataset)
    return {"message": f"Deleted: {body.dataset}."}


def added(store: Store, body: OfDataset, calls: Sequence[tuple[str, str]], author: str) -> dict[str, Any]:
    """Add calls to a dataset.

    Raises:
        BadRequest: in none of them a model was called
    """
    new, unknown = datasets.add_examples(store, _found(store, body), calls, author)
    if unknown == len(calls):
        raise BadRequest("No model was called in this trace, or it is not here (any more, or yet).")
    return {
        "added": new,
        "message": f"Added to {body.dataset}." if new else f"It is in {body.dataset} already.",
    }


def result_added(store: Store, body: OfResult, query: TraceQuery, author: str) -> dict[str, Any]:
    """Add a part of the result of a query; tells how many rows it had, are new, and called no model."""
    rows = traces.page(store, query, offset=body.offset, limit=body.limit)
    calls = [(str(row["trace_id"]), str(row.get("span_id", ""))) for row in rows]
    new, unknown = datasets.add_examples(store, _found(store, body), calls, author) if calls else (0, 0)
    return {
        "rows": len(rows),
        "added": new,
        "without_model": unknown,
        "until": query.end.timestamp() * 1000,
    }


def expected(store: Store, body: OfExample) -> dict[str, Any]:
    """Keep what an answer should have been."""
    datasets.expect(store, _found(store, body), body.example, body.expected.strip())
    return {"message": "Saved."}


def removed(store: Store, body: OfExample) -> dict[str, Any]:
    """Take an example out."""
    datasets.remove(store, _found(store, body), body.example)
    return {"message": "Removed."}


def _found(store: Store, body: OfDataset) -> datasets.Dataset:
    return datasets.find_dataset(store, body.project, body.dataset)


def _add_download(app: FastAPI, context: Context) -> None:
    @app.get("/export/datasets/{kind}.jsonl", include_in_schema=False)
    async def download(
        kind: Literal["fine-tuning", "preferences", "examples"], project: str, dataset: str
    ) -> Response:
        rights.require("viewer", project)
        try:
            found = await asyncio.to_thread(datasets.find_dataset, context.store, project, dataset)
            lines = dataset_lines(context.store, found, kind)
            first = await asyncio.to_thread(next, lines, b"")
        except BadRequest as error:
            return PlainTextResponse(f"{error}\n", status_code=404)
        except StoreError as error:
            return PlainTextResponse(f"The export failed: {error}\n", status_code=503)
        name = f"gnomon-{kind}-{context.now():%Y%m%d-%H%M%S}.jsonl"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(chain((first,), lines), media_type="application/x-ndjson", headers=headers)
