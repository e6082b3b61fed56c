"""A long list in pages, whose number is an option in the URL; and headings that sort it."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from dash import dcc, html

from gnomon_dashboard import state
from gnomon_dashboard.components.attributes import aria
from gnomon_dashboard.context import View

PAGE_ROWS: Final = 80
_LAST_PAGE: Final = 10_000
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
