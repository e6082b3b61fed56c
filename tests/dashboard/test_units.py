from __future__ import annotations

import asyncio

import pytest
from starlette.types import Receive, Scope, Send

from gnomon_dashboard import units
from gnomon_dashboard.currency import ShownCurrency
from gnomon_schemas.money import Currency


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (987, "987"),
        (999.96, "1.00k"),
        (12_345, "12.3k"),
        (4_560_000, "4.56M"),
        (2.5e12, "2.50T"),
    ],
)
def test_counts(value: float | None, text: str) -> None:
    assert units.number(value) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "–"), (0.4213, "0.42 ms"), (5.25, "5.2 ms"), (512.4, "512 ms"), (999.6, "1.00 s"), (1240, "1.24 s"),
        (45_000, "45.0 s"), (200_000, "3 min 20 s"), (7_260_000, "2 h 1 min"),
    ],
)  # fmt: skip
def test_durations(ms: float | None, text: str) -> None:
    assert units.duration(ms) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [(None, "–"), (0, "$0"), (1204.4, "$1,204"), (3.519, "$3.52"), (0.0542, "$0.0542"), (0.0042, "$0.0042"), (0.00001234, "$0.000012")],
)  # fmt: skip
def test_amounts(usd: float | None, text: str) -> None:
    assert units.usd(usd) == text


def test_almost_all_is_not_all() -> None:
    assert units.percent(0.99996) == "99.9%"
    assert units.percent(1.0) == "100.0%"
    assert units.percent(0.99996, 2) == "99.99%"


def test_change_needs_something_before() -> None:
    assert units.change(3, 2) == 0.5
    assert units.change(3, 0) is None
    assert units.change(None, 2) is None


def test_amounts_are_shown_in_the_currency_of_the_request() -> None:
    token = units.shown_currency.set(Currency("RUB", 80))
    try:
        assert units.usd(0.5) == "40.00 ₽"
        assert units.amount(0.5) == 40
        assert units.money_axis() == {"ticksuffix": " ₽"}
    finally:
        units.shown_currency.reset(token)
    assert units.money_axis() == {"tickprefix": "$"}


async def test_a_dashboard_in_another_currency_shows_its_pages_in_it() -> None:
    shown: list[str] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        shown.append(await asyncio.to_thread(units.usd, 2.0))

    await ShownCurrency(page, Currency("EUR", 0.5))({"type": "http"}, None, None)  # type: ignore[arg-type]
    assert shown == ["€1.00"]
    assert units.usd(2.0) == "$2.00"
