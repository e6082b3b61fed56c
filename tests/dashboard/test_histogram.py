from __future__ import annotations

import math

import numpy
import pytest

from gnomon_collector.store.queries.histogram import (
    BUCKETS,
    add,
    lower_bound_ms,
    quantile_ms,
    upper_bound_ms,
)


def bucketed(durations_ms: numpy.ndarray) -> list[int]:
    counts = [0] * BUCKETS
    for duration in durations_ms:
        counts[min(BUCKETS, max(1, 1 + math.floor(6 * math.log2(duration)))) - 1] += 1
    return counts


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("spread", [0.3, 0.7, 1.2])
def test_quantiles_are_close_to_the_exact_ones(q: float, spread: float) -> None:
    durations = numpy.random.default_rng(5).lognormal(math.log(900), spread, 20_000)
    found = quantile_ms(bucketed(durations), q)
    exact = float(numpy.quantile(durations, q))
    assert found == pytest.approx(exact, rel=0.02)


def test_the_worst_error_is_the_width_of_a_bucket() -> None:
    for duration in (1.01, 7.7, 1000.0, 1122.4, 59_999.0):
        found = quantile_ms(bucketed(numpy.full(50, duration)), 0.99)
        assert found is not None
        assert 1 / 1.1225 <= found / duration <= 1.1225


def test_nothing_has_no_quantile() -> None:
    assert quantile_ms([], 0.5) is None
    assert quantile_ms([0] * BUCKETS, 0.5) is None


def test_ends_of_the_scale() -> None:
    assert quantile_ms([4], 0.5) == pytest.approx(upper_bound_ms(1) / 2)
    assert quantile_ms([0] * 127 + [3], 1.0) == pytest.approx(2 ** (128 / 6))
    assert lower_bound_ms(1) == 0
    assert upper_bound_ms(6) == 2.0


def test_quantiles_rise_with_q() -> None:
    counts = bucketed(numpy.random.default_rng(1).lognormal(5, 1, 300))
    values = [quantile_ms(counts, q / 100) or 0 for q in range(101)]
    assert values == sorted(values)


def test_adding_takes_rows_of_any_length() -> None:
    assert add([(1, 2), (3,), ()])[:3] == [4, 2, 0]
    assert len(add([])) == BUCKETS
