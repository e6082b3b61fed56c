"""The schema page has every table and column there is, and its queries run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.docs import markdown

from gnomon_collector.store import rollups
from gnomon_collector.store.engine import Store
from gnomon_collector.store.ingest import SCORE_COLUMNS, insert_scores

PAGE = markdown.DOCS / "schema.md"
QUERIES = markdown.blocks(PAGE, "sql")
PROJECT = "shop"
SAME_AS = {"calls_per_hour": "calls_per_minute"}
LATENCIES_MS = (100, 200, 300, 400, 2000)

_COLUMNS = "SELECT name, type FROM system.columns WHERE database = {db:String} AND table = {table:String}"
_TABLES = "SELECT name, engine FROM system.tables WHERE database = {db:String}"


def _columns(store: Store, table: str) -> list[tuple[str, str]]:
    rows = store.query(f"{_COLUMNS} ORDER BY position", {"db": store.database, "table": table}).rows
    return [(str(name), str(kind)) for name, kind in rows]


def _tables(store: Store) -> Mapping[str, str]:
    rows = store.query(_TABLES, {"db": store.database}).rows
    return {str(name): str(engine) for name, engine in rows}


def test_every_table_and_view_is_on_the_page(store: Store) -> None:
    tables = _tables(store)
    passing = {name for name, engine in tables.items() if engine in ("Null", "MaterializedView")}
    assert set(tables) - passing == set(markdown.headings(PAGE)) & set(tables)
    text = markdown.section(PAGE, "Tables that hold nothing")
    assert all(f"`{name}`" in text for name in passing), passing


@pytest.mark.parametrize(
    "table",
    [
        *("spans", "scores", "calls_per_minute", "model_prices", "api_keys", "users", "schema_ledger"),
        *("log_records", "span_contents", "metric_points"),
        *("project_settings", "erased_traces", "audit_log"),
    ],
)
def test_every_column_is_on_the_page_with_its_type(store: Store, table: str) -> None:
    rows = markdown.table(PAGE, table)
    assert [(row["Column"], row["Type"]) for row in rows] == _columns(store, table)


def test_the_view_of_calls_is_spans_and_what_the_page_says(store: Store) -> None:
    more = [(row["Column"], row["Type"]) for row in markdown.table(PAGE, "calls")]
    assert _columns(store, "calls") == _columns(store, "spans") + more


def test_tables_that_share_their_columns(store: Store) -> None:
    for table, other in SAME_AS.items():
        assert _columns(store, table) == _columns(store, other)


def _span(number: int, start: datetime, **values: object) -> dict[str, object]:
    return {
        "project": PROJECT,
        "trace_id": f"{number:032x}",
        "span_id": f"{number:016x}",
        "start_time": start,
        "received_at": start,
        "service_name": "checkout",
        "kind": "generation",
        "provider": "openai",
        "response_model": "gpt-4.1-mini",
        "status": "ok",
        "usage_source": "provider",
        "input_tokens": 100,
        "output_tokens": 20,
        "cache_read_tokens": 40,
        "cost_usd": 0.5,
        "user_id": "u-1",
        "prompt_name": "answer",
        "prompt_version": "v4",
        "attributes": {"gen_ai.request.temperature": "0.2"},
        "documents": [],
        **values,
    }


def _insert(store: Store, rows: list[dict[str, object]]) -> None:
    for row in rows:
        columns = list(row)
        store.insert_rows("spans", columns, [[row[name] for name in columns]])


@pytest.fixture
def shop(store: Store) -> Store:
    """A database with a handful of calls whose figures are known."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    calls = [
        _span(number, start, duration_ns=latency_ms * 10**6)
        for number, latency_ms in enumerate(LATENCIES_MS, start=1)
    ]
    calls[0] |= {"status": "error", "error_type": "RateLimitError", "error_code": 429}
    twice = _span(10, start, scope_name="wrapper", duplicate_of=f"{1:032x}:{1:016x}", duration_ns=1)
    search = _span(11, start, kind="retrieval", documents=[("doc-1", "text", 0.9)], duration_ns=1)
    _insert(store, [*calls, twice, search])
    rollups.recompute(store, [PROJECT], [start.replace(second=0)])
    score: dict[str, object] = dict.fromkeys(SCORE_COLUMNS, "")
    score |= {"score_id": "1", "project": PROJECT, "trace_id": f"{1:032x}", "name": "user_feedback"}
    score |= {"value": 1.0, "source": "user", "created_at": start, "received_at": start}
    insert_scores(store, [tuple(score[name] for name in SCORE_COLUMNS)])
    return store


def _answer(store: Store, sql: str) -> list[dict[str, Any]]:
    """Ask the way `gnomon query --format json` does."""
    lines = b"".join(store.readonly().query_text(sql, None, "JSONEachRow")).splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_query_on_the_page_answers(shop: Store, query: markdown.Block) -> None:
    assert _answer(shop, query.text)


def _query(beginning: str) -> str:
    return next(query.text for query in QUERIES if beginning in query.text)


def test_cost_by_model_counts_calls_once_and_nothing_else(shop: Store) -> None:
    (row,) = _answer(shop, _query("toDate(start_time) AS day"))
    assert (row["calls"], row["input_tokens"], row["cost_usd"]) == (5, 500, 2.5)


def test_the_percentile_from_the_rollup_is_as_near_as_the_page_says(shop: Store) -> None:
    (row,) = _answer(shop, _query("calls_per_hour"))
    assert row["calls"] == len(LATENCIES_MS)
    assert row["p95_ms"] == pytest.approx(max(LATENCIES_MS), rel=0.06)


def test_the_error_rate_and_the_cached_share(shop: Store) -> None:
    (latency,) = _answer(shop, _query("quantiles(0.5"))
    (cached,) = _answer(shop, _query("cached_share"))
    assert latency["error_rate"] == pytest.approx(1 / 5)
    assert cached["cached_share"] == pytest.approx(0.4)


def test_feedback_finds_the_prompt_that_made_the_answer(shop: Store) -> None:
    (row,) = _answer(shop, _query("scores AS s"))
    assert row == {"prompt_name": "answer", "prompt_version": "v4", "scores": 1, "mean": 1.0}
