"""The SQL that the dashboard sends, for review: a change of it shows in a diff of the snapshots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gnomon_collector.store.engine import QueryResult
from gnomon_collector.store.queries import filters, overview, trace, traces
from gnomon_collector.store.queries.filters import Scope, Window
from gnomon_collector.store.queries.trace_filters import ColumnFilter, Condition
from gnomon_collector.store.queries.traces import TraceQuery

NOW = datetime(2026, 11, 23, 10, 17, tzinfo=UTC)
SCOPE = Scope("shop", ("a",), ("production",), ("gpt-4o",))
HOUR = Window(NOW - timedelta(hours=1), NOW, 60)
MONTH = Window(NOW - timedelta(days=30), NOW, 21_600)
FILTERS = (
    ColumnFilter("latency_ms", (Condition("inRange", 1.0, 2.0),)),
    ColumnFilter("user", (Condition("contains", "a"), Condition("blank")), any_of=True),
)


class Recorder:
    """Takes the statements that a store would run; answers with one trace where one is looked for."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def query(self, sql: str, parameters: Any = None, *, settings: Any = None) -> QueryResult:
        self.statements.append(sql)
        rows: list[tuple[object, ...]] = (
            [("t" * 32, NOW, NOW)] if sql.startswith("SELECT trace_id, min") else []
        )
        return QueryResult((), (), [(3,)] if "SELECT count() FROM" in sql else rows)


@pytest.mark.parametrize("window", [HOUR, MONTH], ids=["hour", "month"])
@pytest.mark.parametrize("scope", [Scope("shop"), SCOPE], ids=["everything", "filtered"])
def test_overview(snapshot: Any, scope: Scope, window: Window) -> None:
    queries = (overview.traffic_query, overview.latency_query, overview.usage_query, overview.outcomes_query)
    assert [make(scope, window) for make in queries] == snapshot


@pytest.mark.parametrize("rows", ["traces", "calls"])
@pytest.mark.parametrize("sort", ["time", "cost_usd"])
def test_traces(snapshot: Any, rows: Any, sort: str) -> None:
    store: Any = Recorder()
    wanted = TraceQuery(SCOPE, NOW - timedelta(days=1), NOW, rows, "text", sort, True, FILTERS)
    traces.page(store, wanted, offset=0, limit=100)
    traces.count(store, wanted)
    assert store.statements == snapshot


def test_trace_and_filters(snapshot: Any) -> None:
    store: Any = Recorder()
    trace.spans(store, "shop", "t")
    trace.span(store, "shop", "t", "s")
    trace.scores(store, "shop", "t")
    filters.projects(store)
    filters.filter_options(store, "shop", HOUR)
    filters.has_data(store, "shop")
    assert store.statements == snapshot
