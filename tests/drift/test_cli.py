"""`gnomon drift` as people and CI run it, in a process of its own on a directory without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.conftest import run_gnomon, run_here
from tests.drift import traffic

from gnomon_collector.cli.drift import EXIT_DRIFT
from gnomon_collector.store.drift_results import pinned_reference
from gnomon_collector.store.engine import open_store
from gnomon_collector.store.migrations import migrate

AT = "2026-11-20T12:00"


@pytest.fixture
def filled(data_dir: Path) -> Iterator[Path]:
    """A data directory whose last day has longer answers."""
    data_dir.mkdir(parents=True)
    with open_store(f"chdb://{data_dir / 'chdb'}", data_dir=data_dir) as store:
        migrate(store)
        traffic.insert(store, traffic.calls(traffic.wordier, per_hour=8, days=4))
    yield data_dir


def test_a_report_finds_the_change_and_can_fail_a_build(filled: Path) -> None:
    common = (
        "drift",
        "report",
        "--data",
        str(filled),
        "--project",
        traffic.PROJECT,
        "--at",
        AT,
        "--no-texts",
    )
    done = run_gnomon(*common, "--fail-on", "drift")
    assert done.returncode == EXIT_DRIFT, done.stderr
    assert "Output length: median" in done.stdout and "characters (+" in done.stdout
    assert "2026-11-19 12:00 to 2026-11-20 12:00 against 2026-11-16 12:00 to 2026-11-19 12:00" in done.stdout

    mailer = run_gnomon(
        *common, "--service", "mailer", "--hours", "48", "--format", "json", "--fail-on", "drift"
    )
    found = json.loads(mailer.stdout)
    assert {one["service_name"] for one in found["results"]} == {"mailer"}
    assert {one["metric"] for one in found["results"]} >= {"output_length", "latency", "error"}

    pinned = run_gnomon(
        "drift", "pin", "2026-11-16..2026-11-18", "--project", traffic.PROJECT, "--data", str(filled)
    )
    assert pinned.returncode == 0 and "2026-11-16..2026-11-18" in pinned.stdout
    with open_store(f"chdb://{filled / 'chdb'}", data_dir=filled) as store:
        window = pinned_reference(store, traffic.PROJECT)
    assert window == (datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 18, tzinfo=UTC))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "--project", "p", "--service", "a", "--model", "b"), "Choose one of"),
        (("report", "--project", "p", "--reference", "2026-11-01"), "FROM..TO"),
        (("report", "--project", "p", "--at", "yesterday"), "ISO 8601"),
        (("pin", "--project", "p"), "--trailing"),
        (("pin", "--project", "p", "2026-11-01..2026-11-08", "--trailing"), "--trailing"),
    ],
)
def test_a_wrong_command_line_is_said_to_be(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run_here("drift", *arguments, "--data", str(tmp_path))
    assert done.returncode == 2 and said in done.stderr
