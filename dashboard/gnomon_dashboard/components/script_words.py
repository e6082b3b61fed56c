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
    "{} of {}",
    "{} labelled by {}, {} by anyone, of {} judged",
    "Nothing is judged in this project yet, so there is nothing to compare a judge with.",
    "Nothing is left to label here. The judge brings more as answers come in.",
    "Not saved: {}",
    "The reviews cannot be read: {}",
    "No rows in this time range with these filters",
    "This query cannot be read: see above.",
    "The query failed. Narrow the time range, or try again.",
    "Query failed: {}",
    "The download failed: {}",
    "{} rows downloaded",
    "Downloading: {} rows",
    "{} trace",
    "{} traces",
    "{} call",
    "{} calls",
    "Comment",
    "I cannot tell",
    "unsure",
    "Datasets cannot be read: {}",
    "Views cannot be read: {}",
    "Save the settings of {}? What is older than the days given is deleted within an hour.",
    "Revoke {}? What uses it is refused from now on.",
    "Make a new password for {}? The old one stops working.",
    "Remove {}? Open sessions end.",
    "Download plot as a PNG",
    "Sorry, there was a problem downloading your image!",
    "Zoom",
    "Reset axes",
    "Double-click to zoom back out",
    "Double-click on legend to isolate one trace",
)


def script_words() -> Any:
    """Return the words for ``gnomonPage.word`` of assets/app.js."""
    return html.Div(
        [html.Span(word, **data(word=word)) for word in SCRIPT_WORDS], id="script-words", hidden=True
    )
