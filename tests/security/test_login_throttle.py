"""Guessing gets slower, however many processes are asked and however many guesses are sent at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.dashboard.conftest import PASSWORD, SECRET, served

from gnomon_collector.store import users
from gnomon_collector.store.engine import Store
from gnomon_collector.store.login_attempts import Failures, count_attempt, failures
from gnomon_dashboard.app import create_dashboard
from gnomon_dashboard.login_throttle import FREE_FAILURES, wait_s

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def processes(store: Store) -> Iterator[tuple[str, str]]:
    """Base URLs of two dashboards on one database, as two processes are."""
    users.create_user(store, "ada", PASSWORD, "editor")
    one, two = (create_dashboard(store, secret=SECRET) for _ in range(2))
    with served(one) as first, served(two) as second:
        yield first, second


def guess(address: str, password: str = "wrong") -> int:
    form = {"username": "ada", "password": password}
    return httpx.post(f"{address}/login", data=form, headers=OWN_PAGE, timeout=60).status_code


def test_each_failure_from_the_fifth_on_doubles_the_wait() -> None:
    assert [wait_s([Failures(count, 0)]) for count in range(10)] == [0, 0, 0, 0, 0, 5, 10, 20, 40, 80]
    assert wait_s([Failures(5, 3), Failures(6, 3)]) == 7
    assert wait_s([Failures(5, 5.1)]) == 0
    assert wait_s([Failures(60_000, 0)]) == 900
    assert wait_s([]) == 0


def test_what_one_process_has_counted_holds_in_the_other(processes: tuple[str, str]) -> None:
    first, second = processes
    assert [guess(first) for _ in range(FREE_FAILURES)] == [401] * FREE_FAILURES
    assert guess(second) == 429
    assert guess(second, PASSWORD) == 429


def test_guesses_sent_at_once_are_not_all_tried(processes: tuple[str, str]) -> None:
    first, _ = processes
    with ThreadPoolExecutor(20) as pool:
        answers = Counter(pool.map(guess, [first] * 20))
    assert answers == {401: FREE_FAILURES, 429: 20 - FREE_FAILURES}


def test_a_login_forgives(processes: tuple[str, str]) -> None:
    first, second = processes
    for _ in range(2):
        assert [guess(first) for _ in range(FREE_FAILURES - 1)] == [401] * (FREE_FAILURES - 1)
        assert guess(second, PASSWORD) == 303


def test_attempts_are_counted_by_key_and_forgotten_after_a_day(store: Store) -> None:
    for _ in range(3):
        count_attempt(store, ["user a", "address 1"], is_success=False)
    (of_a,) = failures(store, ["user a"])
    assert of_a.count == 3 and 0 <= of_a.since_s < 60
    assert len(failures(store, ["user a", "address 1"])) == 2
    assert failures(store, ["user b"]) == []
    count_attempt(store, ["user a"], is_success=True)
    assert failures(store, ["user a"]) == []
    assert [each.count for each in failures(store, ["address 1"])] == [3]
    rows = store.query("SELECT DISTINCT key_sha256 FROM login_attempts").rows
    assert all(len(key) == 64 for (key,) in rows)


def test_failures_of_yesterday_are_forgotten(store: Store) -> None:
    store.command(
        "INSERT INTO login_attempts SELECT lower(hex(SHA256('user a'))), toString(number),"
        " now64(6, 'UTC') - toIntervalSecond(86401), false FROM numbers(9)"
    )
    assert failures(store, ["user a"]) == []
    count_attempt(store, ["user a"], is_success=False)
    assert [each.count for each in failures(store, ["user a"])] == [1]
