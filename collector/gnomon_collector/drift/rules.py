"""When a difference is drift: thresholds, noise, enough data, twice in a row. Pure.

A value breaches when it reaches the largest of three:

- the effect size that matters (`EFFECTS`);
- what chance alone reaches once in a thousand times with so few calls;
- what one more period like those of the reference would reach. That takes in what repeats (weekends, the one
  customer who sends a batch) without a model of it. It counts for at most four times the effect, so that a
  reference with a break in it does not make blind.

One breach is a ``breach``, two in a row are ``drift``, which ends below 80 % of the threshold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from gnomon_collector.drift import statistics as st
from gnomon_collector.drift.statistics import Pair, Vector
from gnomon_collector.store.drift_catalogue import MODEL_VERSION, Feature
from gnomon_collector.store.drift_windows import Distribution, total

State = Literal["ok", "breach", "drift", "not_enough_data"]

EFFECTS: Final[Mapping[str, float]] = {
    st.PSI: 0.2,
    st.WASSERSTEIN: 0.35,
    st.JENSEN_SHANNON: 0.15,
    st.CRAMERS_V: 0.1,
}
"""Smallest effect that is worth a person's attention, per statistic."""

NEW_SHARE: Final = "new_share"
NEW_SHARE_EFFECT: Final = 0.1
"""Share of a model's calls that an unseen snapshot has to answer."""

LEAST_CURRENT: Final = 100
LEAST_REFERENCE: Final = 300
LEAST_PERIODS: Final = 2
LEAST_IN_PERIOD: Final = 30
MOST_RAISED: Final = 4.0
BLIND_FROM: Final = 3.0
"""With a threshold raised by chance to more than this times the effect there is not enough data."""
RECOVERED_BELOW: Final = 0.8

_BLIND: Final = "so few calls that only changes of three times the threshold would rise above chance"
_OF_KIND: Final = {"number": (st.PSI, st.WASSERSTEIN), "category": (st.JENSEN_SHANNON, st.CRAMERS_V)}


@dataclass(frozen=True, slots=True)
class Measured:
    """One statistic against its threshold.

    Attributes:
        none: the value where nothing changed.
        chance: what chance alone reaches once in a thousand times, with so few calls.
    """

    statistic: str
    value: float
    threshold: float
    none: float = 0.0
    chance: float = 0.0

    @property
    def severity(self) -> float:
        """How far the way to the threshold was gone: 1 and more is a breach."""
        return max(0.0, (self.value - self.none) / (self.threshold - self.none))


@dataclass(frozen=True)
class Verdict:
    """What was found for one feature of one dimension set, before looking at the evaluation before.

    Attributes:
        measured: all statistics; empty without enough data.
        missing: what there is too little of, in words; "" when there is enough.
        new: of the model version: the pairs that the reference does not know.
    """

    reference_count: int
    current_count: int
    measured: tuple[Measured, ...] = ()
    missing: str = ""
    new: tuple[str, ...] = ()

    @property
    def decisive(self) -> Measured | None:
        """The statistic that lies highest over its threshold."""
        return max(self.measured, key=lambda one: one.severity, default=None)

    @property
    def severity(self) -> float:
        return self.decisive.severity if self.decisive else 0.0


def judge(feature: Feature, found: Distribution) -> Verdict:
    """Return how far the current window lies from the reference."""
    counts = (sum(map(total, found.periods)), total(found.current))
    missing = missing_data(found, least_periods=1 if feature.name == MODEL_VERSION else LEAST_PERIODS)
    if missing:
        return Verdict(*counts, missing=missing)
    if feature.name == MODEL_VERSION:
        return _judge_versions(counts, found)
    matrix, current, positions = _on_bins(feature, found)
    measured = tuple(_measure(name, matrix, current, positions) for name in _OF_KIND[feature.kind])
    is_blind = any(one.chance > BLIND_FROM * EFFECTS[one.statistic] for one in measured)
    if is_blind and all(one.severity < 1 for one in measured):
        return Verdict(*counts, missing=_BLIND)
    return Verdict(*counts, measured=measured)


