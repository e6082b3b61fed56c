"""Gnomon's own instrumentation of the openai client: raw responses, aborted streams, tools, hostile requests."""

import gc
import inspect
import json
import subprocess
import sys
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.resources.chat.completions import Completions
from openai.resources.responses.responses import Responses
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from opentelemetry import context as otel_context
from opentelemetry.trace import INVALID_SPAN
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon
from gnomon import _openai_fields as fields
from gnomon import testing
from gnomon._guard import Guard
from gnomon._model_call import ModelCall
from gnomon._openai_fields import Reading
from gnomon._openai_stream import ChatStream

MODEL = "gpt-4o-mini"
MESSAGES: Any = [{"role": "user", "content": "Where is order A-10442?"}]
NAME = f"chat {MODEL}"
Chat = dict[str, Any]


@pytest.fixture(autouse=True)
def instrumented(start: Start) -> None:
    start(service_name="shop", instrument=["openai"])


def ask(client: OpenAI, **kwargs: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=MESSAGES, **kwargs)


def attributes_of(collector: CollectorDouble) -> dict[str, Any]:
    assert gnomon.flush()
    return dict(collector.span(NAME).attributes)


def test_a_raw_response_is_recorded(collector: CollectorDouble, openai_client: OpenAI) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
    answer = raw.parse()
    attributes = attributes_of(collector)
    assert attributes["gen_ai.response.id"] == answer.id
    assert (
        answer.choices[0].message.content
        in json.loads(attributes["gen_ai.output.messages"])[0]["parts"][0]["content"]
    )


def test_a_raw_stream_is_recorded_once_it_is_read(collector: CollectorDouble, openai_client: OpenAI) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES, stream=True)
    gnomon.flush()
    assert collector.spans == []
    assert list(raw.parse())
    assert attributes_of(collector)["gen_ai.response.time_to_first_chunk"] > 0


def test_the_stream_helper_is_recorded(collector: CollectorDouble, openai_client: OpenAI) -> None:
    with openai_client.chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
        final = stream.get_final_completion()
    attributes = attributes_of(collector)
    assert json.loads(attributes["gen_ai.output.messages"])[0]["parts"][0]["content"] == (
        final.choices[0].message.content
    )


def test_a_stream_keeps_its_type_and_its_close(collector: CollectorDouble, openai_client: OpenAI) -> None:
    with ask(openai_client, stream=True) as stream:
        assert isinstance(stream, openai.Stream)
        assert next(stream).choices
    assert stream.response.is_closed
    assert attributes_of(collector)["gnomon.status"] == "cancelled"


@pytest.mark.parametrize("way", ["close", "forget", "throw"])
def test_a_stream_given_up_is_cancelled_with_what_it_said(
    way: str, collector: CollectorDouble, openai_client: OpenAI
) -> None:
    stream: Any = ask(openai_client, stream=True)
    said = [next(stream).choices[0].delta.content or "" for _ in range(4)]
    if way == "close":
        stream.close()
    elif way == "throw":
        with pytest.raises(KeyboardInterrupt):
            stream._iterator.throw(KeyboardInterrupt())
    del stream
    gc.collect()
    attributes = attributes_of(collector)
    assert attributes["gnomon.status"] == "cancelled"
    assert json.loads(attributes["gen_ai.output.messages"])[0]["parts"][0]["content"] == "".join(said)


async def test_an_async_stream_given_up_is_cancelled(collector: CollectorDouble, provider_url: str) -> None:
    async with AsyncOpenAI(base_url=provider_url, api_key="x", max_retries=0) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
        async for _ in stream:
            break
        await stream.close()
    assert attributes_of(collector)["gnomon.status"] == "cancelled"


def test_a_stream_says_how_fast_it_was(collector: CollectorDouble, openai_client: OpenAI) -> None:
    list(ask(openai_client, stream=True, stream_options={"include_usage": True}))
    attributes = attributes_of(collector)
    assert attributes["gnomon.output.tokens_per_second"] > 0
    assert attributes["gen_ai.request.stream"] is True


