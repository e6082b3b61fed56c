"""Panels: a titled card with a chart, and what stands in its place while there is none."""

from typing import Any, cast

from dash import dcc, html

from gnomon_dashboard import figures, ids
from gnomon_dashboard.components.attributes import aria, data
from gnomon_dashboard.components.icons import icon


def chart_panel(
    panel: str,
    title: str,
    hint: str,
    unit: str = "",
    *,
    explore: str = "rows=calls",
    is_wide: bool = False,
) -> Any:
    """Return a panel with a chart of id `panel`; `hint` says what the figures mean.

    Args:
        explore: query string of the Traces page behind the panel; empty for none.
    """
    chart = dcc.Graph(
        id=panel, figure=figures.blank(), config=cast(Any, figures.CONFIG), responsive=True, className="chart"
    )
    return _panel(panel, title, hint, unit, chart, _menu(panel, explore, is_chart=True), is_wide)


def content_panel(
    panel: str,
    title: str,
    hint: str,
    unit: str = "",
    *,
    explore: str = "rows=calls",
    is_wide: bool = False,
) -> Any:
    """Return a panel whose content of id `panel` is HTML."""
    content = html.Div(id=panel, className="panel-content", tabIndex=0)
    return _panel(panel, title, hint, unit, content, _menu(panel, explore, is_chart=False), is_wide)


def tile_row(panel: str, title: str, waiting: Any) -> Any:
    """Return a row of tiles of id `panel`, asked for as a panel is; `waiting` stands there until then."""
    return html.Section(
        [
            html.Div(waiting, id=panel, className="tiles"),
            html.Div(id=ids.state_of(panel), className="tile-row-state"),
            dcc.Store(id=ids.asked(panel)),
        ],
        className="panel-tiles",
        **aria(label=title),
        **data(panel=panel),
    )


def skeleton() -> Any:
    """Return what stands in a panel before its first answer."""
    return html.Div(html.Div(className="loading"), className="overlay overlay-loading")


def nothing(text: str = "No calls in this time range", code: str = "") -> Any:
    """Return what stands in a panel that has nothing to show; `code` is the line that would fill it."""
    line = [html.Pre(html.Code(code), className="overlay-code")] if code else []
    return html.Div([icon("empty", 22), html.Span(text), *line], className="overlay")


def failed(message: str) -> Any:
    """Return what stands in a panel whose query failed. The refresh button tries again."""
    return html.Div(
        [
            icon("warning", 22),
            html.Strong("The query failed"),
            html.Span(message, className="overlay-message"),
            html.Button("Try again", className="chip-button retry", **data(action="retry")),
        ],
        className="overlay overlay-error",
        role="alert",
    )


def _panel(panel: str, title: str, hint: str, unit: str, content: Any, menu: Any, is_wide: bool) -> Any:
    return html.Section(
        className=f"panel panel-{panel}{' panel-wide' if is_wide else ''}",
        children=[
            html.Header(
                className="panel-head",
                children=[
                    html.H2(title),
                    html.Span(unit, className="panel-unit"),
                    html.Div(id=ids.brush_of(panel), className="panel-brush"),
                    *([_hint(hint)] if hint else []),
                    menu,
                ],
            ),
            html.Div([content, html.Div(skeleton(), id=ids.state_of(panel))], className="panel-body"),
            # written by assets/panels.js when the panel comes into sight
            dcc.Store(id=ids.asked(panel)),
        ],
        **aria(label=title),
        **data(panel=panel),
    )


def _hint(text: str) -> Any:
    """What assets/hints.js shows."""
    return html.Button(icon("info", 14), type="button", className="hint", **aria(label=text))


def _menu(panel: str, explore: str, *, is_chart: bool) -> Any:
    """What every panel offers; assets/panels.js carries it out with the address as it is then."""
    entries = [
        ("explore", "Explore these traces", explore),
        ("csv", "Download CSV", panel),
        ("png", "Download PNG", panel if is_chart else ""),
        ("sql", "Show the SQL", panel),
    ]
    buttons = [
        html.Button(label, type="button", className="menu-entry", **data(action=f"panel-{name}", value=value))
        for name, label, value in entries
        if value
    ]
    return html.Details(
        [html.Summary(icon("menu", 14), **aria(label="More")), html.Div(buttons, className="menu-entries")],
        className="panel-menu",
    )
