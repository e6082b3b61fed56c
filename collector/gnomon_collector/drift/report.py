"""What drifts at one moment: the evaluation that the job stores, and the report that a person asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from gnomon_collector.drift.evaluate import evaluate_counts, evaluate_texts, nothing_counted, text_sets
from gnomon_collector.drift.plan import Plan, windows_at
from gnomon_collector.errors import BadRequest
from gnomon_collector.store import drift_results
from gnomon_collector.store.drift_features import refresh
from gnomon_collector.store.drift_results import DriftResult
from gnomon_collector.store.drift_windows import DimensionSet, Windows, first_hour
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.filters import floor_time

Json = Any

HOUR: Final = timedelta(hours=1)
STATES: Final = ("drift", "breach", "not_enough_data", "ok")
"""The most worrying first."""


@dataclass(frozen=True)
class Report:
    """The newest state of a project, the most severe result first."""

    project: str
    windows: Windows
    results: Sequence[DriftResult] = field(default=())

    @property
    def worst(self) -> str:
        """The most worrying state of all results; ``not_enough_data`` where there is none."""
        found = {one.state for one in self.results} - {"not_enough_data"}
        return next((state for state in STATES if state in found), "not_enough_data")


def evaluation(store: Store, project: str, plan: Plan, end: datetime) -> tuple[Windows, list[DriftResult]]:
    """Return the results of all counts at a whole hour (UTC), after the stored ones of the hour before."""
    windows = windows_at(store, project, plan, end)
    before = drift_results.states_at(store, project, end - HOUR)
    return windows, evaluate_counts(store, project, windows, before) or [nothing_counted(windows)]


def text_evaluation(
    store: Store, project: str, windows: Windows, counted: Sequence[DriftResult], before: datetime
) -> list[DriftResult]:
    """Return the results of texts and embeddings, after the stored ones of an earlier evaluation (UTC)."""
    states = drift_results.states_at(store, project, before)
    return evaluate_texts(store, project, windows, text_sets(counted), states)


def report(
    store: Store,
    project: str,
    plan: Plan,
    at: datetime,
    *,
    only: DimensionSet | None = None,
    with_texts: bool = True,
) -> Report:
    """Evaluate a project as of now, whatever the job has done, and store nothing but the counts.

    A metric is in the state ``drift`` when it breaches both at the end of the hour of `at` and an hour
    before.

    Args:
        at: the current window ends with the hour of this moment (UTC).
        only: look at one dimension set.
        with_texts: look at samples of texts and embeddings too.

    Raises:
        BadRequest: the project has no calls before that.
    """
    end = floor_time(at, 3600) + (HOUR if at > floor_time(at, 3600) else timedelta())
    first = first_hour(store, project)
    if first is None or first >= end:
        raise BadRequest(f"Project {project!r} has no model calls before {end:%Y-%m-%d %H:%M} UTC.")
    windows = windows_at(store, project, plan, end)
    refresh(store, project, min(windows.reference_start, windows.current_start) - HOUR, end)
    earlier = windows_at(store, project, plan, end - HOUR)
    before = _states(evaluate_counts(store, project, earlier, {}, only))
    results = evaluate_counts(store, project, windows, before, only)
    if with_texts:
        sets = [only] if only else text_sets(results)
        before = _states(evaluate_texts(store, project, earlier, sets, {}))
        results += evaluate_texts(store, project, windows, sets, before)
    return Report(project, windows, sorted(results, key=_by_weight))


def as_json(found: Report) -> dict[str, Json]:
    """Return a report as plain JSON; times are ISO 8601 in UTC."""
    windows = found.windows
    return {
        "project": found.project,
        "worst": found.worst,
        "current": _span(windows.current_start, windows.current_end),
        "reference": _span(windows.reference_start, windows.reference_end),
        "results": [_result_json(one) for one in found.results],
    }


def _result_json(one: DriftResult) -> dict[str, Json]:
    return {
        **asdict(one.dimension_set),
        "set": one.dimension_set.label,
        "metric": one.metric,
        "state": one.state,
        "statistic": one.statistic,
        "value": round(one.value, 5),
        "threshold": round(one.threshold, 5),
        "severity": round(one.severity, 3),
        "reference_count": one.reference_count,
        "current_count": one.current_count,
        "explanation": dict(one.explanation),
    }


def _states(results: Sequence[DriftResult]) -> Mapping[tuple[DimensionSet, str], str]:
    return {(one.dimension_set, one.metric): one.state for one in results}


def _by_weight(one: DriftResult) -> tuple[int, float, DimensionSet, str]:
    return STATES.index(one.state), -one.severity, one.dimension_set, one.metric


def _span(start: datetime, end: datetime) -> dict[str, str]:
    return {"start": start.isoformat(), "end": end.isoformat()}
