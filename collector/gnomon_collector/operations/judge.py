"""Judging on request: what waits, what it would cost, the past, agreement with people, comparisons."""

from __future__ import annotations

import asyncio
import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from gnomon_collector.errors import BadRequest
from gnomon_collector.operations.operator import Json, Operator
from gnomon_collector.settings import load_settings
from gnomon_collector.store import judge_queue

if TYPE_CHECKING:
    from gnomon_collector.quality.planner import Backfill
    from gnomon_collector.quality.setup import JudgeSetup

_LONGEST_RUN_S = 3_500.0


def judge_evaluators(operator: Operator) -> Json:
    """Return the evaluators that there are, the rubrics of the policy included."""
    from gnomon_collector.quality import reports

    return reports.evaluators(_setup(operator))


def judge_status(operator: Operator, project: str = "") -> Json:
    """Return the queue, the budget and what keeps the judge, of a project or of all."""
    from gnomon_collector.quality import reports

    return reports.status(operator.store, _setup(operator), project, _now())


def judge_estimate(
    operator: Operator,
    project: str,
    evaluators: list[str],
    since: AwareDatetime,
    until: AwareDatetime,
    unit: str = "span",
    rate: float = 1.0,
) -> Json:
    """Return what a backfill would come to; nothing is queued."""
    from gnomon_collector.quality.planner import estimate_backfill

    setup = _setup(operator)
    wanted = _backfill(setup, project, evaluators, since, until, unit, rate)
    found = estimate_backfill(operator.store, wanted, setup.evaluators, setup.model, setup.price)
    return {**asdict(found), "evaluators": list(wanted.evaluators), "judge": setup.model}


def judge_backfill(
    operator: Operator,
    project: str,
    evaluators: list[str],
    since: AwareDatetime,
    until: AwareDatetime,
    unit: str = "span",
    rate: float = 1.0,
) -> Json:
    """Queue judgements of the past, and say how many there are."""
    from gnomon_collector.quality.evaluators import registry_row
    from gnomon_collector.quality.planner import plan_backfill

    setup = _on(operator)
    wanted = _backfill(setup, project, evaluators, since, until, unit, rate)
    details = {"evaluators": evaluators, "since": str(since), "until": str(until), "rate": rate, "unit": unit}
    operator.record("judge.backfill", project=project, details=details)
    rows = [registry_row(setup.evaluators[name], setup.model) for name in wanted.evaluators]
    judge_queue.register_evaluators(operator.store, rows, _now())
    versions = [setup.versions[name] for name in wanted.evaluators]
    before = judge_queue.count_waiting(operator.store, project, versions)
    plan_backfill(operator.store, wanted, setup.evaluators, setup.model)
    waiting = judge_queue.count_waiting(operator.store, project, versions)
    return {"project": project, "queued": max(0, waiting - before), "waiting": waiting}


def judge_run(operator: Operator, project: str, most_s: float = 600.0) -> Json:
    """Work off the queue of a project, and say how it went."""
    from gnomon_collector.quality.running import work_off

    return asdict(work_off(operator.store, _on(operator), project, min(most_s, _LONGEST_RUN_S)))


def judge_scores(
    operator: Operator,
    project: str,
    since: AwareDatetime,
    until: AwareDatetime,
    evaluators: list[str] | None = None,
    by: str = "",
    before: bool = False,
) -> Json:
    """Return the mean of each evaluator with its interval."""
    from gnomon_collector.quality import reports
    from gnomon_collector.store.quality import GROUPS

    if by and by not in GROUPS:
        raise BadRequest(f"Scores can be grouped by {', '.join(GROUPS)}, not by {by!r}.")
    return reports.scores(
        operator.store, project, since, until, evaluators=evaluators or (), by=by, before=before
    )


def judge_calibrate(operator: Operator, project: str, evaluator: str, since: AwareDatetime) -> Json:
    """Compare the judge with people, and keep the threshold at which they agree best."""
    from gnomon_collector.quality.calibration import calibrate_evaluator

    return calibrate_evaluator(operator.store, _setup(operator), project, evaluator, since, _now())


