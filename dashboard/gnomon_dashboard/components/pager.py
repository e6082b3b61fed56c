"""A long list in pages, whose number is an option in the URL; headings that sort it; a field that finds."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

import dash_mantine_components as dmc
from dash import dcc, html

from gnomon_dashboard import ids, state
from gnomon_dashboard.components.attributes import aria
from gnomon_dashboard.components.icons import icon
from gnomon_dashboard.context import View
from gnomon_dashboard.state import ViewState

PAGE_ROWS: Final = 80
_LAST_PAGE: Final = 10_000
_UP: Final = ".up"
_Row = TypeVar("_Row")


def page_of(view: View) -> int:
    """Return the number of the page that the URL asks for, 1 for the first."""
    text = view.state.option("page", "1")
    return min(_LAST_PAGE, max(1, int(text))) if text.isdecimal() and len(text) < 6 else 1


def offset_of(view: View, rows: int = PAGE_ROWS) -> int:
    """Return how many rows come before the page that the URL asks for."""
    return (page_of(view) - 1) * rows


def paged(view: View, found: Sequence[_Row], rows: int = PAGE_ROWS) -> tuple[Sequence[_Row], Any]:
    """Return the rows of a page, and links to the pages beside it.

    Args:
        found: the rows of the page, and one more where there is another page
    """
    page = page_of(view)
    if page == 1 and len(found) <= rows:
        return found, None
    first = (page - 1) * rows + 1
    shown = found[:rows]
    return shown, html.Nav(
        [
            _link("← Previous", view, page - 1) if page > 1 else None,
            html.Span(f"{first:,} – {first + len(shown) - 1:,}", className="muted"),
            _link("Next →", view, page + 1) if len(found) > rows else None,
        ],
        className="pager",
        **aria(label="Pages"),
    )


def _link(label: str, view: View, page: int) -> Any:
    href = view.path + state.to_query(view.state.with_options(page=str(page) if page > 1 else ""))
    return dcc.Link(label, href=href, className="chip-button")


def find_field(view: ViewState, label: str, placeholder: str = "") -> Any:
    """Return the field that narrows a list to what has a text in it."""
    return dmc.TextInput(
        id=ids.option("find", ""),
        value=view.option("find"),
        placeholder=placeholder or label,
        leftSection=icon("search", 14),
        size="xs",
        debounce=400,
        className="grid-search",
        **aria(label=label),
    )


def sorting_of(view: View, columns: Collection[str], default: str) -> tuple[str, bool]:
    """Return the column that the URL sorts a list by, and whether the least comes first.

    Args:
        columns: those that can be sorted by; another one in the URL is ignored
        default: column, ``.up`` behind it for the least first
    """
    text = view.state.option("order", default)
    if text.removesuffix(_UP) not in columns:
        text = default
    return text.removesuffix(_UP), text.endswith(_UP)


def sort_headers(
    view: View, headers: Sequence[str], columns: Mapping[str, str], default: str, texts: Collection[str] = ()
) -> list[Any]:
    """Return headings, those of `columns` as links that sort: the greatest first, of `texts` the least.

    Args:
        columns: heading to the column in the URL
    """
    now, is_up = sorting_of(view, columns.values(), default)
    return [
        _sort_header(view, header, columns[header], now, is_up, header in texts)
        if header in columns
        else header
        for header in headers
    ]


def _sort_header(view: View, header: str, column: str, now: str, is_up: bool, is_text: bool) -> Any:
    is_now = column == now
    upward = not is_up if is_now else is_text
    wanted = f"{column}{_UP if upward else ''}"
    href = view.path + state.to_query(view.state.with_options(order=wanted, page=""))
    mark = html.Span("▲" if is_up else "▼", className="sort-mark", **aria(hidden="true"))
    return dcc.Link(
        [header, mark] if is_now else header, href=href, className="sort-link", title="Sort by this column"
    )
