"""Prices of your own, from a TOML file: models that no list knows, and prices that were negotiated. Pure.

An entry holds for the models it names between two dates, and goes before the price list there; where several
hold, the last one in the file does. `docs/prices.md` describes the format for users.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any, Final

from gnomon_schemas.prices import (
    ALWAYS,
    DAY_S,
    PRICE_ARRAYS,
    PROVIDER_IDS,
    RATES,
    Price,
    class_rates,
    no_price,
    price_of,
)

FOREVER: Final = datetime(2100, 1, 1, tzinfo=UTC)

_RATES: Final = {
    "input": ("input_mtok", 1.0),
    "output": ("output_mtok", 1.0),
    "cache_read": ("cache_read_mtok", 1.0),
    "cache_write": ("cache_write_mtok", 1.0),
    "cache_write_1h": ("cache_write_1h_mtok", 1.0),
    "reasoning": ("output_reasoning_mtok", 1.0),
    "citation": ("output_citation_mtok", 1.0),
    "input_audio": ("input_audio_mtok", 1.0),
    "output_audio": ("output_audio_mtok", 1.0),
    "cache_read_audio": ("cache_audio_read_mtok", 1.0),
    "input_image": ("input_image_mtok", 1.0),
    "output_image": ("output_image_mtok", 1.0),
    "cache_read_image": ("cache_image_read_mtok", 1.0),
    "input_video": ("input_video_mtok", 1.0),
    "output_video": ("output_video_mtok", 1.0),
    "per_request": ("requests_kcount", 1000.0),
    "per_web_search": ("web_searches_kcount", 1000.0),
    "per_file_search": ("storage_searches_kcount", 1000.0),
}
"""Names of rates in the file: genai-prices' name, and for how many times as much its amount is."""

_KEYS: Final = ("provider", "model", "valid_from", "valid_to", "service_tier", "discount", "tier", *_RATES)
_TIER_KEYS: Final = ("above", *_RATES)


class PriceFileError(ValueError):
    """The file says something that is no price. The message says where and what to write instead."""


@dataclass(frozen=True)
class OwnPrice:
    """One entry of the file.

    Attributes:
        provider: lower case; "" for any
        model: name, or a pattern with ``*``
        valid_from, valid_to: UTC, the end excluded
        service_tier: whose calls it is for, such as batch; "" for all
        discount: off the price list, 0..1; None when `rates` has prices
        rates: one a tier: the input tokens above which it holds, and USD by genai-prices' names
    """

    provider: str
    model: str
    valid_from: datetime
    valid_to: datetime
    service_tier: str
    discount: float | None
    rates: tuple[tuple[int, Mapping[str, float]], ...]

    def is_for(self, provider: str, model: str) -> bool:
        """Whether the entry names this model of this provider."""
        named = (provider, PROVIDER_IDS.get(provider, provider))
        return (self.provider in ("", *named)) and fnmatchcase(model.lower(), self.model)


@dataclass(frozen=True)
class PriceBook:
    """A price list, with prices of one's own before it.

    Attributes:
        own: in the order of the file
        version: kept with the own prices as `price_version`
        price_list: asked with provider and model
    """

    own: Sequence[OwnPrice]
    version: str
    price_list: Callable[[str, str], list[Price]]

    def periods(self, provider: str, model: str) -> list[Price]:
        """Return the price periods of a model by ascending `valid_from`; empty when it has no known price."""
        listed = self.price_list(provider, model)
        mine = [entry for entry in self.own if entry.is_for(provider, model)]
        if not mine:
            return listed
        starts = {ALWAYS, *(price.valid_from for price in listed)}
        starts |= {at for entry in mine for at in (entry.valid_from, entry.valid_to) if at < FOREVER}
        periods = [self._at(start, listed, mine) for start in sorted(starts)]
        return _merged(periods) if any(price.is_known for price in periods) else []

    def _at(self, start: datetime, listed: Sequence[Price], mine: Sequence[OwnPrice]) -> Price:
        list_price = price_at(listed, start) or no_price(start)
        holds = [entry for entry in mine if entry.valid_from <= start < entry.valid_to]
        if not holds:
            return replace(list_price, valid_from=start)
        # the last entry of each service tier, that of all calls first
        by_tier = {entry.service_tier: entry for entry in sorted(holds, key=lambda each: each.service_tier)}
        price = replace(list_price, valid_from=start)
        for entry in by_tier.values():
            price = _joined(price, self._of_entry(entry, list_price, start), entry.service_tier)
        return price

    def _of_entry(self, entry: OwnPrice, list_price: Price, start: datetime) -> Price:
        if entry.discount is None:
            return _own(entry, start, self.version)
        return _discounted(list_price, entry.discount, start, self.version)


def price_at(periods: Sequence[Price], at: datetime) -> Price | None:
    """Return the period that holds at a time (UTC); None before the first."""
    return next((price for price in reversed(periods) if price.valid_from <= at), None)


