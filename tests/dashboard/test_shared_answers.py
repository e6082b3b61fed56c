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
from gnomon_dashboard.shared_answers import BRIEFLY, SharedAnswers, keep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gnomon_collector.store.engine import Store

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Question:
    """Counts how often it is answered; waits until it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.answered = 0
        self.may_answer = threading.Event()

    async def __call__(self) -> tuple[int, ...]:
        self.asked += 1
        asked = self.asked
        assert await asyncio.to_thread(self.may_answer.wait, 10)
        self.answered += 1
        return (asked,)

    async def has_answered(self, times: int) -> None:
        while self.answered < times:  # noqa: ASYNC110  (an event would be of one loop)
            await asyncio.sleep(0.01)


def test_who_asks_meanwhile_or_just_after_gets_the_same() -> None:
    at = [100.0]
    shared, question = SharedAnswers(clock=lambda: at[0]), Question()

    async def ask_thrice() -> list[Any]:
        both = asyncio.gather(shared.get("a", question), shared.get("a", question))
        await asyncio.sleep(0.05)
        at[0] += 10 * BRIEFLY.usable_s  # however long it takes
        late = asyncio.ensure_future(shared.get("a", question))
        await asyncio.sleep(0)
        question.may_answer.set()
        answers = [*await both, await late]
        question.asked = 10
        at[0] += 2 * BRIEFLY.usable_s
        return [*answers, await shared.get("a", question), await shared.get("b", question)]

    assert asyncio.run(ask_thrice()) == [(1,), (1,), (1,), (11,), (12,)]


def test_a_page_that_refreshes_itself_never_gets_the_same_twice() -> None:
    assert keep(0) == BRIEFLY and BRIEFLY.fresh_s == BRIEFLY.usable_s
    for refresh_s in filter(None, state.REFRESHES_S):
        kept = keep(refresh_s)
        assert 0 < kept.fresh_s <= refresh_s / 2
        assert kept.fresh_s < kept.usable_s < min(10, refresh_s)


def test_of_an_old_answer_one_is_made_anew_and_nobody_waits_for_it() -> None:
    at = [100.0]
    shared, question = SharedAnswers(clock=lambda: at[0]), Question()
    question.may_answer.set()

    async def ask(passed_s: float) -> Any:
        at[0] += passed_s
        return await asyncio.wait_for(shared.get("a", question, keep(10)), 5)

    async def ask_later() -> list[Any]:
        answers = [await ask(0), await ask(4.9)]
        question.may_answer.clear()
        answers += [await ask(0.2), await ask(1)]  # given while the second one is under way
        question.may_answer.set()
        await question.has_answered(2)
        answers += [await ask(0), await ask(9.1)]
        return answers

    assert asyncio.run(ask_later()) == [(1,), (1,), (1,), (1,), (2,), (3,)]


def test_who_comes_when_the_old_one_is_too_old_waits_for_the_one_under_way() -> None:
    at = [100.0]
    shared, question = SharedAnswers(clock=lambda: at[0]), Question()
    question.may_answer.set()

    async def ask_later() -> list[Any]:
        answers = [await shared.get("a", question, keep(10))]
        question.may_answer.clear()
        at[0] += 8
        answers.append(await shared.get("a", question, keep(10)))
        at[0] += 2
        late = asyncio.ensure_future(shared.get("a", question, keep(10)))
        await asyncio.sleep(0.05)
        assert not late.done()
        question.may_answer.set()
        return [*answers, await late]

    assert asyncio.run(ask_later()) == [(1,), (1,), (2,)]


def test_an_answer_that_could_not_be_made_anew_is_asked_for_again() -> None:
    at = [100.0]
    shared, question = SharedAnswers(clock=lambda: at[0]), Question()
    question.may_answer.set()

    async def fail() -> None:
        raise ZeroDivisionError

    async def ask_later() -> list[Any]:
        answers = [await shared.get("a", question, keep(10))]
        at[0] += 6
        answers.append(await shared.get("a", fail, keep(10)))
        await asyncio.sleep(0.01)
        answers.append(await shared.get("a", question, keep(10)))
        await question.has_answered(2)
        at[0] += 4
        return [*answers, await shared.get("a", question, keep(10))]

    assert asyncio.run(ask_later()) == [(1,), (1,), (1,), (2,)]


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
