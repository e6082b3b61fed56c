"""Amounts as people read them."""

from __future__ import annotations

import pytest

from gnomon_schemas.money import Currency


@pytest.mark.parametrize(
    ("usd", "dollars", "roubles", "kronor"),
    [
        (None, "–", "–", "–"),
        (0, "$0", "0 ₽", "0 SEK"),
        (1204.4, "$1,204", "96,352 ₽", "12,044 SEK"),
        (3.5213, "$3.52", "282 ₽", "35.21 SEK"),
        (0.00421, "$0.0042", "0.3368 ₽", "0.0421 SEK"),
        (-2, "-$2.00", "-160 ₽", "-20.00 SEK"),
    ],
)
def test_amounts_have_the_digits_that_matter(
    usd: float | None, dollars: str, roubles: str, kronor: str
) -> None:
    assert Currency().show(usd) == dollars
    assert Currency("RUB", 80).show(usd) == roubles
    assert Currency("SEK", 10).show(usd) == kronor
