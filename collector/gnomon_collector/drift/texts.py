"""Drift of texts and embeddings, on samples: can a classifier tell the current ones from the earlier? Pure.

Texts become vectors of hashed character n-grams (no model to download, any language), embeddings are taken as
they were captured. Two statistics look at them: the distance of the centroids, and the area under the ROC
curve (AUC) of a cross-validated classifier that has to guess the window of a text: 0.5 where nothing changed,
1 where every text gives itself away. Both are held against the same with the windows shuffled.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final, TypeAlias

import numpy as np
from scipy.spatial.distance import cosine
from sklearn.decomposition import TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.feature_selection import chi2
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from gnomon_collector.drift.explain import WORTH_WORDS
from gnomon_collector.drift.rules import Measured
from gnomon_collector.drift.samples import AUC, CENTROID, SampleDrift, Samples, Term

Matrix: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Labels: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

AUC_EFFECT: Final = 0.6
CENTROID_EFFECT: Final = 0.1

_NGRAMS: Final = (3, 4)
_HASHED: Final = 2**14
_DIMENSIONS: Final = 24
_FOLDS: Final = 5
_SHUFFLES: Final = 20
_DEVIATIONS: Final = 3.5
_TERMS: Final = 8
_LEAST_TERM_SHARE: Final = 0.02
_LEAST_TERM_TEXTS: Final = 5
_SEED: Final = 7
_WORD: Final = r"(?u)\b[^\W\d_]{2,}\b"
_DIGITS: Final = re.compile(r"\d")


def main() -> None:
    """Compare pairs of samples: JSON on standard input, their drifts as JSON on standard output."""
    os.nice(10)  # an answer every few hours: whoever looks at a page goes first
    pairs = [Samples(**one) for one in json.load(sys.stdin)]
    json.dump([asdict(drift_of(one)) for one in pairs], sys.stdout)


def drift_of(samples: Samples) -> SampleDrift:
    """Return how far two samples lie apart, and the terms that explain it where texts did change."""
    if not isinstance(samples.reference[0], str):
        return compare(embedding_vectors([*samples.reference, *samples.current]), len(samples.reference))
    reference, current = ([str(text) for text in texts] for texts in (samples.reference, samples.current))
    found = compare(text_vectors([*reference, *current]), len(reference))
    if max(one.severity for one in found.measured) < WORTH_WORDS:
        return found
    return replace(found, terms=tuple(top_terms(reference, current)))


def text_vectors(texts: Sequence[str]) -> Matrix:
    """Return texts as vectors: hashed character n-grams, reduced by a singular value decomposition.

    Digits count as one, so that order numbers and dates do not tell a day from the next.
    """
    hashed = HashingVectorizer(
        analyzer="char_wb", ngram_range=_NGRAMS, n_features=_HASHED, alternate_sign=False, lowercase=True
    ).transform([_DIGITS.sub("0", text) for text in texts])
    return _reduced(hashed)


def embedding_vectors(vectors: Sequence[Sequence[float]]) -> Matrix:
    """Return captured embeddings, of length 1 and reduced to as many dimensions as texts have."""
    matrix = normalize(np.asarray(vectors, dtype=np.float64))
    return matrix if matrix.shape[1] <= _DIMENSIONS else _reduced(matrix)


def compare(vectors: Matrix, reference_count: int, *, shuffles: int = _SHUFFLES) -> SampleDrift:
    """Return how far two samples lie apart.

    Args:
        vectors: a row per item, those of the reference first.
        reference_count: how many those are; each sample needs `LEAST_TEXTS`.
        shuffles: of the windows, for the thresholds.
    """
    labels = np.arange(len(vectors)) >= reference_count
    scores = _guesses(vectors, labels)
    auc, centroid = float(roc_auc_score(labels, scores)), _centroid_distance(vectors, labels)
    # only where there is something to doubt, for it costs a classifier per shuffle
    is_suspect = auc >= AUC_EFFECT or centroid >= CENTROID_EFFECT
    by_chance = _shuffled(vectors, labels, shuffles) if is_suspect else []
    auc_threshold = max(AUC_EFFECT, _beyond([one for one, _ in by_chance]))
    centroid_threshold = max(CENTROID_EFFECT, _beyond([one for _, one in by_chance]))
    order = np.argsort(scores, kind="stable")
    return SampleDrift(
        measured=(
            Measured(AUC, auc, auc_threshold, none=0.5),
            Measured(CENTROID, centroid, centroid_threshold),
        ),
        typical_current=tuple(int(at) - reference_count for at in order[::-1] if at >= reference_count),
        typical_reference=tuple(int(at) for at in order if at < reference_count),
    )


def top_terms(reference: Sequence[str], current: Sequence[str]) -> list[Term]:
    """Return the words and pairs of words whose share of texts changed most, the strongest first.

    Only what several texts have in common is named, never what one user wrote.
    """
    masked = [_DIGITS.sub("0", text) for text in (*reference, *current)]
    least = max(_LEAST_TERM_TEXTS, round(_LEAST_TERM_SHARE * min(len(reference), len(current))))
    counter = CountVectorizer(
        binary=True, ngram_range=(1, 2), min_df=least, token_pattern=r"(?u)\b[^\W\d_]{2,}\b"
    )
    try:
        counted = counter.fit_transform(masked)
    except ValueError:
        # sklearn's answer to texts without any word that is frequent enough
        return []
    labels = np.arange(len(masked)) >= len(reference)
    strength, _ = chi2(counted, labels)
    before = np.asarray(counted[~labels].mean(axis=0)).ravel()
    after = np.asarray(counted[labels].mean(axis=0)).ravel()
    names = counter.get_feature_names_out()
    ranked = sorted(range(len(names)), key=lambda at: (-strength[at], names[at]))
    chosen: list[Term] = []
    for at in ranked:
        if not any(_contains(one.term, str(names[at])) for one in chosen):
            chosen.append(Term(str(names[at]), float(before[at]), float(after[at])))
        if len(chosen) == _TERMS:
            break
    return chosen


def _contains(one: str, other: str) -> bool:
    return bool(set(one.split()) & set(other.split()))


def _reduced(matrix: Any) -> Matrix:
    dimensions = min(_DIMENSIONS, matrix.shape[0] - 1, matrix.shape[1] - 1)
    # Matrices this small are slower on several threads, by a factor of 5 beside other work.
    with threadpool_limits(1):
        reduced: Matrix = TruncatedSVD(dimensions, random_state=_SEED).fit_transform(matrix)
    return reduced


def _guesses(vectors: Matrix, labels: Labels) -> Matrix:
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=_SEED)
    classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1, priors=[0.5, 0.5])
    with threadpool_limits(1):
        guesses: Matrix = cross_val_predict(classifier, vectors, labels, cv=folds, method="decision_function")
    return guesses


def _shuffled(vectors: Matrix, labels: Labels, shuffles: int) -> list[tuple[float, float]]:
    """Both statistics with the windows dealt out at random, again and again."""
    rng = np.random.default_rng(_SEED)
    dealt = [rng.permutation(labels) for _ in range(shuffles)]
    return [
        (float(roc_auc_score(one, _guesses(vectors, one))), _centroid_distance(vectors, one)) for one in dealt
    ]


def _centroid_distance(vectors: Matrix, labels: Labels) -> float:
    return float(cosine(vectors[~labels].mean(axis=0), vectors[labels].mean(axis=0)))


def _beyond(values: Sequence[float]) -> float:
    return float(np.mean(values) + _DEVIATIONS * np.std(values)) if values else 0.0


if __name__ == "__main__":
    main()
