"""`prompt`, `retrieval`, `tool`, `agent` and `llm_call`: what they say on the spans."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

import gnomon
from gnomon import testing
from gnomon.testing import Captured


def attributes_of(captured: Captured, name: str) -> dict[str, Any]:
    return dict(captured.span(name).attributes or {})


def test_a_prompt_is_stamped_on_the_calls_within() -> None:
    with testing.capture() as captured:
        variables = {"name": "Ann", "tone": {"warm": True}}
        with gnomon.prompt("answer", 4, "Hello {name}", variables), gnomon.span("inside"):
            pass
        with gnomon.span("outside"):
            pass
    inside = attributes_of(captured, "inside")
    assert inside["gen_ai.prompt.name"] == "answer"
    assert inside["gen_ai.prompt.version"] == "4"
    assert inside["gnomon.prompt.template"] == "Hello {name}"
    assert inside["gen_ai.prompt.variable.tone"] == '{"warm":true}'
    assert "gen_ai.prompt.name" not in attributes_of(captured, "outside")


def test_an_edited_template_is_a_new_version() -> None:
    versions = []
    for template in ("Hi {x}", "Hi {x}", "Hello {x}"):
        with testing.capture() as captured, gnomon.prompt("p", template=template), gnomon.span("s"):
            pass
        versions.append(attributes_of(captured, "s")["gen_ai.prompt.version"])
    assert versions[0] == versions[1] != versions[2]
    assert len(versions[0]) == 8


def test_an_inner_prompt_leaves_nothing_of_the_outer_one() -> None:
    with testing.capture() as captured:
        outer = gnomon.prompt("outer", 1, "t", {"a": 1})
        with gnomon.session(user="u"), outer, gnomon.prompt("inner"), gnomon.span("s"):
            pass
    kept = {key for key in attributes_of(captured, "s") if "prompt" in key}
    assert kept == {"gen_ai.prompt.name"}
    assert attributes_of(captured, "s")["user.id"] == "u"


def test_without_content_a_prompt_is_a_name_and_a_version() -> None:
    with testing.capture(capture_content="none") as captured:
        with gnomon.prompt("p", 1, "secret {x}", {"x": "secret"}), gnomon.span("s"):
            pass
        with gnomon.retrieval("secret") as found:
            found.set_documents([{"id": "d1", "content": "secret", "score": 0.5}])
        with gnomon.llm_call("m", messages="secret") as call:
            call.set_answer("secret", output_tokens=3)
    assert "secret" not in str([dict(span.attributes or {}) for span in captured.spans])
    documents = json.loads(attributes_of(captured, "retrieval")["gen_ai.retrieval.documents"])
    assert documents == [{"id": "d1", "score": 0.5}]


@dataclass
class LangChainDocument:
    page_content: str
    metadata: dict[str, Any]


@dataclass
class LlamaNode:
    text: str
    node_id: str


@dataclass
class LlamaNodeWithScore:
    node: LlamaNode
    score: float


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ("plain text", {"content": "plain text"}),
        ({"id": 7, "text": "t", "score": "0.25"}, {"id": "7", "content": "t", "score": 0.25}),
        (
            (LangChainDocument("p", {"source": "a.md"}), 0.75),
            {"content": "p", "id": "a.md", "score": 0.75},
        ),
        (LlamaNodeWithScore(LlamaNode("n", "n1"), 0.5), {"content": "n", "id": "n1", "score": 0.5}),
        ({"content": "c", "score": float("nan")}, {"content": "c", "score": "nan"}),
    ],
)
def test_documents_of_every_kind(document: object, shown: dict[str, Any]) -> None:
    with testing.capture() as captured, gnomon.retrieval("return policy", top_k=3, source="faq") as found:
        found.set_documents([document])
    attributes = attributes_of(captured, "retrieval")
    assert json.loads(attributes["gen_ai.retrieval.documents"]) == [shown]
    assert attributes["gen_ai.retrieval.query.text"] == "return policy"
    assert attributes["gnomon.span.kind"] == "retrieval"
    assert (attributes["gen_ai.request.top_k"], attributes["gen_ai.data_source.id"]) == (3, "faq")


def test_an_iterator_of_documents_is_not_read() -> None:
    documents = iter(["a", "b"])
    with testing.capture(), gnomon.retrieval("q") as found:
        found.set_documents(documents)
    assert list(documents) == ["a", "b"]


@gnomon.tool
def weather(city: str) -> str:
    return f"rain in {city}"


@gnomon.agent("planner")
async def plan(goal: str) -> list[str]:
    with gnomon.tool("lookup") as span:
        span.set_output(weather("Riga"))
    return [goal]


async def test_agents_and_tools() -> None:
    with testing.capture() as captured:
        assert await plan("rest") == ["rest"]
    agent, lookup, tool = (captured.span(name) for name in ("planner", "lookup", "weather"))
    assert agent.context and lookup.context and lookup.parent and tool.parent
    assert lookup.parent.span_id == agent.context.span_id
    assert tool.parent.span_id == lookup.context.span_id
    assert attributes_of(captured, "planner")["gen_ai.agent.name"] == "planner"
    shown = attributes_of(captured, "weather")
    assert shown["gen_ai.operation.name"] == "execute_tool"
    assert shown["gen_ai.tool.name"] == "weather"
    assert shown["gnomon.input"] == '{"city":"Riga"}'
    assert shown["gnomon.output"] == "rain in Riga"
    assert shown["gnomon.span.kind"] == "tool"


def test_a_step_may_be_entered_again_inside_of_itself() -> None:
    step = gnomon.tool("again")
    with testing.capture() as captured, step as outer, step as inner:
        assert outer.span_id != inner.span_id
    assert len(captured.spans) == 2


def test_a_call_of_an_own_server() -> None:
    messages = [{"role": "user", "content": "Hi"}]
    with (
        testing.capture() as captured,
        gnomon.llm_call(
            "falcon-7b", provider="own", messages=messages, parameters={"temperature": 0.5}, server="gpu-1"
        ) as call,
    ):
        call.set_answer("Hello", input_tokens=3, output_tokens=2, finish_reason="stop", response_id="r1")
    shown = attributes_of(captured, "chat falcon-7b")
    assert json.loads(shown["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
    ]
    assert json.loads(shown["gen_ai.output.messages"])[0]["parts"][0]["content"] == "Hello"
    assert shown["gen_ai.request.temperature"] == 0.5
    assert (shown["gen_ai.usage.input_tokens"], shown["gen_ai.usage.output_tokens"]) == (3, 2)
    assert shown["gnomon.span.kind"] == "generation"
    assert shown["gen_ai.response.finish_reasons"] == ("stop",)


def test_a_streamed_call_passes_every_piece_on_at_once() -> None:
    arrived: list[str] = []

    def server() -> Any:
        for word in ("a", "b", "c"):
            arrived.append(word)
            yield {"token": word}

    with testing.capture() as captured:
        asked = gnomon.llm_call("alpaca", operation="text_completion", messages="say")
        with asked as call:
            for count, _ in enumerate(call.stream(server(), text=lambda piece: piece["token"]), start=1):
                assert len(arrived) == count
            call.set_answer(output_tokens=3)
    shown = attributes_of(captured, "text_completion alpaca")
    assert json.loads(shown["gen_ai.output.messages"])[0]["parts"][0]["content"] == "abc"
    assert shown["gen_ai.response.time_to_first_chunk"] >= 0
    assert shown["gnomon.output.tokens_per_second"] > 0
    assert "gnomon.status" not in shown


async def test_an_async_stream_that_fails_is_an_error_with_what_it_said() -> None:
    async def server() -> Any:
        yield "half"
        raise ConnectionError("gone")

    with testing.capture() as captured, pytest.raises(ConnectionError), gnomon.llm_call("alpaca") as call:
        async for _ in call.astream(server()):
            pass
    shown = attributes_of(captured, "chat alpaca")
    assert shown["error.type"] == "ConnectionError"
    assert "half" in shown["gen_ai.output.messages"]


def test_a_stream_given_up_is_cancelled() -> None:
    with testing.capture() as captured, gnomon.llm_call("alpaca") as call:
        for _ in call.stream(iter(["a", "b"])):
            break
    shown = attributes_of(captured, "chat alpaca")
    assert shown["gnomon.status"] == "cancelled"


def test_before_init_all_of_them_do_nothing() -> None:
    with gnomon.prompt("p", template="t"), gnomon.retrieval("q") as found, gnomon.llm_call("m") as call:
        found.set_documents(["d"])
        assert list(call.stream(["a"])) == ["a"]
        call.set_answer("a", output_tokens=1)
    assert weather("Riga") == "rain in Riga"
