"""Quantiles of measured values."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile(values: Sequence[float], q: float) -> float:
    """Return the nearest-rank quantile: the smallest value that at least `q` of all do not exceed.

    Args:
        values: in any order; 0 is returned when there are none.
        q: between 0 and 1.
    """
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
