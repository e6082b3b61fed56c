"""The time that a request asks about."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from gnomon_collector.errors import BadRequest
from gnomon_collector.store.metric_queries import Window

LONGEST: Final = timedelta(days=3660)
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
        BadRequest: it is no range, or ends before it starts
    """
    until = _utc(end) if end else now
    since = _utc(start) if start else until - length_of(range_ or "24h")
    if not timedelta(0) < until - since <= LONGEST:
        raise BadRequest("The time must end after it starts, and be ten years at most.")
    return Window(since, until)


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
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
