"""What the grid fetches: blocks of rows, their number, suggestions; and the whole result to download."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any, Final

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from gnomon_collector.errors import BadRequest, StoreError
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import suggestions, trace_language, traces
from gnomon_collector.store.queries.traces import TraceQuery
from gnomon_dashboard import links, state, units
from gnomon_dashboard.context import Context, View, resolve
from gnomon_dashboard.pages.traces import default_columns

DEEPEST_ROW: Final = 1_000_000
_DURATIONS: Final = ("latency_ms", "ttft_ms")
_MEDIA_TYPES: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
SCORE_FIELDS: Final = ("score.",)
_COUNTS: Final = ("tokens", "input_tokens", "output_tokens", "cache_read_tokens", "calls", "spans")


class RowsRequest(BaseModel):
    """A block of rows.

    Attributes:
        search: the page's query string.
        until: end of the result in Unix ms, so that all blocks of one result see the same rows; the answer to
            the first block tells it.
    """

    search: str = Field("", max_length=50_000)
    offset: int = Field(0, ge=0, le=DEEPEST_ROW)
    limit: int = Field(100, ge=1, le=1000)
    until: float | None = Field(None, ge=0, le=8e12)


def add_routes(app: FastAPI, context: Context) -> None:
    """Add the routes of the Traces page: ``/api/traces/…`` and ``/export/traces.csv`` or ``.jsonl``."""

    @app.post("/api/traces/rows", include_in_schema=False)
    async def read_rows(body: RowsRequest, request: Request) -> Response:
        view = await resolve(context, body.search, request.cookies)
        return await _answer(lambda: block(context.store, view, _query(view, context, body.until), body))

    @app.post("/api/traces/count", include_in_schema=False)
    async def count_rows(body: RowsRequest, request: Request) -> Response:
        view = await resolve(context, body.search, request.cookies)
        query = partial(_query, view, context, body.until)
        return await _answer(lambda: {"count": traces.count(context.store, query())})

    @app.get("/api/traces/suggest", include_in_schema=False)
    async def suggest(request: Request) -> Response:
        view = await resolve(context, request.url.query, request.cookies)
        asked = request.query_params.get("field", ""), request.query_params.get("begin", "")[:200]
        return await _answer(lambda: suggested(context.store, view, *asked))

    @app.get("/export/traces.{form}", include_in_schema=False)
    async def export(form: str, request: Request) -> Response:
        if form not in _MEDIA_TYPES:
            return Response("Formats are csv and jsonl.\n", status_code=404, media_type="text/plain")
        view = await resolve(context, request.url.query, request.cookies)
        wanted = list(view.state.columns) or default_columns(view.state.rows)
        try:
            query = _query(view, context, None)
            chunks = traces.export(context.store, query, wanted, form)  # type: ignore[arg-type]  # checked above
            body = await asyncio.to_thread(_started, chunks)
        except StoreError as error:
            return Response(f"The export failed: {error}\n", status_code=503, media_type="text/plain")
        except BadRequest as error:
            return Response(f"{error}\n", status_code=400, media_type="text/plain")
        name = f"gnomon-{view.state.rows}-{context.now():%Y%m%d-%H%M%S}.{form}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(body, media_type=_MEDIA_TYPES[form], headers=headers)


def suggested(store: Store, view: View, field: str, begin: str) -> dict[str, Any]:
    """Return what may stand next in the query bar: names of fields, or values that a field really has."""
    names = [*trace_language.fields(view.state.rows), *SCORE_FIELDS]
    if not field:
        return {"fields": [name for name in names if name.startswith(begin.lower())]}
    return {"values": suggestions.values(store, view.scope, view.window, field, begin)}


def block(store: Store, view: View, query: TraceQuery, body: RowsRequest) -> dict[str, Any]:
    """Return a block of rows as the grid takes them."""
    rows = traces.page(store, query, offset=body.offset, limit=body.limit)
    return {
        "rows": [shown(row, view) for row in rows],
        "until": query.end.timestamp() * 1000,
        # the last row is known once a block is not full
        "last": body.offset + len(rows) if len(rows) < body.limit else None,
    }


def shown(row: dict[str, object], view: View) -> dict[str, object]:
    """Return a row with its figures as text in their units, and with the address of its trace."""
    span_id = str(row.get("span_id", ""))
    texts = {name: _cell(name, value, view) for name, value in row.items()}
    return texts | {"href": links.to_trace(view.state, str(row["trace_id"]), span_id)}


def _cell(name: str, value: object, view: View) -> object:
    if isinstance(value, datetime):
        return units.moment(value.astimezone(view.zone))[:-4]
    if isinstance(value, (int, float)):
        if name in _DURATIONS:
            return units.duration(float(value))
        return (
            units.usd(float(value))
            if name == "cost_usd"
            else units.whole(value)
            if name in _COUNTS
            else value
        )
    return " ".join(value.split()) if name in ("input", "output") and isinstance(value, str) else value


def _query(view: View, context: Context, until_ms: float | None) -> TraceQuery:
    now = datetime.fromtimestamp(until_ms / 1000, UTC) if until_ms else context.now()
    return state.trace_query(view.state, view.project, now)


async def _answer(ask: Callable[[], Any]) -> Response:
    try:
        return JSONResponse(await asyncio.to_thread(ask))
    except BadRequest as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    except StoreError as error:
        return JSONResponse({"error": str(error)}, status_code=503)


def _started(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks, after the first of the database's: an error must show before success is promised."""
    header = next(chunks, b"")  # JSON has none, and an empty result nothing at all
    first = next(chunks, b"")
    return chain((header, first), chunks)
