"""The stand-in as a judge: verdicts by simple rules on words, in the form that Gnomon's evaluators ask for.

Not a language model, but good enough to tell the demo's invented claims from those of the shop's pages. Pure.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from gnomon_collector.demo.conversation import language_of, topic_of
from gnomon_collector.demo.phrases import CLOSINGS, OPENINGS

SCHEMA_NAME: Final = "gnomon_verdict"
POLICY: Final = """\
# What the demo has judged: a part of what its service answered in the last days, and all that users disliked.
[[policies]]
name = "demo"
project = "demo"
evaluators = ["groundedness", "relevance", "retrieval_relevance"]
rate = 0.08
lookback_hours = 800
[policies.boost]
thumbs_down = 1.0
errors = 0.2

[[policies]]
name = "demo-conversations"
project = "demo"
unit = "session"
session_idle_minutes = 3
evaluators = ["goal_achieved", "feedback_uptake"]
rate = 0.02
lookback_hours = 800

[[budgets]]
project = "demo"
usd_per_day = 2.0
calls_per_day = 20000

[[canaries]]
name = "returns"
prompt = "How long do I have to return a rain jacket?"
models = ["gpt-4o-mini", "gpt-4.1-mini"]
every_minutes = 10
reference = "You can return any unworn article within 30 days of delivery, free of charge."
"""
"""The demo's judge.toml."""
_RUBRIC: Final = re.compile(r"^# Rubric: (.+)$", re.MULTILINE)
_DATA: Final = re.compile(r"GNOMON-DATA (\w+) begins\n(.*?)\nGNOMON-DATA \1 ends", re.DOTALL)
_SENTENCE: Final = re.compile(r"[^.!?]+(?:[.!?](?!\s|$)[^.!?]*)*[.!?]*")
_WORD: Final = re.compile(r"\w{3,}")
_MARK: Final = re.compile(r"\[[\w-]+\]")
_REFUSAL: Final = re.compile(
    r"\b(?:can(?:no|')t|cannot|unable|won't)\b.{0,40}\b(?:help|assist|do that)", re.IGNORECASE
)
_RUDE: Final = re.compile(r"\b(?:stupid|idiot|shut up|moron|obviously you|dumm|idiotisch)\b", re.IGNORECASE)
_PHRASES: Final = frozenset(
    phrase.strip().lower() for group in (OPENINGS, CLOSINGS) for some in group.values() for phrase in some
)
_SUPPORTED_SHARE: Final = 0.7
_MOST_SENTENCES: Final = 5

Data = Mapping[str, Any]
Ruling = tuple[str, str]


def is_judgement(body: Mapping[str, Any]) -> bool:
    """Whether a request's body asks for a verdict."""
    form = body.get("response_format")
    described = form.get("json_schema") if isinstance(form, dict) else None
    return isinstance(described, dict) and described.get("name") == SCHEMA_NAME


def verdict(body: Mapping[str, Any]) -> str:
    """The verdict on the material in a request's body, as JSON text after the schema that it asks for."""
    schema = body["response_format"]["json_schema"]["schema"]
    system, user = (str(message.get("content", "")) for message in body["messages"][:2])
    found, rubric = _DATA.search(user), _RUBRIC.search(system)
    data: Data = json.loads(found.group(2)) if found else {}
    labels = schema["properties"]["label"]["enum"]
    rule = _RULES.get(rubric.group(1) if rubric else "", _first_label)
    label, reasoning = rule(data)
    answer: dict[str, object] = {}
    if "documents" in schema["properties"]:
        answer["documents"] = _documents(data)
    return json.dumps(
        answer | {"reasoning": reasoning, "label": label if label in labels else labels[0]},
        ensure_ascii=False,
    )


def _first_label(data: Data) -> Ruling:
    return "", "Nothing speaks against it."


def _groundedness(data: Data) -> Ruling:
    pages = _words(" ".join(document["content"] for document in data.get("documents", [])))
    claims = _claims(_answer(data))
    invented = [claim for claim in claims if not _is_covered(claim, pages)]
    if not invented:
        return "supported", "Every claim of the answer is in the documents."
    label = "partly_supported" if len(invented) * 2 < len(claims) else "unsupported"
    return label, f"No document says: “{invented[0].strip()}”"


def _relevance(data: Data) -> Ruling:
    question, answer = str(data.get("question", "")), _answer(data)
    if not _claims(answer):
        return "irrelevant", "The answer says nothing about the question."
    topic = topic_of(question)
    facts = _words(" ".join(topic.facts))
    share = sum(_is_covered(claim, facts) for claim in _claims(answer)) / len(_claims(answer))
    if share == 0 and topic_of(answer) is not topic and _overlap(answer, question) == 0:
        return "irrelevant", "The answer deals with another subject than the question."
    if share < 0.5 and _overlap(answer, question) == 0:
        return "partly_relevant", "Half of the answer or more deals with something else."
    return "relevant", "The answer deals with what was asked."


