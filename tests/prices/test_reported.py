"""What SDKs say that calls cost, beside what Gnomon computes: kept apart, and the difference is a metric."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.ingest.payloads import chat_span, hour_ago_ns, request
from tests.ingest.pipeline import Pipeline

from gnomon_collector.store.metric_facts import Ask, Window
from gnomon_collector.store.metric_queries import read_windows

COMPUTED_USD = (100 * 0.15 + 10 * 0.6) / 1e6
NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("cost_reported_usd", 7e-5, None),
        ("cost_difference_usd", 2 * COMPUTED_USD - 5e-5, None),
        ("cost_difference_ratio", abs(COMPUTED_USD - 2e-5) + abs(COMPUTED_USD - 3e-5), 5e-5),
    ],
)
def test_only_calls_with_both_are_compared(
    pipeline: Pipeline, name: str, first: float, second: float | None
) -> None:
    pipeline.send(
        request(
            [
                chat_span(1, hour_ago_ns(), gen_ai__usage__cost=2e-5),
                chat_span(2, hour_ago_ns(), gen_ai__usage__cost=3e-5),
                chat_span(3, hour_ago_ns()),
                chat_span(4, hour_ago_ns(), model="no-such-model", gen_ai__usage__cost=2e-5),
            ]
        )
    )
    window = Window(NOW - timedelta(hours=3), NOW)
    (readings,) = read_windows(pipeline.store, Ask(("shop",), name), [window])
    assert readings.first[0] == pytest.approx(first)
    if second is not None:
        assert readings.second[0] == pytest.approx(second)
