"""Retries inside of the real openai client, by tenacity, and in loops of one's own."""

from typing import Any

import openai
import pytest
import tenacity
from openai import AsyncOpenAI, OpenAI
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon
from gnomon import testing
from gnomon._errors import UsageError
from gnomon._retries import cause_of

MESSAGES: Any = [{"role": "user", "content": "Where is my order?"}]


def retries(collector: CollectorDouble) -> list[dict[str, Any]]:
    assert gnomon.flush()
    spans = sorted(
        (s for s in collector.spans if s.name == "retry"), key=lambda s: s.attributes["gnomon.attempt"]
    )
    return [dict(span.attributes) for span in spans]


def test_a_retry_of_the_client_shows_with_cause_and_wait(
    collector: CollectorDouble, start: Start, provider_url: str
) -> None:
    start(instrument=["openai"])
    with OpenAI(base_url=provider_url, api_key="sk", max_retries=2) as client:
        client.chat.completions.create(model="err-429-once", messages=MESSAGES)
    (retry,) = retries(collector)
    assert (retry["gnomon.retry.cause"], retry["gnomon.attempt"]) == ("http_429", 1)
    assert retry["gnomon.span.kind"] == "event"
    assert 0 < retry["gnomon.retry.wait_s"] < 5
    call, wait = collector.span("chat err-429-once"), collector.span("retry")
    assert call.attributes["gnomon.attempt"] == 2
    assert wait.parent_span_id == call.span_id


def test_every_attempt_until_the_client_gives_up(
    collector: CollectorDouble, start: Start, provider_url: str
) -> None:
    start(instrument=["openai"])
    client = OpenAI(base_url=provider_url, api_key="sk", max_retries=2)
    with client, gnomon.span("around"), pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="err-500", messages=MESSAGES)
    assert [retry["gnomon.retry.cause"] for retry in retries(collector)] == ["http_500", "http_500"]
    assert collector.span("chat err-500").attributes["gnomon.attempt"] == 3
    assert "gnomon.attempt" not in collector.span("around").attributes


async def test_the_async_client_and_a_connection_that_is_refused(
    collector: CollectorDouble, start: Start
) -> None:
    start(instrument=["openai"])
    async with AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="sk", max_retries=1) as client:
        with pytest.raises(openai.APIConnectionError):
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    (retry,) = retries(collector)
    assert retry["gnomon.retry.cause"] == "connection"


def test_a_timeout(collector: CollectorDouble, start: Start, provider_url: str) -> None:
    start(instrument=["openai"])
    client = OpenAI(base_url=provider_url, api_key="sk", max_retries=1, timeout=0.005)
    with client, pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="err-timeout", messages=MESSAGES)
    assert [retry["gnomon.retry.cause"] for retry in retries(collector)] == ["timeout"]


def test_a_call_without_retries_has_no_attempt(
    collector: CollectorDouble, start: Start, openai_client: OpenAI
) -> None:
    start(instrument=["openai"])
    openai_client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert retries(collector) == []
    assert "gnomon.attempt" not in collector.span("chat gpt-4o-mini").attributes


def test_after_shutdown_the_client_is_as_it_was(start: Start) -> None:
    from openai._base_client import SyncAPIClient

    before = SyncAPIClient._sleep_for_retry
    start(instrument=["openai"])
    assert SyncAPIClient._sleep_for_retry is not before
    gnomon.shutdown()
    assert SyncAPIClient._sleep_for_retry is before


class Flaky:
    """Fails so many times, then answers."""

    def __init__(self, failures: int) -> None:
        self.left = failures

    def answer(self) -> str:
        with gnomon.span("call", kind="generation"):
            self.left -= 1
            if self.left >= 0:
                raise TimeoutError("too slow")
            return "fine"


def attempts(captured: testing.Captured) -> list[object]:
    return [(span.attributes or {}).get("gnomon.attempt") for span in captured.spans if span.name == "call"]


def test_tenacity() -> None:
    flaky, before = Flaky(2), []

    @gnomon.retrying
    @tenacity.retry(
        stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(0.02), before_sleep=before.append
    )
    def ask(question: str) -> str:
        """Ask."""
        return flaky.answer()

    with testing.capture() as captured:
        assert ask("where?") == "fine"
    assert attempts(captured) == [1, 2, 3]
    waits = [span for span in captured.spans if span.name == "retry"]
    assert [(s.attributes or {})["gnomon.retry.cause"] for s in waits] == ["timeout", "timeout"]
    assert [(s.attributes or {})["gnomon.retry.wait_s"] for s in waits] == [0.02, 0.02]
    assert all((s.end_time or 0) - (s.start_time or 0) >= 20_000_000 for s in waits)
    assert len(before) == 2  # the host's own callback is still called
    assert ask.__doc__ == "Ask."


async def test_tenacity_async() -> None:
    flaky = Flaky(1)

    @gnomon.retrying
    @tenacity.retry(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
    async def ask() -> str:
        return flaky.answer()

    with testing.capture() as captured:
        assert await ask() == "fine"
    assert attempts(captured) == [1, 2]


def test_tenacity_gives_up_as_it_does_without_gnomon() -> None:
    ask = gnomon.retrying(tenacity.retry(stop=tenacity.stop_after_attempt(2), reraise=True)(Flaky(5).answer))
    with testing.capture() as captured, pytest.raises(TimeoutError):
        ask()
    assert attempts(captured) == [1, 2]


def test_tenacity_retries_for_a_result() -> None:
    answers = iter(["", "good"])
    policy = tenacity.retry(retry=tenacity.retry_if_result(lambda text: not text))
    with testing.capture() as captured:
        assert gnomon.retrying(policy(lambda: next(answers)))() == "good"
    assert [(s.attributes or {})["gnomon.retry.cause"] for s in captured.spans] == ["result"]


def test_retrying_something_else_is_said_and_does_no_harm() -> None:
    assert gnomon.retrying(len)([1]) == 1  # type: ignore[arg-type]
    with testing.capture(), pytest.raises(UsageError, match=r"tenacity\.retry"):
        gnomon.retrying(len)


def test_a_loop_of_ones_own() -> None:
    flaky = Flaky(1)
    failure: BaseException | None = None
    with testing.capture() as captured:
        for number in (1, 2):
            with gnomon.attempt(number, of="big" if failure else None, reason=failure):
                try:
                    flaky.answer()
                    break
                except TimeoutError as error:
                    failure = error
    second = captured.spans[-1].attributes or {}
    assert attempts(captured) == [1, 2]
    assert (second["gnomon.fallback.of"], second["gnomon.fallback.reason"]) == ("big", "timeout")


class _Answered(Exception):  # noqa: N818
    status_code = 503


class _Hostile(Exception):  # noqa: N818
    @property
    def response(self) -> object:
        raise RuntimeError("not set")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (_Answered(), "http_503"),
        (TimeoutError(), "timeout"),
        (ConnectionResetError(), "connection"),
        (KeyError("secret"), "KeyError"),
        (_Hostile(), "_Hostile"),
        ("overloaded", "overloaded"),
    ],
)
def test_causes_are_words_that_quote_nothing(error: object, cause: str) -> None:
    assert cause_of(error) == cause
