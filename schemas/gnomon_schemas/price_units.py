"""What calls are billed by beside plain tokens: audio, images and video, longer cache writes, searches. Pure.

Names are those of genai-prices' units. They overlap: a cached token of speech counts as input, as cache read,
as audio, and as cached audio. So that each is billed once, a unit's rate is what it costs on top of the wider
classes that it is a part of, and a cost is the sum of counts times rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_PLAIN: Final = {
    "input_mtok": {"input"},
    "output_mtok": {"output"},
    "cache_read_mtok": {"input", "read"},
    "cache_write_mtok": {"input", "write"},
    "output_reasoning_mtok": {"output", "reasoning"},
}
"""What the columns of `spans` count, by genai-prices' names of the prices."""

_TOKENS: Final = {
    "cache_write_1h": {"input", "write", "1h"},
    "input_audio": {"input", "audio"},
    "output_audio": {"output", "audio"},
    "cache_audio_read": {"input", "audio", "read"},
    "input_image": {"input", "image"},
    "output_image": {"output", "image"},
    "cache_image_read": {"input", "image", "read"},
    "input_video": {"input", "video"},
    "output_video": {"output", "video"},
    "output_citation": {"output", "citation"},
}
_COUNTS: Final = ("web_searches", "storage_searches")

EXTRA_UNITS: Final = (*(f"{name}_tokens" for name in _TOKENS), *_COUNTS)
"""Keys of `spans.usage_details` that have a price."""

_PER_THOUSAND: Final = 1000.0

_PARTS_OF: Final[Mapping[str, frozenset[str]]] = {
    **{price: frozenset(traits) for price, traits in _PLAIN.items()},
    **{f"{name}_mtok": frozenset(traits) for name, traits in _TOKENS.items()},
}


def extra_rates(prices: Mapping[str, float]) -> tuple[list[str], list[float]]:
    """Return the units that have a rate, and their rates in USD per million.

    Args:
        prices: USD by genai-prices' names, `input_mtok` (per million) or `web_searches_kcount` (per thousand)
    """
    tokens = {name: usd for name, usd in prices.items() if name in _PARTS_OF}
    rates = {
        f"{name}_tokens": _on_top(f"{name}_mtok", tokens) for name in _TOKENS if f"{name}_mtok" in tokens
    }
    rates |= {
        name: prices[f"{name}_kcount"] * _PER_THOUSAND for name in _COUNTS if f"{name}_kcount" in prices
    }
    return list(rates), list(rates.values())


def extra_prices(
    units: Sequence[str], rates: Sequence[float], plain: Mapping[str, float]
) -> dict[str, float]:
    """Return what each unit costs in all, in USD per million: the reverse of `extra_rates`.

    Args:
        units, rates: as returned there
        plain: USD per million by the names of the classes that columns count, such as `input_mtok`
    """
    added = {name: _on_top(name, plain) for name in plain if name in _PLAIN}
    added |= {unit.replace("_tokens", "_mtok"): rate for unit, rate in zip(units, rates, strict=True)}
    return {unit: _in_all(unit.replace("_tokens", "_mtok"), added) for unit in units}


def _on_top(name: str, prices: Mapping[str, float]) -> float:
    """A price less what the classes around it come to already."""
    wider = [other for other in prices if _PARTS_OF[other] < _PARTS_OF[name]]
    return prices[name] - sum(_on_top(other, prices) for other in wider)


def _in_all(name: str, added: Mapping[str, float]) -> float:
    if name not in _PARTS_OF:
        return added[name]
    wider = (other for other in added if other in _PARTS_OF and _PARTS_OF[other] <= _PARTS_OF[name])
    return sum(added[other] for other in wider)
