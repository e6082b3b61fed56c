"""`gnomon.cache`: look-ups of any cache, and what they save."""

import sqlite3
import time
from typing import Any

import pytest
from openai import OpenAI
from tests.sdk.collector_double import CollectorDouble
from tests.sdk.conftest import Start

import gnomon
from gnomon import testing
from gnomon._cache import Cache, Usage
from gnomon._errors import UsageError


def attributes(captured: testing.Captured, name: str = "cache answers") -> list[dict[str, Any]]:
    return [dict(span.attributes or {}) for span in captured.spans if span.name == name]


def test_a_hit_a_miss_and_a_semantic_hit() -> None:
    answers = gnomon.cache("answers")
    with testing.capture() as captured:
        with answers.lookup("question"):
            pass
        with answers.lookup("question") as lookup:
            lookup.hit("answer")
        with answers.lookup("question") as lookup:
            lookup.hit("answer", similarity=0.93)
    miss, hit, similar = attributes(captured)
    assert miss["gnomon.cache.status"] == "miss"
    assert (miss["gnomon.span.kind"], miss["gnomon.cache.name"], miss["gnomon.input"]) == (
        "cache", "answers", "question",
    )  # fmt: skip
    assert "gnomon.output" not in miss
    assert (hit["gnomon.cache.status"], hit["gnomon.output"]) == ("hit", "answer")
    assert (similar["gnomon.cache.status"], similar["gnomon.cache.similarity"]) == ("semantic_hit", 0.93)


def call(tokens: int = 30) -> str:
    usage = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": tokens}
    with gnomon.span("call", kind="generation", attributes={"gen_ai.request.model": "gpt-4o", **usage}):
        return "the answer"


def test_a_hit_knows_what_the_call_took_whose_answer_it_is() -> None:
    answers = gnomon.cache("answers", price=lambda model, given, made: given * 1e-6 + made * 1e-5)
    with testing.capture() as captured, gnomon.span("request"):
        answers.put("question", call())
        with answers.lookup("another question") as lookup:
            lookup.hit("the answer", similarity=0.9)
        with answers.lookup("x") as lookup:
            lookup.hit("an answer of another process")
    known, unknown = attributes(captured)
    assert known["gnomon.cache.saved.model"] == "gpt-4o"
    assert known["gnomon.cache.saved.input_tokens"] == 1000
    assert known["gnomon.cache.saved.output_tokens"] == 30
    assert known["gnomon.cache.saved.cost_usd"] == pytest.approx(0.0013)
    assert not [key for key in unknown if key.startswith("gnomon.cache.saved")]


def test_the_saving_may_be_said() -> None:
    answers = gnomon.cache("answers")
    with testing.capture() as captured, answers.lookup("q") as lookup:
        lookup.hit("a", usage=Usage("gpt-4o", 5, 6, 0.07))
    assert attributes(captured)[0]["gnomon.cache.saved.cost_usd"] == 0.07


def test_prices_of_the_library() -> None:
    pytest.importorskip("genai_prices")
    answers = gnomon.cache("answers", price="genai-prices")
    cost = answers.cost_of(Usage("gpt-4o", 1_000_000, 0))
    assert cost is not None and cost > 0
    assert answers.cost_of(Usage("no such model at all", 1, 1)) is None
    with testing.capture(), pytest.raises(UsageError, match="genai-prices"):
        gnomon.cache("answers", price="other")


def test_what_is_remembered_is_bounded() -> None:
    answers = gnomon.cache("answers")
    for number in range(10_100):
        answers.put(number, f"answer {number}", Usage("m", 1, 1))
    assert len(answers._usages) == 10_000
    assert answers.usage_of("answer 0") is None and answers.usage_of("answer 10099") is not None


def test_sqlite(tmp_path: Any) -> None:
    database = sqlite3.connect(tmp_path / "cache.db")
    database.execute("CREATE TABLE answers (question TEXT PRIMARY KEY, answer TEXT)")

    def find(question: str) -> str | None:
        row = database.execute("SELECT answer FROM answers WHERE question = ?", (question,)).fetchone()
        return row[0] if row else None

    look_up = gnomon.cache("answers").wrap(find)
    with testing.capture() as captured:
        assert look_up("q") is None
        database.execute("INSERT INTO answers VALUES ('q', 'a')")
        assert look_up("q") == "a"
    assert [found["gnomon.cache.status"] for found in attributes(captured)] == ["miss", "hit"]
    database.close()


async def test_a_coroutine_function_and_another_word_for_nothing() -> None:
    async def find(question: str) -> str:
        return "" if question == "q" else "a"

    look_up = gnomon.cache("answers").wrap(find, miss="")
    with testing.capture() as captured:
        assert (await look_up("q"), await look_up("r")) == ("", "a")
    assert [found["gnomon.cache.status"] for found in attributes(captured)] == ["miss", "hit"]


def test_errors_of_the_cache_go_on() -> None:
    with testing.capture() as captured, pytest.raises(OSError), gnomon.cache("answers").lookup("q"):
        raise OSError("down")
    assert captured.span("cache answers").status.status_code.name == "ERROR"


