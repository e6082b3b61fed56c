"""How good answers are, and how sure one can be of it: estimates from samples drawn with unequal probabilities.

Weights are the inverse of the probability with which an answer was drawn, so what was looked at more often
counts for less. Answers of one conversation are alike, so the variance is taken over conversations. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import add
from typing import Final, cast

from gnomon_collector.store.wilson import CONFIDENCE, wilson

_SAME_WEIGHT: Final = 0.1
_FEWEST_DEGREES: Final = 5.0
_Five = tuple[float, float, float, float, float]

ENOUGH: Final = 30.0
"""Effective answers from which an estimate is more than an impression."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What an estimate needs of a sample; sums of two samples add.

    With ``w = 1/p`` of each answer, ``a`` the sum of ``w*value`` and ``b`` the sum of ``w`` over the answers of one
    conversation:

    Attributes:
        count: answers
        clusters: conversations
        w, wy: sums of ``w`` and ``w*value`` over answers
        aa, ab, bb: sums of ``a*a``, ``a*b`` and ``b*b`` over conversations
        fourth: sums of ``a^4, a^3 b, a^2 b^2, a b^3, b^4`` over conversations
    """

    count: int = 0
    clusters: int = 0
    w: float = 0.0
    wy: float = 0.0
    aa: float = 0.0
    ab: float = 0.0
    bb: float = 0.0
    fourth: _Five = (0.0, 0.0, 0.0, 0.0, 0.0)

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.count + other.count,
            self.clusters + other.clusters,
            self.w + other.w,
            self.wy + other.wy,
            self.aa + other.aa,
            self.ab + other.ab,
            self.bb + other.bb,
            cast(_Five, tuple(map(add, self.fourth, other.fourth))),
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of values between 0 and 1, with its interval of 95 %.

    Attributes:
        mean: None without an answer
        low, high: the interval; 0 to 1 without an answer
        count: answers judged
        effective: how many answers drawn evenly would say as much
    """

    mean: float | None
    low: float
    high: float
    count: int
    effective: float

    @property
    def is_enough(self) -> bool:
        """Whether the sample is large enough to rely on the interval."""
        return self.effective >= ENOUGH


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first, with its interval of 95 %; None where one of them has no answer."""

    value: float | None
    low: float
    high: float
    is_enough: bool

    @property
    def is_significant(self) -> bool:
        """Whether the interval leaves out 0, and both samples are large enough."""
        return self.value is not None and self.is_enough and (self.low > 0 or self.high < 0)


NOTHING: Final = Estimate(None, 0.0, 1.0, 0, 0.0)


def sums_of(values: Sequence[float], probabilities: Sequence[float], clusters: Sequence[object]) -> Sums:
    """Return the sums of a sample given answer by answer; SQL computes the same for large ones."""
    by_cluster: dict[object, tuple[float, float]] = {}
    total = Sums()
    for value, probability, cluster in zip(values, probabilities, clusters, strict=True):
        weight = 1.0 / probability
        a, b = by_cluster.get(cluster, (0.0, 0.0))
        by_cluster[cluster] = (a + weight * value, b + weight)
        total += Sums(count=1, w=weight, wy=weight * value)
    for a, b in by_cluster.values():
        fourth = (a**4, a**3 * b, a * a * b * b, a * b**3, b**4)
        total += Sums(clusters=1, aa=a * a, ab=a * b, bb=b * b, fourth=fourth)
    return total


def estimate(sums: Sums) -> Estimate:
    """Return the Hájek mean of a sample, with an interval.

    The mean is ``sum(w*y) / sum(w)`` (Hájek 1971). Its variance is linearised over conversations,
    ``sum((a - mean*b)^2) / sum(w)^2 * m/(m-1)``. The interval is Wilson's, for the number of even answers that
    would have that variance (Korn and Graubard 1998, with Wilson's instead of Clopper and Pearson's interval):
    unlike ``mean ± 2 errors`` it holds near 0 and 1, where good services are.
    """
    if sums.count == 0 or sums.w <= 0:
        return NOTHING
    mean = min(1.0, max(0.0, sums.wy / sums.w))
    effective = _effective(sums, mean)
    low, high = weighted_wilson(mean, effective, _degrees_of_freedom(sums, mean))
    return Estimate(mean, low, high, sums.count, effective)


def _effective(sums: Sums, mean: float) -> float:
    """How many answers drawn evenly, each good or bad, would give a mean as sure as this one.

    Values between 0 and 1 vary less than that, so scores with a middle value count for more than their number;
    where the sample shows no variance (all good), Kish's ``(sum w)^2 / sum w^2`` is what is left.
    """
    kish = sums.w * sums.w / sums.bb if sums.bb > 0 else 0.0
    if sums.clusters < 2:
        return min(kish, 1.0)
    correction = sums.clusters / (sums.clusters - 1)
    spread = max(0.0, sums.aa - 2 * mean * sums.ab + mean * mean * sums.bb)
    variance = correction * spread / (sums.w * sums.w)
    if variance <= 1e-12 or mean * (1 - mean) <= 1e-12:
        return kish
    return mean * (1 - mean) / variance


def _degrees_of_freedom(sums: Sums, mean: float) -> float:
    """How sure the variance itself is: few heavy answers may make up most of it.

    Satterthwaite's approximation, ``sum(d^2)^2 / sum(d^4)`` with ``d = a - mean*b`` of each conversation, between
    5 and the number of conversations less one. Where all weigh the same it is that number: then Wilson's
    interval holds by itself, however rare one of the outcomes is.
    """
    most = sums.clusters - 1.0
    if sums.clusters * sums.bb <= (1 + _SAME_WEIGHT) * sums.w * sums.w:
        return most
    second = sums.aa - 2 * mean * sums.ab + mean * mean * sums.bb
    binomial = (1.0, -4.0 * mean, 6.0 * mean**2, -4.0 * mean**3, mean**4)
    fourth = sum(factor * moment for factor, moment in zip(binomial, sums.fourth, strict=True))
    if second <= 1e-9 or fourth <= 1e-9:
        return most
    return min(most, max(_FEWEST_DEGREES, second * second / fourth))


def weighted_wilson(share: float, count: float, degrees_of_freedom: float) -> tuple[float, float]:
    """Return Wilson's interval of 95 % for a share of `count` (not necessarily whole) answers.

    Student's t takes the place of the normal quantile, since the variance itself is an estimate.
    Source: Franco et al. 2019, J. Survey Stat. Methodol. 7(3), for samples with weights.
    """
    if count <= 0 or degrees_of_freedom < 1:
        return 0.0, 1.0
    from scipy import special  # 30 MB: not before it is asked for

    return wilson(share, count, float(special.stdtrit(degrees_of_freedom, 0.5 + CONFIDENCE / 2)))


def difference(first: Estimate, second: Estimate) -> Difference:
    """Return by how much the second mean is higher than the first, with an interval.

    The interval is made of those of the two (Newcombe 1998, method 10; Zou and Donner 2008), so it is as
    honest near 0 and 1 as they are.
    """
    if first.mean is None or second.mean is None:
        return Difference(None, -1.0, 1.0, False)
    value = second.mean - first.mean
    down = math.hypot(second.mean - second.low, first.high - first.mean)
    up = math.hypot(second.high - second.mean, first.mean - first.low)
    enough = first.is_enough and second.is_enough
    return Difference(value, max(-1.0, value - down), min(1.0, value + up), enough)


def share(successes: int, total: int) -> Estimate:
    """Return a plain share with Wilson's interval of 95 %, for counts of everything that there is."""
    if total <= 0:
        return NOTHING
    low, high = wilson(successes / total, total)
    return Estimate(successes / total, low, high, total, float(total))


def total(parts: Iterable[Sums]) -> Sums:
    """Return the sums of several samples together."""
    result = Sums()
    for part in parts:
        result += part
    return result
