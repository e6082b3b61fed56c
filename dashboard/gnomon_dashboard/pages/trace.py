"""One trace: the waterfall, and the selected span in full."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from dash import Dash, Input, Output, State, ctx, dcc, html

from gnomon_collector.errors import StoreError
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import trace, trace_links
from gnomon_dashboard import ids, links, state, units, waterfall
from gnomon_dashboard.components import empty, judgements, panels, span_view
from gnomon_dashboard.components.attributes import aria, data
from gnomon_dashboard.components.dataset_menu import dataset_menu
from gnomon_dashboard.components.still import packed
from gnomon_dashboard.context import Context, View, resolve
from gnomon_dashboard.scripts import connect

PREFIX = "/trace/"


def layout() -> Any:
    """Return the page; its content comes by callbacks."""
    return html.Div(
        className="trace-page",
        children=[
            dcc.Store(id=ids.WATERFALL_DATA),
            dcc.Store(id=ids.done("draw")),
            html.Div(id=ids.TRACE_HEAD, className="trace-head", children=html.Div(className="line loading")),
            html.Div(id=ids.TRACE_CONTEXT, className="trace-context"),
            html.Div(id=ids.TRACE_SCORES, className="trace-judgements"),
            html.Div(
                className="trace-columns",
                children=[
                    html.Section(id=ids.WATERFALL, className="waterfall", **aria(label="Spans")),
                    html.Section(
                        html.Div(panels.skeleton(), className="span-loading"),
                        id=ids.SPAN,
                        className="span-panel",
                        **aria(label="Selected span"),
                    ),
                ],
            ),
        ],
    )


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    connect(
        app,
        "gnomonWaterfall",
        "draw",
        Output(ids.done("draw"), "data"),
        Input(ids.WATERFALL_DATA, "data"),
        Input(ids.URL, "search"),
    )

    @app.callback(
        Output(ids.TRACE_HEAD, "children"),
        Output(ids.WATERFALL_DATA, "data"),
        Input(ids.URL, "pathname"),
        State(ids.URL, "search"),
    )
    async def show_trace(path: str, search: str) -> tuple[Any, Any]:
        view = await resolve(context, search, ctx.cookies)
        head, spans = await asyncio.to_thread(head_and_waterfall, context.store, view, trace_id_of(path))
        return packed(head), spans

    @app.callback(
        Output(ids.SPAN, "children"),
        Input(ids.URL, "search"),
        Input(ids.WATERFALL_DATA, "data"),
        Input(ids.REFRESH_NOW, "n_clicks"),
        State(ids.URL, "pathname"),
    )
    async def show_span(search: str, shown: dict[str, Any] | None, _clicks: int, path: str) -> Any:
        view = await resolve(context, search, ctx.cookies)
        selected = view.state.span or (shown or {}).get("selected", "")
        if not selected:
            return None
        return packed(
            await asyncio.to_thread(selected_span, context.store, view, trace_id_of(path), selected)
        )

    @app.callback(
        Output(ids.TRACE_CONTEXT, "children"),
        Output(ids.TRACE_SCORES, "children"),
        Input(ids.URL, "pathname"),
        Input(ids.REFRESH_NOW, "n_clicks"),
        State(ids.URL, "search"),
    )
    async def show_around(path: str, _clicks: int, search: str) -> tuple[Any, Any]:
        view = await resolve(context, search, ctx.cookies)
        around, scores = await asyncio.to_thread(around_trace, context.store, view, trace_id_of(path))
        return packed(around), packed(scores)


def trace_id_of(path: str | None) -> str:
    """Return the trace id in a path such as ``/trace/4bf92f``; empty for another path."""
    return unquote(path.removeprefix(PREFIX)).strip("/")[:200] if path and path.startswith(PREFIX) else ""


def head_and_waterfall(store: Store, view: View, trace_id: str) -> tuple[Any, Any]:
    """Return the head of the page and the data of assets/waterfall.js."""
    try:
        spans = trace.spans(store, view.project, trace_id)
        scores = trace.scores(store, view.project, trace_id)
    except StoreError as error:
        return panels.failed(str(error)), {"rows": [], "selected": ""}
    if not spans:
        advice = (
            f"Project {view.project} has no trace {trace_id}. It may be in another project, or not here yet."
        )
        return empty.not_found("No such trace", advice), {"rows": [], "selected": ""}
    rows = [waterfall.as_data(row) for row in waterfall.rows(spans)]
    total = waterfall.summary(spans)
    data = {
        "trace": trace_id,
        "rows": rows,
        "selected": waterfall.first_interesting(spans),
        "ticks": ["0", *(units.duration(total.duration_ns / 1e6 * share / 3) for share in (1, 2, 3))],
    }
    return _head(view, trace_id, total, scores), data


def selected_span(store: Store, view: View, trace_id: str, span_id: str) -> Any:
    """Return the selected span in full."""
    try:
        span = trace.span(store, view.project, trace_id, span_id)
        scores = trace.scores(store, view.project, trace_id)
    except StoreError as error:
        return panels.failed(str(error))
    if span is None:
        return empty.not_found("No such span", f"This trace has no span {span_id}.")
    shown = span_view.span_view(span, scores, view.zone, links.to_traces(around(view, span.start_time)))
    return html.Div([judgements.span_actions(span), shown])


def around_trace(store: Store, view: View, trace_id: str) -> tuple[Any, Any]:
    """Return links to what the trace belongs to, and what people and judges say of it."""
    try:
        found = trace_links.context_of(store, view.project, trace_id)
        scores = trace.scores(store, view.project, trace_id)
    except StoreError as error:
        return panels.failed(str(error)), None
    if found is None:
        return None, None
    near = around(view, found.start)
    return judgements.context_links(found, near), judgements.judgements(
        scores, trace_id, view.project, view.zone
    )


def around(view: View, moment: datetime) -> state.ViewState:
    """Return a view whose time range covers `moment`: that of the view, or a week around it."""
    if view.window.start <= moment < view.window.end:
        return view.state
    start = moment.replace(microsecond=0) - timedelta(days=3)
    return replace(links.kept(view.state), start=start, end=start + timedelta(days=7))


def _head(view: View, trace_id: str, total: waterfall.TraceSummary, scores: list[trace.Score]) -> Any:
    started = datetime.fromtimestamp(total.start_ns / 1e9, UTC).astimezone(view.zone)
    figures = [
        ("Started", units.moment(started)[:19]),
        ("Duration", units.duration(total.duration_ns / 1e6)),
        ("Spans", units.whole(total.spans)),
        ("Model calls", units.whole(total.calls)),
        ("Tokens", units.whole(total.tokens) if total.calls else units.NOTHING),
        ("Cost", units.usd(total.cost_usd)),
        ("Errors", units.whole(total.errors)),
    ]
    return [
        html.Div(
            [
                dcc.Link("Traces", href=links.to_page("/traces", view.state), className="crumb"),
                html.Span("/", className="crumb-rule"),
                html.H1(total.name or "(no name)"),
                *span_view.trace_scores(scores),
            ],
            className="trace-title",
        ),
        html.Div([html.Code(trace_id), _copy_link(), dataset_menu(trace_id)], className="trace-id"),
        html.Dl(
            [
                html.Div(
                    [html.Dt(name), html.Dd(value)],
                    className="bad" if name == "Errors" and total.errors else "",
                )
                for name, value in figures
            ],
            className="trace-facts",
        ),
    ]


def _copy_link() -> Any:
    return html.Button("Copy link", className="chip-button", **data(action="copy-link"))
