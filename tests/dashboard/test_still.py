"""HTML that is handed over as one component says the same; what has an id, or is no HTML, stays as it was."""

from __future__ import annotations

import json
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html
from plotly.utils import PlotlyJSONEncoder

from gnomon_dashboard.components.still import packed
from gnomon_dashboard.translation import translated


def sent(content: Any) -> Any:
    return json.loads(json.dumps(packed(content), cls=PlotlyJSONEncoder))


def plain(content: Any) -> Any:
    return json.loads(json.dumps(content, cls=PlotlyJSONEncoder))


def table() -> Any:
    return html.Table([html.Tr([html.Td("a"), html.Td(dcc.Link("b", href="/b")), 3, None]), html.Tr([])])


def test_html_alone_becomes_one_component_that_has_all_of_it() -> None:
    found = sent(table())
    assert (found["namespace"], found["type"]) == ("gnomonComponents", "Still")
    assert found["props"] == {"tree": [plain(table())]}


def test_what_has_an_id_or_reacts_stays_and_what_is_around_it_is_packed() -> None:
    page = html.Main(
        [
            html.H1("Title"),
            html.P([html.B("two"), " words"]),
            html.Div(id="panel", children=table()),
            dmc.Button(html.Span([html.I(), "Go"]), id="go"),
        ],
        className="page",
    )
    found = sent(page)
    assert (found["type"], found["props"]["className"]) == ("Main", "page")
    before, panel, button = found["props"]["children"]
    assert before["props"]["tree"] == [plain(html.H1("Title")), plain(html.P([html.B("two"), " words"]))]
    assert panel["props"]["id"] == "panel"
    assert panel["props"]["children"]["props"]["tree"] == [plain(table())]
    assert (button["type"], button["props"]["children"]["type"]) == ("Button", "Still")


def test_texts_figures_and_single_components_are_left_alone() -> None:
    figure = {"data": [], "layout": {}}
    for content in (None, "text", 3, figure, html.Span("one"), dcc.Store(id="store")):
        assert sent(content) == plain(content)


def test_packing_again_changes_nothing() -> None:
    once = packed(html.Div([table(), dcc.Store(id="store")]))
    before = plain(once)
    assert sent(once) == before


def test_its_words_are_translated_and_those_of_services_are_not() -> None:
    found = translated(sent(html.Div([html.Span("Settings"), html.Span("acme-gateway")])), "ru")
    (inner,) = found["props"]["tree"]
    texts = [span["props"]["children"] for span in inner["props"]["children"]]
    assert texts == ["Настройки", "acme-gateway"]
