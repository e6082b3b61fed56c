"""What a model costs: the offline price list of the genai-prices package, as rows of `model_prices`.

The package decides which of its models a name means (its clauses, regular expressions and provider aliases),
so names never seen before are priced as it would price them. Prices of your own go before it: see
`gnomon_schemas.price_file`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, TimeOfDateConstraint

ALWAYS: Final = datetime(2015, 1, 1, tzinfo=UTC)
"""`valid_from` of a model's first price."""

DAY_S: Final = 86_400

PROVIDER_IDS: Final = {
    "aws.bedrock": "aws",
    "az.ai.inference": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "ibm.watsonx.ai": "ibm",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}
"""OpenTelemetry's provider names, where genai-prices has another."""


MAKERS: Final = ("openai", "anthropic", "google", "cohere", "perplexity")
"""Whose model it is taken to be where an SDK names no provider and the list cannot tell by the name alone: it
knows gpt-4o for OpenAI's, but not text-embedding-3-small."""


@dataclass(frozen=True)
class Price:
    """A price period of a model, in USD per million tokens; None where a class has no price of its own.

    Each list has one entry a rate. A call is priced whole by the last rate that applies: whose start (input
    tokens) it exceeds, 0 being every call, and in whose hours it starts.

    Attributes:
        valid_from: UTC; the period ends where the next one begins
        tier_starts: input tokens
        from_s, until_s: seconds of the day (UTC), the end excluded; 0 and 86,400 for the whole day
        reasoning_usd: of the reasoning tokens in the output
        request_usd: per million calls, so that it adds up with the rest
        version: where the price comes from; "" for a period of which no price is known
    """

    valid_from: datetime
    tier_starts: list[int]
    from_s: list[int]
    until_s: list[int]
    input_usd: list[float | None]
    output_usd: list[float | None]
    cache_read_usd: list[float | None]
    cache_write_usd: list[float | None]
    reasoning_usd: list[float | None]
    request_usd: list[float | None]
    version: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a price at all."""
        return bool(self.tier_starts)


def no_price(valid_from: datetime = ALWAYS) -> Price:
    """Return the period in which a model has no known price."""
    return price_of(valid_from, ([] for _ in PRICE_ARRAYS), "")


def price_of(valid_from: datetime, arrays: Iterable[list[Any]], version: str) -> Price:
    """Return a price period of lists in the order of `PRICE_ARRAYS`."""
    named: dict[str, Any] = dict(zip(PRICE_ARRAYS, arrays, strict=True))
    return Price(valid_from, version=version, **named)


PRICE_ARRAYS: Final = tuple(
    field.name for field in fields(Price) if field.name not in ("valid_from", "version")
)
"""The lists of `Price`, which are columns of `model_prices`."""

PRICE_ARRAY_TYPES: Final = {
    name: "Array(Nullable(Float64))"
    if name.endswith("_usd")
    else "Array(UInt64)"
    if name == "tier_starts"
    else "Array(UInt32)"
    for name in PRICE_ARRAYS
}
"""Their types in the database."""

CACHE_HITS: Final = ("hit", "semantic_hit")
"""Values of `spans.cache_status` of answers that no provider was asked for."""

IS_CACHE_HIT: Final = f"lower(cache_status) IN {CACHE_HITS}"
"""SQL: the service's own cache answered, which costs nothing."""

CACHE_VERSION: Final = "app cache"
"""`price_version` of such a call."""

COST_USD: Final = """\
arrayMap((rate, tokens, read, written, reasoned) -> (
        (tokens - read - written) * ifNull({input_usd}[rate], 0)
        + read * coalesce({cache_read_usd}[rate], {input_usd}[rate], 0)
        + written * coalesce({cache_write_usd}[rate], {input_usd}[rate], 0)
        + (ifNull(output_tokens, 0) - reasoned) * ifNull({output_usd}[rate], 0)
        + reasoned * coalesce({reasoning_usd}[rate], {output_usd}[rate], 0)
        + ifNull({request_usd}[rate], 0)) / 1e6,
    [arrayLastIndex((start, since, until) -> (start = 0 OR ifNull(input_tokens, 0) > start)
            AND toUnixTimestamp(start_time) % 86400 >= since AND toUnixTimestamp(start_time) % 86400 < until,
        {tier_starts}, {from_s}, {until_s})],
    [ifNull(input_tokens, 0)],
    [least(ifNull(cache_read_tokens, 0), ifNull(input_tokens, 0))],
    [least(ifNull(cache_write_tokens, 0),
        ifNull(input_tokens, 0) - least(ifNull(cache_read_tokens, 0), ifNull(input_tokens, 0)))],
    [least(ifNull(reasoning_tokens, 0), ifNull(output_tokens, 0))])[1]"""
