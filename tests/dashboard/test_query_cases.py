"""Single cases of the dashboard's reads, each on a database of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.dashboard import seed
from tests.dashboard.csv_table import read_csv

from gnomon_collector.store.queries import overview, trace, traces
from gnomon_collector.store.queries.filters import Scope, Window
from gnomon_collector.store.queries.traces import TraceQuery, merge_ranges

if TYPE_CHECKING:
    from gnomon_collector.store.engine import Store

SHOP = Scope(seed.PROJECT)


def test_a_trace_without_a_root_is_a_row(store_of_orphans: Store) -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    (row,) = traces.page(
        store_of_orphans, TraceQuery(SHOP, moment, moment + timedelta(days=1)), offset=0, limit=10
    )
    assert (row["name"], row["calls"], row["spans"], row["input"]) == ("chat", 1, 2, "hello")
    assert row["latency_ms"] == pytest.approx(250.0)


@pytest.fixture
def store_of_orphans(store: Store) -> Store:
    moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
    spans = [
        seed.Span("t" * 32, "a" * 16, moment, 200_000_000, "chat", "generation", "gone", input_text="hello"),
        seed.Span(
            "t" * 32, "b" * 16, moment + timedelta(milliseconds=50), 200_000_000, "tool", "tool", "gone"
        ),
    ]
    seed.insert(store, spans)
    return store


@pytest.mark.parametrize("backend", ["embedded", "http"])
def test_both_backends_answer_alike(request: pytest.FixtureRequest, backend: str) -> None:
    store: Store = request.getfixturevalue("store" if backend == "embedded" else "http_store")
    moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
    seed.insert(store, seed.conversation(moment, "one", Random(3)))
    wanted = TraceQuery(SHOP, moment - timedelta(hours=1), moment + timedelta(hours=1))
    (row,) = traces.page(store, wanted, offset=0, limit=10)
    spans = trace.spans(store, seed.PROJECT, str(row["trace_id"]))
    assert len(spans) == row["spans"]
    assert len(b"".join(traces.export(store, wanted, ["name", "trace_id"])).splitlines()) == 2
    window = Window(moment - timedelta(hours=1), moment + timedelta(hours=1), 60)
    assert sum(sum(counts) for _, counts in overview.latency(store, SHOP, window).buckets) == row["calls"]
    detail = trace.span(store, seed.PROJECT, str(row["trace_id"]), spans[1].span_id)
    assert detail is not None and len(detail.documents) == 3 and detail.documents[0].score is not None


def test_cells_that_a_spreadsheet_would_run_are_neutralised(store: Store) -> None:
    moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
    starts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "fine", "1=1", "", "'=1"]
    seed.insert(
        store,
        [
            seed.Span(
                f"{index:032x}", f"{index:016x}", moment, 1, text, "generation", input_text=text, user_id=text
            )
            for index, text in enumerate(starts)
        ],
    )
    wanted = TraceQuery(SHOP, moment - timedelta(hours=1), moment + timedelta(hours=1))
    for rows in ("traces", "calls"):
        table = read_csv(
            traces.export(store, replace(wanted, rows=rows), ["trace_id", "name", "input", "user"])
        )
        by_id = {row["trace_id"]: row for row in table}
        for index, text in enumerate(starts):
            expected = f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") and text else text
            row = by_id[f"{index:032x}"]
            assert {row[name] for name in ("name", "input", "user")} == {expected}


def test_ranges_that_lie_close_become_one() -> None:
    def at(second: int) -> datetime:
        return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=second)

    ranges = [(at(500), at(510)), (at(0), at(10)), (at(5), at(60)), (at(100), at(101))]
    assert merge_ranges(ranges) == [(at(0), at(101)), (at(500), at(510))]
    assert merge_ranges([]) == []


def test_a_text_is_not_found_in_a_call_that_was_marked_a_duplicate_or_whose_text_came_later(
    store: Store,
) -> None:
    moment = datetime(2026, 11, 1, 12, tzinfo=UTC)
    calls = [
        seed.Span(f"{number}" * 32, f"{number}" * 16, moment, 1, "chat", "generation", input_text="hello")
        for number in range(3)
    ]
    seed.insert(store, calls)
    # as marks of duplicates and texts out of log records are set: patches of what is stored
    settings = {"enable_lightweight_update": 1}
    for change, number in (("duplicate_of = 'x:y'", 0), ("input_text = 'good-bye'", 1)):
        store.command(
            f"UPDATE spans SET {change} WHERE span_id = {{span:String}}",
            {"span": f"{number}" * 16},
            settings=settings,
        )
    for text, found in (("HELLO", ["2" * 16]), ("bye", ["1" * 16])):
        wanted = TraceQuery(SHOP, moment, moment + timedelta(days=1), rows="calls", text=text)
        assert [row["span_id"] for row in traces.page(store, wanted, offset=0, limit=10)] == found
        assert traces.count(store, wanted) == 1
