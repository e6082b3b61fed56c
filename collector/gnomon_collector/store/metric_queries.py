"""Figures of the metric catalogue for many label sets and windows at once.

One statement answers for every group and every window: each fact row is sent to the windows it lies in, and
the aggregate of the metric is taken per window and group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import floor, log2, prod
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_facts import Ask as Ask
from gnomon_collector.store.metric_facts import Key as Key
from gnomon_collector.store.metric_facts import Window as Window
from gnomon_collector.store.metric_facts import fact_rows
from gnomon_collector.store.queries import filters
from gnomon_collector.store.queries.person_rows import person_rows
from gnomon_schemas.metrics import (
    Highest,
    Mean,
    Quantile,
    Rate,
    Source,
    Sum,
    WeightedMean,
    metric,
)
from gnomon_schemas.quantiles import (
    BUCKETS,
    BUCKETS_PER_OCTAVE,
    quantile_sql,
    rank_bounds_sql,
    rank_sql,
)

Floats: TypeAlias = npt.NDArray[np.float64]
MOST_GROUPS: Final = 50_000
_HOUR_S: Final = 3600
_HOURLY_FROM_S: Final = 6 * _HOUR_S
"""Windows from here on are read from the hourly rollup, their start widened to the hour."""

_PERSONS: Final = {"user_id": "user_id", "session_id": "session_id", "company_id": "company"}
"""Dimensions that whole traces have too, and their columns there."""


@dataclass(frozen=True)
class Readings:
    """What was read, as parallel arrays.

    Attributes:
        keys: the group of each row
        first: sum or numerator; of a quantile the quantile itself
        second: denominator, or how many calls there were
        low: lower bound of a quantile; of a weighted mean the sum of the squared weights; nan elsewhere
        high: upper bound of a quantile, nan elsewhere
    """

    keys: list[Key]
    first: Floats
    second: Floats
    low: Floats
    high: Floats

    def aligned(self, keys: Sequence[Key]) -> Readings:
        """Return the rows of `keys`, in this order; zeros where nothing was read."""
        place = {key: row for row, key in enumerate(self.keys)}
        rows = np.array([place.get(key, -1) for key in keys], dtype=np.int64)
        return Readings(
            list(keys), *(_taken(one, rows) for one in (self.first, self.second, self.low, self.high))
        )

    def every(self, places: int) -> Readings:
        """Return the last of each so many rows."""
        last = slice(places - 1, None, places)
        return Readings(
            self.keys[last], *(one[last] for one in (self.first, self.second, self.low, self.high))
        )


@dataclass(frozen=True)
class Series:
    """One group over time: each row is a window that ends at `ends_s`, in seconds since 1970; in order."""

    ends_s: npt.NDArray[np.int64]
    readings: Readings

    @property
    def times(self) -> list[datetime]:
        """Ends of the windows, UTC."""
        return [datetime.fromtimestamp(one, UTC) for one in self.ends_s.tolist()]


def read_windows(store: Store, ask: Ask, windows: Sequence[Window]) -> list[Readings]:
    """Return the readings of each window. A group without facts in a window has no row there.

    Raises:
        StoreError: the database refused or failed
        ValueError: the metric cannot be grouped or filtered so
    """
    found: list[Readings] = [_NOTHING] * len(windows)
    for is_hourly in (False, True):
        places = [place for place, one in enumerate(windows) if is_hourly_window(one, ask) == is_hourly]
        if places:
            chosen = [windows[place] for place in places]
            for place, readings in zip(places, _read(store, ask, chosen, is_hourly), strict=True):
                found[place] = readings
    return found


def read_series(
    store: Store,
    ask: Ask,
    span: Window,
    *,
    step_s: int,
    window_s: int,
    groups: Sequence[Key] | None = None,
    hours_of_day: Sequence[int] | None = None,
) -> dict[Key, Series]:
    """Return each group over time: windows of `window_s` seconds that end at the multiples of `step_s`.

    Args:
        span: windows that end after its start, up to its end
        step_s: divides `window_s`
        groups: only these
        hours_of_day: only facts of these hours (UTC); for windows of an hour
    """
    sql, parameters = series_query(ask, span, step_s, window_s, groups, hours_of_day)
    return dict(_series(row) for row in store.query(sql, parameters).rows)


def windows_query(ask: Ask, windows: Sequence[Window], is_hourly: bool) -> tuple[str, dict[str, object]]:
    """Return SQL and parameters of rows (window, project, dimensions, first, second, low, high)."""
    windows = [widened(one, is_hourly) for one in windows]
    starts, ends = [one.start for one in windows], [one.end for one in windows]
    facts, parameters = fact_rows(
        ask, min(starts), max(ends), "calls_per_hour" if is_hourly else "calls_per_minute"
    )
    groups = ", ".join(("project", *ask.group_by))
    sql = (
        f"SELECT window, {groups}, {', '.join(aggregates(ask))} FROM ({facts})"  # noqa: S608  (allow-listed names)
        " ARRAY JOIN arrayFilter(i -> time >= {starts:Array(DateTime64(3, 'UTC'))}[i]"
        " AND time < {ends:Array(DateTime64(3, 'UTC'))}[i], range(1, {windows:UInt16} + 1)) AS window"
        f" GROUP BY window, {groups} LIMIT {MOST_GROUPS * len(windows)}"
    )
    return sql, parameters | {"starts": starts, "ends": ends, "windows": len(windows)}


def series_query(
    ask: Ask,
    span: Window,
    step_s: int,
    window_s: int,
    groups: Sequence[Key] | None = None,
    hours_of_day: Sequence[int] | None = None,
) -> tuple[str, dict[str, object]]:
    """Return SQL and parameters of a row per group: project, dimensions, and arrays with an item per window.

    These are the end of the window in seconds since 1970, first, second, low and high, in no order.
    """
    table = "calls_per_hour" if step_s % _HOUR_S == 0 else "calls_per_minute"
    columns = ("project", *ask.group_by)
    if groups is not None:
        ask = _narrowed(ask, groups)
    facts, parameters = fact_rows(ask, span.start - timedelta(seconds=window_s - step_s), span.end, table)
    conditions, chosen_groups = _only(groups, columns) if groups is not None else ([], {})
    parameters |= chosen_groups
    if hours_of_day is not None:
        conditions.append("toHour(time) IN {hours_of_day:Array(UInt8)}")
        parameters["hours_of_day"] = list(hours_of_day)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    names, windows = ", ".join(columns), max(1, window_s // step_s)
    numbers = ("first", "second", "low", "high")
    per_window = ", ".join(f"{one} AS {name}" for one, name in zip(aggregates(ask), numbers, strict=True))
    arrays = ", ".join(f"groupArray({name})" for name in ("ends_s", *numbers))
    chosen = f"SELECT * FROM ({facts}){where}"  # noqa: S608
    sql = (
        f"SELECT {names}, {arrays} FROM (SELECT ends_s, {names}, {per_window}"  # noqa: S608
        f" FROM ({_in_windows(ask, chosen, names, windows)})"
        " WHERE ends_s > toUnixTimestamp({after:DateTime('UTC')})"
        " AND ends_s <= toUnixTimestamp({until:DateTime('UTC')})"
        f" GROUP BY ends_s, {names}) GROUP BY {names}"
    )
    bounds = {"after": span.start, "until": span.end}
    return sql, parameters | bounds | {"step_s": step_s}


def _narrowed(ask: Ask, groups: Sequence[Key]) -> Ask:
    """A question with a condition on each column: it may let in more than the groups, and spares reading others."""
    values = {name: _values(groups, place) for place, name in enumerate(ask.group_by, 1)}
    return replace(ask, projects=tuple(_values(groups, 0)), filter={**ask.filter, **values})


def _values(groups: Sequence[Key], place: int) -> list[str]:
    return sorted({key[place] for key in groups})


def _only(groups: Sequence[Key], columns: Sequence[str]) -> tuple[list[str], dict[str, object]]:
    """The condition that leaves the groups alone, where those on each column (`_narrowed`) let in more."""
    if len(set(groups)) == prod(len(_values(groups, place)) for place in range(len(columns))):
        return [], {}
    kinds = ", ".join(["String"] * len(columns))
    return [f"({', '.join(columns)}) IN {{groups:Array(Tuple({kinds}))}}"], {"groups": list(groups)}


def _in_windows(ask: Ask, facts: str, names: str, windows: int) -> str:
    """SQL of the facts with the end of each window that they are in."""
    ends_s = "(intDiv(toUnixTimestamp(time), {step_s:UInt32}) + 1) * {step_s:UInt32}"
    if windows == 1:
        return f"SELECT *, {ends_s} AS ends_s FROM ({facts})"  # noqa: S608
    form = metric(ask.metric).form
    if ask.source == "rollup" and ask.slower_than_ms is None and isinstance(form, Quantile):
        # buckets are long: added up by step first, few have to be sent to many windows
        facts = (
            f"SELECT {names}, {ends_s} - 1 AS time, sumForEach({form.buckets}) AS {form.buckets}"  # noqa: S608
            f" FROM ({facts}) GROUP BY {names}, time"
        )
    return (
        f"SELECT *, {ends_s} + step * {{step_s:UInt32}} AS ends_s FROM ({facts})"  # noqa: S608
        f" ARRAY JOIN range({windows:d}) AS step"
    )


def _series(row: tuple[object, ...]) -> tuple[Key, Series]:
    """Return the group of a row of `series_query`, and what was read of it, by time."""
    *cells, ends, first, second, low, high = row
    key = tuple(str(cell) for cell in cells)
    ends_s = np.array(ends, dtype=np.int64)
    order = np.argsort(ends_s)
    numbers = (np.array(one, dtype=np.float64)[order] for one in (first, second, low, high))
    return key, Series(ends_s[order], Readings([key] * len(order), *numbers))


def _read(store: Store, ask: Ask, windows: Sequence[Window], is_hourly: bool) -> list[Readings]:
    rows: list[list[tuple[object, ...]]] = [[] for _ in windows]
    for row in store.query(*windows_query(ask, windows, is_hourly)).rows:
        rows[int(str(row[0])) - 1].append(row)
    return [readings_of(of_window, 1, 1 + len(ask.group_by)) for of_window in rows]


def is_hourly_window(window: Window, ask: Ask) -> bool:
    """Return whether a window is read from the hourly rollup."""
    return ask.source == "rollup" and window.seconds >= _HOURLY_FROM_S


def widened(window: Window, is_hourly: bool) -> Window:
    """Return a window as it is read: from the hourly rollup, from the beginning of an hour."""
    return Window(_floor_hour(window.start), window.end) if is_hourly else window


def _floor_hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def readings_of(rows: Sequence[tuple[object, ...]], first: int, width: int) -> Readings:
    """Return rows whose cells are the key, from the one at `first` on, and then the four numbers."""
    keys = [tuple(str(cell) for cell in row[first : first + width]) for row in rows]
    numbers = np.array([row[first + width :] for row in rows], dtype=np.float64).reshape(-1, 4)
    return Readings(keys, numbers[:, 0], numbers[:, 1], numbers[:, 2], numbers[:, 3])


_EMPTY: Final = np.empty(0)
_NOTHING: Final = Readings([], _EMPTY, _EMPTY, _EMPTY, _EMPTY)


def _taken(values: Floats, rows: npt.NDArray[np.int64]) -> Floats:
    if not len(values):
        return np.zeros(len(rows))
    return np.where(rows >= 0, values[rows], 0.0)


# --- aggregates ---------------------------------------------------------------------------------


def aggregates(ask: Ask) -> tuple[str, str, str, str]:
    """Return SQL of the four numbers of a window: first, second, low, high."""
    form, low = metric(ask.metric).form, "nan"
    if ask.slower_than_ms is None:
        if isinstance(form, Quantile):
            return _quantile(form.q, _summed(ask.source, form), ask.quantile_z)
        if isinstance(form, Highest):
            return f"toFloat64(max({form.expression}))", f"toFloat64({_samples(ask.source)})", low, "nan"
        if isinstance(form, WeightedMean):
            low = f"toFloat64(sum(pow({form.weights}, 2)))"
    first, second = measures_of(ask)
    return f"toFloat64(sum({first}))", f"toFloat64(sum({second}))", low, "nan"


def measures_of(ask: Ask) -> tuple[str, ...]:
    """Return what is summed over the rows for a question, in SQL: numerator and denominator, or only a count.

    Raises:
        ValueError: the answer is no function of sums
    """
    count = "calls" if ask.source in ("rollup", "calls") else "1"
    if ask.slower_than_ms is not None:
        return _slower(ask.slower_than_ms, ask.source), count
    match metric(ask.metric).form:
        case Sum(expression):
            return expression, count
        case Rate(numerator, denominator) | Mean(numerator, denominator):
            return numerator, denominator
        case WeightedMean() as form:
            return form.weighted, form.weights
        case Quantile():
            return (count,)
        case Highest():
            raise ValueError(f"{ask.metric} is no function of sums.")


def _samples(source: Source) -> str:
    return "sum(calls)" if source in ("rollup", "calls") else "count()"


def _quantile(q: float, summed: str, z: float | None) -> tuple[str, str, str, str]:
    ranks = rank_bounds_sql(q, z) if z is not None else ()
    low, high = (rank_sql(summed, rank) for rank in ranks) if ranks else ("nan", "nan")
    value = quantile_sql(summed, str(q))
    first, low, high = (f"ifNull({one}, nan)" for one in (value, low, high))
    return first, f"toFloat64(arraySum({summed}))", low, high


def _summed(source: Source, form: Quantile) -> str:
    if source == "rollup":
        return f"sumForEach({form.buckets})"
    ms = form.expression
    bucket = f"toUInt8(least({BUCKETS}, greatest(1, 1 + floor({BUCKETS_PER_OCTAVE} * log2(greatest({ms}, 1e-6))))))"
    counted = f"sumMapIf([{bucket}], [1], {ms} > 0)"
    return f"arrayMap(i -> {counted}.2[indexOf({counted}.1, i)], range(1, {BUCKETS + 1}))"


def _slower(limit_ms: float, source: Source) -> str:
    """SQL of how many calls of a row took longer; within a bucket by the share of its logarithm."""
    if source != "rollup":
        return f"duration_ms > {limit_ms:.6f}"
    position = BUCKETS_PER_OCTAVE * log2(max(limit_ms, 1.0))
    bucket = min(BUCKETS, 1 + floor(position))
    above = 1 - (position - floor(position))
    return f"arraySum(arraySlice(latency_buckets, {bucket + 1})) + {above:.6f} * latency_buckets[{bucket}]"


def active_projects(store: Store, since: datetime) -> tuple[str, ...]:
    """Return the projects with calls since then, by name."""
    rows = store.query(
        "SELECT DISTINCT project FROM calls_per_hour WHERE time >= {since:DateTime('UTC')} AND calls > 0"
        " ORDER BY project",
        {"since": since},
    ).rows
    return tuple(str(row[0]) for row in rows)


def largest_groups(store: Store, ask: Ask, span: Window, limit: int) -> tuple[list[Key], int]:
    """Return the groups with most calls, or judgements, largest first, and how many groups there are.

    Users, sessions and companies are counted by traces where these are summed up already (docs/adr/0020).
    """
    person = _PERSONS.get(ask.group_by[0]) if len(ask.group_by) == 1 and not ask.filter else None
    if person and ask.source == "calls" and len(ask.projects) == 1:
        found = person_rows(
            store, filters.Scope(ask.projects[0]), filters.Window(span.start, span.end, _HOUR_S)
        )
        facts = (
            f"SELECT {{project:String}} AS project, {person} AS {ask.group_by[0]}, calls FROM ({found.sql})"  # noqa: S608
        )
        parameters: dict[str, object] = dict(found.parameters)
    else:
        facts, parameters = fact_rows(ask, _floor_hour(span.start), span.end, "calls_per_hour")
    columns = ", ".join(("project", *ask.group_by))
    rows = store.query(
        f"SELECT {columns}, count() OVER () FROM ({facts}) GROUP BY {columns}"  # noqa: S608
        f" ORDER BY {_samples(ask.source)} DESC LIMIT {int(limit)}",
        parameters,
    ).rows
    keys = [tuple(str(cell) for cell in row[:-1]) for row in rows]
    return keys, int(str(rows[0][-1])) if rows else 0
