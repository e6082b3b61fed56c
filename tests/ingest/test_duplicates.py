"""Which row of several reports of one call counts."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ingest.payloads import MINUTE_NS, chat_span, hour_ago_ns, request
from tests.ingest.pipeline import Pipeline

from gnomon_collector.store.duplicates import Call, changed_duplicates


def call(
    key: str,
    *,
    parent: str = "",
    scope: str = "a",
    response: str = "",
    start: int = 0,
    end: int = 100,
    known: int = 1,
    now: str = "",
    project: str = "p",
) -> Call:
    trace = key.partition(":")[0]
    return Call(project, key, f"{trace}:{parent}", scope, response, start, end, known, now)


def verdicts(*calls: Call) -> dict[str, str]:
    """Return what `duplicate_of` becomes, for every call."""
    changed = changed_duplicates(calls)
    return {each.key: changed.get((each.project, each.key), each.duplicate_of) for each in calls}


def test_calls_that_have_nothing_to_do_with_one_another_all_count() -> None:
    assert verdicts(call("t:1"), call("t:2"), call("u:1", response="r"), call("v:1", response="s")) == {
        "t:1": "",
        "t:2": "",
        "u:1": "",
        "v:1": "",
    }


def test_of_parent_and_child_the_richer_counts() -> None:
    assert verdicts(call("t:1", known=2), call("t:2", parent="1")) == {"t:1": "", "t:2": "t:1"}
    assert verdicts(call("t:1"), call("t:2", parent="1", known=2)) == {"t:1": "t:2", "t:2": ""}


def test_of_equally_rich_ones_the_later_counts() -> None:
    assert verdicts(call("t:1", start=0), call("t:2", parent="1", start=5)) == {"t:1": "t:2", "t:2": ""}


def test_two_views_of_one_response_in_two_traces_are_one_call() -> None:
    assert verdicts(call("t:1", response="r"), call("u:1", response="r", scope="b", start=5)) == {
        "t:1": "u:1",
        "u:1": "",
    }


def test_three_views_are_one_call() -> None:
    found = verdicts(
        call("t:1", response="r", scope="a"),
        call("u:1", response="r", scope="b", start=1, known=3),
        call("u:2", parent="1", scope="c", start=2),
    )
    assert found == {"t:1": "u:1", "u:1": "", "u:2": "u:1"}


def test_one_response_twice_from_one_instrumentation_is_two_calls() -> None:
    assert set(verdicts(call("t:1", response="r"), call("u:1", response="r")).values()) == {""}


def test_a_response_replayed_later_is_a_call_of_its_own() -> None:
    later = call("u:1", response="r", scope="b", start=101, end=200)
    assert set(verdicts(call("t:1", response="r"), later).values()) == {""}


def test_a_parent_of_several_answered_calls_is_their_sum_and_does_not_count() -> None:
    found = verdicts(
        call("t:1", known=6, scope="framework"),
        call("t:2", parent="1", response="r1", known=4),
        call("t:3", parent="1", response="r2", known=4, start=50),
    )
    assert found == {"t:1": "t:2", "t:2": "", "t:3": ""}


def test_a_parent_that_repeats_the_id_of_its_last_call() -> None:
    found = verdicts(
        call("t:1", known=6, scope="framework", response="r2"),
        call("t:2", parent="1", response="r1", known=4),
        call("t:3", parent="1", response="r2", known=6, start=50),
    )
    assert found == {"t:1": "t:3", "t:2": "", "t:3": ""}


def test_projects_do_not_mix() -> None:
    calls = [
        call("t:1", response="r", project="p"),
        call("t:2", parent="1", response="r", scope="b", project="q"),
    ]
    assert changed_duplicates(calls) == {}


def test_only_what_changes_is_told() -> None:
    right = [call("t:1", known=2), call("t:2", parent="1", now="t:1")]
    assert changed_duplicates(right) == {}
    wrong = [call("t:1", known=2, now="t:2"), call("t:2", parent="1")]
    assert changed_duplicates(wrong) == {("p", "t:1"): "", ("p", "t:2"): "t:1"}


def test_a_duplicate_whose_other_half_is_gone_counts_again() -> None:
    assert changed_duplicates([call("t:1", now="t:2")]) == {("p", "t:1"): ""}


calls = st.builds(
    Call,
    project=st.sampled_from(["p", "q"]),
    key=st.builds(lambda trace, span: f"{trace}:{span}", st.sampled_from("tu"), st.sampled_from("123456")),
    parent_key=st.builds(
        lambda trace, span: f"{trace}:{span}", st.sampled_from("tu"), st.sampled_from("0123")
    ),
    scope_name=st.sampled_from(["a", "b"]),
    response_id=st.sampled_from(["", "", "r", "s"]),
    start_ns=st.integers(0, 10),
    end_ns=st.integers(10, 15),
    known_values=st.integers(0, 3),
    duplicate_of=st.sampled_from(["", "t:1"]),
)
sets_of_calls = st.lists(calls, max_size=12, unique_by=lambda each: (each.project, each.key))


@settings(max_examples=400, deadline=None)
@given(sets_of_calls, st.randoms(use_true_random=False))
def test_the_order_of_calls_does_not_matter(listed: list[Call], chance: random.Random) -> None:
    shuffled = list(listed)
    chance.shuffle(shuffled)
    assert changed_duplicates(shuffled) == changed_duplicates(listed)


@settings(max_examples=400, deadline=None)
@given(sets_of_calls)
def test_every_duplicate_points_to_a_call_that_counts(listed: list[Call]) -> None:
    changed = changed_duplicates(listed)
    after = {
        (each.project, each.key): changed.get((each.project, each.key), each.duplicate_of) for each in listed
    }
    for (project, key), winner in after.items():
        assert winner != key
        assert not winner or after[(project, winner)] == ""
    responses = [each for each in listed if each.response_id]
    counted = {(e.project, after[(e.project, e.key)] or e.key, e.response_id) for e in responses}
    assert len({(project, key) for project, key, _ in counted}) == len(counted)  # no two answers are one call


def test_thousands_of_calls_at_a_time_are_quick() -> None:
    """Sorting a flush's calls out must take a fraction of what the flush takes: all here run at once."""
    listed = []
    for number in range(10_000):
        tokens = {"input_tokens": number % 997, "output_tokens": number % 101, "model": "m"}
        outer = call(f"t{number}:1", start=number, end=100_000, response=f"r{number}")
        inner = call(
            f"t{number}:2", parent="1", start=number + 1, end=99_999, response=f"r{number}", scope="b"
        )
        listed += [replace(outer, **tokens), replace(inner, **tokens)]  # type: ignore[arg-type]
    assert len(changed_duplicates(listed)) == 10_000


