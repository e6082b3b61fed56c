"""The thread that keeps the rollups up to date with the spans."""

from __future__ import annotations

import logging
import threading
import time

from gnomon_collector.errors import StoreError
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.store import rollups
from gnomon_collector.store.engine import Store

_log = logging.getLogger(__name__)

_MINUTES_AT_ONCE = 720
_PAUSE_S = 0.8
# A busy minute is large and touched by every flush: spend at most a tenth of the time on it, but let it be no
# further behind than this.
_REST_FACTOR = 9.0
_LONGEST_REST_S = 10.0
_WAIT_S = 1.0
_RETRY_S = 5.0


class RollupWorker:
    """Start it once; `stop` finishes the computation under way."""

    def __init__(self, inbox: Inbox, store: Store) -> None:
        self._inbox = inbox
        self._store = store
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gnomon-rollups", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the computation under way; the minutes left are computed after the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self._inbox.wait_for_touched(_WAIT_S):
                continue
            started = time.monotonic()
            try:
                is_behind = self.recompute_touched() == _MINUTES_AT_ONCE
            except Exception as error:
                self._note_failure(error)
                self._inbox.wake_touched()
                self._stopping.wait(_RETRY_S)
                continue
            if is_behind:
                self._inbox.wake_touched()
            else:
                self._stopping.wait(_rest_s(time.monotonic() - started))

    def _note_failure(self, error: Exception) -> None:
        if isinstance(error, StoreError):
            _log.warning("The rollups cannot be brought up to date now, trying again: %s", error)
        else:
            _log.exception("Computing the rollups failed, trying again")

    def recompute_touched(self) -> int:
        """Bring the newest out-of-date minutes up to date and return how many there were."""
        touched = self._inbox.touched_minutes(_MINUTES_AT_ONCE)
        if touched.minutes:
            projects = sorted({project for project, _ in touched.minutes})
            rollups.recompute(self._store, projects, sorted({minute for _, minute in touched.minutes}))
            self._inbox.forget_touched(touched)
        return len(touched.minutes)


def _rest_s(cost_s: float) -> float:
    return max(_PAUSE_S, cost_s, min(_REST_FACTOR * cost_s, _LONGEST_REST_S))
