"""One look at a rule: read what it watches, and judge every label set at once."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from gnomon_collector.alerts.conditions import (
    Judged,
    Verdict,
    judge_absence,
    judge_burn,
    judge_change,
    judge_spike,
    judge_threshold,
)
from gnomon_collector.alerts.figures import Figures, figures_of
from gnomon_collector.alerts.intervals import z_of
from gnomon_collector.alerts.model import Absence, BurnRate, Change, Rule, Spike, Threshold
from gnomon_collector.alerts.normals import NOTHING, Normals, hours_before, normals_of, read_normals
from gnomon_collector.alerts.states import Look
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_cube import Cube, is_additive, read_cube, table_of
from gnomon_collector.store.metric_queries import (
    Ask,
    Key,
    Readings,
    Window,
    read_windows,
)
from gnomon_schemas.metrics import Quantile


@dataclass(frozen=True)
class Grid:
    """When rules are looked at.

    Attributes:
        step_s: looks are at its multiples since the epoch
        allowance_s: a look sees data that is at least so old: calls arrive late
    """

    step_s: int = 60
    allowance_s: float = 10.0

    def end(self, now: datetime) -> datetime:
        """Return the end of the data that a look at `now` sees."""
        second = now.timestamp() - self.allowance_s
        return datetime.fromtimestamp(second // self.step_s * self.step_s, UTC)


class Watcher:
    """Looks at rules. Holds what is normal for an hour each, since that costs reading days."""

    def __init__(self, store: Store, grid: Grid) -> None:
        self._store = store
        self._grid = grid
        self._hour: datetime | None = None
        self._past: dict[str, Normals] = {}
        self._read: dict[str, list[Readings]] = {}
        self._cubes: dict[str, Cube | None] = {}
        self._prepared: set[str] = set()
        self._read_at: datetime | None = None

    def look(
        self, rule: Rule, projects: Sequence[str], end: datetime, known: Collection[Key] = ()
    ) -> dict[Key, Look]:
        """Return what label sets beyond the limit of a rule look like in the window that ends at `end`.

        Args:
            projects: those that the rule is for
            known: label sets to report on in any case, also if nothing came of them

        Raises:
            StoreError: the database does not answer
        """
        ask = ask_for(rule, tuple(projects), self._grid.step_s)
        condition = rule.condition
        if isinstance(condition, BurnRate):
            keys, judged, now = self._burn(rule, condition, ask, end, known)
        else:
            keys, judged, now = self._judge(rule, ask, end, known)
        return looks(keys, judged, now, set(known))

    def prepare(self, rules: Sequence[Rule], projects: Sequence[str], end: datetime) -> None:
        """Read what many rules want to know at once, so that each `look` finds it.

        Raises:
            StoreError: the database does not answer
        """
        self._start(end)
        self._start_hour(_hour_of(end))
        asked = [
            (rule, ask)
            for rule in rules
            if (wanted := rule.projects(projects))
            and is_additive(ask := ask_for(rule, wanted, self._grid.step_s))
        ]
        if len(asked) > 1:
            self._read_windows(asked, end)
            self._read_hours(asked)

    def _read_windows(self, asked: Sequence[tuple[Rule, Ask]], end: datetime) -> None:
        for table in ("calls_per_minute", "calls_per_hour"):
            wanted = [
                (ask, one)
                for rule, ask in asked
                for one in windows_of(rule, end)
                if table_of(ask, one) == table
            ]
            if wanted:
                asks, windows = zip(*wanted, strict=True)
                self._cubes[table] = read_cube(self._store, table, asks, list(dict.fromkeys(windows)))
        self._prepared = {_named(ask, windows_of(rule, end)) for rule, ask in asked}

    def _read_hours(self, asked: Sequence[tuple[Rule, Ask]]) -> None:
        """Read what is normal in this hour, for the rules that want to know and do not yet."""
        wanted = [
            (rule, ask) for rule, ask in asked if _days(rule) and _past_named(rule, ask) not in self._past
        ]
        if len(wanted) < 2 or self._hour is None:
            return
        hours = dict.fromkeys(one for rule, _ in wanted for one in hours_before(self._hour, _days(rule)))
        cube = read_cube(self._store, "calls_per_hour", [ask for _, ask in wanted], list(hours))
        for rule, ask in wanted if cube is not None else ():
            name = _past_named(rule, ask)
            if name not in self._past and cube is not None:
                self._past[name] = normals_of(cube, rule, ask, self._hour, _days(rule))

    def _judge(
        self, rule: Rule, ask: Ask, end: datetime, known: Collection[Key]
    ) -> tuple[list[Key], Judged, Figures]:
        condition = rule.condition
        windows = windows_of(rule, end)
        readings = self._windows(ask, windows)
        past = self._normal(rule, ask, end) if _days(rule) else NOTHING
        expects_absent = isinstance(condition, Absence) or not rule.is_upward
        keys = list(dict.fromkeys([*readings[0].keys, *known, *(past.rows if expects_absent else ())]))
        now, *before = [self._figures(rule, one.aligned(keys)) for one in readings]
        if isinstance(condition, Threshold):
            judged = judge_threshold(rule, condition, now)
        elif isinstance(condition, Change):
            judged = judge_change(rule, condition, now, before[0])
        elif isinstance(condition, Spike):
            judged = judge_spike(rule, condition, now, past.aligned(keys))
        elif isinstance(condition, Absence):
            judged = judge_absence(rule, condition, now, past.aligned(keys))
        else:
            raise TypeError(f"{type(condition).__name__} is judged elsewhere")
        return keys, judged, now

    def _burn(
        self, rule: Rule, condition: BurnRate, ask: Ask, end: datetime, known: Collection[Key]
    ) -> tuple[list[Key], Judged, Figures]:
        readings = self._windows(ask, windows_of(rule, end))
        keys = list(dict.fromkeys([*(key for one in readings for key in one.keys), *known]))
        shares = [bad_shares(rule, condition, one.aligned(keys)) for one in readings]
        judged = judge_burn(rule, condition, list(zip(shares[::2], shares[1::2], strict=True)))
        return keys, judged, shares[1]

    def _windows(self, ask: Ask, windows: Sequence[Window]) -> list[Readings]:
        """Read windows; rules that ask the same at the same time share the answer."""
        self._start(windows[0].end)
        name = _named(ask, windows)
        if name not in self._read:
            found = self._from_cubes(ask, windows) if name in self._prepared else None
            self._read[name] = read_windows(self._store, ask, windows) if found is None else found
        return self._read[name]

    def _from_cubes(self, ask: Ask, windows: Sequence[Window]) -> list[Readings] | None:
        found: dict[Window, Readings] = {}
        for table in {table_of(ask, one) for one in windows}:
            cube, mine = self._cubes.get(table), [one for one in windows if table_of(ask, one) == table]
            if cube is None:
                return None
            found |= zip(mine, cube.readings(ask, mine, is_hourly=table == "calls_per_hour"), strict=True)
        return [found[one] for one in windows]

    def _start(self, end: datetime) -> None:
        """Forget what was read for another time."""
        if self._read_at != end:
            self._read_at, self._read, self._cubes, self._prepared = end, {}, {}, set()

    def _start_hour(self, hour: datetime) -> None:
        if self._hour != hour:
            self._hour, self._past = hour, {}

    def _normal(self, rule: Rule, ask: Ask, end: datetime) -> Normals:
        hour = _hour_of(end)
        self._start_hour(hour)
        name = _past_named(rule, ask)
        if name not in self._past:
            self._past[name] = read_normals(self._store, rule, ask, hour, _days(rule))
        return self._past[name]

    def _figures(self, rule: Rule, readings: Readings) -> Figures:
        return figures_of(rule.definition, readings, rule.confidence)


def _named(ask: Ask, windows: Sequence[Window]) -> str:
    return repr((ask, tuple(windows)))


def ask_for(rule: Rule, projects: tuple[str, ...], step_s: int = 60) -> Ask:
    """Return what a rule has to read."""
    has_bounds = isinstance(rule.definition.form, Quantile) and rule.confidence
    slower_than_ms = rule.condition.latency_ms if isinstance(rule.condition, BurnRate) else None
    return Ask(
        projects=projects,
        metric=rule.metric,
        filter=dict(rule.filter),
        group_by=rule.group_by,
        quantile_z=z_of(rule.confidence) if has_bounds else None,
        slower_than_ms=slower_than_ms,
        by_second=step_s % 60 != 0,
    )


def windows_of(rule: Rule, end: datetime) -> list[Window]:
    """Return the window that is judged, and the earlier one it is compared with, if any.

    Of a burn rate, the long and the short window of each pair.
    """
    condition = rule.condition
    if isinstance(condition, BurnRate):
        lengths = (length for pair in condition.pairs for length in (pair.long, pair.short))
        return [Window(end - timedelta(seconds=one), end) for one in lengths]
    length = timedelta(seconds=rule.window)
    windows = [Window(end - length, end)]
    if isinstance(condition, Change):
        offset = condition.offset or length
        windows.append(Window(end - length - offset, end - offset))
    return windows


def bad_shares(rule: Rule, condition: BurnRate, readings: Readings) -> Figures:
    """Return the share of bad calls."""
    shares = figures_of(rule.definition, readings, rule.confidence, is_share=True)
    is_good = condition.latency_ms is None and rule.definition.better == "more"
    if not is_good:
        return shares
    return Figures(1 - shares.value, 1 - shares.high, 1 - shares.low, shares.samples)


def looks(keys: Sequence[Key], judged: Judged, now: Figures, known: Collection[Key]) -> dict[Key, Look]:
    """Return a look per label set that is beyond its limit, or `known`; the others are as they should be."""
    rows = set(np.flatnonzero(judged.verdict == Verdict.BREACH).tolist())
    if known:
        rows |= {row for row, key in enumerate(keys) if key in known}
    return {keys[row]: _look(judged, now, row) for row in sorted(rows)}


def _look(judged: Judged, now: Figures, row: int) -> Look:
    return Look(
        Verdict(int(judged.verdict[row])),
        _known(now.value[row]),
        _known(judged.normal[row]),
        _known(judged.limit[row]),
        float(now.samples[row]),
    )


def labels_of(rule: Rule, key: Key) -> Mapping[str, str]:
    """Return the labels of a label set."""
    return dict(zip(rule.group_by, key[1:], strict=True))


def _hour_of(end: datetime) -> datetime:
    """The beginning of the hour whose data a look that ends at `end` sees last."""
    return (end - timedelta(microseconds=1)).replace(minute=0, second=0, microsecond=0)


def _days(rule: Rule) -> int:
    """How many days before say what is normal; 0 where nothing does."""
    return rule.condition.days if isinstance(rule.condition, Spike | Absence) else 0


def _past_named(rule: Rule, ask: Ask) -> str:
    return repr((ask, _days(rule)))


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
