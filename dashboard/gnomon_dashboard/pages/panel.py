"""A panel as data: what it asks, how it is drawn; and the callbacks that every panel gets alike.

Each panel has a callback of its own, so a slow one blocks no other. assets/panels.js asks for the panels in
sight only: the others are asked for when they are scrolled to.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from dash import Dash, Input, Output, State, ctx, dcc, html

from gnomon_collector.errors import StoreError
from gnomon_collector.store.engine import Store
from gnomon_dashboard import figures, ids, links
from gnomon_dashboard.components import panels, tiles
from gnomon_dashboard.components.still import packed
from gnomon_dashboard.context import Context, View, resolve, shared_answer
from gnomon_dashboard.markers import Events, Timeline, marked
from gnomon_dashboard.shared_answers import keep


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        hint: what the figures mean, and where they come from.
        ask: the panel's query; may raise `StoreError`.
        draw: makes the figure (chart) or the HTML (content, tiles) of an answer; None where there is nothing.
        explore: query string of the Traces page that shows the rows behind the panel; empty for none.
        empty: what stands there without an answer; `empty_code` is the line of code that fills the panel.
        is_wide: over both columns.
        ask_all: the rows for the CSV, where the panel shows a page of them.
        tiles: of a row of tiles, key and label of each one that stands there before the first answer.
        has_time_axis: a zoom on the chart offers the traces of that time, and what happened is marked on it.
    """

    id: str
    title: str
    hint: str
    unit: str
    ask: Callable[[Store, View], Any]
    draw: Callable[[Any, View], Any]
    kind: Literal["chart", "content", "tiles"] = "chart"
    explore: str = "rows=calls"
    empty: str = "No calls in this time range"
    empty_code: str = ""
    is_wide: bool = False
    has_time_axis: bool = True
    ask_all: Callable[[Store, View], Any] | None = None
    tiles: Sequence[tuple[str, str]] = ()


def grid(shown: Sequence[Panel]) -> Any:
    """Return the panels, two in a row where there is room."""
    return html.Div([card(one) for one in shown], className="panels")


def register(app: Dash, context: Context, shown: Sequence[Panel], *, is_telemetry: bool = False) -> None:
    """Add the callbacks of panels; their charts over time share what happened meanwhile.

    Args:
        is_telemetry: the panels show nothing that is changed on a page: viewers of the same share an answer,
            and panels with the same `Panel.ask` share what it returned.
    """
    timeline = Timeline(context.store)
    for one in shown:
        _register_answer(app, context, one, timeline, is_telemetry)
        if one.kind == "chart" and one.has_time_axis:
            _register_brush(app, context, one)


def answered(store: Store, view: View, panel: Panel, timeline: Timeline) -> tuple[Any, Any]:
    """Return the content of a panel, and what stands over it.

    Raises:
        StoreError: the query failed.
    """
    answer = panel.ask(store, view)
    return _drawn(
        view, panel, answer, timeline.events(view.scope, view.window) if _is_marked(panel) else None
    )


async def answered_together(
    context: Context, view: View, panel: Panel, timeline: Timeline
) -> tuple[Any, Any]:
    """Do what `answered` does, together with the panels whose `Panel.ask` is the same: one asks for all.

    What happened meanwhile is asked for beside that, once for all charts: none holds a thread to wait for it.
    """
    ask = partial(asyncio.to_thread, panel.ask, context.store, view)
    look = partial(asyncio.to_thread, timeline.events, view.scope, view.window)
    answer, events = await asyncio.gather(
        shared_answer(context, view, panel.ask, ask),
        shared_answer(context, view, Timeline, look) if _is_marked(panel) else _nothing(),
    )
    return await asyncio.to_thread(_drawn, view, panel, answer, events)


async def _nothing() -> None:
    return None


def _is_marked(panel: Panel) -> bool:
    return panel.kind == "chart" and panel.has_time_axis


def _drawn(view: View, panel: Panel, answer: Any, events: Events | None) -> tuple[Any, Any]:
    """Draw an answer; on a chart over time also what happened then."""
    drawn = panel.draw(answer, view)
    if drawn is None:
        return _blank(panel), packed(panels.nothing(panel.empty, panel.empty_code))
    return (marked(drawn, events, view.canvas) if events else packed(drawn)), None


def _blank(panel: Panel) -> Any:
    return figures.blank() if panel.kind == "chart" else None


def brushed(view: View, relayout: object, panel: Panel) -> Any:
    """Return links to what lies in a zoomed part of a chart, or None."""
    edges = zoomed(relayout, view)
    if edges is None:
        return None
    chosen = links.at(view.state, *edges)
    return [
        dcc.Link("Explore these traces", href=links.to_rows(chosen, panel.explore), className="chip-button"),
        dcc.Link("Zoom the page", href=links.to_page(view.path, chosen), className="chip-button"),
    ]


def zoomed(relayout: object, view: View) -> tuple[datetime, datetime] | None:
    """Return the time (UTC) that a chart was zoomed to, None where it was not."""
    if not isinstance(relayout, dict):
        return None
    edges = [relayout.get(f"xaxis.range[{end}]") for end in (0, 1)]
    try:
        first, last = (datetime.fromisoformat(str(edge).strip()[:26]) for edge in edges)
    except ValueError:
        return None
    start, end = (one.replace(tzinfo=view.zone).astimezone(UTC) for one in (first, last))
    return (start, end) if start < end else None


def _register_answer(
    app: Dash, context: Context, panel: Panel, timeline: Timeline, is_telemetry: bool
) -> None:
    @app.callback(
        Output(panel.id, "figure" if panel.kind == "chart" else "children"),
        Output(ids.state_of(panel.id), "children"),
        Input(ids.asked(panel.id), "data"),
        prevent_initial_call=True,
    )
    async def show(asked: dict[str, Any]) -> tuple[Any, ...]:
        view = await resolve(
            context, asked.get("search"), ctx.cookies, asked.get("scheme"), asked.get("path")
        )
        try:
            if is_telemetry:
                answer = partial(answered_together, context, view, panel, timeline)
                found: tuple[Any, ...] = await shared_answer(
                    context, view, panel.id, answer, keep(view.state.refresh_s)
                )
                return found
            return await asyncio.to_thread(answered, context.store, view, panel, timeline)
        except StoreError as error:
            return _blank(panel), packed(panels.failed(str(error)))


def _register_brush(app: Dash, context: Context, panel: Panel) -> None:
    """Offer the traces of what a chart was zoomed to."""

    @app.callback(
        Output(ids.brush_of(panel.id), "children"),
        Input(panel.id, "relayoutData"),
        State(ids.URL, "search"),
        State(ids.URL, "pathname"),
        prevent_initial_call=True,
    )
    async def show_brush(relayout: object, search: str, path: str) -> Any:
        view = await resolve(context, search, ctx.cookies, None, path)
        return brushed(view, relayout, panel)


def card(panel: Panel) -> Any:
    """Return a panel as it stands on a page before it has an answer."""
    if panel.kind == "tiles":
        return panels.tile_row(panel.id, panel.title, tiles.placeholders(panel.tiles))
    make = panels.chart_panel if panel.kind == "chart" else panels.content_panel
    return make(
        panel.id,
        panel.title,
        panel.hint,
        panel.unit,
        explore=panel.explore,
        is_wide=panel.is_wide,
    )
