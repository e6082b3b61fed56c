"""What is normal at this time of day for each label set of a rule: asked by itself, or out of a cube."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from gnomon_collector.alerts.baseline import (
    Hourly,
    Normal,
    hours_around,
    hours_behind,
    normal_at,
    normal_of,
    same_kind,
)
from gnomon_collector.alerts.figures import figures_of
from gnomon_collector.alerts.model import Rule
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_cube import Cube
from gnomon_collector.store.metric_queries import Ask, Key, Series, Window, read_series
from gnomon_schemas.metrics import Sum

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Normals:
    """What is normal for each label set of the past: `rows` says in which row it is."""

    rows: Mapping[Key, int]
    normal: Normal

    def aligned(self, keys: Sequence[Key]) -> Normal:
        """Return the rows of `keys`, in this order; nan where the past has none."""
        unknown = np.array([np.nan])
        columns = (self.normal.median, self.normal.spread, self.normal.counts)
        known = Normal(*(np.concatenate((one, unknown)) for one in columns))
        return known[np.array([self.rows.get(key, -1) for key in keys], dtype=np.int64)]


NOTHING = Normals({}, Normal(np.empty(0), np.empty(0), np.empty(0)))


def read_normals(store: Store, rule: Rule, ask: Ask, hour: datetime, days: int) -> Normals:
    """Return what is normal in the hour that begins at `hour`, by a question of its own.

    Raises:
        StoreError: the database does not answer
    """
    span = Window(hour - timedelta(days=days) - 2 * _HOUR, hour)
    bare = replace(ask, quantile_z=None)  # what is normal needs no interval
    series = read_series(store, bare, span, step_s=3600, window_s=3600, hours_of_day=hours_around(hour))
    found = [normal_at(hourly(rule, one, span), [hour], days) for one in series.values()]
    columns = (np.array([getattr(one, name)[0] for one in found]) for name in ("median", "spread", "counts"))
    return Normals({key: row for row, key in enumerate(series)}, Normal(*columns))


def hours_before(hour: datetime, days: int) -> list[Window]:
    """Return the hours that tell what is normal in the one that begins at `hour`, as in `hours_behind`."""
    starts = [hour - int(behind) * _HOUR for behind in hours_behind(days)]
    return [Window(start, start + _HOUR) for start in starts]


def normals_of(cube: Cube, rule: Rule, ask: Ask, hour: datetime, days: int) -> Normals:
    """Return the same out of a cube that was read for `hours_before`."""
    keys, has_facts, readings = cube.by_piece(replace(ask, quantile_z=None))
    place = {one.start: column for column, one in enumerate(cube.pieces)}
    columns = [place[one.start] for one in hours_before(hour, days)]
    figures = figures_of(rule.definition, readings, 0.0)
    values, counts = (one.reshape(has_facts.shape)[:, columns] for one in (figures.value, figures.samples))
    has_facts = has_facts[:, columns]
    values, counts = np.where(has_facts, values, np.nan), np.where(has_facts, counts, 0.0)
    if isinstance(rule.definition.form, Sum):
        in_order = np.argsort(columns)
        has_begun = np.empty_like(has_facts)
        has_begun[:, in_order] = np.logical_or.accumulate(has_facts[:, in_order], axis=1)
        values = np.where(has_begun & ~has_facts, 0.0, values)
    found = normal_of(values, counts, np.array(same_kind(hour, days), dtype=np.bool_))
    return Normals({key: row for row, key in enumerate(keys)}, found)


def hourly(rule: Rule, series: Series, span: Window) -> Hourly:
    """Return the values of a series of hours in an array of all hours of the span.

    In hours without calls a sum is 0, from the first call on; everything else is unknown.
    """
    size = math.ceil(span.seconds / 3600)
    first = span.end - size * _HOUR
    places = (series.ends_s - round(first.timestamp())) // 3600 - 1
    is_sum = isinstance(rule.definition.form, Sum)
    values, counts = np.full(size, np.nan), np.zeros(size)
    inside = np.flatnonzero((places >= 0) & (places < size))
    figures = figures_of(rule.definition, series.readings, 0.0)
    if is_sum and len(inside):
        values[places[inside[0]] :] = 0.0
    values[places[inside]], counts[places[inside]] = figures.value[inside], figures.samples[inside]
    return Hourly(first, values, counts)
