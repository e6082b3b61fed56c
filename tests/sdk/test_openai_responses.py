"""OpenAI's Responses API, recorded by Gnomon itself: items, streams, tools, reasoning, errors, conversations."""

import json
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import Response
from pydantic import BaseModel
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon
from gnomon._openai_fields import Reading
from gnomon._openai_responses import responses_answer, responses_request

MODEL = "gpt-4o-mini"
QUESTION = "Where is order A-10442?"
NAME = f"chat {MODEL}"
TOOL: Any = {
    "type": "function",
    "name": "find_order",
    "description": "Look an order up",
    "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}},
    "strict": False,
}


@pytest.fixture(autouse=True)
def instrumented(start: Start) -> None:
    start(service_name="shop", instrument=["openai"])


def attributes_of(collector: CollectorDouble, name: str = NAME) -> dict[str, Any]:
    assert gnomon.flush()
    return dict(collector.span(name).attributes)


def parts_of(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    (message,) = json.loads(attributes["gen_ai.output.messages"])
    assert message["role"] == "assistant"
    parts: list[dict[str, Any]] = message["parts"]
    return parts


def test_a_response_has_instructions_input_output_and_tokens(
    collector: CollectorDouble, openai_client: OpenAI
) -> None:
    answer = openai_client.responses.create(
        model=MODEL, instructions="Be brief.", input=QUESTION, temperature=0.5, max_output_tokens=500
    )
    attributes = attributes_of(collector)
    assert json.loads(attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be brief."}]
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": QUESTION}]}
    ]
    assert parts_of(attributes) == [{"type": "text", "content": answer.output_text}]
    assert answer.usage is not None
    assert attributes["gen_ai.usage.input_tokens"] == answer.usage.input_tokens
    assert attributes["gen_ai.usage.output_tokens"] == answer.usage.output_tokens
    assert attributes["gen_ai.response.id"] == answer.id
    assert attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert (attributes["gen_ai.request.temperature"], attributes["gen_ai.request.max_tokens"]) == (0.5, 500)
    assert attributes["openai.api.type"] == "responses"
    assert "gen_ai.conversation.id" not in attributes


def test_reasoning_and_tool_calls_are_parts_of_the_answer(
    collector: CollectorDouble, openai_client: OpenAI
) -> None:
    answer = openai_client.responses.create(
        model="gpt-5-mini", input=QUESTION + " Today?", tools=[TOOL], reasoning={"effort": "low"}
    )
    attributes = attributes_of(collector, "chat gpt-5-mini")
    assert [part["type"] for part in parts_of(attributes)] == ["reasoning", "tool_call"]
    call = next(item for item in answer.output if item.type == "function_call")
    assert parts_of(attributes)[1] == {
        "type": "tool_call",
        "id": call.call_id,
        "name": "find_order",
        "arguments": json.loads(call.arguments),
    }
    assert attributes["gen_ai.response.finish_reasons"] == ["tool_calls"]
    assert attributes["gen_ai.usage.reasoning.output_tokens"] > 0
    assert attributes["gen_ai.request.reasoning.level"] == "low"
    assert json.loads(attributes["gen_ai.tool.definitions"])[0]["name"] == "find_order"


def test_a_stream_has_its_first_token_and_all_of_the_answer(
    collector: CollectorDouble, openai_client: OpenAI
) -> None:
    events = list(openai_client.responses.create(model=MODEL, input=QUESTION, stream=True))
    attributes = attributes_of(collector)
    final = events[-1]
    assert final.type == "response.completed"
    assert parts_of(attributes) == [{"type": "text", "content": final.response.output_text}]
    assert attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert attributes["gnomon.output.tokens_per_second"] > 0
    assert attributes["gen_ai.usage.output_tokens"] > 0


def test_the_stream_helper_is_recorded_once(collector: CollectorDouble, openai_client: OpenAI) -> None:
    with openai_client.responses.stream(model=MODEL, input=QUESTION) as stream:
        final = stream.get_final_response()
    assert parts_of(attributes_of(collector)) == [{"type": "text", "content": final.output_text}]


def test_a_stream_given_up_is_cancelled_with_what_it_said(
    collector: CollectorDouble, openai_client: OpenAI
) -> None:
    said: list[str] = []
    with openai_client.responses.create(model=MODEL, input=QUESTION, stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                said.append(event.delta)
            if len(said) == 2:
                break
    attributes = attributes_of(collector)
    assert attributes["gnomon.status"] == "cancelled"
    assert parts_of(attributes) == [{"type": "text", "content": "".join(said)}]
    assert attributes["gen_ai.response.id"].startswith("resp_")


def test_a_streamed_tool_call_given_up_keeps_its_name(
    collector: CollectorDouble, openai_client: OpenAI
) -> None:
    with openai_client.responses.create(model=MODEL, input=QUESTION, tools=[TOOL], stream=True) as stream:
        for event in stream:
            if event.type == "response.function_call_arguments.delta":
                break
    (part,) = parts_of(attributes_of(collector))
    assert (part["type"], part["name"]) == ("tool_call", "find_order")


class Order(BaseModel):
    number: str


async def test_parse_and_async_calls_are_recorded(collector: CollectorDouble, provider_url: str) -> None:
    async with AsyncOpenAI(base_url=provider_url, api_key="x", max_retries=0) as client:
        await client.responses.create(model="gpt-4o", input=QUESTION)
        async for _ in await client.responses.create(model=MODEL, input=QUESTION, stream=True):
            pass
        with pytest.raises(ValueError, match="Order"):  # the stand-in answers in prose
            await client.responses.parse(model="gpt-4.1", input=QUESTION, text_format=Order)
    assert gnomon.flush()
    assert {span.name for span in collector.spans} == {"chat gpt-4o", NAME, "chat gpt-4.1"}
    assert collector.span("chat gpt-4.1").attributes["gen_ai.output.type"] == "json"
    assert parts_of(dict(collector.span(NAME).attributes))


@pytest.mark.parametrize(
    ("model", "error"), [("err-429", openai.RateLimitError), ("err-400", openai.BadRequestError)]
)
def test_errors_reach_the_host_and_the_span(
    model: str, error: type[Exception], collector: CollectorDouble, openai_client: OpenAI
) -> None:
    with pytest.raises(error):
        openai_client.responses.create(model=model, input=QUESTION)
    gnomon.flush()
    span = collector.span(f"chat {model}")
    assert span.status_code == 2
    assert span.attributes["error.type"] == f"openai.{error.__name__}"


def test_a_stream_that_breaks_is_an_error(collector: CollectorDouble, openai_client: OpenAI) -> None:
    with pytest.raises(openai.APIError):
        list(openai_client.responses.create(model="err-midstream", input=QUESTION, stream=True))
    gnomon.flush()
    assert collector.span("chat err-midstream").status_code == 2


def test_a_chain_of_responses_is_one_conversation(collector: CollectorDouble, openai_client: OpenAI) -> None:
    first = openai_client.responses.create(model="gpt-4o", input=QUESTION)
    second = openai_client.responses.create(model=MODEL, input="And?", previous_response_id=first.id)
    list(
        openai_client.responses.create(
            model="gpt-4.1", input="Thanks", previous_response_id=second.id, stream=True
        )
    )
    assert attributes_of(collector)["gen_ai.conversation.id"] == first.id
    assert attributes_of(collector, "chat gpt-4.1")["gen_ai.conversation.id"] == first.id


def test_a_session_wins_over_the_chain(collector: CollectorDouble, openai_client: OpenAI) -> None:
    with gnomon.session(session="s-1"):
        openai_client.responses.create(model=MODEL, input=QUESTION, previous_response_id="resp_0")
    assert attributes_of(collector)["gen_ai.conversation.id"] == "s-1"


def test_a_raw_response_is_recorded(collector: CollectorDouble, openai_client: OpenAI) -> None:
    raw = openai_client.responses.with_raw_response.create(model=MODEL, input=QUESTION)
    assert attributes_of(collector)["gen_ai.response.id"] == raw.parse().id


def test_content_is_left_out_where_it_is_not_wanted(
    collector: CollectorDouble, openai_client: OpenAI, start: Start
) -> None:
    gnomon.shutdown()
    start(instrument=["openai"], capture_content="none")
    list(openai_client.responses.create(model=MODEL, input=QUESTION, instructions="Secret", stream=True))
    attributes = attributes_of(collector)
    assert not {key for key in attributes if "messages" in key or "instructions" in key}
    assert attributes["gen_ai.usage.output_tokens"] > 0


def test_items_of_every_kind_are_shown_in_turns() -> None:
    items = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look"},
                {"type": "input_image", "image_url": "https://x.org/a.png"},
            ],
        },
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"x": 1}'},
        {"type": "function_call", "call_id": "c2", "name": "go", "arguments": "not json"},
        {"type": "function_call_output", "call_id": "c1", "output": "a shoe"},
        {"type": "item_reference", "id": "msg_1"},
        {"type": "web_search_call", "id": "ws", "status": "completed"},
    ]
    attributes = responses_request({"model": MODEL, "input": items}, Reading(True, 100_000))
    turns = json.loads(attributes["gen_ai.input.messages"])
    assert [turn["role"] for turn in turns] == [
        "developer",
        "user",
        "assistant",
        "assistant",
        "tool",
        "assistant",
    ]
    assert turns[1]["parts"][1] == {"type": "uri", "modality": "image", "uri": "https://x.org/a.png"}
    assert turns[2]["parts"] == [{"type": "reasoning", "content": "hm"}]
    assert [part["arguments"] for part in turns[3]["parts"]] == [{"x": 1}, "not json"]
    assert turns[4]["parts"] == [{"type": "tool_call_response", "id": "c1", "response": "a shoe"}]
    assert turns[5]["parts"][0]["name"] == "web_search_call"


def response(**fields: Any) -> Response:
    usage = {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 16, "cache_write_tokens": 2},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 29,
    }
    return Response.model_construct(
        **{
            "id": "resp_1",
            "model": "m",
            "status": "completed",
            "output": [],
            "error": None,
            "incomplete_details": None,
            "previous_response_id": None,
            "usage": usage,
            **fields,
        }
    )


def test_details_of_usage_and_reasons_to_end() -> None:
    cut = response(status="incomplete", incomplete_details=SimpleNamespace(reason="max_output_tokens"))
    attributes = responses_answer(cut, {}, Reading(True, 1_000))
    assert attributes["gen_ai.response.finish_reasons"] == ("length",)
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 16
    assert attributes["gen_ai.usage.cache_write.input_tokens"] == 2
    assert attributes["gen_ai.usage.reasoning.output_tokens"] == 4


def test_a_response_that_failed_says_so() -> None:
    failed = response(status="failed", error=SimpleNamespace(code="server_error", message="overloaded"))
    attributes = responses_answer(failed, {}, Reading(True, 1_000))
    assert attributes["error.type"] == "server_error"
    assert attributes["error.message"] == "overloaded"
