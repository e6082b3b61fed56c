"""What every captured SDK sent is one conversation of typed parts, and is found by what was said in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.captures.test_conformance import CAPTURES, FOLDERS, LOGS
from tests.conftest import SharedDatabase
from tests.ingest.pipeline import Pipeline

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.filters import Scope
from gnomon_collector.store.queries.trace import SpanDetail, span
from gnomon_collector.store.queries.traces import TraceQuery, page
from gnomon_schemas.conversation import Conversation, Part, parse_conversation

PROMPT_RU = "Здравствуйте! Как оформить возврат товара? Ёлка не подошла 🎄"
ANSWER_RU = "Срок возврата — 14 дней с момента покупки."
SYSTEM_RU = "Ты — вежливый ассистент службы поддержки. Отвечай кратко."
CAPTURED_FROM = datetime(2026, 1, 1, tzinfo=UTC)
CAPTURED_TO = datetime(2027, 1, 1, tzinfo=UTC)

Talks = dict[tuple[str, str], list[tuple[SpanDetail, Conversation]]]


@pytest.fixture(scope="module")
def module_store(_embedded_database: SharedDatabase) -> Store:
    """The shared database, empty at first, kept for all tests of this module."""
    return _embedded_database.empty()


@pytest.fixture(scope="module")
def talks(module_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talks]:
    """The conversation of every span, as the dashboard reads it: each scenario in a project of its own."""
    yield _read(module_store, tmp_path_factory.mktemp("talks") / "inbox.sqlite")


def _read(store: Store, path: Path) -> Talks:
    pipeline = Pipeline(store, path)
    for (folder, scenario), body in CAPTURES.items():
        project = f"{folder}.{scenario}"
        pipeline.put(body, project=project)
        if (folder, scenario) in LOGS:
            pipeline.put_logs(LOGS[folder, scenario], project=project)
    pipeline.flush()
    pipeline.inbox.close()
    found: Talks = {each: [] for each in CAPTURES}
    for project, trace_id, span_id in store.query(
        "SELECT project, trace_id, span_id FROM spans ORDER BY start_time"
    ).rows:
        folder, _, scenario = str(project).rpartition(".")
        detail = span(store, str(project), str(trace_id), str(span_id))
        assert detail is not None
        found[folder, scenario].append((detail, _conversation(detail)))
    return found


def _conversation(detail: SpanDetail) -> Conversation:
    return parse_conversation(
        detail.attributes,
        dialect=detail.dialect,
        kind=detail.kind,
        events=detail.events,
        input_text=detail.input_text,
        output_text=detail.output_text,
    )


def calls(talks: Talks, folder: str, scenario: str) -> list[Conversation]:
    return [
        talk
        for detail, talk in talks.get((folder, scenario), [])
        if detail.kind in ("generation", "embedding") and (talk.input or talk.output)
    ]


def parts(talk: Conversation) -> list[Part]:
    return [part for message in (*talk.input, *talk.output) for part in message.parts]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_russian_conversation_is_read_in_letters(talks: Talks, folder: str) -> None:
    (talk,) = calls(talks, folder, "chat_ru")
    (asked,) = [message for message in talk.input if message.role == "user"]
    assert asked.parts == (Part("text", PROMPT_RU),)
    (answer,) = talk.output
    assert answer.role == "assistant"
    assert answer.text.startswith(ANSWER_RU)
    systems = [message.text for message in talk.input if message.role == "system"]
    # the Vercel scenario has none
    assert systems == ([] if folder == "vercel-ai-7" else [SYSTEM_RU])


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("scenario", ["tools", "anthropic_tools"])
def test_a_tool_is_called_and_its_result_given_back(talks: Talks, folder: str, scenario: str) -> None:
    if (folder, scenario) not in CAPTURES:
        pytest.skip("not captured")
    first, second = calls(talks, folder, scenario)
    call = ("tool_call", "get_weather")
    said = [(part.kind, part.title) for part in first.output[0].parts if part.kind == "tool_call"]
    assert said == [call]
    kinds = [(part.kind, part.title) for message in second.input for part in message.parts]
    assert kinds.count(call) == 1
    assert kinds.count(("tool_result", "get_weather")) == 1
    (result,) = [part for part in parts(second) if part.kind == "tool_result"]
    (asked,) = [part for part in parts(second) if part.kind == "tool_call"]
    assert '"city": "Paris"' in asked.body
    assert '"temp_c": 18' in result.body
    assert result.call_id == asked.call_id
    assert second.output[0].text == "It is 18°C and rainy in Paris."


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_image_is_named_and_not_shown(talks: Talks, folder: str) -> None:
    if (folder, "chat_vision") not in CAPTURES:
        pytest.skip("not captured")
    (talk,) = calls(talks, folder, "chat_vision")
    if folder in (
        "openllmetry",
        "openllmetry-0.40-legacy",
        "otel-openai-v2-latest-span",
        "otel-openai-v2-latest-event",
    ):  # which leave such a prompt out
        assert not any(message.parts for message in talk.input)
        return
    kinds = [(part.kind, part.title.partition("/")[0]) for part in talk.input[0].parts]
    assert kinds == [("text", ""), ("reference", "image")]


@pytest.mark.parametrize("folder", FOLDERS)
def test_instructions_are_there_once(talks: Talks, folder: str) -> None:
    for talk in calls(talks, folder, "responses"):
        systems = [message.text for message in (*talk.input, *talk.output) if message.role == "system"]
        expected = [] if folder == "vercel-ai-7" else ["You are a helpful geography assistant."]
        assert systems == expected
        assert [message.text for message in talk.output] == ["The capital of France is Paris."]


def test_thoughts_are_told_from_the_answer(talks: Talks) -> None:
    said = {
        folder: [part.body for talk in calls(talks, folder, "responses") for part in parts(talk) if part.kind == "reasoning"]
        for folder in ("langfuse", "mlflow", "openinference", "openllmetry", "vercel-ai-7")
    }  # fmt: skip
    assert said == {folder: ["Recall the capital of France."] for folder in said}


@pytest.mark.parametrize(("folder", "scenario"), CAPTURES)
def test_no_escapes_no_base64_and_no_raw_messages(talks: Talks, folder: str, scenario: str) -> None:
    for detail, talk in talks[folder, scenario]:
        for part in parts(talk):
            assert "\\u04" not in part.body
            assert "iVBORw0KGgo" not in part.body
        if detail.kind == "generation":
            assert not [part for part in parts(talk) if part.kind == "data"], detail.name
            assert {message.role for message in talk.input} <= {"system", "user", "assistant", "tool"}
            assert {message.role for message in talk.output} <= {"assistant"}


def test_a_call_with_content_has_both_sides(talks: Talks) -> None:
    silent = {
        (folder, scenario)
        for folder in FOLDERS
        for scenario in (
            "chat",
            "chat_params",
            "chat_stream",
            "responses_stream",
            "rag",
            "session_user",
            "lc_chain",
        )
        for talk in calls(talks, folder, scenario)
        if not (talk.input and talk.output)
    }
    assert silent == set()


@pytest.mark.parametrize("words", ["возврат товара", "Срок возврата", "ёлка"])
def test_russian_text_is_found_whichever_sdk_sent_it(talks: Talks, module_store: Store, words: str) -> None:
    """By the search of the Traces page, upper and lower case alike."""
    query = TraceQuery(Scope(""), CAPTURED_FROM, CAPTURED_TO, rows="calls", text=words)
    found = {
        folder
        for folder in FOLDERS
        if page(module_store, replace(query, scope=Scope(f"{folder}.chat_ru")), offset=0, limit=9)
    }
    assert found == set(FOLDERS)