def read_prices(text: str, name: str) -> tuple[list[OwnPrice], str]:
    """Return the entries of a price file, and the version that calls priced by it carry.

    Args:
        text: TOML
        name: of the file, for messages and the version

    Raises:
        PriceFileError: with the entry at fault and what to write instead.
    """
    try:
        loaded = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PriceFileError(f"{name} is not valid TOML: {error}.") from None
    unknown = set(loaded) - {"price", "units_per_usd"}
    if unknown:
        raise PriceFileError(
            f"{name}: unknown {_listed(unknown)}. At the top stand [[price]] and units_per_usd."
        )
    units = _positive(loaded.get("units_per_usd", 1), f"{name}: units_per_usd")
    entries = loaded.get("price", [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise PriceFileError(f"{name}: write each price as [[price]], with two brackets.")
    own = [_entry(each, units, f"{name}, price {number}") for number, each in enumerate(entries, start=1)]
    return own, f"{name} {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _entry(raw: Mapping[str, Any], units: float, where: str) -> OwnPrice:
    _check_keys(raw, _KEYS, where)
    model = raw.get("model")
    if not isinstance(model, str) or not model:
        raise PriceFileError(f'{where}: model is missing; write model = "name", a * stands for anything.')
    where = f"{where} ({model})"
    since, until = _day(raw, "valid_from", ALWAYS, where), _day(raw, "valid_to", FOREVER, where)
    if since >= until:
        raise PriceFileError(f"{where}: valid_to must be after valid_from; the day itself is excluded.")
    discount = _discount(raw, where)
    rates = () if discount is not None else _tiers(raw, units, where)
    provider = raw.get("provider", "")
    if not isinstance(provider, str):
        raise PriceFileError(f'{where}: provider must be a text, such as "openai".')
    service_tier = raw.get("service_tier", "")
    if not isinstance(service_tier, str):
        raise PriceFileError(f'{where}: service_tier must be a text, such as "batch".')
    return OwnPrice(provider.lower(), model.lower(), since, until, service_tier.lower(), discount, rates)


def _discount(raw: Mapping[str, Any], where: str) -> float | None:
    if "discount" not in raw:
        return None
    if set(raw) & {*_RATES, "tier"}:
        raise PriceFileError(f"{where}: give either a discount off the price list or prices, not both.")
    discount = _number(raw["discount"], f"{where}: discount")
    if not 0 <= discount <= 1:
        raise PriceFileError(f"{where}: discount is a share from 0 to 1: 0.15 is 15 % off, not {discount:g}.")
    return discount


def _tiers(raw: Mapping[str, Any], units: float, where: str) -> tuple[tuple[int, Mapping[str, float]], ...]:
    if not set(raw) & set(_RATES):
        raise PriceFileError(
            f"{where}: no price; write input and output, in USD per million tokens, or a discount."
        )
    tiers = raw.get("tier", [])
    if not isinstance(tiers, list) or not all(isinstance(each, dict) for each in tiers):
        raise PriceFileError(f"{where}: write each tier as [[price.tier]].")
    base = _rates(raw, units, where)
    found = [(0, base)]
    for number, tier in enumerate(tiers, start=1):
        at = f"{where}, tier {number}"
        _check_keys(tier, _TIER_KEYS, at)
        above = tier.get("above")
        if not isinstance(above, int) or isinstance(above, bool) or above <= found[-1][0]:
            raise PriceFileError(f"{at}: above is a number of input tokens, higher than in the tier before.")
        found.append((above, base | _rates(tier, units, at)))
    return tuple(found)


def _rates(raw: Mapping[str, Any], units: float, where: str) -> dict[str, float]:
    return {
        price: _amount(raw[name], f"{where}: {name}") / units * factor
        for name, (price, factor) in _RATES.items()
        if name in raw
    }


def _day(raw: Mapping[str, Any], name: str, default: datetime, where: str) -> datetime:
    value = raw.get(name, default)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), tzinfo=UTC)
    raise PriceFileError(f"{where}: {name} is a date without quotes, such as 2026-01-31 (midnight UTC).")


def _check_keys(raw: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    unknown = set(raw) - set(known)
    if unknown:
        raise PriceFileError(f"{where}: unknown {_listed(unknown)}. Known are {', '.join(known)}.")


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise PriceFileError(f"{where} must be a number without quotes, not {value!r}.")
    return float(value)


def _amount(value: Any, where: str) -> float:
    amount = _number(value, where)
    if not 0 <= amount < float("inf"):
        raise PriceFileError(f"{where} must be 0 or more, not {amount:g}.")
    return amount


def _positive(value: Any, where: str) -> float:
    amount = _amount(value, where)
    if amount == 0:
        raise PriceFileError(f"{where} must be more than 0.")
    return amount


# --- periods ------------------------------------------------------------------------------------


def _own(entry: OwnPrice, start: datetime, version: str) -> Price:
    rates = [(above, 0, DAY_S, "", *class_rates(prices)) for above, prices in entry.rates]
    return price_of(start, (list(values) for values in zip(*rates, strict=True)), version)


def _joined(price: Price, other: Price, service_tier: str) -> Price:
    """The first price, with the other one for calls of a service tier; "" is all calls."""
    if not service_tier:
        return other
    if not (price.is_known and other.is_known):
        return price
    kept = [number for number, tier in enumerate(price.service_tiers) if tier != service_tier]
    added = [number for number, tier in enumerate(other.service_tiers) if not tier]
    lists: dict[str, Any] = {
        name: [getattr(price, name)[at] for at in kept] + [getattr(other, name)[at] for at in added]
        for name in PRICE_ARRAYS
    }
    lists["service_tiers"][len(kept) :] = [service_tier] * len(added)
    return replace(price, version=other.version, **lists)


def _discounted(price: Price, discount: float, start: datetime, version: str) -> Price:
    if not price.is_known:
        return no_price(start)
    share = 1 - discount
    lowered: dict[str, Any] = {
        name: [None if rate is None else rate * share for rate in getattr(price, name)] for name in RATES
    }
    extra_usd = [[rate * share for rate in rates] for rates in price.extra_usd]
    return replace(price, valid_from=start, version=version, extra_usd=extra_usd, **lowered)


def _merged(periods: Sequence[Price]) -> list[Price]:
    """Without periods that say the same as the one before."""
    kept = [
        after for before, after in pairwise(periods) if replace(after, valid_from=before.valid_from) != before
    ]
    return [periods[0], *kept]
