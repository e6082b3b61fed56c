"""The dashboard in a real Chromium, over a seeded store. Every test also fails on a console error, an uncaught
exception or a request to another host (see `tests.e2e.browser`)."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.dashboard import seed
from tests.dashboard.conftest import PASSWORD, SECRET, USERNAME, served
from tests.e2e.browser import chromium, page, until  # noqa: F401

from gnomon_dashboard.auth import SESSION_COOKIE

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Request

    from gnomon_collector.store.engine import Store

WIDE = next(iter(seed.wide_trace(seed.Span.received_at, 1200))).trace_id
HOSTILE = seed.hostile(seed.Span.received_at)[0].trace_id


@pytest.fixture
def logged_in(chromium: BrowserContext, address: str) -> str:  # noqa: F811
    """Base URL; the browser has a session."""
    if not any(cookie["name"] == SESSION_COOKIE for cookie in chromium.cookies(address)):
        window = chromium.new_page()
        window.goto(f"{address}/login")
        log_in(window)
        window.wait_for_url(f"{address}/")
        window.close()
    return address


def log_in(page: Page, password: str = PASSWORD) -> None:  # noqa: F811
    page.fill("#username", USERNAME)
    page.fill("#password", password)
    page.click("button[type=submit]")


def value_of(page: Page, tile: str) -> str:  # noqa: F811
    found = page.locator(f".tile-{tile} .tile-value:not(.loading)")
    found.wait_for()
    return found.inner_text()


def rows_shown(page: Page) -> None:  # noqa: F811
    page.locator(".ag-row .cell-link").first.wait_for()


def cells(page: Page, name: str, condition: str) -> None:  # noqa: F811
    """Wait until the texts shown in a column meet a condition on ``texts``."""
    found = f"[...document.querySelectorAll('.ag-center-cols-container [col-id={name}]')]"
    texts = f"{found}.map(cell => cell.textContent).filter(Boolean)"
    until(page, f"(texts => texts.length > 0 && ({condition}))({texts})")


def query_of(page: Page) -> dict[str, list[str]]:  # noqa: F811
    return parse_qs(urlsplit(page.url).query)


def test_a_stranger_logs_in_and_lands_where_the_link_led(address: str, chromium: BrowserContext) -> None:  # noqa: F811
    chromium.clear_cookies()
    window = chromium.new_page()
    window.goto(f"{address}/traces?range=6h")
    assert urlsplit(window.url).path == "/login"
    log_in(window, "wrong password")
    assert "Wrong user name or password" in window.locator("[role=alert]").inner_text()
    log_in(window)
    window.wait_for_url(f"{address}/traces?range=6h")
    rows_shown(window)
    window.get_by_role("button", name="Log out").click()
    window.wait_for_url(f"{address}/login")
    window.goto(f"{address}/traces")
    assert urlsplit(window.url).path == "/login"
    window.close()


def test_the_overview_shows_the_numbers_of_the_store(page: Page, logged_in: str, shop: Store) -> None:  # noqa: F811
    page.goto(f"{logged_in}/?range=24h&refresh=0")
    requests = value_of(page, "requests")
    (expected,) = shop.query(
        "SELECT count() FROM calls WHERE project = {p:String} AND start_time >= now() - INTERVAL 1 DAY",
        {"p": seed.PROJECT},
    ).rows[0]
    assert abs(int(requests) - int(str(expected))) <= 2
    assert re.fullmatch(r"\d\d\.\d+%", value_of(page, "success"))
    for tile in ("p50", "p95", "p99"):
        assert value_of(page, tile).endswith("s")
    assert value_of(page, "cost").startswith("$")
    page.locator(".panel .js-plotly-plot .scatterlayer .trace").first.wait_for()
    for panel in (
        "latency-over-time",
        "latency-distribution",
        "success-over-time",
        "tokens-by-model",
        "cost-by-model",
    ):
        page.locator(f"#{panel} .plot-container").wait_for()
    page.locator(".outcomes").wait_for()
    assert page.locator(".overlay").count() == 0


def test_a_filter_goes_into_the_url_and_a_reload_reproduces_it(page: Page, logged_in: str) -> None:  # noqa: F811
    page.goto(f"{logged_in}/?range=24h&refresh=0")
    everything = int(value_of(page, "requests"))
    page.locator("#filter-service").click()
    page.get_by_role("option", name="mail-bot").click()
    page.wait_for_url("**service=mail-bot**")
    until(page, f"document.querySelector('.tile-requests .tile-value').textContent !== '{everything}'")
    some = value_of(page, "requests")
    assert int(some) < everything
    page.get_by_text("6h", exact=True).click()
    page.wait_for_url("**range=6h**")
    assert query_of(page) == {"range": ["6h"], "refresh": ["0"], "service": ["mail-bot"]}
    page.go_back()
    page.wait_for_url("**range=24h**")
    until(page, f"document.querySelector('.tile-requests .tile-value').textContent === '{some}'")
    page.reload()
    assert value_of(page, "requests") == some
    assert page.locator(".mantine-MultiSelect-pill").inner_text() == "mail-bot"
    assert page.locator("#filter-range input:checked").get_attribute("value") == "24h"


def test_links_between_pages_keep_the_view(page: Page, logged_in: str) -> None:  # noqa: F811
    page.goto(f"{logged_in}/?range=6h&refresh=0&env=production")
    value_of(page, "requests")
    page.get_by_role("link", name="Traces").click()
    rows_shown(page)
    assert query_of(page) == {"range": ["6h"], "refresh": ["0"], "env": ["production"]}
    page.go_back()
    value_of(page, "requests")


def test_an_error_type_leads_to_its_calls(page: Page, logged_in: str) -> None:  # noqa: F811
    page.goto(f"{logged_in}/?range=7d&refresh=0")
    page.get_by_role("link", name=re.compile("^rate_limit_error")).click()
    rows_shown(page)
    assert query_of(page)["rows"] == ["calls"]
    cells(page, "status", "texts.every(text => text === 'error')")


def test_traces_sort_filter_search_and_come_back(page: Page, logged_in: str) -> None:  # noqa: F811
    page.goto(f"{logged_in}/traces?range=7d&refresh=0")
    rows_shown(page)
    page.locator(".ag-header-cell[col-id=name] .ag-header-cell-label").click()
    page.wait_for_url("**sort=name**")
    cells(page, "name", "texts.every((text, at) => !at || texts[at - 1] <= text)")
    page.get_by_label("Query", exact=True).fill("norway")
    page.wait_for_url("**q=norway**")
    until(page, "document.querySelector('#traces-count').textContent.match(/^\\d+ traces/)")
    cells(page, "input", "texts.every(text => text.includes('Norway'))")
    shown = page.locator("#traces-count").inner_text()
    page.reload()
    rows_shown(page)
    until(page, f"document.querySelector('#traces-count').textContent === '{shown}'")
    assert page.get_by_label("Query", exact=True).input_value() == "norway"
    assert page.locator(".ag-header-cell[col-id=name][aria-sort=ascending]").count() == 1
    page.get_by_role("button", name="Reset").click()
    until(page, "!location.search.includes('norway')")
    rows_shown(page)
    until(page, f"document.querySelector('#traces-count').textContent !== '{shown}'")
    assert query_of(page) == {"range": ["7d"], "refresh": ["0"]}


def test_a_column_filter_is_in_the_url(page: Page, logged_in: str) -> None:  # noqa: F811
    page.goto(f"{logged_in}/traces?range=7d&refresh=0&rows=calls")
    rows_shown(page)
    page.locator(".ag-header-cell[col-id=status] .ag-header-cell-filter-button").click()
    page.locator(".ag-filter input[type=text]").first.fill("error")
    page.wait_for_url("**filter=**")
    until(page, "document.querySelector('#traces-count').textContent.match(/^\\d+ calls/)")
    cells(page, "status", "texts.every(text => text === 'error')")


def test_columns_are_chosen(page: Page, logged_in: str) -> None:  # noqa: F811
    page.goto(f"{logged_in}/traces?range=6h&refresh=0")
    rows_shown(page)
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="Trace id").uncheck()
    page.wait_for_url("**cols=**")
    page.locator(".ag-header-cell[col-id=trace_id]").wait_for(state="detached")
    page.reload()
    rows_shown(page)
    assert page.locator(".ag-header-cell[col-id=trace_id]").count() == 0
    assert page.locator(".ag-header-cell[col-id=status]").count() == 1


def test_the_csv_has_every_row_of_the_result(page: Page, logged_in: str) -> None:  # noqa: F811
    page.goto(f"{logged_in}/traces?range=7d&refresh=0&rows=calls&q=order")
    rows_shown(page)
    until(page, "document.querySelector('#traces-count').textContent.match(/^\\d+ calls/)")
    count = int(page.locator("#traces-count").inner_text().split()[0].replace(",", ""))
    with page.expect_download() as download:
        page.get_by_text("Download", exact=True).click()
        page.get_by_role("link", name="CSV").click()
    text = download.value.path().read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == count > 30
    assert download.value.suggested_filename.startswith("gnomon-calls-")
    assert all("order" in (row["input"] + row["output"]).lower() for row in rows)


def test_a_row_opens_its_trace(page: Page, logged_in: str) -> None:  # noqa: F811
    page.goto(f"{logged_in}/traces?range=6h&refresh=0&q=Norway")
    rows_shown(page)
    page.locator(".ag-row[row-index='0'] [col-id=input]").click()
    page.wait_for_url("**/trace/**")
    page.locator(".message-user").first.wait_for()
    assert "Do you ship to Norway?" in page.locator(".conversation").inner_text()
    page.locator(".wf-row", has_text="retrieve faq").click()
    page.locator(".documents").wait_for()
    assert page.locator(".documents > li").count() == 3
    assert len(query_of(page)["span"][0]) == 16
    page.reload()
    page.locator(".documents").wait_for()
    page.locator(".facts a").first.click()
    page.wait_for_url("**/traces?**")
    rows_shown(page)


def test_a_thousand_spans_scroll(page: Page, logged_in: str) -> None:  # noqa: F811
    page.goto(f"{logged_in}/trace/{WIDE}?refresh=0")
    page.locator(".wf-row").first.wait_for()
    assert page.locator(".wf-row").count() < 120
    assert "1,200 spans" in page.locator(".wf-axis").inner_text()
    page.locator(".wf-list").evaluate("list => list.scrollTo(0, list.scrollHeight)")
    page.locator(".wf-row[data-index='1199']").click()
    page.locator(".span-head h2").wait_for()
    until(page, "document.querySelector('.wf-row.selected')?.dataset.index === '1199'")
    page.keyboard.press("ArrowUp")
    until(page, "document.querySelector('.wf-row.selected')?.dataset.index === '1198'")
    page.locator(".wf-list").evaluate("list => list.scrollTo(0, 0)")
    page.locator(".wf-row[data-index='0'] .wf-toggle").click()
    until(page, "document.querySelectorAll('.wf-row').length === 1")


def test_what_a_service_sends_is_never_markup(page: Page, logged_in: str) -> None:  # noqa: F811
    for path in (f"/trace/{HOSTILE}", "/traces?range=1h&rows=calls&q=HYPERLINK", "/?range=1h"):
        page.goto(f"{logged_in}{path}{'&' if '?' in path else '?'}refresh=0")
        page.wait_for_load_state("networkidle")
        page.get_by_text("<img src=x").filter(visible=True).first.wait_for()
        assert page.evaluate("window.hacked") is None
        assert page.locator("img[src=x]").count() == 0


def test_the_theme_switches_and_is_remembered(page: Page, logged_in: str) -> None:  # noqa: F811
    page.emulate_media(color_scheme="dark")
    page.goto(f"{logged_in}/?range=24h&refresh=0")
    value_of(page, "requests")
    scheme = "document.documentElement.dataset.mantineColorScheme"
    assert page.evaluate(scheme) == "dark"
    dark = page.evaluate("getComputedStyle(document.querySelector('.panel')).backgroundColor")
    page.get_by_role("button", name="Switch between light and dark").click()
    until(page, f"{scheme} === 'light'")
    assert page.evaluate("getComputedStyle(document.querySelector('.panel')).backgroundColor") != dark
    until(
        page,
        "document.querySelector('#latency-over-time').querySelector('.ytick text').style.fill === 'rgb(91, 102, 117)'",
    )
    page.reload()
    value_of(page, "requests")
    assert page.evaluate(scheme) == "light"
    page.evaluate("localStorage.clear()")


def test_live_refresh_brings_new_calls(page: Page, logged_in: str, shop: Store) -> None:  # noqa: F811
    page.goto(f"{logged_in}/?range=15m&refresh=5")
    before = int(value_of(page, "requests"))
    moment = datetime.now(UTC) - timedelta(seconds=5)
    calls = [seed.Span(f"{n:032x}", f"{n:016x}", moment, 9_000_000, "chat", "generation") for n in range(60)]
    seed.insert(shop, calls)
    # some of the calls from before may leave the window meanwhile
    until(page, f"Number(document.querySelector('.tile-requests .tile-value').textContent) > {before + 30}")


@pytest.mark.parametrize("path", ["/?range=24h", "/traces?range=24h", f"/trace/{WIDE}"])
def test_a_phone_shows_every_page_without_sideways_scrolling(page: Page, logged_in: str, path: str) -> None:  # noqa: F811
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{logged_in}{path}{'&' if '?' in path else '?'}refresh=0")
    page.locator(".tile-value:not(.loading), .ag-row .cell-link, .wf-row").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_page_that_does_not_come_says_so(page: Page, logged_in: str) -> None:  # noqa: F811
    page.route("**/_dash-update-component*", lambda _route: None)  # no answer, ever
    page.goto(f"{logged_in}/latency")
    again = page.locator(".not-come button")
    again.wait_for(state="attached")
    assert not again.is_visible(), "a moment's patience"
    again.wait_for()
    with page.expect_navigation(wait_until="load"):
        again.click()
    page.unroute_all(behavior="ignoreErrors")
    page.locator("h1", has_text="Latency").wait_for()


def test_a_link_to_nothing_says_so(page: Page, logged_in: str) -> None:  # noqa: F811
    page.goto(f"{logged_in}/trace/{'9' * 32}")
    page.get_by_role("heading", name="No such trace").wait_for()
    page.goto(f"{logged_in}/nosuch")
    page.get_by_role("heading", name="No such page").wait_for()


def panels_asked_for(window: Page) -> list[str]:
    """Return the list to which every panel the page asks the server for is added."""
    found: list[str] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).path == "/_dash-update-component":
            asked = [one["id"] for one in json.loads(request.post_data or "{}")["inputs"]]
            found.extend(name for name in asked if str(name).endswith("-asked"))

    window.on("request", note)
    return found


def test_a_page_asks_once_for_each_panel_and_again_when_told(page: Page, logged_in: str) -> None:  # noqa: F811
    asked = panels_asked_for(page)
    page.goto(f"{logged_in}/?project=shop&range=6h&refresh=0")
    value_of(page, "requests")
    page.wait_for_load_state("networkidle")
    panels = sorted(set(asked))
    assert "success-over-time-asked" in panels
    assert sorted(asked) == panels

    asked.clear()
    page.locator("#refresh-now").click()
    for _ in range(100):
        page.wait_for_timeout(100)
        if len(asked) >= len(panels):
            break
    page.wait_for_timeout(500)  # for one that would be too many
    assert sorted(asked) == panels


@pytest.fixture
def empty_project(shop: Store) -> Iterator[str]:
    from gnomon_dashboard.app import create_dashboard

    app = create_dashboard(shop, secret=SECRET, endpoint="http://127.0.0.1:4999", auth_required=False)
    with served(app) as url:
        yield f"{url}/?project=brand-new&refresh=0"


# The page is asked for last, so that it goes before its server does.
def test_an_empty_project_says_what_to_do(empty_project: str, page: Page) -> None:  # noqa: F811
    page.goto(empty_project)
    page.get_by_role("heading", name="No calls yet").wait_for()
    text = page.locator(".empty-page").inner_text()
    assert 'endpoint="http://127.0.0.1:4999"' in text
    assert "gnomon.init(service_name=" in text
    assert page.locator(".tiles").first.is_hidden()


def test_a_failed_query_says_so_and_is_tried_again(page: Page, logged_in: str, shop: Store) -> None:  # noqa: F811
    panel = page.locator(".panel-success-over-time")
    shop.command("RENAME TABLE calls_per_minute TO calls_per_minute_away")
    try:
        page.goto(f"{logged_in}/?project=shop&range=15m&refresh=0")  # nobody has just been answered that
        panel.get_by_text("The query failed").wait_for()
    finally:
        shop.command("RENAME TABLE calls_per_minute_away TO calls_per_minute")
    panel.get_by_role("button", name="Try again").click()
    value_of(page, "requests")
    panel.locator(".overlay-error").wait_for(state="detached")
