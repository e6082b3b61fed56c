"""Intervals and tests of difference, held against published values and simulation."""

from __future__ import annotations

from random import Random

import pytest

from gnomon_dashboard.intervals import around, around_share, holm, of_means, of_shares


@pytest.mark.parametrize(
    # R: binom::binom.wilson
    ("hits", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilsons_interval(hits: int, total: int, low: float, high: float) -> None:
    found = around_share(hits, total)
    assert found is not None
    assert found == pytest.approx((low, high), abs=5e-4)


def test_nothing_observed_has_no_interval() -> None:
    assert around_share(0, 0) is None
    assert around(1.0, None) is None
    assert around(2.0, 0.5) == pytest.approx((1.02, 2.98), abs=1e-3)


def test_shares_that_differ() -> None:
    one = of_shares("Error rate", (30, 1000), (60, 1000))
    assert one.change == pytest.approx(0.03)
    assert one.p_value == pytest.approx(0.0012, abs=2e-4)  # two-proportion z-test, pooled
    assert one.low < 0.03 < one.high


def test_too_few_values_have_no_verdict() -> None:
    assert of_shares("x", (1, 4), (4, 4)).p_value is None
    assert of_means("x", (1.0, 0.1, 3), (9.0, 0.1, 100)).p_value is None


def test_equal_means_without_spread_do_not_differ() -> None:
    assert of_means("x", (1.0, 0.0, 10), (1.0, 0.0, 10)).p_value == 1.0
    assert of_means("x", (1.0, 0.0, 10), (2.0, 0.0, 10)).p_value == 0.0


def test_of_many_equal_figures_few_are_called_different() -> None:
    rng = Random(1)
    wrong = 0
    for _ in range(200):
        compared = []
        for number in range(6):
            old = sum(rng.random() < 0.1 for _ in range(400))
            new = sum(rng.random() < 0.1 for _ in range(400))
            compared.append(of_shares(f"figure {number}", (old, 400), (new, 400)))
        wrong += any(one.is_significant for one in holm(compared))
    # at 5 % for all six together; without the correction it would be about one in four
    assert wrong <= 22


def test_holm_stops_at_the_first_that_does_not_hold() -> None:
    strong = of_shares("strong", (10, 1000), (100, 1000))
    weak = of_shares("weak", (50, 1000), (62, 1000))
    assert [one.is_significant for one in holm([weak, strong])] == [False, True]
