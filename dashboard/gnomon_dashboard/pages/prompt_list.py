"""The list of prompts: what calls of each took and cost."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from dash import html

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import usage
from gnomon_collector.store.queries.usage import Group
from gnomon_dashboard import links, state, units
from gnomon_dashboard.components.pager import PAGE_ROWS, offset_of, paged, sort_headers, sorting_of
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.context import View
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

SEND: Final = 'with gnomon.session(prompt="answer@v4"):\n    ...'
"""The line of code that names a prompt."""
_Key: TypeAlias = Callable[[Group], float | str]
_SORTED: Final[dict[str, tuple[str, _Key]]] = {
    "Prompt": ("name", lambda group: group.value.lower()),
    "Calls": ("calls", lambda group: group.totals.calls),
    "p50": ("p50", lambda group: group.latency.p50_ms or 0),
    "p95": ("p95", lambda group: group.latency.p95_ms or 0),
    "Cost": ("cost", lambda group: group.totals.cost_usd),
    "Per call": ("per_call", lambda group: group.totals.cost_per_call_usd or 0),
    "Errors": ("errors", lambda group: group.totals.error_rate or 0),
}
"""Headings of the list: column in the URL, and what it sorts by."""
_MOST_PROMPTS: Final = 10_000


def ask_list(store: Store, view: View) -> list[Group]:
    """Return the prompts that fit the search, sorted as the URL says; a project has hundreds of them."""
    groups = usage.by_label(
        store, view.scope, view.window, "prompt", order="calls", limit=_MOST_PROMPTS, has_latency=True
    )
    text = view.state.option("find").lower()
    keys = dict(_SORTED.values())
    column, is_up = sorting_of(view, keys, "calls")
    found = [group for group in groups if group.value and text in group.value.lower()]
    return sorted(found, key=keys[column], reverse=not is_up)


def draw_list(groups: Sequence[Group], view: View) -> Any:
    first = offset_of(view)
    named, pages = paged(view, groups[first : first + PAGE_ROWS + 1])
    if not named:
        return pages
    most = max(group.totals.calls for group in groups)
    rows = [
        [
            Cell(group.value, address(view.state, group.value)),
            Cell(units.whole(group.totals.calls), share=group.totals.calls / most),
            Cell(units.duration(group.latency.p50_ms)),
            Cell(units.duration(group.latency.p95_ms)),
            Cell(units.usd(group.totals.cost_usd)),
            Cell(units.usd(group.totals.cost_per_call_usd)),
            Cell(units.percent(group.totals.error_rate)),
        ]
        for group in named
    ]
    columns = {header: column for header, (column, _) in _SORTED.items()}
    headers = sort_headers(view, list(_SORTED), columns, "calls", ("Prompt",))
    return html.Div([ranking(headers, rows), pages])


def address(view: ViewState, name: str, *, keep: bool = False) -> str:
    """Return the address of a prompt's page; `keep` keeps the options of the page."""
    shown = links.kept(view).with_options(**dict(view.options)) if keep else links.kept(view)
    return f"/prompts/{quote(name, safe='')}{state.to_query(shown)}"


LIST: Final = (
    Panel(
        "prompts-list",
        "Prompts",
        "Prompts that calls name. A click shows the versions of one side by side.",
        "",
        ask_list,
        draw_list,
        kind="content",
        is_wide=True,
        explore="rows=calls",
        empty="No call names its prompt",
        empty_code=SEND,
    ),
)
