"""What drift is measured on: each feature with its SQL, its scale and its words. Pure.

A number is counted in buckets, so that a distribution of any size is a short array and windows add up. A
category is counted by name. Everything else (the rollup, the statistics, the page) goes by this list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from gnomon_collector.store.drift_texts import FORMAT, LANGUAGE, REFUSAL

Kind = Literal["number", "category"]
Source = Literal["calls", "retrieval", "cache"]
Unit = Literal["characters", "tokens", "ms", "USD", "score", "documents", "share"]

LOG_BUCKETS_PER_OCTAVE: Final = 6
MOST_BUCKETS: Final = 250
MOST_CATEGORIES: Final = 200
USER_GROUPS: Final = 32
OTHER: Final = "(other)"

TEXT_METRICS: Final = ("input_text", "output_text", "embedding")
MODEL_VERSION: Final = "model_version"
_MICRO: Final = 1_000_000
_SCORE_STEPS: Final = 50
_SCORE_BUCKETS: Final = 2 * _SCORE_STEPS + 1


@dataclass(frozen=True, slots=True)
class LogScale:
    """Buckets that grow: bucket ``i`` holds values of ``[2**((i-1)/6) - 1, 2**(i/6) - 1) / scale``.

    Attributes:
        scale: values are multiplied by it before, for units so small that all would share bucket 1.
    """

    scale: float = 1.0

    def sql(self, value: str) -> str:
        """SQL for the bucket of a value, 1 and more."""
        scaled = f"{value} * {self.scale:.0f}" if self.scale != 1 else value
        return f"toUInt16(least({MOST_BUCKETS}, 1 + floor({LOG_BUCKETS_PER_OCTAVE} * log2(1 + greatest(0, {scaled})))))"

    def lower_bound(self, bucket: int) -> float:
        """Return where a bucket (1-based) starts, in the feature's unit."""
        return float(2 ** ((bucket - 1) / LOG_BUCKETS_PER_OCTAVE) - 1) / self.scale

    def position(self, bucket: int) -> float:
        """Return where a bucket lies for distances: in octaves, so that twice as long is as far everywhere."""
        return (bucket - 0.5) / LOG_BUCKETS_PER_OCTAVE


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """Buckets of 0.02 between -1 and 1, where similarities lie, and growing ones above, for other scores."""

    def sql(self, value: str) -> str:
        """SQL for the bucket of a value, 1 and more."""
        inside = f"1 + floor((greatest(-1, {value}) + 1) * {_SCORE_STEPS} + 1e-9)"
        above = f"{_SCORE_BUCKETS + 1} + floor({LOG_BUCKETS_PER_OCTAVE} * log2({value}))"
        return f"toUInt16(least({MOST_BUCKETS}, if({value} <= 1, {inside}, {above})))"

    def lower_bound(self, bucket: int) -> float:
        """Return where a bucket (1-based) starts."""
        if bucket <= _SCORE_BUCKETS:
            return (bucket - 1) / _SCORE_STEPS - 1
        return float(2 ** ((bucket - _SCORE_BUCKETS - 1) / LOG_BUCKETS_PER_OCTAVE))

    def position(self, bucket: int) -> float:
        """Return where a bucket lies for distances: the score itself, and octaves above 1."""
        if bucket <= _SCORE_BUCKETS:
            return self.lower_bound(bucket) + 0.5 / _SCORE_STEPS
        return 1 + math.log2(self.lower_bound(bucket)) + 0.5 / LOG_BUCKETS_PER_OCTAVE


