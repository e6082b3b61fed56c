"""The job ``drift``: hour by hour, project by project, what was found since the last time."""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from gnomon_collector.drift.plan import Plan, windows_at
from gnomon_collector.jobs import Job, JobParts
from gnomon_collector.settings import Settings
from gnomon_collector.store import drift_results
from gnomon_collector.store.drift_features import refresh, rolled_up_s
from gnomon_collector.store.drift_results import version_at
from gnomon_collector.store.drift_windows import first_hour, projects_with_calls
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.filters import floor_time

HOUR: Final = timedelta(hours=1)
GRACE: Final = timedelta(minutes=5)
"""Spans of the last minutes of an hour may still be on their way."""
MOST_HOURS_BEHIND: Final = 72
MOST_HOURS_COUNTED: Final = 72
"""In one run: after that a server may stop, and the next run goes on."""
SETTLED_S: Final = 45.0
"""How long the past of a project has to be quiet before its first evaluation."""
TEXT_EVERY_HOURS: Final = 6
BUDGET_S: Final = 8.0
"""Longest run: what is left is for the next one, so that a server that stops does not wait for it."""

_log = logging.getLogger(__name__)


def create_drift_jobs(parts: JobParts) -> Sequence[Job]:
    """Return the drift job, none where the setting `drift` is off."""
    return [DriftJob(parts.store, parts.settings)] if parts.settings.drift == "on" else []


class DriftJob:
    """Evaluates every whole hour once, in each project with calls. What it missed it makes up for."""

    name = "drift"
    interval_s = 30.0

    def __init__(self, store: Store, settings: Settings, *, budget_s: float = BUDGET_S) -> None:
        self._store = store
        self._budget_s = budget_s
        self._plan = Plan(settings.drift_current_hours, settings.drift_reference_days)

    def run_once(self, now: datetime) -> None:
        """Evaluate the hours that are complete at `now` (UTC) and were not evaluated."""
        newest = floor_time(now - GRACE, 3600)
        since = newest - timedelta(hours=MOST_HOURS_BEHIND + self._plan.current_hours)
        give_up_at_s = clock.monotonic() + self._budget_s
        for project in projects_with_calls(self._store, since):
            for time in self._due(project, newest, now):
                self._evaluate(project, time, now)
                if clock.monotonic() > give_up_at_s:
                    return

    def close(self) -> None:
        """Release nothing: the store belongs to the server."""

    def _due(self, project: str, newest: datetime, now: datetime) -> Iterator[datetime]:
        first = first_hour(self._store, project)
        if first is None:
            return
        last = drift_results.last_time(self._store, project)
        if last is None and now.timestamp() - rolled_up_s(self._store, project, newest - HOUR) < SETTLED_S:
            # a history is being sent: what is seen of it now would never be looked at again
            return
        begin = max(first + HOUR, newest - timedelta(hours=MOST_HOURS_BEHIND - 1))
        time = max(begin, last + HOUR) if last is not None else begin
        if time > newest:
            return
        # everything that the first evaluation looks at, and what is new
        start = windows_at(self._store, project, self._plan, time).reference_start
        left = refresh(self._store, project, start, newest, most_hours=MOST_HOURS_COUNTED)
        if left:
            _log.info("Drift: counting the calls of project %s, %d hours left", project, left)
            return
        while time <= newest:
            yield time
            time += HOUR

    def _evaluate(self, project: str, time: datetime, now: datetime) -> None:
        # scipy takes 70 MB: a server without traffic does without
        from gnomon_collector.drift.report import evaluation, text_evaluation

        windows, results = evaluation(self._store, project, self._plan, time)
        if time.hour % TEXT_EVERY_HOURS == 0:
            before = time - timedelta(hours=TEXT_EVERY_HOURS)
            results += text_evaluation(self._store, project, windows, results, before)
        drift_results.write(self._store, project, results, version_at(now))
        drifting = sum(one.state == "drift" for one in results)
        _log.debug("Drift: project %s at %s: %d results, %d drift", project, time, len(results), drifting)
