"""What a model costs: the offline price list of the genai-prices package, as rows of `model_prices`.

The package decides which of its models a name means (its clauses, regular expressions and provider aliases),
so names never seen before are priced as it would price them. Prices that hold at certain hours only are left
out: the price without that condition is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

ALWAYS: Final = datetime(2015, 1, 1, tzinfo=UTC)
"""`valid_from` of a model's first price."""

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


@dataclass(frozen=True)
class Price:
    """A price period of a model, in USD per million tokens; None where a class has no price of its own.

    Each list has one entry a tier. A call is priced whole by the last tier whose start (input tokens) it
    exceeds; the first tier starts at 0.
    """

    valid_from: datetime
    tier_starts: list[int]
    input_usd: list[float | None]
    output_usd: list[float | None]
    cache_read_usd: list[float | None]
    cache_write_usd: list[float | None]


COST_USD: Final = """\
arrayMap((tier, tokens, read, written) -> (
        (tokens - read - written) * ifNull({input_usd}[tier], 0)
        + read * coalesce({cache_read_usd}[tier], {input_usd}[tier], 0)
        + written * coalesce({cache_write_usd}[tier], {input_usd}[tier], 0)
        + ifNull(output_tokens, 0) * ifNull({output_usd}[tier], 0)) / 1e6,
    [arrayLastIndex(start -> start = 0 OR ifNull(input_tokens, 0) > start, {tier_starts})],
    [ifNull(input_tokens, 0)],
    [least(ifNull(cache_read_tokens, 0), ifNull(input_tokens, 0))],
    [least(ifNull(cache_write_tokens, 0),
        ifNull(input_tokens, 0) - least(ifNull(cache_read_tokens, 0), ifNull(input_tokens, 0)))])[1]"""
"""SQL for the cost of a call: slots are the arrays of `Price`, the rest are columns of `spans`. Classes are
disjoint: a token is billed once, as cache read, cache write, plain input or output."""

PRICE_ARRAYS: Final = ("tier_starts", "input_usd", "output_usd", "cache_read_usd", "cache_write_usd")


def price_list_version() -> str:
    """Return the name and version of the price list, kept with every price as `price_version`."""
    return f"genai-prices {version('genai-prices')}"


def price_periods(provider: str, model: str) -> list[Price]:
    """Return the price periods of a model by ascending `valid_from`; empty when it has no known price.

    Args:
        provider: normalised provider name (`spans.provider`); "" to tell it by the model's name.
        model: response model, else requested model.
    """
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, info = get_snapshot().find_provider_model(
            model, None, PROVIDER_IDS.get(provider, provider) or None, None
        )
    except LookupError:
        return []
    return _periods(info)


def _periods(info: ModelInfo) -> list[Price]:
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

    if not isinstance(info.prices, list):
        return [_price(ALWAYS, info.prices)]
    periods = {}
    for conditional in info.prices:
        constraint = conditional.constraint
        if isinstance(constraint, TimeOfDateConstraint):
            continue
        start = ALWAYS
        if isinstance(constraint, StartDateConstraint):
            start = datetime.combine(constraint.start_date, time(), tzinfo=UTC)
        periods[start] = _price(start, conditional.prices)
    return [periods[start] for start in sorted(periods)]


def _price(valid_from: datetime, price: ModelPrice) -> Price:
    classes = [price.input_mtok, price.output_mtok, price.cache_read_mtok, price.cache_write_mtok]
    starts = sorted({0, *(start for each in classes for start in _tier_starts(each))})
    return Price(valid_from, starts, *([_at_tier(each, start) for start in starts] for each in classes))


def _tier_starts(price: object) -> Iterable[int]:
    return [tier.start for tier in getattr(price, "tiers", [])]


def _at_tier(price: Any, start: int) -> float | None:
    if price is None:
        return None
    base = getattr(price, "base", price)
    rates = [tier.price for tier in getattr(price, "tiers", []) if tier.start <= start]
    return float(rates[-1] if rates else base)
