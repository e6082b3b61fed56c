"""The pages beside Overview, Traces and Trace in a real Chromium: filled, readable for everybody, by keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.dashboard import rich, seed
from tests.dashboard.conftest import SECRET, fill, served
from tests.e2e.browser import chromium, page, until  # noqa: F401

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store

PATHS = (
    "/",
    "/latency",
    "/cost",
    "/cache",
    "/sessions",
    "/sessions/rich-s3",
    "/users",
    "/users/rich-u1",
    "/companies",
    "/prompts",
    "/prompts/reply",
    "/traces",
    "/settings",
)
SHOWN = ".tile-value:not(.loading), .panel .rank tbody tr, .ag-row .cell-link, .js-plotly-plot .main-svg"
LARGE = 10_000


@pytest.fixture(scope="module")
def trace_ids() -> list[str]:
    return []


@pytest.fixture(scope="module")
def shop(_embedded_database: SharedDatabase, trace_ids: list[str]) -> Store:
    store = _embedded_database.empty()
    now = datetime.now(UTC)
    fill(store, now)
    trace_ids += rich.fill(store, now)
    return store


@pytest.fixture(scope="module")
def open_address(shop: Store) -> Iterator[str]:
    """Base URL of a dashboard that asks nobody to log in."""
    from gnomon_dashboard.app import create_dashboard

    with served(create_dashboard(shop, secret=SECRET, auth_required=False)) as url:
        yield url


def visit(page: Page, address: str, path: str, **values: str) -> None:  # noqa: F811
    query = "&".join(f"{name}={value}" for name, value in {"range": "24h", "refresh": "0", **values}.items())
    page.goto(f"{address}{path}?{query}")
    page.locator(SHOWN).first.wait_for()


def settle(page: Page) -> None:  # noqa: F811
    """Wait until every panel in sight has its answer."""
    until(
        page,
        "document.querySelectorAll('.overlay-loading').length === 0 || !document.querySelector('.panel')",
    )


def test_in_russian_charts_are_too_and_every_page_is_in_sight(page: Page, open_address: str) -> None:  # noqa: F811
    page.context.add_cookies([{"name": "gnomon_language", "value": "ru", "url": open_address}])
    page.set_viewport_size({"width": 1440, "height": 900})
    visit(page, open_address, "/latency", range="7d")
    page.locator(".xtick text").first.wait_for()
    dates = " ".join(page.locator(".xtick").all_text_contents())
    page.context.clear_cookies()
    titles = page.locator(".modebar-btn").evaluate_all("all => all.map(one => one.dataset.title)")
    assert {"Увеличить", "Вернуть масштаб", "Скачать график как PNG"} <= set(titles)
    assert re.search("[а-я]{3}", dates) and not re.search("[A-Z][a-z]{2}", dates)
    assert page.evaluate(
        "(({scrollHeight, clientHeight}) => scrollHeight <= clientHeight)(document.querySelector('.nav'))"
    )


@pytest.mark.parametrize("path", PATHS)
def test_a_page_fills_and_fits_a_phone(page: Page, open_address: str, path: str, tmp_path: Path) -> None:  # noqa: F811
    visit(page, open_address, path)
    assert page.locator(".overlay-error").count() == 0
    page.screenshot(path=tmp_path / "wide.png")
    page.set_viewport_size({"width": 390, "height": 844})
    # what has been drawn for a wide window is drawn anew
    until(page, "document.documentElement.scrollWidth <= 390", timeout_s=10)


def serious(page: Page) -> list[tuple[str, str, str]]:  # noqa: F811
    """What axe-core finds on a page that keeps somebody from using it."""
    from axe_playwright_python.sync_playwright import Axe

    return [
        (one["id"], node["target"], node.get("failureSummary", "")[:200])
        for one in Axe().run(page).response["violations"]
        for node in one["nodes"][:5]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/cost", "/users", "/prompts/reply", "/traces"])
def test_axe_finds_nothing_serious(page: Page, open_address: str, path: str, scheme: Any) -> None:  # noqa: F811
    page.emulate_media(color_scheme=scheme)
    visit(page, open_address, path)
    assert not serious(page)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(
    page: Page,  # noqa: F811
    open_address: str,
    shop: Store,
    trace_ids: list[str],
    scheme: Any,
) -> None:
    from gnomon_collector.store import datasets
    from gnomon_dashboard.pages.catalogue import PAGES

    made = datasets.create_dataset(shop, seed.PROJECT, f"in {scheme}", "", "")
    datasets.add_examples(shop, made, [(one, "") for one in trace_ids[:30]], "ann")
    single = (f"/trace/{trace_ids[0]}", "/sessions/rich-s3", f"/datasets/in {scheme}", "/incident/none")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 1440, "height": 3000})
    found = {}
    for path in (*(one.path for one in PAGES if one.is_listed), *single):
        page.goto(f"{open_address}{path}?project={seed.PROJECT}&range=24h&refresh=0")
        page.locator("#content h1, #content .tile-value, #content .panel").first.wait_for(state="attached")
        settle(page)
        if path == "/traces":  # a grid without rows has no columns yet
            page.locator(".ag-row .cell-link").first.wait_for()
        found[path] = serious(page)
    assert not {path: said for path, said in found.items() if said}


def test_a_panel_says_its_sql_and_leads_to_its_traces(page: Page, open_address: str) -> None:  # noqa: F811
    visit(page, open_address, "/latency", service="shop-assistant")
    panel = page.locator(".panel-errors-by-class")
    panel.locator(".panel-menu summary").click()
    panel.get_by_role("button", name="Show the SQL").click()
    page.locator(".sheet-body").wait_for()
    assert "FROM calls_per_minute FINAL" in page.locator(".sheet-body").inner_text()
    page.get_by_role("button", name="Close").click()
    panel.locator(".panel-menu summary").click()
    panel.get_by_role("button", name="Explore these traces").click()
    page.wait_for_url("**/traces?**")
    query = parse_qs(urlsplit(page.url).query)
    assert query["service"] == ["shop-assistant"] and query["rows"] == ["calls"]
    until(page, "document.querySelectorAll('.status-error').length > 0")


def test_a_hint_says_what_a_panel_means_by_pointer_and_by_keyboard(page: Page, open_address: str) -> None:  # noqa: F811
    visit(page, open_address, "/latency")
    hint = page.locator(".panel-errors-by-class .hint")
    told = page.locator(".hint-text")
    hint.hover()
    assert told.inner_text() == hint.get_attribute("aria-label")
    page.mouse.move(0, 0)
    assert told.count() == 0
    hint.focus()
    assert told.count() == 1
    page.keyboard.press("Escape")
    assert told.count() == 0
    page.set_viewport_size({"width": 390, "height": 844})
    hint.hover()
    edges = told.bounding_box()
    assert edges is not None and edges["x"] >= 0 and edges["x"] + edges["width"] <= 390


def test_a_link_in_a_table_exchanges_the_page_without_loading_it(page: Page, open_address: str) -> None:  # noqa: F811
    visit(page, open_address, "/users")
    page.evaluate("window.isSameDocument = true")
    link = page.locator(".rank tbody a").first
    with page.context.expect_page() as opened:
        link.click(modifiers=["ControlOrMeta"])
    opened.value.close()
    assert urlsplit(page.url).path == "/users"
    link.click()
    page.wait_for_url("**/users/**")
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert page.evaluate("window.isSameDocument === true")


def test_keys_lead_everywhere(page: Page, open_address: str) -> None:  # noqa: F811
    visit(page, open_address, "/users")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/users/**")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/cost**")
    page.keyboard.press("?")
    assert "g c" in page.locator(".sheet-body").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.wait_for_url("**/traces**")
    page.locator(".query-bar input").wait_for()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "traces-search"


def test_the_query_bar_offers_what_there_is(page: Page, open_address: str) -> None:  # noqa: F811
    visit(page, open_address, "/traces")
    bar = page.locator(".query-bar input")
    bar.press_sequentially("ta")
    page.locator(".suggestions .current").wait_for()
    bar.press("Enter")
    page.get_by_role("option", name="beta").wait_for()
    bar.press_sequentially("bet")
    until(page, "document.querySelectorAll('.suggestions li').length === 1")
    bar.press("Enter")
    page.wait_for_url("**q=tag%3Abeta**")
    until(page, "document.querySelector('#traces-count').textContent === '30 traces'")


def test_a_view_is_kept_under_a_name(page: Page, open_address: str) -> None:  # noqa: F811
    visit(page, open_address, "/traces", q="tag%3Abeta")
    page.get_by_text("Views", exact=True).click()
    page.get_by_label("Name of this view").fill("the beta")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="the beta", exact=True).wait_for()
    visit(page, open_address, "/traces")
    page.get_by_text("Views", exact=True).click()
    page.get_by_role("button", name="the beta", exact=True).click()
    page.wait_for_url("**q=tag%3Abeta**")


def test_a_trace_is_judged(page: Page, open_address: str, trace_ids: list[str]) -> None:  # noqa: F811
    visit_trace(page, open_address, trace_ids[6])
    page.locator("#trace-scores").get_by_text("Scores and feedback").click()
    page.get_by_text("Judge it", exact=False).click()
    page.get_by_role("button", name="Bad").click()
    page.get_by_label("Correction").fill("The answer is 42.")
    page.get_by_role("button", name="Save").click()
    page.locator(".judgement-comment", has_text="The answer is 42.").wait_for()
    page.get_by_role("button", name="Copy as curl").click()
    page.locator(".sheet-body").wait_for()
    assert "chat/completions" in page.locator(".sheet-body").inner_text()
    page.get_by_role("button", name="Close").click()
    page.get_by_role("link", name="Later →").click()
    page.wait_for_url(f"**/trace/{trace_ids[7]}**")


def visit_trace(page: Page, address: str, trace_id: str) -> None:  # noqa: F811
    page.goto(f"{address}/trace/{trace_id}?range=24h&refresh=0")
    page.locator(".wf-row").first.wait_for()
    page.locator(".judgements").wait_for()


@pytest.mark.slow
def test_ten_thousand_spans_scroll(page: Page, open_address: str, shop: Store) -> None:  # noqa: F811
    spans = seed.wide_trace(datetime.now(UTC), LARGE)
    seed.insert(shop, spans)
    page.goto(f"{open_address}/trace/{spans[0].trace_id}?refresh=0")
    page.locator(".wf-row").first.wait_for()
    assert page.locator(".wf-axis").inner_text().startswith("10,000 spans")
    took_ms = page.evaluate(
        "async () => { const list = document.querySelector('.wf-list'); const began = performance.now();"
        " for (let top = 0; top < 280000; top += 14000) { list.scrollTop = top;"
        " await new Promise(requestAnimationFrame); } return (performance.now() - began) / 20; }"
    )
    # only the rows in view are in the page
    assert page.locator(".wf-row").count() < 120
    assert took_ms < 250


def test_a_list_goes_on_sorts_and_is_whole_as_csv(page: Page, open_address: str) -> None:  # noqa: F811
    visit(page, open_address, "/sessions", range="7d")
    rows = page.locator("#sessions-list tbody tr")
    assert rows.count() == 80
    first = rows.first.inner_text()
    page.get_by_role("link", name="Next →").click()
    page.wait_for_url("**page=2**")
    until(page, f"!document.querySelector('#sessions-list').innerText.includes({first.split()[0]!r})")
    page.locator("#sessions-list th").get_by_role("link", name="Cost").click()
    page.wait_for_url("**order=cost**")
    assert "page=" not in page.url
    until(
        page, "document.querySelector('#sessions-list .sort-mark')?.parentElement.innerText.includes('Cost')"
    )
    costs = [float(one.strip("$,")) for one in page.locator("#sessions-list td.bar-cell").all_inner_texts()]
    assert costs == sorted(costs, reverse=True)
    page.locator("#sessions-list th").get_by_role("link", name="Cost").click()
    page.wait_for_url("**order=cost.up**")
    page.locator(".panel-sessions-list .panel-menu summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert len(download.value.path().read_text().splitlines()) > 161


def test_prompts_are_found_by_name(page: Page, open_address: str) -> None:  # noqa: F811
    visit(page, open_address, "/prompts")
    page.get_by_label("Find a prompt").fill("no such prompt")
    page.wait_for_url("**find=no**")
    page.get_by_text("No call names its prompt").wait_for()
