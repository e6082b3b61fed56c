"""The job that checks all answers by code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from gnomon_collector.quality.policy import EVERY_PROJECT, JudgePolicy
from gnomon_collector.store import judge_queue, quality_checks
from gnomon_collector.store.engine import Store
from gnomon_collector.store.own_projects import CANARY_PROJECT, JUDGE_PROJECT
from gnomon_collector.store.quality_checks import BUILT_IN, Check

_EVERY_S: Final = 60.0
_SETTLE: Final = timedelta(seconds=5)
_LOOKBACK: Final = timedelta(days=8)
_MINUTES_AT_A_TIME: Final = 500
_MARK: Final = ("*", "checks")


class ChecksJob:
    """Counts what came in since the last time; a minute is counted whole, so twice does no harm."""

    name = "checks"
    interval_s = _EVERY_S

    def __init__(self, store: Store, policy: JudgePolicy) -> None:
        self._store = store
        self._policy = policy
        self._counted_until: datetime | None = None

    def run_once(self, now: datetime) -> None:
        """Count the minutes in which calls came in since the last time."""
        until = now - _SETTLE
        after = self._counted_until or judge_queue.read_mark(self._store, *_MARK) or now - _LOOKBACK
        touched = quality_checks.touched_minutes(self._store, after, until)
        for project, minutes in touched.items():
            if project in (JUDGE_PROJECT, CANARY_PROJECT):
                continue
            rest = iter(minutes)
            while some := list(islice(rest, _MINUTES_AT_A_TIME)):
                quality_checks.count_checks(self._store, project, checks_of(self._policy, project), some)
        if touched:  # an idle server writes nothing
            judge_queue.save_mark(self._store, *_MARK, until)
        self._counted_until = until

    def close(self) -> None:
        """Nothing is held."""


def checks_of(policy: JudgePolicy, project: str) -> Sequence[Check]:
    """Return the checks of a project: the built-in ones, and those of the policy; same name, that one."""
    own = {
        one.name: Check(one.name, one.kind, one.prompt, one.pattern, one.characters, one.json_schema)
        for one in policy.checks
        if one.project in (EVERY_PROJECT, project)
    }
    return [*(own.pop(one.name, one) for one in BUILT_IN), *own.values()]
