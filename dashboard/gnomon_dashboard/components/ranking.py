"""A table of figures: names on the left, numbers on the right, each row a link to what it counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dash import dcc, html

from gnomon_dashboard.components.attributes import data


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell.

    Attributes:
        href: where the text leads; empty for nowhere.
        kind: what sort of thing the text names, said before it: ``service``. A word of ours, which is
            translated, where the name is not.
        share: 0..1 fills that part of the cell with a bar.
        tone: ``good`` or ``bad`` colours the text.
        action: makes a button of the text: what it does, for our scripts (``data-action``).
        value: what the button acts on (``data-value``).
    """

    text: str
    href: str = ""
    share: float | None = None
    tone: str = ""
    hint: str = ""
    action: str = ""
    value: str = ""
    kind: str = ""


def ranking(headers: Sequence[Any], rows: Sequence[Sequence[Cell]], *, texts: int = 1) -> Any:
    """Return the table; the first `texts` columns are names, the others numbers."""
    return html.Div(
        html.Table(
            [
                html.Thead(
                    html.Tr([html.Th(name, className=_kind(at, texts)) for at, name in enumerate(headers)])
                ),
                html.Tbody(
                    [html.Tr([_cell(cell, at, texts) for at, cell in enumerate(row)]) for row in rows]
                ),
            ],
            className="rank",
        ),
        className="table-scroll",
        # wide tables scroll: by keyboard too, where no link inside takes the focus
        tabIndex=None if any(cell.href or cell.action for row in rows for cell in row) else 0,
    )


def _cell(cell: Cell, at: int, texts: int) -> Any:
    """As few components as will do: Dash takes its time for each, and tables have many cells."""
    said: Any = (
        [html.Span(cell.kind), " ", html.Span(cell.text, className="data")] if cell.kind else cell.text
    )
    content: Any = dcc.Link(said, href=cell.href) if cell.href else said
    if cell.action:
        act = data(action=cell.action, value=cell.value)
        content = html.Button(cell.text, type="button", className="chip-button", **act)
    classes = [_kind(at, texts), f"change-{cell.tone}" if cell.tone else ""]
    if cell.share is not None:
        width = {"width": f"{max(0.0, min(1.0, cell.share)) * 100:.1f}%"}
        content = [html.Span(className="fill", style=width), html.Span(content, className="text")]
        classes.append("bar-cell")
    return html.Td(content, className=" ".join(filter(None, classes)), title=cell.hint or cell.text)


def _kind(at: int, texts: int) -> str:
    return "" if at < texts else "num"
