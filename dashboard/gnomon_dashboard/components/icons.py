"""Icons: shapes of our own, drawn by assets/gnomon.css as masks in the colour of the text."""

from typing import Any

from dash import html

from gnomon_dashboard.components.attributes import aria


def icon(name: str, size: int = 16) -> Any:
    """Return an icon; `name` is one of the ``.shape-…`` classes of assets/gnomon.css."""
    return html.Span(
        className=f"shape shape-{name}", style={"width": size, "height": size}, **aria(hidden="true")
    )
