"""Works off the queue: claims tasks, asks the judge, writes verdicts. Any number of workers may share it.

Order of writing: the attempt with the most it may cost, then the call, then the score, the state of the task,
the outcome of the attempt, and at last its span. Killed anywhere, a worker leaves at most a call paid twice,
never two verdicts (the score's id is the task's), and never more spent than the budget (an attempt without an
outcome counts whole).
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gnomon_collector.errors import StoreError
from gnomon_collector.quality.breaker import Breaker
from gnomon_collector.quality.claims import Claims, JudgeParts, Ready
from gnomon_collector.quality.client import (
    Answer,
    JudgeCallError,
)
from gnomon_collector.quality.outcomes import Done, Kind, Outcome, score_rows, settle, span_of
from gnomon_collector.quality.prompts import (
    MOST_DOCUMENTS,
    SCHEMA_NAME,
    verdict_schema,
)
from gnomon_collector.quality.recording import CallRecord, CallRecorder
from gnomon_collector.quality.verdicts import MalformedVerdictError, verdict_of
from gnomon_collector.store import judge_queue as queue
from gnomon_collector.store.own_projects import JUDGE_PROJECT

_log = logging.getLogger(__name__)

_IDLE_S: Final = 2.0
_FLUSH_S: Final = 0.5
_RECORD_S: Final = 5.0
_STOP_S: Final = 2.0
# Calls that the database would not take as spans are kept up to this number; the attempts have them all.
_MOST_SPANS: Final = 20_000


@dataclass
class WorkerStats:
    """What a worker did since its start."""

    judged: int = 0
    failed: int = 0
    unavailable: int = 0
    skipped: int = 0
    cost_usd: float = 0.0
    last_error: str = ""
    waiting_for_s: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)


class Worker:
    """One worker. `run` is to be called once, in an event loop of its own."""

    def __init__(self, parts: JudgeParts) -> None:
        self._parts = parts
        self._breaker = Breaker()
        self._claims = Claims(parts, uuid.uuid4().hex[:12])
        self._recorder = CallRecorder(parts.store, JUDGE_PROJECT, JUDGE_PROJECT, parts.periods)
        self._queue: asyncio.Queue[Ready] = asyncio.Queue()
        self._done: list[Done] = []
        self._spans: list[CallRecord] = []
        self._under_way = 0
        self._stopping = False
        self.stats = WorkerStats()

    @property
    def trouble(self) -> str:
        """Why the judge is not being asked right now, "" while it is."""
        return self._breaker.reason

    def stop(self) -> None:
        """Let `run` end soon; for any thread."""
        self._stopping = True

    async def run(self, *, until_empty: bool = False, projects: Sequence[str] | None = None) -> None:
        """Work until `stop`, or until nothing is left that can be done now.

        Args:
            projects: only these; None for all

        Raises:
            StoreError: the database does not work
        """
        askers = [asyncio.create_task(self._ask_on()) for _ in range(self._parts.concurrency)]
        flusher = asyncio.create_task(self._flush_on())
        recorder = asyncio.create_task(self._record_on())
        try:
            await self._claim_on(until_empty, projects, [flusher, *askers])
        finally:
            await self._end([*askers, recorder], flusher)

    async def _claim_on(
        self, until_empty: bool, projects: Sequence[str] | None, others: Sequence[asyncio.Task[None]]
    ) -> None:
        while not self._stopping:
            for ended in filter(asyncio.Task.done, others):
                ended.result()
            # What is left of the budget is known only when no call was under way before the claim.
            was_idle = not self._under_way and not self._done
            claimed = await self._claim(projects) if self._has_room() else None
            if claimed:
                continue
            if until_empty and claimed == 0 and was_idle:
                return
            # While calls are under way there will be room soon; with an empty queue there is time.
            await asyncio.sleep(0.02 if self._under_way else 0.1 if until_empty else _IDLE_S)

    def _has_room(self) -> bool:
        return self._queue.qsize() < self._parts.concurrency

    async def _claim(self, projects: Sequence[str] | None) -> int:
        """Claim what there is room for in each project; return how many were."""
        self.stats.waiting_for_s = self._breaker.waits_s
        if self._breaker.waits_s > 0:
            return 0
        if await asyncio.to_thread(queue.is_paused, self._parts.store):
            return 0
        store = self._parts.store
        found = await asyncio.to_thread(queue.projects_with_work, store, [JUDGE_PROJECT])
        limit = 1 if self._breaker.is_probing else 4 * self._parts.concurrency
        if self._breaker.is_probing and self._under_way:
            return 0
        total = 0
        for project in found if projects is None else [one for one in found if one in projects]:
            ready = await asyncio.to_thread(self._claims.take, project, limit, is_idle=not self._under_way)
            self._under_way += len(ready)
            for one in ready:
                self._queue.put_nowait(one)
            total += len(ready)
        return total

    async def _ask_on(self) -> None:
        while True:
            ready = await self._queue.get()
            outcome = await self._ask(ready)
            self._done.append(Done(ready.task, ready.attempt, outcome, ready.case.documents))

    async def _ask(self, ready: Ready) -> Outcome:
        """Make the call. Whatever it brings becomes an outcome."""
        if self._breaker.waits_s > 0:
            return Outcome("withdrawn", reason=self._breaker.reason)
        started_ns = time.time_ns()
        try:
            answer = await self._parts.client.ask(
                ready.messages,
                schema=verdict_schema(ready.evaluator),
                schema_name=SCHEMA_NAME,
                max_tokens=ready.max_tokens,
            )
        except JudgeCallError as error:
            return self._not_answered(error, started_ns)
        except asyncio.CancelledError:
            self._done.append(Done(ready.task, ready.attempt, Outcome("abandoned", reason="stopped"), ()))
            raise
        self._breaker.succeeded()
        return self._judged(ready, answer)

    def _not_answered(self, error: JudgeCallError, started_ns: int) -> Outcome:
        kind: Kind = "failed" if error.trouble == "refused" else "unavailable"
        if error.trouble == "refused":
            self._breaker.succeeded()
        else:
            self._breaker.failed(str(error), hopeless=error.trouble == "hopeless")
        return Outcome(
            kind,
            reason=str(error),
            retry_after_s=error.retry_after_s,
            started_ns=started_ns,
            ended_ns=time.time_ns(),
        )

    def _judged(self, ready: Ready, answer: Answer) -> Outcome:
        cost_usd = ready.price.cost_usd(answer.input_tokens, answer.output_tokens, answer.cache_read_tokens)
        # An endpoint that reports no tokens costs what was reserved.
        known = cost_usd if answer.input_tokens else None
        try:
            shown = min(MOST_DOCUMENTS, len(ready.case.documents))
            verdict = verdict_of(ready.evaluator, answer, shown)
        except MalformedVerdictError as error:
            return Outcome("failed", reason=str(error), answer=answer, cost_usd=known)
        return Outcome("judged", verdict=verdict, answer=answer, cost_usd=known)

    async def _flush_on(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_S)
            await self._flush()

    async def _flush(self) -> None:
        done, self._done = self._done, []
        if not done:
            return
        try:
            await asyncio.to_thread(self._write, done)
        except StoreError as error:
            _log.warning("The judge's verdicts cannot be written now, trying again: %s", error)
            self.stats.last_error = str(error)
            self._done = [*done, *self._done]
            await asyncio.sleep(_IDLE_S)
            return
        self._under_way -= len(done)
        self._count(done)
        spans = (span_of(one, self._parts.client.model) for one in done)
        self._spans += [span for span in spans if span is not None]

    async def _record_on(self) -> None:
        while True:
            await asyncio.sleep(_RECORD_S)
            await self._record()

    async def _record(self) -> None:
        """Bring the calls to the judge's project; a verdict does not wait for that."""
        spans, self._spans = self._spans, []
        try:
            await asyncio.to_thread(self._recorder.record, spans)
        except StoreError as error:
            _log.warning("The judge's calls cannot be recorded now, trying again: %s", error)
            self._spans = [*spans, *self._spans][-_MOST_SPANS:]

    def _write(self, done: Sequence[Done]) -> None:
        now, store, model = self._parts.now(), self._parts.store, self._parts.client.model
        rows = [row for one in done for row in score_rows(one, model, now)]
        queue.insert_verdicts(store, rows)
        # The task first: as long as its attempt has no outcome, nobody else takes it.
        queue.save_tasks(store, [settle(one, now) for one in done], now)
        queue.save_attempts(store, [one.finished_attempt() for one in done])

    def _count(self, done: Sequence[Done]) -> None:
        for one in done:
            kind = one.outcome.kind
            self.stats.outcomes[kind] = self.stats.outcomes.get(kind, 0) + 1
            self.stats.judged += kind == "judged"
            self.stats.failed += kind == "failed"
            self.stats.unavailable += kind == "unavailable"
            self.stats.cost_usd += one.outcome.cost_usd or 0.0
            if one.outcome.reason:
                self.stats.last_error = one.outcome.reason

    async def _all_answered(self) -> None:
        for _ in range(round(_STOP_S / 0.02)):
            if self._under_way <= len(self._done):
                return
            await asyncio.sleep(0.02)

    async def _end(self, askers: Sequence[asyncio.Task[None]], flusher: asyncio.Task[None]) -> None:
        """Let calls under way finish for a moment, give back the rest, write what there is."""
        while not self._queue.empty():
            ready = self._queue.get_nowait()
            self._done.append(Done(ready.task, ready.attempt, Outcome("withdrawn", reason="stopped"), ()))
        flusher.cancel()
        await self._all_answered()
        for asker in askers:
            asker.cancel()
        await asyncio.gather(*askers, flusher, return_exceptions=True)
        await self._flush()
        await self._record()
        await self._parts.client.close()
