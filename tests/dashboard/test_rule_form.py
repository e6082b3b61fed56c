"""The form of an alert rule and its text: each says the same as the other."""

from __future__ import annotations

import pytest

from gnomon_collector.alerts.config import default_rules, parse_rule
from gnomon_collector.alerts.rule_text import TEMPLATE, rule_text
from gnomon_dashboard.pages.rule_editor import duplicate, note_of, of_fields, of_text
from gnomon_dashboard.rule_form import FIELDS, KINDS, read_form, write_form

BURN = """\
# why this one
name = "Budget"          # ours
metric = "success_rate"
inhibits = ["Failure spike"]
[condition]
kind = "burn_rate"
objective = 0.98
pairs = [{ long = "1h", short = "5m", factor = 4 }]
"""


def edited(text: str, **changes: object) -> str:
    return write_form(text, {**read_form(text).values, **changes})


@pytest.mark.parametrize("rule", default_rules(), ids=lambda rule: rule.name)
def test_an_untouched_form_leaves_every_rule_as_it_is(rule: object) -> None:
    text = rule_text(rule)  # type: ignore[arg-type]
    shown = read_form(text)
    assert set(shown.values) == set(FIELDS)
    assert write_form(text, shown.values) == text


def test_a_field_changes_its_own_key_and_comments_stay() -> None:
    written = edited(
        TEMPLATE, limit=7000, filter=["service_name=search", "service_name=chat", "model=gpt-4o"]
    )
    assert "# docs/alerts.md lists the metrics" in written
    rule = parse_rule(written)
    assert rule.filter == {"service_name": ("search", "chat"), "model": ("gpt-4o",)}
    assert rule.condition.above == 7000  # type: ignore[union-attr]
    assert read_form(written).values["filter"] == ["service_name=search", "service_name=chat", "model=gpt-4o"]


def test_what_the_form_cannot_show_stays_and_is_named() -> None:
    assert read_form(BURN).unshown == ("inhibits", "condition.pairs")
    written = edited(BURN, objective=0.99, runbook="https://runbooks.example.com/b")
    assert parse_rule(written).inhibits == ("Failure spike",)
    assert "# why this one" in written and 'pairs = [{ long = "1h"' in written
    assert note_of(read_form(written), written) == (
        "Only under TOML, and kept as it is: inhibits, condition.pairs.",
        False,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_another_condition_brings_its_own_keys(kind: str) -> None:
    start = edited(TEMPLATE, metric="success_rate", group_by=[], limit=0.5)
    written = edited(edited(start, kind="spike", deviations=9), kind=kind)
    if kind == "threshold":
        written = edited(written, side="below", limit=0.5)
    rule = parse_rule(written)
    assert rule.condition.kind == kind
    assert "deviations" not in written or kind == "spike"


def test_the_side_of_a_limit_moves_it() -> None:
    assert parse_rule(edited(TEMPLATE, side="below")).condition.below == 5000  # type: ignore[union-attr]


def test_an_emptied_field_goes_back_to_its_default() -> None:
    assert "min_count" not in edited(TEMPLATE, min_count="")
    assert "labels" not in edited(edited(TEMPLATE, labels=["team=search"]), labels=[])


@pytest.mark.parametrize("text", ["name = ", '[[rule]]\nname = "a"\n[[rule]]\nname = "b"', 'condition = "x"'])
def test_a_text_that_is_no_rule_is_left_to_the_text(text: str) -> None:
    answer = of_text(text)
    assert answer.values is None and answer.text == text
    assert answer.note[1] and "Put it right under TOML" in answer.note[0]


def test_a_tag_without_a_value_changes_nothing_and_is_explained() -> None:
    values = {**read_form(TEMPLATE).values, "labels": ["search"]}
    answer = of_fields(TEMPLATE, values)
    assert answer.text is None
    assert "name=value" in answer.note[0]


def test_what_the_rule_lacks_is_said() -> None:
    answer = of_fields(TEMPLATE, {**read_form(TEMPLATE).values, "limit": ""})
    assert "either `above` or `below`" in answer.note[0] and answer.note[1]


def test_a_copy_has_another_name() -> None:
    assert parse_rule(duplicate(TEMPLATE)).name == "Slow answers (copy)"


def test_a_rule_of_an_alerts_file_can_be_pasted() -> None:
    pasted = '[[rule]]\nname = "a"\nmetric = "requests"\n[rule.condition]\nkind = "threshold"\nabove = 1\n'
    assert parse_rule(edited(pasted, name="b")).name == "b"
