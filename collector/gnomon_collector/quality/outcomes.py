"""What comes of an attempt: scores, a span, and the next state of its task. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from gnomon_collector.quality.client import Answer
from gnomon_collector.quality.prompts import Document
from gnomon_collector.quality.recording import CallRecord
from gnomon_collector.quality.verdicts import Verdict
from gnomon_collector.store.judge_queue import Attempt, Task

Kind = Literal["judged", "failed", "unavailable", "abandoned", "withdrawn"]

MOST_TRIES: Final = 4
_FIRST_BACKOFF_S: Final = 5.0
_LONGEST_BACKOFF_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    Attributes:
        kind: ``judged``; ``failed``: this task's fault, tried a few times; ``unavailable``: the endpoint's,
            tried until it answers; ``abandoned``: cut off by a stop; ``withdrawn``: not made at all
        cost_usd: None where it is not known; then it counts as what was reserved
    """

    kind: Kind
    reason: str = ""
    verdict: Verdict | None = None
    answer: Answer | None = None
    cost_usd: float | None = None
    retry_after_s: float = 0.0
    started_ns: int = 0
    ended_ns: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """A task with the attempt that was made, and the documents that were shown."""

    task: Task
    attempt: Attempt
    outcome: Outcome
    documents: Sequence[Document]

    def finished_attempt(self) -> Attempt:
        """Return the attempt as it is kept."""
        outcome, answer = self.outcome, self.outcome.answer
        # What never reached the model cost nothing; a call that was cut off may have.
        free = outcome.kind in ("withdrawn", "unavailable") or (outcome.kind == "failed" and answer is None)
        return replace(
            self.attempt,
            outcome=outcome.kind,
            reason=outcome.reason,
            cost_usd=0.0 if free else outcome.cost_usd,
            input_tokens=answer.input_tokens if answer else 0,
            output_tokens=answer.output_tokens if answer else 0,
            duration_ms=answer.duration_ms if answer else (outcome.ended_ns - outcome.started_ns) / 1e6,
        )


def settle(done: Done, now: datetime) -> Task:
    """Return the task after an attempt: judged, failed for good, or waiting for the next try."""
    task, outcome = done.task, done.outcome
    if outcome.kind == "judged" and outcome.verdict is not None:
        verdict = outcome.verdict
        return replace(
            task,
            state="judged",
            value=verdict.value,
            label=verdict.label,
            cost_usd=outcome.cost_usd,
            reason="",
        )
    if outcome.kind in ("withdrawn", "abandoned"):
        return replace(task, not_before=now)
    tries = task.tries + (outcome.kind == "failed")
    if tries >= MOST_TRIES:
        return replace(task, state="failed", reason=outcome.reason, tries=tries)
    wait_s = max(outcome.retry_after_s, backoff_s(done.attempt.attempt))
    return replace(task, reason=outcome.reason, tries=tries, not_before=now + timedelta(seconds=wait_s))


def backoff_s(attempt: int) -> float:
    """Return the seconds to wait after the attempt of that number: doubled each time, up to an hour."""
    doubled: float = _FIRST_BACKOFF_S * 2.0 ** min(attempt - 1, 20)
    return min(_LONGEST_BACKOFF_S, doubled)


def score_rows(done: Done, judge_model: str, now: datetime) -> list[list[object]]:
    """Return the scores of a verdict in the order of `JUDGE_SCORE_COLUMNS`; the first has the task's id."""
    verdict = done.outcome.verdict
    if verdict is None:
        return []
    task, cost_usd = done.task, done.outcome.cost_usd
    rows = [
        _score(
            task,
            "",
            task.evaluator,
            verdict.value,
            verdict.label,
            verdict.reasoning,
            judge_model,
            cost_usd,
            now,
        )
    ]
    if verdict.documents:
        precision = f"{task.evaluator}_precision"
        rows.append(_score(task, ":precision", precision, verdict.precision, "", "", judge_model, None, now))
    for one in verdict.documents:
        name, number = f"{task.evaluator}_document", one.number
        shown = done.documents[number - 1].id if number <= len(done.documents) else str(number)
        comment = f"{shown}: {one.reasoning}"
        rows.append(_score(task, f":{number}", name, one.value, one.label, comment, judge_model, None, now))
    return rows


def _score(
    task: Task, suffix: str, name: str, value: float | None, label: str, comment: str, author: str,
    cost_usd: float | None, now: datetime,
) -> list[object]:  # fmt: skip
    return [
        f"{task.task_id}{suffix}",
        task.project,
        task.trace_id,
        task.span_id,
        task.session_id if task.unit == "session" else "",
        name,
        value,
        label,
        comment,
        "judge",
        author,
        task.evaluator_version,
        task.inclusion_probability,
        cost_usd,
        now,
        now,
    ]


def span_of(done: Done, judge_model: str) -> CallRecord | None:
    """Return the call as a span of the judge's project; None when none was made."""
    outcome, task, answer = done.outcome, done.task, done.outcome.answer
    if answer is None and not outcome.started_ns:
        return None
    return CallRecord(
        key=f"{task.project}:{task.task_id}:{done.attempt.attempt}:{done.attempt.worker}",
        trace_key=f"{task.project}:{task.task_id}",
        model=judge_model,
        started_ns=answer.started_ns if answer else outcome.started_ns,
        ended_ns=answer.ended_ns if answer else outcome.ended_ns,
        prompt_name=task.evaluator,
        prompt_version=task.evaluator_version,
        response_model=answer.model if answer else "",
        response_id=answer.response_id if answer else "",
        finish_reason=answer.finish_reason if answer else "",
        input_tokens=answer.input_tokens if answer else 0,
        output_tokens=answer.output_tokens if answer else 0,
        cache_read_tokens=answer.cache_read_tokens if answer else 0,
        error="" if outcome.kind == "judged" else outcome.reason,
        more={
            "gnomon.judge.project": task.project,
            "gnomon.judge.trace_id": task.trace_id,
            "gnomon.judge.span_id": task.span_id,
            "gnomon.judge.unit": task.unit,
            "gnomon.judge.label": outcome.verdict.label if outcome.verdict else "",
        },
    )
