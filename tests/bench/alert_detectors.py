"""What alerts on a made-up world: Gnomon's default rules, plain 3 sigma, and fixed thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from tests.bench.alert_world import BUCKETS, START, Floats, World

from gnomon_collector.alerts.baseline import Hourly
from gnomon_collector.alerts.config import default_rules
from gnomon_collector.alerts.intervals import z_of
from gnomon_collector.alerts.model import BurnRate, Rule
from gnomon_collector.alerts.replay import Past, replay
from gnomon_collector.store.metric_queries import Readings
from gnomon_schemas.metrics import Quantile, Sum

RULES = ("Latency spike", "Failure spike", "Cost spike", "Provider outage", "Error budget burn", "No data")
_Q = 0.95


@dataclass(frozen=True)
class Alarm:
    """Something that somebody would have been told."""

    began: datetime
    ended: datetime | None
    by: str


def gnomon_alarms(world: World) -> list[Alarm]:
    """Return what the default rules do, evaluated each minute with the code of the server."""
    chosen = [rule for rule in default_rules() if rule.name in RULES]
    alarms = []
    for rule in chosen:
        for fired in replay(rule, past_of(world, rule)).fired:
            alarms.append(Alarm(fired.began, fired.ended, rule.name))
    return sorted(alarms, key=lambda one: one.began)


def past_of(world: World, rule: Rule) -> Past:
    """Return a world as a rule reads it."""
    minutes = 1 if isinstance(rule.condition, BurnRate) else int(rule.window // 60)
    readings = _readings(world, rule, minutes)
    hourly = _readings_every_hour(world, rule)
    return Past(START + timedelta(minutes=1), 60, readings, hourly)


def _readings(world: World, rule: Rule, minutes: int) -> Readings:
    first, second = _columns(world, rule)
    size = len(first)
    nothing = np.full(size, np.nan)
    if isinstance(rule.definition.form, Quantile):
        counted = rolling(world.buckets, minutes)
        total = counted.sum(axis=1)
        z = z_of(rule.confidence)
        spread = z * np.sqrt(total * _Q * (1 - _Q))
        ranks = (_Q * total, _Q * total - spread, _Q * total + spread)
        value, low, high = (at_rank(counted, rank) for rank in ranks)
        return Readings([()] * size, value, total, low, high)
    return Readings([()] * size, rolling(first, minutes), rolling(second, minutes), nothing, nothing)


def _columns(world: World, rule: Rule) -> tuple[Floats, Floats]:
    return {
        "error_rate": (world.failed, world.calls),
        "success_rate": (world.calls - world.failed, world.calls),
        "cost_usd": (world.cost_usd, world.calls),
        "requests": (world.calls, world.calls),
        "latency_p95_ms": (world.calls, world.calls),
    }[rule.metric]


def _readings_every_hour(world: World, rule: Rule) -> Hourly:
    first, second = (_by_hour(one) for one in _columns(world, rule))
    if isinstance(rule.definition.form, Quantile):
        counted = world.buckets.reshape(-1, 60, BUCKETS).sum(axis=1)
        values = at_rank(counted, _Q * counted.sum(axis=1))
    elif isinstance(rule.definition.form, Sum):
        values = first
    else:
        values = first / np.maximum(second, 1)
    return Hourly(START, values, second)


def _by_hour(values: Floats) -> Floats:
    return np.asarray(values.reshape(-1, 60).sum(axis=1), dtype=np.float64)


def rolling(values: Floats, minutes: int) -> Floats:
    """Return the sums over the last `minutes` rows."""
    total = np.concatenate((np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)))
    ends = np.arange(1, len(total))
    return np.asarray(total[ends] - total[np.maximum(0, ends - minutes)])


def at_rank(counted: Floats, rank: Floats) -> Floats:
    """Return the duration in ms at a rank, as `gnomon_schemas.quantiles.rank_sql` does it."""
    reached = np.cumsum(counted, axis=1)
    total = reached[:, -1]
    clamped = np.minimum(total, np.maximum(1e-9, rank))
    place = np.minimum((reached < clamped[:, None]).sum(axis=1), BUCKETS - 1)
    rows = np.arange(len(counted))
    inside = np.maximum(counted[rows, place], 1e-12)
    part = (clamped - reached[rows, place] + inside) / inside
    return np.where(total > 0, 2.0 ** ((place + part) / 6), np.nan)


# --- what others do by default ------------------------------------------------------------------------


def three_sigma_alarms(world: World) -> list[Alarm]:
    """Return what mean + 3 standard deviations of the last day fires, on the same figures over 5 minutes."""
    return _simple(world, lambda values: _mean_and_three_sigma(values))


def fixed_alarms(world: World) -> list[Alarm]:
    """Return what fixed thresholds fire: 5 s, 5 % and twice the mean cost of the history at noon."""
    levels = {
        "latency": 5_000.0,
        "failures": 0.05,
        "cost": float(np.quantile(_five(world)["cost"], 0.99)) * 1.5,
    }
    alarms = []
    for name, values in _five(world).items():
        alarms += _alarms(values > levels[name], name)
    return sorted(alarms, key=lambda one: one.began)


def _simple(world: World, limits: Callable[[Floats], Floats]) -> list[Alarm]:
    alarms = []
    for name, values in _five(world).items():
        with np.errstate(invalid="ignore"):
            alarms += _alarms(values > limits(values), name)
    return sorted(alarms, key=lambda one: one.began)


def _five(world: World) -> dict[str, Floats]:
    calls = rolling(world.calls, 5)
    counted = rolling(world.buckets, 5)
    return {
        "latency": np.nan_to_num(at_rank(counted, _Q * counted.sum(axis=1))),
        "failures": rolling(world.failed, 5) / np.maximum(calls, 1),
        "cost": rolling(world.cost_usd, 5),
    }


def _mean_and_three_sigma(values: Floats) -> Floats:
    day = 1440
    number = np.minimum(np.arange(1, len(values) + 1), day)
    mean = rolling(values, day) / number
    square = rolling(values**2, day) / number
    limit = mean + 3 * np.sqrt(np.maximum(square - mean**2, 0))
    return np.concatenate((np.full(1, np.inf), limit[:-1]))


def _alarms(is_beyond: np.ndarray, name: str) -> list[Alarm]:  # type: ignore[type-arg]
    """Two minutes in a row begin an alarm; five minutes without end it, as in Gnomon's rules."""
    alarms: list[Alarm] = []
    began, run, quiet = None, 0, 0
    for minute, beyond in enumerate(is_beyond):
        run, quiet = (run + 1, 0) if beyond else (0, quiet + 1)
        now = START + timedelta(minutes=minute + 1)
        if began is None and run >= 2:
            began = now
        elif began is not None and quiet >= 5:
            alarms.append(Alarm(began, now, name))
            began = None
    return alarms if began is None else [*alarms, Alarm(began, None, name)]


def since(alarms: Sequence[Alarm], first: datetime) -> list[Alarm]:
    """Return the alarms that began from `first` on."""
    return [one for one in alarms if one.began >= first]
