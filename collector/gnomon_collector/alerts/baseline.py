"""What is normal at a time of day: median and scaled median absolute deviation of earlier days. Pure.

One value an hour is enough of the past: an hour before and after the one in question, on the days of the same
kind (working days, or weekends), 14 days back, makes some 30 values. The median does not move when some of
them were incidents. Rousseeuw and Croux (1993), Alternatives to the Median Absolute Deviation, JASA 88:
1.4826 · MAD estimates the standard deviation of normal data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from gnomon_collector.alerts.intervals import Floats

SCALE = 1.4826
_NEIGHBOURS = (-1, 0, 1)
_FEWEST = 6
"""Hours that must be there to say what is normal: two days of three, or six of one day."""

_SATURDAY = 5


@dataclass(frozen=True)
class Hourly:
    """Values of the past, one per hour; nan where there was nothing to measure.

    Attributes:
        first: start of the first hour, UTC
        values: of the metric; sums are per hour
        counts: calls in the hour
    """

    first: datetime
    values: Floats
    counts: Floats


@dataclass(frozen=True)
class Normal:
    """What is normal, per row; nan where the past says too little.

    Attributes:
        median: of the metric; sums are per hour
        spread: 1.4826 · MAD, in the same unit
        counts: median of the calls per hour, 0 in hours without any
    """

    median: Floats
    spread: Floats
    counts: Floats


def hours_around(hour: datetime) -> list[int]:
    """Return the hours of the day (UTC) that tell what is normal in `hour`."""
    return sorted({(hour.hour + one) % 24 for one in _NEIGHBOURS})


def normal_at(past: Hourly, hours: Sequence[datetime], days: int) -> Normal:
    """Return what is normal in each of `hours`, judging by the `days` before it.

    Days of the same kind are preferred; where they are too few, all days count.
    """
    rows = [_normal_of(past, hour, days) for hour in hours]
    columns = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Normal(columns[:, 0], columns[:, 1], columns[:, 2])


def _normal_of(past: Hourly, hour: datetime, days: int) -> tuple[float, float, float]:
    places = _places(past, hour, days)
    same = [place for place, is_same in places if is_same]
    chosen = same if _known(past, same) >= _FEWEST else [place for place, _ in places]
    if _known(past, chosen) < _FEWEST:
        return np.nan, np.nan, np.nan
    values, counts = past.values[chosen], past.counts[chosen]
    is_known = ~np.isnan(values)
    values = values[is_known]
    median = float(np.median(values))
    spread = SCALE * float(np.median(np.abs(values - median)))
    return median, spread, float(np.median(counts[is_known]))


def _places(past: Hourly, hour: datetime, days: int) -> list[tuple[int, bool]]:
    """Rows of the past that lie around the same time of day, and whether their day is of the same kind."""
    now = round((hour - past.first).total_seconds() / 3600)
    found = []
    for day in range(1, days + 1):
        is_same = _is_weekend(hour - timedelta(days=day)) == _is_weekend(hour)
        found += [(now - 24 * day + one, is_same) for one in _NEIGHBOURS]
    return [(place, is_same) for place, is_same in found if 0 <= place < len(past.values)]


def _known(past: Hourly, places: Sequence[int]) -> int:
    return int(np.count_nonzero(~np.isnan(past.values[list(places)]))) if places else 0


def _is_weekend(time: datetime) -> bool:
    return time.weekday() >= _SATURDAY
