"""``GET /api/v1/metrics``: figures of the metric catalogue over time, and for the time as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from gnomon_collector.errors import BadRequest
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_queries import Ask, Readings, Window, read_series, read_windows
from gnomon_schemas.metrics import METRICS, PATTERNS, Mean, Metric, Rate, WeightedMean, metric

MOST_POINTS = 2000
MOST_METRICS = 20
_STEPS_S = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


class MetricEntry(BaseModel):
    """A metric that can be asked for."""

    name: str
    title: str
    unit: str
    better: str
    help: str
    dimensions: list[str]


class Point(BaseModel):
    """A value of the step that begins at `time`; null where nothing was reported."""

    time: datetime
    value: float | None


class MetricSeries(BaseModel):
    """One metric of one group.

    Attributes:
        group: the values of the dimensions in `by`
        total: over the whole time
    """

    metric: str
    unit: str
    better: str
    group: dict[str, str]
    total: float | None
    points: list[Point]


def catalogue() -> list[MetricEntry]:
    """Return every metric; those with a parameter are spelt ``family:<name>``."""
    named = [_entry(one, one.name) for one in METRICS]
    return named + [_entry(one, f"{one.name}:<name>") for one in PATTERNS]


def series(
    store: Store,
    project: str,
    names: Sequence[str],
    window: Window,
    *,
    step_s: int = 0,
    by: Sequence[str] = (),
    filters: Mapping[str, Sequence[str]] | None = None,
    limit: int = 50,
) -> list[MetricSeries]:
    """Return metrics over time, by group; the largest groups first.

    Args:
        step_s: seconds of a step, one of 60 to 86,400 that divides a day; 0 chooses one.

    Raises:
        BadRequest: there is no such metric or dimension, or there would be too many points
    """
    if not 1 <= len(names) <= MOST_METRICS:
        raise BadRequest(
            f"Ask for 1 to {MOST_METRICS} metrics, each as name=…; /api/v1/metrics/catalogue lists them."
        )
    step = step_s or chosen_step_s(window.seconds)
    if step not in _STEPS_S or window.seconds / step > MOST_POINTS:
        steps = ", ".join(map(str, _STEPS_S))
        raise BadRequest(
            f"step must be one of {steps} seconds, with at most {MOST_POINTS} steps in the time."
        )
    return [
        one
        for name in names
        for one in _of_metric(store, project, name, window, step, by, filters or {}, limit)
    ]


def chosen_step_s(seconds: float) -> int:
    """Return a step that cuts a time into at most 125."""
    return next((step for step in _STEPS_S if seconds / step <= 125), _STEPS_S[-1])


def _of_metric(
    store: Store,
    project: str,
    name: str,
    window: Window,
    step: int,
    by: Sequence[str],
    filters: Mapping[str, Sequence[str]],
    limit: int,
) -> list[MetricSeries]:
    try:
        found = metric(name)
        ask = Ask((project,), name, filters, tuple(by))
        # checked before anything is read
        found.source_for(tuple(dict.fromkeys((*by, *filters))))
    except ValueError as error:
        raise BadRequest(str(error)) from None
    # windows are known by their end: the last one may still be open
    until = _ceiling(window.end, step)
    over_time = read_series(store, ask, Window(_floor(window.start, step), until), step_s=step, window_s=step)
    whole = read_windows(store, ask, [window])[0]
    totals = {
        key: (_value(found, whole, row), float(whole.second[row])) for row, key in enumerate(whole.keys)
    }
    ranked = sorted(totals, key=lambda key: -totals[key][1])[:limit]
    return [
        MetricSeries(
            metric=name,
            unit=found.unit,
            better=found.better,
            group=dict(zip(by, key[1:], strict=True)),
            total=totals[key][0],
            points=[
                Point(time=time - timedelta(seconds=step), value=_value(found, over_time[key].readings, row))
                for row, time in enumerate(over_time[key].times)
            ]
            if key in over_time
            else [],
        )
        for key in ranked
    ]


def _value(found: Metric, readings: Readings, row: int) -> float | None:
    first, second = float(readings.first[row]), float(readings.second[row])
    value = first / second if isinstance(found.form, Rate | Mean | WeightedMean) and second else first
    if isinstance(found.form, Rate | Mean | WeightedMean) and not second:
        return None
    return value if math.isfinite(value) else None


def _entry(one: Metric, name: str) -> MetricEntry:
    return MetricEntry(
        name=name,
        title=one.title,
        unit=one.unit,
        better=one.better,
        help=one.help,
        dimensions=list(one.dimensions),
    )


def _floor(moment: datetime, step: int) -> datetime:
    return moment - timedelta(seconds=moment.timestamp() % step)


def _ceiling(moment: datetime, step: int) -> datetime:
    floor = _floor(moment, step)
    return floor if floor == moment else floor + timedelta(seconds=step)
