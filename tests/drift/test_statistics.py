"""Effect sizes, held against values worked out by hand and against simulation."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from gnomon_collector.drift import statistics as st
from gnomon_collector.drift.statistics import Pair


def pair(reference: list[float], current: list[float], positions: list[float] | None = None) -> Pair:
    where = None if positions is None else np.array(positions)
    return Pair(np.array(reference, dtype=float), np.array(current, dtype=float), where)


@pytest.mark.parametrize("statistic", [st.PSI, st.JENSEN_SHANNON, st.CRAMERS_V])
def test_equal_shares_are_no_distance_whatever_their_numbers(statistic: str) -> None:
    assert st.STATISTICS[statistic](pair([9000, 1000], [90_000, 10_000])) == pytest.approx(0, abs=1e-6)


def test_psi_is_its_formula() -> None:
    wanted = (0.9 - 0.5) * log(0.9 / 0.5) + (0.1 - 0.5) * log(0.1 / 0.5)
    assert st.psi(pair([50_000, 50_000], [90_000, 10_000])) == pytest.approx(wanted, rel=1e-3)


def test_an_empty_group_does_not_make_psi_infinite() -> None:
    assert 0 < st.psi(pair([100, 0], [0, 100])) < 15


def test_nothing_in_common_is_one() -> None:
    apart = pair([100, 0], [0, 40])
    assert st.jensen_shannon(apart) == pytest.approx(1)
    assert st.cramers_v(apart) == pytest.approx(1)


def test_cramers_v_weighs_both_windows_the_same() -> None:
    """V of shares 1 % and 5 % is their difference by twice the deviation of the mean share."""
    wanted = 0.04 / 2 / sqrt(0.03 * 0.97)
    for many in (1, 7, 100):
        assert st.cramers_v(pair([990 * many, 10 * many], [950, 50])) == pytest.approx(wanted, rel=1e-3)


def test_wasserstein_counts_in_deviations_of_the_reference() -> None:
    positions = [float(at) for at in range(60)]
    reference = [float(np.exp(-((at - 25) ** 2) / (2 * 5**2))) * 1e4 for at in positions]
    moved = [0.0] * 5 + reference[:-5]
    assert st.wasserstein(pair(reference, moved, positions)) == pytest.approx(1, rel=0.02)
    with pytest.raises(ValueError, match="positions"):
        st.wasserstein(pair(reference, moved))


def test_a_distribution_of_one_value_has_a_deviation_of_one_bin() -> None:
    assert st.wasserstein(pair([10, 0, 0], [0, 0, 10], [0, 1, 2])) == pytest.approx(2)


def test_many_rows_make_no_small_change_large() -> None:
    """500,000 rows that differ by 2 %: significant beyond doubt, and of no interest."""
    rng = np.random.default_rng(1)
    edges = np.linspace(-4, 4, 41)
    reference = np.histogram(rng.normal(0, 1, 500_000), edges)[0]
    current = np.histogram(rng.normal(0.02, 1, 500_000), edges)[0]
    grouped = st.quantile_groups(reference)
    found = Pair(st.in_groups(reference, grouped), st.in_groups(current, grouped))
    assert st.psi(found) < 0.002


@pytest.mark.parametrize("statistic", list(st.STATISTICS))
@pytest.mark.parametrize(("reference_count", "current_count"), [(2000, 150), (5000, 5000)])
def test_chance_stays_below_the_noise_it_is_said_to_make(
    statistic: str, reference_count: int, current_count: int
) -> None:
    rng = np.random.default_rng(5)
    shares = np.array([0.02, 0.08, 0.2, 0.3, 0.2, 0.12, 0.05, 0.03])
    positions = np.arange(8.0)
    limit = st.sampling_noise(statistic, reference_count, current_count, len(shares))
    above = 0
    for _ in range(600):
        drawn = Pair(
            rng.multinomial(reference_count, shares), rng.multinomial(current_count, shares), positions
        )
        above += st.STATISTICS[statistic](drawn) > limit
    assert above <= 4, f"{above} of 600 were above what chance reaches once in a thousand times"


def test_groups_hold_equal_shares_and_keep_the_order() -> None:
    reference = np.array([1, 1, 1, 1, 300, 1, 1, 50, 50, 50, 45])
    membership = st.quantile_groups(reference, 5)
    assert list(membership) == sorted(membership)
    grouped = st.in_groups(np.array([reference, reference]), membership)
    assert grouped.sum(axis=1).tolist() == [501, 501]
    assert grouped.shape[1] <= 5


def test_a_prediction_limit_lets_one_in_a_thousand_through() -> None:
    rng = np.random.default_rng(2)
    above = 0
    for _ in range(4000):
        *seen, further = rng.normal(1, 0.2, 8)
        above += further > st.prediction_limit(seen)
    assert above <= 12
    assert st.prediction_limit([0.1]) == float("inf")


def test_rare_categories_become_one() -> None:
    names, matrix = st.category_matrix([{f"c{at}": 100 - at for at in range(60)}, {"c0": 5}])
    assert names[0] == "c0" and len(names) == st.MOST_NAMED + 1
    assert matrix.sum(axis=1).tolist() == [sum(100 - at for at in range(60)), 5]
