"""``gnomon export``, beside a server and without one."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from tests.cli.conftest import Run

from gnomon_collector.runfile import ServerFile


def test_an_empty_project_exports_nothing(gnomon: Run, tmp_path: Path) -> None:
    for kind in ("calls", "traces", "scores", "fine-tuning", "preferences"):
        file = tmp_path / f"{kind}.jsonl"
        done = gnomon("export", kind, "--project", "nobody", "-o", str(file))
        assert done.returncode == 0, done.stderr
        assert file.read_text() == ""
        assert "0 lines" in done.stderr


def test_csv_has_a_header_even_so(gnomon: Run) -> None:
    done = gnomon("export", "calls", "--project", "nobody", "--format", "csv")
    assert done.stdout.startswith('"status","name","trace_id"')


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("calls", "--query", "nosuch:1"), "There is no field"),
        (("calls", "--range", "ever"), "no range"),
        (("fine-tuning", "--format", "csv"), "JSON Lines only"),
        (("calls", "-o", "/nosuch/directory/x"), "no directory"),
    ],
)
def test_what_is_wrong_is_said(gnomon: Run, arguments: tuple[str, ...], says: str) -> None:
    done = gnomon("export", arguments[0], "--project", "shop", *arguments[1:])
    assert done.returncode != 0
    assert says in done.stderr


def test_feedback_sent_to_the_server_is_exported(server: ServerFile, server_dir: Path) -> None:
    from tests.cli.conftest import run_here

    made = run_here("--data", str(server_dir), "keys", "create", "--project", "exported", "--scope", "ingest")
    key = made.stdout.splitlines()[-1]
    score = {"trace_id": "ab" * 16, "value": 1, "name": "user_feedback"}
    sent = httpx.post(
        f"{server.http_url}/v1/feedback", json=score, headers={"Authorization": f"Bearer {key}"}
    )
    assert sent.status_code == 200, sent.text
    done = run_here("--data", str(server_dir), "export", "scores", "--project", "exported")
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["trace_id"] == "ab" * 16
