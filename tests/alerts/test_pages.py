"""The pages of alerts in a real Chromium, over a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import httpx
import pytest
from tests.alerts.calls import PROJECT, steady
from tests.dashboard import seed
from tests.dashboard.conftest import SECRET, served
from tests.e2e.browser import chromium, page, until  # noqa: F401

from gnomon_collector.alerts.budgets import BudgetMeter
from gnomon_collector.alerts.config import AlertConfig, default_rules, parse_rule
from gnomon_collector.alerts.engine import Engine
from gnomon_collector.alerts.rulebook import published
from gnomon_collector.alerts.watch import Grid
from gnomon_collector.store.alerts import AlertRecords
from gnomon_collector.store.budgets import CONFIG_DOCUMENT, save_document
from gnomon_collector.store.queries.filters import Scope, Window
from gnomon_dashboard.alert_figures import with_firings
from gnomon_dashboard.app import create_dashboard
from gnomon_dashboard.figures import Canvas, blank
from gnomon_dashboard.markers import Timeline
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
    hidden = "one => one.scrollHeight - one.clientHeight"
    assert page.locator("#incident-head").evaluate(hidden) <= 1, "its buttons are out of sight"
    shows(page, "#incident-causes", "server_error")
    page.locator("#incident-examples tbody a").first.click()
    page.wait_for_url("**/trace/**")


MINE = 'name = "Mine"\nmetric = "error_rate"\n[condition]\nkind = "threshold"\n'


def write_text(page: Page, text: str) -> None:  # noqa: F811
    page.get_by_role("tab", name="TOML").click()
    page.fill("#alert-rule-text", text)


def test_a_rule_is_made_in_the_form(page: Page, url: str, failing: Store) -> None:  # noqa: F811
    page.goto(f"{url}/alerts?project={PROJECT}&rule=Provider+outage&refresh=0")
    shows(page, "#alert-preview-words", "it would have fired 1 time")
    until(page, "document.querySelector('#alert-field-name')?.value === 'Provider outage'")
    page.click("#alert-duplicate")
    until(page, "document.querySelector('#alert-field-name')?.value === 'Provider outage (copy)'")
    page.fill("#alert-field-name", "By model")
    page.locator("#alert-field-metric").fill("error rate")
    page.get_by_role("option", name="Error rate (0 to 1)").click()
    page.locator("#alert-field-filter").fill("provider=openai")
    page.keyboard.press("Enter")
    page.locator("#alert-field-kind").get_by_text("Spike").click()
    page.locator("#alert-field-deviations").wait_for()
    page.fill("#alert-field-deviations", "8")
    until(page, "document.querySelector('#alert-rule-text')?.value.includes('deviations = 8')")
    shows(page, "#alert-form-note", "Only under TOML, and kept as it is: inhibits")
    page.click("[data-action=alert-save]")
    shows(page, "#alert-rule-state", "Saved: By model")
    [stored] = AlertRecords(failing).rules(PROJECT)
    rule = parse_rule(stored.definition)
    assert (rule.metric, rule.filter, rule.condition.kind) == (
        "error_rate",
        {"provider": ("openai",)},
        "spike",
    )
    page.locator("#alerts-rules").scroll_into_view_if_needed()
    shows(page, "#alerts-rules", "By model")


def test_a_rule_is_switched_off_and_on_and_deleted(page: Page, url: str, failing: Store) -> None:  # noqa: F811
    page.goto(f"{url}/alerts?project={PROJECT}&rule=By+model&refresh=0")
    until(page, "document.querySelector('#alert-field-name')?.value === 'By model'")
    page.click("#alert-switch")
    shows(page, "#alert-rule-state", "By model is off for this project")
    shows(page, "#alert-switch", "Switch on")
    assert [one.is_enabled for one in AlertRecords(failing).rules(PROJECT)] == [False]
    page.click("#alert-switch")
    shows(page, "#alert-rule-state", "By model is on again")
    page.click("[data-action=alert-delete]")
    shows(page, "#alert-rule-state", "Deleted: By model")
    assert AlertRecords(failing).rules(PROJECT) == []


def test_the_text_and_the_form_are_one_rule(page: Page, url: str) -> None:  # noqa: F811
    page.goto(f"{url}/alerts?project={PROJECT}&refresh=0")
    page.locator("#alert-rule-editor").scroll_into_view_if_needed()  # it is drawn when in sight
    until(page, "document.querySelector('#alert-field-name')?.value === 'Slow answers'")
    write_text(page, MINE)
    shows(page, "#alert-form-note", "either `above` or `below`")
    shows(page, "#alert-preview-words", "either `above` or `below`")
    page.get_by_role("tab", name="Form").click()
    until(page, "document.querySelector('#alert-field-name')?.value === 'Mine'")
    page.fill("#alert-field-limit", "0.5")
    until(page, "document.querySelector('#alert-rule-text')?.value.includes('above = 0.5')")
    shows(page, "#alert-preview-words", "it would have fired")
    write_text(page, "name = ")
    shows(page, "#alert-form-note", "Put it right under TOML")


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


def test_firings_are_bands_on_a_chart(failing: Store) -> None:
    now = datetime.now(UTC)
    palette_canvas = Canvas(palette("light"), UTC, Window(now - timedelta(hours=1), now, 60))
    incidents = AlertRecords(failing).incidents(PROJECT, since=now - timedelta(hours=1))
    figure = with_firings(blank(), incidents, palette_canvas)
    assert [shape["type"] for shape in figure["layout"]["shapes"]] == ["rect"] * len(incidents)
    assert incidents


def test_every_chart_over_time_says_what_fired(page: Page, url: str) -> None:  # noqa: F811
    for path in ("/", "/latency", "/cost"):
        page.goto(f"{url}{path}?project={PROJECT}&range=6h&refresh=0")
        page.locator(".js-plotly-plot .shapelayer path").first.wait_for(state="attached")


class Counting:
    """A store that counts what it is asked."""

    def __init__(self, store: Store) -> None:
        self.store, self.asked = store, 0

    def query(self, sql: str, parameters: object = None, **options: object) -> object:
        self.asked += 1
        return self.store.query(sql, parameters, **options)  # type: ignore[arg-type]


def test_the_charts_of_a_page_ask_once_what_happened(failing: Store) -> None:
    now = datetime.now(UTC).replace(second=30)
    counting = Counting(failing)
    timeline = Timeline(cast("Store", counting))
    window = Window(now - timedelta(hours=1), now, 60)
    first = timeline.events(Scope(PROJECT), window)
    asked = counting.asked
    again = timeline.events(Scope(PROJECT), Window(window.start, now + timedelta(seconds=1), 60))
    assert [one.rule for one in first.firings] == ["Provider outage"]
    assert again == first and counting.asked == asked
    timeline.events(Scope("another"), window)
    assert counting.asked > asked
