"""The routes of the reading API."""

import itertools
import json
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.routing import APIRoute

from gnomon_collector.api import metrics, times
from gnomon_collector.api.access import ProjectOf, project_of
from gnomon_collector.errors import BadRequest, GnomonError, StoreUnavailable
from gnomon_collector.store import dataset_contents, datasets
from gnomon_collector.store import export as exports
from gnomon_collector.store.access import KeyRing
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_queries import Window
from gnomon_collector.store.queries import trace_language, trace_links, traces
from gnomon_collector.store.queries.filters import Scope
from gnomon_collector.store.queries.trace_columns import column, columns
from gnomon_collector.store.queries.traces import TraceQuery
from gnomon_schemas.metrics import CALL_DIMENSIONS

PREFIX: Final = "/api/v1"
_MEDIA_TYPES: Final = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
_RANGE_HELP: Final = "Back from end, or from now: 15m, 24h, 7d, 4w. Default 24h."
_DATASET_HELP: Final = (
    "fine-tuning, preferences and examples: of this dataset, whatever the time and the query."
)
_QUERY_HELP: Final = "The query language of the Traces page: model:gpt-4o* status:error latency>3s"
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@dataclass(frozen=True)
class ApiParts:
    """What the routes work with.

    Attributes:
        admin_token: lets in besides keys: the command line's
        now: the clock, in UTC
    """

    store: Store
    keys: KeyRing
    admin_token: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def reading_router(parts: ApiParts) -> APIRouter:
    """Return the routes; each lets in keys of scope read (of their project) and admin."""
    router = APIRouter(prefix=PREFIX, route_class=_Route)
    project = project_of(parts.keys, parts.admin_token)
    _add_metrics(router, parts, project)
    _add_traces(router, parts, project)
    _add_scores(router, parts, project)
    _add_exports(router, parts, project)

    @router.get("/openapi.json", include_in_schema=False)
    def read_openapi(_project: Annotated[str, Depends(project_or_all(project))]) -> dict[str, Any]:
        return get_openapi(title="Gnomon", version="1", routes=router.routes)

    return router


def project_or_all(project: ProjectOf) -> Callable[[Request], str]:
    """Return a dependency that lets every reading key in, also one of the whole server without a project."""

    def check(request: Request) -> str:
        # these answers are of no project: a key of the whole server need not name one
        return project(request, project=request.query_params.get("project", "") or "*")

    return check


def _add_metrics(router: APIRouter, parts: ApiParts, project: ProjectOf) -> None:
    @router.get("/metrics/catalogue")
    def read_catalogue(
        _project: Annotated[str, Depends(project_or_all(project))],
    ) -> list[metrics.MetricEntry]:
        """Every metric: name, unit, which direction is good, what it can be grouped by."""
        return metrics.catalogue()

    @router.get("/metrics")
    def read_metrics(
        request: Request,
        project: Annotated[str, Depends(project)],
        window: Annotated[Window, Depends(_window_of(parts))],
        name: Annotated[list[str], Query(description="Names of metrics; see /metrics/catalogue.")],
        step: Annotated[int, Query(ge=0, le=86_400, description="Seconds of a step; 0 chooses.")] = 0,
        by: Annotated[list[str] | None, Query(description="Dimensions to group by.")] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Groups, largest first.")] = 50,
    ) -> list[metrics.MetricSeries]:
        """Metrics over time and in total. Any dimension filters: ``?model=gpt-4o&service_name=shop``."""
        filters = {
            dimension: request.query_params.getlist(dimension)
            for dimension in CALL_DIMENSIONS
            if dimension in request.query_params
        }
        return metrics.series(
            parts.store, project, name, window, step_s=step, by=by or (), filters=filters, limit=limit
        )


