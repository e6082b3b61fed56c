"""What a rule would have done over the last weeks, before it is saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from gnomon_collector.alerts.model import Absence, BurnRate, Change, Rule, Spike
from gnomon_collector.alerts.normals import hourly
from gnomon_collector.alerts.replay import Past, Replay, floor_to, regular, replay, rolling
from gnomon_collector.alerts.watch import ask_for, labels_of
from gnomon_collector.errors import BadRequest
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_queries import (
    Ask,
    Key,
    Readings,
    Series,
    Window,
    largest_groups,
    read_series,
)
from gnomon_schemas.metrics import Highest, Quantile

MOST_GROUPS = 8
"""Only the largest label sets are tried; a preview says how many there are."""

_HOUR_S = 3600
_STEP_OF_BURNS_S = 300
_STEP_MINUTES = 5
_STEPS_IN_WINDOW = 12
_MOST_WINDOWS = 200_000
"""Windows of all label sets together: with short ones fewer label sets are tried."""

_SHORT = timedelta(minutes=15)
_MOST_POINTS = 600


@dataclass(frozen=True)
class GroupPreview:
    """One label set: its values, and what would have fired."""

    labels: dict[str, str]
    times: list[datetime]
    values: list[float | None]
    limits: list[float | None]
    result: Replay


@dataclass(frozen=True)
class Preview:
    """What a rule would have done.

    Attributes:
        step_s: seconds between two evaluations of the preview; the real one looks every minute
        groups: the largest label sets, those that would have fired most first
        all_groups: how many label sets there are
    """

    rule: Rule
    start: datetime
    end: datetime
    step_s: int
    groups: list[GroupPreview]
    all_groups: int

    @property
    def firings(self) -> int:
        """How often it would have fired."""
        return sum(len(one.result.fired) for one in self.groups)

    @property
    def per_week(self) -> float:
        """Firings a week."""
        return self.firings * 7 * 86_400 / (self.end - self.start).total_seconds()

    @property
    def noise(self) -> float | None:
        """Share of firings that were over within 15 minutes: most would have woken somebody in vain."""
        ended = [fired for one in self.groups for fired in one.result.fired if fired.ended is not None]
        if not ended:
            return None
        return sum(fired.ended - fired.began < _SHORT for fired in ended if fired.ended) / len(ended)


def preview(store: Store, rule: Rule, project: str, now: datetime, days: int = 30) -> Preview:
    """Return what a rule would have done in a project over the last `days`.

    Raises:
        BadRequest: its metric has no past to try it on
        StoreError: the database does not answer
    """
    if "queue" in rule.definition.sources:
        raise BadRequest(f"{rule.metric} cannot be previewed: what waits now says nothing of earlier.")
    step_s = preview_step_s(rule)
    end = floor_to(now, step_s)
    span = Window(end - timedelta(days=days), end)
    ask = ask_for(rule, (project,))
    most = max(1, min(MOST_GROUPS, _MOST_WINDOWS * step_s // (days * 86_400)))
    groups, total = largest_groups(store, ask, Window(span.start, end), most)
    found = _of_groups(store, rule, ask, span, step_s, groups) if groups else []
    found.sort(key=lambda one: -len(one.result.fired))
    return Preview(rule, span.start, end, step_s, found, total)


def preview_step_s(rule: Rule) -> int:
    """Return how often a preview looks: coarser than the real evaluation, so that it answers in seconds."""
    if isinstance(rule.condition, BurnRate):
        return _STEP_OF_BURNS_S
    minutes = max(1, int(rule.window // 60))
    least = max(min(_STEP_MINUTES, minutes), minutes / _STEPS_IN_WINDOW)
    return 60 * next(one for one in range(1, minutes + 1) if one >= least and minutes % one == 0)


def as_json(found: Preview) -> dict[str, Any]:
    """Return a preview as values for JSON."""
    return {
        "rule": found.rule.name,
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "step_s": found.step_s,
        "groups_tried": len(found.groups),
        "groups": found.all_groups,
        "firings": found.firings,
        "firings_per_week": round(found.per_week, 2),
        "noise": found.noise,
        "fired": [
            {
                "labels": one.labels,
                "began": fired.began.isoformat(),
                "ended": fired.ended.isoformat() if fired.ended else None,
                "peak": fired.peak,
            }
            for one in found.groups
            for fired in one.result.fired
        ],
    }


def _of_groups(
    store: Store, rule: Rule, ask: Ask, span: Window, step_s: int, groups: Sequence[Key]
) -> list[GroupPreview]:
    before = _earlier(rule, step_s)
    grown = Window(span.start - before, span.end)
    window_s = step_s if _adds_up(rule) else _window_s(rule)
    hours = _hours(store, rule, ask, span, groups)
    if hours and _adds_up(rule) and step_s % _HOUR_S == 0:
        # the hours are read already, further back than the stretch
        unit_s, series = _HOUR_S, {key: one for key, (one, _) in hours.items()}
    else:
        unit_s = step_s
        series = read_series(store, ask, grown, step_s=step_s, window_s=window_s, groups=groups)
    return [
        _group(
            rule,
            key,
            _readings(rule, series[key], grown, unit_s, step_s),
            hours.get(key),
            grown,
            before,
            step_s,
        )
        for key in groups
        if key in series
    ]


def _readings(rule: Rule, series: Series, grown: Window, unit_s: int, step_s: int) -> Readings:
    """What was read of each window that ends with a step, from what was read of each `unit_s` seconds."""
    first = grown.start + timedelta(seconds=unit_s)
    found = regular(series, first, unit_s, round(grown.seconds / unit_s))
    if _adds_up(rule):
        window_s = step_s if isinstance(rule.condition, BurnRate) else _window_s(rule)
        found = rolling(found, window_s // unit_s)
    every = step_s // unit_s
    return found.every(every) if every > 1 else found


def _group(
    rule: Rule,
    key: Key,
    readings: Readings,
    past_hours: tuple[Series, Window] | None,
    grown: Window,
    before: timedelta,
    step_s: int,
) -> GroupPreview:
    first = grown.start + timedelta(seconds=step_s)
    hourly_values = hourly(rule, *past_hours) if past_hours else None
    past = Past(first, step_s, readings, hourly_values)
    return _trimmed(rule, key, past, replay(rule, past), round(before.total_seconds() / step_s))


def _trimmed(rule: Rule, key: Key, past: Past, found: Replay, skipped: int) -> GroupPreview:
    """The part that was asked for, thinned for drawing: of several points the furthest one is kept."""
    size = len(found.figures.value)
    stride = max(1, -(-(size - skipped) // _MOST_POINTS))
    starts = range(skipped, size, stride)
    places = [_furthest(rule, found, place, min(size, place + stride)) for place in starts]
    start = past.time(skipped)
    return GroupPreview(
        dict(labels_of(rule, key)),
        [past.time(place) for place in places],
        [_finite(found.figures.value[place]) for place in places],
        [_finite(found.judged.limit[place]) for place in places],
        replace(found, fired=[one for one in found.fired if one.began >= start]),
    )


def _furthest(rule: Rule, found: Replay, start: int, end: int) -> int:
    values = found.figures.value[start:end] * (1 if rule.is_upward else -1)
    known = np.where(np.isfinite(values), values, -np.inf)
    return start + int(np.argmax(known))


def _hours(
    store: Store, rule: Rule, ask: Ask, span: Window, groups: Sequence[Key]
) -> dict[Key, tuple[Series, Window]]:
    if not isinstance(rule.condition, Spike | Absence):
        return {}
    start = floor_to(span.start, 3600) - timedelta(days=rule.condition.days, hours=2)
    hours = Window(start, floor_to(span.end, 3600))
    bare = replace(ask, quantile_z=None)  # what is normal needs no interval
    found = read_series(store, bare, hours, step_s=3600, window_s=3600, groups=groups)
    return {key: (one, hours) for key, one in found.items()}


def _earlier(rule: Rule, step_s: int) -> timedelta:
    """How much before the stretch has to be read, so that its first point can be judged."""
    condition = rule.condition
    if isinstance(condition, BurnRate):
        return timedelta(seconds=max(pair.long for pair in condition.pairs))
    first_window = timedelta(seconds=_window_s(rule) - step_s if _adds_up(rule) else 0)
    if isinstance(condition, Change):
        return first_window + (
            condition.offset or timedelta(seconds=math.ceil(rule.window / step_s) * step_s)
        )
    return first_window


def _window_s(rule: Rule) -> int:
    """The rule's window in whole minutes."""
    return max(60, int(rule.window // 60) * 60)


def _adds_up(rule: Rule) -> bool:
    """Whether a window is the sum of its steps, so that these are read once and added up here."""
    return isinstance(rule.condition, BurnRate) or not isinstance(rule.definition.form, Quantile | Highest)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
