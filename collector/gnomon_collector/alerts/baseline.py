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
import numpy.typing as npt

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

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> Normal:
        return Normal(self.median[rows], self.spread[rows], self.counts[rows])


def hours_around(hour: datetime) -> list[int]:
    """Return the hours of the day (UTC) that tell what is normal in `hour`."""
    return sorted({(hour.hour + one) % 24 for one in _NEIGHBOURS})


def normal_at(past: Hourly, hours: Sequence[datetime], days: int) -> Normal:
    """Return what is normal in each of `hours`, judging by the `days` before it."""
    behind = hours_behind(days)
    now = np.array([round((hour - past.first).total_seconds() / 3600) for hour in hours], dtype=np.int64)
    places = now[:, None] - behind
    is_there = (places >= 0) & (places < len(past.values))
    inside = np.where(is_there, places, 0)
    values = (
        np.where(is_there, past.values[inside], np.nan) if len(past.values) else np.full(places.shape, np.nan)
    )
    counts = past.counts[inside] if len(past.values) else values
    return normal_of(
        values, counts, np.array([same_kind(hour, days) for hour in hours]).reshape(places.shape)
    )


def hours_behind(days: int) -> npt.NDArray[np.int64]:
    """Return how many hours before an hour those are that tell what is normal in it."""
    return np.array([24 * day - one for day in range(1, days + 1) for one in _NEIGHBOURS], dtype=np.int64)


def same_kind(hour: datetime, days: int) -> list[bool]:
    """Return for each of `hours_behind` whether it is of a working day, or of a weekend, as `hour` is."""
    kinds = (_is_weekend(hour - timedelta(days=day)) == _is_weekend(hour) for day in range(1, days + 1))
    return [kind for kind in kinds for _ in _NEIGHBOURS]


def normal_of(values: Floats, counts: Floats, is_same: npt.NDArray[np.bool_]) -> Normal:
    """Return what is normal, per row, by the values of earlier hours, one a column; nan where there are none.

    Days of the same kind are preferred; where they are too few, all days count.
    """
    is_known = ~np.isnan(values)
    has_same = (is_known & is_same).sum(axis=1) >= _FEWEST
    chosen = is_known & (is_same | ~has_same[:, None])
    chosen &= (chosen.sum(axis=1) >= _FEWEST)[:, None]
    median = _median(np.where(chosen, values, np.nan))
    spread = SCALE * _median(np.where(chosen, np.abs(values - median[:, None]), np.nan))
    return Normal(median, spread, _median(np.where(chosen, counts, np.nan)))


def _median(values: Floats) -> Floats:
    """The median of each row without its nans; nan where nothing is left. `np.nanmedian` loops over rows."""
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    ordered = np.sort(values, axis=1)  # nans last
    known = np.count_nonzero(~np.isnan(values), axis=1)
    row = np.arange(len(values))
    middle = (ordered[row, np.maximum(known - 1, 0) // 2] + ordered[row, known // 2]) / 2
    return np.where(known > 0, middle, np.nan)


def _is_weekend(time: datetime) -> bool:
    return time.weekday() >= _SATURDAY
