"""What the menu of a panel fetches: the SQL behind it, and its rows as CSV."""

import asyncio
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, Final, cast

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gnomon_collector.errors import StoreError
from gnomon_collector.store.engine import QueryResult, Store
from gnomon_dashboard.context import Context, View, resolve
from gnomon_dashboard.pages.panel import Panel

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


class Recording:
    """A store that remembers the statements it was asked."""

    def __init__(self, store: Store) -> None:
        self.statements: list[tuple[str, Mapping[str, object]]] = []
        self._store = store

    def query(self, sql: str, parameters: Mapping[str, object] | None = None, **options: Any) -> QueryResult:
        """Ask the store, and note the statement."""
        self.statements.append((sql, parameters or {}))
        return self._store.query(sql, parameters, **options)


def add_routes(app: FastAPI, context: Context, panels: Sequence[Panel]) -> None:
    """Add ``GET /api/panels/{panel}/sql`` and ``GET /export/panels/{panel}.csv``."""
    known = {panel.id: panel for panel in panels}

    @app.get("/api/panels/{panel_id}/sql", include_in_schema=False)
    async def read_sql(panel_id: str, request: Request) -> Response:
        panel, view = known.get(panel_id), await _view(context, request)
        if panel is None:
            return _unknown(panel_id)
        try:
            return JSONResponse({"sql": await asyncio.to_thread(sql_of, context.store, view, panel)})
        except StoreError as error:
            return JSONResponse({"error": str(error)}, status_code=503)

    @app.get("/export/panels/{panel_id}.csv", include_in_schema=False)
    async def read_csv(panel_id: str, request: Request) -> Response:
        panel, view = known.get(panel_id), await _view(context, request)
        if panel is None:
            return _unknown(panel_id)
        try:
            answer = await asyncio.to_thread(panel.ask_all or panel.ask, context.store, view)
        except StoreError as error:
            return PlainTextResponse(f"The export failed: {error}\n", status_code=503)
        name = f"gnomon-{panel.id}-{context.now():%Y%m%d-%H%M%S}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(as_csv(answer), media_type="text/csv; charset=utf-8", headers=headers)


def sql_of(store: Store, view: View, panel: Panel) -> str:
    """Return the statements behind a panel, each with its bound values as comments above it."""
    recording = Recording(store)
    panel.ask(cast(Store, recording), view)
    return "\n\n".join(_statement(sql, parameters) for sql, parameters in recording.statements)


def as_csv(answer: object) -> str:
    """Return an answer (a dataclass, or a list of them) as CSV with a header of field names."""
    rows = [_flat(row) for row in _rows_of(answer)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _rows_of(answer: object) -> Iterable[object]:
    if isinstance(answer, (list, tuple)):
        return answer
    return [] if answer is None else [answer]


def _flat(row: object) -> dict[str, object]:
    values = asdict(row) if is_dataclass(row) and not isinstance(row, type) else row
    if not isinstance(values, Mapping):
        return {"value": values}
    flat: dict[str, object] = {}
    for name, value in values.items():
        nested = _flat(value) if isinstance(value, Mapping) else {}
        flat |= {f"{name}_{part}": item for part, item in nested.items()} or {str(name): value}
    return flat


def _cell(value: object) -> object:
    text = value if isinstance(value, str) else ""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else value


def _statement(sql: str, parameters: Mapping[str, object]) -> str:
    lines = sql.strip("\n").splitlines()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    bound = [f"-- {name} = {value!r}" for name, value in parameters.items()]
    return "\n".join([*bound, *(line[indent:].rstrip() for line in lines)]).rstrip()


async def _view(context: Context, request: Request) -> View:
    path = request.query_params.get("path")
    return await resolve(context, request.url.query, request.cookies, None, path)


def _unknown(panel_id: str) -> Response:
    return JSONResponse({"error": f"There is no panel {panel_id[:80]!r}."}, status_code=404)