def judge_golden(
    operator: Operator,
    evaluators: list[str] | None = None,
    injections: bool = False,
    model: str = "",
    is_estimate: bool = False,
) -> Json:
    """Have the judge label the golden sets, and say how well it did; or only what that would cost.

    Without a judge of its own it asks the endpoint that OPENAI_API_KEY and OPENAI_BASE_URL name.
    """
    from gnomon_collector.quality.golden_run import golden_cost, golden_questions, run_golden
    from gnomon_collector.quality.policy import chosen
    from gnomon_collector.quality.setup import OFF, with_openai_environment

    setup = with_openai_environment(_setup(operator), os.environ, model)
    if not setup.is_on:
        raise BadRequest(f"{OFF} For the golden sets OPENAI_API_KEY (and OPENAI_BASE_URL) will do.")
    names = evaluators or []
    chosen(names, setup.evaluators)
    if is_estimate:
        requests = golden_questions(setup, names, with_injections=injections)
        cost = golden_cost(setup, operator.store, requests, _now())
        return {"judge": setup.model, **asdict(cost), "is_affordable": cost.is_affordable}
    return asyncio.run(run_golden(setup, operator.store, names, with_injections=injections, now=_now()))


def judge_compare(
    operator: Operator,
    project: str,
    prompt: str,
    first: str,
    second: str,
    since: AwareDatetime,
    until: AwareDatetime,
    limit: int = 100,
) -> Json:
    """Compare the answers of two versions of a prompt to the same questions, in both orders."""
    from gnomon_collector.quality.pairwise import compare
    from gnomon_collector.quality.reports import estimate_json
    from gnomon_collector.store.judge_pairs import answer_pairs

    setup = _on(operator)
    if not 1 <= limit <= 5_000:
        raise BadRequest("The limit is from 1 to 5,000 pairs.")
    pairs = answer_pairs(operator.store, project, prompt, (first, second), since, until, limit)
    if not pairs:
        raise BadRequest(
            f"No question of {project!r} was answered by both {prompt} {first} and {prompt} {second} in that"
            " time."
        )
    found = asyncio.run(compare(setup, operator.store, project, pairs, _now()))
    return {**asdict(found), "pairs": len(pairs), "share": estimate_json(found.share)}


def judge_pause(operator: Operator, paused: bool) -> Json:
    """Pause the judge in all workers, or let it go on."""
    operator.record("judge.pause" if paused else "judge.resume")
    judge_queue.set_paused(operator.store, paused, _now())
    return {"is_paused": paused}


def judge_retry(operator: Operator, project: str) -> Json:
    """Queue again what failed, and what the budget did not allow."""
    operator.record("judge.retry", project=project)
    judge_queue.retry_failed(operator.store, project, _now())
    setup = _setup(operator)
    waiting = judge_queue.count_waiting(operator.store, project, list(setup.versions.values()))
    return {"project": project, "waiting": waiting}


def _setup(operator: Operator) -> JudgeSetup:
    # The openai client and scipy take their time and memory: not before they are asked for.
    from gnomon_collector.quality.setup import load_setup

    return load_setup(operator.settings or load_settings(data=operator.data_dir))


def _on(operator: Operator) -> JudgeSetup:
    from gnomon_collector.quality.setup import OFF

    setup = _setup(operator)
    if not setup.is_on:
        raise BadRequest(OFF)
    return setup


def _backfill(
    setup: JudgeSetup, project: str, evaluators: list[str], since: datetime, until: datetime, unit: str,
    rate: float,
) -> Backfill:  # fmt: skip
    from gnomon_collector.quality.planner import Backfill
    from gnomon_collector.quality.policy import chosen
    from gnomon_collector.store.own_projects import JUDGE_PROJECT

    if project == JUDGE_PROJECT:
        raise BadRequest(f"The calls of the judge itself ({JUDGE_PROJECT}) are not judged.")
    if unit not in ("span", "trace", "session"):
        raise BadRequest(f"The unit is span, trace or session, not {unit!r}.")
    if not 0 < rate <= 1:
        raise BadRequest("The rate is more than 0 and at most 1.")
    names = evaluators or [
        name for table in setup.policy.policies_of(project) if table.unit == unit for name in table.evaluators
    ]
    if not names:
        raise BadRequest(f"The policy has no evaluators for a {unit} of {project!r}: name some.")
    wrong = [one.name for one in chosen(names, setup.evaluators) if not one.judges(unit)]
    if wrong:
        raise BadRequest(f"{wrong[0]} does not judge a {unit}.")
    return Backfill(project, list(dict.fromkeys(names)), unit, rate, since, until)  # type: ignore[arg-type]


def _now() -> datetime:
    return datetime.now(UTC)
