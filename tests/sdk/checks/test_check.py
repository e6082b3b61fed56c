"""`gnomon.check`, `gnomon.guard` and `gnomon.check_stream`: what is recorded, and about what."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import OpenAI
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon
from gnomon import checks, testing
from gnomon._errors import UsageError

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
MESSAGES: Any = [{"role": "user", "content": "Where is my order?"}]


def labels(captured: testing.Captured) -> dict[str, Any]:
    return {str(score["name"]): score["label"] for score in captured.scores}


def test_outcomes_are_scores_of_source_check() -> None:
    with testing.capture() as captured, gnomon.span("answer") as span:
        result = gnomon.check("hello", checks.not_empty(), checks.json())
    assert not result and result.failed == ("json",)
    passed, failed = captured.scores
    assert (passed["name"], passed["value"], passed["label"], passed["comment"]) == (
        "not_empty",
        1.0,
        "pass",
        None,
    )
    assert (failed["value"], failed["label"], failed["source"]) == (0.0, "fail", "check")
    assert "line 1" in str(failed["comment"])
    assert (failed["trace_id"], failed["span_id"]) == (span.trace_id, span.span_id)
    assert failed["score_id"] != passed["score_id"]
    assert (captured.span("answer").attributes or {})["gnomon.checks.failed"] == ("json",)


def test_the_scores_are_on_the_call_that_ended_last() -> None:
    with testing.capture() as captured, gnomon.span("answer", kind="workflow"):
        for name in ("first", "second"):
            with gnomon.span(name, kind="generation") as call:
                pass
        with gnomon.span("parse"):
            gnomon.check("x", checks.not_empty())
    assert captured.scores[0]["span_id"] == call.span_id


def test_a_call_of_another_trace_is_not_meant() -> None:
    with testing.capture() as captured:
        with gnomon.span("old", kind="workflow"), gnomon.span("call", kind="generation"):
            pass
        with gnomon.span("new") as span:
            gnomon.check("x", checks.not_empty())
        gnomon.check("x", checks.not_empty())  # outside of any span: the old call was not made here
        with gnomon.span("bare call", kind="generation") as bare:
            pass
        gnomon.check("x", checks.not_empty())
    assert [score["span_id"] for score in captured.scores] == [span.span_id, bare.span_id]
    assert captured.dropped == {"no_target": 1}


def test_ids_may_be_given() -> None:
    with testing.capture() as captured:
        gnomon.check("x", checks.not_empty(), trace_id=TRACE_ID, span_id=int("b7ad6b7169203331", 16))
    assert (captured.scores[0]["trace_id"], captured.scores[0]["span_id"]) == (TRACE_ID, "b7ad6b7169203331")


def test_on_the_real_call(collector: CollectorDouble, start: Start, openai_client: OpenAI) -> None:
    start(instrument=["openai"])
    answer = openai_client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert gnomon.check(answer, checks.not_empty(), checks.max_length(100_000))
    assert gnomon.flush()
    call = collector.span("chat gpt-4o-mini")
    assert {score["span_id"] for score in collector.scores} == {call.span_id}
    assert {score["name"] for score in collector.scores} == {"not_empty", "max_length"}


async def test_on_a_real_async_call(collector: CollectorDouble, start: Start, provider_url: str) -> None:
    from openai import AsyncOpenAI

    async def ask(prompt: str) -> str:
        return "yes"

    start(instrument=["openai"])
    async with AsyncOpenAI(base_url=provider_url, api_key="sk") as client:
        with gnomon.span("around"):
            answer = await client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
            assert await gnomon.acheck(answer, checks.sure(ask), checks.not_empty())
    assert gnomon.flush()
    assert {s["span_id"] for s in collector.scores} == {collector.span("chat gpt-4o-mini").span_id}
    assert collector.span("check sure").attributes["gnomon.span.kind"] == "evaluation"


def test_a_check_that_breaks_is_not_run_and_harms_nobody(start: Start, collector: CollectorDouble) -> None:
    start()

    def broken(text: str) -> bool:
        raise RuntimeError("secret")

    async def later(text: str) -> bool:
        return True

    with gnomon.span("x"):
        assert gnomon.check("x", checks.custom(broken), checks.custom(later), checks.not_empty())
    assert gnomon.flush()
    assert {s["name"]: s["label"] for s in collector.scores} == {
        "broken": "not_run", "later": "not_run", "not_empty": "pass",
    }  # fmt: skip
    with testing.capture(), pytest.raises(UsageError, match="acheck"):
        gnomon.check("x", checks.custom(later))


def test_without_gnomon_the_answer_is_checked_all_the_same() -> None:
    assert gnomon.check("[1]", checks.json()).passed
    assert gnomon.check("[1", checks.json()).failed == ("json",)


class Message:
    content = "text of a message"


@pytest.mark.parametrize(
    ("answer", "text"),
    [("a", "a"), (None, ""), ({"a": 1}, '{"a":1}'), (Message(), "text of a message")],
)
def test_texts_of_answers(answer: object, text: str) -> None:
    seen: list[str] = []
    gnomon.check(answer, checks.custom(lambda given: seen.append(given) or True))
    assert seen == [text]


def test_a_guard_raises() -> None:
    @gnomon.guard(checks.json())
    def ask() -> str:
        return "secret words"

    with (
        testing.capture() as captured,
        pytest.raises(gnomon.CheckFailedError, match="json: Expecting") as raised,
    ):
        ask()
    assert raised.value.answer == "secret words" and "secret" not in str(raised.value)
    assert raised.value.result.failed == ("json",)
    guard = captured.span(next(span.name for span in captured.spans if span.name.startswith("guard ")))
    assert (guard.attributes or {})["gnomon.span.kind"] == "guardrail"
    assert (guard.attributes or {})["gnomon.checks.failed"] == ("json",)


def test_a_guard_repeats() -> None:
    answers = iter(["one", "two", "[3]"])

    @gnomon.guard(checks.json(), attempts=3, name="extract")
    def ask() -> str:
        with gnomon.span("call", kind="generation"):
            return next(answers)

    with testing.capture() as captured:
        assert ask() == "[3]"
    calls = [span for span in captured.spans if span.name == "call"]
    assert [(span.attributes or {})["gnomon.attempt"] for span in calls] == [1, 2, 3]
    assert [score["label"] for score in captured.scores] == ["fail", "fail", "pass"]
    assert len({score["span_id"] for score in captured.scores}) == 3  # each on its own call
    causes = [(s.attributes or {})["gnomon.retry.cause"] for s in captured.spans if s.name == "retry"]
    assert causes == ["check:json", "check:json"]
    assert (captured.span("guard extract").attributes or {})["gnomon.attempt"] == 3


@pytest.mark.parametrize(
    ("fallback", "answered"), [("{}", "canned"), (lambda text: f'["{text}"]', "<lambda>")]
)
def test_a_guard_falls_back(fallback: Any, answered: str) -> None:
    @gnomon.guard(checks.json(), fallback=fallback, name="extract")
    def ask(text: str) -> str:
        return "no json"

    with testing.capture() as captured:
        assert ask("a") == (fallback("a") if callable(fallback) else fallback)
    attributes = captured.span("guard extract").attributes or {}
    assert str(attributes["gnomon.fallback.answered"]).endswith(answered)
    assert attributes["gnomon.fallback.reason"] == "check:json"


async def test_a_guard_of_a_coroutine_function() -> None:
    async def is_long(text: str) -> bool:
        return len(text) > 3

    async def instead(text: str) -> str:
        return "instead"

    @gnomon.guard(checks.custom(is_long), attempts=2, fallback=instead)
    async def ask(text: str) -> str:
        return text

    with testing.capture() as captured:
        assert await ask("long enough") == "long enough"
        assert await ask("no") == "instead"
    assert [score["label"] for score in captured.scores] == ["pass", "fail", "fail"]


def pieces(*texts: str, closed: list[str] | None = None) -> Iterator[str]:
    try:
        yield from texts
    finally:
        if closed is not None:
            closed.append("closed")


def test_a_stream_passes_at_once_and_is_judged_at_its_end() -> None:
    with testing.capture() as captured, gnomon.span("x"):
        stream = gnomon.check_stream(pieces("[1", ", 2]"), checks.json(), checks.not_empty())
        assert next(stream) == "[1"
        assert captured.scores == []
        assert list(stream) == [", 2]"]
    assert labels(captured) == {"json": "pass", "not_empty": "pass"}


def test_a_stream_that_fails_early_is_recorded_once() -> None:
    with testing.capture() as captured, gnomon.span("x"):
        stream = gnomon.check_stream(pieces("bad", " word", " more"), checks.forbidden(["bad word"]))
        assert list(stream) == ["bad", " word", " more"]
    assert [score["label"] for score in captured.scores] == ["fail"]


def test_a_stream_is_ended_before_the_piece_that_fails() -> None:
    closed: list[str] = []
    seen: list[str] = []
    with testing.capture() as captured, gnomon.span("x"), pytest.raises(gnomon.CheckFailedError):
        for piece in gnomon.check_stream(
            pieces("a ", "bad ", "word ", "b", closed=closed), checks.forbidden(["bad word"]), on_fail="raise"
        ):
            seen.append(piece)
    assert (seen, closed) == (["a ", "bad "], ["closed"])
    assert labels(captured) == {"forbidden": "fail"}


def test_what_is_known_only_at_the_end_is_raised_there() -> None:
    with testing.capture(), gnomon.span("x"), pytest.raises(gnomon.CheckFailedError, match="min_length"):
        list(gnomon.check_stream(pieces("a"), checks.min_length(5), on_fail="raise"))


def test_a_guarded_generator() -> None:
    @gnomon.guard(checks.max_length(3))
    def answer() -> Iterator[str]:
        yield from ["ab", "cd"]

    with testing.capture(), pytest.raises(gnomon.CheckFailedError):
        list(answer())


async def test_async_streams() -> None:
    async def stream() -> AsyncIterator[str]:
        for piece in ("ab", "cd"):
            yield piece

    with testing.capture() as captured, gnomon.span("x"):
        assert [p async for p in gnomon.check_stream(stream(), checks.not_empty())] == ["ab", "cd"]
        with pytest.raises(gnomon.CheckFailedError):
            async for _ in gnomon.check_stream(stream(), checks.max_length(3), on_fail="raise"):
                pass
    assert labels(captured) == {"not_empty": "pass", "max_length": "fail"}


def test_a_real_stream_is_judged_on_its_call(
    collector: CollectorDouble, start: Start, openai_client: OpenAI
) -> None:
    start(instrument=["openai"])
    with gnomon.span("around"):
        stream = openai_client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
        with pytest.raises(gnomon.CheckFailedError):
            list(gnomon.check_stream(stream, checks.max_length(5), on_fail="raise"))
    assert gnomon.flush()
    assert [s["span_id"] for s in collector.scores] == [collector.span("chat gpt-4o-mini").span_id]


def test_the_calls_of_a_judge_are_not_what_is_judged() -> None:
    def ask(prompt: str) -> str:
        with gnomon.span("judge call", kind="generation"):
            return "yes"

    with testing.capture() as captured, gnomon.span("around"):
        with gnomon.span("call", kind="generation") as call:
            pass
        gnomon.check("x", checks.sure(ask), checks.not_empty())
        gnomon.check("x", checks.not_empty())
    assert {score["span_id"] for score in captured.scores} == {call.span_id}


def test_a_stream_that_is_left_has_failed_what_failed_by_then() -> None:
    with testing.capture() as captured, gnomon.span("x"):
        stream = gnomon.check_stream(
            pieces("bad", " word", " more"), checks.forbidden(["bad"]), checks.json()
        )
        next(stream)
        stream.close()
    assert labels(captured) == {"forbidden": "fail"}
    with testing.capture() as captured, gnomon.span("x"):
        stream = gnomon.check_stream(pieces("[1", ",", "2]"), checks.json(), checks.not_empty())
        next(stream)
        stream.close()
    assert captured.scores == []
