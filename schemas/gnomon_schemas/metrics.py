"""The metric catalogue: each figure that Gnomon shows, alerts on or answers is defined here, once.

A metric is read from *fact rows*. Kinds of facts have the same columns as far as they go:

``rollup``
    rows of ``calls_per_minute`` / ``calls_per_hour`` (read with FINAL): cheap at any size
``calls``
    one row per billable call, shaped like a rollup row of one call (see `CALL_FACTS`), with the dimensions
    that no rollup has, such as the user
``scores``, ``drift``, ``queue``
    one row per judgement, per drift result, and per piece of judge work
``scored_calls``
    one row per judgement, with labels of the call that it is about

A form says how rows become the figure, in SQL expressions *of one row*, without aggregates, so that a reader
may group, window and weight them as it needs: `Metric.sql` is the whole aggregate.

>>> metric("success_rate").sql
"sum(if(status = 'ok', calls, 0)) / nullIf(sum(if(status IN ('ok', 'error'), calls, 0)), 0)"
>>> metric("score_mean:faithfulness").parameter
'faithfulness'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from gnomon_schemas.quantiles import quantile_sql

Unit: TypeAlias = Literal["count", "ratio", "ms", "s", "usd", "tokens", "tokens/s", "score", "effect"]
Better: TypeAlias = Literal["more", "less", "neither"]
Source: TypeAlias = Literal["rollup", "calls", "scores", "scored_calls", "drift", "queue"]


@dataclass(frozen=True, slots=True)
class Sum:
    """A total over the rows. `expression` is of one row."""

    expression: str


@dataclass(frozen=True, slots=True)
class Rate:
    """A share, 0..1: the sum of `numerator` over the sum of `denominator`; both count the same things."""

    numerator: str
    denominator: str


@dataclass(frozen=True, slots=True)
class Mean:
    """A weighted mean: the sum of `numerator` over the sum of `denominator`."""

    numerator: str
    denominator: str


@dataclass(frozen=True, slots=True)
class WeightedMean:
    """The mean of `value`, 0..1, over a sample: a row counts `weight` times, without a value not at all."""

    value: str
    weight: str

    @property
    def weights(self) -> str:
        """SQL of the weight of a row, 0 where it has no value."""
        return f"if(isNull({self.value}), 0, {self.weight})"

    @property
    def weighted(self) -> str:
        """SQL of the value of a row times its weight."""
        return f"if(isNull({self.value}), 0, {self.value} * {self.weight})"


@dataclass(frozen=True, slots=True)
class Quantile:
    """The `q` quantile, 0..1, of the durations counted in `buckets`.

    Bucket ``i`` (1-based) counts durations of ``[2**((i-1)/6), 2**(i/6))`` ms; `expression` is the duration
    in ms of one row of `calls`, for facts that are not counted in buckets yet.
    """

    q: float
    buckets: str = "latency_buckets"
    expression: str = "duration_ms"


@dataclass(frozen=True, slots=True)
class Highest:
    """The largest value of `expression` over the rows."""

    expression: str


Form: TypeAlias = Sum | Rate | Mean | WeightedMean | Quantile | Highest

ROLLUP_DIMENSIONS: Final = (
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
"""What the rollups can be filtered and grouped by."""

CALL_DIMENSIONS: Final = (
    *ROLLUP_DIMENSIONS,
    "user_id",
    "company_id",
    "session_id",
    "language",
    "release",
    "finish_reason",
    "fallback_of",
    "dialect",
)
"""What calls can be filtered and grouped by."""

SCORE_DIMENSIONS: Final = ("source", "author", "evaluator_version", "label")
SCORED_CALL_DIMENSIONS: Final = (
    "service_name",
    "environment",
    "model",
    "prompt_name",
    "prompt_version",
    "language",
    "company_id",
    "user_id",
)
"""What scores can be filtered and grouped by beside their own: labels of the call that was judged."""

DRIFT_DIMENSIONS: Final = ("service_name", "model", "prompt_name", "prompt_version")
_OUTCOME: Final = frozenset({"status", "error_type"})
"""What decides a rate cannot split it as well: the share of errors among errors is 1."""

CALL_FACTS: Final[Mapping[str, str]] = {
    "time": "start_time",
    "calls": "1",
    "duration_ms": "duration_ns / 1e6",
    "input_tokens": "ifNull(input_tokens, 0)",
    "output_tokens": "ifNull(output_tokens, 0)",
    "cache_read_tokens": "ifNull(cache_read_tokens, 0)",
    "cache_write_tokens": "ifNull(cache_write_tokens, 0)",
    "reasoning_tokens": "ifNull(reasoning_tokens, 0)",
    "calls_with_usage": "usage_source != 'none'",
    "cost_usd": "ifNull(cost_usd, 0)",
    "calls_with_cost": "isNotNull(cost_usd)",
    "cost_reported_usd": "ifNull(cost_reported_usd, 0)",
    # of the calls that have both
    "computed_beside_usd": "if(isNull(cost_reported_usd), 0, ifNull(cost_usd, 0))",
    "reported_beside_usd": "if(isNull(cost_usd), 0, ifNull(cost_reported_usd, 0))",
    "ttft_ms": "ifNull(ttft_ms, 0)",
    "calls_with_ttft": "isNotNull(ttft_ms)",
    "attempt": "ifNull(attempt, 0)",
    "ingest_delay_ms": "greatest(0, dateDiff('millisecond', start_time, received_at) - duration_ns / 1e6)",
}
"""Columns of a rollup row out of a row of the view ``calls``, and those that only calls have."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    Attributes:
        name: as rules, URLs and the API spell it
        title: for people
        unit: of the value; ``ratio`` is 0..1
        better: which direction is good
        form: how rows become the value
        sources: kinds of facts it can be read from, the cheapest first
        dimensions: what it may be filtered and grouped by, over all its sources
        help: what exactly it is
        parameter: what stands after the colon of a name such as ``score_mean:faithfulness``; else ""
    """

    name: str
    title: str
    unit: Unit
    better: Better
    form: Form
    sources: tuple[Source, ...]
    dimensions: tuple[str, ...]
    help: str
    parameter: str = ""

    @property
    def sql(self) -> str:
        """The aggregate over fact rows; null where there is nothing to divide by."""
        match self.form:
            case Sum(expression):
                return f"sum({expression})"
            case Rate(numerator, denominator) | Mean(numerator, denominator):
                return f"sum({numerator}) / nullIf(sum({denominator}), 0)"
            case WeightedMean() as form:
                return f"sum({form.weighted}) / nullIf(sum({form.weights}), 0)"
            case Highest(expression):
                return f"max({expression})"
            case Quantile(q, buckets):
                return quantile_sql(f"sumForEach({buckets})", str(q))

    def source_for(self, dimensions: tuple[str, ...] | list[str] | frozenset[str]) -> Source:
        """Return the cheapest source that has all of `dimensions`.

        Raises:
            ValueError: none has, or the metric cannot be split so
        """
        unknown = [name for name in dimensions if name not in self.dimensions]
        if unknown:
            raise ValueError(
                f"{self.name} cannot be filtered or grouped by {', '.join(sorted(unknown))};"
                f" it knows {', '.join(self.dimensions) or 'no dimension'}."
            )
        for source in self.sources:
            if all(name in _SOURCE_DIMENSIONS[source] for name in dimensions):
                return source
        raise ValueError(f"No single source of {self.name} has all of {', '.join(sorted(dimensions))}.")


_SOURCE_DIMENSIONS: Final[Mapping[Source, tuple[str, ...]]] = {
    "rollup": ROLLUP_DIMENSIONS,
    "calls": CALL_DIMENSIONS,
    "scores": SCORE_DIMENSIONS,
    "scored_calls": (*SCORE_DIMENSIONS, *SCORED_CALL_DIMENSIONS),
    "drift": DRIFT_DIMENSIONS,
    "queue": (),
}
_BOTH: Final[tuple[Source, ...]] = ("rollup", "calls")
_OK: Final = "if(status = 'ok', calls, 0)"
_FAILED: Final = "if(status = 'error', calls, 0)"
_ENDED: Final = "if(status IN ('ok', 'error'), calls, 0)"
_TOTAL_TOKENS: Final = "input_tokens + output_tokens"
_ANSWERED_FROM_CACHE: Final = "if(cache_status IN ('hit', 'semantic_hit'), calls, 0)"
_ASKED_A_CACHE: Final = "if(cache_status != '', calls, 0)"
# Hájek: judges look at samples, drawn with a known probability.
_WEIGHT: Final = "1 / ifNull(inclusion_probability, 1)"


def _traffic(name: str, title: str, unit: Unit, better: Better, form: Form, text: str) -> Metric:
    splits_outcome = isinstance(form, Rate) and "status" in form.denominator
    dimensions = tuple(one for one in CALL_DIMENSIONS if not (splits_outcome and one in _OUTCOME))
    return Metric(name, title, unit, better, form, _BOTH, dimensions, text)


def _of_scores(name: str, title: str, unit: Unit, better: Better, form: Form, text: str) -> Metric:
    dimensions = (*SCORE_DIMENSIONS, *SCORED_CALL_DIMENSIONS)
    return Metric(name, title, unit, better, form, ("scores", "scored_calls"), dimensions, text)


def _of_calls(name: str, title: str, unit: Unit, better: Better, form: Form, text: str) -> Metric:
    return Metric(name, title, unit, better, form, ("calls",), CALL_DIMENSIONS, text)


METRICS: Final[tuple[Metric, ...]] = (
    _traffic("requests", "Requests", "count", "neither", Sum("calls"), "Billable model calls."),
    _traffic("errors", "Failed requests", "count", "less", Sum(_FAILED), "Calls that ended in an error."),
    _traffic("success_rate", "Success rate", "ratio", "more", Rate(_OK, _ENDED),
             "Calls that ended well among those that ended well or badly; cancelled ones say nothing."),
    _traffic("error_rate", "Error rate", "ratio", "less", Rate(_FAILED, _ENDED),
             "Calls that ended in an error among those that ended well or badly."),
    _traffic("latency_mean_ms", "Latency, mean", "ms", "less", Mean("duration_ms", "calls"),
             "Mean duration of a call."),
    _traffic("latency_p50_ms", "Latency p50", "ms", "less", Quantile(0.50), "Half of the calls are faster."),
    _traffic("latency_p90_ms", "Latency p90", "ms", "less", Quantile(0.90), "90 % of the calls are faster."),
    _traffic("latency_p95_ms", "Latency p95", "ms", "less", Quantile(0.95), "95 % of the calls are faster."),
    _traffic("latency_p99_ms", "Latency p99", "ms", "less", Quantile(0.99), "99 % of the calls are faster."),
    _traffic("ttft_mean_ms", "Time to first token, mean", "ms", "less", Mean("ttft_ms", "calls_with_ttft"),
             "Mean time to the first token of the calls that reported it."),
    _of_calls("ttft_p50_ms", "Time to first token p50", "ms", "less",
              Quantile(0.50, "ttft_buckets", "ttft_ms"),
              "Half of the calls that reported a time to the first token were faster."),
    _of_calls("ttft_p95_ms", "Time to first token p95", "ms", "less",
              Quantile(0.95, "ttft_buckets", "ttft_ms"),
              "95 % of the calls that reported a time to the first token were faster."),
    _traffic("tokens_per_s", "Output tokens per second", "tokens/s", "more",
             Mean("output_tokens", "if(output_tokens > 0, duration_ms / 1000, 0)"),
             "Output tokens per second of call duration, of calls that reported output."),
    _traffic("cost_usd", "Cost", "usd", "less", Sum("cost_usd"),
             "Computed cost of the calls with a known price."),
    _traffic("cost_per_request_usd", "Cost per request", "usd", "less", Mean("cost_usd", "calls_with_cost"),
             "Mean computed cost of the calls with a known price."),
    _of_calls("cost_reported_usd", "Reported cost", "usd", "less", Sum("cost_reported_usd"),
              "What SDKs and gateways say that calls cost; kept apart from the computed cost."),
    _of_calls("cost_difference_usd", "Computed less reported cost", "usd", "neither",
              Sum("computed_beside_usd - reported_beside_usd"),
              "Over the calls that have both; more than 0 where the SDK says too little."),
    _of_calls("cost_difference_ratio", "Computed against reported cost", "ratio", "less",
              Mean("abs(computed_beside_usd - reported_beside_usd)", "reported_beside_usd"),
              "How far computed and reported cost of the same calls are apart, as a share of the reported."),
    _traffic("input_tokens", "Input tokens", "tokens", "neither", Sum("input_tokens"),
             "Cached ones included."),
    _traffic("output_tokens", "Output tokens", "tokens", "neither", Sum("output_tokens"),
             "Reasoning tokens included."),
    _traffic("total_tokens", "Tokens", "tokens", "neither", Sum(_TOTAL_TOKENS), "Input and output."),
    _traffic("reasoning_tokens", "Reasoning tokens", "tokens", "neither", Sum("reasoning_tokens"),
             "Part of the output tokens."),
    _traffic("cache_read_tokens", "Cached input tokens", "tokens", "more", Sum("cache_read_tokens"),
             "Input read from the provider's prompt cache."),
    _traffic("cache_write_tokens", "Tokens written to the cache", "tokens", "neither",
             Sum("cache_write_tokens"), "Input written to the provider's prompt cache."),
    _traffic("tokens_per_request", "Tokens per request", "tokens", "neither",
             Mean(_TOTAL_TOKENS, "calls_with_usage"), "Mean of the calls that reported usage."),
    _traffic("output_tokens_per_request", "Output tokens per request", "tokens", "neither",
             Mean("output_tokens", "calls_with_usage"), "Mean of the calls that reported usage."),
    _traffic("cache_hit_ratio", "Cache hit ratio", "ratio", "more",
             Rate(_ANSWERED_FROM_CACHE, _ASKED_A_CACHE),
             "Calls answered from an own cache, exact or semantic, among those that asked one."),
    _traffic("prompt_cache_ratio", "Prompt cache ratio", "ratio", "more",
             Rate("cache_read_tokens", "input_tokens"),
             "Input tokens that came out of the provider's prompt cache among all input tokens."),
    _traffic("unpriced_ratio", "Calls without a price", "ratio", "less",
             Rate("calls_with_usage - least(calls_with_usage, calls_with_cost)", "calls_with_usage"),
             "Calls that reported tokens but whose model has no known price."),
    _of_calls("fallback_ratio", "Fallback ratio", "ratio", "less", Rate("fallback_of != ''", "calls"),
              "Calls that stood in for a failed one."),
    _of_calls("retry_ratio", "Retry ratio", "ratio", "less", Rate("attempt > 1", "calls"),
              "Calls that were not the first attempt."),
    _of_calls("ingest_delay_mean_ms", "Ingest delay, mean", "ms", "less", Mean("ingest_delay_ms", "calls"),
              "Time from the end of a call to its arrival here."),
    _of_scores("satisfaction", "Satisfaction", "ratio", "more",
               Rate("source = 'user' AND value >= 0.5", "source = 'user' AND isNotNull(value)"),
               "Good ones (value 0.5 or more) among the users' judgements."),
    Metric("judge_backlog_s", "Judge backlog", "s", "less", Highest("waiting_s"), ("queue",), (),
           "Age of the oldest answer that waits for the judge."),
)  # fmt: skip
"""The metrics with a fixed name. Those with a parameter are in `PATTERNS`."""

PATTERNS: Final[tuple[Metric, ...]] = (
    _of_scores("score_mean", "Mean score", "score", "more",
               WeightedMean("value", _WEIGHT),
               "Mean value (0..1) of the scores of this name, each weighted by 1 / inclusion probability."),
    _of_scores("score_count", "Scores", "count", "neither", Sum("1"), "Number of scores of this name."),
    Metric("drift", "Drift", "effect", "less", Highest("value"), ("drift",), DRIFT_DIMENSIONS,
           "How far a feature is from its reference, by its threshold: 1 and more is drift."),
)  # fmt: skip
"""Families of metrics: ``score_mean:faithfulness``, ``score_count:thumbs``, ``drift:output_length``."""

_BY_NAME: Final[Mapping[str, Metric]] = {one.name: one for one in METRICS}
_PATTERN_BY_NAME: Final[Mapping[str, Metric]] = {one.name: one for one in PATTERNS}


def metric(name: str) -> Metric:
    """Return a metric by name, such as ``cost_usd`` or ``score_mean:faithfulness``.

    Raises:
        ValueError: there is none of that name; the message lists what there is
    """
    family, colon, parameter = name.partition(":")
    if colon and parameter and family in _PATTERN_BY_NAME:
        found = _PATTERN_BY_NAME[family]
        return replace(found, name=name, title=f"{found.title}: {parameter}", parameter=parameter)
    if name in _BY_NAME:
        return _BY_NAME[name]
    known = [*_BY_NAME, *(f"{one}:<name>" for one in _PATTERN_BY_NAME)]
    raise ValueError(f"There is no metric {name!r}. There are: {', '.join(known)}.")
