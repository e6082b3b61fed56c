"""The Traces page: the grid's frame. Its rows come from `gnomon_dashboard.rows`, by assets/grid.js."""

import json
from dataclasses import dataclass
from typing import Any, Final

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html

from gnomon_collector.store.queries.trace_columns import Column, Rows, columns
from gnomon_dashboard import ids
from gnomon_dashboard.components.attributes import aria, data
from gnomon_dashboard.components.dataset_menu import dataset_menu
from gnomon_dashboard.components.icons import icon
from gnomon_dashboard.context import Context
from gnomon_dashboard.pages import trace
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.scripts import connect
from gnomon_dashboard.state import ViewState


@dataclass(frozen=True, slots=True)
class Shown:
    """How a column is shown; `is_default` ones are visible until the viewer chooses."""

    header: str
    width: int
    is_default: bool = False
    renderer: str = ""


SHOWN: Final[dict[str, Shown]] = {
    "status": Shown("Success", 96, True, "GnomonStatus"),
    "name": Shown("Span name", 150, True, "GnomonLink"),
    "trace_id": Shown("Trace id", 102, True, "GnomonId"),
    "latency_ms": Shown("Latency", 96, True),
    "input": Shown("Input", 270, True),
    "output": Shown("Output", 270, True),
    "time": Shown("Time", 170, True),
    "model": Shown("Model", 150, True),
    "tokens": Shown("Tokens", 88, True),
    "cost_usd": Shown("Cost", 90, True),
    "user": Shown("User", 84, True),
    "service": Shown("Service", 140),
    "environment": Shown("Environment", 120),
    "kind": Shown("Kind", 110),
    "session": Shown("Session", 130),
    "company": Shown("Company", 120),
    "prompt": Shown("Prompt", 120),
    "prompt_version": Shown("Prompt version", 130),
    "release": Shown("Release", 100),
    "error_type": Shown("Error type", 150),
    "provider": Shown("Provider", 110),
    "finish_reason": Shown("Finish reason", 124),
    "ttft_ms": Shown("First token", 106),
    "input_tokens": Shown("Input tokens", 116),
    "output_tokens": Shown("Output tokens", 124),
    "cache_read_tokens": Shown("Cached tokens", 124),
    "cache_status": Shown("Cache", 90),
    "language": Shown("Language", 96),
    "tags": Shown("Tags", 130),
    "fallback_of": Shown("Fallback of", 130),
    "attempt": Shown("Attempt", 90),
    "calls": Shown("Model calls", 110),
    "spans": Shown("Spans", 84),
    "span_id": Shown("Span id", 112, False, "GnomonId"),
}


_THEME: Final = (
    "themeQuartz.withParams(gnomonGridTheme('light'), 'light').withParams(gnomonGridTheme('dark'), 'dark')"
)
_CONNECTIONS: Final = {
    "mount": (Input(ids.GRID, "id"), Input(ids.URL, "search")),
    "tick": (Input(ids.REFRESH_TIMER, "n_intervals"), Input(ids.REFRESH_NOW, "n_clicks")),
    "rows": (Input(ids.ROWS_SWITCH, "value"),),
    "search": (Input(ids.SEARCH, "value"),),
    "columns": (Input(ids.COLUMNS, "value"),),
    "reset": (Input(ids.RESET, "n_clicks"),),
}
"""Functions of assets/grid.js and what they follow."""


def layout(path: str, view: ViewState) -> Any:
    """Return the list, or the one trace that the path names."""
    if path == "/traces":
        return _list(view)
    return trace.layout() if trace.trace_id_of(path) else None


def _list(view: ViewState) -> Any:
    return html.Div(
        className="traces-page",
        children=[
            html.H1("Traces", className="visually-hidden"),
            *[dcc.Store(id=ids.done(name)) for name in _CONNECTIONS],
            _bar(view),
            dag.AgGrid(
                id=ids.GRID,
                rowModelType="infinite",
                columnDefs=[_definition(one, view) for one in columns(view.rows)],
                filterModel=_filter_model(view),
                defaultColDef={
                    "sortable": True,
                    "resizable": True,
                    "filter": "agTextColumnFilter",
                    "filterParams": {"buttons": ["reset"], "debounceMs": 400, "maxNumConditions": 2},
                    "suppressHeaderMenuButton": False,
                },
                dashGridOptions=_options(),
                className="traces-grid",
                style={"height": "100%", "width": "100%"},
            ),
        ],
    )


def register(app: Dash, context: Context) -> None:
    """Connect the page's controls with assets/grid.js, and add the callbacks of one trace."""
    trace.register(app, context)
    for name, inputs in _CONNECTIONS.items():
        output = Output(ids.done(name), "data")
        connect(app, "gnomonGrid", name, output, *inputs, prevent_initial_call=name != "mount")


def default_columns(rows: Rows) -> list[str]:
    """Return the ids of the columns that are visible until the viewer chooses."""
    return [one.id for one in columns(rows) if SHOWN[one.id].is_default]


def _bar(view: ViewState) -> Any:
    return html.Div(
        className="grid-bar",
        children=[
            dmc.SegmentedControl(
                id=ids.ROWS_SWITCH,
                data=[{"value": "traces", "label": "Traces"}, {"value": "calls", "label": "Calls"}],
                value=view.rows,
                size="xs",
            ),
            html.Div(
                dmc.TextInput(
                    id=ids.SEARCH,
                    value=view.text,
                    placeholder="model:gpt-4o* latency>3s text…",
                    leftSection=icon("search", 14),
                    size="xs",
                    debounce=400,
                    autoComplete="off",
                    **aria(label="Query"),
                    **data(query="bar"),
                ),
                className="grid-search query-bar",
            ),
            _language(),
            html.Span(id=ids.COUNT, className="grid-count", role="status"),
            html.Div(
                className="grid-actions",
                children=[_tail(), _views(), dataset_menu(), _column_chooser(view), _reset(), _export()],
            ),
        ],
    )


