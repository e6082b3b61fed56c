"""Objectives: how much of each error budget is left, and how it was used up."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from dash import Dash, html

from gnomon_collector.alerts.config import Slo
from gnomon_collector.alerts.model import duration_text
from gnomon_collector.alerts.slo import SloState, slo_states
from gnomon_collector.store.budgets import CONFIG_DOCUMENT, document
from gnomon_collector.store.engine import Store
from gnomon_dashboard import units
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.figures import Figure, base_layout, line, naive_time, short_name
from gnomon_dashboard.pages import panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

_MOST_LINES: Final = 7
_EXAMPLE: Final = '[[slo]]\nname = "answers"\nobjective = 0.995\nwindow = "30d"\n# latency_ms = 5000'


def ask(store: Store, view: View) -> list[SloState]:
    """Return how all objectives of the project stand, the worst first."""
    said, now = document(store, CONFIG_DOCUMENT), datetime.now(UTC)
    slos = [Slo.model_validate(one) for one in json.loads(said)["slo"]] if said else []
    wanted = [one for one in slos if one.project in ("*", view.project)]
    found = [state for slo in wanted for state in slo_states(store, slo, view.project, now)]
    return sorted(found, key=lambda one: one.budget_left if one.budget_left is not None else 2.0)


def draw_list(found: Sequence[SloState], _view: View) -> Any:
    return ranking(_HEADERS, [_row(one) for one in found], texts=3) if found else None


def draw_burn(found: Sequence[SloState], view: View) -> Figure | None:
    """Return the share of the error budget left over the window of each objective."""
    shown = [one for one in found if one.burned][:_MOST_LINES]
    if not shown:
        return None
    traces = []
    for place, one in enumerate(shown):
        times = [naive_time(time, view.zone) for time, _ in one.burned]
        values = [round(left * 100, 2) for _, left in one.burned]
        colour = view.canvas.palette.series[place % len(view.canvas.palette.series)]
        name = short_name(f"{one.slo.name} {_where(one)}")
        traces.append(line(name, times, values, colour) | {"hovertemplate": "%{y:.1f} %"})
    layout = base_layout(view.canvas)
    layout["xaxis"].pop("range")
    layout["yaxis"] |= {"ticksuffix": " %", "rangemode": "tozero"}
    return {"data": traces, "layout": layout}


def _row(one: SloState) -> list[Cell]:
    left = one.budget_left
    kind = f"faster than {units.duration(one.slo.latency_ms)}" if one.slo.latency_ms else "without failure"
    burn = "–" if one.hour_burn is None else f"{one.hour_burn:.1f}×"
    return [
        Cell(one.slo.name),
        Cell(_where(one)),
        Cell(f"{units.percent(one.slo.objective, 2)} {kind} in {duration_text(one.slo.window)}"),
        Cell(units.percent(one.good_share, 2), tone="bad" if left is not None and left < 0 else ""),
        Cell(units.percent(left, 0) if left is not None else "–", share=max(0.0, left or 0.0),
             tone="bad" if left is not None and left < 0.1 else ""),
        Cell(units.whole(one.bad)),
        Cell(units.whole(one.total)),
        Cell(burn, tone="bad" if (one.hour_burn or 0) > 6 else ""),
    ]  # fmt: skip


def _where(one: SloState) -> str:
    return ", ".join(value for value in one.labels.values() if value) or "all"


_HEADERS: Final = ("Objective", "Where", "Promise", "Kept", "Budget left", "Bad", "Calls", "Last hour")
PANELS: Final = (
    Panel("slo-list", "Objectives", "How many calls were good over each objective's own window, and what"
          " is left"
          " of its error budget. The last hour: how many times too fast it used the budget; 1 is just"
          " sustainable.",
          "", ask, draw_list, kind="content", explore="",
          empty="No objective yet: objectives stand in the alerts file", empty_code=_EXAMPLE, is_wide=True),
    Panel("slo-burn", "Error budget left", "How the error budget of the window was used up; below 0 the"
          " objective"
          " is missed.", "share of the budget", ask, draw_burn, explore="", is_wide=True,
          empty="No objective yet, or no calls in its window"),
)  # fmt: skip


def layout(_path: str, _view: ViewState) -> Any:
    """Return the page; its content comes by callbacks."""
    return [html.H1("Objectives", className="visually-hidden"), panel.grid(PANELS)]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, PANELS)


PAGE: Final = Entry("/slos", "Objectives", "Monitor", "check", layout, register, panels=PANELS)
