"""The shop assistant in a process of its own, seen through what its telemetry says."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from openai import OpenAI
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tests.demo.conftest import Intake, serving

from gnomon_collector.demo.assistant import AnswerCache, Pages, embed
from gnomon_collector.demo.conversation import language_of
from gnomon_collector.demo.phrases import TOPICS
from gnomon_collector.demo.provider import make_provider_app
from gnomon_collector.demo.service import Crowd


@pytest.fixture(scope="module")
def ran() -> Iterator[Intake]:
    """What arrived from some seconds of a busy service, ended by SIGTERM."""
    intake = Intake()
    provider = make_provider_app(seed=4, latency_scale=0.1, error_rate=0.2)
    with serving(intake.app()) as endpoint, serving(provider) as provider_url:
        arguments = ["--provider-url", provider_url, "--requests-per-second", "25", "--seed", "3"]
        process = subprocess.Popen(
            [sys.executable, "-m", "gnomon_collector.demo.service", *arguments],
            env={**os.environ, "GNOMON_ENDPOINT": endpoint, "GNOMON_API_KEY": "gn_key"},
        )
        wait_for_spans(intake, 400, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        yield intake


def wait_for_spans(intake: Intake, count: int, process: subprocess.Popen[bytes]) -> None:
    give_up_s = time.monotonic() + 40
    while len(intake.spans) < count:
        assert process.poll() is None, "the service ended by itself"
        assert time.monotonic() < give_up_s, f"only {len(intake.spans)} spans came"
        time.sleep(0.1)


def texts(span: Span) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in span.attributes}


def test_all_scenarios_are_seen(ran: Intake) -> None:
    seen = Counter(span.name.split()[0] for _, _, span in ran.spans)
    scenarios = {"answer_question", "stream_reply", "track_order", "settle_dispute"}
    steps = {"index_pages", "answer_cache", "find_pages", "get_order_status", "try_again"}
    assert scenarios | steps | {"chat", "embeddings"} <= set(seen)
    models = {texts(span).get("gen_ai.request.model", "") for _, _, span in ran.spans}
    assert {"gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-5-mini", "text-embedding-3-small"} <= models


def test_calls_are_reported_by_the_real_instrumentation(ran: Intake) -> None:
    scopes = {scope for _, scope, span in ran.spans if span.name.startswith(("chat ", "embeddings "))}
    assert scopes == {"gnomon.openai"}
    resource = {pair.key: pair.value.string_value for pair in ran.spans[0][0].attributes}
    assert resource["service.name"] == "shop-assistant"
    assert ran.keys == {"Bearer gn_key"}


def test_calls_carry_user_session_prompt_and_content(ran: Intake) -> None:
    chats = [texts(span) for _, _, span in ran.spans if span.name.startswith("chat ")]
    keys = {
        "user.id",
        "gnomon.company.id",
        "gen_ai.conversation.id",
        "gen_ai.prompt.name",
        "gen_ai.input.messages",
    }
    assert len(chats) > 100 and all(keys <= set(chat) for chat in chats)
    assert {chat["gen_ai.prompt.version"] for chat in chats} == {"v4", "v5"}


def test_retrieval_finds_pages_in_the_language_of_the_question(ran: Intake) -> None:
    found = [texts(span) for _, _, span in ran.spans if span.name == "find_pages"]
    assert len(found) > 20
    for retrieval in found:
        question = retrieval["gen_ai.retrieval.query.text"]
        assert f'-{language_of(question)}", "score"' in retrieval["gen_ai.retrieval.documents"]


def test_errors_are_seen_and_some_are_recovered_from(ran: Intake) -> None:
    failed = [span for _, _, span in ran.spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert len({texts(span)["error.type"] for span in failed}) >= 3
    by_id = {span.span_id: span for _, _, span in ran.spans}
    retried = [span for _, _, span in ran.spans if span.name == "try_again"]
    parents = [by_id[span.parent_span_id] for span in retried if span.parent_span_id in by_id]
    assert any(parent.status.code != Status.STATUS_CODE_ERROR for parent in parents)


def test_feedback_is_about_traces_that_were_seen(ran: Intake) -> None:
    traces = {span.trace_id.hex() for _, _, span in ran.spans}
    assert len(ran.scores) > 3
    assert {score["trace_id"] for score in ran.scores} <= traces
    assert {score["label"] for score in ran.scores} <= {"thumbs_up", "thumbs_down"}


def test_retrieval_by_embedding_finds_the_page_on_most_questions(client: OpenAI) -> None:
    pages = Pages.index(client)
    asked = [
        (topic, question.format(order="A-10442", item="coat", size="M"))
        for topic in TOPICS
        for question in topic.questions
    ]
    vectors = embed(client, [question for _, question in asked])
    best = [
        pages.most_similar(vector, topic.language)[0][0].id == f"{topic.key}-{topic.language}"
        for (topic, _), vector in zip(asked, vectors, strict=True)
    ]
    assert sum(best) / len(best) > 0.7


def test_cache_answers_like_questions_and_forgets_the_oldest() -> None:
    cache = AnswerCache()
    assert cache.look_up([1.0, 0.0]) == ("", 0.0)
    cache.keep([1.0, 0.0], "first")
    cache.keep([0.0, 1.0], "second")
    answer, similarity = cache.look_up([0.8, 0.6])
    assert answer == "first" and similarity == pytest.approx(0.8)
    for _ in range(40):
        cache.keep([0.0, 1.0], "later")
    assert cache.look_up([1.0, 0.0])[1] == pytest.approx(0.0)


def test_crowd_is_repeatable_and_keeps_conversations_going() -> None:
    def sessions(seed: int) -> list[str]:
        crowd = Crowd(seed)
        return [crowd.next_message().visitor.session for _ in range(100)]

    assert sessions(1) == sessions(1) != sessions(2)
    assert 20 < len(set(sessions(1))) < 80


def test_service_ends_when_its_parent_is_gone(provider_url: str, tmp_path: Path) -> None:
    starter = (
        "import pathlib, sys, time\n"
        "from gnomon_collector.demo.run import start_service\n"
        "child = start_service(sys.argv[1], 'http://127.0.0.1:9', 'gn_key', logs=pathlib.Path(sys.argv[2]))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", starter, provider_url, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    time.sleep(1.5)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive
