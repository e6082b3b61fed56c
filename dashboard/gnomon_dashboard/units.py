"""Numbers as people read them. Pure, but for the currency, which the request's context has."""

from contextvars import ContextVar
from datetime import datetime
from typing import Final

from gnomon_schemas.money import NOTHING, Currency

__all__ = [
    "NOTHING",
    "amount",
    "change",
    "duration",
    "moment",
    "money_axis",
    "number",
    "percent",
    "usd",
    "whole",
]

_DOLLARS: Final = Currency()
shown_currency: Final[ContextVar[Currency]] = ContextVar("shown_currency", default=_DOLLARS)
"""What amounts are shown in while a request is answered; `currency.ShownCurrency` sets it."""

_THOUSANDS: Final = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def number(value: float | None) -> str:
    """Return a count in at most four digits: 987, 12.3k, 4.56M."""
    if value is None:
        return NOTHING
    for size, letter in _THOUSANDS:
        if abs(value) >= size * 0.99995:
            return f"{_three_digits(value / size)}{letter}"
    return f"{value:.0f}"


def whole(value: float | None) -> str:
    """Return a count in full, with separators: 12,345."""
    return NOTHING if value is None else f"{value:,.0f}"


def duration(ms: float | None) -> str:
    """Return a duration in the unit that suits it: 0.42 ms, 512 ms, 1.24 s, 3 min 20 s."""
    if ms is None:
        return NOTHING
    if ms < 1:
        return f"{ms:.2f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"
    if ms < 99_950:
        return f"{ms / 1000:.2f} s" if ms < 9_995 else f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def usd(value: float | None) -> str:
    """Return an amount given in US dollars, in the currency of the request: $1,204, $3.52, 0.31 ₽."""
    return shown_currency.get().show(value)


def amount(usd_value: float) -> float:
    """Return an amount given in US dollars as a number of the shown currency, for axes."""
    return shown_currency.get().of_usd(usd_value)


def money_axis() -> dict[str, str]:
    """Return what Plotly puts at the ticks of an axis of `amount`s."""
    currency = shown_currency.get()
    return {"ticksuffix": f" {currency.sign}"} if currency.stands_behind else {"tickprefix": currency.sign}


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share (0..1) in percent; 99.96 % is not rounded up to 100."""
    if share is None:
        return NOTHING
    text = f"{share * 100:.{digits}f}"
    if float(text) == 100 and share < 1:
        text = f"{100 - 10**-digits:.{digits}f}"
    return f"{text}%"


def change(now: float | None, before: float | None) -> float | None:
    """Return the relative change, or None when there is nothing to compare with."""
    return (now - before) / before if now is not None and before else None


def moment(time: datetime) -> str:
    """Return a point in time to the millisecond, in the zone it carries."""
    return f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03d}"


def _three_digits(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 9.995 else f"{value:.1f}" if abs(value) < 99.95 else f"{value:.0f}"
