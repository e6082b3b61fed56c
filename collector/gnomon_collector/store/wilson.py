"""Wilson's score interval of a share. Pure; for arrays of them see `gnomon_collector.alerts.intervals`."""

from math import sqrt
from statistics import NormalDist
from typing import Final

CONFIDENCE: Final = 0.95
Z95: Final = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


def wilson(share: float, count: float, z: float = Z95) -> tuple[float, float]:
    """Return the interval of a share (0..1) of `count` observations, more than none but not necessarily whole.

    Args:
        z: quantile of the normal distribution, or of another one that takes its place; for 95 % unless given.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    scale = 1 + z * z / count
    centre = (share + z * z / (2 * count)) / scale
    half = z / scale * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    # at 0 and 1 the bound is exact, but for the rounding
    low = 0.0 if share == 0 else max(0.0, centre - half)
    high = 1.0 if share == 1 else min(1.0, centre + half)
    return low, high
