"""What the command line and the API tell of judging, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from gnomon_collector.quality.setup import OFF, JudgeSetup
from gnomon_collector.store import judge_queue, quality
from gnomon_collector.store.engine import Store
from gnomon_collector.store.quality_estimates import Difference, Estimate, difference, estimate, total
from gnomon_collector.store.queries import filters
from gnomon_collector.store.queries.filters import Scope, Window

Json = Any
_QUEUE_DAYS = 30


def status(store: Store, setup: JudgeSetup, project: str, now: datetime) -> Json:
    """Return whether the judge is on, and the queue and the budget of each project (or of one)."""
    projects = [project] if project else list(filters.projects(store))
    return {
        "judge": setup.model if setup.is_on else "",
        "notice": "" if setup.is_on else OFF,
        "is_paused": judge_queue.is_paused(store),
        "price_known": setup.price.is_known,
        "projects": [
            found for one in projects if (found := _project(store, setup, one, now))["queue"] or project
        ],
    }


def _project(store: Store, setup: JudgeSetup, project: str, now: datetime) -> dict[str, Json]:
    spent, budget = judge_queue.spent(store, project, now.date()), setup.policy.budget_of(project)
    states = quality.queue_states(store, project, now - timedelta(days=_QUEUE_DAYS))
    return {
        "project": project,
        "spent_today_usd": spent.usd,
        "budget_usd": budget.usd_per_day,
        "calls_today": spent.calls,
        "budget_calls": budget.calls_per_day,
        "queue": [
            {
                "evaluator": one.evaluator,
                "waiting": one.waiting,
                "judged": one.judged,
                "failed": one.failed,
                "skipped": one.skipped,
                "over_budget": one.over_budget,
                "lag_s": max(0.0, (now - one.oldest_waiting).total_seconds()) if one.oldest_waiting else 0.0,
                "reasons": list(one.reasons),
            }
            for one in states
        ],
    }


def scores(
    store: Store,
    project: str,
    start: datetime,
    end: datetime,
    *,
    evaluators: Sequence[str] = (),
    by: str = "",
    before: bool = False,
) -> list[Json]:
    """Return the mean of each evaluator with its interval, whole or by label.

    Args:
        by: a key of `quality.GROUPS`; then also how each label differs from all others together
        before: also the change against the time of the same length before
    """
    window = Window(start, end, 3600)
    known = quality.judged_names(store, project, window)
    scope = Scope(project)
    found: list[Json] = []
    for one in known:
        if evaluators and one.evaluator not in evaluators:
            continue
        groups = quality.score_sums(store, scope, window, one.evaluator, one.version, by)
        rows = [{"label": label, **estimate_json(estimate(sums))} for label, sums in groups.items()]
        if by and len(groups) > 1:
            for row in rows:
                others = estimate(total(sums for label, sums in groups.items() if label != row["label"]))
                own = estimate(groups[row["label"]])
                row["difference_from_others"] = difference_json(difference(others, own))
        if before and not by:
            earlier = Window(start - (end - start), start, 3600)
            old = quality.score_sums(store, scope, earlier, one.evaluator, one.version)
            change = difference(estimate(total(old.values())), estimate(total(groups.values())))
            rows = [{**row, "change": difference_json(change)} for row in rows]
        found.append({"evaluator": one.evaluator, "version": one.version, "title": one.title, "groups": rows})
    return found


def estimate_json(one: Estimate) -> dict[str, Json]:
    """Return an estimate as JSON."""
    return {
        "mean": one.mean,
        "low": one.low,
        "high": one.high,
        "count": one.count,
        "effective": one.effective,
        "is_enough": one.is_enough,
    }


def difference_json(one: Difference) -> Mapping[str, Json]:
    """Return a difference as JSON."""
    return {**asdict(one), "is_significant": one.is_significant}


def evaluators(setup: JudgeSetup) -> list[Json]:
    """Return the evaluators that there are, with their scales."""
    return [
        {
            "name": one.name,
            "version": setup.versions[one.name],
            "title": one.title,
            "unit": one.unit,
            "units": list(dict.fromkeys((one.unit, *one.units))),
            "needs": list(one.requires),
            "description": one.description,
            "labels": [label.model_dump() for label in one.labels],
        }
        for one in setup.evaluators.values()
    ]
