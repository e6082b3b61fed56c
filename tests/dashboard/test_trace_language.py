"""The query language: what each form means, and that nonsense says what to write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon_collector.store.queries.trace_filters import ColumnFilter, Condition
from gnomon_collector.store.queries.trace_language import (
    ParsedQuery,
    QuerySyntaxError,
    ScoreFilter,
    TextFilter,
    fields,
    parse,
)


def filters(line: str, rows: str = "calls") -> tuple[ColumnFilter, ...]:
    return parse(line, rows).filters  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "column", "conditions"),
    [
        ("status:error", "status", [Condition("equals", "error")]),
        ("-status:error", "status", [Condition("notEqual", "error")]),
        ("model:gpt-4o*", "model", [Condition("startsWith", "gpt-4o")]),
        ("model:*mini", "model", [Condition("endsWith", "mini")]),
        ("model:*4o*", "model", [Condition("contains", "4o")]),
        ("-model:gpt*", "model", [Condition("notStartsWith", "gpt")]),
        ("session:*", "session", [Condition("notBlank")]),
        ("-session:*", "session", [Condition("blank")]),
        ("user:a,b", "user", [Condition("equals", "a"), Condition("equals", "b")]),
        ('user:"a b,c"', "user", [Condition("equals", "a b,c")]),
        (r'user:"say \"hi\""', "user", [Condition("equals", 'say "hi"')]),
        ("latency>3s", "latency_ms", [Condition("greaterThan", 3000.0)]),
        ("latency<=250ms", "latency_ms", [Condition("lessThanOrEqual", 250.0)]),
        ("ttft>=2m", "ttft_ms", [Condition("greaterThanOrEqual", 120_000.0)]),
        ("-latency>3s", "latency_ms", [Condition("lessThanOrEqual", 3000.0)]),
        ("cost>$0.01", "cost_usd", [Condition("greaterThan", 0.01)]),
        ("tokens>10k", "tokens", [Condition("greaterThan", 10_000.0)]),
        ("cost:*", "cost_usd", [Condition("notBlank")]),
        ("tag:beta", "tags", [Condition("hasItem", "beta")]),
        ("-tag:beta", "tags", [Condition("hasNoItem", "beta")]),
        ("env:staging", "environment", [Condition("equals", "staging")]),
        ("error:Rate*", "error_type", [Condition("startsWith", "Rate")]),
    ],
)
def test_a_term_is_a_filter(line: str, column: str, conditions: list[Condition]) -> None:
    (one,) = filters(line)
    assert (one.column, list(one.conditions)) == (column, conditions)
    assert one.any_of == (not line.startswith("-"))


def test_a_trace_has_several_models() -> None:
    assert filters("model:gpt-4o", "traces")[0].conditions == (Condition("hasItem", "gpt-4o"),)
    assert filters("model:gpt*", "traces")[0].conditions == (Condition("contains", "gpt"),)


def test_words_stand_as_they_are_written_and_quotes_keep_colons() -> None:
    assert parse('where is my order "rule: 7" -"refund" status:ok', "calls") == ParsedQuery(
        filters=(ColumnFilter("status", (Condition("equals", "ok"),), any_of=True),),
        texts=(TextFilter("where is my order"), TextFilter("rule: 7"), TextFilter("refund", negated=True)),
    )


def test_scores_compare() -> None:
    asked = parse("score.groundedness<0.5 -score.user_feedback>=1 score.x:50%", "traces")
    assert asked.scores == (
        ScoreFilter("groundedness", "<", 0.5),
        ScoreFilter("user_feedback", ">=", 1.0, negated=True),
        ScoreFilter("x", "=", 0.5),
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nosuch:1", "There is no field 'nosuch'"),
        ("time:now", "There is no field 'time'"),
        ("latency>fast", "latency_ms is a number"),
        ("cost>3s", "cost_usd is a number"),
        ("status>3", "status is text"),
        ("score.x<high", "score.x is a number"),
    ],
)
def test_what_cannot_be_read_says_what_to_write(line: str, says: str) -> None:
    with pytest.raises(QuerySyntaxError, match=says):
        parse(line, "calls")


@given(st.text(max_size=80))
def test_any_text_is_a_query_or_a_mistake_of_the_writer(line: str) -> None:
    try:
        parse(line, "traces")
    except QuerySyntaxError as error:
        assert str(error)


@given(st.lists(st.sampled_from(fields("calls")), min_size=1, max_size=5))
def test_every_field_that_is_suggested_can_be_asked_for(names: list[str]) -> None:
    assert len(parse(" ".join(f"{name}:*" for name in names), "calls").filters) == len(names)
