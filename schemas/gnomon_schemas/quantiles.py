"""SQL of quantiles out of log-spaced buckets of durations, as the rollups keep them (migration 0002)."""

from __future__ import annotations

from typing import Final

BUCKETS: Final = 128
BUCKETS_PER_OCTAVE: Final = 6


def quantile_sql(buckets: str, q: str) -> str:
    """Return SQL for the quantile in ms of summed latency buckets, null when they count nothing.

    Calls of a bucket are taken to be spread evenly over the logarithm of their duration, as in
    `gnomon_collector.store.queries.histogram.quantile_ms`.

    Args:
        buckets: SQL of the summed array
        q: SQL of the quantile, 0..1
    """
    return rank_sql(buckets, f"{q} * arraySum(counted)")


def rank_sql(buckets: str, rank: str) -> str:
    """Return SQL for the duration in ms at a rank of summed latency buckets; null when they count nothing.

    Args:
        buckets: SQL of the summed array
        rank: SQL of the rank, which may name the array as ``counted``; clamped to what the buckets count
    """
    clamped = f"least(toFloat64(arraySum(counted)), greatest(1e-9, toFloat64({rank})))"
    inside = f"if(i = 1, part * exp2(1 / {BUCKETS_PER_OCTAVE}), exp2((i - 1 + part) / {BUCKETS_PER_OCTAVE}))"
    # arrayMap over an array of one is how ClickHouse names a value inside an expression
    return (
        "arrayMap(counted -> if(arraySum(counted) = 0, NULL, arrayMap((reached, rank) -> arrayMap(i ->"
        f" arrayMap(part -> {inside}, [(rank - reached[i] + counted[i]) / counted[i]])[1],"
        f" [arrayFirstIndex(n -> n >= rank, reached)])[1], [arrayCumSum(counted)], [{clamped}])[1]),"
        f" [{buckets}])[1]"
    )


def rank_bounds_sql(q: float, z: float) -> tuple[str, str]:
    """Return SQL of the ranks that bound the `q` quantile of ``counted`` calls: order statistics.

    The number of calls below the quantile is binomial(n, q); see Conover, Practical Nonparametric Statistics,
    3.2. A rank outside 1..n cannot be observed, which the caller must look after.

    Args:
        q: the quantile, 0..1
        z: half width of the interval in standard deviations
    """
    spread = f"{z!r} * sqrt(arraySum(counted) * {q * (1 - q)!r})"
    return f"{q} * arraySum(counted) - {spread}", f"{q} * arraySum(counted) + {spread}"
