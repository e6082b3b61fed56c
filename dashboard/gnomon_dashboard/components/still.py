"""HTML that no callback changes in part, handed to the browser as one component.

Dash's renderer looks at each component of the page at each answer of each callback: a thousand table cells
beside a few charts took it five seconds. See docs/adr/0027.
"""

from itertools import groupby
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component


class Still(Component):
    """A list of HTML components and texts that is drawn as it is, by assets/still.js."""

    _namespace = "gnomonComponents"
    _type = "Still"
    _prop_names = ["tree"]  # noqa: RUF012  (as Dash declares it)
    _valid_wildcard_attributes = []  # noqa: RUF012

    def __init__(self, tree: list[Any]) -> None:
        super().__init__(tree=tree)  # type: ignore[no-untyped-call]


def packed(content: Any) -> Any:
    """Return content with each part that is HTML alone made one component; what has an id or reacts stays."""
    if isinstance(content, (list, tuple)):
        runs = ((is_plain, list(run)) for is_plain, run in groupby(content, _is_plain))
        return [part for is_plain, run in runs for part in (_still(run) if is_plain else map(packed, run))]
    if _is_plain(content):
        (part,) = _still([content])
        return part
    if getattr(content, "children", None) is not None:
        content.children = packed(content.children)
    return content


def _still(parts: list[Any]) -> list[Any]:
    """One component of all, where they have more than one."""
    return [Still(parts)] if _size(parts) > 1 else parts


def _is_plain(content: Any) -> bool:
    if isinstance(content, (list, tuple)):
        return all(map(_is_plain, content))
    if not isinstance(content, Component):
        return True
    is_html = content._namespace == html.Div._namespace or isinstance(content, dcc.Link)
    return is_html and not hasattr(content, "id") and _is_plain(getattr(content, "children", None))


def _size(content: Any) -> int:
    """How many components it has."""
    if isinstance(content, (list, tuple)):
        return sum(map(_size, content))
    return 1 + _size(getattr(content, "children", None)) if isinstance(content, Component) else 0
