"""Reading the distributions of two windows out of ``drift_features``, for every dimension set at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from gnomon_collector.store.drift_catalogue import BY_NAME
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_int, as_list, as_time
from gnomon_collector.store.queries.filters import Parameters

Dimension = Literal["all", "service", "model", "prompt"]

MOST_SETS_PER_DIMENSION: Final = 20
CURRENT: Final = 0
"""Number of the current window among the periods; those of the reference count from 1, the newest first."""


@dataclass(frozen=True, slots=True, order=True)
class DimensionSet:
    """Which calls a drift result is about; empty texts mean all."""

    service_name: str = ""
    model: str = ""
    prompt_name: str = ""
    prompt_version: str = ""

    @property
    def dimension(self) -> Dimension:
        if self.service_name:
            return "service"
        if self.model:
            return "model"
        return "prompt" if self.prompt_name or self.prompt_version else "all"

    @property
    def label(self) -> str:
        """What people read: ``service shop``, ``model gpt-4o``, ``prompt answer v3``, ``all traffic``."""
        return "all traffic" if self == ALL else f"{self.dimension} {self.name}"

    @property
    def name(self) -> str:
        """Name of the service or model, name and version of the prompt; empty for all traffic."""
        return self.service_name or self.model or f"{self.prompt_name} {self.prompt_version}".strip()


ALL: Final = DimensionSet()


@dataclass(frozen=True, slots=True)
class Windows:
    """What is compared with what; all times are whole hours in UTC, ends exclusive."""

    reference_start: datetime
    reference_end: datetime
    current_start: datetime
    current_end: datetime

    @property
    def period(self) -> timedelta:
        """Length of the current window; the reference is cut into periods of this length."""
        return self.current_end - self.current_start

    @classmethod
    def trailing(cls, end: datetime, *, current: timedelta, reference: timedelta) -> Windows:
        """The window of length `current` before `end` against what came before it."""
        start = end - current
        return cls(start - reference, start, start, end)


Counts = tuple[int, ...] | Mapping[str, int]
"""Counts per bucket of a number (from bucket 1), or per category."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """One feature of one dimension set in both windows.

    Attributes:
        current: counts in the current window.
        periods: counts in each period of the reference that has any, the newest first.
    """

    current: Counts
    periods: tuple[Counts, ...]


Distributions = Mapping[tuple[DimensionSet, str], Distribution]
"""By dimension set and feature."""

_GROUPS: Final = (
    "(feature, period)",
    "(feature, period, service_name)",
    "(feature, period, model)",
    "(feature, period, prompt_name, prompt_version)",
)


def distributions(
    store: Store, project: str, windows: Windows, only: DimensionSet | None = None, feature: str = ""
) -> Distributions:
    """Return every feature of every dimension set that has data in the current window.

    Args:
        only: leave out the other dimension sets.
        feature: leave out the other features.
    """
    sql, parameters = windows_query(project, windows, feature)
    found: dict[tuple[DimensionSet, str], dict[int, Counts]] = {}
    for name, period, service, model, prompt, version, kind, buckets, categories in store.query(
        sql, parameters
    ).rows:
        dimension_set = _set_of(as_int(kind), str(service), str(model), str(prompt), str(version))
        if dimension_set is None or (only is not None and dimension_set != only):
            continue
        counts = _counts(str(name), buckets, categories)
        found.setdefault((dimension_set, str(name)), {})[as_int(period)] = counts
    kept = {ALL, *([only] if only else _largest(found))}
    return {key: _distribution(periods) for key, periods in found.items() if key[0] in kept}


def windows_query(project: str, windows: Windows, feature: str = "") -> tuple[str, Parameters]:
    """Return SQL and parameters: rows of (feature, period, labels, kind of set, buckets, categories)."""
    parameters: Parameters = {
        "project": project,
        "hours": max(1, round(windows.period.total_seconds() / 3600)),
        "current_start": windows.current_start,
        "current_end": windows.current_end,
        "reference_start": windows.reference_start,
        "reference_end": windows.reference_end,
    }
    condition = ""
    if feature:
        condition = "AND feature = {feature:String}"
        parameters["feature"] = feature
    # GROUPING SETS leave a label they do not group by at its default, hence `kind` to tell them apart
    sql = f"""
        SELECT feature, period, service_name, model, prompt_name, prompt_version,
            grouping(service_name) * 4 + grouping(model) * 2 + grouping(prompt_version) AS kind,
            sumForEach(buckets) AS counts, sumMap(categories) AS named
        FROM (
            SELECT toString(feature) AS feature, toString(service_name) AS service_name, toString(model) AS model,
                toString(prompt_name) AS prompt_name, toString(prompt_version) AS prompt_version,
                CAST(buckets, 'Array(UInt64)') AS buckets, categories,
                if(time >= {{current_start:DateTime}} AND time < {{current_end:DateTime}}, 0,
                    1 + intDiv(dateDiff('hour', time, {{reference_end:DateTime}}) - 1, {{hours:UInt32}})) AS period
            FROM drift_features FINAL
            WHERE project = {{project:String}} {condition}
                AND ((time >= {{current_start:DateTime}} AND time < {{current_end:DateTime}})
                    OR (time >= {{reference_start:DateTime}} AND time < {{reference_end:DateTime}}))
        )
        GROUP BY GROUPING SETS ({", ".join(_GROUPS)})
    """  # noqa: S608  (constants of this module; values are bound)
    return sql, parameters


def first_hour(store: Store, project: str) -> datetime | None:
    """Return the first hour of a project with calls (UTC), None when there is none."""
    rows = store.query(
        "SELECT min(time), count() FROM calls_per_hour WHERE project = {project:String} AND calls > 0",
        {"project": project},
    ).rows
    return as_time(rows[0][0]) if rows and as_int(rows[0][1]) else None


def projects_with_calls(store: Store, since: datetime) -> list[str]:
    """Return the projects that had calls since a time (UTC), in order of name."""
    rows = store.query(
        "SELECT DISTINCT project FROM calls_per_hour WHERE time >= {since:DateTime} AND calls > 0 ORDER BY project",
        {"since": since},
    ).rows
    return [str(project) for (project,) in rows]


def total(counts: Counts) -> int:
    """Return how many were counted."""
    return sum(counts.values()) if isinstance(counts, Mapping) else sum(counts)


def added(counts: Sequence[Counts]) -> Counts:
    """Return the sum of counts of one feature."""
    if counts and isinstance(counts[0], Mapping):
        named: dict[str, int] = {}
        for one in counts:
            for name, number in one.items() if isinstance(one, Mapping) else ():
                named[name] = named.get(name, 0) + number
        return named
    longest = max((len(one) for one in counts), default=0)
    summed = [0] * longest
    for one in counts:
        for index, number in enumerate(one if isinstance(one, tuple) else ()):
            summed[index] += number
    return tuple(summed)


def _set_of(kind: int, service: str, model: str, prompt: str, version: str) -> DimensionSet | None:
    """The set that a row of GROUPING SETS is about; None for the calls that have no such label."""
    if kind == 7:
        return ALL
    if kind == 3:
        return DimensionSet(service_name=service) if service else None
    if kind == 5:
        return DimensionSet(model=model) if model else None
    return DimensionSet(prompt_name=prompt, prompt_version=version) if prompt or version else None


def _largest(found: Mapping[tuple[DimensionSet, str], Mapping[int, Counts]]) -> set[DimensionSet]:
    """The sets with most calls in the current window: a project with thousands of prompts stays affordable."""
    calls: dict[DimensionSet, int] = {}
    for (dimension_set, _), periods in found.items():
        now = total(periods.get(CURRENT, ()))
        calls[dimension_set] = max(calls.get(dimension_set, 0), now)
    kept: set[DimensionSet] = set()
    for dimension in ("service", "model", "prompt"):
        ranked = sorted(
            (one for one in calls if one.dimension == dimension and calls[one]),
            key=lambda one: (-calls[one], one),
        )
        kept.update(ranked[:MOST_SETS_PER_DIMENSION])
    return kept


def _counts(feature: str, buckets: object, categories: object) -> Counts:
    if feature in BY_NAME and BY_NAME[feature].kind == "number":
        return tuple(map(as_int, as_list(buckets)))
    named = categories if isinstance(categories, dict) else {}
    return {str(name): as_int(number) for name, number in named.items()}


def _distribution(periods: Mapping[int, Counts]) -> Distribution:
    reference = (periods[number] for number in sorted(periods) if number != CURRENT)
    current = periods.get(CURRENT, ())
    kept = tuple(one for one in reference if total(one))
    return Distribution(current or ({} if kept and isinstance(kept[0], Mapping) else ()), kept)