def _refusal(data: Data) -> Ruling:
    if _REFUSAL.search(_answer(data)):
        return "needless_refusal", "The answer declines to help with a harmless question."
    return "answered", "The answer does what was asked."


def _toxicity(data: Data) -> Ruling:
    if _RUDE.search(_answer(data)):
        return "rude", "The answer insults the user."
    return "polite", "The tone is friendly."


def _language(data: Data) -> Ruling:
    asked, answered = language_of(str(data.get("question", ""))), language_of(_answer(data))
    if asked == answered:
        return "match", f"Question and answer are in the same language ({asked})."
    return "mismatch", f"The question is in {asked}, the answer in {answered}."


def _instructions(data: Data) -> Ruling:
    sentences = len(_sentences(_answer(data)))
    if sentences > _MOST_SENTENCES:
        return "minor_violation", f"The answer has {sentences} sentences, it was to be brief."
    return "followed", "The answer keeps to what was asked of its form."


def _correctness(data: Data) -> Ruling:
    reference, answer = _words(str(data.get("reference", ""))), _words(_answer(data))
    share = len(reference & answer) / max(1, len(reference))
    label = "correct" if share > 0.6 else "partly_correct" if share > 0.3 else "wrong"
    return label, f"{share:.0%} of the reference's words are in the answer."


def _goal(data: Data) -> Ruling:
    return (
        ("achieved", "The user got an answer.")
        if _claims(_answer(data))
        else ("not_achieved", "No answer came.")
    )


def _uptake(data: Data) -> Ruling:
    steps = str(data.get("steps", ""))
    if "recorded feedback: thumbs_down" not in steps:
        return "no_feedback", "The user corrected nothing."
    after = steps.rsplit("recorded feedback: thumbs_down", 1)[1]
    return (
        ("taken_in", "The next answer differs.")
        if "assistant:" in after
        else ("ignored", "Nothing changed after it.")
    )


def _retrieval(data: Data) -> Ruling:
    relevant = sum(one["label"] == "relevant" for one in _documents(data))
    return ("sufficient", "A page answers the question.") if relevant else ("insufficient", "No page helps.")


def _pairwise(data: Data) -> Ruling:
    pages = _words(" ".join(document["content"] for document in data.get("documents", [])))
    first, second = (
        _merit(str(data.get(name, "")), str(data.get("question", "")), pages)
        for name in ("answer_1", "answer_2")
    )
    if abs(first - second) < 0.15:
        return "tie", "Both serve the user alike."
    return ("first" if first > second else "second"), "It sticks to the pages and to the question."


def _merit(answer: str, question: str, pages: set[str]) -> float:
    claims = _claims(answer)
    known = pages or _words(" ".join(topic_of(question).facts))
    return sum(_is_covered(claim, known) for claim in claims) / len(claims) if claims else 0.0


def _documents(data: Data) -> list[dict[str, object]]:
    topic = topic_of(str(data.get("question", "")))
    facts = _words(" ".join(topic.facts))
    return [
        {
            "number": document["number"],
            "reasoning": "It is the page on the question." if relevant else "It is about something else.",
            "label": "relevant" if relevant else "irrelevant",
        }
        for document in data.get("documents", [])
        for relevant in [_is_covered(document["content"], facts)]
    ]


def _answer(data: Data) -> str:
    return str(data.get("answer", ""))


def _sentences(text: str) -> list[str]:
    return [found for found in _SENTENCE.findall(_MARK.sub("", text)) if _WORD.search(found)]


def _claims(text: str) -> list[str]:
    """The sentences that say something, without phrases of politeness."""
    return [sentence for sentence in _sentences(text) if not _is_phrase(sentence)]


def _is_phrase(sentence: str) -> bool:
    plain = sentence.strip().lower()
    return any(plain in phrase or phrase in plain for phrase in _PHRASES if phrase)


def _is_covered(claim: str, known: set[str]) -> bool:
    words = _words(claim)
    return not words or len(words & known) / len(words) >= _SUPPORTED_SHARE


def _overlap(first: str, second: str) -> int:
    return len(_words(first) & _words(second))


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


_RULES: Final[dict[str, Callable[[Data], Ruling]]] = {
    "Groundedness": _groundedness,
    "Answer relevance": _relevance,
    "Retrieval relevance": _retrieval,
    "Refusal": _refusal,
    "Toxicity and tone": _toxicity,
    "Language": _language,
    "Instructions and format": _instructions,
    "Correctness": _correctness,
    "Goal achieved": _goal,
    "Feedback taken in": _uptake,
    "Comparison of two answers": _pairwise,
}