Scale = LogScale | ScoreScale


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that is counted.

    Attributes:
        name: in tables, URLs and ``drift:<name>``.
        label: for people.
        sql: of one row of its source: the bucket (0 leaves the row out), or the category ('' leaves it out).
        help: what exactly it is, in a sentence.
        usual: of a category that stands for "nothing special": the rate is the share of all others.
    """

    name: str
    label: str
    kind: Kind
    source: Source
    sql: str
    help: str
    unit: Unit = "share"
    scale: Scale = LogScale()
    usual: str = ""


def _number(
    name: str, label: str, unit: Unit, value: str, wanted: str, help: str, *,
    source: Source = "calls", scale: Scale | None = None,
) -> Feature:  # fmt: skip
    chosen = scale or LogScale()
    return Feature(name, label, "number", source, f"if({wanted}, {chosen.sql(value)}, 0)", help, unit, chosen)


def _category(
    name: str, label: str, value: str, help: str, *, source: Source = "calls", usual: str = ""
) -> Feature:
    return Feature(name, label, "category", source, value, help, usual=usual)


_ANSWERED: Final = "status = 'ok' AND finish_reason != 'tool_call'"
_FIRST_SCORE: Final = "arrayFirst(s -> isNotNull(s), documents.score)"

FEATURES: Final[tuple[Feature, ...]] = (
    _number("input_length", "Input length", "characters", "lengthUTF8(input_text)", "input_text != ''",
            "Characters of the last user message."),
    _number("output_length", "Output length", "characters", "lengthUTF8(output_text)",
            f"{_ANSWERED} AND output_text != ''", "Characters of the answer; tool calls left out."),
    _number("input_tokens", "Input tokens", "tokens", "assumeNotNull(input_tokens)",
            "isNotNull(input_tokens)", "Tokens of the whole request, prompt and context included."),
    _number("output_tokens", "Output tokens", "tokens", "assumeNotNull(output_tokens)",
            "isNotNull(output_tokens)", "Tokens of the answer, reasoning included."),
    _number("latency", "Latency", "ms", "duration_ns / 1e6", "status = 'ok'",
            "Duration of the calls that ended well."),
    _number("first_token", "Time to first token", "ms", "assumeNotNull(ttft_ms)", "isNotNull(ttft_ms)",
            "Of streamed calls."),
    _number("cost", "Cost per call", "USD", "assumeNotNull(cost_usd)", "isNotNull(cost_usd)",
            "Computed cost of the calls with a known price.", scale=LogScale(_MICRO)),
    _category("language", "Language", LANGUAGE,
              "Language of the user's message: told by its script, and by function words in Latin script."),
    _category("refusal", "Refusals", REFUSAL,
              "Whether the answer declines: told by its opening words, in six languages.", usual="answered"),
    _category("format", "Format failures", FORMAT,
              "Answers that are empty, cut off at the token limit, or no JSON where JSON was asked for.",
              usual="fine"),
    _category("error", "Errors", "if(status = 'ok', 'ok', if(error_type != '', error_type, status))",
              "How calls end, by error type.", usual="ok"),
    _category("finish_reason", "Finish reasons", "finish_reason", "Why the model stopped."),
    _category("users", "Users",
              f"if(user_id = '', '', concat('group ', toString(sipHash64(user_id) % {USER_GROUPS})))",
              f"Who asks: users in {USER_GROUPS} groups by a hash of their id."),
    _category("companies", "Companies", "company_id", "For which customer."),
    _category("models", "Models", "asked_model", "Which models are asked."),
    _category("prompts", "Prompt versions", "if(prompt_name = '' AND prompt_version = '', '',"
              " concat(prompt_name, ' ', prompt_version))", "Which prompt and version is used."),
    _category(MODEL_VERSION, "Model version",
              "if(request_model = '' OR response_model = '', '',"
              " concat(request_model, ' → ', response_model))",
              "Which snapshot answers for a model that was asked."),
    _number("retrieval_score", "Retrieval score", "score", f"assumeNotNull({_FIRST_SCORE})",
            f"isNotNull({_FIRST_SCORE})", "Score of the first document that a retrieval found.",
            source="retrieval", scale=ScoreScale()),
    _number("documents", "Documents found", "documents", "length(documents)", "status = 'ok'",
            "Documents per retrieval.", source="retrieval"),
    _number("cache_similarity", "Cache similarity", "score", "assumeNotNull(cache_similarity)",
            "isNotNull(cache_similarity)", "Similarity of what the semantic cache found.",
            source="cache", scale=ScoreScale()),
    _category("cache", "Cache hits", "cache_status", "What the own cache answered.", source="cache"),
)  # fmt: skip
"""Every feature, in the order in which people see them."""

BY_NAME: Final[Mapping[str, Feature]] = {one.name: one for one in FEATURES}

LABELS: Final[Mapping[str, str]] = {
    **{one.name: one.label for one in FEATURES},
    "input_text": "Input text",
    "output_text": "Output text",
    "embedding": "Embeddings",
}
"""Metric → what people read, the metrics of samples included."""

METRICS: Final = (*BY_NAME, *TEXT_METRICS)
"""Names of all metrics, as in ``drift_results.metric``."""


def features_of(source: Source) -> list[Feature]:
    """Return the features that are counted in the rows of a source."""
    return [one for one in FEATURES if one.source == source]
