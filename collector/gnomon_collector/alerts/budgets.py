"""Budgets: who spent how much of which limit, over a rolling window."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gnomon_collector.alerts.conditions import Verdict
from gnomon_collector.alerts.config import Budget
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.states import Look, Watched
from gnomon_collector.store.budgets import (
    DIMENSIONS,
    BudgetState,
    budget_states,
    save_budget_states,
    spent,
    spent_over_time,
)
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_facts import Key, Window

_log = logging.getLogger(__name__)

_BASE_FRESH = timedelta(minutes=5)
_STEPS = 96

_Subject = tuple[str, str]


@dataclass(frozen=True)
class _Base:
    """What was spent up to `end`: read seldom, since it covers the whole window."""

    end: datetime
    spent: Mapping[_Subject, float]


class BudgetMeter:
    """Measures budgets. The long part of a window is read every five minutes, its end each time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._bases: dict[str, _Base] = {}
        self._states: dict[tuple[str, str, str], BudgetState] | None = None

    def forget(self) -> None:
        """Read the states anew: another process may have written them."""
        self._states = None
        self._bases = {}

    @property
    def has_states(self) -> bool:
        """Whether somebody came near a limit, as far as is known; True before the states were read."""
        return self._states is None or any(one.state != "ok" for one in self._states.values())

    def measure(self, budgets: Sequence[Budget], projects: Sequence[str], now: datetime) -> list[BudgetState]:
        """Measure all budgets, keep what changed, and return the states of all that came near a limit.

        Raises:
            StoreError: the database does not answer
        """
        states = self._known()
        found: dict[tuple[str, str, str], BudgetState] = {}
        for budget in budgets:
            wanted = [one for one in projects if budget.project in ("*", one)]
            if budget.enabled and wanted:
                found |= self._of_budget(budget, wanted, now)
        for key, old in states.items():
            if key not in found and old.state != "ok":
                found[key] = replace(old, state="ok", spent=0.0, since=now, retry_at=None)
        changed = [one for key, one in found.items() if _is_news(states.get(key), one)]
        save_budget_states(self._store, changed)
        states |= {(one.project, one.budget, one.subject): one for one in changed}
        return list(states.values())

    def _known(self) -> dict[tuple[str, str, str], BudgetState]:
        if self._states is None:
            found = budget_states(self._store)
            self._states = {(one.project, one.budget, one.subject): one for one in found}
        return self._states

    def _of_budget(
        self, budget: Budget, projects: Sequence[str], now: datetime
    ) -> dict[tuple[str, str, str], BudgetState]:
        base = self._base(budget, projects, now)
        tail = self._read(budget, projects, Window(base.end, now + timedelta(seconds=1)))
        found = {}
        for project, subject in {**base.spent, **tail}:
            total = base.spent.get((project, subject), 0.0) + tail.get((project, subject), 0.0)
            state = self._state(budget, project, subject, total, now)
            if state is not None:
                found[project, budget.name, subject] = state
        return found

    def _base(self, budget: Budget, projects: Sequence[str], now: datetime) -> _Base:
        name = repr((budget, projects))
        base = self._bases.get(name)
        if base is None or not timedelta() <= now - base.end < _BASE_FRESH:
            # a whole minute: the rollups know no smaller parts
            end = now.replace(second=0, microsecond=0)
            start = end - timedelta(seconds=budget.window)
            base = _Base(end, self._read(budget, projects, Window(start, end)))
            self._bases[name] = base
        return base

    def _read(self, budget: Budget, projects: Sequence[str], window: Window) -> dict[_Subject, float]:
        return spent(self._store, projects, budget.measure, budget.per, budget.filter, window)

    def _state(
        self, budget: Budget, project: str, subject: str, total: float, now: datetime
    ) -> BudgetState | None:
        limit = budget.limits.get(subject, budget.limit)
        near = min((*budget.notify_at, 1.0)) * limit
        level = "over" if total >= limit else "near" if total >= near else "ok"
        old = self._known().get((project, budget.name, subject))
        if level == "ok" and old is None:
            return None
        state = BudgetState(
            project=project,
            budget=budget.name,
            subject=subject,
            per=budget.per,
            state=level,  # type: ignore[arg-type]
            is_blocking=budget.block,
            spent=total,
            limit_value=limit,
            measure=budget.measure,
            window_s=budget.window,
            since=old.since if old is not None and old.state == level else now,
            retry_at=old.retry_at if old is not None and old.state == level else None,
        )
        if level == "over" and state.retry_at is None:
            state = replace(state, retry_at=self._retry_at(budget, state, now))
        return state

    def _retry_at(self, budget: Budget, state: BudgetState, now: datetime) -> datetime | None:
        """When enough of what was spent will have left the window."""
        step_s = max(60, int(budget.window / _STEPS))
        window = Window(now - timedelta(seconds=budget.window), now + timedelta(seconds=1))
        whose = (state.project, budget.measure, budget.per, state.subject, budget.filter)
        steps = spent_over_time(self._store, *whose, window, step_s)
        return leaves_window_at(steps, state.spent, state.limit_value, budget.window, step_s)


def leaves_window_at(
    steps: Sequence[tuple[datetime, float]], total: float, limit: float, window_s: float, step_s: int
) -> datetime | None:
    """Return when spending falls below a limit if nothing is added; None where it never does (a limit of 0).

    Args:
        steps: start and amount of each step of the window, oldest first
    """
    left = total
    for start, amount in steps:
        left -= amount
        if left < limit:
            return start + timedelta(seconds=step_s + window_s)
    return None


def budgets_watched(budgets: Sequence[Budget], states: Sequence[BudgetState]) -> list[Watched]:
    """Return the states as looks at rules, one rule per budget and threshold, so that people are told."""
    found = []
    for budget in budgets:
        for share in budget.notify_at:
            rule = budget_rule(budget, share)
            looks: dict[Key, Look] = {
                (one.project, *((one.subject,) if rule.group_by else ())): _look(one, share)
                for one in states
                if one.budget == budget.name
            }
            found.append(Watched(rule, rule.group_by, looks))
    return found


def budget_rule(budget: Budget, share: float) -> Rule:
    """Return the rule that stands for a budget at a share of its limit."""
    return Rule.model_validate(
        {
            "name": _rule_name(budget, share),
            "metric": budget.measure,
            "project": budget.project,
            "filter": budget.filter,
            "group_by": DIMENSIONS[budget.per],
            "for": 0,
            "keep_firing": 0,
            "severity": "critical" if share >= 1 else "warning",
            "inhibits": [_rule_name(budget, one) for one in budget.notify_at if one < share],
            "summary": f"{share:.0%} of the budget {budget.name} is spent.",
            "condition": {"kind": "threshold", "above": budget.limit * share},
        }
    )


def _rule_name(budget: Budget, share: float) -> str:
    return f"Budget {budget.name} at {share:.0%}"


def _look(state: BudgetState, share: float) -> Look:
    limit = state.limit_value * share
    verdict = Verdict.BREACH if state.spent >= limit and state.state != "ok" else Verdict.CLEAR
    return Look(verdict, state.spent, None, limit, 0.0)


def _is_news(old: BudgetState | None, new: BudgetState) -> bool:
    """Whether a state is worth a row: it changed, or what was spent rose by a twentieth of the limit."""
    if old is None or old.state != new.state or old.limit_value != new.limit_value:
        return True
    if old.is_blocking != new.is_blocking:
        return True
    return abs(new.spent - old.spent) >= 0.05 * max(new.limit_value, 1e-9)
