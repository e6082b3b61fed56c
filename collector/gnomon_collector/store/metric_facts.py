"""Fact rows of the metric catalogue: what each kind of source yields for a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from gnomon_collector.store.metric_scores import score_facts, scored_call_facts
from gnomon_schemas.metrics import (
    CALL_FACTS,
    Highest,
    Mean,
    Metric,
    Quantile,
    Rate,
    Source,
    Sum,
    WeightedMean,
    metric,
)

Key: TypeAlias = tuple[str, ...]
"""Project, then the values of the dimensions that are grouped by."""


@dataclass(frozen=True)
class Ask:
    """What to compute.

    Attributes:
        projects: at least one
        metric: a name of the catalogue
        filter: dimension → values of which one must match
        group_by: dimensions
        quantile_z: half width of the interval of a quantile, in standard deviations; None for no interval
        slower_than_ms: compute the share of calls slower than this instead of the metric's own figure
        by_second: the windows do not begin and end with whole minutes
    """

    projects: tuple[str, ...]
    metric: str
    filter: Mapping[str, Sequence[str]] = field(default_factory=dict)
    group_by: tuple[str, ...] = ()
    quantile_z: float | None = None
    slower_than_ms: float | None = None
    by_second: bool = False

    @property
    def source(self) -> Source:
        """The kind of facts that it is read from.

        Raises:
            ValueError: the metric cannot be grouped or filtered so
        """
        found = metric(self.metric)
        dimensions = tuple(dict.fromkeys((*self.group_by, *self.filter)))
        source = found.source_for(dimensions)
        return "calls" if self.by_second and source == "rollup" else source


@dataclass(frozen=True)
class Window:
    """A span of time: `start` inclusive, `end` exclusive, UTC."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start).total_seconds()


def fact_rows(ask: Ask, start: datetime, end: datetime, table: str) -> tuple[str, dict[str, object]]:
    """Return SQL of fact rows: project, time, the dimensions asked for, and the columns of the metric's form.

    Args:
        table: the rollup to read, where a rollup is the source
    """
    found = metric(ask.metric)
    parameters: dict[str, object] = {"projects": list(ask.projects), "facts_start": start, "facts_end": end}
    conditions = []
    for place, (dimension, values) in enumerate(ask.filter.items()):
        if dimension not in found.dimensions:
            raise ValueError(f"{found.name} cannot be filtered by {dimension!r}.")
        conditions.append(f"{dimension} IN {{filter_{place}:Array(String)}}")
        parameters[f"filter_{place}"] = list(values)
    also = "".join(f" AND {one}" for one in conditions)
    build = {
        "rollup": _rollup_facts,
        "calls": _call_facts,
        "scores": _score_facts,
        "scored_calls": _scored_call_facts,
        "drift": _drift_facts,
        "queue": _queue_facts,
    }
    return build[ask.source](found, tuple(ask.group_by), also, table, parameters), parameters


_IN_TIME: Final = (
    "project IN {projects:Array(String)} AND {time} >= {facts_start:DateTime64(3, 'UTC')}"
    " AND {time} < {facts_end:DateTime64(3, 'UTC')}"
)


def _within(time: str) -> str:
    return _IN_TIME.replace("{time}", time)


def _rollup_facts(found: Metric, groups: Key, also: str, table: str, parameters: dict[str, object]) -> str:
    return f"SELECT * FROM {table} FINAL WHERE {_within('time')} AND calls > 0{also}"  # noqa: S608


def _call_facts(found: Metric, groups: Key, also: str, table: str, parameters: dict[str, object]) -> str:
    needed = [name for name in CALL_FACTS if name in {"time", "calls"} or name in _names_of(found)]
    inner = ", ".join(f"{CALL_FACTS[name]} AS fact_{name}" for name in needed)
    outer = ", ".join(f"fact_{name} AS {name}" for name in needed)
    labels = dict.fromkeys(("project", *groups, *(_LABELS_OF_FORMS & set(_names_of(found)))))
    # two steps, so that no name means the column in one expression and the fact in the next
    return (
        f"SELECT {', '.join(labels)}, {outer} FROM (SELECT {', '.join(labels)}, {inner}"  # noqa: S608
        f" FROM calls WHERE {_within('start_time')}{also})"
    )


_LABELS_OF_FORMS: Final = {"status", "cache_status", "fallback_of"}


def _names_of(found: Metric) -> set[str]:
    """The names in the expressions of a form."""
    match found.form:
        case Sum(expression) | Highest(expression):
            text = expression
        case Quantile(expression=expression):
            text = f"{expression} duration_ms"
        case Rate(numerator, denominator) | Mean(numerator, denominator):
            text = f"{numerator} {denominator}"
        case WeightedMean(value, weight):
            text = f"{value} {weight}"
    return set("".join(letter if letter.isalnum() or letter == "_" else " " for letter in text).split())


def _score_facts(found: Metric, groups: Key, also: str, table: str, parameters: dict[str, object]) -> str:
    return score_facts(found, also, parameters)


def _scored_call_facts(
    found: Metric, groups: Key, also: str, table: str, parameters: dict[str, object]
) -> str:
    return scored_call_facts(found, also, parameters)


def _drift_facts(found: Metric, groups: Key, also: str, table: str, parameters: dict[str, object]) -> str:
    parameters["drift_metric"] = found.parameter
    # statistics have thresholds of their own, so what compares is the severity; 1 is drift: two breaches in a row
    return (
        "SELECT project, time, service_name, model, prompt_name, prompt_version,"  # noqa: S608
        " if(state = 'drift', greatest(1, severity), least(0.99, severity)) AS value"
        f" FROM drift_results FINAL WHERE {_within('time')} AND metric = {{drift_metric:String}}"
        f" AND state != 'not_enough_data'{also}"
    )


def _queue_facts(found: Metric, groups: Key, also: str, table: str, parameters: dict[str, object]) -> str:
    # What waits, waits now: it belongs to every window.
    return (
        "SELECT project, subtractSeconds({facts_end:DateTime64(3, 'UTC')}, 1) AS time,"
        " dateDiff('second', greatest(planned_at, not_before), {facts_end:DateTime64(3, 'UTC')}) AS waiting_s"
        " FROM judge_tasks FINAL WHERE project IN {projects:Array(String)} AND state = 'waiting'"
        " AND planned_at >= {facts_start:DateTime64(3, 'UTC')} - INTERVAL 7 DAY"
        " AND planned_at < {facts_end:DateTime64(3, 'UTC')}"
    )
