"""Work in the background: each job in a thread of its own, run at aligned times, watched.

A job is due at the multiples of its interval since the epoch, so that two runs of one process, or two
processes, tick at the same instants. A tick that is missed (the job took longer, the machine slept) is not
made up for: the job itself knows from its state what is left to do.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from gnomon_collector.errors import StoreError
from gnomon_collector.settings import Settings
from gnomon_collector.store.engine import Store
from gnomon_collector.store.price_source import PriceSource

_log = logging.getLogger(__name__)


class Job(Protocol):
    """What is done again and again."""

    @property
    def name(self) -> str:
        """One word; it names the job in metrics and logs."""

    @property
    def interval_s(self) -> float:
        """Seconds between two ticks."""

    def run_once(self, now: datetime) -> None:
        """Do what is due at `now` (UTC). An exception is logged and the job runs again at the next tick."""

    def close(self) -> None:
        """Release what the job holds; called once, after its last run. A long run must end soon."""


@dataclass(frozen=True)
class JobParts:
    """What a job is made of.

    Attributes:
        settings: of this process
        store: the database
        dashboard_url: where people see the dashboard, for links; without a slash at the end
        prices: of models; the server reads them anew when it is told to
    """

    settings: Settings
    store: Store
    dashboard_url: str
    prices: PriceSource


@dataclass(frozen=True)
class JobStatus:
    """How a job is doing. Times are UTC; None before the first."""

    name: str
    interval_s: float
    runs: int = 0
    failures: int = 0
    last_started: datetime | None = None
    last_succeeded: datetime | None = None
    last_duration_s: float = 0.0
    last_error: str = ""

    def lag_s(self, now: datetime) -> float:
        """Seconds that the job is late: 0 while it keeps to its interval."""
        if self.last_succeeded is None:
            return 0.0
        return max(0.0, (now - self.last_succeeded).total_seconds() - self.interval_s)


class JobRunner:
    """Runs jobs between `start` and `stop`."""

    def __init__(self, jobs: Sequence[Job], clock: Callable[[], float] = time.time) -> None:
        self._threads = [_JobThread(job, clock) for job in jobs]

    def start(self) -> None:
        """Start a thread for each job."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop after the runs under way, and close the jobs."""
        for thread in self._threads:
            thread.ask_to_stop()
        for thread in self._threads:
            thread.join()

    def status(self) -> list[JobStatus]:
        """Return the state of each job."""
        return [thread.status for thread in self._threads]


class JobBoard:
    """Where others read how the jobs are doing, also before there are any."""

    def __init__(self) -> None:
        self._read: Callable[[], list[JobStatus]] = list

    def watch(self, read: Callable[[], list[JobStatus]]) -> None:
        """Read from here from now on."""
        self._read = read

    def status(self) -> list[JobStatus]:
        """Return the state of each job."""
        return self._read()


class _JobThread:
    def __init__(self, job: Job, clock: Callable[[], float]) -> None:
        self._job = job
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"gnomon-job-{job.name}", daemon=True)
        self.status = JobStatus(job.name, job.interval_s)

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        self._stopping.set()

    def join(self) -> None:
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(until_next_tick_s(self._clock(), self._job.interval_s)):
            self._tick()
        self._job.close()

    def _tick(self) -> None:
        started = datetime.fromtimestamp(self._clock(), UTC)
        before = time.monotonic()
        error = self._attempt(started)
        self.status = replace(
            self.status,
            runs=self.status.runs + 1,
            failures=self.status.failures + bool(error),
            last_started=started,
            last_succeeded=self.status.last_succeeded
            if error
            else datetime.fromtimestamp(self._clock(), UTC),
            last_duration_s=time.monotonic() - before,
            last_error=error,
        )

    def _attempt(self, now: datetime) -> str:
        """Run the job and return what went wrong, empty when nothing did."""
        try:
            self._job.run_once(now)
        except StoreError as error:
            _log.warning("The job %s could not do its work now, trying again: %s", self._job.name, error)
            return str(error)
        except Exception as error:
            _log.exception("The job %s failed, trying again at its next tick", self._job.name)
            return f"{type(error).__name__}: {error}"
        return ""


def until_next_tick_s(now_s: float, interval_s: float) -> float:
    """Return the seconds from `now_s` (since the epoch) to the next multiple of the interval."""
    return interval_s - now_s % interval_s
