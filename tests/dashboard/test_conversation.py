from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from dash._utils import to_json
from hypothesis import given
from hypothesis import strategies as st

from gnomon_collector.store.queries.trace import Document, Event, SpanDetail
from gnomon_dashboard.components.conversation import conversation_view, documents_view
from gnomon_dashboard.components.span_view import facts, span_view
from gnomon_dashboard.conversation import conversation
from gnomon_schemas.conversation import (
    LONGEST_PART,
    Conversation,
    Message,
    Part,
    messages,
    pretty,
)

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> [a](javascript:alert(1)) ![x](http://evil/)"


def detail(**given_values: Any) -> SpanDetail:
    empty: dict[str, Any] = {
        name: {"str": "", "list": [], "dict": {}}.get(str(field.type).split("[")[0])
        for name, field in SpanDetail.__dataclass_fields__.items()
    }
    return SpanDetail(
        **empty | {"start_time": NOW, "duration_ns": 1_000_000, "kind": "generation"} | given_values
    )


def of(**attributes: str) -> Conversation:
    return conversation(
        detail(attributes={name.replace("__", "."): value for name, value in attributes.items()})
    )


def test_messages_of_the_genai_conventions() -> None:
    given_messages = [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Привет"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "find", "arguments": {"q": "обувь"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": '{"n": 2}'}]},
    ]
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": "Two."}], "finish_reason": "stop"}]
    talk = of(gen_ai__input__messages=json.dumps(given_messages), gen_ai__output__messages=json.dumps(answer))
    assert [message.role for message in talk.input] == ["system", "user", "assistant", "tool"]
    assert talk.input[1].parts == (Part("text", "Привет"),)
    assert talk.input[2].parts == (Part("tool_call", '{\n  "q": "обувь"\n}', "find", "c1"),)
    assert talk.input[3].parts == (Part("tool_result", '{\n  "n": 2\n}', "find", "c1"),)
    assert talk.output == (Message("assistant", (Part("text", "Two."),), "stop"),)


def test_system_instructions_come_first_and_not_twice() -> None:
    instructions = json.dumps([{"type": "text", "content": "Be brief."}])
    user = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}])
    talk = of(gen_ai__system_instructions=instructions, gen_ai__input__messages=user)
    assert [message.role for message in talk.input] == ["system", "user"]
    both = json.dumps([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
    talk = of(gen_ai__system_instructions=instructions, gen_ai__input__messages=both)
    assert [message.role for message in talk.input] == ["system", "user"]


def test_openai_shaped_messages_and_images_by_reference() -> None:
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4000}},
        {"type": "image_url", "image_url": {"url": "https://shop.example/shoe.png"}},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "QUJD"},
    ]
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": "\\u0432"}'}}]
    given_messages = [
        {"role": "user", "content": content},
        {"role": "assistant", "content": None, "tool_calls": calls},
    ]
    user, assistant = of(gen_ai__input__messages=json.dumps(given_messages)).input
    assert [part.kind for part in user.parts] == ["text", "reference", "reference", "reference"]
    assert "AAAA" not in user.parts[1].body
    assert user.parts[1].body == "inline, about 3,000 bytes"
    assert user.parts[2].body == "https://shop.example/shoe.png"
    assert assistant.parts == (Part("tool_call", '{\n  "a": "в"\n}', "f", "c"),)


def test_indexed_attributes_of_older_instrumentations() -> None:
    talk = of(
        gen_ai__prompt__0__role="system",
        gen_ai__prompt__0__content="Be brief.",
        gen_ai__prompt__1__role="user",
        gen_ai__prompt__1__content='[{"type": "text", "text": "Hi"}]',
        gen_ai__completion__0__role="assistant",
        gen_ai__completion__0__tool_calls__0__name="f",
        gen_ai__completion__0__tool_calls__0__arguments='{"a": 1}',
        gen_ai__completion__0__finish_reason="tool_calls",
    )
    assert [(message.role, message.parts[0].body) for message in talk.input] == [
        ("system", "Be brief."),
        ("user", "Hi"),
    ]
    assert talk.output == (Message("assistant", (Part("tool_call", '{\n  "a": 1\n}', "f"),), "tool_calls"),)


def test_openinference_messages() -> None:
    span = detail(
        attributes={
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "Hi",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "f",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": "{}",
        }
    )
    talk = conversation(span)
    assert talk.input == (Message("user", (Part("text", "Hi"),)),)
    assert talk.output[0].parts == (Part("tool_call", "{}", "f"),)


