"""Golden sets: cases with the label that is right, and texts that must not move a judge."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final

from gnomon_collector.quality.client import JudgeCallError, JudgeClient
from gnomon_collector.quality.evaluators import Evaluator
from gnomon_collector.quality.prompts import SCHEMA_NAME, Case, Document, judge_messages, verdict_schema
from gnomon_collector.quality.verdicts import MalformedVerdictError, Verdict, parse_verdict

TOLERANCE: Final = 0.05
"""How far the mean value of an evaluator may move when its cases are attacked."""
_ATTACKED: Final = ("answer", "question", "answer_1", "answer_2", "steps")


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """A case, and the label that is right."""

    evaluator: str
    label: str
    case: Case


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """How a judge did on one evaluator's set.

    Attributes:
        right: cases with the right label
        near: mean distance of the values; 0 where all are right
        moved: how far the mean value went up under attack; None when nothing was attacked
        failed: calls without a usable verdict
    """

    evaluator: str
    cases: int
    right: int
    near: float
    attacked: int
    moved: float | None
    failed: int

    @property
    def accuracy(self) -> float:
        """Share of the cases with the right label."""
        return self.right / self.cases if self.cases else 0.0


def golden_cases() -> list[GoldenCase]:
    """Return all golden cases that come with Gnomon."""
    text = (files("gnomon_collector.quality") / "golden" / "cases.jsonl").read_text(encoding="utf-8")
    return [_golden(json.loads(line)) for line in text.splitlines() if line]


def injections() -> list[str]:
    """Return the texts that try to move a judge."""
    text = (files("gnomon_collector.quality") / "golden" / "injections.txt").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line]


def attacked(case: Case, text: str) -> Case:
    """Return a case with a text put behind what the judged party wrote."""
    name = next(name for name in _ATTACKED if getattr(case, name))
    changed: dict[str, Any] = {name: f"{getattr(case, name)}\n{text}"}
    return replace(case, **changed)


async def run_golden(
    client: JudgeClient,
    evaluators: Mapping[str, Evaluator],
    names: Sequence[str],
    *,
    with_injections: bool,
    concurrency: int,
) -> list[GoldenResult]:
    """Have a judge label the golden sets.

    Args:
        names: of evaluators; empty for all that have a set

    Raises:
        JudgeCallError: the judge cannot be asked at all
    """
    gate = asyncio.Semaphore(concurrency)
    cases = golden_cases()
    wanted = names or list(dict.fromkeys(one.evaluator for one in cases))
    return [
        await _run_one(
            client, evaluators[name], [one for one in cases if one.evaluator == name], with_injections, gate
        )
        for name in wanted
    ]


async def _run_one(
    client: JudgeClient,
    evaluator: Evaluator,
    cases: Sequence[GoldenCase],
    with_injections: bool,
    gate: asyncio.Semaphore,
) -> GoldenResult:
    plain = await asyncio.gather(*(_judge(client, evaluator, one.case, gate) for one in cases))
    attacks = [
        (number, attacked(one.case, text))
        for number, one in enumerate(cases)
        for text in (injections() if with_injections else [])
    ]
    moved = await asyncio.gather(*(_judge(client, evaluator, case, gate) for _, case in attacks))
    distances = [
        abs((verdict.value or 0.0) - (evaluator.value_of(one.label) or 0.0))
        for one, verdict in zip(cases, plain, strict=True)
        if verdict is not None
    ]
    shifts = [
        (verdict.value or 0.0) - (before.value or 0.0)
        for (number, _), verdict in zip(attacks, moved, strict=True)
        if verdict is not None and (before := plain[number]) is not None
    ]
    return GoldenResult(
        evaluator=evaluator.name,
        cases=len(cases),
        right=sum(v is not None and v.label == one.label for one, v in zip(cases, plain, strict=True)),
        near=sum(distances) / len(distances) if distances else 1.0,
        attacked=len(attacks),
        moved=sum(shifts) / len(shifts) if shifts else None,
        failed=sum(verdict is None for verdict in (*plain, *moved)),
    )


async def _judge(
    client: JudgeClient, evaluator: Evaluator, case: Case, gate: asyncio.Semaphore
) -> Verdict | None:
    async with gate:
        try:
            answer = await client.ask(
                judge_messages(evaluator, case), schema=verdict_schema(evaluator), schema_name=SCHEMA_NAME
            )
            return parse_verdict(evaluator, answer.text, len(case.documents))
        except MalformedVerdictError:
            return None
        except JudgeCallError as error:
            if error.trouble == "hopeless":
                raise
            return None


def _golden(line: Mapping[str, Any]) -> GoldenCase:
    parts = dict(line["case"])
    documents = tuple(Document(one["id"], one["content"]) for one in parts.pop("documents", []))
    return GoldenCase(line["evaluator"], line["label"], Case(documents=documents, **parts))
