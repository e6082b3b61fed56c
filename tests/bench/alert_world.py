"""Thirty days of made-up traffic of an LLM service, minute by minute, with incidents put into it.

Traffic has a day, a week, noise and quiet nights; latencies are log-normal and heavier when it is busy; deploys
move latency and cost a little for good. What happened and when is known, so alerts can be judged by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Kind: TypeAlias = Literal["latency", "failures", "cost", "outage", "slow burn"]

KINDS: Final[tuple[Kind, ...]] = ("latency", "failures", "cost", "outage", "slow burn")
DAYS: Final = 30
HISTORY_DAYS: Final = 15
"""Days before the thirty, so that the first of them has a past."""

MINUTES: Final = 1440
BUCKETS: Final = 128
START: Final = datetime(2026, 1, 5, tzinfo=UTC)
_LENGTH_MINUTES: Final[dict[Kind, tuple[int, int]]] = {
    "latency": (15, 60),
    "failures": (10, 45),
    "cost": (40, 120),
    "outage": (6, 30),
    "slow burn": (240, 420),
}


@dataclass(frozen=True)
class Injected:
    """An incident: minutes since the start of the history."""

    kind: Kind
    first: int
    last: int

    @property
    def began(self) -> datetime:
        return START + timedelta(minutes=self.first)


@dataclass(frozen=True)
class World:
    """What was measured, by minute.

    Attributes:
        buckets: latency counts, minutes × 128, log2 with six to the octave
    """

    calls: Floats
    failed: Floats
    cost_usd: Floats
    buckets: Floats
    incidents: list[Injected]


def make_world(seed: int, incidents_each: int = 12) -> World:
    """Return a world with `incidents_each` incidents of every kind."""
    rng = np.random.default_rng(seed)
    size = (HISTORY_DAYS + DAYS) * MINUTES
    rate = _traffic(rng, size)
    injected = _incidents(rng, incidents_each, rate)
    effects = {kind: _strengths(rng, size, injected, kind) for kind in KINDS}
    deploys = _deploys(rng, size)
    # an outage does not make users go away; those who wait longer ask a little less
    calls = rng.poisson(rate).astype(np.float64)
    error_rate = np.clip(0.008 + 0.004 * rng.gamma(2.0, 0.5, size), 0, 1)
    error_rate = np.where(effects["failures"] > 0, 0.12 + 0.35 * effects["failures"], error_rate)
    error_rate = np.where(effects["slow burn"] > 0, 0.075 + 0.06 * effects["slow burn"], error_rate)
    error_rate = np.where(effects["outage"] > 0, 0.85 + 0.14 * effects["outage"], error_rate)
    failed = rng.binomial(calls.astype(np.int64), error_rate).astype(np.float64)
    busy = 1 + 0.15 * rate / rate.max()
    median_ms = 1400 * busy * deploys * np.where(effects["latency"] > 0, 2.2 + 3 * effects["latency"], 1)
    price = 0.004 * deploys * np.where(effects["cost"] > 0, 3 + 4 * effects["cost"], 1)
    cost = price * rng.gamma(np.maximum(calls, 1e-9), 1.0)
    return World(calls, failed, cost, _latencies(rng, calls, median_ms), injected)


def _traffic(rng: np.random.Generator, size: int) -> Floats:
    """Calls per minute: 2 at night, 40 at noon of a working day, half of it at weekends, noisy by the hour."""
    minute = np.arange(size)
    hour, weekday = minute / 60 % 24, minute // MINUTES % 7
    day = np.exp(-0.5 * ((hour - 13.5) / 4.0) ** 2)
    week = np.where(weekday >= 5, 0.5, 1.0)
    drift = np.repeat(rng.lognormal(0, 0.10, size // 60 + 1), 60)[:size]
    growth = 1 + 0.15 * minute / size
    return np.asarray((2 + 38 * day * week) * drift * growth, dtype=np.float64)


def _deploys(rng: np.random.Generator, size: int) -> Floats:
    """A factor that each deploy, every three days or so, moves by some percent for good."""
    factor = np.ones(size)
    for start in np.cumsum(rng.integers(2 * MINUTES, 5 * MINUTES, 20)):
        factor[start:] *= rng.normal(1, 0.04)
    return factor


def _incidents(rng: np.random.Generator, each: int, rate: Floats) -> list[Injected]:
    """Incidents that do not overlap, an hour and a half apart, where there are calls to be hurt."""
    placed: list[Injected] = []
    for kind in sorted(KINDS, key=lambda one: -_LENGTH_MINUTES[one][1]):
        while sum(one.kind == kind for one in placed) < each:
            length = int(rng.integers(*_LENGTH_MINUTES[kind]))
            first = int(rng.integers(HISTORY_DAYS * MINUTES, (HISTORY_DAYS + DAYS) * MINUTES - length - 120))
            last = first + length
            is_free = all(last + 90 < one.first or first > one.last + 90 for one in placed)
            if is_free and rate[first:last].mean() >= 8:
                placed.append(Injected(kind, first, last))
    return sorted(placed, key=lambda one: one.first)


def _strengths(rng: np.random.Generator, size: int, incidents: list[Injected], kind: Kind) -> Floats:
    """How bad it is in each minute, 0 where nothing is wrong, else 0..1."""
    strength = np.zeros(size)
    for one in incidents:
        if one.kind == kind:
            strength[one.first : one.last] = rng.uniform(0.05, 1)
    return strength


def _latencies(rng: np.random.Generator, calls: Floats, median_ms: Floats) -> Floats:
    counted = np.zeros((len(calls), BUCKETS))
    minutes = np.repeat(np.arange(len(calls)), calls.astype(np.int64))
    latency_ms = rng.lognormal(np.log(median_ms[minutes]), 0.45)
    bucket = np.clip(np.floor(6 * np.log2(latency_ms)), 0, BUCKETS - 1).astype(np.int64)
    np.add.at(counted, (minutes, bucket), 1)
    return counted
