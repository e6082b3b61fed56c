"""What the page of one trace fetches: a span, or all of them, as JSON; a model call as a script."""

import asyncio
import json
from collections.abc import Callable

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gnomon_collector.errors import StoreError
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import trace, trace_links
from gnomon_dashboard.context import Context, resolve
from gnomon_dashboard.replay import Form, replay


def add_routes(app: FastAPI, context: Context) -> None:
    """Add ``GET /api/spans/{trace}/{span}``, ``…/replay`` and ``GET /export/trace/{trace}.jsonl``."""

    @app.get("/api/spans/{trace_id}/{span_id}", include_in_schema=False)
    async def read_span(trace_id: str, span_id: str, request: Request) -> Response:
        view = await resolve(context, request.url.query, request.cookies)
        return await _text(lambda: raw(context.store, view.project, trace_id, span_id))

    @app.get("/api/spans/{trace_id}/{span_id}/replay", include_in_schema=False)
    async def read_replay(trace_id: str, span_id: str, request: Request, form: Form = "curl") -> Response:
        view = await resolve(context, request.url.query, request.cookies)
        return await _text(lambda: _script(context.store, view.project, trace_id, span_id, form))

    @app.get("/export/trace/{trace_id}.jsonl", include_in_schema=False)
    async def export(trace_id: str, request: Request) -> Response:
        view = await resolve(context, request.url.query, request.cookies)
        blocks = trace_links.spans_as_json(context.store, view.project, trace_id)
        name = f"gnomon-trace-{''.join(letter for letter in trace_id if letter.isalnum())[:32]}.jsonl"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(blocks, media_type="application/x-ndjson", headers=headers)


def raw(store: Store, project: str, trace_id: str, span_id: str) -> str:
    """Return a span as indented JSON, every column as stored; empty when there is none."""
    text = b"".join(trace_links.spans_as_json(store, project, trace_id, span_id)).decode("utf-8", "replace")
    return json.dumps(json.loads(text), ensure_ascii=False, indent=2) if text.strip() else ""


def _script(store: Store, project: str, trace_id: str, span_id: str, form: Form) -> str:
    span = trace.span(store, project, trace_id, span_id)
    return (replay(span, form) or "") if span else ""


async def _text(ask: Callable[[], str]) -> Response:
    try:
        text = await asyncio.to_thread(ask)
    except StoreError as error:
        return JSONResponse({"error": str(error)}, status_code=503)
    return JSONResponse({"text": text} if text else {"error": "There is nothing to show."})
