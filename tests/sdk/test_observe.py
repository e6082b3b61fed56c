"""`gnomon.observe` on every kind of function."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from tests.sdk.test_values import Hostile, cyclic

import gnomon
from gnomon import testing


def attributes_of(captured: testing.Captured, name: str) -> dict[str, Any]:
    return dict(captured.span(name).attributes or {})


@gnomon.observe
def add(a: int, b: int = 2) -> int:
    """Adds."""
    return a + b


@gnomon.observe(name="renamed", kind="tool", capture_input=False, capture_output=False)
async def quiet(secret: str) -> str:
    await asyncio.sleep(0)
    return secret.upper()


@gnomon.observe(name="words", kind="generation")
def words(text: str) -> Generator[str, None, None]:
    for word in text.split(" "):
        with gnomon.span(f"inside {word}"):
            pass
        yield word


@gnomon.observe(name="numbers")
async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


class Service:
    @gnomon.observe(name="method")
    def method(self, x: int) -> int:
        return x

    @gnomon.observe(name="class_method")
    @classmethod
    def class_method(cls, x: int) -> int:
        return x

    @gnomon.observe(name="static_method")
    @staticmethod
    def static_method(x: int) -> int:
        return x


def test_a_function_with_arguments_and_result() -> None:
    with testing.capture() as captured:
        assert add(1, b=5) == 6
    attributes = attributes_of(captured, "add")
    assert json.loads(attributes["gnomon.input"]) == {"a": 1, "b": 5}
    assert (attributes["gnomon.output"], attributes["gnomon.span.kind"]) == ("6", "step")


def test_the_function_keeps_its_face() -> None:
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert list(inspect.signature(add).parameters) == ["a", "b"]
    assert inspect.iscoroutinefunction(quiet)
    assert inspect.isgeneratorfunction(words)
    assert inspect.isasyncgenfunction(numbers)


async def test_a_coroutine_with_options() -> None:
    with testing.capture() as captured:
        assert await quiet("abc") == "ABC"
    assert attributes_of(captured, "renamed") == {"gnomon.span.kind": "tool"}


def test_methods_are_recorded_without_self_and_cls() -> None:
    with testing.capture() as captured:
        assert (Service().method(1), Service.class_method(2), Service.static_method(3)) == (1, 2, 3)
    for name, expected in (("method", 1), ("class_method", 2), ("static_method", 3)):
        assert json.loads(attributes_of(captured, name)["gnomon.input"]) == {"x": expected}


def test_a_generator_passes_items_on_and_records_their_text() -> None:
    with testing.capture() as captured:
        assert list(words("a b c")) == ["a", "b", "c"]
    attributes = attributes_of(captured, "words")
    assert attributes["gnomon.output"] == "abc"
    assert attributes["gen_ai.response.time_to_first_chunk"] >= 0


def test_spans_between_two_items_are_not_the_generators_children() -> None:
    with testing.capture() as captured:
        for word in words("a b"):
            with gnomon.span(f"outside {word}"):
                pass
    generator = captured.span("words")
    inside, outside = captured.span("inside b"), captured.span("outside b")
    assert inside.parent is not None and generator.context is not None
    assert inside.parent.span_id == generator.context.span_id
    assert outside.parent is None


def test_a_generator_that_is_never_run_leaves_no_span() -> None:
    with testing.capture() as captured:
        words("a b")
    assert captured.spans == []


def test_a_generator_abandoned_half_way_is_cancelled() -> None:
    with testing.capture() as captured:
        stream = words("a b c")
        next(stream)
        stream.close()
    attributes = attributes_of(captured, "words")
    assert (attributes["gnomon.status"], attributes["gnomon.output"]) == ("cancelled", "a")


def test_send_throw_and_return_value_of_a_generator_pass_through() -> None:
    @gnomon.observe(name="echo")
    def echo() -> Any:
        heard: list[Any] = []
        try:
            while True:
                heard.append((yield len(heard)))
        except KeyError as error:
            return [*heard, str(error)]

    with testing.capture() as captured:
        talk = echo()
        assert [next(talk), talk.send("x"), talk.send("y")] == [0, 1, 2]
        with pytest.raises(StopIteration) as stop:
            talk.throw(KeyError("end"))
    assert stop.value.value == ["x", "y", "'end'"]
    assert captured.span("echo").status.status_code is trace.StatusCode.UNSET


def test_a_generator_that_fails_is_an_error() -> None:
    @gnomon.observe(name="bad")
    def bad() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with testing.capture() as captured, pytest.raises(ValueError, match="broken"):
        list(bad())
    assert captured.span("bad").status.description == "broken"


async def test_an_async_generator() -> None:
    with testing.capture() as captured:
        assert [number async for number in numbers(3)] == [0, 1, 2]
    assert attributes_of(captured, "numbers")["gnomon.output"] == "[0,1,2]"


async def test_an_async_generator_closed_half_way_closes_the_inner_one() -> None:
    closed = []

    @gnomon.observe(name="stream")
    async def stream() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    with testing.capture() as captured:
        items = stream()
        assert await anext(items) == 1
        await items.aclose()  # type: ignore[attr-defined]
    assert closed == [True]
    assert attributes_of(captured, "stream")["gnomon.status"] == "cancelled"


async def test_asend_and_athrow_pass_through() -> None:
    @gnomon.observe(name="echo")
    async def echo() -> Any:
        heard: list[Any] = []
        while True:
            try:
                heard.append((yield list(heard)))
            except KeyError as error:
                heard.append(f"caught {error}")

    with testing.capture():
        talk = echo()
        assert await anext(talk) == []
        assert await talk.asend("x") == ["x"]
        assert await talk.athrow(KeyError("k")) == ["x", "caught 'k'"]
        await talk.aclose()


async def test_a_cancelled_coroutine_is_cancelled_not_failed() -> None:
    @gnomon.observe(name="slow")
    async def slow() -> None:
        await asyncio.sleep(60)

    with testing.capture() as captured:
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert attributes_of(captured, "slow")["gnomon.status"] == "cancelled"


def test_an_error_of_the_function_is_the_callers() -> None:
    @gnomon.observe(name="fail")
    def fail() -> None:
        raise LookupError("gone")

    with testing.capture() as captured, pytest.raises(LookupError, match="gone"):
        fail()
    assert attributes_of(captured, "fail")["error.type"] == "LookupError"


def test_a_wrong_call_gets_pythons_own_complaint() -> None:
    with testing.capture(), pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        add(1, c=2)  # type: ignore[call-arg]


def test_hostile_arguments_and_results_do_not_reach_the_host() -> None:
    @gnomon.observe(name="odd")
    def odd(*args: object, **kwargs: object) -> object:
        return args[0]

    with testing.capture() as captured:
        assert odd(value := Hostile(), k=cyclic()) is value
    attributes = attributes_of(captured, "odd")
    assert "<unprintable Hostile>" in attributes["gnomon.input"]
    assert attributes["gnomon.output"] == '"<unprintable Hostile>"'


async def test_nested_observed_calls_across_tasks_share_a_trace() -> None:
    @gnomon.observe(name="child")
    async def child(number: int) -> int:
        await asyncio.sleep(0)
        return number

    @gnomon.observe(name="parent")
    async def parent() -> list[int]:
        return await asyncio.gather(*(child(number) for number in range(3)))

    with testing.capture() as captured:
        await parent()
    parent_span = captured.span("parent")
    assert parent_span.context is not None
    children = [span for span in captured.spans if span.name == "child"]
    assert len(children) == 3
    assert all(span.parent and span.parent.span_id == parent_span.context.span_id for span in children)
