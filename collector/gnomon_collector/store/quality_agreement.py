"""How far two who judged the same answers agree: people with the judge, people with one another. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ENOUGH_PAIRS: Final = 20
_RESAMPLES: Final = 2_000
_SEED: Final = 20_261_123
_CONFIDENCE: Final = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two on the same answers.

    Attributes:
        labels: in the order of `confusion`
        confusion: rows: the first's label, columns: the second's
        kappa: Cohen's; None where it is not defined (both always said the same one label)
        low, high: its interval of 95 %, by bootstrap; None with too few pairs
        observed: share of pairs with the same label
    """

    pairs: int
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    kappa: float | None
    low: float | None
    high: float | None
    observed: float | None

    @property
    def is_enough(self) -> bool:
        """Whether there are enough pairs to rely on it."""
        return self.pairs >= ENOUGH_PAIRS


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which value of the judge an answer counts as good, so that people agree best."""

    value: float
    agreement: Agreement


def agreement(first: Sequence[str], second: Sequence[str]) -> Agreement:
    """Return how far two agree, given their labels of the same answers in the same order."""
    if len(first) != len(second):
        raise ValueError("both must have labelled the same answers")
    labels = tuple(sorted({*first, *second}))
    codes = {label: code for code, label in enumerate(labels)}
    a, b = (np.array([codes[label] for label in side], dtype=np.int64) for side in (first, second))
    table = _table(a, b, len(labels))
    kappa = _kappa(table)
    low, high = _interval(a, b, len(labels)) if kappa is not None and len(a) >= ENOUGH_PAIRS else (None, None)
    observed = float(np.trace(table) / table.sum()) if len(a) else None
    confusion = tuple(tuple(int(cell) for cell in row) for row in table)
    return Agreement(len(a), labels, confusion, kappa, low, high, observed)


def calibrate(judge: Sequence[float], human: Sequence[float]) -> Threshold | None:
    """Return the threshold on the judge's values at which kappa with people (good from 0.5) is highest.

    Of several that are equally good the middle one is taken. None when people said only one thing, or the
    judge did: nothing can be calibrated then.
    """
    values = sorted(set(judge))
    good = ["good" if value >= 0.5 else "bad" for value in human]
    candidates = [(low + high) / 2 for low, high in pairwise(values)]
    if not candidates or len(set(good)) < 2:
        return None
    rated = [(one, _kappa_at(one, judge, human)) for one in candidates]
    best = max(kappa for _, kappa in rated)
    equals = [one for one, kappa in rated if kappa >= best - 1e-12]
    chosen = equals[len(equals) // 2]
    return Threshold(chosen, agreement(good, ["good" if value >= chosen else "bad" for value in judge]))


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float] | None:
    """Return Spearman's correlation and its interval of 95 % (Fisher's z, as Bonett and Wright 2000 widen it).

    None with fewer than ten pairs, or where one of them never varies.
    """
    if len(first) < 10 or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    from scipy import stats  # 60 MB: not before it is asked for

    rho = float(stats.spearmanr(first, second).statistic)
    bounded = min(0.999999, max(-0.999999, rho))
    error = float(np.sqrt((1 + bounded * bounded / 2) / (len(first) - 3)))
    z = float(stats.norm.ppf(0.5 + _CONFIDENCE / 2)) * error
    centre = float(np.arctanh(bounded))
    return rho, float(np.tanh(centre - z)), float(np.tanh(centre + z))


def _kappa_at(threshold: float, judge: Sequence[float], human: Sequence[float]) -> float:
    a = np.array([value >= 0.5 for value in human], dtype=np.int64)
    b = np.array([value >= threshold for value in judge], dtype=np.int64)
    kappa = _kappa(_table(a, b, 2))
    return -1.0 if kappa is None else kappa


def _table(a: NDArray[np.int64], b: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    flat: NDArray[np.int64] = np.bincount(a * size + b, minlength=size * size).astype(np.int64)
    return flat.reshape(size, size)


def _kappa(table: NDArray[np.int64]) -> float | None:
    """Cohen's kappa: how far the agreement goes beyond chance (Cohen 1960)."""
    count = table.sum()
    if count == 0:
        return None
    observed = float(np.trace(table)) / count
    expected = float((table.sum(axis=0) / count) @ (table.sum(axis=1) / count))
    return None if expected >= 1 - 1e-12 else float((observed - expected) / (1 - expected))


def _interval(a: NDArray[np.int64], b: NDArray[np.int64], size: int) -> tuple[float, float]:
    from scipy import stats  # 60 MB: not before it is asked for

    def of_resample(first: NDArray[np.int64], second: NDArray[np.int64], axis: int = -1) -> Any:
        del axis
        found = _kappa(_table(first, second, size))
        # A resample in which all agree on one label agrees fully.
        return 1.0 if found is None else found

    result = stats.bootstrap(
        (a, b),
        of_resample,
        paired=True,
        vectorized=False,
        n_resamples=_RESAMPLES,
        confidence_level=_CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
