"""The words that our scripts and Plotly show: hidden in the page, translated as all others are."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from dash import html

from gnomon_dashboard.components.attributes import data


@cache
def words_of_scripts() -> tuple[str, ...]:
    """Return the words of words/scripts.json."""
    return tuple(json.loads((files("gnomon_dashboard") / "words" / "scripts.json").read_text("utf-8")))


def script_words() -> Any:
    """Return the words for ``gnomonPage.word`` of assets/app.js."""
    return html.Div(
        [html.Span(word, **data(word=word)) for word in words_of_scripts()], id="script-words", hidden=True
    )
