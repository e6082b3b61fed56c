"""The interface in Russian: words of ours are exchanged, what services sent is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.testclient import TestClient
from tests.dashboard.conftest import SECRET

from gnomon_dashboard.app import create_dashboard
from gnomon_dashboard.pages import cache, cost, latency, people, prompts, settings
from gnomon_dashboard.pages.catalogue import PAGES
from gnomon_dashboard.pages.entry import GROUPS
from gnomon_dashboard.translation import language_of, translated, words

if TYPE_CHECKING:
    from gnomon_collector.store.engine import Store

RUSSIAN = words("ru")


def test_every_entry_of_the_navigation_and_every_title_has_its_word() -> None:
    panels = (*latency.PANELS, *cost.PANELS, *cache.PANELS, *prompts.ONE, *settings.PANELS)
    panels += tuple(one for page in people.PAGES for one in page.panels)
    said = {*GROUPS, *(entry.label for entry in PAGES if entry.is_listed)}
    said |= {panel.title for panel in panels if panel.kind != "tiles"}
    assert not {text for text in said if text not in RUSSIAN}


def test_only_texts_of_components_are_exchanged() -> None:
    node = {
        "props": {"children": ["Cost", {"props": {"children": "my Cost"}}], "id": "Cost", "value": "Cost"}
    }
    shown = translated(node, RUSSIAN)["props"]
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
        assert "Задержки и ошибки" in russian.text and "Latency & errors" not in russian.text
