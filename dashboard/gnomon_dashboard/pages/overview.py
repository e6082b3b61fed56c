"""The overview: is it slow, is it failing, is it expensive."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from dash import Dash, Input, Output, ctx, html

from gnomon_collector.errors import StoreError
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import filters, overview
from gnomon_collector.store.queries.filters import Scope, Window
from gnomon_dashboard import figures, ids, links
from gnomon_dashboard.components import empty, outcomes, panels, tiles
from gnomon_dashboard.context import Context, View, resolve, shared_answer
from gnomon_dashboard.markers import Timeline
from gnomon_dashboard.pages import glance_panel, panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

Answer = TypeVar("Answer")

_TRIGGERS: Final = (
    Input(ids.URL, "search"),
    Input(ids.REFRESH_TIMER, "n_intervals"),
    Input(ids.REFRESH_NOW, "n_clicks"),
    Input(ids.SCHEME, "data"),
)

_TRAFFIC_TILES: Final = (
    ("requests", "Requests"),
    ("success", "Success rate"),
    ("cost", "Cost"),
    ("tokens", "Tokens"),
)
_LATENCY_TILES: Final = (("p50", "Latency p50"), ("p95", "Latency p95"), ("p99", "Latency p99"))
_PANELS: Final = (
    (
        ids.LATENCY_OVER_TIME,
        "Latency over time",
        "How long calls took: half of them were faster than p50, all but one in twenty faster than p95, all"
        " but one in a hundred faster than p99. From log-spaced buckets, six to the octave.",
        "",
    ),
    (
        ids.LATENCY_DISTRIBUTION,
        "Latency distribution",
        "Number of calls by how long they took, on a logarithmic axis.",
        "calls",
    ),
    (
        ids.SUCCESS_OVER_TIME,
        "Success over time",
        "Share of calls that ended well among those that ended well or failed; cancelled calls count as"
        " neither. Bars: failed calls.",
        "",
    ),
    (
        ids.SUCCESS_DISTRIBUTION,
        "Success distribution",
        "How calls ended, and the error types of those that failed. Click one to see its calls.",
        "calls",
    ),
    (
        ids.TOKENS_BY_MODEL,
        "Tokens by model",
        "Input and output tokens of all calls that reported usage.",
        "tokens",
    ),
    (
        ids.COST_BY_MODEL,
        "Cost by model",
        "Computed from dated list prices over reported tokens. Models without a known price count nothing.",
        "USD",
    ),
)
"""Id, title, explanation and unit of each panel, in order."""


def layout(_path: str, _view: ViewState) -> Any:
    """Return the page; its figures come by callbacks."""
    traffic, latency = tiles.placeholders(_TRAFFIC_TILES), tiles.placeholders(_LATENCY_TILES)
    return [
        html.H1("Overview", className="visually-hidden"),
        html.Div(id=ids.EMPTY),
        html.Div(
            id=ids.OVERVIEW_BODY,
            children=[
                html.Div(
                    className="tiles",
                    children=[
                        html.Div(traffic, id=ids.TRAFFIC_TILES, className="tile-group"),
                        html.Div(latency, id=ids.LATENCY_TILES, className="tile-group"),
                    ],
                ),
                panel.grid((glance_panel.PANEL,)),
                html.Div([_panel(*words) for words in _PANELS], className="panels"),
            ],
        ),
    ]


def _panel(panel_id: str, title: str, hint: str, unit: str) -> Any:
    make = panels.content_panel if panel_id == ids.SUCCESS_DISTRIBUTION else panels.chart_panel
    return make(panel_id, title, hint, unit)


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks: one for each query, so that a slow panel blocks no other."""
    timeline = Timeline(context.store)
    _register_empty(app, context)
    panel.register(app, context, (glance_panel.PANEL,))
    for one in BEHIND:
        if one.id != ids.SUCCESS_DISTRIBUTION and one.has_time_axis:
            panel.register_brush(app, context, one)

    @app.callback(
        Output(ids.TRAFFIC_TILES, "children"),
        Output(ids.SUCCESS_OVER_TIME, "figure"),
        Output(ids.state_of(ids.SUCCESS_OVER_TIME), "children"),
        *_TRIGGERS,
    )
    async def show_traffic(search: str, _ticks: int, _clicks: int, scheme: str) -> tuple[Any, ...]:
        view = await resolve(context, search, ctx.cookies, scheme)
        answer = partial(traffic_panels, context.store, view, timeline)
        return await shared_answer(context, view, ids.TRAFFIC_TILES, answer)

    @app.callback(
        Output(ids.LATENCY_TILES, "children"),
        Output(ids.LATENCY_OVER_TIME, "figure"),
        Output(ids.state_of(ids.LATENCY_OVER_TIME), "children"),
        Output(ids.LATENCY_DISTRIBUTION, "figure"),
        Output(ids.state_of(ids.LATENCY_DISTRIBUTION), "children"),
        *_TRIGGERS,
    )
    async def show_latency(search: str, _ticks: int, _clicks: int, scheme: str) -> tuple[Any, ...]:
        view = await resolve(context, search, ctx.cookies, scheme)
        answer = partial(latency_panels, context.store, view, timeline)
        return await shared_answer(context, view, ids.LATENCY_TILES, answer)

    @app.callback(
        Output(ids.TOKENS_BY_MODEL, "figure"),
        Output(ids.state_of(ids.TOKENS_BY_MODEL), "children"),
        Output(ids.COST_BY_MODEL, "figure"),
        Output(ids.state_of(ids.COST_BY_MODEL), "children"),
        *_TRIGGERS,
    )
    async def show_usage(search: str, _ticks: int, _clicks: int, scheme: str) -> tuple[Any, ...]:
        view = await resolve(context, search, ctx.cookies, scheme)
        answer = partial(usage_panels, context.store, view, timeline)
        return await shared_answer(context, view, ids.TOKENS_BY_MODEL, answer)

    @app.callback(
        Output(ids.SUCCESS_DISTRIBUTION, "children"),
        Output(ids.state_of(ids.SUCCESS_DISTRIBUTION), "children"),
        *_TRIGGERS,
    )
    async def show_outcomes(search: str, _ticks: int, _clicks: int, scheme: str) -> tuple[Any, ...]:
        view = await resolve(context, search, ctx.cookies, scheme)
        answer = partial(outcome_panel, context.store, view)
        return await shared_answer(context, view, ids.SUCCESS_DISTRIBUTION, answer)


