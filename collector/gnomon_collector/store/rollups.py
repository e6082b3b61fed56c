"""Rollups of calls per minute and per hour: computed anew for the minutes that a batch touched.

A row is a pure function of `calls`, so computing it twice does no harm. A label set that is gone (its calls
turned out to be duplicates) is written once more with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gnomon_collector.store import trace_summaries
from gnomon_collector.store.engine import Store

LABELS: Final = (
    "project",
    "time",
    "service_name",
    "environment",
    "kind",
    "provider",
    "model",
    "prompt_name",
    "prompt_version",
    "status",
    "error_type",
    "cache_status",
)
SUMS: Final = (
    "calls",
    "duration_ms",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "calls_with_usage",
    "cost_usd",
    "calls_with_cost",
    "ttft_ms",
    "calls_with_ttft",
    "duration_ms_squares",
    "cost_usd_squares",
    "output_tokens_squares",
    "calls_with_output",
)
HISTOGRAMS: Final = ("latency_buckets", "ttft_buckets")
BUCKETS: Final = 128
BUCKETS_PER_OCTAVE: Final = 6

_LABELS: Final = ", ".join(LABELS)
_HISTOGRAMS: Final = ", ".join(HISTOGRAMS)
_SUMS: Final = ", ".join(SUMS)
_SUMMED: Final = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
_ZEROS: Final = ", ".join(f"0 AS {name}" for name in SUMS)
_VERSION: Final = "toUnixTimestamp64Nano(now64(9)) AS version"


def _without_trailing_zeros(histogram: str) -> str:
    """SQL for buckets summed and cut behind the last that counts: most calls are far from the slowest possible."""
    summed = f"sumForEach(c_{histogram}) AS s_{histogram}"
    return (
        f"arraySlice({summed}, 1, arrayLastIndex(in_bucket -> in_bucket > 0, s_{histogram})) AS {histogram}"
    )


def _bucket(milliseconds: str) -> str:
    """SQL for the number of the bucket that a time in ms is counted in."""
    place = f"1 + floor({BUCKETS_PER_OCTAVE} * log2(greatest({milliseconds}, 1e-6)))"
    return f"toUInt8(least({BUCKETS}, greatest(1, {place})))"


def _dense(counted: str) -> str:
    """SQL for all buckets, out of those that count."""
    return f"arrayMap(i -> {counted}.2[indexOf({counted}.1, i)], range(1, {BUCKETS + 1}))"


_MINUTES: Final = f"""
INSERT INTO calls_per_minute ({_LABELS}, {_SUMS}, {_HISTOGRAMS}, version)
SELECT {_LABELS}, {_SUMMED}, {", ".join(map(_without_trailing_zeros, HISTOGRAMS))}, {_VERSION}
FROM (
    SELECT project, toStartOfMinute(start_time) AS time, service_name, environment, kind, provider, model,
        prompt_name, prompt_version, status, error_type, cache_status,
        count() AS calls,
        sum(duration_ns) / 1e6 AS duration_ms,
        sum(ifNull(c.input_tokens, 0)) AS input_tokens,
        sum(ifNull(c.output_tokens, 0)) AS output_tokens,
        sum(ifNull(c.cache_read_tokens, 0)) AS cache_read_tokens,
        sum(ifNull(c.cache_write_tokens, 0)) AS cache_write_tokens,
        sum(ifNull(c.reasoning_tokens, 0)) AS reasoning_tokens,
        countIf(usage_source != 'none') AS calls_with_usage,
        sum(ifNull(c.cost_usd, 0)) AS cost_usd,
        count(c.cost_usd) AS calls_with_cost,
        sum(ifNull(c.ttft_ms, 0)) AS ttft_ms,
        count(c.ttft_ms) AS calls_with_ttft,
        sum(pow(duration_ns / 1e6, 2)) AS duration_ms_squares,
        sum(ifNull(pow(c.cost_usd, 2), 0)) AS cost_usd_squares,
        sum(ifNull(pow(c.output_tokens, 2), 0)) AS output_tokens_squares,
        count(c.output_tokens) AS calls_with_output,
        sumMap([bucket], [1]) AS counted,
        sumMapIf([ttft_bucket], [1], c.ttft_ms IS NOT NULL) AS ttft_counted,
        {_dense("counted")} AS c_latency_buckets,
        {_dense("ttft_counted")} AS c_ttft_buckets
    FROM (
        SELECT *, {_bucket("duration_ns / 1e6")} AS bucket, {_bucket("ifNull(ttft_ms, 0)")} AS ttft_bucket
        FROM calls
        WHERE project IN {{projects:Array(String)}}
            AND toStartOfMinute(start_time) IN {{minutes:Array(DateTime('UTC'))}}
    ) AS c
    GROUP BY {_LABELS}
    UNION ALL
    SELECT {_LABELS}, {_ZEROS},
        CAST(([], []), 'Tuple(Array(UInt8), Array(UInt64))') AS counted,
        CAST(([], []), 'Tuple(Array(UInt8), Array(UInt64))') AS ttft_counted,
        arrayResize(CAST([], 'Array(UInt64)'), {BUCKETS}) AS c_latency_buckets,
        arrayResize(CAST([], 'Array(UInt64)'), {BUCKETS}) AS c_ttft_buckets
    FROM calls_per_minute AS m FINAL
    -- m.calls: without the table's name it would be the zero selected above
    WHERE project IN {{projects:Array(String)}} AND time IN {{minutes:Array(DateTime('UTC'))}} AND m.calls > 0
)
GROUP BY {_LABELS}
"""  # noqa: S608  (column names from this module)

_HOURS: Final = f"""
INSERT INTO calls_per_hour ({_LABELS}, {_SUMS}, {_HISTOGRAMS}, version)
SELECT {_LABELS}, {_SUMMED}, {", ".join(f"sumForEach({one}) AS {one}" for one in HISTOGRAMS)}, {_VERSION}
FROM (
    SELECT * REPLACE (toStartOfHour(m.time) AS time)
    FROM calls_per_minute AS m FINAL
    WHERE project IN {{projects:Array(String)}} AND toStartOfHour(m.time) IN {{hours:Array(DateTime('UTC'))}}
)
GROUP BY {_LABELS}
"""  # noqa: S608


def recompute(store: Store, projects: Sequence[str], minutes: Sequence[datetime]) -> None:
    """Compute the rollups of the given minutes (UTC) anew, and those of their hours.

    The summaries of traces are noted to be out of date: a job computes them.
    """
    trace_summaries.touch(store, projects, minutes)
    hours = sorted({minute.replace(minute=0, second=0, microsecond=0) for minute in minutes})
    store.command(_MINUTES, {"projects": list(projects), "minutes": sorted(minutes)})
    store.command(_HOURS, {"projects": list(projects), "hours": hours})
