"""The overview: is it slow, is it failing, is it expensive."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from dash import Dash, Input, Output, ctx, html

from gnomon_collector.errors import StoreError
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import filters, overview
from gnomon_collector.store.queries.overview import LatencySeries, ModelUsage, Outcome, TrafficSeries
from gnomon_dashboard import figures, ids, links
from gnomon_dashboard.components import empty, outcomes, tiles
from gnomon_dashboard.context import Context, View, resolve
from gnomon_dashboard.pages import glance_panel, panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

_TRAFFIC_TILES: Final = (
    ("requests", "Requests"),
    ("success", "Success rate"),
    ("cost", "Cost"),
    ("tokens", "Tokens"),
)
_LATENCY_TILES: Final = (("p50", "Latency p50"), ("p95", "Latency p95"), ("p99", "Latency p99"))


def ask_traffic(store: Store, view: View) -> TrafficSeries:
    return overview.traffic(store, view.scope, view.window)


def ask_latency(store: Store, view: View) -> LatencySeries:
    return overview.latency(store, view.scope, view.window)


def ask_usage(store: Store, view: View) -> list[ModelUsage]:
    return overview.usage_by_model(store, view.scope, view.window)


def ask_outcomes(store: Store, view: View) -> list[Outcome]:
    return overview.outcomes(store, view.scope, view.window)


def draw_traffic_tiles(series: TrafficSeries, view: View) -> Any:
    return tiles.render(tiles.traffic_tiles(series, view.window))


def draw_latency_tiles(series: LatencySeries, _view: View) -> Any:
    return tiles.render(tiles.latency_tiles(series))


def draw_quantiles(series: LatencySeries, view: View) -> Any:
    return figures.latency_over_time(series, view.canvas) if series.buckets else None


def draw_distribution(series: LatencySeries, view: View) -> Any:
    return figures.latency_distribution(series, view.canvas) if series.buckets else None


def draw_success(series: TrafficSeries, view: View) -> Any:
    return figures.success_over_time(series, view.canvas) if series.buckets else None


def draw_outcomes(rows: Sequence[Outcome], view: View) -> Any:
    return outcomes.outcome_list(rows, links.to_calls(view.state)) if rows else None


def draw_tokens(rows: Sequence[ModelUsage], view: View) -> Any:
    has_tokens = any(row.input_tokens + row.output_tokens for row in rows)
    return figures.tokens_by_model(rows, view.canvas) if has_tokens else None


def draw_cost(rows: Sequence[ModelUsage], view: View) -> Any:
    return figures.cost_by_model(rows, view.canvas) if any(row.priced for row in rows) else None


TILES: Final = (
    Panel(
        ids.TRAFFIC_TILES,
        "Requests, success, cost and tokens",
        "",
        "",
        ask_traffic,
        draw_traffic_tiles,
        kind="tiles",
        tiles=_TRAFFIC_TILES,
    ),
    Panel(
        ids.LATENCY_TILES,
        "Latency",
        "",
        "",
        ask_latency,
        draw_latency_tiles,
        kind="tiles",
        tiles=_LATENCY_TILES,
    ),
)
CHARTS: Final = (
    Panel(
        ids.LATENCY_OVER_TIME,
        "Latency over time",
        "How long calls took: half of them were faster than p50, all but one in twenty faster than p95, all"
        " but one in a hundred faster than p99. From log-spaced buckets, six to the octave.",
        "",
        ask_latency,
        draw_quantiles,
    ),
    Panel(
        ids.LATENCY_DISTRIBUTION,
        "Latency distribution",
        "Number of calls by how long they took, on a logarithmic axis.",
        "calls",
        ask_latency,
        draw_distribution,
        has_time_axis=False,
    ),
    Panel(
        ids.SUCCESS_OVER_TIME,
        "Success over time",
        "Share of calls that ended well among those that ended well or failed; cancelled calls count as"
        " neither. Bars: failed calls.",
        "",
        ask_traffic,
        draw_success,
    ),
    Panel(
        ids.SUCCESS_DISTRIBUTION,
        "Success distribution",
        "How calls ended, and the error types of those that failed. Click one to see its calls.",
        "calls",
        ask_outcomes,
        draw_outcomes,
        kind="content",
    ),
    Panel(
        ids.TOKENS_BY_MODEL,
        "Tokens by model",
        "Input and output tokens of all calls that reported usage.",
        "tokens",
        ask_usage,
        draw_tokens,
        empty="No call reported tokens",
    ),
    Panel(
        ids.COST_BY_MODEL,
        "Cost by model",
        "Computed from dated list prices over reported tokens. Models without a known price count nothing.",
        "USD",
        ask_usage,
        draw_cost,
        empty="No call has a known price",
    ),
)


def layout(_path: str, _view: ViewState) -> Any:
    """Return the page; its figures come by callbacks."""
    return [
        html.H1("Overview", className="visually-hidden"),
        html.Div(id=ids.EMPTY),
        html.Div(
            id=ids.OVERVIEW_BODY,
            children=[
                html.Div([panel.card(one) for one in TILES], className="tile-groups"),
                panel.grid((glance_panel.PANEL, *CHARTS)),
            ],
        ),
    ]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    _register_empty(app, context)
    panel.register(app, context, (glance_panel.PANEL,))
    panel.register(app, context, (*TILES, *CHARTS), is_telemetry=True)


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


PAGE: Final = Entry(
    "/",
    "Overview",
    "Monitor",
    "overview",
    layout,
    register,
    letter="o",
    panels=(*TILES, glance_panel.PANEL, *CHARTS),
)