@pytest.mark.parametrize("overlapping", [False, True])
def test_one_response_id_over_and_over_is_quick(overlapping: bool) -> None:
    """A service that makes its ids up badly must not hold up the flusher."""
    listed = [
        call(f"t{number}:1", response="same", start=0 if overlapping else number * 10, end=number * 10 + 5)
        for number in range(20_000 if not overlapping else 2_000)
    ]
    assert changed_duplicates(listed) == {}


def far_apart() -> tuple[bytes, bytes]:
    """Return two views of a call that takes minutes, the inner of which starts long after the outer."""
    start_ns = hour_ago_ns()
    outer = chat_span(1, start_ns, gen_ai__response__id="r")
    outer.end_time_unix_nano = start_ns + 10 * MINUTE_NS
    inner = chat_span(
        2, start_ns + 7 * MINUTE_NS, gen_ai__response__id="r", gen_ai__usage__cache_read__input_tokens=0
    )
    return request([outer], scope="framework"), request([inner], scope="client")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("between", ["nothing", "flush", "restart"])
def test_two_views_that_start_minutes_apart(pipeline: Pipeline, order: tuple[int, int], between: str) -> None:
    first, second = (far_apart()[index] for index in order)
    pipeline.put(first)
    if between != "nothing":
        pipeline.flush()
    if between == "restart":
        path = pipeline.inbox._path
        pipeline.inbox.close()
        pipeline = Pipeline(pipeline.store, path)
    pipeline.put(second)
    pipeline.flush()
    assert pipeline.rows("SELECT scope_name FROM calls") == [("client",)]
    for table in ("calls_per_minute", "calls_per_hour"):
        assert pipeline.value(f"SELECT sum(t.calls) FROM {table} AS t FINAL") == 1
    pipeline.inbox.close()


def test_a_batch_does_not_take_off_the_marks_of_another(pipeline: Pipeline) -> None:
    """A view without response id looks like many calls; a later one of those must not hide its own."""
    start_ns = hour_ago_ns()
    outer = chat_span(1, start_ns)
    outer.end_time_unix_nano += 10**9
    inner = chat_span(2, start_ns + 1000, gen_ai__response__id="r1")
    pipeline.send(request([outer], scope="framework"), request([inner], scope="client"))
    assert pipeline.value("SELECT count() FROM calls") == 1
    for number in (3, 4):
        later = chat_span(number, start_ns + number * 5 * 10**9, gen_ai__response__id=f"r{number}")
        pipeline.send(request([later], scope="client"))
    assert pipeline.value("SELECT count() FROM calls") == 3
