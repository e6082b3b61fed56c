"""Golden sets: cases with the label that is right, and texts that must not move a judge. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final

from gnomon_collector.quality.costs import TOKENS_PER_DOCUMENT
from gnomon_collector.quality.evaluators import Evaluator
from gnomon_collector.quality.prompts import Case, Document, judge_messages
from gnomon_collector.quality.verdicts import Verdict

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


@dataclass(frozen=True, slots=True)
class GoldenRequest:
    """One question to the judge.

    Attributes:
        golden: the case, and what is right
        attack: place of the text that tries to move the judge, from 1 on; 0 for the case as it is
        number: place of the case
        answer_tokens: most of an answer about one thing
    """

    evaluator: Evaluator
    golden: GoldenCase
    number: int
    attack: int
    case: Case
    answer_tokens: int

    @property
    def messages(self) -> list[dict[str, str]]:
        """What the judge is asked."""
        return judge_messages(self.evaluator, self.case)

    @property
    def max_tokens(self) -> int:
        """Most tokens of an answer."""
        documents = len(self.case.documents) if self.evaluator.per_document else 0
        return self.answer_tokens + TOKENS_PER_DOCUMENT * documents


def golden_requests(
    evaluators: Mapping[str, Evaluator], names: Sequence[str], *, with_injections: bool, answer_tokens: int
) -> list[GoldenRequest]:
    """Return what is to be asked.

    Args:
        evaluators: by name
        names: of those to be tried; empty for all that have a set
        answer_tokens: most of an answer about one thing
    """
    texts = ["", *(injections() if with_injections else [])]
    return [
        GoldenRequest(
            evaluators[one.evaluator],
            one,
            number,
            attack,
            attacked(one.case, text) if text else one.case,
            answer_tokens,
        )
        for number, one in enumerate(golden_cases())
        if not names or one.evaluator in names
        for attack, text in enumerate(texts)
    ]


def results_of(asked: Sequence[tuple[GoldenRequest, Verdict | None]]) -> list[GoldenResult]:
    """Return how the judge did on each evaluator's set; a verdict of None is a call without a usable one."""
    names = dict.fromkeys(one.evaluator.name for one, _ in asked)
    return [
        _result([(one, verdict) for one, verdict in asked if one.evaluator.name == name]) for name in names
    ]


def _result(asked: Sequence[tuple[GoldenRequest, Verdict | None]]) -> GoldenResult:
    plain = {one.number: (one, verdict) for one, verdict in asked if not one.attack}
    attacks = [(plain[one.number][1], verdict) for one, verdict in asked if one.attack]
    distances = [
        abs((verdict.value or 0.0) - (one.evaluator.value_of(one.golden.label) or 0.0))
        for one, verdict in plain.values()
        if verdict is not None
    ]
    shifts = [
        (verdict.value or 0.0) - (before.value or 0.0)
        for before, verdict in attacks
        if verdict is not None and before is not None
    ]
    return GoldenResult(
        evaluator=asked[0][0].evaluator.name,
        cases=len(plain),
        right=sum(v is not None and v.label == one.golden.label for one, v in plain.values()),
        near=sum(distances) / len(distances) if distances else 1.0,
        attacked=len(attacks),
        moved=sum(shifts) / len(shifts) if shifts else None,
        failed=sum(verdict is None for _, verdict in asked),
    )


def _golden(line: Mapping[str, Any]) -> GoldenCase:
    parts = dict(line["case"])
    documents = tuple(Document(one["id"], one["content"]) for one in parts.pop("documents", []))
    return GoldenCase(line["evaluator"], line["label"], Case(documents=documents, **parts))
