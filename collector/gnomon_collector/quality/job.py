"""The jobs of quality: plan, judge, check by code, send canaries."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from gnomon_collector.errors import GnomonError
from gnomon_collector.jobs import Job, JobParts
from gnomon_collector.quality.checks import ChecksJob
from gnomon_collector.quality.evaluators import registry_row
from gnomon_collector.quality.planner import plan_online
from gnomon_collector.quality.setup import OFF, JudgeSetup, load_setup
from gnomon_collector.store import judge_queue
from gnomon_collector.store.engine import Store

if TYPE_CHECKING:
    from gnomon_collector.quality.worker import Worker

_log = logging.getLogger(__name__)
_PLAN_EVERY_S: Final = 10.0
_WATCH_EVERY_S: Final = 5.0


def create_judge_jobs(parts: JobParts) -> Sequence[Job]:
    """Return the jobs of quality. Without a judge only those that need none.

    Raises:
        ConfigError: the policy or a rubric is wrong
    """
    setup = load_setup(parts.settings, parts.prices)
    jobs: list[Job] = [ChecksJob(parts.store, setup.policy)]
    if not setup.is_on:
        _log.info(OFF)
        return jobs
    if not setup.price.is_known:
        _log.warning(
            "No price is known for the judge %s, so its budget in USD cannot be held, only that in calls. Set"
            " GNOMON_JUDGE_INPUT_USD_PER_MILLION and GNOMON_JUDGE_OUTPUT_USD_PER_MILLION (0 for a model of"
            " your own).",
            setup.model,
        )
    if setup.policy.canaries:
        from gnomon_collector.quality.canaries import CanaryJob

        jobs.append(CanaryJob(parts.store, setup))
    return [*jobs, PlanJob(parts.store, setup), JudgeJob(parts.store, setup)]


class PlanJob:
    """Draws the sample of what came in."""

    name = "judge-plan"
    interval_s = _PLAN_EVERY_S

    def __init__(self, store: Store, setup: JudgeSetup) -> None:
        self._store = store
        self._setup = setup
        self._is_registered = False

    def run_once(self, now: datetime) -> None:
        """Make the tasks of what came in since the last time."""
        setup = self._setup
        if not self._is_registered:
            rows = [registry_row(one, setup.model) for one in setup.evaluators.values()]
            judge_queue.register_evaluators(self._store, rows, now)
            self._is_registered = True
        plan_online(self._store, setup.policy, setup.evaluators, setup.model, now)

    def close(self) -> None:
        """Nothing is held."""


class JudgeJob:
    """Keeps a worker going in a thread of its own: judging does not end at a tick, and must end at a stop."""

    name = "judge"
    interval_s = _WATCH_EVERY_S

    def __init__(self, store: Store, setup: JudgeSetup) -> None:
        self._store = store
        self._setup = setup
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def run_once(self, now: datetime) -> None:
        """Start the worker when it does not run; raise what ended it, and what keeps it from judging."""
        error, self._error = self._error, None
        if self._thread is None or not self._thread.is_alive():
            self._start()
        if error is not None:
            raise error
        if self._worker is not None and self._worker.trouble:
            raise JudgeUnavailable(f"the judge does not answer: {self._worker.trouble}")

    def _start(self) -> None:
        from gnomon_collector.quality.worker import Worker

        self._worker = Worker(self._setup.parts(self._store))
        self._thread = threading.Thread(
            target=self._work, args=(self._worker,), name="gnomon-judge", daemon=True
        )
        self._thread.start()

    def _work(self, worker: Worker) -> None:
        try:
            asyncio.run(worker.run())
        except Exception as error:
            # The next tick raises it, where the runner notes it, and starts a new worker.
            self._error = error

    def close(self) -> None:
        """Stop the worker: calls under way get two seconds."""
        if self._worker is not None and self._thread is not None:
            self._worker.stop()
            self._thread.join()


class JudgeUnavailable(GnomonError):  # noqa: N818  (named for the condition, as its siblings are)
    """The judge's endpoint does not answer; the queue waits."""
