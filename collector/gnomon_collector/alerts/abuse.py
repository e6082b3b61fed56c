"""Patterns of abuse: the sudden volume of one user or address, and the same prompt again and again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from gnomon_collector.alerts.conditions import Verdict
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.states import Look, Watched
from gnomon_collector.store.budgets import Conduct
from gnomon_collector.store.metric_facts import Key

WINDOW = timedelta(minutes=10)
FEWEST_CALLS = 60
"""Less than this in ten minutes harms nobody."""

_TIMES_USUAL = 20.0
_FEWEST_OTHERS = 5
_MOST_DIFFERENT = 0.1

_RULES = {
    "volume": ("Abuse: sudden volume", "One {kind} calls far more often than all the others."),
    "repetition": ("Abuse: repeated prompts", "One {kind} sends the same few prompts again and again."),
}


def abuse_watched(found: Sequence[Conduct]) -> list[Watched]:
    """Return the conduct of users and addresses as looks at rules, so that people are told."""
    watched = []
    for kind, label in (("user", "user_id"), ("address", "address")):
        of_kind = [one for one in found if one.kind == kind]
        volume: dict[Key, Look] = {(one.project, one.subject): _volume(one) for one in of_kind}
        repetition: dict[Key, Look] = {(one.project, one.subject): _repetition(one) for one in of_kind}
        watched.append(Watched(_rule("volume", kind), (label,), volume))
        watched.append(Watched(_rule("repetition", kind), (label,), repetition))
    return watched


def _volume(one: Conduct) -> Look:
    limit = one.usual * _TIMES_USUAL
    is_abuse = one.others >= _FEWEST_OTHERS and one.calls > limit
    return Look(Verdict.BREACH if is_abuse else Verdict.CLEAR, one.calls, one.usual, limit, one.calls)


def _repetition(one: Conduct) -> Look:
    limit = one.calls * _MOST_DIFFERENT
    verdict = Verdict.BREACH if one.prompts <= limit else Verdict.CLEAR
    return Look(verdict, one.calls, None, None, one.calls)


def _rule(pattern: str, kind: str) -> Rule:
    name, summary = _RULES[pattern]
    return Rule.model_validate(
        {
            "name": name if kind == "user" else f"{name} (address)",
            "metric": "requests",
            "for": 0,
            "keep_firing": "10m",
            "summary": summary.format(kind=kind),
            "condition": {"kind": "threshold", "above": FEWEST_CALLS},
        }
    )
