"""Claiming: which tasks a worker may work on, within the budget, and what it will ask about them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from gnomon_collector.quality.cases import case_of, why_not
from gnomon_collector.quality.client import JudgeClient
from gnomon_collector.quality.costs import MAX_ANSWER_TOKENS, TOKENS_PER_DOCUMENT, JudgePrice
from gnomon_collector.quality.evaluators import Evaluator
from gnomon_collector.quality.policy import JudgePolicy
from gnomon_collector.quality.prompts import MOST_DOCUMENTS, Case, judge_messages
from gnomon_collector.store import judge_queue as queue
from gnomon_collector.store.engine import Store
from gnomon_collector.store.judge_inputs import load_material
from gnomon_collector.store.judge_queue import Attempt, Task
from gnomon_schemas.prices import Price

_log = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=10)
# Two workers that claim in the same instant see each other's rows after this.
_SETTLE_S: Final = 0.3
_MOST_PASSES: Final = 50


@dataclass(frozen=True)
class JudgeParts:
    """What a worker works with.

    Attributes:
        evaluators: by evaluator_version
        price: of the judge, today
        periods: prices by which its calls are recorded, of a provider's model
        now: the clock, UTC
    """

    store: Store
    client: JudgeClient
    evaluators: Mapping[str, Evaluator]
    policy: JudgePolicy
    price: Callable[[], JudgePrice]
    periods: Callable[[str, str], list[Price]]
    concurrency: int
    answer_tokens: int = MAX_ANSWER_TOKENS
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True)
class Ready:
    """A claimed task, with the request that judges it, and what its tokens cost."""

    task: Task
    attempt: Attempt
    evaluator: Evaluator
    case: Case
    messages: list[dict[str, str]]
    max_tokens: int
    price: JudgePrice


class Claims:
    """The claims of one worker.

    Attributes:
        skipped: tasks passed over because there was nothing to judge
    """

    def __init__(self, parts: JudgeParts, worker: str) -> None:
        self._parts = parts
        self._name = worker
        self.skipped = 0

    def take(self, project: str, limit: int, *, is_idle: bool) -> list[Ready]:
        """Claim up to `limit` tasks of a project.

        Args:
            is_idle: no call of this worker is under way, so that what is left of the budget is known

        Raises:
            StoreError: the database does not work
        """
        kept: list[Ready] = []
        # Tasks with nothing to judge are settled in passing; there may be many of them.
        for _ in range(_MOST_PASSES):
            kept, found = self._take(project, limit, is_idle)
            if kept or not found:
                break
        return kept

    def _take(self, project: str, limit: int, is_idle: bool) -> tuple[list[Ready], int]:
        """Return what was claimed, and how many tasks were settled without a call."""
        parts, now = self._parts, self._parts.now()
        found = queue.ready_tasks(parts.store, project, list(parts.evaluators), now, limit)
        prepared = self._prepared(project, self._without_verdict(project, found, now), now)
        affordable = self._affordable(project, prepared, now, is_idle)
        if not affordable:
            return [], len(found) - len(prepared)
        queue.claim(parts.store, [one.attempt for one in affordable])
        if not parts.store.is_embedded:
            time.sleep(_SETTLE_S)
        return self._kept(project, affordable, now), 0

    def _without_verdict(self, project: str, tasks: Sequence[Task], now: datetime) -> list[Task]:
        """Leave out tasks that were judged by a worker that did not live to say so, and say so."""
        verdicts = queue.verdicts_of(self._parts.store, project, [task.task_id for task in tasks])
        judged = [
            replace(task, state="judged", reason="", value=found[0], label=found[1])
            for task in tasks
            if (found := verdicts.get(task.task_id)) is not None
        ]
        queue.save_tasks(self._parts.store, judged, now)
        return [task for task in tasks if task.task_id not in verdicts]

    def _prepared(self, project: str, tasks: Sequence[Task], now: datetime) -> list[Ready]:
        """Make the requests; tasks that cannot be judged are skipped, with the reason."""
        if not tasks:
            return []
        material = load_material(self._parts.store, project, tasks)
        price = self._parts.price()
        ready, skipped = [], []
        for task in tasks:
            evaluator = self._parts.evaluators[task.evaluator_version]
            case = case_of(task, material[task.task_id])
            reason = why_not(evaluator, case)
            if reason:
                skipped.append(replace(task, state="skipped", reason=reason))
            else:
                ready.append(self._request(task, evaluator, case, price, now))
        queue.save_tasks(self._parts.store, skipped, now)
        self.skipped += len(skipped)
        return ready

    def _request(
        self, task: Task, evaluator: Evaluator, case: Case, price: JudgePrice, now: datetime
    ) -> Ready:
        messages = judge_messages(evaluator, case)
        max_tokens = self._parts.answer_tokens
        if evaluator.per_document:
            max_tokens += TOKENS_PER_DOCUMENT * min(MOST_DOCUMENTS, len(case.documents))
        prompt_bytes = sum(len(message["content"].encode("utf-8", "replace")) for message in messages)
        attempt = Attempt(
            project=task.project,
            day=now.date(),
            task_id=task.task_id,
            attempt=task.last_attempt + 1,
            worker=self._name,
            evaluator=task.evaluator,
            claimed_at=None,
            lease_until=now + LEASE,
            reserved_usd=price.most_usd(prompt_bytes, max_tokens),
        )
        return Ready(task, attempt, evaluator, case, messages, max_tokens, price)

    def _affordable(
        self, project: str, prepared: Sequence[Ready], now: datetime, is_idle: bool
    ) -> list[Ready]:
        """Keep what the day's budget allows; once it allows nothing, what waits is skipped and counted."""
        budget = self._parts.policy.budget_of(project)
        spent = queue.spent(self._parts.store, project, now.date())
        usd, calls = spent.usd, spent.calls
        kept = []
        for one in prepared:
            usd, calls = usd + one.attempt.reserved_usd, calls + 1
            if usd > budget.usd_per_day or calls > budget.calls_per_day:
                break
            kept.append(one)
        # Calls under way count with the most they may cost; what they leave may be enough for others.
        if prepared and not kept and is_idle:
            versions = list(self._parts.evaluators)
            reason = f"budget of {now.date()} used up"
            queue.skip_all_waiting(self._parts.store, project, versions, reason, now)
            _log.warning("The judge's budget for project %s is used up for today (UTC)", project)
        return kept

    def _kept(self, project: str, claimed: Sequence[Ready], now: datetime) -> list[Ready]:
        """Give back what another worker claimed before us, and what two together could not afford."""
        ours = {one.task_id: one for one in queue.won(self._parts.store, [c.attempt for c in claimed])}
        budget, spent = (
            self._parts.policy.budget_of(project),
            queue.spent(self._parts.store, project, now.date()),
        )
        over = spent.usd > budget.usd_per_day or spent.calls > budget.calls_per_day
        kept = (
            []
            if over
            else [replace(c, attempt=ours[c.task.task_id]) for c in claimed if c.task.task_id in ours]
        )
        keeping = {one.task.task_id for one in kept}
        lost = [ours.get(c.task.task_id, c.attempt) for c in claimed if c.task.task_id not in keeping]
        queue.withdraw(self._parts.store, lost, now)
        return kept
