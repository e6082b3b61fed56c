"""Budgets: who spent how much of which limit, and who was refused."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dash import Dash, html

from gnomon_collector.alerts.config import Budget
from gnomon_collector.alerts.model import in_largest_unit
from gnomon_collector.store.budgets import (
    CONFIG_DOCUMENT,
    BudgetState,
    Denials,
    budget_states,
    denials,
    document,
    spent,
)
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_facts import Window
from gnomon_dashboard import units
from gnomon_dashboard.components import tiles
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.components.tiles import Tile
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.pages import panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

_MOST: Final = 8
_UNITS_S: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_EXAMPLE: Final = '[[budget]]\nname = "daily per user"\nper = "user"\nlimit = 2.0    # USD\nwindow = "1d"'


@dataclass(frozen=True, slots=True)
class Spending:
    """The largest spenders of a budget."""

    budget: Budget
    spenders: Sequence[tuple[str, float]]


def budgets_of(store: Store, project: str) -> list[Budget]:
    """Return the budgets in force for a project."""
    said = document(store, CONFIG_DOCUMENT)
    found = [Budget.model_validate(one) for one in json.loads(said)["budget"]] if said else []
    return [one for one in found if one.enabled and one.project in ("*", project)]


def ask_spending(store: Store, view: View) -> list[Spending]:
    now = datetime.now(UTC)
    found = []
    for budget in budgets_of(store, view.project):
        window = Window(now - timedelta(seconds=budget.window), now)
        sums = spent(store, [view.project], budget.measure, budget.per, budget.filter, window)
        ranked = sorted(((name, value) for (_, name), value in sums.items()), key=lambda one: -one[1])
        found.append(Spending(budget, ranked[:_MOST]))
    return found


def draw_spending(found: Sequence[Spending], _view: View) -> Any:
    if not found:
        return None
    rows = [_row(one.budget, name, value) for one in found for name, value in one.spenders]
    return ranking(("Budget", "Who", "Used", "Spent", "Limit", "Window"), rows, texts=2)


def ask_summary(store: Store, view: View) -> tuple[list[BudgetState], list[Denials]]:
    return budget_states(store, view.project), denials(store, view.project, view.window.start)


def draw_summary(found: tuple[list[BudgetState], list[Denials]], _view: View) -> Any:
    states, refused = found
    over = [one for one in states if one.state == "over"]
    near = [one for one in states if one.state == "near"]
    return tiles.render(
        [
            _tile("over", "Over budget", len(over), _names(over)),
            _tile("near", "Near their limit", len(near), _names(near)),
            _tile("refused", "Calls refused", sum(one.denials for one in refused), "by allow"),
        ]
    )


def draw_limited(found: tuple[list[BudgetState], list[Denials]], view: View) -> Any:
    states, refused = found
    counts = {(one.budget, one.subject): one.denials for one in refused}
    rows = [
        [
            Cell(one.subject or "the project"),
            Cell(one.budget),
            Cell(f"since {one.since.astimezone(view.zone):%a %d %b, %H:%M}"),
            Cell("refused" if one.is_blocking else "told only", tone="bad" if one.is_blocking else ""),
            Cell(amount(one.measure, one.spent)),
            Cell(units.whole(counts.get((one.budget, one.subject), 0))),
            Cell(f"{one.retry_at.astimezone(view.zone):%a %H:%M}" if one.retry_at else "–"),
        ]
        for one in states
        if one.state == "over"
    ]
    headers = ("Who", "Budget", "Over", "Calls are", "Spent", "Refused", "Free at")
    return ranking(headers, rows, texts=4) if rows else None


def amount(measure: str, value: float) -> str:
    """Return what was spent, in the unit of the measure."""
    return units.usd(value) if measure == "cost_usd" else units.number(value)


def _row(budget: Budget, name: str, value: float) -> list[Cell]:
    limit = budget.limits.get(name, budget.limit)
    share = value / limit if limit else 1.0
    return [
        Cell(budget.name),
        Cell(name or "the project"),
        Cell(units.percent(share, 0), share=share, tone="bad" if share >= 1 else ""),
        Cell(amount(budget.measure, value)),
        Cell(amount(budget.measure, limit)),
        Cell(_window(budget.window)),
    ]


def _window(seconds: float) -> str:
    """The length of a window in its largest unit, no larger than days: ``30 d``, ``12 h``."""
    return " ".join(in_largest_unit(seconds, _UNITS_S))


def _tile(key: str, label: str, value: int, note: str) -> Tile:
    return Tile(f"budgets-{key}", label, units.whole(value), None, "less", note, is_compared=False)


def _names(states: Sequence[BudgetState]) -> str:
    return ", ".join(dict.fromkeys(one.subject or "the project" for one in states[:3]))


PANELS: Final = (
    Panel("budgets-tiles", "Budgets in figures", "", "", ask_summary, draw_summary, kind="tiles"),
    Panel("budgets-spending", "Who spends most", "The largest spenders of each budget over its own window,"
          " whatever the time range of the page.", "", ask_spending, draw_spending, kind="content",
          explore="", empty="No budget yet: budgets stand in the alerts file", empty_code=_EXAMPLE,
          is_wide=True),
    Panel("budgets-limited", "Who is limited", "Who used up a budget. Services that ask gnomon.allow or"
          " GET /v1/allow are told no until enough has left the window.", "", ask_summary, draw_limited,
          kind="content", explore="", empty="Nobody is over a budget", is_wide=True),
)  # fmt: skip


def layout(_path: str, _view: ViewState) -> Any:
    """Return the page; its content comes by callbacks."""
    return [html.H1("Budgets", className="visually-hidden"), panel.grid(PANELS)]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, PANELS)


PAGE: Final = Entry("/budgets", "Budgets", "Monitor", "cost", layout, register, letter="b", panels=PANELS)
