"""Questions are recognised and answered in their own language, whatever is drawn."""

from random import Random

import pytest

from gnomon_collector.demo.conversation import (
    answer_from_tool,
    answer_to,
    draw_question,
    draw_topic,
    language_of,
    tool_arguments,
    topic_of,
)
from gnomon_collector.demo.models import LONGEST_S, PROFILES, count_tokens, draw_timing
from gnomon_collector.demo.phrases import TOPICS, Topic


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: f"{topic.key}-{topic.language}")
def test_every_question_is_recognised_and_answered_from_its_topic(topic: Topic) -> None:
    for question in topic.questions:
        asked = question.format(order="A-10442", item="rain jacket", size="M")
        assert language_of(asked) == topic.language
        assert topic_of(asked) is topic
        assert topic.facts[0] in answer_to(asked, "", Random(1))


def test_draws_are_repeatable_and_cover_all_languages() -> None:
    def drawn(seed: int) -> list[str]:
        rng = Random(seed)
        return [draw_question(rng, draw_topic(rng)) for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert {language_of(question) for question in drawn(1)} == {"en", "de", "ru"}
    assert not any("{" in question for question in drawn(1))


def test_tool_arguments_follow_the_schema() -> None:
    schema = {
        "properties": {
            "order": {"type": "string"},
            "days": {"type": "integer"},
            "express": {"type": "boolean"},
            "unit": {"enum": ["day", "week"]},
        }
    }
    arguments = tool_arguments(schema, "Where is A-10442?", Random(1))
    assert arguments["order"] == "A-10442" and arguments["unit"] == "day" and arguments["express"] is True
    assert isinstance(arguments["days"], int)


def test_a_tool_result_that_is_no_json_still_gives_an_answer() -> None:
    assert "unknown" in answer_from_tool("Where is it?", "timeout")


def test_timing_is_bounded_and_slower_for_the_larger_model() -> None:
    def median_s(model: str) -> float:
        rng = Random(1)
        drawn = sorted(draw_timing(PROFILES[model], 80, rng).total_s for _ in range(501))
        assert drawn[-1] <= LONGEST_S
        return drawn[250]

    assert 0.3 < median_s("gpt-4.1-mini") < median_s("gpt-4o-mini") < median_s("gpt-4o") < 1.3
    assert median_s("text-embedding-3-small") < 0.1


def test_cyrillic_costs_more_tokens_than_latin() -> None:
    assert count_tokens("delivery") == 2
    assert count_tokens("доставка") == 4
    assert count_tokens("") == 0
