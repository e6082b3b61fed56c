"""Working off the queue on request: until nothing is left, or time is up."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Final

from gnomon_collector.quality.setup import JudgeSetup
from gnomon_collector.quality.worker import Worker
from gnomon_collector.store import judge_queue
from gnomon_collector.store.engine import Store

_POLL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """How a run ended.

    Attributes:
        waiting: tasks left, of them some may wait for their next try
        trouble: why the judge could not be asked, "" when it could
    """

    judged: int
    failed: int
    cost_usd: float
    waiting: int
    trouble: str
    is_paused: bool
    seconds: float


def work_off(store: Store, setup: JudgeSetup, project: str, most_s: float) -> Run:
    """Judge what waits in a project, beside whatever other workers there are.

    Raises:
        ConfigError: no judge is configured
        StoreError: the database does not work
    """
    started_s = time.monotonic()
    judged = failed = 0
    cost_usd, trouble = 0.0, ""
    versions = list(setup.versions.values())
    while True:
        left_s = most_s - (time.monotonic() - started_s)
        if left_s <= 0:
            break
        worker = Worker(setup.parts(store))
        alarm = threading.Timer(left_s, worker.stop)
        alarm.start()
        try:
            asyncio.run(worker.run(until_empty=True, projects=[project]))
        finally:
            alarm.cancel()
        judged, failed = judged + worker.stats.judged, failed + worker.stats.failed
        cost_usd, trouble = cost_usd + worker.stats.cost_usd, worker.trouble
        if trouble or judge_queue.is_paused(store) or not judge_queue.count_waiting(store, project, versions):
            break
        # What is left is tried again later, or another worker is at it.
        time.sleep(min(_POLL_S, max(0.0, left_s)))
    return Run(
        judged=judged,
        failed=failed,
        cost_usd=cost_usd,
        waiting=judge_queue.count_waiting(store, project, versions),
        trouble=trouble,
        is_paused=judge_queue.is_paused(store),
        seconds=time.monotonic() - started_s,
    )
