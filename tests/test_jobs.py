"""Jobs in the background, with real threads and short intervals."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from gnomon_collector.errors import StoreUnavailable
from gnomon_collector.jobs import JobRunner, JobStatus, until_next_tick_s


class _Counting:
    """Fails at its first run, then works."""

    name = "counting"
    interval_s = 0.02

    def __init__(self) -> None:
        self.runs: list[datetime] = []
        self.is_closed = False
        self.worked = threading.Event()

    def run_once(self, now: datetime) -> None:
        self.runs.append(now)
        if len(self.runs) == 1:
            raise StoreUnavailable("the database is away")
        if len(self.runs) > 2:
            self.worked.set()

    def close(self) -> None:
        self.is_closed = True


def test_a_failed_run_is_counted_and_does_not_end_the_job() -> None:
    job = _Counting()
    runner = JobRunner([job])
    runner.start()
    assert job.worked.wait(10)
    runner.stop()
    status = runner.status()[0]
    assert status.failures == 1
    assert status.runs == len(job.runs) >= 3
    assert status.last_error == ""
    assert job.is_closed


def test_ticks_are_at_multiples_of_the_interval() -> None:
    assert until_next_tick_s(1_000_065.0, 60.0) == 15.0
    assert until_next_tick_s(1_000_080.0, 60.0) == 60.0


def test_the_lag_is_what_goes_beyond_the_interval() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    status = JobStatus("x", 60.0, last_succeeded=now - timedelta(seconds=200))
    assert status.lag_s(now) == 140.0
    assert JobStatus("x", 60.0).lag_s(now) == 0.0
