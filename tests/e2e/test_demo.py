"""`gnomon demo` as a new user meets it: the real command, the real service, a real browser."""

from __future__ import annotations

import csv
import io
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.e2e.browser import chromium, page, until  # noqa: F401

from gnomon_collector.runfile import ServerFile, find_server

if TYPE_CHECKING:
    from playwright.sync_api import Page

LIVE = "kind = 'generation' AND NOT mapContains(resource, 'gnomon.simulated')"
PROVIDER = (
    "SELECT concat('http://', any(attributes['server.address']), ':', any(attributes['server.port']), '/v1')"
    f" FROM spans WHERE {LIVE}"
)
GNOMON = Path(sys.executable).parent / "gnomon"
START_S = 90.0
FULL_S = 120.0
STOP_S = 30.0
OWN_SERVICE = """
import openai, gnomon
gnomon.init(service_name="my-service")
client = openai.OpenAI(base_url={provider!r}, api_key="none", max_retries=0)
for _ in range(10):  # the demo's provider fails now and then, on purpose
    try:
        client.chat.completions.create(model="gpt-4o-mini", messages=[{{"role": "user", "content": "Is it mine?"}}])
        break
    except openai.APIError:
        continue
gnomon.flush()
print(gnomon.stats())
"""


@dataclass(frozen=True)
class Demo:
    """A running demo: where it is, and what it printed once."""

    server: ServerFile
    password: str
    ingest_key: str
    data_dir: Path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    data_dir = tmp_path_factory.mktemp("demo") / "data"
    output = data_dir.with_name("output.txt")
    ports = [text for flag in ("--otlp-http-port", "--otlp-grpc-port", "--ui-port") for text in (flag, "0")]
    command = [str(GNOMON), "demo", "--data", str(data_dir), "--history-days", "2", *ports]
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield _started(process, data_dir, output)
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_S) == 0, output.read_text()[-3000:]
        assert "Traceback" not in output.read_text()
    finally:
        process.kill()
        process.wait()


def _started(process: subprocess.Popen[bytes], data_dir: Path, output: Path) -> Demo:
    deadline = time.monotonic() + START_S
    while "Ctrl-C" not in output.read_text():
        assert process.poll() is None and time.monotonic() < deadline, output.read_text()[-3000:]
        time.sleep(0.1)
    server = find_server(data_dir)
    assert server is not None
    printed = output.read_text()
    password = re.search(r"admin / (\S+)", printed)
    key = re.search(r"ingest key\s+(\S+)", printed)
    assert password and key, printed
    return Demo(server, password.group(1), key.group(1), data_dir)


def query(demo: Demo, sql: str) -> list[list[str]]:
    """Run SQL the way a user does."""
    answer = subprocess.run(
        [str(GNOMON), "query", sql, "--data", str(demo.data_dir), "--format", "csv"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return list(csv.reader(io.StringIO(answer.stdout)))[1:]


def wait_for(demo: Demo, sql: str, timeout_s: float = FULL_S) -> None:
    """Wait until a query's first cell is neither 0 nor empty."""
    deadline = time.monotonic() + timeout_s
    while query(demo, sql)[0][0] in ("0", ""):
        assert time.monotonic() < deadline, f"still nothing: {sql}"
        time.sleep(0.5)


def log_in(page: Page, demo: Demo) -> None:  # noqa: F811
    page.goto(demo.server.ui_url)
    if page.locator("#username").count():
        page.fill("#username", "admin")
        page.fill("#password", demo.password)
        page.click("button[type=submit]")
        page.wait_for_url(re.compile(r"^(?!.*/login)"))


def tile(page: Page, name: str) -> str:  # noqa: F811
    found = page.locator(f".tile-{name} .tile-value:not(.loading)")
    found.wait_for()
    return found.inner_text()


def test_the_first_page_after_login_has_charts_of_the_demo(demo: Demo, page: Page) -> None:  # noqa: F811
    wait_for(demo, "SELECT count() FROM calls_per_hour WHERE project = 'demo'")
    log_in(page, demo)
    page.wait_for_url(re.compile("project=demo"))
    page.goto(f"{demo.server.ui_url}/?project=demo&range=24h")
    assert tile(page, "requests") not in ("0", "—")
    assert tile(page, "success").endswith("%")
    page.locator(".js-plotly-plot .bars, .js-plotly-plot .scatterlayer .trace").first.wait_for()
    until(page, "document.querySelectorAll('.js-plotly-plot').length >= 5")


def test_live_calls_arrive_and_fill_the_table(demo: Demo, page: Page) -> None:  # noqa: F811
    wait_for(demo, f"SELECT count() FROM spans WHERE {LIVE}")
    log_in(page, demo)
    page.goto(f"{demo.server.ui_url}/traces?project=demo&range=15m&live=5")
    page.locator(".ag-row .cell-link").first.wait_for()


def test_filter_open_a_trace_and_download_everything(demo: Demo, page: Page) -> None:  # noqa: F811
    wait_for(demo, "SELECT count() FROM spans WHERE name = 'answer_question'")
    log_in(page, demo)
    page.goto(f"{demo.server.ui_url}/traces?project=demo&range=7d&env=staging")
    page.locator(".ag-row .cell-link").first.wait_for()
    with page.expect_download() as download:
        page.get_by_text("Download", exact=True).click()
        page.locator(".panel-menu[open]").get_by_text("CSV").first.click()
    rows = list(csv.reader(Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()))
    expected = query(
        demo,
        "SELECT uniqExact(trace_id) FROM spans WHERE project = 'demo' AND environment = 'staging'",
    )
    assert len(rows) - 1 == int(expected[0][0])
    page.locator(".ag-row .cell-link").first.click()
    page.wait_for_url(re.compile("/trace/[0-9a-f]{32}"))
    page.get_by_text("Model calls").wait_for()


def test_own_service_shows_up_with_one_line(demo: Demo, page: Page) -> None:  # noqa: F811
    provider = query(demo, PROVIDER)[0][0]
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", OWN_SERVICE.format(provider=provider)],
        env={
            "GNOMON_ENDPOINT": demo.server.http_url,
            "GNOMON_API_KEY": demo.ingest_key,
            "PATH": "/usr/bin:/bin",
        },
        check=True,
        timeout=60,
    )
    wait_for(demo, "SELECT count() FROM calls WHERE service_name = 'my-service'", 20)
    assert time.monotonic() - started < 60
    log_in(page, demo)
    page.goto(f"{demo.server.ui_url}/traces?project=default&range=15m")
    page.get_by_text("Is it mine?").first.wait_for()
