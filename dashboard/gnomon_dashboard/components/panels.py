"""Panels: a titled card with a chart, and what stands in its place while there is none."""

from typing import Any, cast

import dash_mantine_components as dmc
from dash import dcc, html

from gnomon_dashboard import figures, ids
from gnomon_dashboard.components.attributes import aria, data
from gnomon_dashboard.components.icons import icon


def chart_panel(panel: str, title: str, hint: str, unit: str = "") -> Any:
    """Return a panel with a chart of id `panel`; `hint` says what the figures mean."""
    chart = dcc.Graph(
        id=panel, figure=figures.blank(), config=cast(Any, figures.CONFIG), responsive=True, className="chart"
    )
    return _panel(panel, title, hint, unit, chart)


def content_panel(panel: str, title: str, hint: str, unit: str = "") -> Any:
    """Return a panel whose content of id `panel` is HTML."""
    return _panel(panel, title, hint, unit, html.Div(id=panel, className="panel-content"))


def skeleton() -> Any:
    """Return what stands in a panel before its first answer."""
    return html.Div(dmc.Skeleton(height="100%", radius="sm"), className="overlay overlay-loading")


def nothing(text: str = "No calls in this time range") -> Any:
    """Return what stands in a panel that has nothing to show."""
    return html.Div([icon("empty", 22), html.Span(text)], className="overlay")


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


def _panel(panel: str, title: str, hint: str, unit: str, content: Any) -> Any:
    return html.Section(
        className=f"panel panel-{panel}",
        children=[
            html.Header(
                className="panel-head",
                children=[
                    html.H2(title),
                    html.Span(unit, className="panel-unit"),
                    dmc.Tooltip(
                        html.Button(icon("info", 14), className="hint", **aria(label=hint)),
                        label=hint,
                        multiline=True,
                        w=280,
                        withArrow=True,
                        events={"hover": True, "focus": True, "touch": True},
                    ),
                ],
            ),
            html.Div([content, html.Div(skeleton(), id=ids.state_of(panel))], className="panel-body"),
        ],
        **aria(label=title),
    )
