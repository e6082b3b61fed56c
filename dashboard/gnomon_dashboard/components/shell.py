"""The frame around every page: navigation, project, filters, time range, refresh, theme, log out."""

from collections.abc import Sequence
from typing import Any, Final

import dash_mantine_components as dmc
from dash import dcc, html

from gnomon_dashboard import ids, theme
from gnomon_dashboard.components.attributes import aria
from gnomon_dashboard.components.empty import not_come
from gnomon_dashboard.components.icons import icon
from gnomon_dashboard.components.script_words import script_words
from gnomon_dashboard.pages.entry import Entry, in_groups
from gnomon_dashboard.state import PRESETS, REFRESHES_S

REFRESH_LABELS: Final = {0: "Off", 5: "5 s", 10: "10 s", 30: "30 s", 60: "1 min"}


def shell(pages: tuple[Entry, ...], user_menu: bool = True) -> Any:
    """Return the whole layout; pages are put into `ids.PAGE`."""
    return dmc.MantineProvider(
        id=ids.PROVIDER,
        theme=theme.MANTINE,
        defaultColorScheme="auto",
        children=[
            dcc.Location(id=ids.URL, refresh=False),
            dcc.Store(id=ids.SCHEME),
            dcc.Store(id=ids.PAGE_KEY),
            script_words(),
            dcc.Interval(id=ids.REFRESH_TIMER, interval=10_000, disabled=True),
            html.Div(
                className="shell",
                children=[
                    html.A("Skip to content", href="#content", className="skip-link"),
                    _sidebar(pages, user_menu),
                    html.Div(
                        className="main-column",
                        children=[
                            _toolbar(),
                            html.Main(
                                id="content", children=html.Div(not_come(), id=ids.PAGE, className="page")
                            ),
                        ],
                    ),
                ],
            ),
        ],
    )


def _sidebar(pages: tuple[Entry, ...], user_menu: bool) -> Any:
    groups = [
        html.Div([html.Div(group, className="nav-heading"), *map(_link, listed)], className="nav-group")
        for group, listed in in_groups(pages)
    ]
    return html.Header(
        className="sidebar",
        children=[
            html.Div(
                [html.Span(className="brand-mark"), html.Span("Gnomon", className="brand-name")],
                className="brand",
            ),
            html.Nav(groups, className="nav", **aria(label="Pages")),
            html.Div(
                className="sidebar-end", children=[_theme_button(), *([_logout()] if user_menu else [])]
            ),
        ],
    )


def _link(page: Entry) -> Any:
    return dcc.Link(
        [icon(page.shape, 17), html.Span(page.label)],
        id=page.link_id,
        href=page.path,
        className="nav-link",
        title=f"g {page.letter}" if page.letter else None,
    )


def _theme_button() -> Any:
    return html.Button(
        [icon("theme", 17), html.Span("Theme", className="label")],
        id=ids.SCHEME_TOGGLE,
        className="ghost-button",
        title="Switch between light and dark",
        **aria(label="Switch between light and dark"),
    )


def _logout() -> Any:
    return html.Form(
        html.Button(
            [icon("logout", 17), html.Span("Log out", className="label")],
            className="ghost-button",
            title="Log out",
            type="submit",
            **aria(label="Log out"),
        ),
        action="/logout",
        method="POST",
    )


def _toolbar() -> Any:
    return html.Div(
        className="toolbar",
        role="toolbar",
        children=[
            html.Div(
                className="toolbar-filters",
                children=[
                    _project_select(),
                    _multi_select(ids.SERVICES, "All services", "Services"),
                    _multi_select(ids.ENVIRONMENTS, "All environments", "Environments"),
                    _multi_select(ids.MODELS, "All models", "Models"),
                ],
            ),
            html.Div(className="toolbar-time", children=[_range(), _custom_range(), _refresh()]),
        ],
        **aria(label="Filters and time range"),
    )


def _project_select() -> Any:
    return dmc.Select(
        id=ids.PROJECT,
        data=[],
        size="xs",
        allowDeselect=False,
        searchable=True,
        placeholder="Project",
        leftSection=icon("project", 14),
        className="filter filter-project",
        **aria(label="Project"),
    )


def _multi_select(component_id: str, placeholder: str, label: str) -> Any:
    return dmc.MultiSelect(
        id=component_id,
        data=[],
        value=[],
        placeholder=placeholder,
        size="xs",
        searchable=True,
        clearable=True,
        hidePickedOptions=True,
        maxDropdownHeight=320,
        nothingFoundMessage="No such value",
        comboboxProps={"width": "max-content", "position": "bottom-start"},
        className="filter",
        **aria(label=label),
    )


def _range() -> Any:
    return dmc.SegmentedControl(
        id=ids.RANGE,
        data=[{"value": preset, "label": preset} for preset in PRESETS],
        size="xs",
        className="range",
        **aria(label="Time range"),
    )


def _custom_range() -> Any:
    fields = [
        dmc.DateTimePicker(
            id=component_id,
            label=label,
            size="xs",
            valueFormat="YYYY-MM-DD HH:mm",
            w=190,
            popoverProps={"withinPortal": False},
        )
        for component_id, label in ((ids.CUSTOM_FROM, "From"), (ids.CUSTOM_TO, "To"))
    ]
    label = [icon("calendar", 14), html.Span("Custom", id=ids.RANGE_LABEL)]
    return html.Details(
        [
            html.Summary(label, className="chip-button", title="Custom time range"),
            html.Div(
                [*fields, dmc.Button("Apply", id=ids.CUSTOM_APPLY, size="xs")],
                className="menu-entries range-form",
            ),
        ],
        id=ids.CUSTOM,
        className="panel-menu",
    )


def _refresh() -> Any:
    return html.Div(
        className="refresh",
        children=[
            html.Button(
                icon("refresh", 14),
                id=ids.REFRESH_NOW,
                className="chip-button icon-only",
                title="Refresh now",
                **aria(label="Refresh now"),
            ),
            dmc.Select(
                id=ids.REFRESH,
                data=[{"value": str(seconds), "label": REFRESH_LABELS[seconds]} for seconds in REFRESHES_S],
                size="xs",
                w=76,
                allowDeselect=False,
                className="filter-refresh",
                **aria(label="Live refresh"),
            ),
        ],
    )


def options(values: Sequence[str], chosen: Sequence[str]) -> list[dict[str, str]]:
    """Return select options: the values seen, and chosen ones that were not seen in this range."""
    everything = dict.fromkeys([*values, *chosen])
    return [{"value": value, "label": value} for value in everything if value]