def test_no_chunk_waits(openai_client: OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    """The consumer gets a chunk before the next one is read from the provider."""
    stream: Any = ask(openai_client, stream=True)
    read: list[Any] = []
    inner = stream._iterator.gi_frame.f_locals["inner"]
    assert next(stream) is not None
    read.append(inner)
    assert inner.gi_frame is not None  # suspended at its first chunk, not run to the end
    stream.close()


def test_a_call_recorded_by_a_framework_is_left_to_it(
    collector: CollectorDouble, openai_client: OpenAI
) -> None:
    token = otel_context.attach(otel_context.set_value("suppress_language_model_instrumentation", True))
    try:
        ask(openai_client)
    finally:
        otel_context.detach(token)
    assert gnomon.flush()
    assert collector.spans == []


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no attribute")


@pytest.mark.parametrize(
    "request_of",
    [
        {"model": Hostile(), "messages": MESSAGES},
        {"model": MODEL, "messages": [Hostile()]},
        {"model": MODEL, "messages": Hostile(), "tools": [Hostile()], "stop": Hostile()},
        {"model": MODEL, "messages": [{"role": "user", "content": [Hostile(), {"type": "text"}]}]},
    ],
)
def test_hostile_requests_fail_as_without_gnomon(
    request_of: Chat, openai_client: OpenAI, collector: CollectorDouble
) -> None:
    with pytest.raises(Exception) as seen:
        openai_client.chat.completions.create(**request_of)
    gnomon.shutdown()
    with pytest.raises(type(seen.value)):
        openai_client.chat.completions.create(**request_of)


def test_iterators_are_not_read(openai_client: OpenAI) -> None:
    assert fields.input_content({"messages": iter(MESSAGES)}, 1000) == {}
    openai_client.chat.completions.create(model=MODEL, messages=iter(MESSAGES))


def test_tools_images_and_results_of_tools_are_shown() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9_000}},
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
            ],
        },
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x": 1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a shoe"},
    ]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    content = fields.input_content({"messages": messages, "tools": tools}, 100_000)
    system, user, assistant, tool = json.loads(content["gen_ai.input.messages"])
    assert system["parts"] == [{"type": "text", "content": "Be brief."}]
    assert user["parts"][1]["uri"] == "<data:image/png;base64 9022 characters>"
    assert user["parts"][2]["uri"] == "https://example.org/a.png"
    assert assistant["parts"] == [{"type": "tool_call", "id": "c1", "name": "look", "arguments": {"x": 1}}]
    assert tool["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "a shoe"}]
    assert json.loads(content["gen_ai.tool.definitions"])[0]["name"] == "look"


def test_long_conversations_are_cut_inside_of_their_json() -> None:
    messages = [{"role": "user", "content": "x" * 5_000} for _ in range(4)]
    text = fields.input_content({"messages": messages}, 2_000)["gen_ai.input.messages"]
    assert len(text) < 3_000
    assert [message["role"] for message in json.loads(text)] == ["user"] * 4


def completion(**message: Any) -> ChatCompletion:
    choice = {"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", **message}}
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 16},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    return ChatCompletion.model_validate(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
    )


def test_answers_with_tool_calls_reasoning_and_details_of_usage() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "not json"}}
    answer = completion(content=None, tool_calls=[call], reasoning_content="hm", refusal="no")
    (message,) = json.loads(fields.output_messages(answer.choices, 10_000))
    assert [part["type"] for part in message["parts"]] == ["reasoning", "tool_call", "text"]
    assert message["finish_reason"] == "tool_call"
    assert message["parts"][1]["arguments"] == "not json"
    attributes = fields.chat_attributes(answer)
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 16
    assert attributes["gen_ai.usage.reasoning.output_tokens"] == 4


class SilentTracer:
    def start_span(self, name: str, **_: Any) -> Any:
        return INVALID_SPAN


def test_tool_calls_streamed_in_pieces_are_put_together() -> None:
    call = ModelCall(SilentTracer(), "chat", {})  # type: ignore[arg-type]
    record = ChatStream(call, Guard(), Reading(True, 10_000))
    pieces = [
        {"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"x"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
        {"index": 1, "id": "c2", "function": {"name": "go", "arguments": "{}"}},
    ]
    for piece in pieces:
        choice = {"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": None}
        record.add(
            ChatCompletionChunk.model_validate(
                {
                    "id": "c",
                    "object": "chat.completion.chunk",
                    "created": 1,
                    "model": "m",
                    "choices": [choice],
                }
            )
        )
    record.end()
    (message,) = json.loads(call.attributes["gen_ai.output.messages"])
    assert [part["arguments"] for part in message["parts"]] == [{"x": 1}, {}]


def test_what_a_stream_keeps_is_bounded() -> None:
    call = ModelCall(SilentTracer(), "chat", {})  # type: ignore[arg-type]
    record = ChatStream(call, Guard(), Reading(True, 1_000))
    choice = {"index": 0, "delta": {"content": "y" * 400}, "finish_reason": None}
    chunk = ChatCompletionChunk.model_validate(
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    )
    for _ in range(500):
        record.add(chunk)
    record.end()
    assert len(call.attributes["gen_ai.output.messages"]) < 1_500


def test_what_others_wrapped_around_is_replaced_and_put_back() -> None:
    gnomon.shutdown()
    before = (Responses.create, Completions.create)
    gnomon.init(instrument=["openai"])
    for method in (Responses.create, Completions.create):
        assert inspect.isfunction(method)
        assert method not in before
    gnomon.shutdown()
    assert (Responses.create, Completions.create) == before


def test_faults_of_the_instrumentation_raise_under_test(
    openai_client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "chat_attributes", lambda answer: 1 / 0)
    with testing.capture(instrument=["openai"]), pytest.raises(ZeroDivisionError):
        ask(openai_client)


def test_faults_of_the_instrumentation_reach_nobody_otherwise(
    openai_client: OpenAI, collector: CollectorDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "chat_attributes", lambda answer: 1 / 0)
    assert ask(openai_client).choices
    assert list(ask(openai_client, stream=True))
    gnomon.flush()
    assert len(collector.spans) == 2


def test_without_openai_installed_init_works(collector: CollectorDouble) -> None:
    code = f"""
import sys
sys.modules["openai"] = None
import gnomon
gnomon.init("plain", endpoint={collector.url!r})
with gnomon.span("works"):
    pass
assert gnomon.flush()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert collector.span("works")
