"""Estimates: the interval holds what it promises, and the weights mend what the boosts distort."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from gnomon_collector.store.quality_estimates import (
    NOTHING,
    Estimate,
    Sums,
    difference,
    estimate,
    share,
    sums_of,
    total,
)

WORLDS = 1_000
Floats = NDArray[np.float64]


def world(
    seed: int, mean: float, answers: int, boosted: float, rate: float, turns: int, middle: bool
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Values, probabilities and conversations of a sample, in which bad answers are boosted as far as they show."""
    rng = np.random.default_rng(seed)
    conversation = np.repeat(np.arange(answers // turns), turns)
    quality = np.full(len(conversation), mean)
    if turns > 1:
        quality = rng.beta(mean * 8, (1 - mean) * 8, answers // turns)[conversation]
    value = (rng.random(len(conversation)) < quality).astype(float)
    shows = rng.random(len(conversation)) < np.where(value < 1, 0.6, 0.05)
    if middle:
        value = np.where((value == 0) & (rng.random(len(conversation)) < 0.5), 0.5, value)
    probability = np.where(shows, boosted, rate)
    drawn = rng.random(len(conversation)) < probability
    return value[drawn], probability[drawn], conversation[drawn]


def fast_sums(value: Floats, probability: Floats, conversation: NDArray[np.int64]) -> Sums:
    """What `sums_of` gives, by numpy: 7,000 worlds would take minutes otherwise."""
    weight = 1 / probability
    _, at = np.unique(conversation, return_inverse=True)
    a, b = np.bincount(at, weight * value), np.bincount(at, weight)
    fourth = ((a**4).sum(), (a**3 * b).sum(), (a * a * b * b).sum(), (a * b**3).sum(), (b**4).sum())
    return Sums(
        len(value),
        len(a),
        weight.sum(),
        (weight * value).sum(),
        (a * a).sum(),
        (a * b).sum(),
        (b * b).sum(),
        fourth,
    )


@pytest.mark.parametrize(
    ("mean", "answers", "boosted", "rate", "turns", "middle"),
    [
        (0.9, 20_000, 1.0, 0.02, 1, False),
        (0.95, 4_000, 1.0, 0.05, 1, False),
        (0.8, 3_000, 1.0, 0.1, 1, False),
        (0.7, 6_000, 0.5, 0.05, 3, False),
        (0.9, 5_000, 0.5, 0.1, 4, True),
        (0.5, 1_000, 0.2, 0.2, 1, False),
        (0.97, 20_000, 1.0, 0.02, 2, False),
    ],
)
def test_the_interval_holds_the_truth_in_95_of_100_worlds(
    mean: float, answers: int, boosted: float, rate: float, turns: int, middle: bool
) -> None:
    truth = mean + (1 - mean) * 0.25 if middle else mean
    found, naive = [], []
    for seed in range(WORLDS):
        value, probability, conversation = world(seed, mean, answers, boosted, rate, turns, middle)
        found.append(estimate(fast_sums(value, probability, conversation)))
        naive.append(float(value.mean()))
    covered = sum(one.low <= truth <= one.high for one in found) / WORLDS
    means = [one.mean for one in found if one.mean is not None]
    assert 0.93 <= covered <= 0.97
    assert abs(np.mean(means) - truth) < 0.003
    if boosted > rate:
        assert np.mean(naive) < truth - 0.02, "the mean of whatever was looked at is biased"


def test_the_difference_of_two_holds_too() -> None:
    covered = 0
    for seed in range(WORLDS):
        first = estimate(fast_sums(*world(seed, 0.9, 3_000, 1.0, 0.1, 1, False)))
        second = estimate(fast_sums(*world(seed + WORLDS, 0.84, 2_000, 1.0, 0.1, 1, False)))
        found = difference(first, second)
        covered += found.low <= -0.06 <= found.high
    assert 0.93 <= covered / WORLDS <= 0.97


def test_sums_answer_by_answer_and_by_numpy_are_the_same() -> None:
    value, probability, conversation = world(1, 0.8, 600, 1.0, 0.2, 3, True)
    slow = sums_of(value.tolist(), probability.tolist(), conversation.tolist())
    fast = fast_sums(value, probability, conversation)
    assert slow.fourth == pytest.approx(fast.fourth)
    assert [slow.count, slow.clusters, slow.w, slow.wy, slow.aa, slow.ab, slow.bb] == pytest.approx(
        [fast.count, fast.clusters, fast.w, fast.wy, fast.aa, fast.ab, fast.bb]
    )


def test_nothing_and_next_to_nothing() -> None:
    assert estimate(Sums()) == NOTHING
    one = estimate(sums_of([1.0], [0.5], ["a"]))
    assert (one.mean, one.low, one.high) == (1.0, 0.0, 1.0) and not one.is_enough
    assert difference(NOTHING, one).value is None


def test_all_good_is_not_certainly_good() -> None:
    found = estimate(sums_of([1.0] * 40, [1.0] * 40, list(range(40))))
    assert found.mean == 1.0 and 0.88 < found.low < 0.95 and found.is_enough


def test_answers_of_one_conversation_count_for_less() -> None:
    values = [1.0] * 30 + [0.0] * 30
    alone = estimate(sums_of(values, [1.0] * 60, list(range(60))))
    together = estimate(sums_of(values, [1.0] * 60, [number // 10 for number in range(60)]))
    assert together.effective < alone.effective / 3 and together.high - together.low > alone.high - alone.low


def test_a_difference_is_significant_only_with_enough() -> None:
    good = estimate(sums_of([1.0] * 200, [1.0] * 200, list(range(200))))
    bad = estimate(sums_of([1.0, 0.0] * 100, [1.0] * 200, list(range(200))))
    few = estimate(sums_of([0.0] * 5, [1.0] * 5, list(range(5))))
    assert difference(good, bad).is_significant and difference(good, bad).value == pytest.approx(-0.5)
    assert not difference(good, few).is_significant
    assert not difference(good, good).is_significant


def test_sums_add() -> None:
    parts = [sums_of([1.0, 0.0], [0.5, 0.5], ["a", "b"]), sums_of([1.0], [0.1], ["c"])]
    assert total(parts) == sums_of([1.0, 0.0, 1.0], [0.5, 0.5, 0.1], ["a", "b", "c"])


@pytest.mark.parametrize(
    ("good", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_as_published(good: int, count: int, low: float, high: float) -> None:
    """81 of 263 is the example of Newcombe 1998, Statistics in Medicine 17, table I."""
    found = share(good, count)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    expected = stats.binomtest(good, count).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert share(0, 0) == NOTHING and isinstance(found, Estimate)
