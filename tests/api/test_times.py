"""Times that cannot be asked about are refused in words, before anything is queried."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gnomon_collector.api.times import window
from gnomon_collector.errors import BadRequest

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(167, 8, 28),
        datetime(2263, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))),
    ],
)
@pytest.mark.parametrize("which", ["start", "end"])
def test_years_that_the_database_has_no_time_for(which: str, moment: datetime) -> None:
    with pytest.raises(BadRequest, match=f"year {moment.year}: ask from 1990 to 2199"):
        window(NOW, "", **{which: moment})


@pytest.mark.parametrize(
    ("range_", "start", "end"),
    [
        ("99999w", None, None),
        ("0d", None, None),
        ("", NOW, None),
        ("", NOW - timedelta(days=3661), NOW),
        ("", NOW, NOW - timedelta(days=1)),
    ],
)
def test_no_time_at_all_or_more_than_ten_years(
    range_: str, start: datetime | None, end: datetime | None
) -> None:
    with pytest.raises(BadRequest, match="ten years at most"):
        window(NOW, range_, start, end)


def test_what_is_asked_about() -> None:
    day = timedelta(days=1)
    assert (window(NOW).start, window(NOW).end) == (NOW - day, NOW)
    assert window(NOW, "7d", end=NOW - day).start == NOW - 8 * day
    assert window(NOW, "7d", start=NOW - day).start == NOW - day
