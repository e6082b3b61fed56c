"""Plans what is to be judged: draws from what came in since the last time, and from the past on request."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gnomon_collector.quality.costs import USUAL_ANSWER_TOKENS, JudgePrice, likely_tokens
from gnomon_collector.quality.evaluators import Evaluator, evaluator_version
from gnomon_collector.quality.policy import JudgePolicy, PolicyTable
from gnomon_collector.quality.prompts import LONGEST_PART_CHARS, Case, judge_messages
from gnomon_collector.store import drift_results, judge_inputs, judge_queue, judge_sampling
from gnomon_collector.store.engine import Store
from gnomon_collector.store.judge_sampling import Sample, Stratum, Unit
from gnomon_collector.store.own_projects import JUDGE_PROJECT
from gnomon_collector.store.queries import filters

_log = logging.getLogger(__name__)

SETTLE: Final = timedelta(seconds=10)
"""The spans of a trace come in several requests; the judge needs what was retrieved too."""
_DRIFTS_FOR: Final = timedelta(hours=3)
_BYTES_PER_CHARACTER: Final = 1.3


@dataclass(frozen=True)
class Backfill:
    """What to judge of the past.

    Attributes:
        after, until: answers that started in between
    """

    project: str
    evaluators: Sequence[str]
    unit: Unit
    rate: float
    after: datetime
    until: datetime


@dataclass(frozen=True)
class Estimate:
    """What a backfill comes to, before it is made.

    Attributes:
        population: answers in its time
        sampled: of them drawn
        calls: of the judge, if each drawn answer can be judged by each evaluator
        cost_usd: about; None without a known price
        basis: ``recent verdicts`` or ``length of the texts``, by evaluator
    """

    population: int
    sampled: int
    calls: int
    cost_usd: float | None
    basis: Mapping[str, str]


def plan_online(
    store: Store,
    policy: JudgePolicy,
    evaluators: Mapping[str, Evaluator],
    judge_model: str,
    now: datetime,
) -> None:
    """Draw from what came in since the last time, in each project that has a policy.

    Raises:
        StoreError: the database does not work; nothing is lost, the next time begins where this one did
    """
    for project in filters.projects(store):
        if project == JUDGE_PROJECT:
            continue
        tables = policy.policies_of(project)
        is_boosted = any(table.boost.drifting > 0 for table in tables)
        drifting = drifting_strata(store, project, now) if is_boosted else ()
        for table in tables:
            _plan_one(store, project, table, evaluators, judge_model, now, drifting)


def drifting_strata(store: Store, project: str, now: datetime) -> list[Stratum]:
    """Return the services, models and prompts that drift now; their rate is up to the policy."""
    states = drift_results.set_states(store, project, now - _DRIFTS_FOR, now)
    strata = []
    for state in states:
        found = state.dimension_set
        where = {
            "service": found.service_name,
            "model": found.model,
            "prompt": found.prompt_name,
            "prompt_version": found.prompt_version,
        }
        named = {key: value for key, value in where.items() if value}
        # The whole project drifts: that tells nothing apart.
        if state.drifting and named:
            strata.append(Stratum(named, 0.0))
    return strata


def _plan_one(
    store: Store,
    project: str,
    table: PolicyTable,
    evaluators: Mapping[str, Evaluator],
    judge_model: str,
    now: datetime,
    drifting: Sequence[Stratum],
) -> None:
    lookback = timedelta(hours=table.lookback_hours)
    idle = timedelta(minutes=table.session_idle_minutes) if table.unit == "session" else SETTLE
    until = now - idle
    after = judge_queue.read_mark(store, project, table.name) or now - lookback
    if until <= after:
        return
    sample = Sample(
        project=project,
        unit=table.unit,
        policy=table.name,
        rate=table.rate,
        evaluators=[(name, evaluator_version(evaluators[name], judge_model)) for name in table.evaluators],
        after=after,
        until=until,
        since=after - lookback,
        strata=table.strata_of_draw(),
        boosts=table.boost.boosts(),
        drifting=[replace(one, rate=table.boost.drifting) for one in drifting if table.boost.drifting > 0],
    )
    judge_sampling.plan(store, sample)
    judge_queue.save_mark(store, project, table.name, until)


def plan_backfill(
    store: Store, backfill: Backfill, evaluators: Mapping[str, Evaluator], judge_model: str
) -> None:
    """Draw from the past. Answers that this version of an evaluator judged already stay as they are."""
    judge_sampling.plan(store, backfill_sample(backfill, evaluators, judge_model))


def backfill_sample(backfill: Backfill, evaluators: Mapping[str, Evaluator], judge_model: str) -> Sample:
    """Return what a backfill draws."""
    return Sample(
        project=backfill.project,
        unit=backfill.unit,
        policy="backfill",
        rate=backfill.rate,
        evaluators=[(name, evaluator_version(evaluators[name], judge_model)) for name in backfill.evaluators],
        after=backfill.after,
        until=backfill.until,
        since=judge_sampling.backfill_since(backfill.after),
        by_start=True,
    )


def estimate_backfill(
    store: Store,
    backfill: Backfill,
    evaluators: Mapping[str, Evaluator],
    judge_model: str,
    price: JudgePrice,
) -> Estimate:
    """Say what a backfill would come to, and make nothing."""
    drawn = judge_sampling.preview(store, backfill_sample(backfill, evaluators, judge_model))
    documents = judge_inputs.mean_document_characters(store, backfill.project, backfill.after, backfill.until)
    cost_usd, basis = 0.0, {}
    for name in backfill.evaluators:
        recent = judge_inputs.recent_cost_usd(store, backfill.project, name)
        basis[name] = "length of the texts" if recent is None else "recent verdicts"
        each = (
            _likely_usd(evaluators[name], drawn.mean_characters, documents, price)
            if recent is None
            else recent
        )
        cost_usd += each * drawn.sampled
    known = cost_usd if price.is_known else None
    return Estimate(drawn.population, drawn.sampled, drawn.tasks, known, basis)


def _likely_usd(evaluator: Evaluator, characters: float, documents: float, price: JudgePrice) -> float:
    form = sum(len(message["content"]) for message in judge_messages(evaluator, Case()))
    shown = characters + (documents if "documents" in evaluator.inputs else 0.0)
    prompt_bytes = form + _BYTES_PER_CHARACTER * min(shown, 2 * LONGEST_PART_CHARS)
    return price.cost_usd(likely_tokens(int(prompt_bytes)), USUAL_ANSWER_TOKENS)
