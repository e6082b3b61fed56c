"""The pages Quality and Review over a judged store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.conftest import SharedDatabase
from tests.dashboard.conftest import SECRET, served
from tests.e2e.browser import chromium, page  # noqa: F401
from tests.quality.conftest import NOW, answered, insert

from gnomon_collector.store import judge_queue
from gnomon_collector.store.engine import Store
from gnomon_collector.store.judge_sampling import Sample, plan
from gnomon_dashboard.app import create_dashboard
from gnomon_dashboard.context import View
from gnomon_dashboard.markers import Timeline
from gnomon_dashboard.pages import panel, quality
from gnomon_dashboard.state import ViewState, window

HOSTILE = "<img src=x onerror=\"window.hacked=1\"> 'and' [x](javascript:alert(1))"


@pytest.fixture(scope="module")
def judged(_embedded_database: SharedDatabase) -> Store:
    store = _embedded_database.empty()
    versions = ("v1", "v2")
    insert(
        store,
        *(
            answered(
                number,
                prompt_version=versions[number % 2],
                output_text=HOSTILE,
                input_text=f"Question {number}?",
            )
            for number in range(120)
        ),
    )
    named = [("relevance", "relevance-1-x"), ("refusal", "refusal-1-x")]
    plan(
        store,
        Sample("shop", "span", "p", 1.0, named, NOW - timedelta(hours=2), NOW, NOW - timedelta(hours=3)),
    )
    ready = judge_queue.ready_tasks(
        store, "shop", [one for _, one in named], datetime.now(UTC) + timedelta(seconds=5), 1000
    )
    done = [
        replace(task, state="judged", value=float(good), label="good" if good else "bad", cost_usd=0.001)
        for task in ready
        for good in [task.prompt_version == "v1" or int(task.trace_id, 16) % 3 == 0]
    ]
    judge_queue.save_tasks(store, done, NOW)
    labels = [("good", 1.0, "it is"), ("bad", 0.0, HOSTILE)]
    rows = [
        {"name": name, "evaluator_version": version, "title": name.capitalize(), "description": HOSTILE,
         "unit": "span", "labels": labels, "judge_model": "m"}
        for name, version in named
    ]  # fmt: skip
    judge_queue.register_evaluators(store, rows, NOW)
    return store


@pytest.fixture(scope="module")
def address(judged: Store) -> Iterator[str]:
    with served(create_dashboard(judged, secret=SECRET, auth_required=False)) as url:
        yield url


def until(page: Any, holds: Callable[[], bool]) -> None:  # noqa: F811
    """Wait until something holds."""
    deadline = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < deadline, "it never did"
        page.wait_for_timeout(50)


def view(**options: str) -> View:
    state = ViewState(project="shop", range="6h").with_options(**options)
    return View(state, "shop", window(state, NOW), UTC, "light", "/quality")


def test_every_panel_draws(judged: Store) -> None:
    drawn = {one.id: panel.answered(judged, view(), one, Timeline(judged)) for one in quality.PANELS}
    empty = {name for name, (_, over) in drawn.items() if over is not None}
    assert empty == {
        "quality-satisfaction", "quality-correlation", "quality-trust", "quality-check-rates",
        "quality-check-table", "quality-canaries", "quality-cost",
    }  # fmt: skip
    assert not any("failed" in str(over) for _, over in drawn.values())


@pytest.mark.parametrize("by", ["prompt_version", "model", "service", "language", "nonsense"])
def test_groups_show_the_difference(judged: Store, by: str) -> None:
    (groups,) = [one for one in quality.PANELS if one.id == "quality-groups"]
    text = str(panel.answered(judged, view(by=by), groups, Timeline(judged))[0])
    assert all(f"by={name}" in text for name in ("model", "service", "language"))
    assert ("change-bad" in text and "v2" in text) == (by in ("prompt_version", "nonsense"))


def test_languages_stand_beside_each_other(judged: Store) -> None:
    (languages,) = [one for one in quality.PANELS if one.id == "quality-languages"]
    rows = languages.ask(judged, view())
    assert sum(row.judged for row in rows) >= 120
    assert all(0 <= one.mean <= 1 for row in rows for one in row.scores.values())
    text = str(panel.answered(judged, view(), languages, Timeline(judged))[0])
    assert all(title in text for row in rows for title in row.scores)


def test_the_review_is_blind_and_writes_one_label(address: str, judged: Store) -> None:
    with httpx.Client(base_url=address, trust_env=False, headers={"Origin": address}) as client:
        found = client.get("/api/review/progress", params={"project": "shop"}).json()
        assert {one["evaluator"]: one["judged"] for one in found["evaluators"]} == {
            "relevance": 120,
            "refusal": 120,
        }
        asked = client.post("/api/review/next", json={"project": "shop", "evaluator": "refusal"})
        assert asked.status_code == 200, asked.text
        item = asked.json()["item"]
        assert "verdict" not in asked.text and "value" not in item and item["labels"][0]["label"] == "good"
        assert [one["text"] for one in item["parts"]][-1] == HOSTILE
        body = {
            name: value
            for name, value in item.items()
            if name not in ("title", "description", "labels", "parts")
        }
        wrong = client.post("/api/review/label", json={**body, "project": "shop", "label": "superb"})
        assert wrong.status_code == 400 and "good, bad, unsure" in wrong.json()["error"]
        assert (
            client.post("/api/review/label", json={**body, "project": "shop", "label": "bad"}).status_code
            == 200
        )
        then = client.post("/api/review/next", json={"project": "shop", "evaluator": "refusal"}).json()[
            "item"
        ]
        assert then["task_id"] != item["task_id"]
    rows = judged.query(
        "SELECT label, author, value FROM scores FINAL WHERE source = 'human' AND name = 'refusal'"
    ).rows
    assert rows == [("bad", "reviewer", 0.0)]


def test_labels_by_keyboard_in_a_browser(address: str, judged: Store, page: Any) -> None:  # noqa: F811
    page.goto(f"{address}/review?project=shop")
    until(page, lambda: page.locator(".review-label").count() == 3)
    chips = page.locator("#review-evaluators button")
    until(page, lambda: chips.count() == 2)
    chips.filter(has_text="Relevance").click()
    until(page, lambda: page.locator(".review-head h2").inner_text() == "Relevance")
    first = page.locator(".review-question pre").inner_text()
    page.keyboard.press("2")
    until(page, lambda: page.locator(".review-question pre").inner_text() != first)
    page.keyboard.press("u")
    count = "SELECT count(), countIf(label = 'bad'), countIf(label = 'unsure') FROM scores FINAL WHERE source = 'human' AND name = 'relevance'"  # fmt: skip
    until(page, lambda: judged.query(count).rows == [(2, 1, 1)])
    assert page.evaluate("window.hacked") is None
