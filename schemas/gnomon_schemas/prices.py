"""What a model costs: the offline price list of the genai-prices package, as rows of `model_prices`.

The package decides which of its models a name means (its clauses, regular expressions and provider aliases),
so names never seen before are priced as it would price them. Prices of your own go before it: see
`gnomon_schemas.price_file`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from gnomon_schemas.price_units import extra_rates

if TYPE_CHECKING:
    from genai_prices.types import (
        ConditionalPrice,
        ModelInfo,
        ModelPrice,
        PriceVariant,
        TimeOfDateConstraint,
    )

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
    tokens) it exceeds, 0 being every call, in whose hours it starts, and of whose service tier it is.

    Attributes:
        valid_from: UTC; the period ends where the next one begins
        tier_starts: input tokens
        from_s, until_s: seconds of the day (UTC), the end excluded; 0 and 86,400 for the whole day
        service_tiers: such as batch or flex; "" for every call
        reasoning_usd: of the reasoning tokens in the output
        request_usd: per million calls, so that it adds up with the rest
        extra_units: what else is counted, by the names of `gnomon_schemas.price_units`
        extra_usd: per million of each of them, on top of what it costs as part of another class
        version: where the price comes from; "" for a period of which no price is known
    """

    valid_from: datetime
    tier_starts: list[int]
    from_s: list[int]
    until_s: list[int]
    service_tiers: list[str]
    input_usd: list[float | None]
    output_usd: list[float | None]
    cache_read_usd: list[float | None]
    cache_write_usd: list[float | None]
    reasoning_usd: list[float | None]
    request_usd: list[float | None]
    extra_units: list[list[str]]
    extra_usd: list[list[float]]
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

RATES: Final = (
    "input_usd",
    "output_usd",
    "cache_read_usd",
    "cache_write_usd",
    "reasoning_usd",
    "request_usd",
)
"""Those of them that are the price of one class."""

PRICE_ARRAY_TYPES: Final = {
    "tier_starts": "Array(UInt64)",
    "from_s": "Array(UInt32)",
    "until_s": "Array(UInt32)",
    "service_tiers": "Array(String)",
    **dict.fromkeys(RATES, "Array(Nullable(Float64))"),
    "extra_units": "Array(Array(String))",
    "extra_usd": "Array(Array(Float64))",
}
"""Their types in the database."""

CACHE_HITS: Final = ("hit", "semantic_hit")
"""Values of `spans.cache_status` of answers that no provider was asked for."""

IS_CACHE_HIT: Final = f"lower(cache_status) IN {CACHE_HITS}"
"""SQL: the service's own cache answered, which costs nothing."""

CACHE_VERSION: Final = "app cache"
"""`price_version` of such a call."""

COST_USD: Final = """\
arrayMap((rate, tokens, read, written, reasoned) -> greatest(0, (
        (tokens - read - written) * ifNull({input_usd}[rate], 0)
        + read * coalesce({cache_read_usd}[rate], {input_usd}[rate], 0)
        + written * coalesce({cache_write_usd}[rate], {input_usd}[rate], 0)
        + (ifNull(output_tokens, 0) - reasoned) * ifNull({output_usd}[rate], 0)
        + reasoned * coalesce({reasoning_usd}[rate], {output_usd}[rate], 0)
        + ifNull({request_usd}[rate], 0)
        + arraySum((unit, usd) -> usd * usage_details[unit], {extra_units}[rate], {extra_usd}[rate])) / 1e6),
    [arrayLastIndex((start, since, until, tier) -> (start = 0 OR ifNull(input_tokens, 0) > start)
            AND toUnixTimestamp(start_time) % 86400 >= since AND toUnixTimestamp(start_time) % 86400 < until
            AND (tier = '' OR tier = service_tier),
        {tier_starts}, {from_s}, {until_s}, {service_tiers})],
    [ifNull(input_tokens, 0)],
    [least(ifNull(cache_read_tokens, 0), ifNull(input_tokens, 0))],
    [least(ifNull(cache_write_tokens, 0),
        ifNull(input_tokens, 0) - least(ifNull(cache_read_tokens, 0), ifNull(input_tokens, 0)))],
    [least(ifNull(reasoning_tokens, 0), ifNull(output_tokens, 0))])[1]"""
