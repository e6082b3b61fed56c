"""Why a metric drifts, in words and figures that a page can draw. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from gnomon_collector.drift.rules import NEW_SHARE, Measured, Verdict
from gnomon_collector.drift.samples import AUC, CENTROID, Term
from gnomon_collector.drift.statistics import CRAMERS_V, JENSEN_SHANNON, PSI, WASSERSTEIN
from gnomon_collector.store.drift_catalogue import LABELS, MODEL_VERSION, Feature
from gnomon_collector.store.drift_windows import Counts, Distribution, added, total

Json = Any

WORTH_WORDS: Final = 0.5
"""From this severity on a result is explained: below it nothing happened that a person asks about."""

_MOST_CHANGES: Final = 6
_MOST_KEYS: Final = 6
_QUANTILES: Final = {
    "5th percentile": 0.05,
    "25th percentile": 0.25,
    "median": 0.5,
    "75th percentile": 0.75,
    "95th percentile": 0.95,
}
_NAMES: Final = {
    PSI: "Population stability index",
    WASSERSTEIN: "Wasserstein distance, in standard deviations",
    JENSEN_SHANNON: "Jensen-Shannon distance",
    CRAMERS_V: "Cramér's V",
    AUC: "AUC of a classifier that tells the windows apart",
    CENTROID: "Distance of the centroids",
    NEW_SHARE: "Share answered by a new snapshot",
}


def explain(feature: Feature, found: Distribution, verdict: Verdict) -> dict[str, Json]:
    """Return the explanation of a verdict on counts; see docs/drift.md for its keys."""
    if verdict.missing:
        return {"summary": f"Not enough data: {verdict.missing}.", "missing": verdict.missing}
    if verdict.severity < WORTH_WORDS:
        return {}
    reference = added(found.periods)
    described = _categories if isinstance(found.current, Mapping) else _numbers
    if feature.name == MODEL_VERSION:
        described = _versions
    return {
        **described(feature, reference, found.current, verdict),
        "statistics": statistics(verdict.measured),
    }


def statistics(measured: Sequence[Measured]) -> list[Json]:
    """Return each statistic with its value and threshold, for people."""
    return [
        {
            "name": one.statistic,
            "label": _NAMES[one.statistic],
            "value": round(one.value, 4),
            "threshold": round(one.threshold, 4),
        }
        for one in measured
    ]


def explain_texts(
    metric: str, measured: Sequence[Measured], terms: Sequence[Term],
    current: Sequence[tuple[str, str]], reference: Sequence[tuple[str, str]],
) -> dict[str, Json]:  # fmt: skip
    """Return the explanation of a drift of texts.

    Args:
        terms: what changed most.
        current, reference: (trace id, span id) of typical texts of each window. Ids, not texts: what is
            erased must be gone from here too.
    """
    auc = next((one.value for one in measured if one.statistic == AUC), 0.5)
    grown = [one.term for one in terms if one.current > one.reference][:4]
    shrunk = [one.term for one in terms if one.current <= one.reference][:4]
    parts = [
        f"{LABELS[metric]}: a classifier tells current ones from earlier ones with an AUC of {auc:.2f}"
        " (0.5 is guessing)"
    ]
    parts += [f"more often now: {', '.join(grown)}"] if grown else []
    parts += [f"less often: {', '.join(shrunk)}"] if shrunk else []
    return {
        "kind": "text",
        "summary": "; ".join(parts) + ".",
        "statistics": statistics(measured),
        "terms": [
            {"term": one.term, "reference": round(one.reference, 4), "current": round(one.current, 4)}
            for one in terms
        ],
        "examples": {
            "current": [list(one) for one in current],
            "reference": [list(one) for one in reference],
        },
    }


def quantile(feature: Feature, counts: Counts, q: float) -> float | None:
    """Return the `q` quantile of a number from its buckets, values taken to be even within a bucket."""
    rows = counts if isinstance(counts, tuple) else ()
    rank, below = q * sum(rows), 0
    for bucket, count in enumerate(rows, start=1):
        if count and below + count >= rank:
            low, high = feature.scale.lower_bound(bucket), feature.scale.lower_bound(bucket + 1)
            return low + (high - low) * (rank - below) / count
        below += count
    return None


def amount(value: float | None, unit: str) -> str:
    """Return a value with its unit as people read it."""
    if value is None:
        return "–"
    if unit == "ms":
        return f"{value:,.0f} ms" if value < 1000 else f"{value / 1000:,.1f} s"
    if unit == "USD":
        # by Decimal: two digits of a small amount, but no 6.7e-05
        return f"${value:,.2f}" if value >= 1 else f"${Decimal(f'{value:.2g}'):f}"
    if unit == "score":
        return f"{value:.2f}"
    return f"{value:,.0f} {unit}"


def _numbers(feature: Feature, reference: Counts, current: Counts, verdict: Verdict) -> dict[str, Json]:
    figures = {
        name: {label: quantile(feature, counts, q) for label, q in _QUANTILES.items()}
        for name, counts in (("reference", reference), ("current", current))
    }
    before, after = figures["reference"], figures["current"]
    most = max(
        (label for label in _QUANTILES if label != "median"), key=lambda at: _ratio(before[at], after[at])
    )
    words = ", ".join(f"{at} {_from_to(before[at], after[at], feature.unit)}" for at in ("median", most))
    keys = _grown_keys(_shares(reference), _shares(current))
    return {"kind": "number", "summary": f"{feature.label}: {words}.", **figures, "keys": keys}


def _categories(feature: Feature, reference: Counts, current: Counts, verdict: Verdict) -> dict[str, Json]:
    before, after = _shares(reference), _shares(current)
    names = sorted(before | after, key=lambda name: -abs(after.get(name, 0) - before.get(name, 0)))
    told = [name for name in names if name != feature.usual] or names
    words = ", ".join(
        f"{name} {_percent(before.get(name, 0))} → {_percent(after.get(name, 0))}" for name in told[:3]
    )
    return {
        "kind": "category",
        "summary": f"{feature.label}: {words}.",
        "changes": [
            {
                "category": name,
                "reference": round(before.get(name, 0), 5),
                "current": round(after.get(name, 0), 5),
            }
            for name in names[:_MOST_CHANGES]
        ],
        "keys": _grown_keys(before, after),
    }


def _versions(feature: Feature, reference: Counts, current: Counts, verdict: Verdict) -> dict[str, Json]:
    explained = _categories(feature, reference, current, verdict)
    new = verdict.new or tuple(str(one) for one in explained["keys"])
    pairs = [(asked, answered) for asked, _, answered in (name.partition(" → ") for name in new)]
    words = ", ".join(
        f"{asked} now answers as {answered}, which it never did in the reference" for asked, answered in pairs
    )
    return {
        **explained,
        "summary": f"{words[:1]}{words[1:]}." if words else explained["summary"],
        "keys": list(new),
    }


def _shares(counts: Counts) -> dict[str, float]:
    """Shares by category, or by bucket number (1-based) as text."""
    everything = max(1, total(counts))
    if isinstance(counts, Mapping):
        return {name: number / everything for name, number in counts.items() if number}
    return {str(bucket): number / everything for bucket, number in enumerate(counts, start=1) if number}


def _grown_keys(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """The buckets or categories whose share grew most: calls in them show what is new."""
    grown = {name: share - before.get(name, 0) for name, share in after.items()}
    return [name for name in sorted(grown, key=lambda name: -grown[name])[:_MOST_KEYS] if grown[name] > 0]


def _from_to(before: float | None, after: float | None, unit: str) -> str:
    first = amount(before, unit).removesuffix(f" {unit}") if unit != "ms" else amount(before, unit)
    return f"{first} → {amount(after, unit)}{_relative(before, after)}"


def _ratio(before: float | None, after: float | None) -> float:
    """How far apart two values are, as a factor of 1 and more."""
    low, high = sorted((max(before or 0, 1e-9), max(after or 0, 1e-9)))
    return high / low


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _relative(before: float | None, after: float | None) -> str:
    if not before or after is None or before <= 0:
        return ""
    return f" ({(after / before - 1) * 100:+.0f} %)"
