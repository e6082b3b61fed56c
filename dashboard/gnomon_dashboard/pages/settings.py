"""Settings: how the pages look, what arrives, projects and their limits, keys and people."""

from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import available_timezones

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import arrivals
from gnomon_collector.store.queries.arrivals import Arrival, Flag, Source
from gnomon_collector.store.status import StoreStatus, store_status
from gnomon_dashboard import charts, ids, rights, units
from gnomon_dashboard.components import tiles
from gnomon_dashboard.components.attributes import aria
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.components.tiles import Tile
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.pages import panel, settings_access
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.scripts import connect
from gnomon_dashboard.state import ViewState
from gnomon_dashboard.translation import LANGUAGES


def ask_store(store: Store, _view: View) -> StoreStatus | None:
    """Return how large the database is: its size is that of all projects."""
    if not rights.person().sees_all:
        return None
    return store_status(store)


def draw_store(status: StoreStatus | None, _view: View) -> Any:
    if status is None:
        return None
    place = "embedded" if status.is_embedded else "server"
    return tiles.render(
        [
            Tile("spans", "Spans stored", units.number(status.spans), None, "neither", is_compared=False),
            Tile(
                "disk", "On disk", f"{status.disk_bytes / 2**20:,.0f} MiB", None, "neither", is_compared=False
            ),
            Tile(
                "engine", "ClickHouse", status.clickhouse_version, None, "neither", place, is_compared=False
            ),
        ]
    )


def ask_arrivals(store: Store, view: View) -> list[Arrival]:
    return arrivals.arrivals(store, view.scope, view.window)


def draw_arrivals(rows: Sequence[Arrival], view: View) -> Any:
    if not rows:
        return None
    return charts.stacked({"spans": {row.time: float(row.spans) for row in rows}}, view.canvas, "count")


def draw_delay(rows: Sequence[Arrival], view: View) -> Any:
    return (
        charts.lines({"mean": {row.time: row.delay_ms for row in rows}}, view.canvas, "duration")
        if rows
        else None
    )


def draw_sources(rows: Sequence[Source], view: View) -> Any:
    if not rows:
        return None
    most = max(row.spans for row in rows)
    cells = [
        [
            Cell(row.service or "(none)"),
            Cell(f"{row.scope} {row.version}".strip() or "(none)"),
            Cell(row.dialect),
            Cell(units.whole(row.spans), share=row.spans / most),
            Cell(units.whole(row.duplicates)),
            Cell(f"{row.last_seen.astimezone(view.zone):%d %b %H:%M:%S}"),
        ]
        for row in rows
    ]
    return ranking(
        ("Service", "Instrumentation", "Dialect", "Spans", "Duplicates", "Last seen"), cells, texts=3
    )


def draw_flags(rows: Sequence[Flag], _view: View) -> Any:
    return (
        ranking(("Mended", "Spans"), [[Cell(row.flag), Cell(units.whole(row.spans))] for row in rows])
        if rows
        else None
    )


ARRIVALS: Final = (
    Panel(
        "arrivals",
        "Spans over time",
        "Spans of the project by their start.",
        "spans",
        ask_arrivals,
        draw_arrivals,
        explore="",
        empty="Nothing arrived in this time range",
    ),
    Panel(
        "arrival-delay",
        "Delay of arrival",
        "Mean time from the end of a span to its arrival here.",
        "",
        ask_arrivals,
        draw_delay,
        explore="",
        empty="Nothing arrived in this time range",
    ),
    Panel(
        "arrival-sources",
        "Who sends",
        "Services, the instrumentation that made the spans, and how they were read. Duplicates are kept,"
        " and count nothing.",
        "",
        lambda store, view: arrivals.sources(store, view.scope, view.window),
        draw_sources,
        kind="content",
        is_wide=True,
        explore="",
        empty="Nothing arrived in this time range",
    ),
)
PANELS: Final = (
    Panel(
        "settings-store",
        "The database",
        "",
        "",
        ask_store,
        draw_store,
        kind="tiles",
        empty="The size of the database is shown to who sees all projects",
    ),
    *ARRIVALS,
    *settings_access.PANELS,
    Panel(
        "arrival-flags",
        "What had to be mended",
        "Spans whose times or texts made no sense as they came, or were cut. Requests that the database"
        " refused are in gnomon quarantine.",
        "",
        lambda store, view: arrivals.flags(store, view.scope, view.window),
        draw_flags,
        kind="content",
        explore="",
        empty="Everything came as it should",
    ),
)


def layout(_path: str, view: ViewState) -> Any:
    """Return the page. The controls write cookies (assets/settings.js): the server draws with them."""
    zones = [{"value": "", "label": "As the browser says"}]
    zones += [
        {"value": name, "label": name}
        for name in sorted(available_timezones())
        if "/" in name or name == "UTC"
    ]
    return [
        html.H1("Settings", className="visually-hidden"),
        dcc.Store(id=ids.done("settings")),
        html.Div(
            [
                dmc.Select(
                    id="settings-language",
                    label="Language",
                    data=[{"value": code, "label": name} for code, name in LANGUAGES.items()],
                    size="xs",
                    w=160,
                    allowDeselect=False,
                    **aria(label="Language"),
                ),
                dmc.Select(
                    id="settings-zone",
                    label="Time zone",
                    data=zones,
                    size="xs",
                    w=240,
                    searchable=True,
                    allowDeselect=False,
                    **aria(label="Time zone"),
                ),
            ],
            className="page-bar settings-bar",
        ),
        panel.grid(PANELS),
        settings_access.forms(view.project),
    ]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, ARRIVALS, is_telemetry=True)
    panel.register(app, context, [one for one in PANELS if one not in ARRIVALS])
    settings_access.register(app, context)
    connect(
        app,
        "gnomonSettings",
        "change",
        Output(ids.done("settings"), "data"),
        Input("settings-language", "value"),
        Input("settings-zone", "value"),
    )


PAGE: Final = Entry(
    "/settings",
    "Settings",
    "Setup",
    "settings",
    layout,
    register,
    letter="e",
    layout_key=lambda view: view.project,
    panels=PANELS,
)
