"""Two prompt versions compared on the same questions: each pair of answers is judged in both orders."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gnomon_collector.quality.client import JudgeCallError, JudgeClient
from gnomon_collector.quality.evaluators import Evaluator, evaluator_version
from gnomon_collector.quality.prompts import SCHEMA_NAME, Case, Document, judge_messages, verdict_schema
from gnomon_collector.quality.recording import CallRecord, CallRecorder
from gnomon_collector.quality.setup import JudgeSetup
from gnomon_collector.quality.verdicts import MalformedVerdictError, Verdict, verdict_of
from gnomon_collector.store import judge_queue
from gnomon_collector.store.engine import Store
from gnomon_collector.store.judge_pairs import AnswerPair
from gnomon_collector.store.judge_queue import Attempt
from gnomon_collector.store.own_projects import JUDGE_PROJECT
from gnomon_collector.store.quality_estimates import Estimate, estimate, sums_of

EVALUATOR: Final = "pairwise"
# Of the instructions around a pair.
_FORM_BYTES: Final = 4_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """How often the second version won, a tie counting half, with its interval.

    Attributes:
        share: 0.5 means that neither is better
        disagreed: pairs on which the two orders brought different winners: counted as ties
        failed: pairs without two usable verdicts
    """

    share: Estimate
    wins: int
    ties: int
    losses: int
    disagreed: int
    failed: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class _Ruling:
    pair: AnswerPair
    value: float
    disagreed: bool
    reasoning: str
    cost_usd: float


def combined(forward: Verdict, backward: Verdict) -> tuple[float, bool]:
    """Return the value of the second answer (0, 0.5, 1), and whether the two orders disagreed.

    Args:
        forward: with the first answer first; backward: with it second
    """
    one = forward.value if forward.value is not None else 0.5
    other = 1.0 - (backward.value if backward.value is not None else 0.5)
    return (one, False) if one == other else (0.5, True)


async def compare(
    setup: JudgeSetup, store: Store, project: str, pairs: Sequence[AnswerPair], now: datetime
) -> Comparison:
    """Judge pairs of answers, and keep each verdict as a score of the second one's call.

    Raises:
        ConfigError: no judge is configured
        StoreError: the database does not work
    """
    evaluator, client = setup.evaluators[EVALUATOR], setup.client()
    gate = asyncio.Semaphore(setup.settings.judge_concurrency)
    recorder = CallRecorder(store, JUDGE_PROJECT, JUDGE_PROJECT, setup.prices.periods)
    calls: list[CallRecord] = []
    affordable = await asyncio.to_thread(_reserve, setup, store, project, pairs, now)
    attempts = {one.task_id: one for one in affordable}
    pairs = [pair for pair in pairs if f"{_key(project, pair)}:forward" in attempts]
    try:
        rulings = await asyncio.gather(
            *(_rule(setup, client, evaluator, project, pair, gate, calls) for pair in pairs)
        )
    finally:
        await client.close()
        await asyncio.to_thread(recorder.record, calls)
    costs = {
        call.trace_key: setup.price.cost_usd(call.input_tokens, call.output_tokens, call.cache_read_tokens)
        for call in calls
    }
    done = [
        replace(one, outcome="judged" if key in costs else "failed", cost_usd=costs.get(key))
        for key, one in attempts.items()
    ]
    await asyncio.to_thread(judge_queue.save_attempts, store, done)
    found = [ruling for ruling in rulings if ruling is not None]
    rows = [_score(project, evaluator, setup.model, ruling, now) for ruling in found]
    await asyncio.to_thread(judge_queue.insert_verdicts, store, rows)
    values = [ruling.value for ruling in found]
    keys = [ruling.pair.question for ruling in found]
    return Comparison(
        share=estimate(sums_of(values, [1.0] * len(values), keys)),
        wins=sum(value == 1 for value in values),
        ties=sum(value == 0.5 for value in values),
        losses=sum(value == 0 for value in values),
        disagreed=sum(ruling.disagreed for ruling in found),
        failed=len(pairs) - len(found),
        cost_usd=sum(ruling.cost_usd for ruling in found),
    )


async def _rule(
    setup: JudgeSetup, client: JudgeClient, evaluator: Evaluator, project: str, pair: AnswerPair,
    gate: asyncio.Semaphore, calls: list[CallRecord],
) -> _Ruling | None:  # fmt: skip
    documents = tuple(Document(name, content) for name, content in pair.documents)
    forward = Case(question=pair.question, documents=documents, answer_1=pair.first, answer_2=pair.second)
    backward = Case(question=pair.question, documents=documents, answer_1=pair.second, answer_2=pair.first)
    verdicts, cost_usd = [], 0.0
    for order, case in (("forward", forward), ("backward", backward)):
        async with gate:
            try:
                answer = await client.ask(
                    judge_messages(evaluator, case),
                    schema=verdict_schema(evaluator),
                    schema_name=SCHEMA_NAME,
                    max_tokens=setup.settings.judge_answer_tokens,
                )
                verdict = verdict_of(evaluator, answer)
            except (JudgeCallError, MalformedVerdictError):
                return None
        cost_usd += setup.price.cost_usd(answer.input_tokens, answer.output_tokens, answer.cache_read_tokens)
        key = f"{_key(project, pair)}:{order}"
        calls.append(
            CallRecord(
                key=f"{key}:{answer.started_ns}",
                trace_key=key,
                model=client.model,
                started_ns=answer.started_ns,
                ended_ns=answer.ended_ns,
                prompt_name=EVALUATOR,
                prompt_version=evaluator_version(evaluator, client.model),
                response_model=answer.model,
                response_id=answer.response_id,
                input_tokens=answer.input_tokens,
                output_tokens=answer.output_tokens,
                cache_read_tokens=answer.cache_read_tokens,
                more={"gnomon.judge.project": project, "gnomon.judge.label": verdict.label},
            )
        )
        verdicts.append(verdict)
    value, disagreed = combined(verdicts[0], verdicts[1])
    return _Ruling(pair, value, disagreed, verdicts[0].reasoning, cost_usd)


def _key(project: str, pair: AnswerPair) -> str:
    return f"{project}:pairwise:{pair.second_span_id}:{pair.first_span_id}"


def _reserve(
    setup: JudgeSetup, store: Store, project: str, pairs: Sequence[AnswerPair], now: datetime
) -> list[Attempt]:
    """Note the calls for as many pairs as the day's budget allows, before they are made."""
    budget, spent = setup.policy.budget_of(project), judge_queue.spent(store, project, now.date())
    usd, calls, worker = spent.usd, spent.calls, uuid.uuid4().hex[:12]
    reserved: list[Attempt] = []
    for pair in pairs:
        texts = (pair.question, pair.first, pair.second, *(content for _, content in pair.documents))
        characters = sum(len(text.encode("utf-8", "replace")) for text in texts) + _FORM_BYTES
        most_usd = setup.price.most_usd(characters, setup.settings.judge_answer_tokens)
        usd, calls = usd + 2 * most_usd, calls + 2
        if usd > budget.usd_per_day or calls > budget.calls_per_day:
            break
        for order in ("forward", "backward"):
            task_id = f"{_key(project, pair)}:{order}"
            lease = now + timedelta(minutes=10)
            reserved.append(Attempt(project, now.date(), task_id, 1, worker, EVALUATOR, now, lease, most_usd))
    judge_queue.claim(store, reserved)
    return reserved


def _score(project: str, evaluator: Evaluator, model: str, ruling: _Ruling, now: datetime) -> list[object]:
    pair, version = ruling.pair, evaluator_version(evaluator, model)
    label = {0.0: "lost", 0.5: "tie", 1.0: "won"}[ruling.value]
    return [
        f"pairwise:{version}:{pair.first_span_id}:{pair.second_span_id}", project, pair.second_trace_id,
        pair.second_span_id, "", EVALUATOR, ruling.value, label,
        f"{pair.second_version} against {pair.first_version}: {ruling.reasoning}", "judge", model, version,
        None, ruling.cost_usd, now, now,
    ]  # fmt: skip
