"""Amounts of money as people read them, in US dollars or at a fixed rate in another currency. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NOTHING: Final = "–"
_SIGNS: Final = {
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "RUB": "₽",
    "JPY": "¥",
    "CNY": "¥",
    "INR": "₹",
    "KZT": "₸",
}
# Where the sign stands behind the amount.
_BEHIND: Final = ("RUB", "KZT")


@dataclass(frozen=True, slots=True)
class Currency:
    """What amounts are shown in; stored they are always in US dollars.

    Attributes:
        code: ISO 4217, such as EUR
        per_usd: how many units of it one US dollar is
    """

    code: str = "USD"
    per_usd: float = 1.0

    @property
    def sign(self) -> str:
        """Its sign; the code where it has none."""
        return _SIGNS.get(self.code, self.code)

    @property
    def stands_behind(self) -> bool:
        """Whether the sign stands behind the amount."""
        return self.code in _BEHIND or self.code not in _SIGNS

    def of_usd(self, usd: float) -> float:
        """Return an amount in this currency."""
        return usd * self.per_usd

    def show(self, usd: float | None) -> str:
        """Return an amount with the digits that matter: $1,204, $3.52, $0.0042, 0.31 ₽.

        Args:
            usd: in US dollars; None is shown as a dash
        """
        if usd is None:
            return NOTHING
        amount = self.of_usd(usd)
        minus = "-" if amount < 0 else ""
        digits = _digits(abs(amount))
        return f"{minus}{digits} {self.sign}" if self.stands_behind else f"{minus}{self.sign}{digits}"


def _digits(amount: float) -> str:
    if amount == 0:
        return "0"
    if amount >= 100:
        return f"{amount:,.0f}"
    if amount >= 0.995:
        return f"{amount:.2f}"
    return f"{amount:.4f}" if amount >= 0.00995 else f"{amount:.2g}" if amount >= 0.0001 else f"{amount:.6f}"
