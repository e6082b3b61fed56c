"""The examples of a dataset: what was asked, what was answered, what the answer should have been."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dash import dcc, html

from gnomon_dashboard import links
from gnomon_dashboard.components.attributes import data
from gnomon_dashboard.context import View

_NO_TEXT = "No model call answered with a text here, or its text was not kept."


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """An example as it is shown, and as a line of CSV.

    Attributes:
        is_own: what is expected was written in the dataset; else it is a correction of the trace.
    """

    example_id: str
    trace_id: str
    span_id: str
    time: datetime
    question: str
    output: str
    expected_output: str
    is_own: bool
    scores: str
    added_by: str


def examples(rows: Sequence[ExampleRow], view: View, dataset: str) -> Any:
    """Return the list; its buttons are for assets/datasets.js."""
    return html.Ol([_example(one, view, dataset) for one in rows], className="example-list")


def _example(one: ExampleRow, view: View, dataset: str) -> Any:
    source = "" if not one.expected_output else "written here" if one.is_own else "a correction of the trace"
    return html.Li(
        [
            _part("Question", one.question or _NO_TEXT),
            _part("Answer", one.output) if one.output else None,
            _part("Expected", one.expected_output, source) if one.expected_output else None,
            html.Div(
                [
                    dcc.Link("Trace", href=links.to_trace(view.state, one.trace_id, one.span_id)),
                    html.Span(f"{one.time.astimezone(view.zone):%d %b %Y %H:%M}"),
                    html.Span(one.scores, className="example-scores") if one.scores else None,
                    html.Span(f"added by {one.added_by}") if one.added_by else None,
                    _button("Expected output", "dataset-expect", one, dataset, one.expected_output),
                    _button("Remove", "dataset-remove", one, dataset),
                ],
                className="example-facts",
            ),
        ],
        className="example",
    )


def _part(title: str, text: str, note: str = "") -> Any:
    head = html.Div([title, html.Span(note, className="muted")] if note else title, className="example-head")
    return html.Div([head, html.Div(text, className="example-text", tabIndex=0)], className="example-part")


def _button(label: str, action: str, one: ExampleRow, dataset: str, expected: str = "") -> Any:
    return html.Button(
        label,
        type="button",
        className="chip-button",
        **data(action=action, dataset=dataset, example=one.example_id, expected=expected),
    )
