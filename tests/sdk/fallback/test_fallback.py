"""`gnomon.fallback`: who answered, why others did not, and that nothing else changes for the host."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import OpenAI
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon
from gnomon import checks, testing


def big(question: str) -> str:
    with gnomon.span("big call", kind="generation"):
        raise TimeoutError("too slow")


def small(question: str) -> str:
    with gnomon.span("small call", kind="generation"):
        return f"small: {question}"


def attributes(captured: testing.Captured, name: str) -> dict[str, Any]:
    return dict(captured.span(name).attributes or {})


def test_the_second_answers_and_the_record_says_why() -> None:
    with testing.capture() as captured:
        assert gnomon.fallback(big, small)("where?") == "small: where?"
    chain = attributes(captured, "fallback big")
    assert chain["gnomon.fallback.answered"] == "small"
    assert chain["gnomon.fallback.failures"] == ("big: timeout",)
    assert (chain["gnomon.attempt"], chain["gnomon.fallback.of"], chain["gnomon.fallback.reason"]) == (
        2,
        "big",
        "timeout",
    )
    call = attributes(captured, "small call")
    assert (call["gnomon.attempt"], call["gnomon.fallback.of"], call["gnomon.fallback.reason"]) == (
        2,
        "big",
        "timeout",
    )
    first = attributes(captured, "big call")
    assert first["gnomon.attempt"] == 1 and "gnomon.fallback.of" not in first
    assert captured.span("big").status.status_code.name == "ERROR"
    assert captured.span("fallback big").status.status_code.name == "UNSET"


def test_the_first_answers() -> None:
    with testing.capture() as captured:
        assert gnomon.fallback(small, big, name="answer")("a") == "small: a"
    chain = attributes(captured, "fallback answer")
    assert (chain["gnomon.fallback.answered"], chain["gnomon.attempt"]) == ("small", 1)
    assert "gnomon.fallback.of" not in chain


def test_a_canned_answer() -> None:
    with testing.capture() as captured:
        assert gnomon.fallback(big, big, canned="later", name="x")("a") == "later"
    chain = attributes(captured, "fallback x")
    assert (chain["gnomon.fallback.answered"], chain["gnomon.output"]) == ("canned", "later")
    assert len(chain["gnomon.fallback.failures"]) == 2


def test_none_may_be_the_canned_answer() -> None:
    assert gnomon.fallback(big, canned=None)("a") is None


def test_without_a_canned_answer_the_last_failure_is_raised() -> None:
    with testing.capture() as captured, pytest.raises(TimeoutError, match="too slow"):
        gnomon.fallback(big, big)("a")
    assert captured.span("fallback big").status.status_code.name == "ERROR"


def test_other_exceptions_are_raised_at_once() -> None:
    tried = []

    def wrong(question: str) -> str:
        tried.append(question)
        raise KeyError(question)

    with pytest.raises(KeyError):
        gnomon.fallback(wrong, small, canned="c", exceptions=(TimeoutError,))("a")
    with pytest.raises(KeyboardInterrupt):
        gnomon.fallback(interrupt, small, canned="c")("a")
    assert tried == ["a"]


def interrupt(question: str) -> str:
    raise KeyboardInterrupt


async def test_coroutine_functions() -> None:
    async def slow(question: str) -> str:
        await asyncio.sleep(0)
        raise ConnectionError

    async def other(question: str) -> str:
        return await asyncio.to_thread(small, question)

    with testing.capture() as captured:
        assert await gnomon.fallback(slow, functools.partial(other), canned="c")("q") == "small: q"
        assert await gnomon.fallback(slow, small, name="mixed")("q") == "small: q"
    assert [
        (s.attributes or {})["gnomon.fallback.reason"] for s in captured.spans if s.name == "small call"
    ] == ["connection", "connection"]


def test_the_with_form() -> None:
    with testing.capture() as captured, gnomon.fallback("gpt-4.1", "gpt-4o-mini", name="answer") as chain:
        for candidate in chain:
            with candidate as model:
                if model == "gpt-4.1":
                    raise TimeoutError
                chain.answer = f"by {model}"
    assert (chain.answer, chain.answered) == ("by gpt-4o-mini", "gpt-4o-mini")
    assert chain.failures == [("gpt-4.1", "timeout")]
    assert captured.span("gpt-4o-mini").parent.span_id == captured.span("fallback answer").context.span_id  # type: ignore[union-attr]


def test_the_with_form_with_a_canned_answer() -> None:
    with gnomon.fallback("a", "b", canned="c") as chain:
        for candidate in chain:
            with candidate:
                raise TimeoutError
    assert (chain.answer, chain.answered) == ("c", "canned")


def test_an_answer_that_fails_a_check_leads_on() -> None:
    ask = gnomon.fallback(lambda: "not json", lambda: '{"a": 1}', checks=[checks.json()], name="x")
    with testing.capture() as captured:
        assert ask() == '{"a": 1}'
    assert attributes(captured, "fallback x")["gnomon.fallback.reason"] == "check:json"
    assert [score["label"] for score in captured.scores] == ["fail", "pass"]


def test_when_all_fail_the_check_it_is_raised() -> None:
    with pytest.raises(gnomon.CheckFailedError, match="json"):
        gnomon.fallback(lambda: "not json", checks=[checks.json()])()


def test_one_object_in_many_threads() -> None:
    ask = gnomon.fallback(big, small)
    answers: list[str] = []
    threads = [threading.Thread(target=lambda i=i: answers.append(ask(str(i)))) for i in range(8)]
    with testing.capture():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == [f"small: {i}" for i in range(8)]


def test_without_gnomon_running_it_works_the_same() -> None:
    assert gnomon.fallback(big, small)("a") == "small: a"
    with pytest.raises(ValueError, match="at least one"):
        gnomon.fallback()


def test_with_the_real_client(collector: CollectorDouble, start: Start, openai_client: OpenAI) -> None:
    start(instrument=["openai"])

    def ask(model: str) -> Any:
        return openai_client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}]
        )

    with gnomon.fallback("err-429", "gpt-4o-mini") as chain:
        for candidate in chain:
            with candidate as model:
                chain.answer = ask(model)
    assert gnomon.flush()
    call = collector.span("chat gpt-4o-mini").attributes
    assert (call["gnomon.attempt"], call["gnomon.fallback.of"], call["gnomon.fallback.reason"]) == (
        2,
        "err-429",
        "http_429",
    )


def streaming(question: str) -> Iterator[str]:
    yield "small: "
    yield question


def failing_stream(question: str) -> Iterator[str]:
    raise TimeoutError
    yield question


def late_failure(question: str) -> Iterator[str]:
    yield "begin"
    raise TimeoutError


def test_a_stream_that_does_not_start_leads_on() -> None:
    with testing.capture() as captured:
        assert list(gnomon.fallback(failing_stream, streaming)("a")) == ["small: ", "a"]
    assert attributes(captured, "fallback failing_stream")["gnomon.fallback.answered"] == "streaming"


def test_a_stream_that_fails_later_fails_for_the_caller() -> None:
    stream = gnomon.fallback(late_failure, streaming)("a")
    assert next(stream) == "begin"
    with pytest.raises(TimeoutError):
        next(stream)


def test_an_empty_stream_is_an_answer() -> None:
    stream = gnomon.fallback(lambda: iter(()), lambda: iter("ab"))()
    assert list(stream) == [] and list(stream) == []


async def test_async_streams() -> None:
    async def down(question: str) -> AsyncIterator[str]:
        raise ConnectionError
        yield question

    async def up(question: str) -> AsyncIterator[str]:
        yield "up: "
        yield question

    with testing.capture() as captured:
        assert [piece async for piece in gnomon.fallback(down, up, name="x")("a")] == ["up: ", "a"]
    assert attributes(captured, "fallback x")["gnomon.fallback.reason"] == "connection"


def test_streams_of_the_real_client(collector: CollectorDouble, start: Start, openai_client: OpenAI) -> None:
    start(instrument=["openai"])

    def ask(model: str) -> Any:
        messages: Any = [{"role": "user", "content": "hi"}]
        return openai_client.chat.completions.create(model=model, messages=messages, stream=True)

    down, up = functools.partial(ask, "err-500"), functools.partial(ask, "gpt-4o-mini")
    with gnomon.fallback(down, up, name="x")() as stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text
    assert gnomon.flush()
    assert collector.span("chat gpt-4o-mini").attributes["gnomon.fallback.reason"] == "http_500"
