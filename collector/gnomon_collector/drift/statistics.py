"""How far two distributions lie apart: effect sizes, never p-values. Pure.

With many calls any p-value is small: 500,000 rows and a shift of 2 % give p = 3e-21 for a change that nobody
would notice. An effect size says how large a change is. The formulas come from scipy; here they are put on
counts. All are symmetric in the two windows, except that scales and groups come from the reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr
from scipy.stats import chi2, norm, wasserstein_distance
from scipy.stats import t as student
from scipy.stats.contingency import association

Vector: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

PSI: Final = "psi"
WASSERSTEIN: Final = "wasserstein"
JENSEN_SHANNON: Final = "jensen_shannon"
CRAMERS_V: Final = "cramers_v"

GROUPS: Final = 10
MOST_NAMED: Final = 30
SURE: Final = 0.999
"""Chance alone stays below `sampling_noise` this often."""

_HALF_COUNT: Final = 0.5
_SHARES_SCALE: Final = 1_000_000


@dataclass(frozen=True)
class Pair:
    """Reference and current counts over the same bins or categories.

    Attributes:
        positions: where the bins lie on the scale of distances; None for categories.
    """

    reference: Vector
    current: Vector
    positions: Vector | None = None


def psi(pair: Pair) -> float:
    """Return the population stability index: the sum of ``(p - q) * ln(p / q)``, 0 and more.

    Half a count is added to each group, so that an empty one does not make it infinite. It equals the sum of
    both Kullback-Leibler divergences. Common reading: 0.1 noticeable, 0.25 large (Siddiqi, Credit Risk
    Scorecards, 2006).
    """
    p, q = _shares(pair.reference + _HALF_COUNT), _shares(pair.current + _HALF_COUNT)
    return float(np.sum(rel_entr(p, q) + rel_entr(q, p)))


def jensen_shannon(pair: Pair) -> float:
    """Return the Jensen-Shannon distance to base 2: 0 for equal shares, 1 for nothing in common."""
    return float(jensenshannon(pair.reference, pair.current, base=2))


def cramers_v(pair: Pair) -> float:
    """Return Cramér's V of window by category, 0..1, both windows weighted the same."""
    used = (pair.reference + pair.current) > 0
    if used.sum() < 2:
        return 0.0
    shares = np.array([_shares(pair.reference[used]), _shares(pair.current[used])])
    table = np.rint(shares * _SHARES_SCALE).astype(np.int64)
    table = table[:, table.sum(axis=0) > 0]
    return float(association(table, method="cramer")) if table.shape[1] > 1 else 0.0


def wasserstein(pair: Pair) -> float:
    """Return the Wasserstein distance in standard deviations of the reference, 0 and more.

    The distance is how far values have to move, on average, to turn one distribution into the other, in the
    positions of the bins (octaves for lengths and durations). The deviation is at least one bin.
    """
    positions = pair.positions
    if positions is None:
        raise ValueError("categories have no distance to move: wasserstein needs positions")
    distance = wasserstein_distance(positions, positions, pair.reference, pair.current)
    return float(distance / _deviation(positions, pair.reference))


STATISTICS: Final = {
    PSI: psi,
    WASSERSTEIN: wasserstein,
    JENSEN_SHANNON: jensen_shannon,
    CRAMERS_V: cramers_v,
}


def sampling_noise(statistic: str, reference: float, current: float, groups: int) -> float:
    """Return what a statistic reaches by chance once in a thousand times when nothing changed.

    Where nothing changed, the sum of squared differences of shares over their mean is distributed as
    ``(1/n + 1/m) * chi2`` with groups - 1 degrees of freedom; the statistics are functions of it to second
    order. For the Wasserstein distance it is that of a mean, times 1.3, which holds for skewed ones too.

    Args:
        reference: number of calls in the reference.
        current: in the current window.
        groups: bins or categories that are compared.
    """
    spread = 1 / max(1.0, reference) + 1 / max(1.0, current)
    if statistic == WASSERSTEIN:
        return float(1.3 * norm.ppf(1 - (1 - SURE) / 2) * np.sqrt(spread))
    divergence = float(spread * chi2.ppf(SURE, max(1, groups - 1)))
    if statistic == PSI:
        return divergence
    return (
        float(np.sqrt(divergence / (8 * np.log(2))))
        if statistic == JENSEN_SHANNON
        else float(np.sqrt(divergence / 4))
    )


def prediction_limit(values: Sequence[float]) -> float:
    """Return what a new value like these stays below with a chance of 99.9 %; infinity for fewer than two.

    ``mean + t * s * sqrt(1 + 1 / k)``, with Student's t of k - 1 degrees of freedom.
    """
    count = len(values)
    if count < 2:
        return float("inf")
    spread = float(np.std(values, ddof=1)) * float(np.sqrt(1 + 1 / count))
    return float(np.mean(values)) + float(student.ppf(SURE, count - 1)) * spread


def quantile_groups(reference: Vector, groups: int = GROUPS) -> Vector:
    """Return for each bin the group it belongs to: groups of about equal shares of the reference, in order.

    A bin that holds more than its share is a group of its own; empty bins belong to their neighbour.
    """
    below = np.cumsum(reference) - reference / 2
    return np.asarray(
        np.minimum(groups - 1, below / max(1.0, float(reference.sum())) * groups), dtype=np.int64
    )


def in_groups(counts: Vector, membership: Vector) -> Vector:
    """Return counts summed by group, groups that no bin belongs to left out.

    Args:
        counts: per bin, or a matrix with a row per period.
        membership: of each bin, from `quantile_groups`.
    """
    named, index = np.unique(membership, return_inverse=True)
    onto = np.eye(len(named))[index]
    return np.asarray(counts @ onto, dtype=np.float64)


def number_matrix(rows: Sequence[Sequence[int]]) -> Vector:
    """Return counts per bucket as a matrix, shorter rows filled up with zeros."""
    width = max((len(row) for row in rows), default=0)
    matrix = np.zeros((len(rows), width))
    for at, row in enumerate(rows):
        matrix[at, : len(row)] = row
    return matrix


def category_matrix(rows: Sequence[Mapping[str, int]]) -> tuple[list[str], Vector]:
    """Return category names, the most frequent first, and the counts as a matrix of rows by names.

    Rare ones beyond `MOST_NAMED` become one.
    """
    totals: dict[str, int] = {}
    for row in rows:
        for name, number in row.items():
            totals[name] = totals.get(name, 0) + number
    ranked = sorted(totals, key=lambda name: (-totals[name], name))
    named, rest = ranked[:MOST_NAMED], ranked[MOST_NAMED:]
    matrix = np.array([[float(row.get(name, 0)) for name in named] for row in rows]).reshape(len(rows), -1)
    if not rest:
        return named, matrix
    others = np.array([[float(sum(row.get(name, 0) for name in rest))] for row in rows])
    return [*named, "(rare ones)"], np.hstack([matrix, others])


def _shares(counts: Vector) -> Vector:
    return np.asarray(counts / max(float(counts.sum()), 1e-12), dtype=np.float64)


def _deviation(positions: Vector, counts: Vector) -> float:
    mean = np.average(positions, weights=counts)
    variance = float(np.average((positions - mean) ** 2, weights=counts))
    bin_width = float(np.min(np.diff(positions))) if len(positions) > 1 else 1.0
    return max(float(np.sqrt(variance)), bin_width)
