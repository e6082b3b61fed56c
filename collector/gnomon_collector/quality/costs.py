"""What a call of the judge costs: before it is made, at the most; afterwards, by its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gnomon_collector.store.price_source import PriceSource
from gnomon_schemas.price_file import price_at

PROVIDER = "openai"
"""Of the judge's calls, whatever endpoint answers them: it speaks OpenAI's language."""

MAX_ANSWER_TOKENS = 800
"""Most tokens of an answer where nothing else is said."""

TOKENS_PER_DOCUMENT = 80
"""More of them for each document that is judged."""

USUAL_ANSWER_TOKENS = 150

# A token of the vocabularies in use covers about four bytes of text, seldom less than two.
_BYTES_PER_TOKEN_AT_LEAST = 2
_BYTES_PER_TOKEN = 4
_TOKENS_OF_THE_FORM = 30


@dataclass(frozen=True, slots=True)
class JudgePrice:
    """USD per million tokens; None where no price is known."""

    input_usd: float | None
    output_usd: float | None
    cache_read_usd: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether a call can be priced at all."""
        return self.input_usd is not None and self.output_usd is not None

    def cost_usd(self, input_tokens: int, output_tokens: int, cache_read_tokens: int = 0) -> float:
        """Return what a call costs; 0 without a price."""
        base = self.input_usd or 0.0
        cached = base if self.cache_read_usd is None else self.cache_read_usd
        plain = max(0, input_tokens - cache_read_tokens)
        return (plain * base + cache_read_tokens * cached + output_tokens * (self.output_usd or 0.0)) / 1e6

    def most_usd(self, prompt_bytes: int, max_answer_tokens: int) -> float:
        """Return the most that a call with so long a prompt may cost."""
        tokens = prompt_bytes // _BYTES_PER_TOKEN_AT_LEAST + _TOKENS_OF_THE_FORM
        return self.cost_usd(tokens, max_answer_tokens)


def price_of(
    model: str,
    input_usd: float | None,
    output_usd: float | None,
    prices: PriceSource,
    now: datetime | None = None,
) -> JudgePrice:
    """Return the price of a judge today: the one from the settings, else the price file's, else the list's.

    Args:
        input_usd, output_usd: per million tokens, from the settings; None where not set
    """
    if input_usd is not None and output_usd is not None:
        return JudgePrice(input_usd, output_usd)
    periods = prices.periods(PROVIDER, model) or prices.periods("", model)
    price = price_at(periods, now or datetime.now(UTC))
    if price is None:
        return JudgePrice(input_usd, output_usd)
    return JudgePrice(_first(price.input_usd), _first(price.output_usd), _first(price.cache_read_usd))


def likely_tokens(text_bytes: int) -> int:
    """Return about how many tokens a text of so many bytes has."""
    return text_bytes // _BYTES_PER_TOKEN + _TOKENS_OF_THE_FORM


def _first(tiers: Sequence[float | None]) -> float | None:
    return tiers[0] if tiers else None
