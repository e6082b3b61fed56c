"""The job that keeps the table of traces up to date."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from gnomon_collector.jobs import Job, JobParts
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.filters import floor_time
from gnomon_collector.store.trace_summaries import SLOT, bring_up_to_date, projects

SETTLES: Final = timedelta(minutes=1)
"""So long after the end of ten minutes its spans are expected to be here."""

LONGEST_RUN_S: Final = 20.0


class TraceSummariesJob:
    """Summarises what came and what changed, and after an upgrade all there is, newest first."""

    name = "trace-summaries"
    interval_s = 60.0

    def __init__(self, store: Store) -> None:
        self._store = store
        self._closing = threading.Event()

    def run_once(self, now: datetime) -> None:
        """Bring every project up to date as of `now` (UTC), for `LONGEST_RUN_S` at most."""
        give_up_at = time.monotonic() + LONGEST_RUN_S
        until = floor_time(now - SETTLES, int(SLOT.total_seconds()))
        for project in projects(self._store):
            bring_up_to_date(
                self._store,
                project,
                until,
                lambda: self._closing.is_set() or time.monotonic() > give_up_at,
            )
            if self._closing.is_set() or time.monotonic() > give_up_at:
                return

    def close(self) -> None:
        """Nothing is held."""


def create_trace_summaries_jobs(parts: JobParts) -> Sequence[Job]:
    """Return the job, for `gnomon_collector.serve`."""
    return [TraceSummariesJob(parts.store)]
