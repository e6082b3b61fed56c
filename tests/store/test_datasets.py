"""Datasets: what is in one, what becomes of it, and that it goes when its traces go."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.dashboard import rich, seed
from tests.dashboard.seed import PROJECT

from gnomon_collector.errors import BadRequest
from gnomon_collector.store import datasets, erasure, retention
from gnomon_collector.store.content_tables import CONTENT_TABLES
from gnomon_collector.store.dataset_contents import contents, dataset_lines
from gnomon_collector.store.datasets import Dataset
from gnomon_collector.store.ingest import insert_scores

if TYPE_CHECKING:
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store


@pytest.fixture
def shop(_embedded_database: SharedDatabase) -> Store:
    store = _embedded_database.empty()
    rich.fill(store, datetime.now(UTC))
    return store


def answered(store: Store, limit: int = 10) -> list[tuple[str, str]]:
    """Traces with an answer, each with the user."""
    rows = store.query(
        "SELECT trace_id, max(user_id) FROM spans WHERE project = {p:String} AND kind = 'generation'"
        " AND output_text != '' AND status = 'ok' GROUP BY trace_id ORDER BY trace_id LIMIT {n:UInt32}",
        {"p": PROJECT, "n": limit},
    ).rows
    return [(str(row[0]), str(row[1])) for row in rows]


def filled(store: Store, limit: int = 10) -> Dataset:
    made = datasets.create_dataset(store, PROJECT, "hard", "those that went wrong", "ann")
    calls = [(trace_id, "") for trace_id, _ in answered(store, limit)]
    added, unknown = datasets.add_examples(store, made, calls, "ann")
    assert (added, unknown) == (len(calls), 0)
    return datasets.find_dataset(store, PROJECT, "hard")


def lines(store: Store, dataset: Dataset, kind: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in dataset_lines(store, dataset, kind)]  # type: ignore[arg-type]


def test_a_call_is_in_it_once_and_keeps_what_was_written(shop: Store) -> None:
    dataset = filled(shop)
    first = datasets.examples(shop, dataset)[0]
    datasets.expect(shop, dataset, first.example_id, "It should have been this.")
    again = [(one.trace_id, one.span_id) for one in datasets.examples(shop, dataset)]
    assert datasets.add_examples(shop, dataset, [*again, ("f" * 32, "")], "bob") == (0, 1)
    found = datasets.find_dataset(shop, PROJECT, "hard")
    assert (found.examples, found.corrected) == (10, 1)
    kept = {one.example_id: one.expected_output for one in datasets.examples(shop, dataset)}
    assert kept[first.example_id] == "It should have been this."


def test_what_was_written_is_what_is_learned(shop: Store) -> None:
    dataset = filled(shop)
    own, corrected, plain = datasets.examples(shop, dataset, limit=3)
    datasets.expect(shop, dataset, own.example_id, "mine")
    now = datetime.now(UTC)
    said = ("s1", PROJECT, corrected.trace_id, "", "", "correction", None, "", "theirs", "human", "ann")
    insert_scores(shop, [(*said, now, now)])
    seen = {one.example.example_id: one for one in contents(shop, datasets.examples(shop, dataset))}
    assert seen[own.example_id].expected == "mine"
    assert seen[corrected.example_id].expected == "theirs"
    assert seen[plain.example_id].expected == "" and seen[plain.example_id].output
    trained = lines(shop, dataset, "fine-tuning")
    answers = {line["messages"][-1]["content"] for line in trained}  # type: ignore[index]
    assert {"mine", "theirs", seen[plain.example_id].output} <= answers
    assert len(lines(shop, dataset, "preferences")) == 2
    whole = lines(shop, dataset, "examples")
    assert len(whole) == 10
    assert {line["expected_output"] for line in whole} == {"mine", "theirs", ""}


def test_calls_of_one_trace_are_told_apart(shop: Store) -> None:
    dataset = datasets.create_dataset(shop, PROJECT, "calls", "", "")
    now, trace_id = datetime.now(UTC), "ab" * 16
    calls = [
        seed.Span(
            trace_id, f"{number:016x}", now, 10**9, "chat", "generation",
            input_text=f"question {number}", output_text=f"answer {number}",
        )
        for number in (1, 2)
    ]  # fmt: skip
    seed.insert(shop, calls)
    datasets.add_examples(shop, dataset, [(trace_id, call.span_id) for call in calls], "")
    found = contents(shop, datasets.examples(shop, dataset))
    assert {(one.question, one.output) for one in found} == {
        ("question 1", "answer 1"),
        ("question 2", "answer 2"),
    }


def test_what_is_removed_comes_back_without_what_was_written(shop: Store) -> None:
    dataset = filled(shop)
    one = datasets.examples(shop, dataset)[0]
    datasets.expect(shop, dataset, one.example_id, "mine")
    datasets.remove(shop, dataset, one.example_id)
    assert datasets.find_dataset(shop, PROJECT, "hard").examples == 9
    assert datasets.add_examples(shop, dataset, [(one.trace_id, one.span_id)], "bob") == (1, 0)
    assert (
        next(o for o in datasets.examples(shop, dataset) if o.trace_id == one.trace_id).expected_output == ""
    )
    with pytest.raises(BadRequest, match="no such example"):
        datasets.remove(shop, dataset, "nothing")


def test_a_deleted_dataset_leaves_no_text(shop: Store) -> None:
    dataset = filled(shop)
    datasets.expect(shop, dataset, datasets.examples(shop, dataset)[0].example_id, "mine")
    datasets.delete_dataset(shop, datasets.find_dataset(shop, PROJECT, "hard"))
    assert datasets.list_datasets(shop, PROJECT) == []
    texts = shop.query("SELECT max(expected_output) FROM dataset_examples FINAL").rows
    assert texts == [("",)]
    with pytest.raises(BadRequest, match="it has none yet"):
        datasets.find_dataset(shop, PROJECT, "hard")


def test_a_name_is_taken_once(shop: Store) -> None:
    datasets.create_dataset(shop, PROJECT, " hard   ones ", "", "")
    with pytest.raises(BadRequest, match="already"):
        datasets.create_dataset(shop, PROJECT, "hard ones", "", "")
    with pytest.raises(BadRequest, match="1 to 80"):
        datasets.create_dataset(shop, PROJECT, "  ", "", "")
    assert datasets.list_datasets(shop, "another") == []


@pytest.mark.parametrize("kind", ["user", "trace"])
def test_erasing_reaches_the_examples(shop: Store, kind: erasure.Kind) -> None:
    dataset = filled(shop, limit=100)
    trace_id, user = next((trace_id, user) for trace_id, user in answered(shop, 100) if user)
    done = erasure.erase(shop, kind, PROJECT, user if kind == "user" else trace_id, "e1", lambda _table: None)
    assert done.rows["dataset_examples"] >= 1
    left = datasets.examples(shop, dataset, limit=1000)
    assert trace_id not in {one.trace_id for one in left}
    assert left
    assert user not in {one.user_id for one in left} or kind == "trace"


def test_examples_go_with_the_texts_of_their_traces(shop: Store) -> None:
    dataset = filled(shop)
    retention.delete_expired_content(shop, PROJECT, datetime.now(UTC) - timedelta(days=30))
    assert datasets.examples(shop, dataset)
    retention.delete_expired_content(shop, PROJECT, datetime.now(UTC) + timedelta(days=1))
    assert datasets.examples(shop, dataset) == []


def test_the_list_of_tables_with_content_is_whole(store: Store) -> None:
    """Whatever holds rows of traces is on the list, or is named here with the reason why not."""
    without = {
        "erased_traces": "ids alone, kept so that nothing comes back",
        "judge_tasks": "ids and figures; the verdict's words are in scores",
    }
    rows = store.query(
        "SELECT DISTINCT table FROM system.columns WHERE database = {d:String} AND name = 'trace_id'"
        " AND table IN (SELECT name FROM system.tables WHERE database = {d:String} AND engine LIKE '%MergeTree')",
        {"d": store.database},
    ).rows
    assert {str(row[0]) for row in rows} - set(without) == {one.name for one in CONTENT_TABLES}
    for one in CONTENT_TABLES:
        store.query(f"SELECT {one.time} FROM {one.name} LIMIT 1")
