"""Many questions answered from one reading of a rollup: what a thousand rules want to know is read once.

A statement costs some 15 ms whatever it reads. So the rollup is read once for all questions, summed by the
pieces of time that their windows are made of and by the dimensions that they ask for; each question is answered
from these sums. Whatever the database says to the single question (`metric_queries.read_windows`), this says too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_facts import Ask, Key, Window
from gnomon_collector.store.metric_queries import Readings, is_hourly_window, measures_of, widened
from gnomon_schemas.metrics import Highest, Quantile, metric
from gnomon_schemas.quantiles import BUCKETS, BUCKETS_PER_OCTAVE

Table: TypeAlias = Literal["calls_per_minute", "calls_per_hour"]
_Floats: TypeAlias = npt.NDArray[np.float64]
_Counts: TypeAlias = npt.NDArray[np.uint32]
_Numbers: TypeAlias = npt.NDArray[np.int64]
_Flags: TypeAlias = npt.NDArray[np.bool_]

MOST_CELLS: Final = 100_000
"""Sums that are held at once; where there would be more, each question is asked by itself."""

_BUCKETS: Final = "latency_buckets"


def is_additive(ask: Ask) -> bool:
    """Return whether a question is of a rollup, and its answer a function of sums."""
    form = metric(ask.metric).form
    return ask.source == "rollup" and (ask.slower_than_ms is not None or not isinstance(form, Highest))


def table_of(ask: Ask, window: Window) -> Table:
    """Return the rollup that a window is read from."""
    return "calls_per_hour" if is_hourly_window(window, ask) else "calls_per_minute"


def read_cube(store: Store, table: Table, asks: Sequence[Ask], windows: Sequence[Window]) -> Cube | None:
    """Return what answers the questions for the windows; None where that would be too much to hold.

    Args:
        asks: each of which `is_additive`

    Raises:
        StoreError: the database refused or failed
    """
    pieces = pieces_of([widened(one, table == "calls_per_hour") for one in windows])
    dimensions = ("project", *sorted({name for ask in asks for name in (*ask.group_by, *ask.filter)}))
    measures = tuple(dict.fromkeys(one for ask in asks for one in measures_of(ask)))
    has_buckets = any(_is_quantile(ask) for ask in asks)
    sql, parameters = cube_query(table, pieces, dimensions, measures, has_buckets)
    projects = sorted({one for ask in asks for one in ask.projects})
    rows = store.query(sql, {**parameters, "projects": projects}).rows
    if len(rows) > MOST_CELLS:
        return None
    columns: list[Sequence[object]] = (
        list(zip(*rows, strict=True)) if rows else [()] * (1 + len(dimensions) + len(measures) + has_buckets)
    )
    labels = columns[1 : 1 + len(dimensions)]
    sums = columns[1 + len(dimensions) : 1 + len(dimensions) + len(measures)]
    return Cube(
        pieces=pieces,
        piece=np.array(columns[0], dtype=np.int64) - 1,
        labels={name: _Labels.of(values) for name, values in zip(dimensions, labels, strict=True)},
        measures={name: np.array(one, dtype=np.float64) for name, one in zip(measures, sums, strict=True)},
        buckets=_matrix(columns[-1]) if has_buckets else np.zeros((len(rows), 0), dtype=np.uint32),
    )


def cube_query(
    table: Table,
    pieces: Sequence[Window],
    dimensions: Sequence[str],
    measures: Sequence[str],
    has_buckets: bool,
) -> tuple[str, dict[str, object]]:
    """Return SQL and parameters, but for the projects, of rows (piece, dimensions, sums, buckets as hex).

    Args:
        pieces: apart from each other, by time
        dimensions, measures: names and expressions of the catalogue
    """
    stretches = _joined(pieces)
    when = " OR ".join(
        f"time >= {{from_{place}:DateTime64(3, 'UTC')}} AND time < {{to_{place}:DateTime64(3, 'UTC')}}"
        for place in range(len(stretches))
    )
    sums = [f"toFloat64(sum({one}))" for one in measures]
    if has_buckets:
        sums.append(f"hex(reinterpretAsString(CAST(sumForEach({_BUCKETS}), 'Array(UInt32)')))")
    groups = ", ".join(dimensions)
    sql = (
        f"SELECT piece, {', '.join((groups, *sums))} FROM (SELECT *,"  # noqa: S608  (allow-listed names)
        " arrayFirstIndex(ends_at -> time < ends_at, {ends:Array(DateTime64(3, 'UTC'))}) AS piece"
        f" FROM {table} FINAL WHERE project IN {{projects:Array(String)}} AND calls > 0 AND ({when}))"
        " WHERE time >= {starts:Array(DateTime64(3, 'UTC'))}[piece]"
        f" GROUP BY piece, {groups} LIMIT {MOST_CELLS + 1}"
    )
    parameters: dict[str, object] = {
        "starts": [one.start for one in pieces],
        "ends": [one.end for one in pieces],
    }
    for place, one in enumerate(stretches):
        parameters |= {f"from_{place}": one.start, f"to_{place}": one.end}
    return sql, parameters


def pieces_of(windows: Sequence[Window]) -> list[Window]:
    """Return the shortest list of times, apart and in order, that each window is made of."""
    bounds = sorted({time for one in windows for time in (one.start, one.end)})
    return [
        Window(start, end)
        for start, end in pairwise(bounds)
        if any(one.start <= start and end <= one.end for one in windows)
    ]


@dataclass(frozen=True)
class Sums:
    """The sums of one question: a row per group that it is about, a column per piece of time.

    Attributes:
        has_facts: whether there are any
        first, second: of what the answer is made; of a quantile `second` is how many calls there are
        buckets: of a quantile, with the buckets as a third axis; else without any
    """

    keys: list[Key]
    has_facts: _Flags
    first: _Floats
    second: _Floats
    buckets: _Floats


@dataclass(frozen=True)
class _Labels:
    """The values of a dimension: each row has the place of its own."""

    values: tuple[str, ...]
    places: _Numbers

    @classmethod
    def of(cls, cells: Sequence[object]) -> _Labels:
        values = tuple(sorted({str(cell) for cell in cells}))
        place = {value: number for number, value in enumerate(values)}
        return cls(values, np.array([place[str(cell)] for cell in cells], dtype=np.int64))

    def among(self, wanted: Sequence[str]) -> _Flags:
        """Return which rows have one of these values."""
        is_wanted = np.array([value in wanted for value in self.values], dtype=np.bool_)
        return is_wanted[self.places] if len(self.values) else np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True)
class Cube:
    """Sums of a rollup by piece of time and label set."""

    pieces: Sequence[Window]
    piece: _Numbers
    labels: Mapping[str, _Labels]
    measures: Mapping[str, _Floats]
    buckets: _Counts
    _grouped: dict[tuple[str, ...], tuple[_Numbers, list[Key]]] = field(default_factory=dict)

    def readings(self, ask: Ask, windows: Sequence[Window], *, is_hourly: bool = False) -> list[Readings]:
        """Return the readings of each window, as `metric_queries.read_windows` does.

        Args:
            windows: of those that the cube was read for
        """
        found = self.sums(ask)
        return [self._readings(ask, found, widened(one, is_hourly)) for one in windows]

    def sums(self, ask: Ask) -> Sums:
        """Return the sums of a question by group and piece."""
        rows = self._rows(ask)
        places, all_keys = self._groups(ask.group_by)
        chosen, groups = np.unique(places[rows], return_inverse=True)
        cells = groups * len(self.pieces) + self.piece[rows]
        shape = (len(chosen), len(self.pieces))
        first, second = (_summed(self.measures[one][rows], cells, shape) for one in _two(measures_of(ask)))
        return Sums(
            [all_keys[place] for place in chosen],
            _summed(np.ones(len(cells)), cells, shape) > 0,
            first,
            second,
            self._buckets(cells, rows, shape) if _is_quantile(ask) else np.zeros((*shape, 0)),
        )

    def by_piece(self, ask: Ask) -> tuple[list[Key], _Flags, Readings]:
        """Return the groups of a question, which pieces of each have facts, and what was read of each piece.

        The readings are those of the first group's pieces, of the second's, and so on; without keys.
        """
        found = self.sums(ask)
        if _is_quantile(ask):
            flat = found.buckets.reshape(found.has_facts.size, found.buckets.shape[2])
            return found.keys, found.has_facts, quantile_readings(ask, [], flat)
        nothing = np.full(found.first.size, np.nan)
        readings = Readings([], found.first.ravel(), found.second.ravel(), nothing, nothing)
        return found.keys, found.has_facts, readings

    def _rows(self, ask: Ask) -> _Numbers:
        is_meant = self.labels["project"].among(ask.projects)
        for dimension, values in ask.filter.items():
            is_meant = is_meant & self.labels[dimension].among(values)
        return np.flatnonzero(is_meant)

    def _groups(self, group_by: tuple[str, ...]) -> tuple[_Numbers, list[Key]]:
        """Which group each row is of, and their keys."""
        if group_by not in self._grouped:
            names = ("project", *group_by)
            places = np.stack([self.labels[name].places for name in names])
            different, groups = np.unique(places, axis=1, return_inverse=True)
            keys = [
                tuple(self.labels[name].values[place] for name, place in zip(names, column, strict=True))
                for column in different.T
            ]
            self._grouped[group_by] = groups.reshape(-1), keys
        return self._grouped[group_by]

    def _buckets(self, cells: _Numbers, rows: _Numbers, shape: tuple[int, int]) -> _Floats:
        summed = np.zeros((shape[0] * shape[1], self.buckets.shape[1]))
        if len(cells):
            order = np.argsort(cells, kind="stable")
            present, starts = np.unique(cells[order], return_index=True)
            summed[present] = np.add.reduceat(self.buckets[rows[order]], starts, axis=0, dtype=np.float64)
        return summed.reshape(*shape, self.buckets.shape[1])

    def _readings(self, ask: Ask, found: Sums, window: Window) -> Readings:
        is_inside = np.array(
            [window.start <= one.start and one.end <= window.end for one in self.pieces], dtype=np.bool_
        )
        kept = np.flatnonzero(found.has_facts[:, is_inside].any(axis=1))
        keys = [found.keys[row] for row in kept]
        if _is_quantile(ask):
            return quantile_readings(ask, keys, found.buckets[kept][:, is_inside].sum(axis=1))
        first, second = (one[kept][:, is_inside].sum(axis=1) for one in (found.first, found.second))
        nothing = np.full(len(keys), np.nan)
        return Readings(keys, first, second, nothing, nothing)


def quantile_readings(ask: Ask, keys: list[Key], buckets: _Floats) -> Readings:
    """Return the quantile of each row of buckets, with its bounds, as the aggregate in SQL does."""
    form = metric(ask.metric).form
    if not isinstance(form, Quantile):
        raise ValueError(f"{ask.metric} is no quantile.")
    total = buckets.sum(axis=1)
    low = high = np.full(len(total), np.nan)
    if ask.quantile_z is not None:
        spread = ask.quantile_z * np.sqrt(total * form.q * (1 - form.q))
        low, high = (_at_ranks(buckets, form.q * total + one) for one in (-spread, spread))
    return Readings(keys, _at_ranks(buckets, form.q * total), total, low, high)


def _at_ranks(buckets: _Floats, ranks: _Floats) -> _Floats:
    """Durations in ms at ranks of bucket counts, as `gnomon_schemas.quantiles.rank_sql` has them."""
    reached = buckets.cumsum(axis=1)
    total = reached[:, -1] if len(buckets) else np.zeros(0)
    rank = np.minimum(total, np.maximum(1e-9, ranks))
    place = np.argmax(reached >= rank[:, None], axis=1)
    row = np.arange(len(buckets))
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (rank - reached[row, place] + buckets[row, place]) / buckets[row, place]
    first = part * 2.0 ** (1 / BUCKETS_PER_OCTAVE)
    value = np.where(place == 0, first, 2.0 ** ((place + part) / BUCKETS_PER_OCTAVE))
    return np.where(total > 0, value, np.nan)


def _is_quantile(ask: Ask) -> bool:
    return ask.slower_than_ms is None and isinstance(metric(ask.metric).form, Quantile)


def _two(measures: Sequence[str]) -> tuple[str, str]:
    """Numerator and denominator; a quantile has its calls for both, and takes neither."""
    return measures[0], measures[-1]


def _summed(values: _Floats, cells: _Numbers, shape: tuple[int, int]) -> _Floats:
    found = np.bincount(cells, weights=values, minlength=shape[0] * shape[1])
    return found.astype(np.float64, copy=False).reshape(shape)


def _joined(pieces: Sequence[Window]) -> list[Window]:
    """Pieces that touch each other, as one."""
    found: list[Window] = []
    for one in pieces:
        if found and found[-1].end == one.start:
            found[-1] = Window(found[-1].start, one.end)
        else:
            found.append(one)
    return found


def _matrix(cells: Sequence[object]) -> _Counts:
    """Arrays of UInt32 that came as hex, one a row, filled up with zeros."""
    found = np.zeros((len(cells), BUCKETS), dtype=np.uint32)
    for row, cell in enumerate(cells):
        counts = np.frombuffer(bytes.fromhex(str(cell)), dtype="<u4")
        found[row, : len(counts)] = counts
    return found
