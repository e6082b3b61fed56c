"""The callbacks of the frame: which page, which options, and controls that follow the URL."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from dash import Dash, Input, Output, State, ctx, no_update

from gnomon_collector.errors import StoreError
from gnomon_collector.store.queries import filters
from gnomon_dashboard import ids, links, state
from gnomon_dashboard.components import empty
from gnomon_dashboard.components.shell import options
from gnomon_dashboard.components.still import packed
from gnomon_dashboard.context import Context, View, resolve
from gnomon_dashboard.pages.entry import Entry, find
from gnomon_dashboard.rights import NotAllowed
from gnomon_dashboard.scripts import connect
from gnomon_dashboard.state import ViewState

_CONNECTIONS: Final = {
    "project": (Input(ids.PROJECT, "value"), State(ids.PROJECT, "data")),
    "filters": (
        Input(ids.SERVICES, "value"),
        Input(ids.ENVIRONMENTS, "value"),
        Input(ids.MODELS, "value"),
    ),
    "range": (Input(ids.RANGE, "value"),),
    "refresh": (Input(ids.REFRESH, "value"),),
    "customRange": (
        Input(ids.CUSTOM_APPLY, "n_clicks"),
        State(ids.CUSTOM_FROM, "value"),
        State(ids.CUSTOM_TO, "value"),
    ),
    "toggleScheme": (Input(ids.SCHEME_TOGGLE, "n_clicks"),),
    "options": (Input(ids.ANY_OPTION, "value"), State(ids.ANY_OPTION, "id")),
}
"""Functions of assets/app.js and what they follow."""
_PANELS_FOLLOW: Final = (
    Input(ids.PAGE_KEY, "data"),
    Input(ids.URL, "search"),
    Input(ids.REFRESH_TIMER, "n_intervals"),
    Input(ids.REFRESH_NOW, "n_clicks"),
    Input(ids.SCHEME, "data"),
)
"""When assets/panels.js asks for the panels in sight."""


def register(app: Dash, context: Context, pages: tuple[Entry, ...]) -> None:
    """Add the callbacks. The URL decides; a control that was changed writes to the URL (assets/app.js)."""
    _register_page(app, context, pages)
    _register_url(app, context, tuple(one for one in pages if one.is_listed))
    _register_filters(app, context)
    _register_controls(app)


def _register_page(app: Dash, context: Context, pages: tuple[Entry, ...]) -> None:
    @app.callback(
        Output(ids.PAGE, "children"),
        Output(ids.PAGE_KEY, "data"),
        Input(ids.URL, "pathname"),
        Input(ids.URL, "search"),
        State(ids.PAGE_KEY, "data"),
    )
    async def show_page(path: str, search: str, shown: str | None) -> tuple[Any, Any]:
        view = state.parse(search)
        try:
            await resolve(context, search, ctx.cookies)
        except NotAllowed as refusal:
            return empty.not_found("Not for you to see", str(refusal)), f"refused {search}"
        key = page_key(pages, path, view)
        return (no_update, no_update) if key == shown else (packed(page(pages, path, view)), key)


def _register_url(app: Dash, context: Context, listed: tuple[Entry, ...]) -> None:
    @app.callback(
        *[Output(one.link_id, "href") for one in listed],
        *[Output(one.link_id, "className") for one in listed],
        Output(ids.RANGE, "value"),
        Output(ids.RANGE_LABEL, "children"),
        Output(ids.CUSTOM_FROM, "value"),
        Output(ids.CUSTOM_TO, "value"),
        Output(ids.REFRESH, "value"),
        Output(ids.REFRESH_TIMER, "interval"),
        Output(ids.REFRESH_TIMER, "disabled"),
        Input(ids.URL, "search"),
        Input(ids.URL, "pathname"),
    )
    async def follow_url(search: str, path: str) -> tuple[Any, ...]:
        view = await resolve(context, search, ctx.cookies)
        return frame_values(listed, view, path)


def _register_filters(app: Dash, context: Context) -> None:
    @app.callback(
        Output(ids.PROJECT, "data"),
        Output(ids.PROJECT, "value"),
        Output(ids.SERVICES, "data"),
        Output(ids.SERVICES, "value"),
        Output(ids.ENVIRONMENTS, "data"),
        Output(ids.ENVIRONMENTS, "value"),
        Output(ids.MODELS, "data"),
        Output(ids.MODELS, "value"),
        Input(ids.URL, "search"),
    )
    async def follow_filters(search: str) -> tuple[Any, ...]:
        try:
            view = await resolve(context, search, ctx.cookies)
        except NotAllowed:
            return options(await context.projects.get(), []), None, [], [], [], [], [], []
        known, found = await _options(context, view)
        chosen = view.state
        return (
            options(known, [view.project]),
            view.project,
            options(found.services, chosen.services),
            list(chosen.services),
            options(found.environments, chosen.environments),
            list(chosen.environments),
            options(found.models, chosen.models),
            list(chosen.models),
        )


def page_key(pages: tuple[Entry, ...], path: str | None, view: ViewState) -> str:
    """Return what names the page's layout: another key, another layout."""
    entry = find(pages, path)
    return f"{path} {entry.layout_key(view)}" if entry else str(path)


def page(pages: tuple[Entry, ...], path: str | None, view: ViewState) -> Any:
    """Return the layout of a page."""
    entry = find(pages, path)
    shown = entry.layout(path or "/", view) if entry else None
    return shown if shown is not None else empty.not_found("No such page", "Use the navigation to go on.")


def frame_values(listed: tuple[Entry, ...], view: View, path: str | None) -> tuple[Any, ...]:
    """Return where the navigation leads, and the values of the time and refresh controls."""
    shown = view.state
    active = find(listed, path)
    return (
        *[links.to_page(one.path, shown) for one in listed],
        *["nav-link active" if one == active else "nav-link" for one in listed],
        None if shown.is_custom else shown.range,
        _custom_label(view) if shown.is_custom else "Custom",
        *[f"{moment.astimezone(view.zone):%Y-%m-%d %H:%M:%S}" for moment in _edges(view)],
        str(shown.refresh_s),
        max(1, shown.refresh_s) * 1000,
        shown.refresh_s == 0 or shown.is_custom,
    )


def _edges(view: View) -> tuple[datetime, datetime]:
    return view.state.start or view.window.start, view.state.end or view.window.end


def _custom_label(view: View) -> str:
    start, end = (moment.astimezone(view.zone) for moment in _edges(view))
    if start.date() == end.date():
        return f"{start:%d %b %H:%M} – {end:%H:%M}"
    return f"{start:%d %b %H:%M} – {end:%d %b %H:%M}"


async def _options(context: Context, view: View) -> tuple[Sequence[str], filters.FilterOptions]:
    try:
        known = await context.projects.get()
        found = await asyncio.to_thread(filters.filter_options, context.store, view.project, view.window)
    except StoreError:
        return (), filters.FilterOptions((), (), ())
    return known, found


def _register_controls(app: Dash) -> None:
    """Connect controls with assets/app.js, which writes to the URL: for a callback that would be a circle."""
    for name, inputs in _CONNECTIONS.items():
        connect(app, "gnomon", name, *inputs, prevent_initial_call=True)
    connect(app, "gnomonPanels", "follow", *_PANELS_FOLLOW)
