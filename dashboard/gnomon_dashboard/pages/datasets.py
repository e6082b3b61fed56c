"""Datasets: the sets of a project, and the examples of one. assets/datasets.js writes."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

import dash_mantine_components as dmc
from dash import Dash, dcc, html

from gnomon_collector.errors import BadRequest
from gnomon_collector.store import datasets
from gnomon_collector.store.dataset_contents import Content, contents
from gnomon_collector.store.datasets import Dataset
from gnomon_collector.store.engine import Store
from gnomon_dashboard import links, units
from gnomon_dashboard.components import example_list
from gnomon_dashboard.components.attributes import aria, data
from gnomon_dashboard.components.example_list import ExampleRow
from gnomon_dashboard.components.icons import icon
from gnomon_dashboard.components.pager import find_field, offset_of, paged
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.pages import panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

FOLDER: Final = "/datasets/"
ROWS: Final = 20
_DOWNLOADS: Final = {
    "examples": "Examples (JSON Lines)",
    "fine-tuning": "Fine-tuning (JSON Lines)",
    "preferences": "Preferences (JSON Lines)",
}


def name_of(path: str) -> str:
    """Return the name of the dataset in a path; empty for the list."""
    return unquote(path.removeprefix(FOLDER))[: datasets.LONGEST_NAME] if path.startswith(FOLDER) else ""


def ask_list(store: Store, view: View) -> Sequence[Dataset]:
    return datasets.list_datasets(store, view.project)


def draw_list(found: Sequence[Dataset], view: View) -> Any:
    if not found:
        return None
    rows = [
        [
            Cell(one.name, links.to_page(f"{FOLDER}{quote(one.name, safe='')}", view.state)),
            Cell(one.description or units.NOTHING),
            Cell(one.made_by or units.NOTHING),
            Cell(units.whole(one.examples)),
            Cell(units.whole(one.corrected)),
            Cell(f"{one.added_at.astimezone(view.zone):%d %b %H:%M}" if one.added_at else units.NOTHING),
            Cell(f"{one.created_at.astimezone(view.zone):%d %b %Y}"),
        ]
        for one in found
    ]
    headers = ("Dataset", "What for", "Made by", "Examples", "Put right", "Last added", "Made")
    return ranking(headers, rows, texts=3)


def ask_examples(store: Store, view: View) -> list[ExampleRow] | None:
    """Return the examples of the page in the URL, and one more where there is another page."""
    return _rows(store, view, offset_of(view, ROWS), ROWS + 1)


def ask_all_examples(store: Store, view: View) -> list[ExampleRow] | None:
    """Return all examples that fit the search, for the CSV."""
    return _rows(store, view, 0, datasets.MOST_EXAMPLES)


def draw_examples(found: Sequence[ExampleRow] | None, view: View) -> Any:
    if not found:
        return None
    shown, pager = paged(view, found, ROWS)
    listed = example_list.examples(shown, view, name_of(view.path))
    return [listed, pager] if pager else listed


def _rows(store: Store, view: View, offset: int, limit: int) -> list[ExampleRow] | None:
    try:
        dataset = datasets.find_dataset(store, view.project, name_of(view.path))
    except BadRequest:
        return None
    text = view.state.option("find")
    found = datasets.examples(store, dataset, offset=offset, limit=limit, text=text)
    return [_row(one) for one in contents(store, found)]


def _row(content: Content) -> ExampleRow:
    one = content.example
    scores = ", ".join(
        f"{said.name} {said.label or ('' if said.value is None else f'{said.value:.2g}')}".strip()
        for said in content.scores
    )
    return ExampleRow(
        one.example_id,
        one.trace_id,
        one.span_id,
        one.happened_at,
        content.question,
        content.output,
        content.expected,
        bool(one.expected_output),
        scores,
        one.added_by,
    )


LIST: Final = Panel(
    "datasets-list",
    "Datasets",
    "Named sets of examples: for evaluation, and to fine-tune a model on. Put right: examples for which"
    " somebody wrote here what the answer should have been.",
    "",
    ask_list,
    draw_list,
    kind="content",
    explore="",
    is_wide=True,
    empty="No dataset yet: make one above, or add the result of a query on the page Traces",
)
EXAMPLES: Final = Panel(
    "dataset-examples",
    "Examples",
    "The latest added first. Expected is what was written here; else the latest correction of the trace.",
    "",
    ask_examples,
    draw_examples,
    kind="content",
    explore="",
    is_wide=True,
    empty="No example here: add traces with “Add to dataset” on the pages Traces and Trace",
    ask_all=ask_all_examples,
)


def layout(path: str, view: ViewState) -> Any:
    """Return the list, or the dataset that the path names."""
    name = name_of(path)
    return _single(name, view) if name else _list()


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, (LIST, EXAMPLES))


def _list() -> Any:
    form = html.Form(
        [
            dmc.TextInput(
                id="dataset-name", placeholder="Name", size="xs", className="field", **aria(label="Name")
            ),
            dmc.TextInput(
                id="dataset-description",
                placeholder="What it is for",
                size="xs",
                className="field wide",
                **aria(label="What it is for"),
            ),
            html.Button("New dataset", type="submit", className="chip-button active"),
            html.Span(id="dataset-state", className="alert-state", role="status"),
        ],
        id="dataset-form",
        className="dataset-form",
    )
    return [
        html.Div([html.H1("Datasets"), form], className="page-bar"),
        html.Div(panel.grid((LIST,)), className="tall"),
    ]


def _single(name: str, view: ViewState) -> Any:
    head = [
        dcc.Link("Datasets", href=links.to_page("/datasets", view), className="crumb"),
        html.Span("/", className="crumb-rule"),
        html.H1(name),
        find_field(view, "Find an example", "Trace id, or words expected"),
        _downloads(name, view),
        html.Button(
            "Delete", type="button", className="chip-button", **data(action="dataset-delete", dataset=name)
        ),
        html.Span(id="dataset-state", className="alert-state", role="status"),
    ]
    return [
        html.Div(head, className="page-bar"),
        html.Div(panel.grid((EXAMPLES,)), className="tall"),
    ]


def _downloads(name: str, view: ViewState) -> Any:
    entries = [
        html.A(
            label,
            href=f"/export/datasets/{kind}.jsonl?{urlencode({'project': view.project, 'dataset': name})}",
            className="menu-entry",
            **data(action="dataset-download"),
        )
        for kind, label in _DOWNLOADS.items()
    ]
    summary = html.Summary([icon("download", 14), html.Span("Download")], className="chip-button")
    return html.Details(
        [summary, html.Div(entries, className="menu-entries from-left")], className="panel-menu"
    )


PAGE: Final = Entry(
    "/datasets",
    "Datasets",
    "Quality",
    "dataset",
    layout,
    register,
    under=(FOLDER,),
    letter="x",
    layout_key=lambda view: view.project,
    panels=(LIST, EXAMPLES),
)
