"""The interface in Russian: words of ours are exchanged, what services sent is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient
from tests.dashboard import rich
from tests.dashboard.conftest import SECRET, fill
from tests.dashboard.page_words import as_json, is_word, texts, words_of_layouts
from tests.dashboard.seed import PROJECT

from gnomon_collector.quality.evaluators import built_in
from gnomon_collector.store.drift_catalogue import BY_NAME, LABELS
from gnomon_dashboard import state
from gnomon_dashboard.app import create_dashboard
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.components.script_words import words_of_scripts
from gnomon_dashboard.context import View
from gnomon_dashboard.markers import Timeline
from gnomon_dashboard.pages.catalogue import PAGES
from gnomon_dashboard.pages.panel import Panel, answered
from gnomon_dashboard.rights import whole_server
from gnomon_dashboard.translation import exchanged, gaps, language_of, plural, translated, words
from gnomon_schemas.metrics import METRICS

if TYPE_CHECKING:
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store

RUSSIAN = words("ru")
SINGLE = {"/users": "/users/rich-u1", "/sessions": "/sessions/rich-s3", "/prompts": "/prompts/reply"}
DRAWN = [
    (path, panel)
    for page in PAGES
    for path in dict.fromkeys((page.path, SINGLE.get(page.path, page.path)))
    for panel in page.panels
    if panel.kind != "chart"
]


@pytest.fixture(scope="module")
def quiet(_embedded_database: SharedDatabase) -> Store:
    store = _embedded_database.empty()
    now = datetime.now(UTC)
    fill(store, now)
    rich.fill(store, now)
    return store


def headings(store: Store, path: str, panel: Panel, now: datetime) -> Iterator[str]:
    """Yield headings of tables and labels of tiles in the answer of a panel."""
    shown = state.parse(f"?project={PROJECT}&range=24h")
    view = View(shown, PROJECT, state.window(shown, now), UTC, "light", path)
    drawn, _over = answered(store, view, panel, Timeline(store))
    for node in parts(as_json(drawn)):
        properties = node.get("props", {})
        if node.get("type") == "Th" or "tile-label" in str(properties.get("className", "")):
            yield from texts(properties.get("children"), "children")


def parts(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every component in a tree."""
    if isinstance(node, list):
        for one in node:
            yield from parts(one)
    elif isinstance(node, dict):
        if "props" in node:
            yield node
        for value in node.values():
            yield from parts(value)


def test_every_word_of_every_page_has_its_translation() -> None:
    with whole_server():
        missing = {text for text in words_of_layouts() if exchanged(text, "ru") == text}
    assert not missing


def test_every_word_of_the_scripts_is_translated_and_every_other_one_is_listed() -> None:
    assert not {word for word in words_of_scripts() if word not in RUSSIAN}
    assets = files("gnomon_dashboard") / "assets"
    sources = "".join(one.read_text() for one in assets.iterdir() if one.name.endswith(".js"))
    said = set(re.findall(r'part\("[a-z0-9]+", "[^"]*", "([^"]*[A-Za-z]{2,}[^"]*)"', sources))
    said |= set(re.findall(r'\bword\("([^"]+)"\)', sources))
    assert said <= set(words_of_scripts())


def test_headings_and_figures_of_answers_are_translated(quiet: Store) -> None:
    """What stands in an answer beside what services sent: headings of tables, and tiles."""
    now = datetime.now(UTC)
    with whole_server():
        said = {text for path, panel in DRAWN for text in headings(quiet, path, panel, now)}
    assert len(said) > 60
    assert not {text for text in said if is_word(text) and exchanged(text, "ru") == text}


def test_numbers_and_names_stand_in_the_translation() -> None:
    assert exchanged("2 critical", "ru") == "критичных: 2"
    assert exchanged("In the last 30 days it would have fired 3 times, 0.7 a week.", "ru") == (
        "За последние 30 дней сработало бы 3 раза, 0.7 в неделю."
    )
    assert exchanged("Output length: drift", "ru") == "Длина ответа: дрейф"
    assert exchanged("for 1 h 12 min", "ru") == "уже 1 ч 12 мин"
    assert exchanged("584 ms · 97.7%", "ru") == "584 мс · 97.7%"
    assert exchanged("budget s of 3 model h", "ru") == "budget s of 3 model h"
    for text in ("what a user wrote", "for example this", "a cup of tea", "the payment failed"):
        assert exchanged(text, "ru") == text
    assert exchanged("2 failed", "en") == "2 failed"
    for word, translation in RUSSIAN.items():
        assert gaps(word) == gaps(translation), word


