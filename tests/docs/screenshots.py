"""Takes the pictures of README.md from a real demo: ``make screenshots``."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tests.docs.conftest import GNOMON, clean_environment, run_gnomon
from tests.docs.markdown import DOCS

from gnomon_collector.runfile import ServerFile, find_server

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

IMAGES: Final = DOCS / "img"
_START_S: Final = 60.0
_HISTORY_S: Final = 180.0
_SETTLED_MS: Final = 2500
_LIVE_S: Final = 60.0
_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
# As high as two rows of panels.
_VIEWPORT: Final[ViewportSize] = {"width": 1440, "height": 828}
_ENOUGH: Final = "SELECT count() AS n FROM calls_per_hour WHERE project = 'demo'"
_A_TRACE: Final = """
SELECT trace_id, argMaxIf(span_id, start_time, kind = 'generation' AND status = 'ok') AS span_id
FROM spans
WHERE project = 'demo' AND start_time > now() - INTERVAL 1 HOUR
GROUP BY trace_id
HAVING countIf(kind = 'retrieval') > 0 AND countIf(kind = 'generation' AND status = 'ok') > 0
ORDER BY count() DESC, max(start_time) DESC
LIMIT 1
"""


@dataclass(frozen=True)
class Demo:
    """A running demo."""

    data_dir: Path
    server: ServerFile
    password: str

    def ask(self, sql: str) -> list[dict[str, object]]:
        """Run SQL beside the server."""
        answer = run_gnomon(
            "query", sql, "--format", "json", "--data", str(self.data_dir), env=clean_environment()
        )
        rows: list[dict[str, object]] = json.loads(answer)
        return rows


@contextmanager
def running_demo(data_dir: Path) -> Iterator[Demo]:
    """Run ``gnomon demo`` until its history and some minutes of live calls are in."""
    said = data_dir.with_suffix(".log")
    ports = [text for flag in ("--otlp-http-port", "--otlp-grpc-port", "--ui-port") for text in (flag, "0")]
    command = [GNOMON, "demo", "--data", str(data_dir), "--requests-per-second", "0.5", *ports]
    with said.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=clean_environment())
    try:
        _wait(lambda: process.poll() is not None or "Ctrl-C" in said.read_text(), _START_S)
        assert process.poll() is None, said.read_text()
        server = find_server(data_dir)
        password = re.search(r"admin / (\S+)", said.read_text())
        assert server is not None and password is not None
        demo = Demo(data_dir, server, password[1])
        _wait(lambda: "of history are in" in said.read_text(), _HISTORY_S)
        _wait(lambda: int(str(demo.ask(_ENOUGH)[0]["n"])) > 500 and bool(demo.ask(_A_TRACE)), _HISTORY_S)
        time.sleep(_LIVE_S)
        yield demo
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait(is_there: Callable[[], bool], timeout_s: float) -> None:
    end_s = time.monotonic() + timeout_s
    while not is_there():
        assert time.monotonic() < end_s, "the demo did not get there in time"
        time.sleep(0.5)


def take(demo: Demo) -> None:
    """Log in and take the pictures."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is missing: run `make chromium`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for scheme in _SCHEMES:
            page = browser.new_page(viewport=_VIEWPORT, timezone_id="UTC", color_scheme=scheme)
            _log_in(page, demo)
            _shoot(page, f"{demo.server.ui_url}/?project=demo&range=7d&refresh=0", f"overview-{scheme}.png")
            if scheme == "light":
                (trace,) = demo.ask(_A_TRACE)
                address = f"{demo.server.ui_url}/trace/{trace['trace_id']}"
                _shoot(page, f"{address}?project=demo&refresh=0&span={trace['span_id']}", "trace-light.png")
        browser.close()


def _log_in(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.server.ui_url}/login")
    page.fill("#username", "admin")
    page.fill("#password", demo.password)
    page.click("button[type=submit]")
    page.wait_for_url(re.compile(r"^(?!.*/login)"))


def _shoot(page: Page, address: str, name: str) -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(_SETTLED_MS)
    page.screenshot(path=IMAGES / name)
    print(IMAGES / name)


def main() -> None:
    """Start a demo in a directory of its own, take the pictures, and stop it."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running_demo(Path(folder) / "data") as demo:
        take(demo)


if __name__ == "__main__":
    main()