def _register_empty(app: Dash, context: Context) -> None:
    @app.callback(
        Output(ids.EMPTY, "children"),
        Output(ids.OVERVIEW_BODY, "style"),
        Input(ids.URL, "search"),
        Input(ids.REFRESH_TIMER, "n_intervals"),
        Input(ids.REFRESH_NOW, "n_clicks"),
    )
    async def show_empty(search: str, _ticks: int, _clicks: int) -> tuple[Any, dict[str, str]]:
        view = await resolve(context, search, ctx.cookies)
        if await _has_data(context, view):
            return None, {}
        return empty.no_data_yet(context.endpoint, view.project), {"display": "none"}


async def _has_data(context: Context, view: View) -> bool:
    """Whether a project has data; a store in trouble is left to the panels to report."""
    if not view.state.project and not context.projects.were_asked:
        return True
    try:
        return await asyncio.to_thread(filters.has_data, context.store, view.project)
    except StoreError:
        return True


def traffic_panels(store: Store, view: View, timeline: Timeline) -> tuple[Any, ...]:
    """Return the tiles of traffic, success over time, and what stands over it."""
    series = _asked(overview.traffic, store, view)
    if isinstance(series, str):
        return [], figures.blank(), panels.failed(series)
    shown = tiles.render(tiles.traffic_tiles(series, view.window))
    figure = figures.success_over_time(series, view.canvas)
    return shown, timeline.marked(figure, view), None if series.buckets else panels.nothing()


def latency_panels(store: Store, view: View, timeline: Timeline) -> tuple[Any, ...]:
    """Return the tiles of latency, both latency figures, and what stands over them."""
    series = _asked(overview.latency, store, view)
    if isinstance(series, str):
        return [], figures.blank(), panels.failed(series), figures.blank(), panels.failed(series)
    over = None if series.buckets else panels.nothing()
    return (
        tiles.render(tiles.latency_tiles(series)),
        timeline.marked(figures.latency_over_time(series, view.canvas), view),
        over,
        figures.latency_distribution(series, view.canvas),
        over,
    )


def usage_panels(store: Store, view: View, timeline: Timeline) -> tuple[Any, ...]:
    """Return tokens and cost by model, and what stands over them."""
    rows = _asked(overview.usage_by_model, store, view)
    if isinstance(rows, str):
        return figures.blank(), panels.failed(rows), figures.blank(), panels.failed(rows)
    has_tokens = any(row.input_tokens + row.output_tokens for row in rows)
    has_cost = any(row.priced for row in rows)
    return (
        timeline.marked(figures.tokens_by_model(rows, view.canvas), view),
        None
        if has_tokens
        else panels.nothing("No call reported tokens" if rows else "No calls in this time range"),
        timeline.marked(figures.cost_by_model(rows, view.canvas), view),
        None
        if has_cost
        else panels.nothing("No call has a known price" if rows else "No calls in this time range"),
    )


def outcome_panel(store: Store, view: View) -> tuple[Any, ...]:
    """Return how calls ended, and what stands over it."""
    rows = _asked(overview.outcomes, store, view)
    if isinstance(rows, str):
        return None, panels.failed(rows)
    link = links.to_calls(view.state)
    return outcomes.outcome_list(rows, link), None if rows else panels.nothing()


def _asked(ask: Callable[[Store, Scope, Window], Answer], store: Store, view: View) -> Answer | str:
    """The answer of a query, or what went wrong, for the viewer."""
    try:
        return ask(store, view.scope, view.window)
    except StoreError as error:
        return str(error)


_ASKED: Final[dict[str, Callable[[Store, Scope, Window], Any]]] = {
    ids.LATENCY_OVER_TIME: overview.latency,
    ids.LATENCY_DISTRIBUTION: overview.latency,
    ids.SUCCESS_OVER_TIME: overview.traffic,
    ids.SUCCESS_DISTRIBUTION: overview.outcomes,
    ids.TOKENS_BY_MODEL: overview.usage_by_model,
    ids.COST_BY_MODEL: overview.usage_by_model,
}


def _behind(panel_id: str, title: str, hint: str, unit: str) -> Panel:
    """The panel as its menu sees it; what it shows comes from the callbacks above, which share queries."""
    ask = _ASKED[panel_id]
    return Panel(
        panel_id,
        title,
        hint,
        unit,
        lambda store, view: ask(store, view.scope, view.window),
        lambda _answer, _view: None,
        has_time_axis=panel_id not in (ids.LATENCY_DISTRIBUTION, ids.SUCCESS_DISTRIBUTION),
    )


BEHIND: Final = tuple(_behind(*words) for words in _PANELS)
PAGE: Final = Entry(
    "/",
    "Overview",
    "Monitor",
    "overview",
    layout,
    register,
    letter="o",
    panels=(glance_panel.PANEL, *BEHIND),
)
