"""What a page is to the frame: where it stands, how it is laid out, which callbacks it brings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from dash import Dash

from gnomon_dashboard.context import Context
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

Group: TypeAlias = Literal["Monitor", "Explore", "Quality", "Setup"]
GROUPS: Final[tuple[Group, ...]] = ("Monitor", "Explore", "Quality", "Setup")


@dataclass(frozen=True, slots=True)
class Entry:
    """A page.

    Attributes:
        path: address of the page; ``/`` for the first one.
        label: what the navigation calls it.
        group: heading it stands under in the navigation.
        shape: one of the ``.shape-…`` icons of assets/gnomon.css.
        layout: makes the page for a path and the view in the URL; None where the path leads to nothing.
        register: adds the page's callbacks.
        under: prefixes of further paths that belong to the page, such as ``/trace/``.
        letter: the key that opens the page after ``g``; empty for none.
        is_listed: False keeps the page out of the navigation: it is reached by links.
        layout_key: what of the view makes another layout; the same key leaves the page as it stands.
        panels: the page's panels: their SQL and CSV are served for them.
    """

    path: str
    label: str
    group: Group
    shape: str
    layout: Callable[[str, ViewState], Any]
    register: Callable[[Dash, Context], None]
    under: tuple[str, ...] = ()
    letter: str = ""
    is_listed: bool = True
    layout_key: Callable[[ViewState], str] = lambda _view: ""
    panels: tuple[Panel, ...] = ()

    @property
    def link_id(self) -> str:
        """Id of the link in the navigation."""
        return f"nav-{self.path.strip('/').replace('/', '-') or 'overview'}"

    def owns(self, path: str) -> bool:
        """Return whether a path shows this page."""
        return path == self.path or any(path.startswith(prefix) for prefix in self.under)


def find(entries: tuple[Entry, ...], path: str | None) -> Entry | None:
    """Return the page that a path shows, or None."""
    return next((one for one in entries if one.owns(path or "/")), None)


def in_groups(entries: tuple[Entry, ...]) -> list[tuple[Group, list[Entry]]]:
    """Return the pages of the navigation under their headings; headings without a page are left out."""
    groups = [(group, [one for one in entries if one.group == group and one.is_listed]) for group in GROUPS]
    return [(group, listed) for group, listed in groups if listed]
