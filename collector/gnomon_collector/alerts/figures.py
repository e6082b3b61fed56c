"""From what was read to a value with its interval. Pure, over arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gnomon_collector.alerts.intervals import Floats, of_amount, of_count, of_mean, wilson, z_of
from gnomon_collector.store.metric_queries import Readings
from gnomon_schemas.metrics import Mean, Metric, Quantile, Rate, Sum, WeightedMean


@dataclass(frozen=True)
class Figures:
    """A value per row, with its interval and how many samples stand behind it.

    Where there is no value (no calls) all but `samples` are nan. With a confidence of 0 both bounds are the
    value.
    """

    value: Floats
    low: Floats
    high: Floats
    samples: Floats

    def __getitem__(self, rows: slice) -> Figures:
        return Figures(self.value[rows], self.low[rows], self.high[rows], self.samples[rows])


def figures_of(found: Metric, readings: Readings, confidence: float, *, is_share: bool = False) -> Figures:
    """Return the values of a metric.

    The samples of a weighted mean are those that would say as much if all weighed the same: (Σw)² / Σw²
    (L. Kish, Survey Sampling, 1965, 8.2).

    Args:
        confidence: of the two-sided interval, 0..1
        is_share: `readings` are hits and totals, whatever the metric's form
    """
    first, second = readings.first, readings.second
    z = z_of(confidence) if confidence else 0.0
    if is_share or isinstance(found.form, Rate):
        return _with_bounds(_ratio(first, second), wilson(first, second, z), second, bool(z))
    if isinstance(found.form, Sum):
        bounds = of_count(first, z) if found.unit == "count" else of_amount(first, second, z)
        return _with_bounds(first, bounds, second, bool(z))
    if isinstance(found.form, WeightedMean):
        mean, effective = _ratio(first, second), _ratio(second**2, readings.low)
        return _with_bounds(mean, wilson(mean * effective, effective, z), np.nan_to_num(effective), bool(z))
    if isinstance(found.form, Mean):
        mean = _ratio(first, second)
        return _with_bounds(mean, of_mean(mean, second, z), second, bool(z))
    if isinstance(found.form, Quantile):
        value = np.where(second > 0, first, np.nan)
        low, high = _order_statistics(found.form.q, value, readings, z)
        return _with_bounds(value, (low, high), second, bool(z))
    value = np.where(second > 0, first, np.nan)
    return Figures(value, value, value, second)


def _order_statistics(q: float, value: Floats, readings: Readings, z: float) -> tuple[Floats, Floats]:
    """Bounds of a quantile; infinite where so few calls have no rank that bounds it.

    A single call in the tail bounds nothing from below: the lower rank must be one that was observed.
    """
    total = readings.second
    spread = z * np.sqrt(total * q * (1 - q))
    low = np.where(total * q - spread >= 1, readings.low, 0.0)
    high = np.where(total * q + spread <= total, readings.high, np.inf)
    return np.where(np.isnan(value), np.nan, low), np.where(np.isnan(value), np.nan, high)


def _ratio(first: Floats, second: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(second > 0, first / second, np.nan)


def _with_bounds(
    value: Floats, bounds: tuple[Floats, Floats], samples: Floats, has_interval: bool
) -> Figures:
    if not has_interval:
        return Figures(value, value, value, samples)
    # a sum of nothing is 0, for certain; its interval is not
    low, high = (np.where(np.isnan(one), value, one) for one in bounds)
    return Figures(value, low, high, samples)
