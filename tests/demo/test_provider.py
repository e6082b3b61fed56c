"""The stand-in provider, asked by the real OpenAI client."""

import time

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import (
    ChatCompletionChunk,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageFunctionToolCallParam,
    ChatCompletionMessageParam,
)
from tests.demo.conftest import serving

from gnomon_collector.demo.embeddings import cosine
from gnomon_collector.demo.provider import make_provider_app

ORDER_TOOL: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "get_order_status",
        "parameters": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
    },
}


def asking(question: str, system: str = "") -> list[ChatCompletionMessageParam]:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": question}]
    return [{"role": "system", "content": system}, *messages] if system else messages


def streamed(client: OpenAI, model: str) -> list[ChatCompletionChunk]:
    chunks: list[ChatCompletionChunk] = []
    stream = client.chat.completions.create(
        model=model,
        messages=asking("How do I return my rain jacket?"),
        stream=True,
        stream_options={"include_usage": True},
    )
    try:
        for chunk in stream:
            chunks.append(chunk)
    except Exception as error:
        error.add_note(f"after {len(chunks)} chunks")
        raise
    return chunks


def test_chat_answers_the_question_and_reports_usage(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="gpt-4o-mini", messages=asking("How do I return my rain jacket?", "You are helpful. " * 60)
    )
    assert answer.model == "gpt-4o-mini-2024-07-18"
    assert answer.id.startswith("chatcmpl-") and answer.choices[0].finish_reason == "stop"
    assert "within 30 days" in (answer.choices[0].message.content or "")
    assert answer.usage is not None and answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens > 250 and answer.usage.completion_tokens > 10
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.prompt_tokens_details.cached_tokens in (0, 128)
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == 0


def test_reasoning_model_counts_reasoning_inside_output(client: OpenAI) -> None:
    answers = [
        client.chat.completions.create(model="gpt-5-mini", messages=asking("Where is my order?"))
        for _ in range(8)
    ]
    usages = [answer.usage for answer in answers if answer.usage is not None]
    details = [usage.completion_tokens_details for usage in usages if usage.completion_tokens_details]
    reasoning = [detail.reasoning_tokens or 0 for detail in details]
    assert len(reasoning) == 8 and max(reasoning) >= 64
    assert all(usage.completion_tokens > tokens for usage, tokens in zip(usages, reasoning, strict=True))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Wie lange dauert die Lieferung nach Zürich?", "Werktage"),
        ("Как вернуть товар из заказа A-12345?", "в течение 30 дней"),
        ("Does the wool coat run small? I usually wear M.", "true to size"),
    ],
)
def test_chat_answers_in_the_language_of_the_question(client: OpenAI, question: str, expected: str) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=asking(question))
    assert expected in (answer.choices[0].message.content or "")


def test_answers_cite_the_context_and_stop_at_max_tokens(client: OpenAI) -> None:
    context = "Answer from:\n[returns-en] You can return any unworn article."
    answer = client.chat.completions.create(
        model="gpt-4.1-mini", messages=asking("Can I send back my coat?", context)
    )
    assert "[returns-en]" in (answer.choices[0].message.content or "")
    short = client.chat.completions.create(
        model="gpt-4.1-mini", messages=asking("Can I send back my coat?", context), max_tokens=5
    )
    assert short.choices[0].finish_reason == "length"
    assert len(short.choices[0].message.content or "") <= 20


def test_stream_carries_text_finish_reason_and_usage(client: OpenAI) -> None:
    chunks = streamed(client, "gpt-4o-mini")
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "within 30 days" in text and "  " not in text
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


async def test_stream_through_the_async_client_without_usage(provider_url: str) -> None:
    async with AsyncOpenAI(base_url=f"{provider_url}/v1", api_key="sk-demo") as client:
        stream = await client.chat.completions.create(
            model="gpt-4o-mini", messages=asking("Where is my order A-10442?"), stream=True
        )
        chunks = [chunk async for chunk in stream]
    assert len(chunks) > 5 and all(chunk.usage is None for chunk in chunks)


def test_stream_waits_for_the_first_token_and_between_chunks() -> None:
    app = make_provider_app(seed=1, latency_scale=0.5, error_rate=0.0)
    with serving(app) as url, OpenAI(base_url=f"{url}/v1", api_key="sk-demo") as client:
        began_s = time.monotonic()
        stream = client.chat.completions.create(
            model="gpt-4o", messages=asking("How do I return my coat?"), stream=True
        )
        at_s = [time.monotonic() - began_s for _ in stream]
    assert 0.03 < at_s[0] < at_s[-1] < 1.5
    assert at_s[-1] - at_s[0] > 0.05


@pytest.mark.parametrize("stream", [False, True])
def test_tool_call_takes_the_order_number_and_words_the_result(client: OpenAI, stream: bool) -> None:
    messages = asking("Where is my order A-10442?")
    if stream:
        chunks = list(
            client.chat.completions.create(
                model="gpt-4o-mini", messages=messages, tools=[ORDER_TOOL], stream=True
            )
        )
        calls = [chunk.choices[0].delta.tool_calls for chunk in chunks]
        deltas = [call[0].function for call in calls if call]
        name = deltas[0].name if deltas[0] else None
        arguments = "".join(delta.arguments or "" for delta in deltas if delta)
        finish_reason = chunks[-1].choices[0].finish_reason
    else:
        answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[ORDER_TOOL])
        call = (answer.choices[0].message.tool_calls or [])[0]
        assert call.type == "function"
        name, arguments = call.function.name, call.function.arguments
        finish_reason = answer.choices[0].finish_reason
    assert (name, arguments, finish_reason) == ("get_order_status", '{"order": "A-10442"}', "tool_calls")