def missing_data(found: Distribution, *, least_periods: int = LEAST_PERIODS) -> str:
    """Return what there is too little of for a verdict, in words; "" when there is enough."""
    now, before = total(found.current), sum(map(total, found.periods))
    periods = sum(total(one) >= LEAST_IN_PERIOD for one in found.periods)
    if now < LEAST_CURRENT:
        return f"{now} of {LEAST_CURRENT} calls in the current window"
    if before < LEAST_REFERENCE:
        return f"{before} of {LEAST_REFERENCE} calls in the reference"
    if periods < least_periods:
        return f"{periods} of {least_periods} periods of the reference with {LEAST_IN_PERIOD} calls"
    return ""


def state_after(severity: float | None, before: str) -> State:
    """Return the state of an evaluation.

    Args:
        severity: value by threshold; None without enough data.
        before: state of the evaluation before this one, "" when there was none.
    """
    if severity is None:
        return "not_enough_data"
    if before == "drift":
        return "drift" if severity >= RECOVERED_BELOW else "ok"
    if severity < 1:
        return "ok"
    return "drift" if before == "breach" else "breach"


def _measure(statistic: str, periods: Vector, current: Vector, positions: Vector | None) -> Measured:
    formula = st.STATISTICS[statistic]
    reference = periods.sum(axis=0)
    if statistic == st.PSI:
        membership = st.quantile_groups(reference)
        periods, current = st.in_groups(periods, membership), st.in_groups(current, membership)
        reference, positions = periods.sum(axis=0), None
    value = formula(Pair(reference, current, positions))
    effect = EFFECTS[statistic]
    groups = int(((reference + current) > 0).sum())
    noise = st.sampling_noise(statistic, float(reference.sum()), float(current.sum()), groups)
    threshold = max(effect, noise)
    if value >= threshold:
        # only now, for it costs a statistic per period
        own = own_noise(statistic, periods, positions)
        threshold = max(threshold, min(own, MOST_RAISED * effect))
    return Measured(statistic, value, threshold, chance=noise)


def own_noise(statistic: str, periods: Vector, positions: Vector | None) -> float:
    """Return what a further period like those of the reference stays below with a chance of 99.9 %.

    The upper prediction limit of a new value, ``mean + t * s * sqrt(1 + 1 / k)`` with Student's t of k - 1
    degrees of freedom (Hahn and Meeker, Statistical Intervals, 1991), over the statistic of each of the `k`
    periods against the others. Few periods tell little, so their limit is far out.
    """
    formula = st.STATISTICS[statistic]
    reference = periods.sum(axis=0)
    values = [
        formula(Pair(reference - one, one, positions))
        for one in periods
        if one.sum() >= LEAST_IN_PERIOD and (reference - one).sum() >= LEAST_IN_PERIOD
    ]
    return st.prediction_limit(values)


def _on_bins(feature: Feature, found: Distribution) -> tuple[Vector, Vector, Vector | None]:
    """Counts of the reference's periods, of the current window, and where the bins lie."""
    rows = (*found.periods, found.current)
    if feature.kind == "number":
        matrix = st.number_matrix([row for row in rows if isinstance(row, tuple)])
        used = matrix.sum(axis=0) > 0
        positions = np.array([feature.scale.position(bucket + 1) for bucket in range(matrix.shape[1])])
        return matrix[:-1, used], matrix[-1, used], positions[used]
    _, matrix = st.category_matrix([row for row in rows if isinstance(row, Mapping)])
    return matrix[:-1], matrix[-1], None


def _judge_versions(counts: tuple[int, int], found: Distribution) -> Verdict:
    """A snapshot that did not answer in the reference and does now."""
    known = {name for period in found.periods if isinstance(period, Mapping) for name in period}
    current = found.current if isinstance(found.current, Mapping) else {}
    asked_before = {_asked(name) for name in known}
    per_model: Counter[str] = Counter()
    for name, number in current.items():
        per_model[_asked(name)] += number
    shares = {
        name: number / per_model[_asked(name)]
        for name, number in current.items()
        if name not in known and _asked(name) in asked_before
    }
    value = max(shares.values(), default=0.0)
    new = tuple(sorted(name for name, share in shares.items() if share >= NEW_SHARE_EFFECT))
    return Verdict(*counts, measured=(Measured(NEW_SHARE, value, NEW_SHARE_EFFECT),), new=new)


def _asked(pair: str) -> str:
    """The requested model of a category of the feature ``model_version``."""
    return pair.partition(" → ")[0]
