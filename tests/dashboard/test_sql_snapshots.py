"""The SQL that the dashboard sends, for review: a change of it shows in a diff of the snapshots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gnomon_collector.store import trace_summaries
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
    """Takes the statements that a store would run; answers with one trace where one is looked for.

    Args:
        covered: from when to when traces are summarised.
    """

    def __init__(self, *covered: tuple[object, ...]) -> None:
        self.statements: list[str] = []
        self._covered = list(covered)

    def query(self, sql: str, parameters: Any = None, *, settings: Any = None) -> QueryResult:
        self.statements.append(sql)
        return QueryResult((), (), self._rows(sql))

    def _rows(self, sql: str) -> list[tuple[object, ...]]:
        if "FROM trace_coverage" in sql:
            return self._covered
        if "SELECT count() FROM" in sql:
            return [(3,)]
        if sql.startswith("SELECT trace_id, min"):
            return [("t" * 32, NOW, NOW, 0)]
        return (
            [("t" * 32, NOW, NOW, 1)] if sql.startswith("SELECT * FROM (SELECT trace_id, start_time") else []
        )


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


@pytest.mark.parametrize("ends_ago", [timedelta(minutes=7), timedelta(days=2)], ids=["until now", "past"])
def test_summarised_traces(snapshot: Any, ends_ago: timedelta) -> None:
    store: Any = Recorder((NOW - timedelta(days=90), NOW - timedelta(minutes=7)))
    wanted = TraceQuery(
        SCOPE, NOW - timedelta(days=7), NOW - ends_ago, "traces", "", "cost_usd", True, FILTERS
    )
    traces.page(store, wanted, offset=0, limit=100)
    traces.count(store, wanted)
    assert store.statements == snapshot


def test_summaries_of_traces(snapshot: Any) -> None:
    assert [
        *trace_summaries.summarise_sql("project = {project:String}"),
        trace_summaries.REACH,
        trace_summaries.AROUND,
    ] == snapshot


def test_trace_and_filters(snapshot: Any) -> None:
    store: Any = Recorder()
    trace.spans(store, "shop", "t")
    trace.span(store, "shop", "t", "s")
    trace.scores(store, "shop", "t")
    filters.projects(store)
    filters.filter_options(store, "shop", HOUR)
    filters.has_data(store, "shop")
    assert store.statements == snapshot