"""SQL for the cost of a call: slots are the arrays of `Price`, the rest are columns of `spans`. Classes are
disjoint: a token is billed once, as cache read, cache write, plain input, reasoning or output."""


def price_list_version() -> str:
    """Return the name and version of the price list, kept with its prices as `price_version`."""
    return f"genai-prices {version('genai-prices')}"


def price_periods(provider: str, model: str) -> list[Price]:
    """Return the price periods of a model by ascending `valid_from`; empty when it has no known price.

    Args:
        provider: normalised provider name (`spans.provider`); "" to tell it by the model's name.
        model: response model, else requested model.
    """
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    named = PROVIDER_IDS.get(provider, provider)
    for provider_id in (named,) if named else (None, *MAKERS):
        try:
            _, info = snapshot.find_provider_model(model, None, provider_id, None)
        except LookupError:
            continue
        return _periods(info)
    return []


def _periods(info: ModelInfo) -> list[Price]:
    """A period for each start date; in each of them the last listed price that applies wins, as there."""
    if not isinstance(info.prices, list):
        return [_price(ALWAYS, _rates(info.prices))]
    starts = sorted({ALWAYS, *(_start(each) for each in info.prices)})
    return [_price(start, _rates_from(info.prices, start)) for start in starts]


def _start(conditional: ConditionalPrice) -> datetime:
    start = getattr(conditional.constraint, "start_date", None)
    return ALWAYS if start is None else datetime.combine(start, time(), tzinfo=UTC)


def _rates_from(listed: Sequence[ConditionalPrice], start: datetime) -> list[_Rate]:
    """Rates of the period that begins at `start`, those that win behind."""
    from genai_prices.types import TimeOfDateConstraint

    rates: list[_Rate] = _rates(listed[0].prices)
    for each in listed:
        if isinstance(each.constraint, TimeOfDateConstraint):
            rates += [rate for hours in _hours(each.constraint) for rate in _rates(each.prices, *hours)]
        elif _start(each) <= start:
            rates = _rates(each.prices)  # holds all day: what stands before it never applies
    return rates


def _hours(constraint: TimeOfDateConstraint) -> list[tuple[int, int]]:
    since, until = _second_of_day(constraint.start_time), _second_of_day(constraint.end_time)
    return [(since, until)] if since <= until else [(since, DAY_S), (0, until)]


def _second_of_day(at: time) -> int:
    offset_s = int((at.utcoffset() or timedelta()).total_seconds())
    return (at.hour * 3600 + at.minute * 60 + at.second - offset_s) % DAY_S


_Rate = tuple[Any, ...]
"""The values of one entry of each list of `Price`, in their order."""

_CLASSES: Final = (
    ("input_mtok", 1.0),
    ("output_mtok", 1.0),
    ("cache_read_mtok", 1.0),
    ("cache_write_mtok", 1.0),
    ("output_reasoning_mtok", 1.0),
    ("requests_kcount", 1000.0),  # of a thousand calls
)


def _rates(price: ModelPrice, since_s: int = 0, until_s: int = DAY_S) -> list[_Rate]:
    classes = [(getattr(price, name), factor) for name, factor in _CLASSES]
    starts = sorted({0, *(start for each, _ in classes for start in _tier_starts(each))})
    return [
        (start, since_s, until_s, *(_at_tier(each, start, factor) for each, factor in classes))
        for start in starts
    ]


def _price(valid_from: datetime, rates: Iterable[_Rate]) -> Price:
    return price_of(valid_from, (list(values) for values in zip(*rates, strict=True)), price_list_version())


def _tier_starts(price: object) -> Iterator[int]:
    return (tier.start for tier in getattr(price, "tiers", []))


def _at_tier(price: Any, start: int, factor: float) -> float | None:
    if price is None:
        return None
    base = getattr(price, "base", price)
    rates = [tier.price for tier in getattr(price, "tiers", []) if tier.start <= start]
    return float(rates[-1] if rates else base) * factor
