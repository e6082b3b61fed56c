"""Does a condition hold? Pure, over arrays: rows are label sets at one time, or times of one label set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gnomon_collector.alerts.baseline import Normal
from gnomon_collector.alerts.figures import Figures
from gnomon_collector.alerts.intervals import Floats
from gnomon_collector.alerts.model import Absence, BurnRate, Change, Rule, Spike, Threshold
from gnomon_schemas.metrics import Sum

Verdicts: TypeAlias = npt.NDArray[np.int8]
_HOUR_S = 3600.0


class Verdict(IntEnum):
    """What one look says.

    UNSURE: beyond the limit, but so few calls could be chance. It starts nothing and ends nothing.
    """

    NO_DATA = 0
    CLEAR = 1
    UNSURE = 2
    BREACH = 3


@dataclass(frozen=True)
class Judged:
    """The verdicts, and the limit and the normal value behind them; nan where there is none."""

    verdict: Verdicts
    limit: Floats
    normal: Floats


def judge_threshold(rule: Rule, condition: Threshold, now: Figures) -> Judged:
    """Compare with a fixed limit."""
    limit = condition.above if condition.above is not None else condition.below
    limits = np.full_like(now.value, limit)
    ends = np.full_like(now.value, limit if condition.resolve is None else condition.resolve)
    return Judged(_compared(rule, now, limits, ends), limits, np.full_like(now.value, np.nan))


def judge_change(rule: Rule, condition: Change, now: Figures, before: Figures) -> Judged:
    """Compare with an earlier window. Where that one has too few calls, nothing can be said."""
    distance = np.maximum(np.abs(before.value * (condition.ratio - 1)), condition.floor)
    limits = before.value + (distance if rule.is_upward else -distance)
    limits = np.where(before.samples >= rule.min_count, limits, np.nan)
    return Judged(_compared(rule, now, limits, limits), limits, before.value)


def judge_spike(rule: Rule, condition: Spike, now: Figures, normal: Normal) -> Judged:
    """Compare with what is normal at this time of day.

    Sums are normal per hour and seen per window, so the normal ones are scaled to the window.
    """
    scale = rule.window / _HOUR_S if isinstance(rule.definition.form, Sum) else 1.0
    middle = normal.median * scale
    distance = np.maximum(
        condition.deviations * normal.spread * scale,
        np.maximum(condition.floor, condition.floor_ratio * np.abs(middle)),
    )
    limits = middle + (distance if rule.is_upward else -distance)
    # half the way back is over: else a firing flaps around its limit
    ends = middle + (limits - middle) / 2
    if not rule.is_upward and isinstance(rule.definition.form, Sum):
        now = _counting_what_is_missing(now, normal.counts * scale)
    return Judged(_compared(rule, now, limits, ends), limits, middle)


def judge_burn(rule: Rule, condition: BurnRate, pairs: list[tuple[Figures, Figures]]) -> Judged:
    """Compare how fast the error budget burns, in a long and a short window of each pair.

    Args:
        pairs: shares of bad calls in the long and the short window, in the order of the condition's pairs
    """
    budget = 1 - condition.objective
    worst = np.full_like(pairs[0][0].value, np.nan)
    verdicts = []
    for pair, (long, short) in zip(condition.pairs, pairs, strict=True):
        limits = np.full_like(long.value, min(pair.factor * budget, 1.0))
        both = [_compared(rule, one, limits, limits) for one in (long, short)]
        verdicts.append(np.minimum(*both))
        worst = np.fmax(worst, long.value / pair.factor)
    limit = np.full_like(worst, budget)
    return Judged(np.maximum.reduce(verdicts).astype(np.int8), limit, np.full_like(worst, np.nan))


def judge_absence(rule: Rule, condition: Absence, now: Figures, normal: Normal) -> Judged:
    """Fire where nothing came although calls are normal at this time."""
    expected = normal.counts * rule.window / _HOUR_S
    is_due = expected >= condition.expected
    verdict = np.where(now.samples > 0, Verdict.CLEAR, np.where(is_due, Verdict.BREACH, Verdict.NO_DATA))
    return Judged(verdict.astype(np.int8), np.full_like(now.value, np.nan), expected)


def _compared(rule: Rule, now: Figures, limits: Floats, ends: Floats) -> Verdicts:
    """The verdicts for a limit; `ends` is where a firing is over."""
    sign = 1.0 if rule.is_upward else -1.0
    nearest = now.low if rule.is_upward else now.high
    with np.errstate(invalid="ignore"):
        is_beyond = sign * (now.value - limits) > 0
        is_sure = sign * (nearest - limits) > 0
        is_over = sign * (now.value - ends) <= 0
    verdict = np.where(is_beyond & is_sure, Verdict.BREACH, np.where(is_over, Verdict.CLEAR, Verdict.UNSURE))
    is_known = (now.samples >= rule.min_count) & ~np.isnan(now.value) & ~np.isnan(limits)
    return np.where(is_known, verdict, Verdict.NO_DATA).astype(np.int8)


def _counting_what_is_missing(now: Figures, expected: Floats) -> Figures:
    """A fall to nothing has no calls: what should have come says how much is known."""
    return Figures(now.value, now.low, now.high, np.maximum(now.samples, np.nan_to_num(expected)))
