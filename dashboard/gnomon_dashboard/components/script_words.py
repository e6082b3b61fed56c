"""The words that our scripts show: hidden in the page, where they are translated as all others are."""

from typing import Any, Final

from dash import html

from gnomon_dashboard.components.attributes import data

SCRIPT_WORDS: Final = (
    "Save",
    "Close",
    "Copy",
    "Copied",
    "Copy link",
    "Add",
    "The first ",
    " of this result to",
    "What the answer should have been",
    "Delete it for good",
    "Saved",
    "Choose good or bad, or write something.",
    "Name of a new dataset",
    "Name of this view",
    "Comment (optional)",
    "The SQL behind this panel",
    "The span as it is stored",
    "Keys",
)


def script_words() -> Any:
    """Return the words for ``gnomonPage.word`` of assets/app.js."""
    return html.Div(
        [html.Span(word, **data(word=word)) for word in SCRIPT_WORDS], id="script-words", hidden=True
    )
