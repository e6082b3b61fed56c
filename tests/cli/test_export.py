"""``gnomon export``, beside a server and without one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.cli.conftest import Run, clean_environment, run_gnomon

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
        (("--dataset", "none"), "no dataset 'none'"),
        (("calls", "--dataset", "none"), "not as calls"),
        (("examples",), "Name the dataset"),
        ((), "Say what to export"),
    ],
)
def test_what_is_wrong_is_said(gnomon: Run, arguments: tuple[str, ...], says: str) -> None:
    done = gnomon("export", *arguments, "--project", "shop")
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


MAKE = """
import sys
from pathlib import Path
from gnomon_collector.settings import load_settings
from gnomon_collector.store import datasets, migrations
from gnomon_collector.store.engine import open_store
directory = Path(sys.argv[1])
with open_store(load_settings(data=directory).store_url, data_dir=directory) as store:
    migrations.migrate(store)
    datasets.create_dataset(store, "shop", "empty one", "", "")
"""


def test_a_dataset_is_exported_without_a_server(tmp_path: Path) -> None:
    # in a process of its own: an engine has one directory
    subprocess.run(
        [sys.executable, "-c", MAKE, str(tmp_path)], check=True, timeout=60, env=clean_environment()
    )
    done = run_gnomon("export", "--project", "shop", "--dataset", "empty one", "--data", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and "0 lines" in done.stderr
