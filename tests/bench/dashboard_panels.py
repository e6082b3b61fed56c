"""Every panel of every page of the dashboard as a question, found by walking the registry of pages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from plotly.utils import PlotlyJSONEncoder
from tests.bench.dashboard_questions import Case, Question, trace_cases, traces_cases
from tests.bench.generated import PROJECT

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import filters
from gnomon_dashboard import rights, state
from gnomon_dashboard.context import View
from gnomon_dashboard.pages.catalogue import PAGES
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

__all__ = ["page_paths", "panel_cases", "trace_cases"]

# What the part of a path under a page names; the rest of the pages below others are about things that the
# generated spans do not have.
_NAMED_BY: Final[Mapping[str, str]] = {
    "/sessions/": "session_id",
    "/users/": "user_id",
    "/companies/": "company_id",
    "/prompts/": "prompt_name",
}


def page_paths(store: Store) -> dict[str, Entry]:
    """Return the paths to measure with their pages: those of the navigation, and below them what has most spans."""
    paths: dict[str, Entry] = {}
    for entry in PAGES:
        if entry.is_listed:
            paths[entry.path] = entry
        for prefix in entry.under:
            if prefix in _NAMED_BY:
                paths[prefix + _most_used(store, _NAMED_BY[prefix])] = entry
    return paths


def panel_cases(store: Store, preset: str) -> Iterator[Case]:
    """Yield what every panel asks for one range, and what the Traces page asks."""
    yield Case("every page", "projects", preset, lambda store, _now: filters.projects(store))
    yield Case("every page", "values of the filters", preset, _options(preset))
    for path, entry in page_paths(store).items():
        shown = _ids(entry, path)
        for panel in entry.panels:
            if panel.id in shown:
                yield Case(f"{entry.label} {path}", panel.id, preset, _asked(panel, path, preset))
    yield from traces_cases(preset)


def _most_used(store: Store, column: str) -> str:
    rows = store.query(
        f"SELECT {column} FROM spans WHERE project = {{project:String}} AND {column} != ''"
        f" GROUP BY {column} ORDER BY count() DESC, {column} LIMIT 1",
        {"project": PROJECT},
    ).rows
    return str(rows[0][0])


def _ids(entry: Entry, path: str) -> set[str]:
    """The ids of all components of a page."""
    found: set[str] = set()
    with rights.whole_server():
        page = json.loads(json.dumps(entry.layout(path, ViewState()), cls=PlotlyJSONEncoder))
    waiting: list[object] = [page]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            found |= {one["id"]} if isinstance(one.get("id"), str) else set()
            waiting += one.values()
    return found


def _asked(panel: Panel, path: str, preset: str) -> Question:
    def ask(store: Store, now: datetime) -> object:
        with rights.whole_server():
            return panel.ask(store, view(path, preset, now))

    return ask


def _options(preset: str) -> Question:
    return lambda store, now: filters.filter_options(
        store, PROJECT, state.window(ViewState(range=preset), now)
    )


def view(path: str, preset: str, now: datetime) -> View:
    """Return what a viewer of a page sees at a time (UTC)."""
    shown = ViewState(range=preset)
    return View(shown, PROJECT, state.window(shown, now), UTC, "light", path)
