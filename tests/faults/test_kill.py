"""kill -9 at any time, under load: nothing acknowledged is lost, nothing is doubled."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.faults.forked_server import ForkedServer
from tests.faults.ledger import Ledger, Load, Request, assert_l0, post
from tests.ingest.server_process import ServerProcess

PROJECT = "ledger"
FAST_TRIALS, SLOW_TRIALS = 20, 200
# Checked in between, and all of it at the end: a check waits until everything is written.
TRIALS_PER_CHECK = 5


class Trials:
    """A server that is killed again and again, on one data directory."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self.ledger = Ledger()
        self._server = server
        self._seed = seed
        self._chance = random.Random(seed)
        self._key = server.key(PROJECT)

    def run(self, number: int) -> None:
        """Load the running server, kill it, start it again; now and then kill it while it starts."""
        self._resend(self._load_and_kill(number))
        if self._chance.random() < 0.2:
            self._server.kill()
            self._server.launch()
            time.sleep(self._chance.uniform(0, 3))
            self._server.kill()
            self._server.start()

    def _load_and_kill(self, number: int) -> list[Request]:
        load = Load(self._server.url, self._key, PROJECT, self.ledger, self._seed * 1000 + number)
        try:
            load.wait_for_acks(self._chance.choice([1, 3, 10, 40]))
            time.sleep(self._chance.uniform(0, 0.05) if self._chance.random() < 0.7 else 0.6)
        finally:
            self._server.kill()
            unanswered = load.stop()
        self._server.start()
        return unanswered

    def _resend(self, unanswered: list[Request]) -> None:
        """Send half of what had no answer again, as an exporter would."""
        with httpx.Client(timeout=30, trust_env=False) as client:
            for sent in unanswered:
                if self._chance.random() < 0.5:
                    assert post(client, self._server.url, self._key, sent, self.ledger, self._chance)


def run_trials(data_dir: Path, seed: int, trials: int) -> str:
    """Run and check trials, and return what they came to."""
    with ForkedServer(data_dir) as server:
        running = Trials(server, seed)
        for number in range(trials):
            running.run(number)
            if number % TRIALS_PER_CHECK == TRIALS_PER_CHECK - 1:
                assert_l0(server, running.ledger, PROJECT)
        stored = assert_l0(server, running.ledger, PROJECT)
        assert stored >= len(running.ledger.acknowledged) > 10 * trials
        assert running.ledger.refused == {}
        assert server.metric("gnomon_quarantined_requests") == 0
    acknowledged = len(running.ledger.acknowledged)
    return f"{trials} kills, {acknowledged} spans acknowledged, {stored} stored, 0 lost, 0 doubled"


def test_killed_twenty_times(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("figure", run_trials(tmp_path / "data", seed=1, trials=FAST_TRIALS))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4, 5])
def test_killed_two_hundred_times(
    tmp_path: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    record_property("figure", run_trials(tmp_path / "data", seed=seed, trials=SLOW_TRIALS // 4))
