"""Having a judge label the golden sets: what it costs before, within the budget, and what came of it."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from gnomon_collector.errors import BadRequest, GnomonError
from gnomon_collector.quality.client import Answer, JudgeCallError, JudgeClient
from gnomon_collector.quality.costs import USUAL_ANSWER_TOKENS, JudgePrice, likely_tokens
from gnomon_collector.quality.evaluators import evaluator_version
from gnomon_collector.quality.golden import GoldenRequest, golden_requests, results_of
from gnomon_collector.quality.prompts import SCHEMA_NAME, verdict_schema
from gnomon_collector.quality.recording import CallRecord, CallRecorder
from gnomon_collector.quality.setup import JudgeSetup
from gnomon_collector.quality.verdicts import MalformedVerdictError, Verdict, verdict_of
from gnomon_collector.store import judge_queue
from gnomon_collector.store.engine import Store
from gnomon_collector.store.judge_queue import Attempt
from gnomon_collector.store.own_projects import JUDGE_PROJECT

_LEASE: Final = timedelta(hours=1)
MOST_TRIES: Final = 6
_FIRST_WAIT_S: Final = 2.0
"""After the first call that the endpoint was too busy for; then twice as long each time."""


@dataclass(frozen=True, slots=True)
class GoldenCost:
    """What a run comes to, before it is made.

    Attributes:
        usd: about; None where the judge has no known price
        most_usd: at the most, likewise
        left_usd, left_calls: of today's budget of the project of the judge's own calls
    """

    calls: int
    usd: float | None
    most_usd: float | None
    left_usd: float
    left_calls: int

    @property
    def is_affordable(self) -> bool:
        """Whether what it will likely come to is left of the budget."""
        return (self.usd or 0.0) <= self.left_usd and self.calls <= self.left_calls


@dataclass(frozen=True, slots=True)
class _Asked:
    request: GoldenRequest
    attempt: Attempt
    verdict: Verdict | None
    answer: Answer | None
    reason: str = ""

    def cost_usd(self, price: JudgePrice) -> float:
        """What the call cost."""
        if self.answer is None:
            return 0.0
        return price.cost_usd(
            self.answer.input_tokens, self.answer.output_tokens, self.answer.cache_read_tokens
        )


def golden_questions(
    setup: JudgeSetup, names: Sequence[str], *, with_injections: bool
) -> list[GoldenRequest]:
    """Return what the judge of a setup is asked; see `golden_requests`."""
    tokens = setup.settings.judge_answer_tokens
    return golden_requests(setup.evaluators, names, with_injections=with_injections, answer_tokens=tokens)


def golden_cost(
    setup: JudgeSetup, store: Store, requests: Sequence[GoldenRequest], now: datetime
) -> GoldenCost:
    """Say what a run would come to.

    Raises:
        StoreError: the database does not work
    """
    price, budget = setup.price, setup.policy.budget_of(JUDGE_PROJECT)
    spent = judge_queue.spent(store, JUDGE_PROJECT, now.date())
    likely = sum(price.cost_usd(likely_tokens(_bytes(one)), USUAL_ANSWER_TOKENS) for one in requests)
    most = sum(price.most_usd(_bytes(one), one.max_tokens) for one in requests)
    return GoldenCost(
        calls=len(requests),
        usd=likely if price.is_known else None,
        most_usd=most if price.is_known else None,
        left_usd=max(0.0, budget.usd_per_day - spent.usd),
        left_calls=max(0, budget.calls_per_day - spent.calls),
    )


async def run_golden(
    setup: JudgeSetup, store: Store, names: Sequence[str], *, with_injections: bool, now: datetime
) -> dict[str, Any]:
    """Have the judge label the golden sets; its calls are kept as others of its calls are.

    One evaluator after the other, so that little is reserved at a time. Where the budget ends, it stops.

    Args:
        names: of evaluators; empty for all that have a set

    Raises:
        BadRequest: what is left of today's budget does not suffice by far
        GnomonError: the judge cannot be asked at all
        StoreError: the database does not work
    """
    requests = golden_questions(setup, names, with_injections=with_injections)
    cost = await asyncio.to_thread(golden_cost, setup, store, requests, now)
    if not cost.is_affordable:
        raise BadRequest(_too_dear(cost))
    asked: list[_Asked] = []
    stopped = ""
    for name in dict.fromkeys(one.evaluator.name for one in requests):
        mine = [one for one in requests if one.evaluator.name == name]
        left = await asyncio.to_thread(golden_cost, setup, store, mine, now)
        if left.calls > left.left_calls or (left.most_usd or 0.0) > left.left_usd:
            stopped = f"Stopped before {name}. {_too_dear(left)}"
            break
        asked += await _ask_all(setup, store, mine, now)
    results = results_of([(one.request, one.verdict) for one in asked])
    return {
        "judge": setup.model,
        "cost_usd": sum(one.cost_usd(setup.price) for one in asked) if setup.price.is_known else None,
        "results": [{**asdict(one), "accuracy": one.accuracy} for one in results],
        "stopped": stopped,
        "failures": _failures(asked),
    }


def _failures(asked: Sequence[_Asked]) -> list[dict[str, Any]]:
    """Why there was no verdict, the most frequent first."""
    counted = Counter((one.request.evaluator.name, one.reason) for one in asked if one.verdict is None)
    return [
        {"evaluator": name, "reason": reason, "calls": calls}
        for (name, reason), calls in counted.most_common()
    ]


def _too_dear(cost: GoldenCost) -> str:
    return (
        f"{cost.calls} calls cost about ${cost.usd or 0.0:.2f}, ${cost.most_usd or 0.0:.2f} at the most, and"
        f" of today's budget of {JUDGE_PROJECT} {cost.left_calls} calls and ${cost.left_usd:.2f} are left."
        " Try fewer evaluators (-e), leave out --injections, or raise it in judge.toml: [[budgets]] with"
        f' project = "{JUDGE_PROJECT}".'
    )


async def _ask_all(
    setup: JudgeSetup, store: Store, requests: Sequence[GoldenRequest], now: datetime
) -> list[_Asked]:
    attempts = _attempts(setup, requests, now)
    await asyncio.to_thread(judge_queue.claim, store, attempts)
    client, gate = setup.client(), asyncio.Semaphore(setup.settings.judge_concurrency)
    hopeless: list[JudgeCallError] = []
    pairs = zip(requests, attempts, strict=True)
    try:
        asked = await asyncio.gather(*(_ask(client, *pair, gate, hopeless) for pair in pairs))
    finally:
        await client.close()
    await asyncio.to_thread(_keep, setup, store, asked)
    if hopeless:
        raise GnomonError(f"The judge cannot be asked: {hopeless[0]}.")
    return asked


def _attempts(setup: JudgeSetup, requests: Sequence[GoldenRequest], now: datetime) -> list[Attempt]:
    """A row for each call before it is made, as the queue has it: what is cut off counts whole."""
    run, price = uuid.uuid4().hex[:12], setup.price
    return [
        Attempt(
            project=JUDGE_PROJECT,
            day=now.date(),
            task_id=f"golden:{run}:{one.evaluator.name}:{one.number}:{one.attack}",
            attempt=1,
            worker=run,
            evaluator=one.evaluator.name,
            claimed_at=now,
            lease_until=now + _LEASE,
            reserved_usd=price.most_usd(_bytes(one), one.max_tokens),
        )
        for one in requests
    ]


async def _ask(
    client: JudgeClient,
    request: GoldenRequest,
    attempt: Attempt,
    gate: asyncio.Semaphore,
    hopeless: list[JudgeCallError],
) -> _Asked:
    async with gate:
        if hopeless:
            return _Asked(request, attempt, None, None)
        try:
            answer = await _answer(client, request, hopeless)
        except JudgeCallError as error:
            if error.trouble != "refused":
                hopeless.append(error)
            return _Asked(request, attempt, None, None, str(error))
    try:
        verdict = verdict_of(request.evaluator, answer, len(request.case.documents))
    except MalformedVerdictError as error:
        return _Asked(request, attempt, None, answer, str(error))
    return _Asked(request, attempt, verdict, answer)


async def _answer(client: JudgeClient, request: GoldenRequest, hopeless: list[JudgeCallError]) -> Answer:
    """Ask, and ask again after a while when the endpoint is busy: accounts have limits per minute.

    Raises:
        JudgeCallError: there is no answer, also not after some tries, or nobody gets one
    """
    for tried in range(MOST_TRIES):
        try:
            return await client.ask(
                request.messages,
                schema=verdict_schema(request.evaluator),
                schema_name=SCHEMA_NAME,
                max_tokens=request.max_tokens,
            )
        except JudgeCallError as error:
            if error.trouble != "unavailable" or tried == MOST_TRIES - 1:
                raise
            await asyncio.sleep(error.retry_after_s or _FIRST_WAIT_S * 2**tried)
        if hopeless:
            break
    raise hopeless[0]


def _keep(setup: JudgeSetup, store: Store, asked: Sequence[_Asked]) -> None:
    """Write what the calls did cost, and the calls as spans."""
    price = setup.price
    done = [
        replace(one.attempt, outcome="judged" if one.verdict else "failed", cost_usd=one.cost_usd(price))
        for one in asked
    ]
    judge_queue.save_attempts(store, done)
    recorder = CallRecorder(store, JUDGE_PROJECT, JUDGE_PROJECT, setup.prices.periods)
    recorder.record([_span(setup, one, one.answer) for one in asked if one.answer])


def _span(setup: JudgeSetup, one: _Asked, answer: Answer) -> CallRecord:
    said: Mapping[str, str] = {
        "gnomon.judge.golden": one.request.golden.label,
        "gnomon.judge.label": one.verdict.label if one.verdict else "",
    }
    return CallRecord(
        key=one.attempt.task_id,
        trace_key=one.attempt.task_id,
        model=setup.model,
        started_ns=answer.started_ns,
        ended_ns=answer.ended_ns,
        prompt_name=one.request.evaluator.name,
        prompt_version=evaluator_version(one.request.evaluator, setup.model),
        response_model=answer.model,
        response_id=answer.response_id,
        finish_reason=answer.finish_reason,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cache_read_tokens=answer.cache_read_tokens,
        more=said,
    )


def _bytes(request: GoldenRequest) -> int:
    return sum(len(message["content"].encode("utf-8", "replace")) for message in request.messages)
