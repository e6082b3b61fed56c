"""The pages of alerts in a real Chromium, over a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.alerts.calls import PROJECT, steady
from tests.dashboard import seed
from tests.dashboard.conftest import SECRET, served
from tests.e2e.browser import chromium, page, until  # noqa: F401

from gnomon_collector.alerts.budgets import BudgetMeter
from gnomon_collector.alerts.config import AlertConfig, default_rules
from gnomon_collector.alerts.engine import Engine
from gnomon_collector.alerts.rulebook import published
from gnomon_collector.alerts.watch import Grid
from gnomon_collector.store.alerts import AlertRecords
from gnomon_collector.store.budgets import CONFIG_DOCUMENT, save_document
from gnomon_collector.store.queries.filters import Window
from gnomon_dashboard.alert_figures import with_firings
from gnomon_dashboard.app import create_dashboard
from gnomon_dashboard.figures import Canvas, blank
from gnomon_dashboard.theme import palette

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store

CONFIG = AlertConfig.model_validate(
    {
        "channel": [{"name": "team", "url": "slack://s3cret"}],
        "budget": [{"name": "daily", "per": "user", "limit": 0.1}],
        "slo": [{"name": "answers", "objective": 0.99}],
    }
)


@pytest.fixture(scope="module")
def failing(_embedded_database: SharedDatabase) -> Store:
    """Two calm hours, and a quarter of an hour in which most calls fail, until now."""
    store = _embedded_database.empty()
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    seed.insert(store, list(steady(now - timedelta(hours=2), 105)))
    seed.insert(store, list(steady(now - timedelta(minutes=15), 14, failing=14)))
    save_document(store, CONFIG_DOCUMENT, published(CONFIG, default_rules()))
    rules = [rule for rule in default_rules() if rule.name == "Provider outage"]
    engine = Engine(store, AlertRecords(store), Grid(60, 0))
    for minute in range(14, 0, -1):
        engine.evaluate(rules, [PROJECT], now - timedelta(minutes=minute))
    BudgetMeter(store).measure(CONFIG.budgets, [PROJECT], datetime.now(UTC))
    return store


@pytest.fixture(scope="module")
def url(failing: Store) -> Iterator[str]:
    with served(create_dashboard(failing, secret=SECRET, auth_required=False)) as address:
        yield address


def shows(page: Page, selector: str, *texts: str) -> None:  # noqa: F811
    for text in texts:
        until(page, f"(document.querySelector({selector!r})?.innerText ?? '').includes({json.dumps(text)})")


def test_from_what_fires_to_the_failed_call(page: Page, url: str) -> None:  # noqa: F811
    page.goto(f"{url}/alerts?project={PROJECT}&refresh=0")
    shows(page, "#alerts-firing", "Provider outage", "provider openai")
    shows(page, "#alerts-rules", "Latency spike", "Judge stuck")
    page.locator("#alerts-firing a").first.click()
    shows(page, "#incident-head", "Provider outage (provider openai): Success rate", "it still fires")
    shows(page, "#incident-causes", "server_error")
    page.locator("#incident-examples tbody a").first.click()
    page.wait_for_url("**/trace/**")


def test_a_rule_is_tried_saved_and_deleted(page: Page, url: str, failing: Store) -> None:  # noqa: F811
    page.goto(f"{url}/alerts?project={PROJECT}&rule=Provider+outage&refresh=0")
    until(page, "document.querySelector('#alert-rule-text')?.value.includes('Provider outage')")
    page.click("#alert-preview")
    shows(page, "#alert-preview-words", "it would have fired 1 time")
    page.fill("#alert-rule-text", 'name = "Mine"\nmetric = "error_rate"\n[condition]\nkind = "threshold"\n')
    page.click("#alert-preview")
    shows(page, "#alert-preview-words", "either `above` or `below`")
    page.fill(
        "#alert-rule-text",
        'name = "Mine"\nmetric = "error_rate"\n[condition]\nkind = "threshold"\nabove = 0.5\n',
    )
    page.click("[data-action=alert-save]")
    shows(page, "#alert-rule-state", "Saved: Mine")
    assert [one.name for one in AlertRecords(failing).rules(PROJECT)] == ["Mine"]
    page.click("[data-action=alert-delete]")
    shows(page, "#alert-rule-state", "Deleted: Mine")
    assert AlertRecords(failing).rules(PROJECT) == []


def test_a_silence_begins_and_ends(page: Page, url: str, failing: Store) -> None:  # noqa: F811
    page.goto(f"{url}/alerts?project={PROJECT}&refresh=0")
    page.fill("#alert-silence-matchers", "severity=critical")
    page.click("[data-action=alert-silence]")
    shows(page, "#alert-silence-state", "Silent until")
    page.locator("#alerts-silences-list").scroll_into_view_if_needed()
    shows(page, "#alerts-silences-list", "severity=critical")
    page.click("[data-action=alert-unsilence]")
    shows(page, "#alert-silence-state", "over")
    assert AlertRecords(failing).silences(PROJECT, datetime.now(UTC)) == []


def test_budgets_and_objectives(page: Page, url: str) -> None:  # noqa: F811
    page.goto(f"{url}/budgets?project={PROJECT}&refresh=0")
    shows(page, "#budgets-limited", "u-1", "daily", "refused")
    page.goto(f"{url}/slos?project={PROJECT}&refresh=0")
    shows(page, "#slo-list", "answers", "99.00%")


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("rules", {"definition": "name = 1"}, "The rule is wrong"),
        (
            "rules/delete",
            {"definition": 'name="x"\nmetric="errors"\n[condition]\nabove=1'},
            "The rule is wrong",
        ),
        ("silences", {"matchers": "severity"}, "no matcher"),
        ("silences", {"matchers": "a=b", "length": "soon"}, "no duration"),
        ("silences", {"matchers": "a=b", "length": "400d"}, "up to 90 days"),
        ("silences/end", {"id": "x"}, "over already"),
        ("acknowledge", {"id": "x"}, "no such incident"),
    ],
)
def test_what_cannot_be_saved_is_explained(url: str, path: str, body: dict[str, str], message: str) -> None:
    answer = httpx.post(
        f"{url}/api/alerts/{path}",
        json={"project": PROJECT, **body},
        headers={"sec-fetch-site": "same-origin"},
    )
    assert answer.status_code == 400 and message in answer.json()["error"]


def test_another_site_cannot_write(url: str) -> None:
    body = {"project": PROJECT, "matchers": "a=b"}
    assert httpx.post(f"{url}/api/alerts/silences", json=body).status_code == 403


def test_firings_are_bands_on_the_overview(failing: Store) -> None:
    now = datetime.now(UTC)
    palette_canvas = Canvas(palette("light"), UTC, Window(now - timedelta(hours=1), now, 60))
    incidents = AlertRecords(failing).incidents(PROJECT, since=now - timedelta(hours=1))
    figure = with_firings(blank(), incidents, palette_canvas)
    assert [shape["type"] for shape in figure["layout"]["shapes"]] == ["rect"] * len(incidents)
    assert incidents
