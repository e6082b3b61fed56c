"""LangChain's with_fallbacks, with LangChain's own runnables."""

from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda

import gnomon
from gnomon import testing
from gnomon._errors import UsageError


def failing(question: str) -> str:
    with gnomon.span("call", kind="generation"):
        raise TimeoutError("slow")


def answering(question: str) -> str:
    with gnomon.span("call", kind="generation"):
        return f"answer to {question}"


def runnable(*functions: Any, **options: Any) -> Any:
    first, *others = [RunnableLambda(function, name=function.__name__) for function in functions]
    return gnomon.observe_fallbacks(first.with_fallbacks(others, **options))


def tries(captured: testing.Captured) -> list[tuple[Any, ...]]:
    found = []
    for span in captured.spans:
        if span.name == "call":
            a = span.attributes or {}
            found.append(
                (a.get("gnomon.attempt"), a.get("gnomon.fallback.of"), a.get("gnomon.fallback.reason"))
            )
    return found


SECOND = [(1, None, None), (2, "failing", "timeout")]


def test_invoke() -> None:
    with testing.capture() as captured:
        assert runnable(failing, answering).invoke("q") == "answer to q"
    assert tries(captured) == SECOND
    chain = captured.span("fallback failing").attributes or {}
    assert chain["gnomon.fallback.answered"] == "answering"
    assert chain["gnomon.fallback.failures"] == ("failing: timeout",)


async def test_ainvoke() -> None:
    with testing.capture() as captured:
        assert await runnable(failing, answering).ainvoke("q") == "answer to q"
    assert tries(captured) == SECOND


def test_stream() -> None:
    with testing.capture() as captured:
        assert list(runnable(failing, answering).stream("q")) == ["answer to q"]
    assert tries(captured) == SECOND


async def test_astream() -> None:
    with testing.capture() as captured:
        assert [piece async for piece in runnable(failing, answering).astream("q")] == ["answer to q"]
    assert tries(captured) == SECOND


def test_all_fail_and_unhandled_exceptions() -> None:
    with testing.capture() as captured, pytest.raises(TimeoutError):
        runnable(failing, failing).invoke("q")
    assert captured.span("fallback failing").status.status_code.name == "ERROR"
    with testing.capture() as captured, pytest.raises(TimeoutError):
        runnable(failing, answering, exceptions_to_handle=(KeyError,)).invoke("q")
    assert len(tries(captured)) == 1


def test_in_a_chain_and_in_a_batch_it_works_as_before() -> None:
    chain = runnable(failing, answering) | RunnableLambda(str.upper)
    assert chain.invoke("q") == "ANSWER TO Q"
    assert runnable(failing, answering).batch(["a", "b"]) == ["answer to a", "answer to b"]


def test_chat_models() -> None:
    model = FakeListChatModel(responses=["hello"])
    observed = gnomon.observe_fallbacks(RunnableLambda(failing).with_fallbacks([model]))
    with testing.capture() as captured:
        assert observed.invoke("q").content == "hello"
    assert len([span for span in captured.spans if span.name.startswith("fallback ")]) == 1


def test_something_else_is_said_and_given_back() -> None:
    assert gnomon.observe_fallbacks(3) == 3
    with testing.capture(), pytest.raises(UsageError, match="with_fallbacks"):
        gnomon.observe_fallbacks(3)
