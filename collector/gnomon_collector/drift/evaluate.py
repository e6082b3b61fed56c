"""One evaluation: from the store's counts and samples of two windows to results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gnomon_collector.drift import rules, samples
from gnomon_collector.drift.explain import WORTH_WORDS, explain, explain_texts, statistics
from gnomon_collector.drift.rules import Measured, state_after
from gnomon_collector.drift.samples import SampleDrift, Samples
from gnomon_collector.store import drift_samples
from gnomon_collector.store.drift_catalogue import BY_NAME
from gnomon_collector.store.drift_results import DriftResult
from gnomon_collector.store.drift_windows import ALL, DimensionSet, Distribution, Windows, distributions
from gnomon_collector.store.engine import Store

States = Mapping[tuple[DimensionSet, str], str]
"""State of each metric of each dimension set at the evaluation before."""

MOST_TEXT_SETS: Final = 4
_EXAMPLES: Final = 5
_FIELDS: Final[tuple[drift_samples.TextField, ...]] = ("input_text", "output_text")


def evaluate_counts(
    store: Store, project: str, windows: Windows, before: States, only: DimensionSet | None = None
) -> list[DriftResult]:
    """Return the results of every counted feature, dimension set by dimension set.

    Args:
        before: states of the evaluation an hour before.
        only: leave out other dimension sets.
    """
    found = distributions(store, project, windows, only)
    wanted = {key: one for key, one in found.items() if only is None or key[0] == only}
    return [_count_result(*key, windows, one, before.get(key, "")) for key, one in sorted(wanted.items())]


def evaluate_texts(
    store: Store, project: str, windows: Windows, sets: Sequence[DimensionSet], before: States
) -> list[DriftResult]:
    """Return the results of texts of the given dimension sets, and of embeddings of the whole project."""
    drawn = [_drawn_texts(store, project, windows, one, field) for one in sets for field in _FIELDS]
    drawn += [_drawn_vectors(store, project, windows)] if ALL in sets else []
    drawn = [one for one in drawn if one.reference or one.current]
    found = iter(samples.compared([one.samples for one in drawn if not one.missing]))
    return [_drawn_result(one, None if one.missing else next(found), windows, before) for one in drawn]


def text_sets(results: Sequence[DriftResult]) -> list[DimensionSet]:
    """Return the dimension sets whose texts are looked at: everything, and the services with most calls."""
    calls = {
        one.dimension_set: one.current_count
        for one in results
        if one.metric == "error" and one.dimension_set.dimension == "service"
    }
    ranked = sorted(calls, key=lambda one: (-calls[one], one))
    # one service is everything
    return [ALL, *(ranked[: MOST_TEXT_SETS - 1] if len(ranked) > 1 else [])]


def nothing_counted(windows: Windows) -> DriftResult:
    """Return what stands for an evaluation of windows without any call, so that it is not done again."""
    missing = {"summary": "Not enough data: no call in either window.", "missing": "no call in either window"}
    return _result(ALL, "error", windows, (), (0, 0), lambda: missing, "")


def _count_result(
    dimension_set: DimensionSet, metric: str, windows: Windows, found: Distribution, before: str
) -> DriftResult:
    feature = BY_NAME[metric]
    verdict = rules.judge(feature, found)
    return _result(
        dimension_set,
        metric,
        windows,
        verdict.measured,
        (verdict.reference_count, verdict.current_count),
        lambda: explain(feature, found, verdict),
        before,
    )


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What was drawn from the two windows for one metric.

    Attributes:
        missing: why it cannot be compared; empty where it can.
    """

    dimension_set: DimensionSet
    metric: str
    reference: Sequence[drift_samples.Text] | Sequence[drift_samples.Vector]
    current: Sequence[drift_samples.Text] | Sequence[drift_samples.Vector]
    samples: Samples
    missing: Mapping[str, str]


def _drawn_texts(
    store: Store, project: str, windows: Windows, dimension_set: DimensionSet, field: drift_samples.TextField
) -> _Drawn:
    reference, current = (
        drift_samples.texts(store, project, dimension_set, field, start, end, samples.SAMPLE)
        for start, end in _edges(windows)
    )
    both = Samples([one.text for one in reference], [one.text for one in current])
    missing = _missing(len(reference), len(current), "texts")
    return _Drawn(dimension_set, field, reference, current, both, missing)


def _drawn_vectors(store: Store, project: str, windows: Windows) -> _Drawn:
    reference, current = (
        drift_samples.vectors(store, project, start, end, samples.SAMPLE) for start, end in _edges(windows)
    )
    both = Samples([one.values for one in reference], [one.values for one in current])
    missing = _missing(len(reference), len(current), "embeddings") or _unlike(reference, current)
    return _Drawn(ALL, "embedding", reference, current, both, missing)


def _drawn_result(drawn: _Drawn, found: SampleDrift | None, windows: Windows, before: States) -> DriftResult:
    def explained() -> Mapping[str, object]:
        if found is None:
            return drawn.missing
        return explain_texts(
            drawn.metric,
            found.measured,
            found.terms,
            _ids(drawn.current, found.typical_current),
            _ids(drawn.reference, found.typical_reference),
        )

    return _result(
        drawn.dimension_set,
        drawn.metric,
        windows,
        found.measured if found else (),
        (len(drawn.reference), len(drawn.current)),
        explained,
        before.get((drawn.dimension_set, drawn.metric), ""),
    )


def _ids(
    drawn: Sequence[drift_samples.Text] | Sequence[drift_samples.Vector], typical: Sequence[int]
) -> list[tuple[str, str]]:
    return [(drawn[at].trace_id, drawn[at].span_id) for at in typical[:_EXAMPLES]]


def _result(
    dimension_set: DimensionSet,
    metric: str,
    windows: Windows,
    measured: Sequence[Measured],
    counts: tuple[int, int],
    explained: Callable[[], Mapping[str, object]],
    before: str,
) -> DriftResult:
    decisive = max(measured, key=lambda one: one.severity, default=None)
    severity = decisive.severity if decisive else 0.0
    state = state_after(severity if decisive else None, before)
    explanation = dict(explained()) if decisive is None or severity >= WORTH_WORDS else {}
    if state in ("breach", "drift") and "statistics" not in explanation:
        explanation["statistics"] = statistics(measured)
    return DriftResult(
        dimension_set,
        metric,
        windows,
        decisive.statistic if decisive else "",
        decisive.value if decisive else 0.0,
        decisive.threshold if decisive else 0.0,
        severity,
        state,
        *counts,
        explanation,
    )


def _edges(windows: Windows) -> tuple[tuple[datetime, datetime], tuple[datetime, datetime]]:
    return (
        (windows.reference_start, windows.reference_end),
        (windows.current_start, windows.current_end),
    )


def _missing(reference: int, current: int, what: str) -> dict[str, str]:
    least = samples.LEAST_TEXTS
    for count, where in ((current, "current window"), (reference, "reference")):
        if count < least:
            words = f"{count} of {least} {what} (one a session) in the {where}"
            return {"summary": f"Not enough data: {words}.", "missing": words}
    return {}


def _unlike(
    reference: Sequence[drift_samples.Vector], current: Sequence[drift_samples.Vector]
) -> dict[str, str]:
    before, now = len(reference[0].values), len(current[0].values)
    if before == now:
        return {}
    words = f"embeddings had {before} dimensions and have {now} now: they cannot be compared"
    return {"summary": f"Not enough data: {words}.", "missing": words}
