"""The real openai client with the real instrumentor, against the stand-in provider."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon

QUESTION = "Где мой заказ A-10442?"
MESSAGES: Any = [{"role": "user", "content": QUESTION}]


@pytest.fixture(autouse=True)
def instrumented(start: Start) -> Iterator[None]:
    start(service_name="shop", instrument=["openai"])
    yield


def texts_of(messages: str) -> list[str]:
    return [part["content"] for message in json.loads(messages) for part in message["parts"]]


def test_a_chat_has_content_tokens_and_model(collector: CollectorDouble, openai_client: OpenAI) -> None:
    answer = openai_client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert gnomon.flush()
    attributes = collector.span("chat gpt-4o-mini").attributes
    assert texts_of(attributes["gen_ai.input.messages"]) == [QUESTION]
    assert texts_of(attributes["gen_ai.output.messages"]) == [answer.choices[0].message.content]
    assert answer.usage is not None
    assert attributes["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens
    assert attributes["gen_ai.usage.output_tokens"] == answer.usage.completion_tokens
    assert attributes["gen_ai.response.id"] == answer.id


def test_a_stream_has_content_and_time_to_first_chunk(
    collector: CollectorDouble, openai_client: OpenAI
) -> None:
    stream = openai_client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    gnomon.flush()
    attributes = collector.span("chat gpt-4o-mini").attributes
    assert texts_of(attributes["gen_ai.output.messages"]) == [text]
    assert attributes["gen_ai.response.time_to_first_chunk"] > 0
    # The request was not changed to make the provider send it.
    assert "gen_ai.usage.output_tokens" not in attributes


def test_a_stream_that_asks_for_usage_has_tokens(collector: CollectorDouble, openai_client: OpenAI) -> None:
    stream = openai_client.chat.completions.create(
        model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    usage = [chunk.usage for chunk in stream if chunk.usage]
    gnomon.flush()
    assert (
        collector.span("chat gpt-4o-mini").attributes["gen_ai.usage.output_tokens"]
        == usage[0].completion_tokens
    )


async def test_async_chat_stream_and_embeddings(collector: CollectorDouble, provider_url: str) -> None:
    async with AsyncOpenAI(base_url=provider_url, api_key="sk", max_retries=0) as client:
        await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        async for _ in await client.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True
        ):
            pass
        await client.embeddings.create(model="text-embedding-3-small", input=["a"])
    gnomon.flush()
    assert {span.name for span in collector.spans} == {
        "chat gpt-4o",
        "chat gpt-4o-mini",
        "embeddings text-embedding-3-small",
    }
    assert texts_of(collector.span("chat gpt-4o-mini").attributes["gen_ai.output.messages"])[0]


def test_embeddings(collector: CollectorDouble, openai_client: OpenAI) -> None:
    answer = openai_client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    gnomon.flush()
    attributes = collector.span("embeddings text-embedding-3-small").attributes
    assert attributes["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("err-429", openai.RateLimitError),
        ("err-500", openai.InternalServerError),
        ("err-400", openai.BadRequestError),
        ("err-401", openai.AuthenticationError),
        ("err-404", openai.NotFoundError),
    ],
)
def test_errors_reach_the_host_and_the_span(
    model: str, error: type[Exception], collector: CollectorDouble, openai_client: OpenAI
) -> None:
    with pytest.raises(error):
        openai_client.chat.completions.create(model=model, messages=MESSAGES)
    gnomon.flush()
    span = collector.span(f"chat {model}")
    assert span.status_code == 2
    assert span.attributes["error.type"] == f"openai.{error.__name__}"
    assert texts_of(span.attributes["gen_ai.input.messages"]) == [QUESTION]


def test_a_stream_that_breaks_is_an_error(collector: CollectorDouble, openai_client: OpenAI) -> None:
    with pytest.raises(openai.APIError):
        for _ in openai_client.chat.completions.create(model="err-midstream", messages=MESSAGES, stream=True):
            pass
    gnomon.flush()
    assert collector.span("chat err-midstream").status_code == 2


def test_calls_inside_a_span_are_its_children(collector: CollectorDouble, openai_client: OpenAI) -> None:
    with gnomon.session(session="s1"), gnomon.span("answer", kind="workflow"):
        openai_client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    gnomon.flush()
    parent, child = collector.span("answer"), collector.span("chat gpt-4o-mini")
    assert child.parent_span_id == parent.span_id
    assert child.attributes["gen_ai.conversation.id"] == "s1"


def test_without_content_only_figures_leave(
    collector: CollectorDouble, openai_client: OpenAI, start: Start
) -> None:
    gnomon.shutdown()
    start(instrument=["openai"], capture_content="none")
    openai_client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    with gnomon.span("step") as step:
        step.set_input("secret words")
    gnomon.flush()
    attributes = collector.span("chat gpt-4o-mini").attributes
    assert attributes["gen_ai.usage.input_tokens"] > 0
    assert not {"gen_ai.input.messages", "gen_ai.output.messages"} & set(attributes)
    assert "gnomon.input" not in collector.span("step").attributes
    assert all(QUESTION.encode() not in request.body for request in collector.requests)


def test_after_shutdown_calls_are_the_bare_clients(collector: CollectorDouble, openai_client: OpenAI) -> None:
    gnomon.shutdown()
    assert openai_client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES).choices
    assert collector.requests == []


def test_a_call_is_at_the_collector_within_two_seconds(
    collector: CollectorDouble, openai_client: OpenAI, start: Start
) -> None:
    gnomon.shutdown()
    start(instrument=["openai"], export_interval_s=None)
    openai_client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert collector.wait_for_spans(1, timeout_s=2.0)


def test_initialised_before_openai_is_imported(collector: CollectorDouble, provider_url: str) -> None:
    code = f"""
import gnomon
gnomon.init("early", endpoint={collector.url!r})
from openai import OpenAI
OpenAI(base_url={provider_url!r}, api_key="x").chat.completions.create(
    model="gpt-4o-mini", messages=[{{"role": "user", "content": "hi"}}])
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert collector.span("chat gpt-4o-mini").resource["service.name"] == "early"


def test_an_instrumentor_the_host_activated_is_left_alone(
    collector: CollectorDouble, provider_url: str
) -> None:
    code = f"""
import gnomon
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from openai import OpenAI
trace.set_tracer_provider(TracerProvider())
OpenAIInstrumentor().instrument()
gnomon.init("late", endpoint={collector.url!r})
OpenAI(base_url={provider_url!r}, api_key="x").chat.completions.create(
    model="gpt-4o-mini", messages=[{{"role": "user", "content": "hi"}}])
gnomon.shutdown()
assert OpenAIInstrumentor().is_instrumented_by_opentelemetry
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert collector.span("chat gpt-4o-mini")
    assert run.stderr == ""
