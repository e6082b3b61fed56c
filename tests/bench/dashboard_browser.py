"""Pages of the dashboard in a real Chromium: how long they take, and what they transfer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tests.bench.gnomon_server import BenchError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, ViewportSize

REFRESH_S: Final = 10
"""Of the pages whose refresh is recorded."""

_ARGUMENTS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
_VIEWPORT: Final[ViewportSize] = {"width": 1440, "height": 1000}
_QUIET_S: Final = 0.5
_GIVE_UP_S: Final = 60.0
_HAS_CONTENT: Final = "document.querySelector('h1') !== null"


@dataclass(frozen=True)
class PageLoad:
    """How a page came up.

    Attributes:
        is_first: with an empty cache; else it was shown before.
        came_to_rest: within `_GIVE_UP_S` seconds; the times are until then where it did not.
        interactive_ms: until its heading stands there and its links work.
        complete_ms: until every panel in sight has its answer.
        transferred_bytes: of all answers as they went over the wire, headers included.
        heap_bytes: of JavaScript, afterwards.
    """

    path: str
    is_first: bool
    came_to_rest: bool
    interactive_ms: float
    complete_ms: float
    transferred_bytes: int
    requests: int
    heap_bytes: int


@dataclass(frozen=True)
class Posted:
    """A request that a page sends."""

    path: str
    body: str


@dataclass
class _Traffic:
    """What goes over the wire of one document: the page before it may ask on, and is told no end."""

    document: str = ""
    under_way: set[str] = field(default_factory=set)
    transferred: int = 0
    requests: int = 0
    ended_at: float = 0.0

    def start(self, event: dict[str, Any]) -> None:
        if event.get("type") == "Document":
            self.document = event["loaderId"]
        is_own = event["loaderId"] == self.document
        if is_own and not event["request"]["url"].startswith(("data:", "blob:")):
            self.under_way.add(event["requestId"])
            self.requests += 1

    def finish(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self.under_way:
            return
        self.under_way.discard(event["requestId"])
        self.transferred += int(event.get("encodedDataLength", 0))
        self.ended_at = time.monotonic()

    def is_at_rest(self) -> bool:
        return not self.under_way and time.monotonic() - self.ended_at >= _QUIET_S


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium; each of its contexts begins with an empty cache.

    Raises:
        BenchError: there is none.
    """
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        raise BenchError("Chromium is missing: run tests/e2e/install_chromium.sh")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        yield browser
        browser.close()


def load_pages(ui_url: str, searches: Sequence[str]) -> list[PageLoad]:
    """Load each page with an empty cache, then once more.

    Args:
        searches: path and query string of each page.
    """
    loads = []
    with chromium() as browser:
        for search in searches:
            context = browser.new_context(viewport=_VIEWPORT)
            page = context.new_page()
            for is_first in (True, False):
                loads.append(_load(page, f"{ui_url}{search}", is_first=is_first))
                print(f"{loads[-1].complete_ms:8.0f} ms  {loads[-1].path}", flush=True)
            context.close()
    return loads


def refresh_requests(ui_url: str, searches: Sequence[str]) -> list[list[Posted]]:
    """Return for each page what it posts at one live refresh."""
    found = []
    with chromium() as browser:
        context = browser.new_context(viewport=_VIEWPORT)
        for search in searches:
            page = context.new_page()
            _load(page, f"{ui_url}{search}&refresh={REFRESH_S}", is_first=False)
            found.append(_posted(page))
            print(f"{len(found[-1])} requests at a refresh of {search}", flush=True)
            page.close()
    return found


def _posted(page: Page) -> list[Posted]:
    posted: list[Posted] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            posted.append(Posted(urlsplit(request.url).path, request.post_data or ""))

    page.on("request", note)
    deadline = time.monotonic() + 2 * REFRESH_S
    while not posted and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    page.wait_for_timeout(2000)
    return posted


def _load(page: Page, url: str, *, is_first: bool) -> PageLoad:
    session = page.context.new_cdp_session(page)
    traffic = _Traffic()
    session.on("Network.requestWillBeSent", traffic.start)
    session.on("Network.loadingFinished", traffic.finish)
    session.on("Network.loadingFailed", traffic.finish)
    session.send("Network.enable")
    session.send("Performance.enable")
    started = time.monotonic()
    page.goto(url, wait_until="commit")
    _wait(page, started, lambda: bool(page.evaluate(_HAS_CONTENT)))
    interactive_s = time.monotonic() - started
    came_to_rest = _wait(page, started, traffic.is_at_rest)
    heap = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return PageLoad(
        path=urlsplit(url).path,
        is_first=is_first,
        came_to_rest=came_to_rest,
        interactive_ms=1e3 * interactive_s,
        complete_ms=1e3 * (traffic.ended_at - started),
        transferred_bytes=traffic.transferred,
        requests=traffic.requests,
        heap_bytes=int(heap["JSHeapUsedSize"]),
    )


def _wait(page: Page, started: float, is_met: Callable[[], bool]) -> bool:
    """Whether a condition was met within the time that a page has."""
    while not is_met():
        if time.monotonic() - started > _GIVE_UP_S:
            return False
        page.wait_for_timeout(10)
    return True
