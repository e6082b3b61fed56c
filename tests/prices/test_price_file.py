"""Prices of one's own: what a file may say, where it holds, and what a bad one is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.docs import markdown

from gnomon_collector.errors import ConfigError
from gnomon_collector.store.price_source import PriceSource
from gnomon_schemas.price_file import PriceBook, PriceFileError, price_at, read_prices
from gnomon_schemas.prices import ALWAYS, Price, price_list_version, price_periods

JULY = datetime(2026, 7, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
AUGUST = datetime(2026, 8, 1, tzinfo=UTC)
OWN = """
[[price]]
provider = "openai"
model = "gpt-4o-mini"
valid_from = 2026-03-01
valid_to = 2026-07-01
input = 0.10
output = 0.40
"""


def book(text: str) -> PriceBook:
    own, version = read_prices(text, "prices.toml")
    return PriceBook(own, version, price_periods)


def first(prices: PriceBook, model: str, at: datetime, provider: str = "openai") -> Price:
    found = price_at(prices.periods(provider, model), at)
    assert found is not None
    return found


def test_an_own_price_holds_between_its_dates() -> None:
    prices = book(OWN)
    during = first(prices, "gpt-4o-mini", MARCH)
    assert (during.input_usd, during.output_usd) == ([0.10], [0.40])
    assert during.version.startswith("prices.toml ")
    for at in (datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC), JULY):
        listed = price_at(price_periods("openai", "gpt-4o-mini"), at)
        assert listed and first(prices, "gpt-4o-mini", at).input_usd == listed.input_usd
        assert first(prices, "gpt-4o-mini", at).version == price_list_version()
    listed_starts = {price.valid_from for price in price_periods("openai", "gpt-4o-mini")}
    starts = [price.valid_from for price in prices.periods("openai", "gpt-4o-mini")]
    assert starts == sorted({ALWAYS, MARCH, JULY, *listed_starts})


def test_a_model_that_no_list_knows() -> None:
    prices = book('[[price]]\nmodel = "our-llama-*"\ninput = 0.05\noutput = 0.05\nper_request = 0.001\n')
    price = first(prices, "Our-Llama-70B", JULY, "vllm")
    assert (price.input_usd, price.request_usd) == ([0.05], [1000.0])
    assert prices.periods("vllm", "someone-elses") == []


def test_another_providers_model_keeps_its_price() -> None:
    prices = book(OWN)
    assert prices.periods("azure", "gpt-4o-mini") == price_periods("azure", "gpt-4o-mini")


@pytest.mark.parametrize("provider", ["azure.ai.openai", "azure"])
def test_a_discount_is_off_the_list_by_whichever_name_the_provider_goes(provider: str) -> None:
    prices = book(f'[[price]]\nprovider = "{provider}"\nmodel = "*"\ndiscount = 0.15\n')
    listed = price_periods("azure.ai.openai", "gpt-4o")[-1]
    price = first(prices, "gpt-4o", datetime(2026, 11, 1, tzinfo=UTC), "azure.ai.openai")
    assert price.input_usd == [pytest.approx(rate * 0.85) for rate in listed.input_usd if rate is not None]
    assert prices.periods("azure.ai.openai", "no-such-model") == []


def test_the_last_entry_wins_where_several_hold() -> None:
    prices = book('[[price]]\nmodel = "*"\ninput = 1\n' + OWN)
    assert first(prices, "gpt-4o-mini", MARCH).input_usd == [0.10]
    assert first(prices, "gpt-4o-mini", AUGUST).input_usd == [1.0]


def test_tiers_take_what_they_do_not_say_from_the_base() -> None:
    text = '[[price]]\nmodel = "m"\ninput = 1\noutput = 4\n[[price.tier]]\nabove = 200_000\ninput = 2\n'
    price = first(book(text), "m", JULY)
    assert (price.tier_starts, price.input_usd, price.output_usd) == ([0, 200_000], [1.0, 2.0], [4.0, 4.0])


def test_everything_has_a_rate() -> None:
    text = """
