"""Fault 23: a worker killed at any time judges each answer once, and keeps to the budget."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.quality.conftest import NOW, Judge, answered, insert, make_setup, policy_text

from gnomon_collector.quality.planner import plan_online
from gnomon_collector.store import judge_queue
from gnomon_collector.store.engine import open_store
from gnomon_collector.store.migrations import migrate

ANSWERS = 300


def start(directory: Path, judge: Judge, usd: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.quality.judge_process", str(directory), judge.url, str(usd)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "working\n"
    return process


@pytest.mark.parametrize("kills", [2, pytest.param(25, marks=pytest.mark.slow)])
def test_killed_workers_judge_once_within_the_budget(data_dir: Path, judge: Judge, kills: int) -> None:
    data_dir.mkdir()
    # What a killed worker had reserved counts whole: the budget lets each of them begin.
    usd = 0.05 + 0.03 * kills
    setup = make_setup(judge.url, data_dir, policy_text(usd=usd))
    with open_store(f"chdb://{data_dir / 'chdb'}", data_dir=data_dir) as store:
        migrate(store)
        insert(store, *(answered(number) for number in range(ANSWERS)))
        plan_online(store, setup.policy, setup.evaluators, setup.model, NOW)
    rng = random.Random(kills)
    for _ in range(kills):
        process = start(data_dir, judge, usd)
        before = len(judge.calls)
        deadline = time.monotonic() + 30
        while len(judge.calls) < before + rng.randint(1, 40) and time.monotonic() < deadline:
            if process.poll() is not None:
                break
            time.sleep(rng.random() * 0.02)
        process.kill()
        process.wait()
        _expire_leases(data_dir)
    assert start(data_dir, judge, usd).wait(timeout=300) == 0
    _check(data_dir, judge, usd)


def _expire_leases(directory: Path) -> None:
    """Ten minutes pass."""
    with open_store(f"chdb://{directory / 'chdb'}", data_dir=directory) as store:
        store.command(
            "INSERT INTO judge_attempts SELECT * REPLACE (now64(3) - INTERVAL 1 SECOND AS lease_until,"
            " toUnixTimestamp64Nano(now64(9)) AS version) FROM (SELECT * FROM judge_attempts FINAL"
            " WHERE outcome = '')"
        )


def _check(directory: Path, judge: Judge, usd: float) -> None:
    with open_store(f"chdb://{directory / 'chdb'}", data_dir=directory) as store:
        count, ids = store.query(
            "SELECT count(), uniqExact(trace_id) FROM scores FINAL WHERE source = 'judge'"
        ).rows[0]
        judged, skipped = store.query(
            "SELECT countIf(state = 'judged'), countIf(state = 'skipped') FROM judge_tasks FINAL"
        ).rows[0]
        days = {datetime.now(UTC).date(), (datetime.now(UTC) - timedelta(hours=1)).date()}
        spent = [judge_queue.spent(store, "shop", day) for day in days]
        assert count == ids == judged and int(str(judged)) + int(str(skipped)) == ANSWERS
        assert sum(one.usd for one in spent) <= usd * len(days)
        # Each call was written down before it was made.
        assert len(judge.calls) <= sum(one.calls for one in spent)
        twice = len(judge.calls) - int(str(judged))
        assert twice >= 0 and int(str(judged)) > 0
