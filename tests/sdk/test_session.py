"""`gnomon.session`: which spans it stamps, across threads, tasks and nesting."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry import trace
from tests.sdk.test_values import Hostile

import gnomon
from gnomon import testing


def work(name: str) -> None:
    with gnomon.span(name):
        pass


def stamped(captured: testing.Captured, name: str) -> dict[str, Any]:
    attributes = dict(captured.span(name).attributes or {})
    del attributes["gnomon.span.kind"]
    return attributes


def test_every_span_inside_is_stamped_and_none_outside() -> None:
    with testing.capture() as captured:
        with gnomon.session(
            user="u1",
            company="c1",
            session="s1",
            prompt="greeting@v2",
            tags=["beta", "eu"],
            metadata={"plan": "pro", "seats": 5, "deep": {"a": 1}},
        ):
            work("inside")
        work("outside")
    assert stamped(captured, "inside") == {
        "user.id": "u1",
        "gnomon.company.id": "c1",
        "gen_ai.conversation.id": "s1",
        "gen_ai.prompt.name": "greeting",
        "gen_ai.prompt.version": "v2",
        "gnomon.tags": ("beta", "eu"),
        "gnomon.metadata.plan": "pro",
        "gnomon.metadata.seats": 5,
        "gnomon.metadata.deep": '{"a":1}',
    }
    assert stamped(captured, "outside") == {}


def test_spans_of_any_instrumentation_are_stamped() -> None:
    tracer = trace.get_tracer("other")
    with testing.capture(export_all_spans=True) as captured, gnomon.session(user="u1"):
        tracer.start_span("GET /").end()
    assert (captured.span("GET /").attributes or {})["user.id"] == "u1"


@pytest.mark.parametrize(
    ("prompt", "name", "version"),
    [
        ("greeting", "greeting", None),
        ("greeting@3", "greeting", "3"),
        (("greeting", 4), "greeting", "4"),
        ("team@home/greeting@v1", "team@home/greeting", "v1"),
        ("greeting@", "greeting", None),
    ],
)
def test_prompt_names(prompt: Any, name: str, version: str | None) -> None:
    with testing.capture() as captured, gnomon.session(prompt=prompt):
        work("a")
    attributes = stamped(captured, "a")
    assert attributes["gen_ai.prompt.name"] == name
    assert attributes.get("gen_ai.prompt.version") == version


def test_sessions_nest() -> None:
    with (
        testing.capture() as captured,
        gnomon.session(user="u1", prompt="p@1", tags=["a"], metadata={"x": 1, "y": 1}),
        gnomon.session(session="s1", prompt="q", tags=["b", "a"], metadata={"y": 2}),
    ):
        work("inner")
    assert stamped(captured, "inner") == {
        "user.id": "u1",
        "gen_ai.conversation.id": "s1",
        "gen_ai.prompt.name": "q",
        "gnomon.tags": ("a", "b"),
        "gnomon.metadata.x": 1,
        "gnomon.metadata.y": 2,
    }


def test_ids_that_are_no_text_become_text() -> None:
    with testing.capture() as captured, gnomon.session(user=42, company=Hostile(), tags="one"):
        work("a")
    assert stamped(captured, "a") == {
        "user.id": "42",
        "gnomon.company.id": "<unprintable Hostile>",
        "gnomon.tags": ("one",),
    }


def test_threads_do_not_share_sessions() -> None:
    def visit(number: int) -> None:
        with gnomon.session(user=f"u{number}"):
            barrier.wait()
            work(f"visit {number}")
            barrier.wait()

    barrier = threading.Barrier(4)
    with testing.capture() as captured:
        threads = [threading.Thread(target=visit, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number in range(4):
        assert stamped(captured, f"visit {number}") == {"user.id": f"u{number}"}


def test_carry_takes_session_and_span_into_other_threads() -> None:
    with testing.capture() as captured, ThreadPoolExecutor(2) as pool:
        with gnomon.session(user="u1"), gnomon.span("parent") as parent:
            list(pool.map(gnomon.carry(work), ["a", "b"]))
            thread = threading.Thread(target=gnomon.carry(work), args=("c",))
            thread.start()
            thread.join()
        pool.submit(work, "d").result()
    for name in "abc":
        span = captured.span(name)
        assert (span.attributes or {})["user.id"] == "u1"
        assert span.parent and trace.format_span_id(span.parent.span_id) == parent.span_id
    assert stamped(captured, "d") == {}


async def test_tasks_inherit_and_do_not_leak() -> None:
    async def visit(user: str) -> None:
        with gnomon.session(user=user):
            await asyncio.sleep(0)
            await asyncio.gather(*(step(f"{user} step {number}") for number in range(2)))
            await asyncio.to_thread(work, f"{user} thread")

    async def step(name: str) -> None:
        await asyncio.sleep(0)
        work(name)

    with testing.capture() as captured:
        await asyncio.gather(visit("u1"), visit("u2"))
        work("outside")
    for user in ("u1", "u2"):
        for name in ("step 0", "step 1", "thread"):
            assert stamped(captured, f"{user} {name}") == {"user.id": user}
    assert stamped(captured, "outside") == {}


def test_a_session_can_be_entered_again() -> None:
    scope = gnomon.session(user="u1")
    with testing.capture() as captured:
        with scope, scope:
            work("a")
        work("b")
    assert stamped(captured, "a") == {"user.id": "u1"}
    assert stamped(captured, "b") == {}


def test_entered_and_left_in_different_contexts_it_stays_quiet(caplog: pytest.LogCaptureFixture) -> None:
    # Web frameworks do that to generator dependencies: each half runs in a context of its own.
    scope, handle = gnomon.session(user="u1"), gnomon.span("request")
    with testing.capture() as captured:
        entered = copy_context()
        entered.run(scope.__enter__)
        entered.run(handle.__enter__)
        copied = entered.copy()
        copied.run(handle.__exit__, None, None, None)
        copied.run(scope.__exit__, None, None, None)
        copied.run(work, "after")
        handle = gnomon.span("elsewhere")
        copy_context().run(handle.__enter__)
        copy_context().run(handle.__exit__, None, None, None)
    assert stamped(captured, "request") == {"user.id": "u1"}
    assert stamped(captured, "after") == {}
    assert captured.span("after").parent is None
    assert captured.span("elsewhere")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