def test_events_of_the_first_conventions() -> None:
    events = [
        Event(NOW, "gen_ai.user.message", {"content": "Hi"}),
        Event(
            NOW,
            "gen_ai.choice",
            {"index": "0", "finish_reason": "stop", "message": '{"role": "assistant", "content": "Yo"}'},
        ),
    ]
    talk = conversation(detail(events=events))
    assert talk.input == (Message("user", (Part("text", "Hi"),)),)
    assert talk.output == (Message("assistant", (Part("text", "Yo"),), "stop"),)


def test_tools_show_arguments_and_result() -> None:
    attributes = {"gen_ai.tool.call.arguments": '{"id": 1}', "gen_ai.tool.call.result": "done"}
    talk = conversation(detail(kind="tool", attributes=attributes))
    assert talk.input == (Message("tool", (Part("data", '{\n  "id": 1\n}'),)),)
    assert talk.output == (Message("output", (Part("text", "done"),)),)


def test_kept_texts_are_the_last_resort() -> None:
    talk = conversation(detail(input_text="in", output_text="out"))
    assert (talk.input[0].parts[0].body, talk.output[0].parts[0].body) == ("in", "out")
    assert conversation(detail()) == Conversation((), ())


def test_broken_json_is_shown_as_text_with_its_letters() -> None:
    (message,) = messages('[{"role": "user", "content": "\\u041f\\u0440\\u0438', "user")
    assert message.parts == (Part("text", '[{"role": "user", "content": "При'),)
    (emoji,) = messages("{broken \\ud83d\\ude00 \\ud83d", "user")
    assert emoji.parts[0].body == "{broken 😀 �"


def test_long_texts_say_how_much_is_left_out() -> None:
    (message,) = messages(json.dumps([{"role": "user", "content": "x" * (LONGEST_PART + 5)}]), "user")
    assert message.parts[0].body.endswith("… and 5 more characters")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["text", "tool_call", "blob", "user"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "parts",
                    "content",
                    "type",
                    "tool_calls",
                    "function",
                    "arguments",
                    "image_url",
                    "message",
                    "id",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_shape_of_json_breaks_the_page(value: object) -> None:
    talk = Conversation(messages(json.dumps(value), "user"), messages(json.dumps([value]), "assistant"))
    to_json(conversation_view(talk)).encode()


@given(st.text(max_size=60))
def test_no_text_breaks_the_page(text: str) -> None:
    to_json(conversation_view(Conversation(messages(text, "user"), ()))).encode()
    pretty(text).encode()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5000, "\ud800", '"\\ud800"'])
def test_texts_that_break_parsers_do_not_break_the_page(text: str) -> None:
    to_json(conversation_view(Conversation(messages(text, "user"), ()))).encode()


def _components(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        here = [node] if "namespace" in node else []
        return here + [found for value in node.values() for found in _components(value)]
    return [found for item in node for found in _components(item)] if isinstance(node, list) else []


def test_hostile_texts_stay_texts() -> None:
    span = detail(
        name=HOSTILE, error_type=HOSTILE, status="error", status_message=HOSTILE, user_id=HOSTILE, tags=[HOSTILE],
        attributes={"gen_ai.input.messages": json.dumps([{"role": HOSTILE, "content": HOSTILE}]), HOSTILE: HOSTILE},
        documents=[Document(HOSTILE, HOSTILE, 2.0)], events=[Event(NOW, HOSTILE, {HOSTILE: HOSTILE})],
    )  # fmt: skip
    tree = json.loads(to_json(span_view(span, [], UTC, lambda column, value: "/traces")))
    found = _components(tree)
    assert {node["type"] for node in found}.isdisjoint(
        {"Markdown", "DangerouslySetInnerHTML", "Iframe", "Img", "Script"}
    )
    links = {node["props"]["href"] for node in found if "href" in node["props"]}
    assert links == {"/traces"}
    assert HOSTILE in json.dumps(tree, ensure_ascii=False).replace('\\"', '"')


def test_a_call_says_what_it_is_billed_by() -> None:
    span = detail(
        input_tokens=1200, output_tokens=80, reasoning_tokens=30, service_tier="flex",
        usage_details={"web_searches": 2.0, "input_audio_tokens": 300.0},
    )  # fmt: skip
    said = dict(facts(span, lambda _column, _value: ""))
    assert "".join(said["Tokens"]) == "1,200 in · 80 out · 30 reasoning"
    assert "".join(said["Usage details"]) == "300 input audio tokens · 2 web searches"
    assert said["Service tier"] == "flex"
    assert not {"Tokens", "Usage details", "Service tier"} & dict(facts(detail(), lambda _c, _v: "")).keys()


def test_documents_without_content_or_score_say_so() -> None:
    tree = to_json(documents_view([Document("d1", "", None)], "which?"))
    assert "no content sent" in tree
    assert "which?" in tree
