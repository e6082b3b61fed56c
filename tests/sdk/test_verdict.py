"""What answers mean, and how long to wait."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from gnomon._transport import Response
from gnomon._verdict import backoff_s, judge, parse_retry_after

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


def answer(status: int, retry_after: str | None = None, location: str | None = None) -> Response:
    return Response(status, retry_after, location, b"")


@pytest.mark.parametrize(
    ("status", "action"),
    [(200, "accept"), (202, "accept")]
    + [(status, "retry") for status in (429, 502, 503, 504)]
    + [(status, "reject") for status in (301, 400, 401, 403, 404, 413, 415, 500, 501)],
)
def test_actions(status: int, action: str) -> None:
    assert judge(answer(status), NOW).action == action


def test_a_redirect_names_the_new_address() -> None:
    assert "https://new/" in judge(answer(308, location="https://new/"), NOW).advice


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("2", 2.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("99999", 300.0),
        ("-1", None),
        ("nan", None),
        ("soon", None),
        (format_datetime(NOW + timedelta(seconds=7), usegmt=True), 7.0),
        (format_datetime(NOW - timedelta(seconds=7), usegmt=True), 0.0),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


def test_backoff_grows_to_its_limit_with_jitter() -> None:
    draw = random.Random(1)
    for failures, base_s in ((1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (1_000, 30.0)):
        waits = [backoff_s(failures, None, draw) for _ in range(200)]
        assert min(waits) >= base_s / 2
        assert max(waits) <= base_s * 1.5
        assert len(set(waits)) > 100


def test_backoff_never_undercuts_what_the_server_asked_for() -> None:
    draw = random.Random(1)
    assert all(10.0 <= backoff_s(1, 10.0, draw) <= 11.5 for _ in range(200))
