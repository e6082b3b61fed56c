"""Cost & tokens: what is paid for, by whom, and what is to come."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dash import Dash, html

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import money, people, usage
from gnomon_collector.store.queries.money import JudgeSpend, Month, PriceGap, PromptCache
from gnomon_collector.store.queries.people import Person
from gnomon_collector.store.queries.usage import Group, Point, Totals
from gnomon_dashboard import charts, links, units
from gnomon_dashboard.components import tiles
from gnomon_dashboard.components.choices import choice
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.components.tiles import Tile, plain
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.pages import panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

DIMENSIONS: Final = {
    "model": "Model",
    "provider": "Provider",
    "service": "Service",
    "environment": "Environment",
    "prompt_version": "Prompt version",
    "user": "User",
    "company": "Company",
    "session": "Session",
    "language": "Language",
    "release": "Release",
    "tag": "Tag",
}
"""What cost is broken down by: a label of `usage.LABELS` and its name for people."""
COLUMN_OF: Final = {
    "model": "model",
    "provider": "provider",
    "service": "service",
    "environment": "environment",
    "user": "user",
    "company": "company",
    "session": "session",
    "language": "language",
    "release": "release",
}
"""The column of the Traces page that a label is, where there is one."""
_TOP_USERS: Final = 50


@dataclass(frozen=True, slots=True)
class Summary:
    """What the tiles show."""

    now: Totals
    before: Totals
    month: Month
    saved_usd: float
    judge_usd: float
    unpriced: int


def summary(store: Store, view: View) -> Summary:
    """Return the figures of the tiles."""
    groups = usage.by_label(store, view.scope, view.window, "environment", limit=1000)
    caches = money.prompt_caches(store, view.scope, view.window)
    judged = money.judge_spend(store, view.scope, view.window)
    now = usage.added([group.totals for group in groups])
    return Summary(
        now,
        usage.added([group.before for group in groups]),
        money.month(store, view.scope, view.window.end),
        sum(row.saved_usd or 0 for row in caches),
        sum(row.cost_usd for row in judged),
        max(0, now.with_usage - now.priced),
    )


def draw_summary(shown: Summary, view: View) -> Any:
    if not shown.now.calls:
        return None
    return tiles.render([*_spent(shown, view), *_saved(shown), *_apart(shown)])


def _spent(shown: Summary, view: View) -> list[Tile]:
    scale = view.window.previous.seconds / view.window.seconds
    change = units.change(shown.now.cost_usd * scale, shown.before.cost_usd) if shown.before.calls else None
    priced = f"{units.number(shown.now.priced)} priced calls"
    hint = "So far this month (UTC), and the mean of the last seven days for the rest of it."
    so_far = f"{units.usd(shown.month.so_far_usd)} so far"
    return [
        Tile("spend", "Cost", units.usd(shown.now.cost_usd), change, "less"),
        plain("per-call", "Cost per call", units.usd(shown.now.cost_per_call_usd), "less", priced),
        plain("forecast", "Forecast, this month", units.usd(shown.month.forecast_usd), "less", so_far, hint),
    ]


def _saved(shown: Summary) -> list[Tile]:
    share = f"{units.percent(shown.now.prompt_cache_share)} of input"
    return [plain("saved", "Saved by prompt caches", units.usd(shown.saved_usd), "more", share)]


def _apart(shown: Summary) -> list[Tile]:
    with_usage = shown.now.with_usage
    share = units.percent(shown.unpriced / with_usage) if with_usage else ""
    return [
        plain("judges", "Judges", units.usd(shown.judge_usd), "less", "apart from cost"),
        plain("unpriced", "Calls without a price", units.number(shown.unpriced), "less", share),
    ]


def dimension(view: View) -> str:
    """Return what the view breaks cost down by."""
    return view.state.option("by", "model", DIMENSIONS)


def ask_over_time(store: Store, view: View) -> list[Point]:
    return usage.over_time(store, view.scope, view.window, dimension(view))


def draw_cost(points: Sequence[Point], view: View) -> Any:
    return _stacked(points, view, lambda totals: totals.cost_usd, "usd")


def draw_tokens(points: Sequence[Point], view: View) -> Any:
    return _stacked(points, view, lambda totals: float(totals.tokens), "count")


def _stacked(
    points: Sequence[Point], view: View, value: Callable[[Totals], float], form: charts.Format
) -> Any:
    found = [(point.time, point.value, value(point.totals)) for point in points]
    if not any(amount for _, _, amount in found):
        return None
    return charts.stacked(charts.folded(found), view.canvas, form)


def draw_token_kinds(points: Sequence[Point], view: View) -> Any:
    if not any(point.totals.tokens for point in points):
        return None
    kinds: dict[str, Callable[[Totals], int]] = {
        "input, uncached": lambda one: max(0, one.input_tokens - one.cache_read_tokens),
        "input, cached": lambda one: one.cache_read_tokens,
        "output": lambda one: max(0, one.output_tokens - one.reasoning_tokens),
        "reasoning": lambda one: one.reasoning_tokens,
    }
    series = {
        name: {point.time: float(count(point.totals)) for point in points} for name, count in kinds.items()
    }
    shown = {name: values for name, values in series.items() if any(values.values())}
    return charts.stacked(shown, view.canvas, "count")


def draw_table(groups: Sequence[Group], view: View) -> Any:
    if not groups:
        return None
    by = dimension(view)
    whole = sum(group.totals.cost_usd for group in groups) or 1
    most = max(group.totals.cost_usd for group in groups) or 1
    rows = [_table_row(group, by, whole, most, view) for group in groups]
    headers = (
        DIMENSIONS[by],
        "Cost",
        "Share",
        "Change",
        "Calls",
        "Per call",
        "Tokens",
        "Cached input",
        "Errors",
    )
    return ranking(headers, rows)


def _table_row(group: Group, by: str, whole: float, most: float, view: View) -> list[Cell]:
    now = group.totals
    scale = view.window.previous.seconds / view.window.seconds
    change = units.change(now.cost_usd * scale, group.before.cost_usd)
    return [
        Cell(group.value or "(none)", _link(view, by, group.value)),
        Cell(units.usd(now.cost_usd), share=now.cost_usd / most),
        Cell(units.percent(now.cost_usd / whole)),
        Cell(units.NOTHING if change is None else f"{change * 100:+.0f}%"),
        Cell(units.whole(now.calls)),
        Cell(units.usd(now.cost_per_call_usd)),
        Cell(units.number(now.tokens)),
        Cell(units.percent(now.prompt_cache_share)),
        Cell(units.percent(now.error_rate)),
    ]


def _link(view: View, by: str, value: str) -> str:
    if not value:
        return ""
    if by in ("user", "company", "session"):
        return links.to_person(view.state, by, value)
    return links.to_calls(view.state)(COLUMN_OF[by], value) if by in COLUMN_OF else ""


def draw_users(users: Sequence[Person], view: View) -> Any:
    if not users:
        return None
    most = max(user.cost_usd for user in users) or 1
    rows = [
        [
            Cell(user.value, links.to_person(view.state, "user", user.value)),
            Cell(units.usd(user.cost_usd), share=user.cost_usd / most),
            Cell(units.whole(user.calls)),
            Cell(units.number(user.tokens)),
        ]
        for user in users
    ]
    return ranking(("User", "Cost", "Calls", "Tokens"), rows)


def draw_prompt_caches(rows: Sequence[PromptCache], view: View) -> Any:
    if not any(row.cache_read_tokens for row in rows):
        return None
    link = links.to_calls(view.state)
    cells = [
        [
            Cell(row.model or "(unnamed)", link("model", row.model) if row.model else ""),
            Cell(units.number(row.input_tokens)),
            Cell(units.number(row.cache_read_tokens)),
            Cell(
                units.percent(row.cache_read_tokens / row.input_tokens),
                share=row.cache_read_tokens / row.input_tokens,
            ),
            Cell(units.usd(row.saved_usd)),
        ]
        for row in rows
    ]
    return ranking(("Model", "Input", "From cache", "Share", "Saved"), cells)


def draw_judges(rows: Sequence[JudgeSpend], view: View) -> Any:
    points = [(row.time, row.name, row.cost_usd) for row in rows]
    return charts.stacked(charts.folded(points), view.canvas, "usd") if points else None


def draw_gaps(rows: Sequence[PriceGap], view: View) -> Any:
    if not rows:
        return None
    link = links.to_calls(view.state)
    cells = [
        [
            Cell(row.model or "(unnamed)", link("model", row.model) if row.model else ""),
            Cell(row.provider),
            Cell(units.whole(row.calls)),
            Cell(units.number(row.input_tokens + row.output_tokens)),
        ]
        for row in rows
    ]
    return ranking(("Model", "Provider", "Calls", "Tokens"), cells, texts=2)


PANELS: Final = (
    Panel(
        "cost-summary",
        "Cost at a glance",
        "",
        "",
        summary,
        draw_summary,
        kind="tiles",
    ),
    Panel(
        "cost-over-time",
        "Cost over time",
        "Computed from dated list prices over reported tokens, by what is chosen above. Models without a"
        " known price count nothing.",
        "USD",
        ask_over_time,
        draw_cost,
        explore="rows=calls&sort=-cost_usd",
        empty="No call has a known price",
    ),
    Panel(
        "tokens-over-time",
        "Tokens over time",
        "Input and output tokens of the calls that reported usage, by what is chosen above.",
        "tokens",
        ask_over_time,
        draw_tokens,
        explore="rows=calls&sort=-tokens",
        empty="No call reported tokens",
    ),
    Panel(
        "cost-table",
        "Where the money goes",
        "Cost, its share, its change against the period before (per second), and what it bought; the fifty"
        " dearest.",
        "",
        lambda store, view: usage.by_label(store, view.scope, view.window, dimension(view)),
        draw_table,
        kind="content",
        explore="rows=calls&sort=-cost_usd",
        is_wide=True,
    ),
    Panel(
        "token-kinds",
        "Tokens by kind",
        "Input tokens that the provider's prompt cache served cost a fraction of the others; reasoning"
        " tokens are paid as output.",
        "tokens",
        lambda store, view: usage.over_time(store, view.scope, view.window),
        draw_token_kinds,
        explore="rows=calls&sort=-tokens",
        empty="No call reported tokens",
    ),
    Panel(
        "top-users",
        "Top users",
        "The users whose calls cost most.",
        "",
        lambda store, view: people.people(store, view.scope, view.window, "user", limit=_TOP_USERS),
        draw_users,
        kind="content",
        explore="rows=calls&sort=-cost_usd",
        empty="No call names a user",
        empty_code='with gnomon.session(user="u-42"):\n    ...',
    ),
    Panel(
        "prompt-cache-savings",
        "Prompt caches of the providers",
        "Input tokens read from the provider's cache. Saved: cached tokens times the difference between"
        " the list prices of input and cached input, at the first tier.",
        "",
        lambda store, view: money.prompt_caches(store, view.scope, view.window),
        draw_prompt_caches,
        kind="content",
        explore="rows=calls&sort=-cache_read_tokens",
        empty="No call read from a prompt cache",
    ),
    Panel(
        "judge-spend",
        "Judges",
        "What judging answers cost, by the name of the score. It is not part of Cost.",
        "USD",
        lambda store, view: money.judge_spend(store, view.scope, view.window),
        draw_judges,
        explore="",
        empty="No judge has spent anything in this time range",
    ),
    Panel(
        "price-gaps",
        "Models without a price",
        "Calls that reported tokens of a model no price is known of: they count nothing in Cost. Add a"
        " price, then gnomon reprice.",
        "",
        lambda store, view: money.price_gaps(store, view.scope, view.window),
        draw_gaps,
        kind="content",
        empty="Every call that reported tokens has a price",
    ),
)


def layout(_path: str, view: ViewState) -> Any:
    """Return the page; its figures come by callbacks."""
    return [
        html.Div(
            [html.H1("Cost and tokens"), choice(view, "by", "model", "Break down by", DIMENSIONS)],
            className="page-bar",
        ),
        panel.grid(PANELS),
    ]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, PANELS, is_telemetry=True)


PAGE: Final = Entry(
    "/cost",
    "Cost & tokens",
    "Monitor",
    "cost",
    layout,
    register,
    letter="c",
    layout_key=lambda view: view.option("by"),
    panels=PANELS,
)
