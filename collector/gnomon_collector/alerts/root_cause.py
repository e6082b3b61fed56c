"""Which dimension values explain a firing best: contribution analysis. Pure.

After Bhagwan et al. (2014), Adtributor: Revenue Debugging in Advertising Systems, NSDI. A value's
*explanatory power* is its part of the whole deviation from what was expected; its *surprise* is how far
its share of the measure moved (a term of the Jensen-Shannon divergence). Power alone would always name the
largest service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log2

from gnomon_collector.store.alert_evidence import Share

_LEAST_POWER = 0.2
_MOST_CAUSES = 5
_COMMON = 0.9
"""A value that nearly all calls have, before and now, explains nothing."""


@dataclass(frozen=True)
class Cause:
    """A value that explains part of a deviation.

    Attributes:
        power: its part of the deviation, 0..1 (beyond 1 where others moved the other way)
        surprise: how unexpected its share is; only good for ordering
        now, expected: of the measure: failed or slow calls, USD, calls
        calls_now: all calls with the value
    """

    dimension: str
    value: str
    power: float
    surprise: float
    now: float
    expected: float
    calls_now: float


def causes(shares: Iterable[Share], scale: float, *, by_rate: bool) -> list[Cause]:
    """Return the values that explain most, best first: at most one per dimension.

    Args:
        scale: length of the window now over that of the window before
        by_rate: the measure is a part of the calls: what is expected follows the calls of now, so that more
            traffic alone explains nothing
    """
    by_dimension: dict[str, list[Share]] = {}
    for share in shares:
        by_dimension.setdefault(share.dimension, []).append(share)
    found = [
        best
        for of_dimension in by_dimension.values()
        if (best := _best(of_dimension, scale, by_rate)) is not None
    ]
    return sorted(found, key=lambda one: (-one.surprise, -one.power, one.dimension))[:_MOST_CAUSES]


def _best(shares: Sequence[Share], scale: float, by_rate: bool) -> Cause | None:
    expected = _expected(shares, scale, by_rate)
    actual, forecast = sum(one.now for one in shares), sum(expected)
    deviation = actual - forecast
    calls = sum(one.calls_now for one in shares)
    if abs(deviation) < 1e-9 or not calls:
        return None
    found = [
        Cause(
            share.dimension,
            share.value,
            (share.now - usual) / deviation,
            _surprise(usual / forecast if forecast else 0.0, share.now / actual if actual else 0.0),
            share.now,
            usual,
            share.calls_now,
        )
        for share, usual in zip(shares, expected, strict=True)
        if share.value and not _is_common(share, shares)
    ]
    strong = [one for one in found if one.power >= _LEAST_POWER]
    return max(strong, key=lambda one: (one.power, one.surprise), default=None)


def _expected(shares: Sequence[Share], scale: float, by_rate: bool) -> list[float]:
    if not by_rate:
        return [one.before * scale for one in shares]
    calls = sum(one.calls_before for one in shares)
    overall = sum(one.before for one in shares) / calls if calls else 0.0
    return [
        one.calls_now * (one.before / one.calls_before if one.calls_before else overall) for one in shares
    ]


def _is_common(share: Share, shares: Sequence[Share]) -> bool:
    now, before = sum(one.calls_now for one in shares), sum(one.calls_before for one in shares)
    is_common_now = share.calls_now >= _COMMON * now
    return is_common_now and (not before or share.calls_before >= _COMMON * before)


def _surprise(expected: float, actual: float) -> float:
    middle = (expected + actual) / 2
    terms = (one * log2(one / middle) for one in (expected, actual) if one > 0 and middle > 0)
    return max(0.0, 0.5 * sum(terms))
