"""One evaluation: from the store's counts and samples of two windows to results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from gnomon_collector.drift import rules, texts
from gnomon_collector.drift.explain import WORTH_WORDS, explain, explain_texts, statistics
from gnomon_collector.drift.rules import Measured, state_after
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
    results = [_text_result(store, project, windows, one, field, before) for one in sets for field in _FIELDS]
    embedded = _embedding_result(store, project, windows, before) if ALL in sets else None
    return [one for one in (*results, embedded) if one is not None]


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


def _text_result(
    store: Store,
    project: str,
    windows: Windows,
    dimension_set: DimensionSet,
    field: drift_samples.TextField,
    before: States,
) -> DriftResult | None:
    reference, current = (
        drift_samples.texts(store, project, dimension_set, field, start, end, texts.SAMPLE)
        for start, end in _edges(windows)
    )
    if not reference and not current:
        return None
    state = before.get((dimension_set, field), "")
    missing = _missing_texts(len(reference), len(current), "texts")
    counts = (len(reference), len(current))
    if missing:
        return _result(dimension_set, field, windows, (), counts, lambda: missing, state)
    old, new = [one.text for one in reference], [one.text for one in current]
    found = texts.compare(texts.text_vectors([*old, *new]), len(old))

    def explained() -> dict[str, object]:
        return explain_texts(
            field,
            found.measured,
            texts.top_terms(old, new),
            [(current[at].trace_id, current[at].span_id) for at in found.typical_current[:_EXAMPLES]],
            [(reference[at].trace_id, reference[at].span_id) for at in found.typical_reference[:_EXAMPLES]],
        )

    return _result(dimension_set, field, windows, found.measured, counts, explained, state)


def _embedding_result(store: Store, project: str, windows: Windows, before: States) -> DriftResult | None:
    reference, current = (
        drift_samples.vectors(store, project, start, end, texts.SAMPLE) for start, end in _edges(windows)
    )
    if not reference and not current:
        return None
    state = before.get((ALL, "embedding"), "")
    counts = (len(reference), len(current))
    missing = _missing_vectors(reference, current)
    if missing:
        return _result(ALL, "embedding", windows, (), counts, lambda: missing, state)
    both = [one.values for one in (*reference, *current)]
    found = texts.compare(texts.embedding_vectors(both), len(reference))

    def explained() -> dict[str, object]:
        return explain_texts(
            "embedding",
            found.measured,
            [],
            [(current[at].trace_id, current[at].span_id) for at in found.typical_current[:_EXAMPLES]],
            [(reference[at].trace_id, reference[at].span_id) for at in found.typical_reference[:_EXAMPLES]],
        )

    return _result(ALL, "embedding", windows, found.measured, counts, explained, state)


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


def _missing_texts(reference: int, current: int, what: str) -> dict[str, str]:
    least = texts.LEAST_TEXTS
    for count, where in ((current, "current window"), (reference, "reference")):
        if count < least:
            words = f"{count} of {least} {what} (one a session) in the {where}"
            return {"summary": f"Not enough data: {words}.", "missing": words}
    return {}


def _missing_vectors(
    reference: Sequence[drift_samples.Vector], current: Sequence[drift_samples.Vector]
) -> dict[str, str]:
    missing = _missing_texts(len(reference), len(current), "embeddings")
    if not missing and len(reference[0].values) != len(current[0].values):
        words = (
            f"embeddings had {len(reference[0].values)} dimensions and have {len(current[0].values)} now:"
            " they cannot be compared"
        )
        return {"summary": f"Not enough data: {words}.", "missing": words}
    return missing