def _add_traces(router: APIRouter, parts: ApiParts, project: ProjectOf) -> None:
    def page(rows: Literal["traces", "calls"], query: TraceQuery, offset: int, limit: int) -> dict[str, Any]:
        found = traces.page(parts.store, query, offset=offset, limit=limit)
        return {rows: found, "next_offset": offset + limit if len(found) == limit else None}

    @router.get("/traces")
    def read_traces(
        query: Annotated[TraceQuery, Depends(_query_of(parts, project, "traces"))],
        offset: Offset = 0,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Traces, newest first or by ``sort``; ``next_offset`` asks for the next page."""
        return page("traces", query, offset, limit)

    @router.get("/calls")
    def read_calls(
        query: Annotated[TraceQuery, Depends(_query_of(parts, project, "calls"))],
        offset: Offset = 0,
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """Billable model calls, newest first or by ``sort``."""
        return page("calls", query, offset, limit)

    @router.get("/traces/{trace_id}")
    def read_trace(trace_id: str, project: Annotated[str, Depends(project)]) -> Response:
        """One trace: every span as it is stored, and the scores."""
        lines = b"".join(trace_links.spans_as_json(parts.store, project, trace_id)).splitlines()
        if not lines:
            detail = f"Project {project} has no trace {trace_id[:64]}."
            return JSONResponse({"detail": detail}, status_code=404)
        scores = exports.scores_of_trace(parts.store, project, trace_id)
        body = b'{"trace_id":%s,"spans":[%s],"scores":%s}'
        content = body % (json.dumps(trace_id).encode(), b",".join(lines), scores)
        return Response(content, media_type="application/json")


def _add_scores(router: APIRouter, parts: ApiParts, project: ProjectOf) -> None:
    @router.get("/scores")
    def read_scores(
        project: Annotated[str, Depends(project)],
        window: Annotated[Window, Depends(_window_of(parts))],
        format: Literal["jsonl", "csv"] = "jsonl",
    ) -> Response:
        """Scores by users, reviewers, judges and checks, oldest first, one a line."""
        blocks = exports.scores(parts.store, project, window.start, window.end, format)
        return StreamingResponse(_started(blocks), media_type=_MEDIA_TYPES[format])


def _add_exports(router: APIRouter, parts: ApiParts, project: ProjectOf) -> None:
    @router.get("/datasets")
    def read_datasets(project: Annotated[str, Depends(project)]) -> list[datasets.Dataset]:
        """Datasets by name; /export/examples?dataset=NAME has what is in one."""
        return datasets.list_datasets(parts.store, project)

    @router.get("/export/{kind}")
    def read_export(
        kind: exports.Kind,
        project: Annotated[str, Depends(project)],
        window: Annotated[Window, Depends(_window_of(parts))],
        q: Annotated[str, Query(max_length=2000, description=_QUERY_HELP)] = "",
        format: Literal["jsonl", "csv"] = "jsonl",
        with_ids: bool = False,
        good_from: Annotated[float, Query(ge=0, le=1)] = exports.GOOD_FROM,
        dataset: Annotated[str, Query(max_length=200, description=_DATASET_HELP)] = "",
    ) -> Response:
        """The whole result: calls, traces, scores, what feedback makes, a dataset."""
        check_form(kind, format, dataset)
        if dataset:
            found = datasets.find_dataset(parts.store, project, dataset)
            lines = dataset_contents.dataset_lines(parts.store, found, kind, with_ids)
            return StreamingResponse(_started(lines), media_type=_MEDIA_TYPES["jsonl"])
        query = trace_query(project, window, "traces" if kind == "traces" else "calls", q)
        blocks = exports.exported(parts.store, kind, query, format, with_ids=with_ids, good_from=good_from)
        return StreamingResponse(_started(blocks), media_type=_MEDIA_TYPES[format])


def check_form(kind: exports.Kind, form: str, dataset: str = "") -> None:
    """Refuse CSV of what has no rows, and a dataset where it says nothing.

    Raises:
        BadRequest: there is no such form of this kind
    """
    if form == "csv" and kind in exports.OF_DATASETS:
        raise BadRequest(f"{kind} is JSON Lines only: leave format out.")
    if dataset and kind not in exports.OF_DATASETS:
        raise BadRequest(f"A dataset is written as {', '.join(exports.OF_DATASETS)}, not as {kind}.")
    if kind == "examples" and not dataset:
        raise BadRequest("Name the dataset whose examples are wanted.")


def trace_query(
    project: str, window: Window, rows: Literal["traces", "calls"], q: str = "", sort: str = "-time"
) -> TraceQuery:
    """Return what the store is asked for.

    Raises:
        BadRequest: the query, or the column to sort by, makes no sense
    """
    asked = trace_language.parse(q, rows)
    name = sort.removeprefix("-")
    if column(rows, name) is None:
        known = ", ".join(one.id for one in columns(rows))
        raise BadRequest(f"There is no column {name[:40]!r} to sort by. Columns: {known}.")
    return TraceQuery(
        Scope(project),
        window.start,
        window.end,
        rows,
        sort=name,
        descending=sort.startswith("-"),
        filters=asked.filters,
        texts=asked.texts,
        scores=asked.scores,
    )


def _window_of(parts: ApiParts) -> Callable[..., Window]:
    def window(
        range: Annotated[str, Query(max_length=10, description=_RANGE_HELP)] = "",
        start: Annotated[datetime | None, Query(description="ISO 8601; UTC without an offset.")] = None,
        end: Annotated[datetime | None, Query(description="ISO 8601; exclusive. Default now.")] = None,
    ) -> Window:
        return times.window(parts.now(), range, start, end)

    return window


def _query_of(
    parts: ApiParts, project: ProjectOf, rows: Literal["traces", "calls"]
) -> Callable[..., TraceQuery]:
    def query(
        project: Annotated[str, Depends(project)],
        window: Annotated[Window, Depends(_window_of(parts))],
        q: Annotated[str, Query(max_length=2000, description=_QUERY_HELP)] = "",
        sort: Annotated[str, Query(max_length=40, description="A column, - in front: descending.")] = "-time",
    ) -> TraceQuery:
        return trace_query(project, window, rows, q, sort)

    return query


def _started(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Take the first block now, while an error can still become an answer of its own."""
    first = next(blocks, b"")
    return itertools.chain((first,), blocks)


class _Route(APIRoute):
    """A route whose `GnomonError` becomes ``{"detail": message}``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(request)
            except GnomonError as error:
                code = 503 if isinstance(error, StoreUnavailable) else 400
                return JSONResponse({"detail": str(error)}, status_code=code)

        return handle_or_explain
