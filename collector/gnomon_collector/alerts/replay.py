"""A rule over a stretch of the past: what it would have done. Pure; judged as in the real evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from gnomon_collector.alerts.baseline import Hourly, Normal, normal_at
from gnomon_collector.alerts.conditions import (
    Judged,
    Verdict,
    Verdicts,
    judge_absence,
    judge_burn,
    judge_change,
    judge_spike,
    judge_threshold,
)
from gnomon_collector.alerts.figures import Figures, figures_of
from gnomon_collector.alerts.intervals import Floats
from gnomon_collector.alerts.model import Absence, BurnRate, Change, Rule, Spike, Threshold
from gnomon_collector.alerts.states import NO_DATA_RESOLVES_S
from gnomon_collector.store.metric_queries import Readings, Series


@dataclass(frozen=True)
class Past:
    """One label set of a rule on a regular grid of time.

    Attributes:
        first: end of the first window, UTC
        step_s: seconds between the ends of two windows
        readings: of the rule's window at each end; for burn rates of the last `step_s` only
        hourly: values of the hours, from `days` before `first`; for spikes and absence
    """

    first: datetime
    step_s: int
    readings: Readings
    hourly: Hourly | None = None

    def time(self, place: int) -> datetime:
        """Return the end of a window."""
        return self.first + timedelta(seconds=place * self.step_s)


@dataclass(frozen=True)
class Fired:
    """A firing that would have been. `ended` is None while it lasted at the end of the stretch."""

    began: datetime
    ended: datetime | None
    peak: float | None


@dataclass(frozen=True)
class Replay:
    """What a rule would have done on one label set."""

    figures: Figures
    judged: Judged
    fired: list[Fired]


def replay(rule: Rule, past: Past) -> Replay:
    """Return what a rule would have done."""
    figures, judged = _judge(rule, past)
    return Replay(figures, judged, _firings(rule, past, figures, judged))


def _judge(rule: Rule, past: Past) -> tuple[Figures, Judged]:
    condition = rule.condition
    if isinstance(condition, BurnRate):
        return _judge_burn(rule, condition, past)
    now = figures_of(rule.definition, past.readings, rule.confidence)
    if isinstance(condition, Threshold):
        return now, judge_threshold(rule, condition, now)
    if isinstance(condition, Change):
        offset_s = condition.offset.total_seconds() if condition.offset else rule.window
        return now, judge_change(rule, condition, now, _shifted(now, round(offset_s / past.step_s)))
    normal = _normal(past, condition)
    if isinstance(condition, Spike):
        return now, judge_spike(rule, condition, now, normal)
    return now, judge_absence(rule, condition, now, normal)


def _normal(past: Past, condition: Spike | Absence) -> Normal:
    """What was normal at each point; worked out once an hour."""
    if past.hourly is None:
        raise ValueError("a spike or an absence cannot be replayed without the hours before")
    ends = [past.time(place) for place in range(len(past.readings.first))]
    hours = [(end - timedelta(microseconds=1)).replace(minute=0, second=0, microsecond=0) for end in ends]
    different = sorted(set(hours))
    places = np.searchsorted(
        np.array([one.timestamp() for one in different]), np.array([one.timestamp() for one in hours])
    )
    return normal_at(past.hourly, different, condition.days)[places]


def _judge_burn(rule: Rule, condition: BurnRate, past: Past) -> tuple[Figures, Judged]:
    windows: list[tuple[Figures, Figures]] = []
    for pair in condition.pairs:
        long, short = (
            _bad_share(rule, condition, rolling(past.readings, max(1, round(length / past.step_s))))
            for length in (pair.long, pair.short)
        )
        windows.append((long, short))
    return windows[0][1], judge_burn(rule, condition, windows)


def _bad_share(rule: Rule, condition: BurnRate, readings: Readings) -> Figures:
    shares = figures_of(rule.definition, readings, rule.confidence, is_share=True)
    if condition.latency_ms is not None or rule.definition.better == "less":
        return shares
    return Figures(1 - shares.value, 1 - shares.high, 1 - shares.low, shares.samples)


def rolling(readings: Readings, places: int) -> Readings:
    """Return the sums of each row with those before it, `places` rows together; not for quantiles."""
    first, second, low = (
        _rolling_sum(one, places) for one in (readings.first, readings.second, readings.low)
    )
    return Readings(readings.keys, first, second, low, readings.high)


def _rolling_sum(values: Floats, places: int) -> Floats:
    total = np.concatenate(([0.0], np.cumsum(np.nan_to_num(values))))
    ends = np.arange(1, len(total))
    return total[ends] - total[np.maximum(0, ends - places)]


def _shifted(figures: Figures, places: int) -> Figures:
    def shifted(values: Floats, filler: float) -> Floats:
        head = np.full(min(places, len(values)), filler)
        return np.concatenate((head, values[: max(0, len(values) - places)]))

    return Figures(
        shifted(figures.value, np.nan),
        shifted(figures.low, np.nan),
        shifted(figures.high, np.nan),
        shifted(figures.samples, 0.0),
    )


def _firings(rule: Rule, past: Past, figures: Figures, judged: Judged) -> list[Fired]:
    """What `states.step` would have made of the looks one after the other, for all at once."""
    verdict, size = judged.verdict, len(judged.verdict)
    looks = 1 + max(0, math.ceil(rule.for_ / past.step_s))
    lasting = _lasting(verdict == Verdict.BREACH, looks)
    holds = (verdict == Verdict.BREACH) | (verdict == Verdict.UNSURE)
    over = np.flatnonzero(_is_over(rule, verdict, holds, past.step_s))
    fired: list[Fired] = []
    place = 0
    while (first := _following(lasting, place, size)) < size:
        began = first + looks - 1
        place = _following(over, began, size)
        peak = _furthest(rule, figures.value[began:place][holds[began:place]])
        fired.append(Fired(past.time(began), past.time(place) if place < size else None, peak))
    return fired


def _lasting(is_breach: npt.NDArray[np.bool_], looks: int) -> npt.NDArray[np.int64]:
    """Places from which on so many looks in a row are breaches: with fewer nothing fires."""
    reached = np.concatenate(([0], np.cumsum(is_breach)))
    return np.flatnonzero(reached[looks:] - reached[:-looks] == looks)


def _is_over(
    rule: Rule, verdict: Verdicts, holds: npt.NDArray[np.bool_], step_s: int
) -> npt.NDArray[np.bool_]:
    """Where a firing would be resolved, if there was one: nothing held it for long enough."""
    places = np.arange(len(verdict))
    last_held = np.maximum.accumulate(np.where(holds, places, -1)) if len(places) else places
    recovering_s = (places - last_held - 1) * step_s
    without_data_s = max(rule.keep_firing, NO_DATA_RESOLVES_S)
    needed_s = np.where(verdict == Verdict.NO_DATA, without_data_s, rule.keep_firing)
    return ~holds & (recovering_s > 0) & (recovering_s >= needed_s)


def _following(places: npt.NDArray[np.int64], place: int, size: int) -> int:
    """The first of `places` from `place` on, `size` where there is none."""
    found = np.searchsorted(places, place)
    return int(places[found]) if found < len(places) else size


def _furthest(rule: Rule, values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    return float(known.max() if rule.is_upward else known.min())


def regular(series: Series, first: datetime, step_s: int, size: int) -> Readings:
    """Return what was read on a regular grid, zeros where there was nothing."""
    places = (series.ends_s - round(first.timestamp())) // step_s
    is_inside = (places >= 0) & (places < size)
    found = series.readings
    columns = []
    for values in (found.first, found.second, found.low, found.high):
        column = np.zeros(size)
        column[places[is_inside]] = values[is_inside]
        columns.append(column)
    return Readings([()] * size, *columns)


def floor_to(time: datetime, step_s: int) -> datetime:
    """Return `time` rounded down to a multiple of `step_s` seconds since 1970."""
    return datetime.fromtimestamp(time.timestamp() // step_s * step_s, UTC)
