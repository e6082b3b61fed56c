"""The dashboard's reads on a real database: each figure against the same figure from `spans` or `calls`."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.dashboard import seed
from tests.dashboard.conftest import fill
from tests.dashboard.csv_table import read_csv

from gnomon_collector.store.own_projects import JUDGE_PROJECT
from gnomon_collector.store.queries import filters, overview, trace, traces
from gnomon_collector.store.queries.filters import Scope, Window
from gnomon_collector.store.queries.histogram import add, quantile_ms
from gnomon_collector.store.queries.trace_columns import columns
from gnomon_collector.store.queries.trace_filters import ColumnFilter, Condition
from gnomon_collector.store.queries.traces import TraceQuery
from gnomon_dashboard import state

if TYPE_CHECKING:
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store

SHOP = Scope(seed.PROJECT)
INJECTIONS = (
    "'", "\\", "\\'", "' OR 1=1 --", "'; DROP TABLE spans; --", "{project:String}", "%", "a\x00b", "\n", "🙂", "`", '"',
    "{text:String}", "x' UNION ALL SELECT * FROM users --", "\\x27",
)  # fmt: skip


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def shop(_embedded_database: SharedDatabase, now: datetime) -> Store:
    store = _embedded_database.empty()
    fill(store, now)
    seed.insert(
        store, [replace_project(span) for span in seed.history(now, days=1, traces_per_day=40, seed=11)]
    )
    return store


def replace_project(span: seed.Span) -> seed.Span:
    return replace(span, project="canary", user_id="canary", service_name="canary")


def one(store: Store, sql: str, **parameters: Any) -> Any:
    return store.query(sql, parameters).rows[0][0]


def query(now: datetime, **values: Any) -> TraceQuery:
    defaults: dict[str, Any] = {
        "scope": SHOP,
        "start": now - timedelta(days=3),
        "end": now + timedelta(minutes=1),
    }
    return TraceQuery(**defaults | values)


def all_rows(store: Store, wanted: TraceQuery, limit: int = 100) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    while len(block := traces.page(store, wanted, offset=len(rows), limit=limit)) == limit:
        rows += block
    return rows + block


# --- overview ------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["15m", "1h", "6h", "24h", "7d", "30d"])
def test_sums_are_those_of_the_calls(shop: Store, now: datetime, preset: str) -> None:
    window = state.window(state.ViewState(range=preset), now)
    series = overview.traffic(shop, SHOP, window)
    expected = shop.query(
        "SELECT count(), countIf(status = 'ok'), countIf(status = 'error'), sum(input_tokens), sum(cost_usd),"
        " count(cost_usd) FROM calls WHERE project = {p:String} AND start_time >= {a:DateTime64(6)}",
        {"p": seed.PROJECT, "a": window.start},
    ).rows[0]
    found = [
        sum(getattr(row, name) for _, row in series.buckets)
        for name in ("calls", "ok", "errors", "input_tokens", "cost_usd", "priced")
    ]
    assert found == pytest.approx([value or 0 for value in expected])
    assert {time for time, _ in series.buckets} <= set(window.buckets())


def test_the_period_before_is_one_sum(shop: Store, now: datetime) -> None:
    window = state.window(state.ViewState(range="24h"), now)
    before = overview.traffic(shop, SHOP, window).previous
    expected = one(
        shop,
        "SELECT count() FROM calls WHERE project = {p:String} AND start_time >= {a:DateTime64(6)} AND start_time < {b:DateTime64(6)}",
        p=seed.PROJECT,
        a=window.previous.start,
        b=window.start,
    )
    assert before.calls == expected > 50


@pytest.mark.parametrize("preset", ["1h", "7d"])
def test_quantiles_are_close_to_the_exact_ones(shop: Store, now: datetime, preset: str) -> None:
    window = state.window(state.ViewState(range=preset), now)
    counts = add(row for _, row in overview.latency(shop, SHOP, window).buckets)
    durations = shop.query(
        "SELECT duration_ns / 1e6 FROM calls WHERE project = {p:String} AND start_time >= {a:DateTime64(6)} ORDER BY 1",
        {"p": seed.PROJECT, "a": window.start},
    ).rows
    for q in (0.5, 0.95, 0.99):
        (nearest_rank,) = durations[math.ceil(q * len(durations)) - 1]
        assert quantile_ms(counts, q) == pytest.approx(nearest_rank, rel=0.1225)


def test_usage_by_model_and_outcomes_add_up(shop: Store, now: datetime) -> None:
    window = state.window(state.ViewState(range="7d"), now)
    calls = sum(row.calls for _, row in overview.traffic(shop, SHOP, window).buckets)
    usage = overview.usage_by_model(shop, SHOP, window)
    assert sum(row.calls for row in usage) == calls
    assert {row.model for row in usage} >= {model for _, model, *_ in seed.MODELS}
    outcomes = overview.outcomes(shop, SHOP, window)
    assert sum(row.calls for row in outcomes) == calls
    assert {row.error_type for row in outcomes if row.status == "error"} >= {"timeout", "server_error"}


def test_filters_narrow_every_panel(shop: Store, now: datetime) -> None:
    window = state.window(state.ViewState(range="7d"), now)
    narrow = Scope(seed.PROJECT, ("mail-bot",), ("staging", "production"), ("gpt-4o-2024-08-06",))
    expected = one(
        shop,
        "SELECT count() FROM calls WHERE project = {p:String} AND service_name = 'mail-bot' AND model = 'gpt-4o-2024-08-06'",
        p=seed.PROJECT,
    )
    assert expected > 5
    assert sum(row.calls for _, row in overview.traffic(shop, narrow, window).buckets) == expected
    assert sum(sum(row) for _, row in overview.latency(shop, narrow, window).buckets) == expected
    assert sum(row.calls for row in overview.usage_by_model(shop, narrow, window)) == expected
    assert sum(row.calls for row in overview.outcomes(shop, narrow, window)) == expected


def test_no_comparison_with_a_time_before_the_first_call(shop: Store, now: datetime) -> None:
    window = state.window(state.ViewState(range="30d"), now)
    assert overview.traffic(shop, SHOP, window).previous is None
    assert overview.latency(shop, SHOP, window).previous == ()


def test_filters_offer_what_is_there(shop: Store, now: datetime) -> None:
    window = Window(now - timedelta(hours=1), now, 60)
    found = filters.filter_options(shop, seed.PROJECT, window)
    assert found.services == ("shop-assistant", "mail-bot")
    assert set(found.environments) == {"production", "staging"}
    assert found.models[0] == seed.MODELS[0][1]
    assert filters.projects(shop) == (seed.PROJECT, "canary")  # the one with the latest call first
    seed.insert(shop, [seed.Span("0b" * 16, "0b" * 8, now, 1, "judge", "generation", project=JUDGE_PROJECT)])
    assert filters.projects(shop) == (seed.PROJECT, "canary", JUDGE_PROJECT)  # Gnomon's own last
    assert filters.has_data(shop, seed.PROJECT) and not filters.has_data(shop, "nothing")


def test_a_rollup_row_that_was_replaced_counts_once(shop: Store, now: datetime) -> None:
    window = state.window(state.ViewState(range="1h"), now)
    before = overview.traffic(shop, SHOP, window)
    from gnomon_collector.store.rollups import recompute

    recompute(shop, [seed.PROJECT], [time for time, _ in before.buckets])
    assert overview.traffic(shop, SHOP, window) == before


# --- traces --------------------------------------------------------------------------------------


def test_every_trace_is_one_row_newest_first(shop: Store, now: datetime) -> None:
    rows = all_rows(shop, query(now))
    ids = [row["trace_id"] for row in rows]
    assert (
        len(ids) == len(set(ids)) == one(shop, "SELECT uniqExact(trace_id) FROM spans WHERE project = 'shop'")
    )
    times = [row["time"] for row in rows]
    assert times == sorted(times, reverse=True)  # type: ignore[type-var]
    assert traces.count(shop, query(now)) == len(ids)


def test_a_trace_row_sums_its_billable_calls(shop: Store, now: datetime) -> None:
    for row in traces.page(shop, query(now), offset=10, limit=30):
        expected = shop.query(
            "SELECT sum(cost_usd), sum(ifNull(input_tokens, 0) + ifNull(output_tokens, 0)), count() FROM calls"
            " WHERE project = 'shop' AND trace_id = {t:String}",
            {"t": row["trace_id"]},
        ).rows[0]
        assert (row["cost_usd"], row["calls"]) == (pytest.approx(expected[0]), expected[2])
        assert (row["tokens"] or 0) == expected[1]
        assert row["name"] == "answer question"


def test_a_trace_with_a_failed_call_is_an_error(shop: Store, now: datetime) -> None:
    errors = query(now, filters=(ColumnFilter("status", (Condition("equals", "error"),)),))
    expected = one(shop, "SELECT uniqExact(trace_id) FROM spans WHERE project = 'shop' AND status = 'error'")
    assert traces.count(shop, errors) == len(all_rows(shop, errors)) == expected > 3


@pytest.mark.parametrize("rows", ["traces", "calls"])
def test_every_column_sorts_both_ways(shop: Store, now: datetime, rows: Any) -> None:
    for column in columns(rows):
        for descending in (True, False):
            wanted = query(now, rows=rows, sort=column.id, descending=descending)
            values = [row[column.id] for row in traces.page(shop, wanted, offset=0, limit=60)]
            present = [value for value in values if value is not None]
            assert present == sorted(present, reverse=descending), column.id  # type: ignore[type-var]
            assert values[: len(present)] == present, f"{column.id}: nulls come last"


@pytest.mark.parametrize("sort", ["time", "cost_usd", "name"])
@pytest.mark.parametrize("rows", ["traces", "calls"])
def test_pages_join_without_gap_or_overlap(shop: Store, now: datetime, rows: Any, sort: str) -> None:
    wanted = query(now, rows=rows, sort=sort)
    whole = traces.page(shop, wanted, offset=0, limit=1000)
    assert all_rows(shop, wanted, limit=37) == whole
    assert len(whole) == traces.count(shop, wanted)


def test_numbers_texts_and_blanks_filter(shop: Store, now: datetime) -> None:
    wanted = query(
        now,
        rows="calls",
        filters=(
            ColumnFilter("latency_ms", (Condition("inRange", 500.0, 1500.0),)),
            ColumnFilter("model", (Condition("startsWith", "GPT-4o"),)),
            ColumnFilter("output", (Condition("notBlank"),)),
            ColumnFilter("tokens", (Condition("greaterThan", 100.0), Condition("lessThan", 900.0))),
            ColumnFilter("user", (Condition("contains", "U1"), Condition("endsWith", "7")), any_of=True),
        ),
    )
    rows = all_rows(shop, wanted)
    expected = one(
        shop,
        "SELECT count() FROM calls WHERE project = 'shop' AND duration_ns BETWEEN 5e8 AND 15e8 AND startsWith(model, 'gpt-4o')"
        " AND output_text != '' AND input_tokens + output_tokens BETWEEN 101 AND 899 AND (user_id LIKE '%u1%' OR user_id LIKE '%7')",
    )
    assert len(rows) == expected > 3


def test_text_is_found_in_input_and_output_whatever_its_case(shop: Store, now: datetime) -> None:
    found = all_rows(shop, query(now, text="КУРЬЕРУ"))
    assert found and all("курьеру" in str(row["output"]) for row in found)
    assert len(found) == one(
        shop, "SELECT uniqExact(trace_id) FROM spans WHERE project = 'shop' AND output_text LIKE '%курьеру%'"
    )


def test_the_scope_keeps_traces_that_have_such_a_span(shop: Store, now: datetime) -> None:
    scope = Scope(seed.PROJECT, ("mail-bot",), ("production",), ("gpt-4o-2024-08-06",))
    rows = all_rows(shop, query(now, scope=scope))
    assert rows
    assert all(row["service"] == "mail-bot" and row["environment"] == "production" for row in rows)
    assert all("gpt-4o-2024-08-06" in str(row["model"]) for row in rows)


# --- export --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", ["traces", "calls"])
def test_the_export_has_every_row_once(shop: Store, now: datetime, rows: Any) -> None:
    wanted = query(now, rows=rows, text="order")
    exported = read_csv(
        traces.export(
            shop, wanted, ["trace_id", "time", "cost_usd", *(["span_id"] if rows == "calls" else [])]
        )
    )
    shown = all_rows(shop, replace(wanted, sort="time"))
    key = "span_id" if rows == "calls" else "trace_id"
    assert [row[key] for row in exported] == [row[key] for row in shown]
    assert len(exported) == traces.count(shop, wanted) > 20
    assert "\\N" not in {row["cost_usd"] for row in exported}


@pytest.mark.parametrize("rows", ["traces", "calls"])
def test_an_export_of_years_asks_for_the_days_with_spans(
    shop: Store, now: datetime, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Counter[str]()
    real = type(shop).query_text

    def query_text(store: Store, *arguments: Any) -> Any:
        asked["times"] += 1
        return real(store, *arguments)

    monkeypatch.setattr(type(shop), "query_text", query_text)
    years = query(now, rows=rows, start=now - timedelta(days=3650))
    found = b"".join(traces.export(shop, years, ["trace_id"]))
    assert found.count(b"\n") == traces.count(shop, years) + 1
    assert 0 < asked["times"] <= 10


def test_unknown_columns_are_not_exported(shop: Store, now: datetime) -> None:
    exported = read_csv(
        traces.export(shop, query(now, start=now - timedelta(minutes=5)), ["nosuch", "1; DROP", "name"])
    )
    assert list(exported[0]) == ["name"]


# --- safety --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", INJECTIONS)
def test_values_never_become_sql(shop: Store, now: datetime, text: str) -> None:
    scope = Scope(text, (text,), (text,), (text,))
    window = state.window(state.ViewState(range="1h"), now)
    assert overview.traffic(shop, scope, window).buckets == ()
    assert overview.latency(shop, scope, window).buckets == ()
    assert overview.usage_by_model(shop, scope, window) == []
    assert overview.outcomes(shop, scope, window) == []
    assert filters.filter_options(shop, text, window).services == ()
    assert trace.spans(shop, text, text) == []
    assert trace.span(shop, seed.PROJECT, text, text) is None
    assert trace.scores(shop, seed.PROJECT, text) == []
    column_filters = (
        ColumnFilter("user", (Condition("contains", text), Condition("equals", text))),
        ColumnFilter(text, (Condition("blank"),)),
    )
    for rows in ("traces", "calls"):
        wanted = query(now, rows=rows, text=text, sort=text, filters=column_filters)
        assert traces.page(shop, wanted, offset=0, limit=5) == []
        assert traces.count(shop, wanted) == 0
        assert read_csv(traces.export(shop, wanted, [text])) == []
    assert one(shop, "SELECT count() FROM spans") > 1000


def test_no_project_sees_another(shop: Store, now: datetime) -> None:
    window = state.window(state.ViewState(range="24h"), now)
    canary = one(shop, "SELECT any(trace_id) FROM spans WHERE project = 'canary'")
    assert trace.spans(shop, seed.PROJECT, canary) == []
    assert "canary" not in filters.filter_options(shop, seed.PROJECT, window).services
    for rows in ("traces", "calls"):
        everything = query(now, rows=rows)
        assert "canary" not in {row["user"] for row in all_rows(shop, everything)}
        assert b"canary" not in b"".join(traces.export(shop, everything, []))
    expected = one(
        shop,
        "SELECT count() FROM calls WHERE project = 'canary' AND start_time >= {a:DateTime64(6)}",
        a=window.start,
    )
    assert (
        sum(row.calls for _, row in overview.traffic(shop, Scope("canary"), window).buckets) == expected > 5
    )