def _column_chooser(view: ViewState) -> Any:
    boxes = [dmc.Checkbox(label=SHOWN[one.id].header, value=one.id, size="xs") for one in columns(view.rows)]
    chosen = list(view.columns) or default_columns(view.rows)
    group = dmc.CheckboxGroup(id=ids.COLUMNS, value=chosen, children=html.Div(boxes, className="column-list"))
    summary = html.Summary([icon("columns", 14), html.Span("Columns")], className="chip-button")
    return html.Details(
        [summary, html.Div(group, className="menu-entries column-menu")], className="panel-menu"
    )


def _reset() -> Any:
    return html.Button(
        [icon("reset", 14), html.Span("Reset")],
        id=ids.RESET,
        className="chip-button",
        title="Forget search, column filters, sort and column choice",
    )


def _export() -> Any:
    """assets/grid.js shows how far a download is; a browser without it follows the links."""
    links = [
        html.A(
            label,
            id=component_id,
            href=f"/export/traces.{form}",
            className="menu-entry",
            title="Every row of this result",
            **data(action="export", value=form),
        )
        for component_id, form, label in (
            (ids.EXPORT, "csv", "CSV"),
            (ids.EXPORT_JSONL, "jsonl", "JSON Lines"),
        )
    ]
    summary = html.Summary([icon("download", 14), html.Span("Download")], className="chip-button")
    return html.Details([summary, html.Div(links, className="menu-entries")], className="panel-menu")


def _tail() -> Any:
    return html.Button(
        [icon("refresh", 14), html.Span("Live")],
        className="chip-button",
        title="Live tail: the newest rows every two seconds",
        **data(action="tail"),
        **aria(pressed="false"),
    )


def _views() -> Any:
    """Filled by assets/views.js when it is opened."""
    summary = html.Summary([icon("star", 14), html.Span("Views")], className="chip-button")
    return html.Details(
        [summary, html.Div(className="menu-entries views-list", **data(views="traces"))],
        className="panel-menu",
    )


def _language() -> Any:
    """What the query bar understands."""
    shown = [(html.Code(example), text) for example, text in LANGUAGE]
    rows = [html.Tr([html.Td(example), html.Td(text)]) for example, text in shown]
    summary = html.Summary(icon("info", 14), title="How to ask", **aria(label="How to ask"))
    table = html.Table(html.Tbody(rows), className="rank language")
    return html.Details(
        [summary, html.Div(table, className="menu-entries from-left")], className="panel-menu"
    )


LANGUAGE: Final = (
    ("model:gpt-4o*", "begins so; * also in front, or alone: is set"),
    ("status:error", "is so; user:u1,u2 is any of them"),
    ("latency>3s cost>=$0.01", "also < <= =; units ms s m h, %, k M"),
    ("score.groundedness<0.5", "a score of the trace"),
    ("tag:beta", "has the tag"),
    ("-env:staging", "not so"),
    ('where is my order "rule: 7"', "words in input or output; quotes around colons"),
)
"""Examples of the query language, for the help beside the bar."""


def _definition(one: Column, view: ViewState) -> dict[str, Any]:
    shown = SHOWN[one.id]
    visible = one.id in view.columns if view.columns else shown.is_default
    definition: dict[str, Any] = {
        "field": one.id,
        "colId": one.id,
        "headerName": shown.header,
        "initialWidth": shown.width,
        "hide": not visible,
        "initialSort": _initial_sort(one.id, view.sort),
        "sortingOrder": ["desc", "asc"] if one.type != "text" else ["asc", "desc"],
    }
    if one.type == "number":
        definition |= {
            "filter": "agNumberColumnFilter",
            "type": "rightAligned",
            "cellClass": ["number", "ag-right-aligned-cell"],
        }
    if one.type == "time":
        definition |= {"filter": False, "cellClass": "number"}
    if one.id in ("trace_id", "span_id"):
        definition["cellClass"] = "mono"
    if one.id in ("input", "output"):
        definition |= {"flex": 1, "minWidth": 170}
    if shown.renderer:
        definition["cellRenderer"] = shown.renderer
    return definition


def _initial_sort(column_id: str, sort: str) -> str | None:
    if sort.removeprefix("-") != column_id:
        return None
    return "desc" if sort.startswith("-") else "asc"


def _filter_model(view: ViewState) -> dict[str, Any]:
    try:
        model = json.loads(view.filter) if view.filter else {}
    except (ValueError, RecursionError):
        return {}
    known = {one.id for one in columns(view.rows)}
    return {name: item for name, item in model.items() if name in known} if isinstance(model, dict) else {}


def _options() -> dict[str, Any]:
    return {
        "theme": {"function": _THEME},
        "rowHeight": 34,
        "headerHeight": 34,
        "cacheBlockSize": 100,
        "maxConcurrentDatasourceRequests": 1,
        "blockLoadDebounceMillis": 60,
        "infiniteInitialRowCount": 30,
        "animateRows": False,
        "suppressCellFocus": False,
        "enableCellTextSelection": True,
        "tooltipShowDelay": 400,
        "suppressMultiSort": True,
    }


PAGE: Final = Entry(
    "/traces",
    "Traces",
    "Explore",
    "traces",
    layout,
    register,
    under=(trace.PREFIX,),
    letter="t",
    layout_key=lambda view: view.rows,
)
