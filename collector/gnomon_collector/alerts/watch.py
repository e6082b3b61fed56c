"""One look at a rule: read what it watches, and judge every label set at once."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from gnomon_collector.alerts.baseline import Hourly, Normal, hours_around, normal_at
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
from gnomon_collector.alerts.intervals import Floats, quantile_ranks, z_of
from gnomon_collector.alerts.model import Absence, BurnRate, Change, Rule, Spike, Threshold
from gnomon_collector.alerts.states import Look
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_batches import MOST_ASKED, may_share, read_batch
from gnomon_collector.store.metric_queries import (
    Ask,
    Key,
    Readings,
    Series,
    Window,
    read_series,
    read_windows,
)
from gnomon_schemas.metrics import Quantile, Sum

_HOUR = timedelta(hours=1)


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
        self._past: dict[str, dict[Key, Normal]] = {}
        self._read: dict[str, list[Readings]] = {}
        self._read_at: datetime | None = None

    def look(
        self, rule: Rule, projects: Sequence[str], end: datetime, known: Collection[Key] = ()
    ) -> dict[Key, Look]:
        """Return what label sets of a rule look like in the window that ends at `end`: those beyond the"
        " limit.

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
        for (windows, _), asks in self._shared(rules, projects, end).items():
            for first in range(0, len(asks), MOST_ASKED):
                batch = asks[first : first + MOST_ASKED]
                for ask, readings in zip(batch, read_batch(self._store, batch, windows), strict=True):
                    self._read[_named(ask, windows)] = readings

    def _shared(
        self, rules: Sequence[Rule], projects: Sequence[str], end: datetime
    ) -> dict[tuple[tuple[Window, ...], object], list[Ask]]:
        """Different questions about the same windows and groups, where there is more than one."""
        self._read, self._read_at = {}, end
        found: dict[tuple[tuple[Window, ...], object], dict[str, Ask]] = {}
        for rule in rules:
            wanted = rule.projects(projects)
            if not wanted or isinstance(rule.condition, BurnRate):
                continue
            ask, windows = ask_for(rule, wanted, self._grid.step_s), tuple(windows_of(rule, end))
            if may_share(ask, windows):
                same = found.setdefault((windows, (wanted, ask.group_by)), {})
                same[_named(ask, windows)] = ask
        return {key: list(asks.values()) for key, asks in found.items() if len(asks) > 1}

    def _judge(
        self, rule: Rule, ask: Ask, end: datetime, known: Collection[Key]
    ) -> tuple[list[Key], Judged, Figures]:
        condition = rule.condition
        windows = windows_of(rule, end)
        readings = self._windows(ask, windows)
        past = self._normal(rule, ask, end) if isinstance(condition, Spike | Absence) else {}
        expects_absent = isinstance(condition, Absence) or not rule.is_upward
        keys = list(dict.fromkeys([*readings[0].keys, *known, *(past if expects_absent else ())]))
        now, *before = [self._figures(rule, one.aligned(keys)) for one in readings]
        if isinstance(condition, Threshold):
            judged = judge_threshold(rule, condition, now)
        elif isinstance(condition, Change):
            judged = judge_change(rule, condition, now, before[0])
        elif isinstance(condition, Spike):
            judged = judge_spike(rule, condition, now, _stacked(past, keys))
        elif isinstance(condition, Absence):
            judged = judge_absence(rule, condition, now, _stacked(past, keys))
        else:
            raise TypeError(f"{type(condition).__name__} is judged elsewhere")
        return keys, judged, now

    def _burn(
        self, rule: Rule, condition: BurnRate, ask: Ask, end: datetime, known: Collection[Key]
    ) -> tuple[list[Key], Judged, Figures]:
        lengths = [length for pair in condition.pairs for length in (pair.long, pair.short)]
        readings = self._windows(ask, [Window(end - timedelta(seconds=one), end) for one in lengths])
        keys = list(dict.fromkeys([*(key for one in readings for key in one.keys), *known]))
        shares = [bad_shares(rule, condition, one.aligned(keys)) for one in readings]
        judged = judge_burn(rule, condition, list(zip(shares[::2], shares[1::2], strict=True)))
        return keys, judged, shares[1]

    def _windows(self, ask: Ask, windows: Sequence[Window]) -> list[Readings]:
        """Read windows; rules that ask the same at the same time share the answer."""
        end = windows[0].end
        if self._read_at != end:
            self._read, self._read_at = {}, end
        name = _named(ask, windows)
        if name not in self._read:
            self._read[name] = read_windows(self._store, ask, windows)
        return self._read[name]

    def _normal(self, rule: Rule, ask: Ask, end: datetime) -> dict[Key, Normal]:
        hour = (end - timedelta(microseconds=1)).replace(minute=0, second=0, microsecond=0)
        if self._hour != hour:
            self._hour, self._past = hour, {}
        condition = rule.condition
        days = condition.days if isinstance(condition, Spike | Absence) else 0
        name = repr((ask, days))
        if name not in self._past:
            self._past[name] = read_normal(self._store, rule, ask, hour, days)
        return self._past[name]

    def _figures(self, rule: Rule, readings: Readings) -> Figures:
        return figures_of(rule.definition, readings, rule.confidence)