def test_without_gnomon_running_nothing_changes() -> None:
    answers = gnomon.cache("answers", shadow=gnomon.Shadow(1.0, call=str, same=lambda a, b: True))
    answers.put("q", "a")
    with answers.lookup("q") as lookup:
        lookup.hit("a", similarity=1)
    assert answers.wrap(lambda key: None)("q") is None


def test_around_a_real_call(collector: CollectorDouble, start: Start, openai_client: OpenAI) -> None:
    start(instrument=["openai"])
    store: dict[str, str] = {}
    answers = gnomon.cache("answers")

    def ask(question: str) -> str:
        with answers.lookup(question) as lookup:
            if question in store:
                lookup.hit(store[question])
                return store[question]
        reply = openai_client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": question}]
        )
        store[question] = reply.choices[0].message.content or ""
        answers.put(question, store[question])
        return store[question]

    with gnomon.span("request"):
        assert ask("where?") == ask("where?")
    assert gnomon.flush()
    call_attributes = collector.span("chat gpt-4o-mini").attributes
    (hit,) = [s.attributes for s in collector.spans if s.attributes.get("gnomon.cache.status") == "hit"]
    for key in ("input_tokens", "output_tokens"):
        assert hit[f"gnomon.cache.saved.{key}"] == call_attributes[f"gen_ai.usage.{key}"]


def wait_for_scores(captured: testing.Captured, count: int) -> list[dict[str, Any]]:
    end_s = time.monotonic() + 5
    while len(captured.scores) < count and time.monotonic() < end_s:
        time.sleep(0.01)
    return [dict(score) for score in captured.scores]


def shadowed(rate: float = 1.0, **options: Any) -> Cache:
    same = options.pop("same", lambda cached, fresh: cached == fresh)
    return gnomon.cache("answers", shadow=gnomon.Shadow(rate, same=same, **options))


def test_a_shadow_call_finds_a_false_hit() -> None:
    answers = shadowed(call=lambda question: f"fresh answer to {question}")
    with testing.capture() as captured:
        with answers.lookup("size of red shoes") as lookup:
            lookup.hit("answer about blue shoes", similarity=0.91)
        (score,) = wait_for_scores(captured, 1)
        assert (score["name"], score["value"], score["label"]) == ("cache_hit_right", 0.0, "false_hit")
        looked_up, shadow = captured.span("cache answers"), captured.span("cache shadow answers")
        assert score["span_id"] == format(looked_up.context.span_id, "016x")  # type: ignore[union-attr]
        assert (looked_up.attributes or {})["gnomon.cache.shadow.rate"] == 1.0
        assert (shadow.attributes or {})["gnomon.span.kind"] == "evaluation"


def test_a_shadow_stands_in_the_trace_of_its_look_up() -> None:
    async def later(question: str) -> str:
        return call()

    answers = shadowed(call=later, same=lambda cached, fresh: 1)
    with testing.capture() as captured:
        with gnomon.session(user="u-1"), gnomon.span("request") as request, answers.lookup("q") as lookup:
            lookup.hit("a", similarity=0.9)
        (score,) = wait_for_scores(captured, 1)
        shadow = captured.span("cache shadow answers")
    assert (score["label"], score["trace_id"]) == ("right", request.trace_id)
    assert (shadow.attributes or {})["user.id"] == "u-1"
    assert shadow.context.trace_id == int(request.trace_id or "", 16)  # type: ignore[union-attr]


def test_recall_counts_answers_that_were_there_and_not_found() -> None:
    stored: dict[str, str] = {"delivery time?": "three days"}
    answers = shadowed(
        call=lambda question: "three days", nearest=lambda question: next(iter(stored.values()))
    )
    with testing.capture() as captured:
        with answers.lookup("how long does delivery take?"):
            pass
        answers.put("how long does delivery take?", "three days")  # what the model said: it was there
        with answers.lookup("opening hours?"):
            pass
        answers.put("opening hours?", "nine to five")  # it was not there: no lost recall
        with answers.lookup("delivery time?") as lookup:
            lookup.hit("three days", similarity=1.0)
        scores = wait_for_scores(captured, 3)
    assert [(s["name"], s["value"]) for s in scores] == [
        ("cache_recall", 0.0), ("cache_hit_right", 1.0), ("cache_recall", 1.0),
    ]  # fmt: skip


def test_a_rate_of_nothing_checks_nothing_and_a_wrong_one_is_refused() -> None:
    answers = shadowed(rate=0.0, call=lambda question: pytest.fail("called"))
    with testing.capture() as captured, answers.lookup("q") as lookup:
        lookup.hit("a")
    assert captured.scores == []
    with testing.capture(), pytest.raises(UsageError, match="between 0 and 1"):
        gnomon.Shadow(2.0, call=str, same=lambda a, b: True)
    assert gnomon.Shadow(2.0, call=str, same=lambda a, b: True).rate == 0


def test_a_shadow_call_that_fails_harms_nobody(start: Start) -> None:
    start()

    def broken(question: str) -> str:
        raise RuntimeError

    answers = shadowed(call=broken)
    for _ in range(40):
        with answers.lookup("q") as lookup:
            lookup.hit("a")
    end_s = time.monotonic() + 5
    while gnomon.stats().errors == 0 and time.monotonic() < end_s:
        time.sleep(0.01)
    assert gnomon.stats().errors > 0
