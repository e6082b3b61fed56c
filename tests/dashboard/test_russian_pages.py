"""Every page in Russian in a real Chromium: what is left in English is what services sent, code and names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.alerts.calls import steady
from tests.dashboard import rich, seed
from tests.dashboard.conftest import SECRET, fill, served
from tests.dashboard.page_words import is_word
from tests.drift import traffic
from tests.e2e.browser import chromium, page, until  # noqa: F401

from gnomon_collector.alerts.budgets import BudgetMeter
from gnomon_collector.alerts.config import AlertConfig, default_rules
from gnomon_collector.alerts.engine import Engine
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.rulebook import published
from gnomon_collector.alerts.watch import Grid
from gnomon_collector.drift.plan import Plan
from gnomon_collector.drift.report import evaluation
from gnomon_collector.store import drift_results
from gnomon_collector.store.alerts import AlertRecords
from gnomon_collector.store.budgets import CONFIG_DOCUMENT, save_document
from gnomon_collector.store.drift_features import refresh
from gnomon_dashboard.app import create_dashboard
from gnomon_dashboard.pages.catalogue import PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store

NOW: Final = traffic.NOW + timedelta(minutes=10)
HOUR: Final = timedelta(hours=1)
CONFIG: Final = AlertConfig.model_validate(
    {
        "channel": [{"name": "team", "url": "slack://s3cret"}],
        "budget": [{"name": "daily", "per": "user", "limit": 0.1}],
        "slo": [{"name": "answers", "objective": 0.99}],
    }
)
DATA: Final = (
    "td, code, pre, kbd, textarea, input, .data, .trace-name, .tile-value, .wf-name, .wf-facts, .chat, .turn,"
    " .crumb + *, .suggestions, .ag-cell, .legendtext.data, script, style, #script-words, .mono, option,"
    " .drift-examples article, .text-diff, .diff, .xtick, .ytick, [role=option], .modebar, .legendtext, .outcome-name, .alert-head, .page-bar h1,"
    " .mantine-MultiSelect-pillsList, .ag-hidden"
)
"""What holds names, texts and figures of services, and code."""
COLLECT: Final = """(data) => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const at = walk.currentNode.parentElement;
    if (at && !at.closest(data)) found.push([walk.currentNode.textContent.trim(), path(at)]);
  }
  for (const at of document.body.querySelectorAll('[title], [aria-label], [placeholder]')) {
    for (const name of ['title', 'aria-label', 'placeholder']) {
      const text = at.getAttribute(name);
      if (text && !at.closest(data.replace(' input,', '').replace(' textarea,', ''))) found.push([text, `${path(at)} @${name}`]);
    }
  }
  function path(node) {
    const named = [];
    for (let one = node; one && named.length < 3; one = one.parentElement) {
      const name = one.id ? `#${one.id}` : String(one.className?.baseVal ?? one.className).split(' ')[0];
      if (name) named.unshift(`${one.tagName.toLowerCase()}.${name}`);
    }
    return named.join(' > ');
  }
  return found;
}"""


@pytest.fixture(scope="module")
def everything(_embedded_database: SharedDatabase) -> Store:
    """A shop with all that pages show: an incident, drift, budgets, scores, caches, retries."""
    store = _embedded_database.empty()
    fill(store, NOW)
    rich.fill(store, NOW)
    seed.insert(store, list(steady(NOW - timedelta(minutes=15), 14, failing=14)))
    traffic.insert(store, traffic.calls(traffic.wordier, per_hour=6, days=5))
    save_document(store, CONFIG_DOCUMENT, published(CONFIG, default_rules()))
    _evaluate(store, NOW.replace(second=0))
    return store


def _evaluate(store: Store, now: datetime) -> None:
    condition = {"kind": "threshold", "above": 0.3}
    failing = {
        "name": "Failing",
        "metric": "error_rate",
        "group_by": ["service_name"],
        "condition": condition,
    }
    rules = [
        Rule.model_validate({**failing, "for": 0, "window": "5m", "filter": {"service_name": ["assistant"]}})
    ]
    engine = Engine(store, AlertRecords(store), Grid(60, 0))
    for minute in range(14, 0, -1):
        engine.evaluate(rules, [seed.PROJECT], now - timedelta(minutes=minute))
    BudgetMeter(store).measure(CONFIG.budgets, [seed.PROJECT], now)
    refresh(store, seed.PROJECT, traffic.NOW - timedelta(days=6), traffic.NOW)
    for back in (1, 0):
        _, results = evaluation(store, seed.PROJECT, Plan(), traffic.NOW - back * HOUR)
        drift_results.write(store, seed.PROJECT, results, 2 - back)


@pytest.fixture(scope="module")
def url(everything: Store) -> Iterator[str]:
    with served(create_dashboard(everything, secret=SECRET, auth_required=False, now=lambda: NOW)) as address:
        yield address


def addresses(store: Store) -> Iterator[str]:
    """Yield all pages, those of single things too."""
    incident = AlertRecords(store).incidents(seed.PROJECT, since=NOW - timedelta(days=1))[0].incident_id
    (trace,) = store.query("SELECT trace_id FROM spans WHERE service_name != '' LIMIT 1").rows[0]
    single = {
        "/users": "/users/rich-u1",
        "/sessions": "/sessions/rich-s3",
        "/prompts": "/prompts/reply",
        "/incident": f"/incident/{incident}",
        "/trace": f"/trace/{trace}",
        "/alerts": "/alerts?rule=Provider+outage",
        "/drift": "/drift?metric=output_length&of=all",
    }
    for entry in PAGES:
        for address in dict.fromkeys((entry.path, single.get(entry.path, entry.path))):
            yield f"{address}{'&' if '?' in address else '?'}project={seed.PROJECT}&range=24h&refresh=0"


def left_in_english(page: Page, address: str) -> dict[str, str]:  # noqa: F811
    """Return texts without a Russian word on a page, and where each stands."""
    page.goto(address)
    until(page, "document.querySelector('#page-content, main, .page') !== null")
    until(page, "!document.querySelector('[data-dash-is-loading], .skeleton, .panel-loading')")
    page.wait_for_timeout(700)
    found: list[Any] = page.evaluate(COLLECT, DATA)
    return {text: where for text, where in found if is_word(text) and not has_cyrillic(text)}


def has_cyrillic(text: str) -> bool:
    return any("а" <= letter.lower() <= "я" for letter in text)


@pytest.mark.slow
def test_no_page_is_left_in_english(page: Page, url: str, everything: Store) -> None:  # noqa: F811
    page.context.add_cookies([{"name": "gnomon_language", "value": "ru", "url": url}])
    left = {address: left_in_english(page, f"{url}{address}") for address in addresses(everything)}
    page.context.clear_cookies()
    told = [
        f"{address}: {text!r} in {where}" for address, texts in left.items() for text, where in texts.items()
    ]
    assert not told, "\n".join(told)
