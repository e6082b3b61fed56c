"""Evaluators: their versions, their golden sets, and prompts that no text inside can leave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.store.corpus import HOSTILE_TEXTS

from gnomon_collector.errors import ConfigError
from gnomon_collector.quality.evaluators import (
    Evaluator,
    built_in,
    evaluator_version,
    load_evaluators,
    parse_rubric,
)
from gnomon_collector.quality.golden import attacked, golden_cases, injections
from gnomon_collector.quality.prompts import (
    Case,
    Document,
    bounded,
    fenced,
    judge_messages,
    system_text,
    verdict_schema,
)
from gnomon_collector.quality.verdicts import MalformedVerdictError, parse_verdict

EVALUATORS = built_in()
OWN = """
name = "greets"
version = 1
title = "Greeting"
description = "Whether the answer greets."
inputs = ["answer"]
requires = ["answer"]
rubric = "Decide whether the answer begins with a greeting."
[[labels]]
label = "yes"
value = 1.0
meaning = "it greets"
[[labels]]
label = "no"
value = 0.0
meaning = "it does not"
"""


def test_all_evaluators_of_the_issue_are_there() -> None:
    assert set(EVALUATORS) == {
        "groundedness", "summary_faithfulness", "summary_coverage", "correctness", "relevance",
        "retrieval_relevance", "refusal", "toxicity", "language_match", "instruction_following",
        "goal_achieved", "feedback_uptake", "pairwise",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(EVALUATORS))
def test_an_evaluator_has_a_golden_set_over_its_scale(name: str) -> None:
    cases = [one for one in golden_cases() if one.evaluator == name]
    labels = {one.label for one in cases}
    assert labels <= {label.label for label in EVALUATORS[name].labels}
    assert len(cases) >= 3 and len(labels) >= 2
    for one in cases:
        assert EVALUATORS[name].missing(one.case.given()) == ""


@pytest.mark.parametrize("name", sorted(EVALUATORS))
def test_reasoning_is_written_before_the_label(name: str) -> None:
    order = list(verdict_schema(EVALUATORS[name])["properties"])
    assert order[-2:] == ["reasoning", "label"]


@pytest.mark.parametrize("name", sorted(EVALUATORS))
def test_attacks_stay_inside_the_data(name: str) -> None:
    evaluator = EVALUATORS[name]
    golden = next(one for one in golden_cases() if one.evaluator == name)
    for text in (*injections(), *HOSTILE_TEXTS):
        case = attacked(golden.case, text)
        system, user = (message["content"] for message in judge_messages(evaluator, case))
        head, data, tail = _cut(user)
        assert system == system_text(evaluator) and head and tail.startswith("\n\nJudge it by the rubric")
        shown = json.loads(data)
        assert [shown[part] for part in evaluator.inputs if part in shown and part != "documents"] == [
            getattr(case, part) for part in evaluator.inputs if getattr(case, part) and part != "documents"
        ]


def _cut(user: str) -> tuple[str, str, str]:
    first, rest = user.split("\n", 1)
    mark = first.split()[1]
    data, tail = rest.rsplit(f"\nGNOMON-DATA {mark} ends", 1)
    assert f"GNOMON-DATA {mark}" not in data
    return mark, data, tail


def test_a_version_hangs_on_rubric_scale_and_model() -> None:
    one = EVALUATORS["relevance"]
    versions = {
        evaluator_version(one, "a"),
        evaluator_version(one, "b"),
        evaluator_version(one.model_copy(update={"rubric": one.rubric + " Be strict."}), "a"),
        evaluator_version(one.model_copy(update={"labels": one.labels[:2]}), "a"),
    }
    assert len(versions) == 4 and evaluator_version(one, "a") in versions


def test_an_own_rubric_joins_the_others(tmp_path: Path) -> None:
    path = tmp_path / "greets.toml"
    path.write_text(OWN, encoding="utf-8")
    found = load_evaluators([path])
    assert found["greets"].value_of("yes") == 1.0 and set(found) == {*EVALUATORS, "greets"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("version = 1", "version = 0"), "version"),
        (('requires = ["answer"]', 'requires = ["documents"]'), "not among its inputs"),
        (('label = "no"', 'label = "yes"'), "same name"),
        (("value = 1.0", "value = 7.0"), "less than or equal to 1"),
        (("title =", "titel ="), "titel"),
    ],
)
def test_a_wrong_rubric_says_what_is_wrong(change: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=r"my\.toml") as caught:
        parse_rubric(OWN.replace(*change), "my.toml")
    assert said in str(caught.value)


def test_a_rubric_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot read the rubric"):
        load_evaluators([tmp_path / "none.toml"])


def test_long_texts_keep_begin_and_end() -> None:
    text = bounded("begin " + "x" * 100_000 + " end", 1_000)
    assert len(text) <= 1_001 and text.startswith("begin ") and text.endswith(" end") and "cut" in text


def test_what_is_missing_is_named() -> None:
    grounded, follows = EVALUATORS["groundedness"], EVALUATORS["instruction_following"]
    assert grounded.missing(Case(answer="a").given()) == "documents"
    assert follows.missing(Case(answer="a").given()) == "instructions or question"
    assert follows.missing(Case(answer="a", question="q").given()) == ""


@pytest.fixture
def retrieval() -> Evaluator:
    return EVALUATORS["retrieval_relevance"]


def test_a_verdict_on_each_document(retrieval: Evaluator) -> None:
    answer = {
        "documents": [
            {"number": 2, "reasoning": "", "label": "irrelevant"},
            {"number": 1, "reasoning": "r", "label": "relevant"},
            {"number": 9, "reasoning": "of nothing shown", "label": "relevant"},
        ],
        "reasoning": "one of two",
        "label": "sufficient",
    }
    verdict = parse_verdict(retrieval, f"```json\n{json.dumps(answer)}\n```", documents=2)
    assert [one.label for one in verdict.documents] == ["relevant", "irrelevant"]
    assert (verdict.value, verdict.precision) == (1.0, 0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I think it is relevant", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"reasoning": "x", "label": "splendid", "documents": []}', "none of the scale"),
        ('{"label": "sufficient", "documents": []}', "no reasoning"),
        ('{"reasoning": "x", "label": "sufficient", "documents": []}', "left out a document"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_verdict_becomes_no_score(retrieval: Evaluator, text: str, said: str) -> None:
    with pytest.raises(MalformedVerdictError, match=said):
        parse_verdict(retrieval, text, documents=1)


def test_documents_are_numbered_in_the_data() -> None:
    case = Case(question="q", documents=(Document("a", "x"), Document("b", "y")))
    _, data, _ = _cut(fenced(EVALUATORS["retrieval_relevance"], case))
    assert [(one["number"], one["id"]) for one in json.loads(data)["documents"]] == [(1, "a"), (2, "b")]
