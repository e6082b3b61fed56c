"""The menu that adds calls to a dataset; assets/datasets.js fills it when it is opened."""

from typing import Any

from dash import html

from gnomon_dashboard.components.attributes import data
from gnomon_dashboard.components.icons import icon


def dataset_menu(trace_id: str = "", span_id: str = "") -> Any:
    """Return the menu: for one call, or without a trace for the result of the query on the page."""
    summary = html.Summary([icon("dataset", 14), html.Span("Add to dataset")], className="chip-button")
    place = html.Div(
        className="menu-entries views-list",
        **data(datasets="trace" if trace_id else "query", trace=trace_id, span=span_id),
    )
    return html.Details([summary, place], className="panel-menu dataset-menu")
