"""The Drift page: its pure parts, and a real Chromium over real evaluations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.dashboard.conftest import SECRET, served
from tests.drift import traffic
from tests.drift.traffic import NOW, PROJECT
from tests.e2e.browser import chromium, page, until  # noqa: F401

from gnomon_collector.store.drift_catalogue import BY_NAME, LABELS
from gnomon_collector.store.drift_results import Cell
from gnomon_collector.store.drift_windows import ALL, DimensionSet
from gnomon_collector.store.queries.filters import Window
from gnomon_dashboard import drift_figures, state
from gnomon_dashboard.context import View
from gnomon_dashboard.figures import Canvas
from gnomon_dashboard.pages import drift
from gnomon_dashboard.theme import palette

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store

HOUR = timedelta(hours=1)
CANVAS = Canvas(palette("light"), UTC, Window(NOW - timedelta(days=3), NOW, 3600))


def view(query: str) -> View:
    parsed = state.parse(query)
    return View(parsed, PROJECT, state.window(parsed, NOW), UTC, "light", "/drift")


def test_cells_without_data_stay_empty_and_drift_is_marked() -> None:
    cells = [
        Cell(NOW - HOUR, "latency", 0.4, "ok"),
        Cell(NOW, "latency", 5.0, "drift"),
        Cell(NOW, "error", 0.0, "not_enough_data"),
    ]
    figure = drift_figures.heat_map(cells, 3600, CANVAS)
    assert figure is not None
    heat, dots = figure["data"]
    assert heat["y"] == [LABELS["error"], LABELS["latency"]]
    assert heat["z"] == [[None, None], [0.4, 2.0]], "twice the threshold is the end of the scale"
    assert heat["customdata"][0] == ["not evaluated", "not enough data"]
    assert dots["y"] == [LABELS["latency"]] and len(dots["x"]) == 1
    assert drift_figures.heat_map([], 3600, CANVAS) is None


def test_both_windows_are_drawn_as_shares_of_their_own_calls() -> None:
    numbers = drift_figures.overlaid(BY_NAME["latency"], (0, 0, 50, 50), (0, 0, 0, 0, 0, 10), CANVAS)
    assert numbers is not None
    for line in numbers["data"]:
        assert sum(line["y"]) == pytest.approx(1)
        assert line["x"] == sorted(line["x"]) and all(x > 0 for x in line["x"])
    named = drift_figures.overlaid(BY_NAME["error"], {"ok": 90, "<b>x</b>": 10}, {"ok": 3}, CANVAS)
    assert named is not None
    shares = {bar["name"]: dict(zip(bar["y"], bar["x"], strict=True)) for bar in named["data"]}
    assert shares["current"]["ok"] == 1.0 and shares["reference"]["ok"] == 0.9
    assert "<b>" not in str(named["data"][0]["y"])
    assert drift_figures.overlaid(BY_NAME["error"], {}, {}, CANVAS) is None


def test_the_url_names_the_part_of_the_traffic() -> None:
    one = DimensionSet(prompt_name="a:b & c", prompt_version="v/1")
    link = drift.address(view("?range=24h"))(one, None)
    assert link.startswith("/drift?") and "range=24h" in link
    assert drift.looked_at(view(link.removeprefix("/drift"))) == one
    assert drift.looked_at(view("?service=shop")) == DimensionSet(service_name="shop")
    assert drift.looked_at(view("?service=shop&of=all")) == ALL
    assert drift.looked_at(view("?of=nonsense")) == ALL


def test_three_days_are_shown_at_least_and_columns_are_bounded() -> None:
    start, end = drift.shown_time(view("?range=1h"))
    assert (start, end) == (NOW - timedelta(days=3), NOW)
    assert drift.step_s(view("?range=1h")) == 3600
    month = view("?range=30d")
    assert timedelta(days=30) / timedelta(seconds=drift.step_s(month)) <= 96


@pytest.fixture(scope="module")
def drifting(_embedded_database: SharedDatabase) -> Store:
    """Five days of calls, longer answers on the last one, evaluated three times; and a project with little."""
    from gnomon_collector.drift.plan import Plan
    from gnomon_collector.drift.report import evaluation
    from gnomon_collector.store import drift_results
    from gnomon_collector.store.drift_features import refresh

    store = _embedded_database.empty()
    traffic.insert(store, traffic.calls(traffic.wordier, per_hour=6, days=5))
    few = traffic.calls(per_hour=1, days=1)
    for call in few:
        call.project = "small"
    traffic.insert(store, few)
    for project in (PROJECT, "small"):
        refresh(store, project, NOW - timedelta(days=6), NOW)
        for back in (2, 1, 0):
            _, results = evaluation(store, project, Plan(), NOW - back * HOUR)
            drift_results.write(store, project, results, 3 - back)
    return store


@pytest.fixture(scope="module")
def address(drifting: Store) -> Iterator[str]:
    from gnomon_dashboard.app import create_dashboard

    def now() -> datetime:
        return NOW + timedelta(minutes=10)

    with served(create_dashboard(drifting, secret=SECRET, auth_required=False, now=now)) as url:
        yield url


def test_an_alarm_leads_to_its_explanation_and_examples(address: str, page: Page) -> None:  # noqa: F811
    page.goto(f"{address}/drift?project={PROJECT}")
    alarm = page.locator(".drift-alarms a", has_text="Output length of all traffic")
    alarm.wait_for(timeout=60_000)
    assert "characters (+" in alarm.inner_text()
    page.locator("#drift-heat .heatmaplayer image").first.wait_for(timeout=60_000)
    alarm.click()
    page.locator(".drift-title", has_text="Output length of all traffic").wait_for(timeout=60_000)
    assert "metric=output_length" in page.url
    page.locator("#drift-overlay .scatterlayer .trace").nth(1).wait_for(timeout=60_000)
    example = page.locator(".drift-examples article a").first
    example.scroll_into_view_if_needed()
    example.wait_for(timeout=60_000)
    assert "/trace/" in (example.get_attribute("href") or "")
    page.locator("#drift-sets a", has_text="service assistant").click()
    page.locator(".drift-title", has_text="service assistant").wait_for(timeout=60_000)


def test_a_project_with_little_traffic_says_how_much_is_missing(address: str, page: Page) -> None:  # noqa: F811
    page.goto(f"{address}/drift?project=small")
    quiet = page.locator(".drift-quiet")
    quiet.wait_for(timeout=60_000)
    assert "24 of 100 calls in the current window" in quiet.inner_text()
