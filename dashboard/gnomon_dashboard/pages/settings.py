"""Settings: how the pages look, what arrives, projects and their limits, keys and people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import available_timezones

import dash_mantine_components as dmc
from dash import Dash, Input, html

from gnomon_collector.store import access, users
from gnomon_collector.store.access import KeyInfo
from gnomon_collector.store.engine import Store
from gnomon_collector.store.projects import ProjectSettings, project_settings
from gnomon_collector.store.queries import arrivals
from gnomon_collector.store.queries.arrivals import Arrival, Flag, ProjectSize, Source
from gnomon_collector.store.status import StoreStatus, store_status
from gnomon_collector.store.users import User
from gnomon_dashboard import charts, units
from gnomon_dashboard.components import tiles
from gnomon_dashboard.components.attributes import aria
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.components.tiles import Tile
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.pages import panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.scripts import connect
from gnomon_dashboard.state import ViewState
from gnomon_dashboard.translation import LANGUAGES


@dataclass(frozen=True, slots=True)
class Project:
    """A project, its size and what is set for it."""

    size: ProjectSize
    settings: ProjectSettings


def projects(store: Store) -> list[Project]:
    """Return every project that has calls."""
    limits = project_settings(store)
    return [
        Project(one, limits.get(one.project, ProjectSettings(one.project)))
        for one in arrivals.project_sizes(store)
    ]


def draw_store(status: StoreStatus, _view: View) -> Any:
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


def draw_projects(rows: Sequence[Project], view: View) -> Any:
    cells = [
        [
            Cell(row.size.project),
            Cell(units.number(row.size.calls)),
            Cell(units.usd(row.size.cost_usd)),
            Cell(_days(row.settings.span_days)),
            Cell(_days(row.settings.content_days)),
            Cell(units.whole(row.settings.max_spans_per_minute)),
            Cell("yes" if row.settings.mask_content else "no"),
            Cell(f"{row.size.last_seen.astimezone(view.zone):%d %b %H:%M}"),
        ]
        for row in rows
    ]
    headers = (
        "Project",
        "Calls",
        "Cost",
        "Spans kept",
        "Texts kept",
        "Spans a minute",
        "Masked",
        "Last call",
    )
    return ranking(headers, cells) if cells else None


def draw_keys(rows: Sequence[KeyInfo], view: View) -> Any:
    cells = [
        [
            Cell(f"{row.key_id}…"),
            Cell(row.name),
            Cell(row.project),
            Cell(row.scope),
            Cell("revoked" if row.revoked_at else "good", tone="" if row.revoked_at else "good"),
            Cell(f"{row.expires_at:%Y-%m-%d}" if row.expires_at else "never"),
            Cell(f"{row.created_at.astimezone(view.zone):%Y-%m-%d}"),
        ]
        for row in rows
    ]
    headers = ("Key", "Name", "Project", "Scope", "State", "Expires", "Created")
    return ranking(headers, cells, texts=5) if cells else None


def draw_users(rows: Sequence[User], view: View) -> Any:
    cells = [
        [Cell(row.username), Cell(row.role), Cell(f"{row.created_at.astimezone(view.zone):%Y-%m-%d}")]
        for row in rows
    ]
    return ranking(("User", "Role", "Created"), cells, texts=2) if cells else None


def _days(days: int | None) -> str:
    return "for good" if days is None else f"{days} days"


PANELS: Final = (
    Panel(
        "settings-store",
        "The database",
        "",
        "",
        lambda store, _view: store_status(store),
        draw_store,
        kind="tiles",
    ),
    Panel(
        "arrivals",
        "Spans over time",
        "Spans of the project by their start.",
        "spans",
        lambda store, view: arrivals.arrivals(store, view.scope, view.window),
        draw_arrivals,
        explore="",
        empty="Nothing arrived in this time range",
    ),
    Panel(
        "arrival-delay",
        "Delay of arrival",
        "Mean time from the end of a span to its arrival here.",
        "",
        lambda store, view: arrivals.arrivals(store, view.scope, view.window),
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
    Panel(
        "settings-projects",
        "Projects",
        "gnomon projects changes retention, quotas and masking.",
        "",
        lambda store, _view: projects(store),
        draw_projects,
        kind="content",
        is_wide=True,
        explore="",
        empty="No project has calls yet",
    ),
    Panel(
        "settings-keys",
        "Keys",
        "gnomon keys creates, rotates and revokes them. A key itself is shown once, when it is made.",
        "",
        lambda store, _view: access.list_keys(store),
        draw_keys,
        kind="content",
        explore="",
        empty="There are no keys",
        empty_code="gnomon keys create --project shop --scope ingest",
    ),
    Panel(
        "settings-users",
        "People",
        "gnomon users creates and removes them. A viewer may look, but not judge.",
        "",
        lambda store, _view: users.list_users(store),
        draw_users,
        kind="content",
        explore="",
        empty="Nobody has to log in",
        empty_code="gnomon users create ada --role editor",
    ),
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


def layout(_path: str, _view: ViewState) -> Any:
    """Return the page. The controls write cookies (assets/settings.js): the server draws with them."""
    zones = [{"value": "", "label": "As the browser says"}]
    zones += [
        {"value": name, "label": name}
        for name in sorted(available_timezones())
        if "/" in name or name == "UTC"
    ]
    return [
        html.H1("Settings", className="visually-hidden"),
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
    ]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, PANELS)
    connect(
        app,
        "gnomonSettings",
        "change",
        Input("settings-language", "value"),
        Input("settings-zone", "value"),
    )


PAGE: Final = Entry("/settings", "Settings", "Setup", "settings", layout, register, letter="e", panels=PANELS)
