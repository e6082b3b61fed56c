"""Review: people label answers by keyboard, blind to the judge. assets/review.js fills the page."""

from typing import Any, Final

from dash import Dash, Input, Output, dcc, html

from gnomon_dashboard import ids
from gnomon_dashboard.components.attributes import aria
from gnomon_dashboard.context import Context
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.scripts import connect
from gnomon_dashboard.state import ViewState

PLACE: Final = "review"
_KEYS: Final = (
    ("1 … 9", "label"),
    ("u", "cannot tell"),
    ("s", "skip"),
    ("c", "comment"),
    ("z", "label again"),
)


def layout(_path: str, _view: ViewState) -> Any:
    """Return the page; its content comes by assets/review.js."""
    return [
        html.H1("Review", className="visually-hidden"),
        dcc.Store(id=ids.done(PLACE)),
        html.Div(
            [
                html.Div(
                    id="review-evaluators",
                    className="review-evaluators",
                    role="group",
                    **aria(label="Evaluators"),
                ),
                html.Div(
                    html.P("Loading…", className="muted"), id=PLACE, className="review", **aria(live="polite")
                ),
                html.P(
                    [part for key, word in _KEYS for part in (html.Kbd(key), html.Span(f" {word}"))],
                    className="review-keys muted",
                ),
            ],
            className="review-page",
        ),
    ]


def register(app: Dash, _context: Context) -> None:
    """Connect the page with its script."""
    connect(app, "gnomonReview", "open", Output(ids.done(PLACE), "data"), Input(ids.URL, "search"))


PAGE: Final = Entry("/review", "Review", "Quality", "review", layout, register, letter="r")