@pytest.mark.parametrize(
    ("number", "form"),
    [
        ("1", 0),
        ("21", 0),
        ("11", 2),
        ("3", 1),
        ("12", 2),
        ("25", 2),
        ("0", 2),
        ("1.5", 1),
        ("1,002", 1),
        ("2k", 2),
    ],
)
def test_words_take_the_form_that_their_number_asks_for(number: str, form: int) -> None:
    assert plural(number) == form


def test_sentences_of_drift_and_alerts_are_translated_with_what_stands_in_them() -> None:
    for text, said in {
        "Output length: median 120 → 180 characters (+50 %), 95th percentile 300 → 402 characters (+34 %).": (
            "Длина ответа: медиана 120 → 180 символов (+50 %), 95-й перцентиль 300 → 402 символа (+34 %)."
        ),
        "Not enough data: 24 of 100 calls in the current window.": "Мало данных: 24 из 100 вызовов в текущем окне.",
        "Error rate 95.0 %, 1.2 % is normal": "Доля ошибок 95.0 %, норма 1.2 %",
        "Mean score: thumbs": "Средняя оценка: thumbs",
        "Fri 20 Nov, 12:00": "пт 20 ноя, 12:00",
        "since Fri 20 Nov, 12:00": "с пт 20 ноя, 12:00",
        "since I was young": "since I was young",
        "meet me on 12 May": "meet me on 12 May",
    }.items():
        assert exchanged(text, "ru") == said
        assert exchanged(text, "en") == text


def test_all_metrics_features_and_evaluators_have_russian_words() -> None:
    said = {text for one in METRICS for text in (one.title, one.help)}
    said |= {text for one in BY_NAME.values() for text in (one.label, one.help)} | set(LABELS.values())
    for one in built_in().values():
        said |= {
            one.title,
            one.description,
            *(label.meaning for label in (*one.labels, *one.document_labels)),
        }
    assert not {text for text in said if is_word(text) and exchanged(text, "ru") == text}


def test_verdicts_are_translated() -> None:
    scales = [label for one in built_in().values() for label in (*one.labels, *one.document_labels)]
    shown = {one.label.replace("_", " ") for one in scales} - {"first", "second"}
    assert not {label for label in shown if not is_russian(exchanged(label, "ru"))}


def test_of_a_named_thing_its_sort_is_translated_and_its_name_is_not() -> None:
    table = translated(
        as_json(ranking(("Where",), [[Cell("service of mine", "/there", kind="service")]])), "ru"
    )
    said = json.dumps(table, ensure_ascii=False)
    assert '"children": "сервис"' in said and '"children": "service of mine"' in said


def test_figures_have_their_names_and_categories_translated_but_not_what_services_sent() -> None:
    figure = {
        "data": [{"name": "limit", "y": ["Latency", "my latency"], "customdata": [["not enough data"]]}],
        "layout": {"annotations": [{"text": "limit"}]},
    }
    shown = translated({"figure": figure}, "ru")["figure"]
    assert shown["data"][0]["name"] == shown["layout"]["annotations"][0]["text"] == RUSSIAN["limit"]
    assert shown["data"][0]["y"] == [RUSSIAN["Latency"], "my latency"]


def test_answers_to_scripts_are_translated(store: Store) -> None:
    app = create_dashboard(store, secret=SECRET, auth_required=False)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        cookie = {"cookie": "gnomon_language=ru", "origin": "http://127.0.0.1"}
        body = {"project": "shop", "matchers": "service=shop", "length": "400d", "comment": ""}
        refused = client.post("/api/alerts/silences", json=body, headers=cookie)
        assert refused.status_code == 400 and is_russian(refused.json()["error"])


def is_russian(text: str) -> bool:
    return re.search("[а-я]", text) is not None


def test_only_texts_of_components_are_exchanged() -> None:
    node = {
        "props": {"children": ["Cost", {"props": {"children": "my Cost"}}], "id": "Cost", "value": "Cost"}
    }
    shown = translated(node, "ru")["props"]
    assert shown["children"][0] == RUSSIAN["Cost"]
    assert shown["children"][1]["props"]["children"] == "my Cost"
    assert (shown["id"], shown["value"]) == ("Cost", "Cost")


def test_the_cookie_says_which_language() -> None:
    assert language_of({"cookie": "a=b; gnomon_language=ru"}) == "ru"
    for cookie in ("", "gnomon_language=xx", "gnomon_language=../../etc", "garbage"):
        assert language_of({"cookie": cookie}) == "en"
    assert words("xx") == words("en") == {}


def test_the_layout_comes_in_the_language(store: Store) -> None:
    app = create_dashboard(store, secret=SECRET, auth_required=False)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert "Latency & errors" in client.get("/_dash-layout").text
        russian = client.get("/_dash-layout", headers={"cookie": "gnomon_language=ru"})
        assert "Задержки и сбои" in russian.text and "Latency & errors" not in russian.text
