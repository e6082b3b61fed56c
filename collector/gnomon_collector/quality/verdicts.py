"""From the judge's text to a verdict: checked against the scale, nothing else becomes a score. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gnomon_collector.quality.evaluators import Evaluator

if TYPE_CHECKING:
    from gnomon_collector.quality.client import Answer

LONGEST_REASONING_CHARS: Final = 2_000
_FENCE: Final = re.compile(r"^\s*```[a-z]*\s*(.*?)\s*```\s*$", re.DOTALL)


class MalformedVerdictError(Exception):
    """The judge did not answer as its schema asks. The message says how, without what it answered."""


@dataclass(frozen=True, slots=True)
class DocumentVerdict:
    """The verdict on one document; `number` counts from 1 in the order shown."""

    number: int
    label: str
    value: float | None
    reasoning: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge found. `value` is that of the label: 0 (bad) to 1 (good), None: does not apply."""

    label: str
    value: float | None
    reasoning: str
    documents: tuple[DocumentVerdict, ...] = ()

    @property
    def precision(self) -> float | None:
        """Mean value of the documents, None without any."""
        values = [one.value for one in self.documents if one.value is not None]
        return sum(values) / len(values) if values else None


def verdict_of(evaluator: Evaluator, answer: Answer, documents: int = 0) -> Verdict:
    """Return the verdict that an answer of the endpoint holds.

    Args:
        documents: how many were shown, for an evaluator that judges each.

    Raises:
        MalformedVerdictError: it holds none, or only the beginning of one
    """
    if answer.refused:
        raise MalformedVerdictError("the judge refused to answer")
    try:
        return parse_verdict(evaluator, answer.text, documents)
    except MalformedVerdictError:
        if answer.finish_reason == "length":
            raise MalformedVerdictError(
                f"the judge's answer was cut off after {answer.output_tokens} tokens:"
                " GNOMON_JUDGE_ANSWER_TOKENS gives it more"
            ) from None
        if answer.finish_reason == "content_filter":
            raise MalformedVerdictError("a content filter of the endpoint stopped the answer") from None
        raise


def parse_verdict(evaluator: Evaluator, text: str, documents: int = 0) -> Verdict:
    """Return the verdict in a judge's answer.

    Args:
        documents: how many were shown, for an evaluator that judges each.

    Raises:
        MalformedVerdictError: it is not what the schema asks for
    """
    answer = _object(text)
    label, reasoning = answer.get("label"), answer.get("reasoning")
    known = {one.label: one.value for one in evaluator.labels}
    if label not in known:
        raise MalformedVerdictError("the judge's label is none of the scale's")
    if not isinstance(reasoning, str):
        raise MalformedVerdictError("the judge gave no reasoning")
    judged = _documents(evaluator, answer, documents) if evaluator.per_document else ()
    return Verdict(str(label), known[label], reasoning[:LONGEST_REASONING_CHARS], judged)


def _documents(
    evaluator: Evaluator, answer: Mapping[str, Any], documents: int
) -> tuple[DocumentVerdict, ...]:
    known = {one.label: one.value for one in evaluator.document_labels}
    found: dict[int, DocumentVerdict] = {}
    listed = answer.get("documents")
    for item in listed if isinstance(listed, list) else []:
        if not isinstance(item, dict) or item.get("label") not in known:
            raise MalformedVerdictError("the judge's label of a document is none of the scale's")
        number = item.get("number")
        if isinstance(number, int) and 1 <= number <= documents:
            label = str(item["label"])
            reasoning = str(item.get("reasoning", ""))[:LONGEST_REASONING_CHARS]
            found.setdefault(number, DocumentVerdict(number, label, known[label], reasoning))
    if len(found) < documents:
        raise MalformedVerdictError("the judge left out a document")
    return tuple(found[number] for number in sorted(found))


def _object(text: str) -> dict[str, Any]:
    fenced = _FENCE.match(text)
    try:
        value = json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        raise MalformedVerdictError("the judge's answer is no JSON") from None
    if not isinstance(value, dict):
        raise MalformedVerdictError("the judge's answer is no JSON object")
    return value