def test_tool_result_is_worded_in_the_answer(client: OpenAI) -> None:
    call: ChatCompletionMessageFunctionToolCallParam = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_order_status", "arguments": "{}"},
    }
    result = '{"order": "A-10442", "state": "shipped", "carrier": "DHL", "eta": "Friday"}'
    answer = client.chat.completions.create(
        model="gpt-4o-mini",
        tools=[ORDER_TOOL],
        messages=[
            {"role": "user", "content": "Where is my order A-10442?"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": result},
        ],
    )
    assert answer.choices[0].message.content == (
        "Your order A-10442 is shipped with DHL and should arrive on Friday."
    )


def test_embeddings_put_like_texts_near_each_other(client: OpenAI) -> None:
    answer = client.embeddings.create(
        model="text-embedding-3-small",
        input=[
            "How do I return my jacket?",
            "You can return any unworn article.",
            "Standard delivery takes 2 to 4 working days.",
        ],
    )
    question, returns, delivery = (item.embedding for item in answer.data)
    assert len(question) == 1536 and answer.usage.prompt_tokens > 10
    assert cosine(question, question) == pytest.approx(1.0, abs=1e-5)
    assert cosine(question, returns) > cosine(question, delivery)


def test_embeddings_as_floats_with_fewer_dimensions(client: OpenAI) -> None:
    answer = client.embeddings.create(
        model="text-embedding-3-small", input="Hello there", dimensions=64, encoding_format="float"
    )
    assert len(answer.data[0].embedding) == 64


def test_models_are_listed(client: OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "text-embedding-3-small"} <= names


@pytest.mark.parametrize(
    ("model", "raised", "status"),
    [
        ("err-429", openai.RateLimitError, 429),
        ("err-429-once", openai.RateLimitError, 429),
        ("err-500", openai.InternalServerError, 500),
        ("err-400", openai.BadRequestError, 400),
        ("err-401", openai.AuthenticationError, 401),
        ("err-404", openai.NotFoundError, 404),
        ("err-midstream", openai.InternalServerError, 500),
    ],
)
def test_forced_errors(client: OpenAI, model: str, raised: type[openai.APIStatusError], status: int) -> None:
    with pytest.raises(raised) as caught:
        client.chat.completions.create(model=model, messages=asking("Hi"))
    assert caught.value.status_code == status
    assert caught.value.response.json()["error"]["message"]


def test_rate_limit_says_when_to_come_back(client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="err-429", messages=asking("Hi"))
    assert caught.value.response.headers["retry-after"] == "1"
    assert caught.value.code == "rate_limit_exceeded"


def test_client_retry_gets_through_a_single_rate_limit(client: OpenAI) -> None:
    answer = client.with_options(max_retries=1).chat.completions.create(
        model="err-429-once", messages=asking("Where is my parcel?")
    )
    assert answer.choices[0].message.content


def test_timeout_outlasts_an_impatient_client(client: OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.02).chat.completions.create(model="err-timeout", messages=asking("Hi"))


@pytest.mark.parametrize(("model", "raised"), [("err-midstream", openai.APIError), ("err-cut", Exception)])
def test_stream_breaks_after_some_chunks(client: OpenAI, model: str, raised: type[Exception]) -> None:
    with pytest.raises(raised) as caught:
        streamed(client, model)
    assert caught.value.__notes__ == ["after 3 chunks"]


def test_too_long_a_conversation_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=asking("word " * 110_000))
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", b"{"),
        ("chat/completions", b"[]"),
        ("chat/completions", b'{"model": "gpt-4o"}'),
        ("chat/completions", b'{"messages": [{"role": "user", "content": "Hi"}]}'),
        ("embeddings", b'{"model": "m", "input": []}'),
        ("embeddings", b'{"model": "m", "input": "x", "dimensions": 5000}'),
    ],
)
def test_malformed_requests_are_refused(provider_url: str, path: str, body: bytes) -> None:
    answer = httpx.post(f"{provider_url}/v1/{path}", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def outcomes(seed: int) -> list[str]:
    def outcome(client: OpenAI, number: int) -> str:
        try:
            answer = client.chat.completions.create(
                model="gpt-4o-mini", messages=asking(f"Where is my order A-{10000 + number % 20}?")
            )
        except openai.APIStatusError as error:
            return str(error.status_code)
        return f"{answer.id} {answer.choices[0].message.content}"

    app = make_provider_app(seed=seed, latency_scale=0.0, error_rate=0.2)
    with serving(app) as url, OpenAI(base_url=f"{url}/v1", api_key="sk-demo", max_retries=0) as client:
        return [outcome(client, number) for number in range(60)]


def test_same_seed_same_answers_and_faults_another_seed_others() -> None:
    first, again, other = outcomes(3), outcomes(3), outcomes(4)
    assert first == again
    assert first != other
    answered = [outcome for outcome in first if outcome.startswith("chatcmpl-")]
    assert len({outcome.split()[0] for outcome in answered}) == len(answered)
    assert 3 <= len(first) - len(answered) <= 25
