"""A session ends everywhere: when its person logs out, has another password or role, or is removed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from tests.dashboard.conftest import PASSWORD, SECRET, served

from gnomon_collector.errors import StoreUnavailable
from gnomon_collector.store import sessions, users
from gnomon_collector.store.engine import Store
from gnomon_collector.store.users import User
from gnomon_dashboard.app import create_dashboard
from gnomon_dashboard.auth import SESSION_COOKIE, Sessions

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
WITHIN_S = 5.0
"""How soon an ended session must be refused by every process."""


@pytest.fixture
def processes(store: Store) -> Iterator[tuple[str, str]]:
    """Base URLs of two dashboards on one database, as two processes are."""
    users.create_user(store, "ada", PASSWORD, "editor")
    one, two = (create_dashboard(store, secret=SECRET) for _ in range(2))
    with served(one) as first, served(two) as second:
        yield first, second


@pytest.fixture
def cookie(processes: tuple[str, str]) -> str:
    """The cookie of a login at the first."""
    form = {"username": "ada", "password": PASSWORD}
    return httpx.post(f"{processes[0]}/login", data=form, headers=OWN_PAGE).cookies[SESSION_COOKIE]


def opens(address: str, cookie: str) -> bool:
    return httpx.get(f"{address}/_dash-layout", cookies={SESSION_COOKIE: cookie}).status_code == 200


def seconds_until_refused(address: str, cookie: str) -> float:
    started_s = time.monotonic()
    while opens(address, cookie):
        assert time.monotonic() - started_s < 2 * WITHIN_S, "the session lives on"
        time.sleep(0.1)
    return time.monotonic() - started_s


def test_logging_out_ends_a_copied_cookie_too(processes: tuple[str, str], cookie: str) -> None:
    first, second = processes
    assert opens(first, cookie) and opens(second, cookie)
    httpx.post(f"{first}/logout", cookies={SESSION_COOKIE: cookie}, headers=OWN_PAGE)
    assert not opens(first, cookie)
    assert seconds_until_refused(second, cookie) < WITHIN_S


def test_another_role_ends_all_sessions_of_the_person(
    processes: tuple[str, str], cookie: str, store: Store
) -> None:
    assert all(opens(address, cookie) for address in processes)
    users.set_role(store, "ada", "viewer")
    assert max(seconds_until_refused(address, cookie) for address in processes) < WITHIN_S


@pytest.mark.parametrize(
    "change",
    [
        lambda store: users.set_password(store, "ada", "another password"),
        lambda store: users.set_role(store, "ada", "admin", "shop"),
        lambda store: users.delete_user(store, "ada"),
    ],
    ids=["password", "role on a project", "removed"],
)
def test_a_change_of_the_person_ends_the_session(store: Store, change: Callable[[Store], Any]) -> None:
    token = sessions.begin_session(store, users.create_user(store, "ada", PASSWORD))
    change(store)
    assert sessions.session_user(store, token) is None


def test_who_was_removed_and_made_again_logs_in_again(store: Store) -> None:
    token = sessions.begin_session(store, users.create_user(store, "ada", PASSWORD))
    users.delete_user(store, "ada")
    users.create_user(store, "ada", PASSWORD)
    assert sessions.session_user(store, token) is None


def test_the_login_page_is_shown_to_who_has_an_ended_session(
    processes: tuple[str, str], cookie: str, store: Store
) -> None:
    users.delete_user(store, "ada")
    seconds_until_refused(processes[0], cookie)
    assert httpx.get(f"{processes[0]}/login", cookies={SESSION_COOKIE: cookie}).status_code == 200


def test_the_text_of_the_cookie_is_stored_nowhere(store: Store) -> None:
    token = sessions.begin_session(store, users.create_user(store, "ada", PASSWORD))
    assert token not in str(store.query("SELECT * FROM sessions").dicts())
    found = sessions.session_user(store, token)
    assert found is not None and found.username == "ada"
    assert sessions.session_user(store, token + "x") is None


@dataclass
class Book:
    """Accounts that count the questions, and break when told to."""

    user: User
    asked: int = 0
    is_away: bool = False
    ended: list[str] = field(default_factory=list)

    def verify(self, username: str, password: str) -> User | None:
        raise NotImplementedError

    def begin(self, user: User) -> str:
        return "token"

    def find(self, token: str) -> User | None:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("away")
        return self.user

    def end(self, token: str) -> None:
        self.ended.append(token)


async def test_the_many_requests_of_a_page_ask_the_database_once() -> None:
    now = [1000.0]
    book = Book(User("ada", "viewer", datetime.now(UTC)))
    checked = Sessions(book, clock=lambda: now[0])
    found = await asyncio.gather(*(checked.person({"session": "token"}) for _ in range(20)))
    assert set(map(id, found)) == {id(book.user)} and book.asked == 1
    now[0] += 3
    await checked.person({"session": "token"})
    assert book.asked == 2


async def test_a_session_outlives_a_database_that_is_away_for_a_moment() -> None:
    now = [1000.0]
    book = Book(User("ada", "viewer", datetime.now(UTC)))
    checked = Sessions(book, clock=lambda: now[0])
    await checked.person({"session": "token"})
    book.is_away = True
    now[0] += 30
    assert await checked.person({"session": "token"}) is book.user
    now[0] += 60
    with pytest.raises(StoreUnavailable):
        await checked.person({"session": "token"})
