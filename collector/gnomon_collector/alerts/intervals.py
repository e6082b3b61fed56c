"""How far a figure of few samples can be trusted. Pure, over arrays."""

from __future__ import annotations

from statistics import NormalDist
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

# Cost and tokens of single calls spread about as far as their mean is large: coefficient of variation 1.
_SPREAD_OF_AMOUNTS = 1.0


def z_of(confidence: float) -> float:
    """Return the normal quantile of a two-sided interval of `confidence` (0..1)."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(hits: Floats, total: Floats, z: float) -> tuple[Floats, Floats]:
    """Return the Wilson score interval of shares; nan where `total` is 0.

    Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits / total
        centre = share + z * z / (2 * total)
        spread = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
        scale = 1 + z * z / total
        return (centre - spread) / scale, (centre + spread) / scale


def of_count(count: Floats, z: float) -> tuple[Floats, Floats]:
    """Return the interval of the rate behind a Poisson count, by its square root (Anscombe's transform)."""
    root = np.sqrt(count + 3 / 8)
    return np.maximum(root - z / 2, 0) ** 2 - 3 / 8, (root + z / 2) ** 2 - 3 / 8


def of_amount(total: Floats, samples: Floats, z: float) -> tuple[Floats, Floats]:
    """Return the interval of a sum over `samples` calls whose number and size both vary.

    The variance of a compound Poisson sum is n·E[X²] = n·m²·(1 + c²): relative to it sqrt((1 + c²)/n).
    """
    return _relative(total, samples, z, 1 + _SPREAD_OF_AMOUNTS**2)


def of_mean(mean: Floats, samples: Floats, z: float) -> tuple[Floats, Floats]:
    """Return the interval of a mean over `samples` calls whose size spreads as far as their mean."""
    return _relative(mean, samples, z, _SPREAD_OF_AMOUNTS**2)


def _relative(value: Floats, samples: Floats, z: float, variance: float) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.abs(value) * z * np.sqrt(variance / samples)
    return np.maximum(value - spread, 0), value + spread