def _named(ask: Ask, windows: Sequence[Window]) -> str:
    return repr((ask, tuple(windows)))


def ask_for(rule: Rule, projects: tuple[str, ...], step_s: int = 60) -> Ask:
    """Return what a rule has to read."""
    ranks = None
    if isinstance(rule.definition.form, Quantile) and rule.confidence:
        ranks = quantile_ranks(rule.definition.form.q, z_of(rule.confidence))
    slower_than_ms = rule.condition.latency_ms if isinstance(rule.condition, BurnRate) else None
    return Ask(
        projects=projects,
        metric=rule.metric,
        filter=dict(rule.filter),
        group_by=rule.group_by,
        ranks=ranks,
        slower_than_ms=slower_than_ms,
        by_second=step_s % 60 != 0,
    )


def windows_of(rule: Rule, end: datetime) -> list[Window]:
    """Return the window that is judged, and the earlier one it is compared with, if any."""
    length = timedelta(seconds=rule.window)
    windows = [Window(end - length, end)]
    if isinstance(rule.condition, Change):
        offset = rule.condition.offset or length
        windows.append(Window(end - length - offset, end - offset))
    return windows


def bad_shares(rule: Rule, condition: BurnRate, readings: Readings) -> Figures:
    """Return the share of bad calls."""
    shares = figures_of(rule.definition, readings, rule.confidence, is_share=True)
    is_good = condition.latency_ms is None and rule.definition.better == "more"
    if not is_good:
        return shares
    return Figures(1 - shares.value, 1 - shares.high, 1 - shares.low, shares.samples)


def read_normal(store: Store, rule: Rule, ask: Ask, hour: datetime, days: int) -> dict[Key, Normal]:
    """Return what is normal in the hour that begins at `hour`, for each label set of the past."""
    span = Window(hour - timedelta(days=days) - 2 * _HOUR, hour)
    series = read_series(store, ask, span, step_s=3600, window_s=3600, hours_of_day=hours_around(hour))
    return {key: normal_at(hourly(rule, one, span), [hour], days) for key, one in series.items()}


def hourly(rule: Rule, series: Series, span: Window) -> Hourly:
    """Return the values of a series of hours in an array of all hours of the span.

    In hours without calls a sum is 0, from the first call on; everything else is unknown.
    """
    size = math.ceil(span.seconds / 3600)
    first = span.end - size * _HOUR
    places = [round((time - first) / _HOUR) - 1 for time in series.times]
    is_sum = isinstance(rule.definition.form, Sum)
    values, counts = np.full(size, np.nan), np.zeros(size)
    inside = [row for row, place in enumerate(places) if 0 <= place < size]
    figures = figures_of(rule.definition, series.readings, 0.0)
    if is_sum and inside:
        values[places[inside[0]] :] = 0.0
    for row in inside:
        values[places[row]], counts[places[row]] = figures.value[row], figures.samples[row]
    return Hourly(first, values, counts)


def looks(keys: Sequence[Key], judged: Judged, now: Figures, known: Collection[Key]) -> dict[Key, Look]:
    """Return a look per label set that is beyond its limit, or `known`. The many others are as they"
    " should be."""
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


def _stacked(past: Mapping[Key, Normal], keys: Sequence[Key]) -> Normal:
    unknown = Normal(*(np.array([np.nan]) for _ in range(3)))
    found = [past.get(key, unknown) for key in keys]
    return Normal(
        *(_joined([getattr(one, name) for one in found]) for name in ("median", "spread", "counts"))
    )


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.empty(0)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
