"""What a server costs when nothing happens: nobody looking, a page open, a page refreshing itself."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.bench.gnomon_server import LOG_FILE, PROJECT, BenchError, GnomonServer
from tests.bench.usage import disk_bytes, usage

if TYPE_CHECKING:
    from playwright.sync_api import Page

REFRESH_S: Final = 10
_LOGIN: Final = re.compile(r"^\s*login\s+(\S+) / (\S+)\s*$", re.MULTILINE)
_CHARTS: Final = ".js-plotly-plot"
_ARGUMENTS: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


@dataclass(frozen=True)
class IdlePhase:
    """Some seconds of idling.

    Attributes:
        cpu_percent: of one core, the server alone.
        rss_bytes: at the end.
        disk_growth_bytes: of the data directory during the phase.
    """

    name: str
    seconds: float
    cpu_percent: float
    rss_bytes: int
    disk_growth_bytes: int


def measure_idle(
    server: GnomonServer, *, closed_s: float, open_s: float, refreshing_s: float, settle_s: float
) -> list[IdlePhase]:
    """Measure each phase for some seconds, each after `settle_s` seconds in which the server comes to rest.

    Raises:
        BenchError: there is no Chromium, or the page does not show its charts.
    """
    time.sleep(settle_s)
    phases = [_phase(server, "no page open", closed_s)]
    with _chromium_page() as page:
        _open_overview(server, page, refresh_s=0)
        time.sleep(settle_s)
        phases.append(_phase(server, "Overview open, live refresh off", open_s))
        _open_overview(server, page, refresh_s=REFRESH_S)
        time.sleep(settle_s)
        phases.append(_phase(server, f"Overview open, refresh every {REFRESH_S} s", refreshing_s))
    return phases


def _phase(server: GnomonServer, name: str, seconds: float) -> IdlePhase:
    disk, before, started = disk_bytes(server.data_dir), usage(server.pid), time.monotonic()
    time.sleep(seconds)
    after, took_s = usage(server.pid), time.monotonic() - started
    return IdlePhase(
        name=name,
        seconds=took_s,
        cpu_percent=100 * (after.cpu_s - before.cpu_s) / took_s,
        rss_bytes=after.rss_bytes,
        disk_growth_bytes=disk_bytes(server.data_dir) - disk,
    )


@contextmanager
def _chromium_page() -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        raise BenchError("Chromium is missing: run tests/e2e/install_chromium.sh")
    with (
        tempfile.TemporaryDirectory(prefix="gnomon-bench-", ignore_cleanup_errors=True) as profile,
        sync_playwright() as playwright,
    ):
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=program, args=list(_ARGUMENTS), viewport={"width": 1440, "height": 1000}
        )
        yield context.new_page()
        context.close()


def _open_overview(server: GnomonServer, page: Page, *, refresh_s: int) -> None:
    page.goto(f"{server.server.ui_url}/?project={PROJECT}&refresh={refresh_s}")
    if page.locator("#password").count():
        user, password = _credentials(server)
        page.fill("#username", user)
        page.fill("#password", password)
        page.click("button[type=submit]")
    try:
        page.wait_for_selector(_CHARTS, timeout=30_000)
    except Exception as error:
        raise BenchError(f"the Overview shows no chart at {page.url}: {error}") from error


def _credentials(server: GnomonServer) -> tuple[str, str]:
    log = (server.data_dir / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    found = _LOGIN.search(log)
    if found is None:
        raise BenchError(f"no login in {server.data_dir / LOG_FILE}: was the directory new?")
    return found.group(1), found.group(2)
