"""Simulated traffic for the error rates of drift detection: stationary worlds, and worlds with a shift. Pure.

Traffic is stationary as a whole and as uneven as real traffic in every part: it rises and falls over the day
and the week, a few users ask most, come in sessions of several calls, and each has a language, a company and a
way of writing; answers slow down at the busy hours; errors come in bursts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np

from gnomon_collector.store.drift_catalogue import BY_NAME, LOG_BUCKETS_PER_OCTAVE, MOST_BUCKETS, LogScale
from gnomon_collector.store.drift_windows import Distribution

Array: TypeAlias = "np.ndarray[Any, Any]"

USERS: Final = 400
COMPANIES: Final = 12
CALLS_PER_SESSION: Final = 2.5
HOURS_PER_PERIOD: Final = 24
LANGUAGES: Final = (("en", 0.7), ("de", 0.2), ("ru", 0.1))
_WEEKEND: Final = 0.5


@dataclass(frozen=True)
class Calls:
    """Calls as columns: the hour each falls into, and what it looked like."""

    hour: Array
    columns: Mapping[str, Array]


Shift = Callable[[dict[str, Array], Array, np.random.Generator], None]
"""Changes the columns of the calls where the mask is set."""


@dataclass(frozen=True)
class World:
    """A world of some hours.

    Attributes:
        calls_per_hour: on average.
        shift: what changes, from `shift_hour` on.
    """

    seed: int
    hours: int
    calls_per_hour: float
    shift: Shift | None = None
    shift_hour: int = 0
    names: tuple[str, ...] = field(default=())


def draw(world: World) -> Calls:
    """Draw the calls of a world."""
    rng = np.random.default_rng(world.seed)
    hour, user = _sessions(world, rng)
    columns = _columns(hour, user, rng)
    if world.shift is not None:
        world.shift(columns, hour >= world.shift_hour, rng)
    return Calls(hour, columns)


def _sessions(world: World, rng: np.random.Generator) -> tuple[Array, Array]:
    """Hour and user of each call: sessions begin at random, and go on for some calls."""
    hours = np.arange(world.hours)
    daylight = 0.15 + 0.85 * ((1 + np.cos((hours % 24 - 14) / 24 * 2 * np.pi)) / 2) ** 1.5
    rate = daylight * np.where((hours // 24) % 7 >= 5, _WEEKEND, 1.0)
    rate *= world.calls_per_hour / CALLS_PER_SESSION / rate.mean()
    begun = np.repeat(hours, rng.poisson(rate))
    weights = rng.pareto(1.3, USERS) + 0.05
    who = rng.choice(USERS, len(begun), p=weights / weights.sum())
    length = rng.geometric(1 / CALLS_PER_SESSION, len(begun))
    return np.repeat(begun, length), np.repeat(who, length)


def _columns(hour: Array, user: Array, rng: np.random.Generator) -> dict[str, Array]:
    count = len(hour)
    writes_long = rng.normal(0, 0.4, USERS)[user]
    language = rng.choice(len(LANGUAGES), USERS, p=[share for _, share in LANGUAGES])[user]
    company = np.minimum(rng.geometric(0.25, USERS), COMPANIES)[user]
    busy = 1 + 0.25 * ((1 + np.cos((hour % 24 - 14) / 24 * 2 * np.pi)) / 2)
    input_length = np.exp(rng.normal(4.5, 0.7, count) + writes_long)
    output_length = np.exp(rng.normal(6.0, 0.5, count) + 0.3 * writes_long)
    bursts = rng.random(hour.max() + 1) < 0.004
    failing = rng.random(count) < np.where(bursts[hour], 0.3, 0.01)
    return {
        "input_length": input_length,
        "output_length": output_length,
        "input_tokens": 600 + input_length / 4,
        "output_tokens": 2 + output_length / 4,
        "latency": busy * (200 + 2.5 * output_length) * np.exp(rng.normal(0, 0.35, count)),
        "cost": (0.4 * (600 + input_length / 4) + 1.6 * output_length / 4) / 1e6,
        "language": language,
        "refusal": rng.random(count) < 0.01,
        "format": rng.random(count) < 0.005,
        "error": failing,
        "finish_reason": (rng.random(count) < 0.2).astype(int),
        "users": user % 32,
        "companies": company,
        "models": (rng.random(count) < 0.3).astype(int),
    }


def hourly(calls: Calls, hours: int, name: str) -> Array:
    """Return the counts of a feature by hour and bucket (or category), summed up from the first hour on."""
    column = calls.columns[name]
    if BY_NAME[name].kind == "number":
        scale = BY_NAME[name].scale
        factor = scale.scale if isinstance(scale, LogScale) else 1.0
        keys = np.minimum(MOST_BUCKETS - 1, np.floor(LOG_BUCKETS_PER_OCTAVE * np.log2(1 + column * factor)))
    else:
        keys = column.astype(int)
    keys = keys.astype(int)
    width = int(keys.max()) + 1
    counts = np.bincount(calls.hour * width + keys, minlength=hours * width).reshape(hours, width)
    return np.vstack([np.zeros((1, width), dtype=int), np.cumsum(counts, axis=0)])


def distribution(summed: Array, name: str, end: int, current_hours: int, reference_days: int) -> Distribution:
    """Return what the store would answer for a feature at the end of hour `end`."""
    begin = end - current_hours
    edges = [
        max(0, begin - current_hours * number) for number in range(reference_days * 24 // current_hours + 1)
    ]
    periods = [summed[late] - summed[early] for late, early in pairwise(edges)]
    kept = [one for one in periods if one.sum()]
    return Distribution(_counts(summed[end] - summed[begin], name), tuple(_counts(one, name) for one in kept))


def _counts(row: Array, name: str) -> tuple[int, ...] | dict[str, int]:
    if BY_NAME[name].kind == "number":
        return tuple(row.tolist())
    return {str(key): int(count) for key, count in enumerate(row) if count}


def longer(factor: float) -> Shift:
    """Answers become longer by a factor, and slower with it."""

    def change(columns: dict[str, Array], after: Array, rng: np.random.Generator) -> None:
        columns["output_length"][after] *= factor
        columns["output_tokens"][after] *= factor

    return change


def slower(factor: float) -> Shift:
    """Calls take longer by a factor."""

    def change(columns: dict[str, Array], after: Array, rng: np.random.Generator) -> None:
        columns["latency"][after] *= factor

    return change


def more_often(name: str, share: float) -> Shift:
    """A rate (refusal, format, error) rises to a share."""

    def change(columns: dict[str, Array], after: Array, rng: np.random.Generator) -> None:
        columns[name][after] = rng.random(int(after.sum())) < share

    return change


def other_mix(name: str, value: int, share: float) -> Shift:
    """A share of the calls moves to one category."""

    def change(columns: dict[str, Array], after: Array, rng: np.random.Generator) -> None:
        moved = after & (rng.random(len(after)) < share)
        columns[name][moved] = value

    return change
