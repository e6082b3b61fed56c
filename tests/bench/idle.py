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
_POLL_S: Final = 5.0
_QUIET_LOOKS: Final = 4
_MERGES: Final = "SELECT count() AS found FROM system.merges"
_REMOVALS: Final = "SELECT count() AS found FROM system.parts WHERE NOT active AND database = 'gnomon'"
_UNSUMMARISED: Final = (
    f"SELECT count() AS found FROM spans WHERE project = '{PROJECT}' AND start_time >="
    f" (SELECT max(until) FROM trace_coverage FINAL WHERE project = '{PROJECT}')"
)
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


@dataclass(frozen=True)
class Rest:
    """How the server came to rest before it was measured.

    Attributes:
        seconds: that it took.
        left: the background work that was still to be done then, empty when it was done.
    """

    seconds: float
    left: tuple[str, ...]


def come_to_rest(server: GnomonServer, most_s: float) -> Rest:
    """Wait until what a load leaves to be done in the background is done, `most_s` seconds at the most."""
    started, quiet = time.monotonic(), 0
    left = background_work(server)
    while quiet < _QUIET_LOOKS and time.monotonic() - started < most_s:
        time.sleep(_POLL_S)
        left = background_work(server)
        quiet = 0 if left else quiet + 1
    return Rest(time.monotonic() - started, tuple(left))


def background_work(server: GnomonServer) -> list[str]:
    """Return what a server has still to do about the spans that it has, in words; empty when nothing is left."""
    work = {
        "requests in the inbox": int(server.status()["inbox_requests"]),
        "merges": _found(server, _MERGES),
        "merged parts to be removed": _found(server, _REMOVALS),
        "spans of traces to be summarised": _found(server, _UNSUMMARISED),
    }
    return [f"{count:,} {what}" for what, count in work.items() if count]


def _found(server: GnomonServer, sql: str) -> int:
    return int(server.query(sql)[0]["found"])


def measure_idle(server: GnomonServer, *, each_s: float, settle_s: float) -> list[IdlePhase]:
    """Measure each phase for `each_s` seconds, those with a page `settle_s` seconds after it was opened.

    Some jobs run once a minute: in a phase much shorter than two minutes they weigh too much or nothing.

    Raises:
        BenchError: there is no Chromium, or the page does not show its charts.
    """
    phases = [_phase(server, "no page open", each_s)]
    with _chromium_page() as page:
        _open_overview(server, page, refresh_s=0)
        time.sleep(settle_s)
        phases.append(_phase(server, "Overview open, live refresh off", each_s))
        _open_overview(server, page, refresh_s=REFRESH_S)
        time.sleep(settle_s)
        phases.append(_phase(server, f"Overview open, refresh every {REFRESH_S} s", each_s))
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
