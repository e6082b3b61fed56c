"""Everything real, time shortened: the demo's provider starts failing, and people are told once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.alerts.receivers import Mailbox, Received, smtp_server, webhook
from tests.e2e.browser import chromium, page, until  # noqa: F401
from tests.ingest.server_process import ServerProcess

from gnomon_collector.demo.children import free_port
from gnomon_collector.demo.run import Provider, start_provider, start_service

if TYPE_CHECKING:
    from playwright.sync_api import Page

ALERTS = """
[notify]
group_by = ["project"]
group_wait = "6s"
group_interval = "4s"

[[channel]]
name = "hook"
url = "${{HOOK_URL}}"

[[channel]]
name = "mail"
url = "{mail}"

[[rule]]
name = "Failing service"
metric = "error_rate"
group_by = ["service_name"]
window = "20s"
for = "2s"
keep_firing = "6s"
min_count = 8
severity = "critical"
condition = {{ kind = "threshold", above = 0.5 }}

[[rule]]
name = "Failing model"
metric = "error_rate"
group_by = ["provider"]
window = "20s"
for = "2s"
keep_firing = "6s"
min_count = 8
condition = {{ kind = "threshold", above = 0.5 }}
"""


@pytest.fixture
def hook() -> Iterator[Received]:
    with webhook() as received:
        yield received


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with smtp_server() as mailbox:
        yield mailbox


@pytest.fixture
def server(tmp_path: Path, hook: Received, box: Mailbox) -> Iterator[ServerProcess]:
    path = tmp_path / "alerts.toml"
    path.write_text(ALERTS.format(mail=box.url), encoding="utf-8")
    settings = {
        "GNOMON_ALERTS_FILE": str(path),
        "GNOMON_ALERT_DEFAULT_RULES": "false",
        "GNOMON_ALERT_STEP_S": "2",
        "GNOMON_ALERT_ALLOWANCE_S": "1",
        "GNOMON_ALERT_ALLOW_PRIVATE": "true",
        "GNOMON_ALERT_ALLOW_HTTP": "true",
        "HOOK_URL": hook.url,
    }
    process = ServerProcess(tmp_path / "data", ("collector", "dashboard", "jobs"), settings)
    # the service and the links in messages keep their addresses over restarts
    for flag in ("--otlp-http-port", "--ui-port"):
        process._command += [flag, str(free_port())]
    with process:
        yield process


@pytest.mark.slow
def test_told_once_though_killed_twice(
    tmp_path: Path,
    server: ServerProcess,
    hook: Received,
    box: Mailbox,
    page: Page,  # noqa: F811
) -> None:
    port = free_port()
    key = server.key("shop")
    provider = start_provider(port, logs=tmp_path, error_rate=0.0)
    service = start_service(provider.url, server.url, key, logs=tmp_path, requests_per_second=4)
    try:
        time.sleep(6)
        provider = replaced(provider, port, tmp_path, error_rate=1.0)
        wait_for(lambda: len(hook.bodies) >= 1 and len(box.mails) >= 1, 90)
        restart(server)
        time.sleep(8)  # it goes on failing; nobody is told again
        restart(server)
        time.sleep(8)
        assert len(hook.bodies) == 1 and len(box.mails) == 1
        provider = replaced(provider, port, tmp_path, error_rate=0.0)
        wait_for(lambda: len(hook.bodies) >= 2 and len(box.mails) >= 2, 120)
        time.sleep(8)
    finally:
        service.stop()
        provider.stop()
    assert [body["status"] for body in hook.bodies] == ["firing", "resolved"]
    assert len(hook.ids) == len(set(hook.ids))
    assert [str(mail["subject"]).partition("]")[0] for mail in box.mails] == ["[CRITICAL", "[RESOLVED"]
    fired = {alert["labels"]["alertname"] for alert in hook.bodies[0]["alerts"]}
    assert fired == {"Failing service", "Failing model"}
    traces = [alert["annotations"]["trace_1"] for alert in hook.bodies[0]["alerts"]]
    assert all("/trace/" in address and "project=shop" in address for address in traces)
    see_trace(page, server, traces[0])


def replaced(old: Provider, port: int, logs: Path, error_rate: float) -> Provider:
    """The provider on the same port, failing differently."""
    old.stop()
    return start_provider(port, logs=logs, error_rate=error_rate)


def restart(server: ServerProcess) -> None:
    server.kill()
    server.start()


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


def see_trace(shown: Page, server: ServerProcess, address: str) -> None:
    """The link shows the failed call, once one has logged in."""
    password = next(
        line.rpartition("/")[2].strip()
        for line in server.log.read_text().splitlines()
        if line.strip().startswith("login")
    )
    shown.goto(address)
    shown.fill("input[name=username]", "admin")
    shown.fill("input[name=password]", password)
    shown.click("button[type=submit]")
    shown.wait_for_selector("#waterfall .wf-row", timeout=40_000)
    assert address.partition("/trace/")[2].partition("?")[0] in shown.url
    until(shown, "document.querySelector('#span-detail').innerText.toLowerCase().includes('error')")
