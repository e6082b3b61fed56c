"""Answers are shared between those who see the same, and with nobody else."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gnomon_collector.store.users import Role, User
from gnomon_dashboard import rights, state
from gnomon_dashboard.context import Context, ProjectList, View, shared_answer
from gnomon_dashboard.markers import Timeline
from gnomon_dashboard.pages.panel import Panel, answered_together
from gnomon_dashboard.shared_answers import FRESH_S, SharedAnswers, fresh_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gnomon_collector.store.engine import Store

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Question:
    """Counts how often it is answered; waits until it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = threading.Event()

    async def __call__(self) -> tuple[int, ...]:
        self.asked += 1
        asked = self.asked
        assert await asyncio.to_thread(self.may_answer.wait, 10)
        return (asked,)


def test_who_asks_meanwhile_or_just_after_gets_the_same() -> None:
    at = [100.0]
    shared, question = SharedAnswers(clock=lambda: at[0]), Question()

    async def ask_thrice() -> list[Any]:
        both = asyncio.gather(shared.get("a", question), shared.get("a", question))
        await asyncio.sleep(0.05)
        at[0] += 10 * FRESH_S  # however long it takes
        late = asyncio.ensure_future(shared.get("a", question))
        await asyncio.sleep(0)
        question.may_answer.set()
        answers = [*await both, await late]
        question.asked = 10
        at[0] += 2 * FRESH_S
        return [*answers, await shared.get("a", question), await shared.get("b", question)]

    assert asyncio.run(ask_thrice()) == [(1,), (1,), (1,), (11,), (12,)]


def test_a_page_that_refreshes_itself_never_gets_the_same_twice() -> None:
    assert fresh_s(0) == FRESH_S
    for refresh_s in filter(None, state.REFRESHES_S):
        assert 0 < fresh_s(refresh_s) <= min(5.0, refresh_s / 2)


def test_an_answer_is_kept_for_as_long_as_who_asked_first_says() -> None:
    at = [100.0]
    shared, question = SharedAnswers(clock=lambda: at[0]), Question()
    question.may_answer.set()

    async def ask_later() -> list[Any]:
        answers = []
        for passed_s in (0.0, 4.9, 0.2):
            at[0] += passed_s
            answers.append(await shared.get("a", question, fresh_s(10)))
        return answers

    assert asyncio.run(ask_later()) == [(1,), (1,), (2,)]


def test_one_who_leaves_stops_nothing_and_a_failure_is_not_kept() -> None:
    shared, question = SharedAnswers(), Question()

    async def leave() -> None:
        first = asyncio.ensure_future(shared.get("a", question))
        await asyncio.sleep(0.05)
        second = asyncio.ensure_future(shared.get("a", question))
        first.cancel()
        question.may_answer.set()
        assert await second == (1,)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await shared.get("fails", fail)
        assert await shared.get("fails", question) == (2,)

    async def fail() -> None:
        raise ZeroDivisionError

    asyncio.run(leave())


def view(project: str = "shop", search: str = "?range=24h") -> View:
    shown = state.parse(search)
    return View(shown, project, state.window(shown, NOW), UTC, "light")


def person(role: Role, projects: Mapping[str, Role] | None = None) -> User:
    return User("someone", role, NOW, projects or {})


def test_panels_that_ask_the_same_ask_once(store: Store) -> None:
    context = Context(store, ProjectList(store), "", lambda: NOW, SharedAnswers())
    timeline, times_asked = Timeline(store), []

    def ask(_store: Store, seen: View) -> str:
        times_asked.append(seen.project)
        return f"calls of {seen.project}"

    parts = [Panel(name, name, "", "", ask, draw, kind="content") for name, draw in DRAWN.items()]

    async def ask_all() -> list[object]:
        with rights.asked_by(person("viewer")):
            return await asyncio.gather(
                *(answered_together(context, view(), one, timeline) for one in parts),
                answered_together(context, view("desk"), parts[0], timeline),
            )

    assert asyncio.run(ask_all()) == [
        ("calls of shop", None),
        ("CALLS OF SHOP", None),
        ("calls of desk", None),
    ]
    assert sorted(times_asked) == ["desk", "shop"]


DRAWN: Mapping[str, Any] = {"low": lambda answer, _: answer, "high": lambda answer, _: answer.upper()}


def test_nothing_passes_between_views_projects_and_rights(store: Store) -> None:
    context = Context(store, ProjectList(store), "", lambda: NOW, SharedAnswers(clock=lambda: 0.0))
    question = Question()
    question.may_answer.set()

    async def ask(seen: View, who: User, name: str = "panel") -> object:
        with rights.asked_by(who):
            return (await shared_answer(context, seen, name, question))[0]

    async def ask_all() -> list[object]:
        viewer = person("viewer")
        return [
            await ask(view(), viewer),
            await ask(view(), User("somebody else", "viewer", NOW)),
            await ask(view("desk"), viewer),
            await ask(view(search="?range=7d"), viewer),
            await ask(view(), viewer, "other panel"),
            await ask(view(), person("admin")),
            await ask(view(), person("viewer", {"desk": "editor"})),
            await ask(view(), viewer),
        ]

    assert asyncio.run(ask_all()) == [1, 1, 2, 3, 4, 5, 6, 1]
