"""The metric catalogue against a real database: every figure can be computed, and is what it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.dashboard import seed

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.histogram import quantile_ms
from gnomon_schemas.metrics import METRICS, metric
from gnomon_schemas.quantiles import quantile_sql

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def call(number: int, status: str = "ok", cost_usd: float | None = 0.5) -> seed.Span:
    return seed.Span(
        trace_id=f"{number:032x}",
        span_id=f"{number:016x}",
        start_time=NOW + timedelta(seconds=number),
        duration_ns=(number + 1) * 100_000_000,
        name="chat",
        kind="generation",
        status=status,
        input_tokens=100,
        output_tokens=10,
        usage_source="provider",
        cost_usd=cost_usd,
    )


def test_rollup_figures_of_known_calls(store: Store) -> None:
    seed.insert(store, [call(0), call(1), call(2, "error", None), call(3, "cancelled")])
    names = (
        "requests",
        "errors",
        "success_rate",
        "error_rate",
        "cost_usd",
        "total_tokens",
        "tokens_per_request",
    )
    columns = ", ".join(metric(name).sql for name in names)
    row = store.query(f"SELECT {columns} FROM calls_per_minute FINAL WHERE project = 'shop'").rows[0]
    assert row == pytest.approx((4, 1, 2 / 3, 1 / 3, 1.5, 440, 110))


@pytest.mark.parametrize("name", [one.name for one in METRICS if "rollup" in one.sources])
def test_every_rollup_metric_can_be_computed(store: Store, name: str) -> None:
    seed.insert(store, [call(0)])
    assert len(store.query(f"SELECT {metric(name).sql} FROM calls_per_hour FINAL").rows) == 1


@pytest.mark.parametrize("counts", [[0, 0, 10, 0, 5], [4, 1], [10], [0], [1] * 128])
@pytest.mark.parametrize("q", [0.5, 0.95, 1.0])
def test_quantile_in_sql_is_the_one_in_python(store: Store, counts: list[int], q: float) -> None:
    sql = f"SELECT {quantile_sql('CAST({counts:Array(UInt64)}, ' + repr('Array(UInt64)') + ')', str(q))}"
    assert store.query(sql, {"counts": counts}).rows[0][0] == pytest.approx(quantile_ms(counts, q))


def test_names_with_a_parameter() -> None:
    found = metric("score_mean:faithfulness")
    assert (found.name, found.parameter, found.unit) == ("score_mean:faithfulness", "faithfulness", "score")


@pytest.mark.parametrize("name", ["latency", "score_mean", "score_mean:", "cost_usd:x", ""])
def test_unknown_names_are_explained(name: str) -> None:
    with pytest.raises(ValueError, match="There are: requests"):
        metric(name)


def test_the_cheapest_source_that_has_the_dimensions() -> None:
    assert metric("cost_usd").source_for(("model",)) == "rollup"
    assert metric("cost_usd").source_for(("model", "user_id")) == "calls"


def test_a_rate_is_not_split_by_what_decides_it() -> None:
    with pytest.raises(ValueError, match="error_rate cannot be filtered or grouped by error_type"):
        metric("error_rate").source_for(("error_type",))
