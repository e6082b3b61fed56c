"""The rules about duplicates that the captures gave rise to, each by itself."""

from __future__ import annotations

from dataclasses import replace

from gnomon_collector.store.duplicates import Call, changed_duplicates

CALL = Call(
    project="p",
    key="t:1",
    parent_key="t:",
    scope_name="framework",
    response_id="",
    start_ns=0,
    end_ns=100,
    known_values=3,
    duplicate_of="",
    model="gpt-4o-mini",
    input_tokens=106,
    output_tokens=36,
    text_hash=7,
)


def test_a_generation_in_a_chain_in_a_generation_is_the_same_call() -> None:
    lower = replace(CALL, key="t:3", parent_key="t:2", start_ns=5, known_values=5)
    between = {("p", "t:2"): "t:1"}
    assert changed_duplicates([CALL, lower], between) == {("p", "t:1"): "t:3"}
    assert changed_duplicates([CALL, lower]) == {}


def test_a_generation_over_two_without_ids_is_their_sum() -> None:
    steps = [
        replace(CALL, key=f"t:{n}", parent_key="t:1", start_ns=n * 10, end_ns=n * 10 + 5) for n in (2, 3)
    ]
    assert changed_duplicates([CALL, *steps]) == {("p", "t:1"): "t:2"}


def test_an_embedding_in_a_generation_is_a_call_of_its_own() -> None:
    assert changed_duplicates([CALL, replace(CALL, key="t:2", parent_key="t:1", kind="embedding")]) == {}


INNER = replace(CALL, key="u:1", parent_key="u:", scope_name="client", start_ns=10, end_ns=90, known_values=5)


def test_a_call_without_id_in_another_trace_is_found_by_what_both_say() -> None:
    dated = replace(INNER, response_id="r", model="gpt-4o-mini-2024-07-18")
    assert changed_duplicates([CALL, dated]) == {("p", "t:1"): "u:1"}


def test_calls_that_differ_in_anything_are_two() -> None:
    for other in (
        replace(INNER, model="gpt-4o"),
        replace(INNER, output_tokens=37),
        replace(INNER, text_hash=8),
        replace(INNER, end_ns=101),
        replace(INNER, scope_name=CALL.scope_name),
        replace(INNER, project="q"),
    ):
        assert changed_duplicates([CALL, other]) == {}


def test_two_failed_calls_at_once_are_two() -> None:
    failed = [
        replace(call, input_tokens=None, output_tokens=None, key=f"{call.key}{n}", start_ns=call.start_ns + n)
        for call in (CALL, INNER)
        for n in (0, 1)
    ]
    assert changed_duplicates(failed) == {("p", "t:10"): "u:11", ("p", "t:11"): "u:10"}


def test_where_tokens_differ_the_client_library_is_right() -> None:
    said_more = replace(CALL, response_id="r", output_tokens=37, known_values=7)
    wire = replace(INNER, response_id="r", is_wire=True)
    assert changed_duplicates([said_more, wire]) == {("p", "t:1"): "u:1"}
    assert changed_duplicates([replace(said_more, output_tokens=36), wire]) == {("p", "u:1"): "t:1"}


def test_the_end_of_a_logfire_stream_is_its_request() -> None:
    request = replace(
        CALL,
        scope_name="logfire.openai",
        parent_key="t:9",
        input_tokens=None,
        output_tokens=None,
        known_values=1,
    )
    end = replace(
        CALL,
        key="t:2",
        scope_name="logfire.openai",
        parent_key="t:9",
        start_ns=500,
        end_ns=500,
        is_stream_end=True,
    )
    broken = replace(end, input_tokens=None, output_tokens=None, known_values=1)
    for last in (end, broken):
        assert changed_duplicates([request, last]) == {("p", "t:1"): "t:2"}
        assert changed_duplicates([last, request]) == changed_duplicates([request, last])


def test_requests_of_logfire_that_do_not_stream_are_calls_each() -> None:
    request = replace(
        CALL, scope_name="logfire.openai", parent_key="t:9", input_tokens=None, output_tokens=None
    )
    assert changed_duplicates([request, replace(request, key="t:2", start_ns=200, end_ns=300)]) == {}


SNAPSHOTS = (
    ("gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
    ("claude-sonnet-4", "claude-sonnet-4-20250514"),
    ("claude-sonnet-4", "claude-sonnet-4@20250514"),
    ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
    ("gemini-1.5-pro", "gemini-1.5-pro-002"),
    ("gpt-4", "gpt-4-0613"),
    ("gemini-2.5-flash-preview", "gemini-2.5-flash-preview-09-2025"),
)
OTHER_MODELS = (
    ("claude-sonnet-4", "claude-sonnet-4-5"),
    ("claude-sonnet-4", "claude-sonnet-4-5-20250929"),
    ("claude-opus-4", "claude-opus-4-1"),
    ("gpt-4", "gpt-4-32k"),
    ("gpt-4o", "gpt-4o-mini"),
    ("gpt-4o-2024-05-13", "gpt-4o-mini-2024-07-18"),
    ("", ""),
)


def test_a_dated_name_is_the_same_model_and_another_version_is_not() -> None:
    joined = {
        pair: bool(changed_duplicates([replace(CALL, model=pair[0]), replace(INNER, model=pair[1])]))
        for pair in (*SNAPSHOTS, *OTHER_MODELS)
    }
    assert joined == dict.fromkeys(SNAPSHOTS, True) | dict.fromkeys(OTHER_MODELS, False)
