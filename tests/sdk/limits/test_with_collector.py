"""`gnomon.allow` against a real collector with a real budget."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ingest.server_process import ServerProcess

import gnomon

BUDGET = """
[[budget]]
name = "two calls"
project = "shop"
per = "user"
measure = "requests"
limit = 2
window = "1h"
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    path = tmp_path / "alerts.toml"
    path.write_text(BUDGET, encoding="utf-8")
    settings = {"GNOMON_ALERTS_FILE": str(path), "GNOMON_ALERT_STEP_S": "1"}
    with ServerProcess(tmp_path / "data", ("collector", "jobs"), settings) as process:
        yield process


@pytest.mark.slow
def test_who_spent_the_budget_is_refused_and_others_are_not(server: ServerProcess) -> None:
    gnomon.init("shop", endpoint=server.url, api_key=server.key("shop"), instrument="none")
    usage = {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 10}
    for _ in range(3):
        with (
            gnomon.session(user="u-1"),
            gnomon.span("chat", kind="generation", attributes={"gen_ai.operation.name": "chat", **usage}),
        ):
            pass
    assert gnomon.flush()
    end_s = time.monotonic() + 60
    while gnomon.allow("u-1", wait_s=5.0):
        assert time.monotonic() < end_s, "never refused"
        time.sleep(0.5)
    refused = gnomon.allow("u-1")
    assert refused.known and refused.budget == "two calls" and "two calls" in refused.reason
    assert gnomon.allow("u-2", wait_s=5.0).known
    assert gnomon.allow("u-2")
