"""The time that a request asks about."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from gnomon_collector.errors import BadRequest
from gnomon_collector.store.metric_queries import Window

LONGEST: Final = timedelta(days=3660)
YEARS: Final = range(1990, 2200)
"""Of the times that can be asked about: within what the database has times for, however long the range."""

_RANGE: Final = re.compile(r"(\d{1,5})([mhdw])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def window(
    now: datetime, range_: str = "", start: datetime | None = None, end: datetime | None = None
) -> Window:
    """Return the time asked about, whole minutes in UTC.

    Args:
        range_: such as ``15m``, ``24h``, ``7d``, ``4w``: back from `end`, or from now; 24 hours if empty.
        start: wins over `range_`.

    Raises:
        BadRequest: it is no range, ends before it starts, or is not of our time
    """
    until = _utc(end) if end else now
    length = until - _utc(start) if start else length_of(range_ or "24h")
    if not timedelta(0) < length <= LONGEST:
        raise BadRequest("The time must end after it starts, and be ten years at most.")
    return Window(until - length, until)


def length_of(text: str) -> timedelta:
    """Return how long a range such as ``7d`` is.

    Raises:
        BadRequest: it is none
    """
    found = _RANGE.fullmatch(text)
    if found is None:
        raise BadRequest(f"{text[:20]!r} is no range: write for example 15m, 24h, 7d or 4w.")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _utc(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise BadRequest(f"Nothing is known of the year {moment.year}: ask from {YEARS[0]} to {YEARS[-1]}.")
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