"""SQL for the cost of a call: slots are the arrays of `Price`, the rest are columns of `spans`. Classes are
disjoint: a token is billed once, as cache read, cache write, plain input, reasoning or output. What
`usage_details` counts of them in finer classes, such as audio, adds the difference in price."""


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
    variants = info.price_variants or []
    listed = info.prices if isinstance(info.prices, list) else []
    starts = sorted({ALWAYS, *map(_start, listed), *map(_start, variants)})
    return [_price(start, _rates_from(info, start)) for start in starts]


def _start(conditional: ConditionalPrice | PriceVariant) -> datetime:
    start = getattr(conditional.constraint, "start_date", None)
    return ALWAYS if start is None else datetime.combine(start, time(), tzinfo=UTC)


def _rates_from(info: ModelInfo, start: datetime) -> list[_Rate]:
    """Rates of the period that begins at `start`, of all calls, then of service tiers; the last wins."""
    held = _held(info, start)
    rates = [rate for price, hours in held for rate in _rates(price, *hours)]
    for service_tier in _service_tiers(info):
        own = _own_prices(info.price_variants or (), service_tier, start)
        if own:
            rates += [
                rate for price, hours in held for rate in _rates(_with(price, own), *hours, service_tier)
            ]
    return rates


def _held(info: ModelInfo, start: datetime) -> list[tuple[ModelPrice, tuple[int, int]]]:
    """Prices that hold in a period, each with its hours; the last one wins."""
    from genai_prices.types import TimeOfDateConstraint

    if not isinstance(info.prices, list):
        return [(info.prices, _ALL_DAY)]
    held = [(info.prices[0].prices, _ALL_DAY)]
    for each in info.prices:
        if isinstance(each.constraint, TimeOfDateConstraint):
            held += [(each.prices, hours) for hours in _hours(each.constraint)]
        elif _start(each) <= start:
            held = [(each.prices, _ALL_DAY)]  # holds all day: what stands before it never applies
    return held


_ALL_DAY: Final = (0, DAY_S)

_TIER_WORDS: Final = ("service_tier", "processing", "speed")
"""What genai-prices calls that by which a provider charges more or less for the same work."""


def _service_tiers(info: ModelInfo) -> list[str]:
    variants = info.price_variants or ()
    return sorted(
        {
            word
            for each in variants
            for name, word in each.when.items()
            if len(each.when) == 1 and name in _TIER_WORDS
        }
    )


def _own_prices(variants: Sequence[PriceVariant], service_tier: str, start: datetime) -> dict[str, Any]:
    """Prices of a service tier's own by class; the first variant that gives one does, as there."""
    found: dict[str, Any] = {}
    for each in variants:
        of_tier = any(each.when == {name: service_tier} for name in _TIER_WORDS)
        if of_tier and _start(each) <= start:
            found = {name: price for name, price in vars(each.prices).items() if price is not None} | found
    return found


def _with(price: ModelPrice, own: dict[str, Any]) -> ModelPrice:
    from genai_prices.types import ModelPrice

    return ModelPrice(**(vars(price) | own))


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


def _rates(price: ModelPrice, since_s: int = 0, until_s: int = DAY_S, service_tier: str = "") -> list[_Rate]:
    prices = {name: each for name, each in vars(price).items() if each is not None}
    starts = sorted({0, *(start for each in prices.values() for start in _tier_starts(each))})
    return [(start, since_s, until_s, service_tier, *class_rates(_above(start, prices))) for start in starts]


def _above(start: int, prices: Mapping[str, Any]) -> dict[str, float]:
    """Amounts that hold above a number of input tokens."""
    return {name: _at_tier(each, start) for name, each in prices.items()}


def class_rates(prices: Mapping[str, float]) -> _Rate:
    """Return what the lists of `Price` from `input_usd` on say of one rate.

    Args:
        prices: USD by genai-prices' names, `input_mtok` (per million) or `requests_kcount` (per thousand)
    """
    plain = (prices[name] * factor if name in prices else None for name, factor in _CLASSES)
    return (*plain, *extra_rates(prices))


def _price(valid_from: datetime, rates: Iterable[_Rate]) -> Price:
    return price_of(valid_from, (list(values) for values in zip(*rates, strict=True)), price_list_version())


def _tier_starts(price: object) -> Iterator[int]:
    return (tier.start for tier in getattr(price, "tiers", []))


def _at_tier(price: Any, start: int) -> float:
    rates = [tier.price for tier in getattr(price, "tiers", []) if tier.start <= start]
    return float(rates[-1] if rates else getattr(price, "base", price))
