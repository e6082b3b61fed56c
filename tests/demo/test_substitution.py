"""The provider that lets another model answer: as the history tells it, and as the live stand-in does."""

from __future__ import annotations

from random import Random
from statistics import mean

from tests.demo.test_history import DAYS, NOW

from gnomon_collector.demo.completions import ChatRequest, complete
from gnomon_collector.demo.models import profile_of
from gnomon_collector.demo.shop import ORDER_TOOL
from gnomon_collector.demo.substitution import SUBSTITUTE, SUBSTITUTED_MODEL, substituted
from gnomon_collector.demo.timeline import Timeline


def answers(model: str, count: int = 300, **more: object) -> list[tuple[str, str, int]]:
    """(response model, text, output tokens) of answers that went through `substituted`."""
    rng = Random(5)
    found = []
    for number in range(count):
        question = ("How do I return my coat?", "Wie sende ich die Jacke zurück?", "Как вернуть куртку?")[
            number % 3
        ]
        body = {"model": model, "messages": [{"role": "user", "content": question}], **more}
        request = ChatRequest.from_body(body)
        completion = complete(request, answer_id=str(number), created_s=0, rng=rng)
        told = substituted(completion, model, question, rng)
        found.append((told.response_model, told.text, told.usage.output_tokens))
    return found


def test_the_substitute_is_wordier_and_declines_now_and_then() -> None:
    usual, other = answers("gpt-4o-mini"), answers(SUBSTITUTED_MODEL)
    assert {model for model, _, _ in usual} == {profile_of("gpt-4o-mini").response_model}
    assert {model for model, _, _ in other} == {SUBSTITUTE}
    assert mean(tokens for _, _, tokens in other) > 1.3 * mean(tokens for _, _, tokens in usual)
    declined = [text for _, text, _ in other if text.startswith(("I'm sorry", "Es tut mir leid", "Извините"))]
    assert 0.04 < len(declined) / len(other) < 0.16


def test_tool_calls_keep_what_they_ask_for() -> None:
    (found, *_) = answers(SUBSTITUTED_MODEL, 1, tools=[ORDER_TOOL])
    assert found[0] == SUBSTITUTE and found[1] == ""


def test_it_begins_after_the_change_of_model_and_before_the_end() -> None:
    timeline = Timeline.until(NOW, DAYS)
    assert timeline.model_changed_at < timeline.substituted_at < timeline.ends
    assert not timeline.conditions(timeline.model_changed_at).is_substituted
    assert timeline.conditions(timeline.substituted_at).is_substituted
