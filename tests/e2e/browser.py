"""A real Chromium for tests, and what went wrong in it.

Use it as fixtures of a module::

    from tests.e2e.browser import chromium, page, until  # noqa: F401

`page` is fresh for each test (its own window of a shared, empty profile) and fails the test that left an error
in the console, an uncaught exception, or a request to a host other than loopback.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass
class Trouble:
    """What a test may not leave behind. `expected` holds parts of console errors that it means to cause."""

    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(part in message.text for part in self.expected):
            self.problems.append(f"console {message.type}: {message.text[:500]}")

    def exception(self, error: Exception) -> None:
        self.problems.append(f"uncaught: {str(error)[:500]}")

    def request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.hostname not in LOOPBACK:
            self.problems.append(f"request to another host: {request.url[:200]}")


def watch(page: Page) -> Trouble:
    """Collect what goes wrong on a page from now on."""
    trouble = Trouble()
    page.on("console", trouble.console)
    page.on("pageerror", trouble.exception)
    page.on("request", trouble.request)
    return trouble


def until(page: Page, expression: str, timeout_s: float = 40.0) -> None:
    """Wait until a JavaScript expression is true.

    Playwright's own wait_for_function runs `eval` in the page, which our Content-Security-Policy forbids.
    """
    deadline = time.monotonic() + timeout_s
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never true: {expression}"
        page.wait_for_timeout(50)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A Chromium with an empty profile of its own, for the tests of one module."""
    # imported here: collecting tests needs no browser
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium")
    if found is None:
        pytest.fail("Chromium is missing: run tests/e2e/install_chromium.sh")
    profile: Path = tmp_path_factory.mktemp("chromium")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=found,
            args=list(ARGUMENTS),
            viewport={"width": 1440, "height": 1000},
            timezone_id="Europe/Berlin",
            locale="en-GB",
            accept_downloads=True,
        )
        context.set_default_timeout(40_000)
        yield context
        context.close()


@pytest.fixture
def page(chromium: BrowserContext) -> Iterator[Page]:
    """A new page; its `Trouble` is checked at the end."""
    fresh = chromium.new_page()
    trouble = watch(fresh)
    fresh.trouble = trouble  # type: ignore[attr-defined]
    yield fresh
    fresh.close()
    assert not trouble.problems, "\n".join(trouble.problems)
