"""Feedback from pages: CORS, what a publishable key may send, and the snippet of the guide in a browser."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.docs import markdown
from tests.e2e.browser import chromium
from tests.ingest.server_process import ServerProcess

from gnomon_collector.errors import BadRequest
from gnomon_collector.ingest.browsers import Browsers
from gnomon_collector.ingest.quotas import QuotaExceeded

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

__all__ = ["chromium"]
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SNIPPET = markdown.DOCS / "feedback.md"


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_refills_as_time_goes_on() -> None:
    clock = Clock()
    browsers = Browsers("*", 6, clock)
    browsers.take("shop", "10.0.0.1", 6)
    with pytest.raises(QuotaExceeded) as refused:
        browsers.take("shop", "10.0.0.1", 1)
    assert refused.value.retry_after_s == 11
    browsers.take("shop", "10.0.0.2", 6)  # others are not held up
    browsers.take("other", "10.0.0.1", 6)
    clock.now_s += 10
    browsers.take("shop", "10.0.0.1", 1)
    with pytest.raises(BadRequest, match="fewer at once"):
        browsers.take("shop", "10.0.0.3", 7)


def test_senders_are_remembered_within_bounds() -> None:
    browsers = Browsers("*", 6)
    for number in range(10_100):
        browsers.take("shop", str(number), 1)
    assert len(browsers._left) == 10_000


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ("https://a.example, https://b.example/", "https://b.example", True),
        ("https://a.example", "https://a.example.evil.test", False),
        ("https://a.example", "http://a.example", False),
        ("https://a.example", "null", False),
        ("", "https://a.example", False),
        ("", "", False),
        ("*", "https://any.example", True),
    ],
)
def test_origins(origins: str, origin: str, allowed: bool) -> None:
    said = Browsers(origins, 60).headers({"origin": origin} if origin else {})
    assert said.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert said["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in said


class Pages:
    """A web server whose one page is what `html` says."""

    def __init__(self) -> None:
        self.html = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = outer.html.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    pages = Pages()
    yield pages
    pages.server.shutdown()
    pages.server.server_close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, pages: Pages) -> Iterator[ServerProcess]:
    """A collector that takes feedback from `pages`, ten scores a minute."""
    settings = {"GNOMON_FEEDBACK_ORIGINS": pages.origin, "GNOMON_FEEDBACK_PER_MINUTE": "10"}
    with ServerProcess(tmp_path_factory.mktemp("browsers") / "data", settings=settings) as server:
        yield server


def preflight(server: ServerProcess, origin: str) -> httpx.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return server.http.options(f"{server.url}/v1/feedback", headers=headers)


def test_a_preflight_needs_no_key_and_tells_only_pages_that_may(shop: ServerProcess, pages: Pages) -> None:
    allowed = preflight(shop, pages.origin)
    assert (allowed.status_code, allowed.headers["Access-Control-Allow-Origin"]) == (204, pages.origin)
    assert "authorization" in allowed.headers["Access-Control-Allow-Headers"]
    refused = preflight(shop, "https://evil.example")
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert allowed.content == refused.content == b""


def send(server: ServerProcess, key: str, body: Any, origin: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "Origin": origin}
    return server.http.post(f"{server.url}/v1/feedback", json=body, headers=headers)


def test_errors_can_be_read_by_the_page_too(shop: ServerProcess, pages: Pages) -> None:
    answer = send(shop, "wrong", {"trace_id": TRACE_ID, "value": 1}, pages.origin)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, pages.origin)


def test_a_publishable_key_is_limited_and_others_are_not(shop: ServerProcess, pages: Pages) -> None:
    score = {"session_id": "s", "value": 1}
    public, own = shop.key("limited", "feedback"), shop.key("limited")
    assert send(shop, public, {"scores": [score] * 11}, pages.origin).status_code == 400
    assert send(shop, public, {"scores": [score] * 10}, pages.origin).status_code == 200
    over = send(shop, public, score, pages.origin)
    assert (over.status_code, over.headers["Access-Control-Allow-Origin"]) == (429, pages.origin)
    assert int(over.headers["Retry-After"]) >= 1
    assert send(shop, own, {"scores": [score] * 500}, pages.origin).status_code == 200
    assert send(shop, public, {"session_id": "s", "comment": "x" * 70_000}, pages.origin).status_code == 413


def script() -> str:
    (block,) = markdown.blocks(SNIPPET, "javascript")
    return block.text


def test_the_snippet_is_small() -> None:
    assert len(script().encode()) <= 2048


def test_the_snippet_in_a_browser(shop: ServerProcess, pages: Pages, chromium: BrowserContext) -> None:
    key = shop.key("from-page", "feedback")
    pages.html = f"""<!doctype html><script>{script()}</script><script>
        const send = gnomonFeedback({json.dumps(shop.url)}, {json.dumps(key)});
        const wrong = gnomonFeedback({json.dumps(shop.url)}, "wrong");
    </script>"""
    page = chromium.new_page()
    try:
        page.goto(pages.origin)
        thumb = {"trace_id": TRACE_ID, "value": 0, "comment": "нет", "correction": "да"}
        assert page.evaluate("feedback => send(feedback)", thumb) is True
        assert page.evaluate("feedback => send(feedback)", {"trace_id": TRACE_ID, "value": 1}) is True
        assert page.evaluate("feedback => wrong(feedback)", thumb) is False
    finally:
        page.close()
    rows = shop.query(
        "SELECT name, value, source, comment FROM scores FINAL WHERE project = 'from-page' ORDER BY name"
    )
    assert rows == [
        {"name": "correction", "value": None, "source": "user", "comment": "да"},
        {"name": "user_feedback", "value": 1, "source": "user", "comment": ""},
    ]


def test_a_page_that_may_not_gets_nothing_through(
    shop: ServerProcess, chromium: BrowserContext, tmp_path: Path
) -> None:
    other = Pages()
    other.html = f"<!doctype html><script>{script()}</script>"
    key = shop.key("other-page", "feedback")
    page = chromium.new_page()
    try:
        page.goto(other.origin)
        outcome = page.evaluate(
            """([url, key]) => fetch(url + "/v1/feedback", {method: "POST", body: "{}",
                headers: {"Content-Type": "application/json", Authorization: "Bearer " + key}})
                .then(() => "sent", () => "blocked")""",
            [shop.url, key],
        )
        assert outcome == "blocked"
    finally:
        page.close()
        other.server.shutdown()
        other.server.server_close()
