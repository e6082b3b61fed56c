"""False alarms on stationary traffic, and hours until a shift is noticed: drift's rules on simulated worlds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Final

from tests.bench.drift_worlds import (
    Array,
    Shift,
    World,
    distribution,
    draw,
    hourly,
    longer,
    more_often,
    other_mix,
    slower,
)

from gnomon_collector.demo.conversation import answer_to, draw_question, draw_topic
from gnomon_collector.demo.substitution import substituted_text
from gnomon_collector.drift import rules, texts
from gnomon_collector.store.drift_catalogue import BY_NAME

METRICS: Final = (
    "input_length", "output_length", "input_tokens", "output_tokens", "latency", "cost", "language", "refusal",
    "format", "error", "finish_reason", "users", "companies", "models",
)  # fmt: skip
CURRENT_HOURS: Final = 24
REFERENCE_DAYS: Final = 7
MONTH_H: Final = 30 * 24
WARM_UP_H: Final = 24 * (REFERENCE_DAYS + 1)
WATCHED_H: Final = 72
TEXT_STEP_H: Final = 6


@dataclass(frozen=True)
class AlarmCount:
    """What one metric did in one month of stationary traffic."""

    metric: str
    calls_per_hour: float
    alarms: int
    evaluations: int
    without_data: int


@dataclass(frozen=True)
class Injected:
    """A shift, and the metric that is to notice it."""

    name: str
    metric: str
    shift: Shift


@dataclass(frozen=True)
class Delay:
    """How long a shift took to be noticed; None when it was not within `WATCHED_H` hours."""

    name: str
    metric: str
    calls_per_hour: float
    hours: int | None


SHIFTS: Final = (
    Injected("answers 1.25 times as long", "output_length", longer(1.25)),
    Injected("answers 1.5 times as long", "output_length", longer(1.5)),
    Injected("answers twice as long", "output_length", longer(2.0)),
    Injected("calls 1.3 times as slow", "latency", slower(1.3)),
    Injected("calls twice as slow", "latency", slower(2.0)),
    Injected("refusals 1 % → 5 %", "refusal", more_often("refusal", 0.05)),
    Injected("refusals 1 % → 15 %", "refusal", more_often("refusal", 0.15)),
    Injected("format failures 0.5 % → 4 %", "format", more_often("format", 0.04)),
    Injected("errors 1 % → 6 %", "error", more_often("error", 0.06)),
    Injected("a quarter of the users now writes German", "language", other_mix("language", 1, 0.25)),
    Injected("40 % of the calls from one company", "companies", other_mix("companies", 7, 0.4)),
    Injected("a third of the calls moved to another model", "models", other_mix("models", 2, 0.33)),
)


def false_alarms(calls_per_hour: float, seed: int, months: int = 1) -> Iterator[AlarmCount]:
    """Yield what each metric does in a stationary world, evaluated every hour."""
    hours = WARM_UP_H + months * MONTH_H
    calls = draw(World(seed, hours, calls_per_hour))
    for metric in METRICS:
        states = list(_states(hourly(calls, hours, metric), metric, range(WARM_UP_H, hours + 1)))
        yield AlarmCount(
            metric, calls_per_hour, _alarms(states), len(states), states.count("not_enough_data")
        )


def delay(injected: Injected, calls_per_hour: float, seed: int) -> Delay:
    """Return after how many hours a shift is drift. It begins at another hour of the day for each seed."""
    begins = WARM_UP_H + 7 * seed % 24
    hours = begins + WATCHED_H
    calls = draw(World(seed, hours, calls_per_hour, injected.shift, begins))
    summed = hourly(calls, hours, injected.metric)
    found = _states(summed, injected.metric, range(begins - 2, hours + 1))
    late = next((at - 2 for at, state in enumerate(found) if state == "drift" and at >= 3), None)
    return Delay(injected.name, injected.metric, calls_per_hour, late)


def text_alarms(evaluations: int, seed: int) -> tuple[int, int]:
    """Return (alarms, evaluations) of texts where nothing changes, evaluated every six hours."""
    rng = Random(seed)
    days = [_answers(rng, 100) for _ in range(8)]
    states: list[str] = []
    for number in range(evaluations):
        if number % (24 // TEXT_STEP_H) == 0:
            days = [*days[1:], _answers(rng, 400)]
        states.append(_text_state([one for day in days[:-1] for one in day[:57]], days[-1], states))
    return _alarms(states), len(states)


def text_delay(share: float, seed: int) -> int | None:
    """Return after how many hours a drift of answers is noticed of which a share is another model's."""
    rng = Random(seed)
    reference = _answers(rng, 400)
    states: list[str] = []
    for step in range(1, WATCHED_H // TEXT_STEP_H + 1):
        shifted = min(1.0, step * TEXT_STEP_H / CURRENT_HOURS) * share
        current = [
            substituted_text(one, "en", rng) if rng.random() < shifted else one for one in _answers(rng, 400)
        ]
        states.append(_text_state(reference, current, states))
        if states[-1] == "drift":
            return step * TEXT_STEP_H
    return None


def summary(delays: Sequence[Delay]) -> tuple[str, str, str]:
    """Return noticed of all, median and longest delay in hours, as text."""
    noticed = sorted(one.hours for one in delays if one.hours is not None)
    share = f"{len(noticed)} of {len(delays)}"
    return (share, f"{median(noticed):.0f}", f"{noticed[-1]}") if noticed else (share, "–", "–")


def _states(summed: Array, metric: str, ends: range) -> Iterator[str]:
    before = ""
    for end in ends:
        found = distribution(summed, metric, end, CURRENT_HOURS, REFERENCE_DAYS)
        verdict = rules.judge(BY_NAME[metric], found)
        before = rules.state_after(verdict.severity if verdict.measured else None, before)
        yield before


def _text_state(reference: Sequence[str], current: Sequence[str], states: Sequence[str]) -> str:
    found = texts.compare(texts.text_vectors([*reference, *current]), len(reference))
    severity = max(one.severity for one in found.measured)
    return rules.state_after(severity, states[-1] if states else "")


def _answers(rng: Random, count: int) -> list[str]:
    return [answer_to(draw_question(rng, draw_topic(rng)), "", rng) for _ in range(count)]


def _alarms(states: Sequence[str]) -> int:
    return sum(
        now == "drift" and before != "drift" for before, now in zip(("", *states), states, strict=False)
    )