[[price]]
model = "m"
input = 1
output = 4
cache_write = 1.5
cache_write_1h = 2
input_audio = 10
per_web_search = 0.01
[[price]]
model = "m"
service_tier = "Batch"
discount = 0.5
"""
    own, version = read_prices(text, "prices.toml")
    listed, _ = read_prices(text.partition('[[price]]\nmodel = "m"\nservice_tier')[0], "list.toml")
    as_list = PriceBook(listed, "list", lambda *_: []).periods
    price = first(PriceBook(own, version, as_list), "m", JULY)
    assert (price.service_tiers, price.input_usd) == (["", "batch"], [1.0, 0.5])
    assert price.extra_units == [["cache_write_1h_tokens", "input_audio_tokens", "web_searches"]] * 2
    assert price.extra_usd == [[0.5, 9.0, 10_000.0], [0.25, 4.5, 5_000.0]]


def test_a_service_tier_of_ones_own_stands_instead_of_the_lists() -> None:
    text = '[[price]]\nmodel = "gpt-5"\nservice_tier = "flex"\ninput = 0.5\noutput = 4\n'
    price = first(book(text), "gpt-5", datetime(2026, 11, 1, tzinfo=UTC))
    assert price.service_tiers == ["", "batch", "fast", "priority", "flex"]
    assert (price.input_usd[0], price.input_usd[-1], price.output_usd[-1]) == (1.25, 0.5, 4.0)


def test_a_service_tier_of_a_model_without_a_price_is_none() -> None:
    text = '[[price]]\nmodel = "m"\nservice_tier = "flex"\ninput = 0.5\n'
    assert book(text).periods("", "m") == []


def test_prices_may_be_in_another_currency() -> None:
    price = first(
        book('units_per_usd = 80\n[[price]]\nmodel = "yandexgpt"\ninput = 400\n'), "yandexgpt", JULY
    )
    assert price.input_usd == [5.0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[price", "not valid TOML"),
        ("[price]\nmodel = 'x'", r"\[\[price\]\], with two brackets"),
        ("[[price]]\ninput = 1", "price 1: model is missing"),
        ('[[price]]\nmodel = "x"', r"price 1 \(x\): no price; write input and output"),
        ('[[price]]\nmodel = "x"\ninput = "1"', "input must be a number without quotes, not '1'"),
        ('[[price]]\nmodel = "x"\ninput = -1', "0 or more"),
        ('[[price]]\nmodel = "x"\ninput = nan', "must be a number"),
        ('[[price]]\nmodel = "x"\ninputs = 1', "unknown inputs. Known are provider, model"),
        ('[[price]]\nmodel = "x"\ninput = 1\nvalid_from = "2026-01-01"', "a date without quotes"),
        ('[[price]]\nmodel = "x"\ninput = 1\nvalid_from = 2026-02-01\nvalid_to = 2026-02-01', "after valid_from"),
        ('[[price]]\nmodel = "x"\ninput = 1\nservice_tier = 2', 'service_tier must be a text, such as "batch"'),
        ('[[price]]\nmodel = "x"\ndiscount = 15', "0.15 is 15 % off, not 15"),
        ('[[price]]\nmodel = "x"\ndiscount = 0.1\ninput = 1', "either a discount .* or prices"),
        ('[[price]]\nmodel = "x"\ninput = 1\n[[price.tier]]\nabove = 0', "higher than in the tier before"),
        ('prices = 1', "unknown prices"),
        ("units_per_usd = 0", "more than 0"),
    ],
)  # fmt: skip
def test_a_bad_file_is_told_where_and_what(text: str, says: str) -> None:
    with pytest.raises(PriceFileError, match=says):
        read_prices(text, "prices.toml")


def test_a_source_reads_its_file_again_and_keeps_the_old_one_when_it_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(OWN)
    source = PriceSource(path)
    before = source.periods("openai", "gpt-4o-mini")
    path.write_text("[[price]]")
    with pytest.raises(ConfigError, match=r"price_file is wrong: prices\.toml, price 1"):
        source.reload()
    assert source.periods("openai", "gpt-4o-mini") == before
    path.write_text(OWN.replace("0.10", "0.20"))
    source.reload()
    assert source.periods("openai", "gpt-4o-mini") != before
    with pytest.raises(ConfigError, match=r"Cannot read the price file .*nowhere\.toml: No such file"):
        PriceSource(tmp_path / "nowhere.toml")


def test_the_example_of_the_guide_is_a_price_file() -> None:
    (example,) = markdown.blocks(markdown.DOCS / "prices.md", "toml")
    prices = book(example.text)
    at = datetime(2026, 11, 1, tzinfo=UTC)
    assert first(prices, "our-llama-70b", at, "vllm").input_usd == [0.2]
    acme = first(prices, "acme-1", at, "acme")
    assert (acme.tier_starts, acme.service_tiers) == ([0, 200_000, 0], ["", "", "batch"])
    assert acme.extra_units[0] == [
        *("cache_write_1h_tokens", "input_audio_tokens", "output_audio_tokens", "cache_audio_read_tokens"),
        *("web_searches", "storage_searches"),
    ]
    assert first(prices, "gpt-4o-mini", at).input_usd == [0.12]
