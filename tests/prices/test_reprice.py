"""Stored costs follow the prices when told to: spans and rollups, once and for all, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.ingest.payloads import DAY_NS, chat_span, hour_ago_ns, request, span
from tests.ingest.pipeline import Pipeline

from gnomon_collector.store import reprice
from gnomon_collector.store.prices import are_in_step, refresh_prices, saved_prices, unpriced_models
from gnomon_collector.store.reprice import Repriced, Selection, days, reprice_window
from gnomon_schemas.prices import Price, price_list_version, price_periods

NOW = datetime.now(UTC) + timedelta(minutes=1)
EVER = Selection(NOW - timedelta(days=3), NOW)
ROLLED_UP = "SELECT (SELECT sum(h.cost_usd) FROM {table} AS h FINAL), (SELECT sum(h.calls_with_cost) FROM {table} AS h FINAL)"


def dearer(provider: str, model: str) -> list[Price]:
    """Twice the price of the list, and one for a model that it does not know."""
    name = "gpt-4o-mini" if model == "our-own" else model
    return [
        replace(
            price,
            version="dearer",
            input_usd=[2 * rate for rate in price.input_usd if rate is not None],
            output_usd=[2 * rate for rate in price.output_usd if rate is not None],
        )
        for price in price_periods(provider, name)
    ]


def send_calls(pipeline: Pipeline) -> None:
    """Three calls over three days, one of an unknown model, and one that the app's cache answered."""
    pipeline.send(
        request(
            [
                chat_span(1, hour_ago_ns()),
                chat_span(2, hour_ago_ns() - DAY_NS),
                chat_span(3, hour_ago_ns() - 2 * DAY_NS, model="gpt-4o"),
                chat_span(4, hour_ago_ns() - DAY_NS, model="our-own"),
                chat_span(5, hour_ago_ns(), gnomon__cache__status="hit"),
                span(
                    6,
                    hour_ago_ns(),
                    {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "gpt-4o"},
                ),
            ]
        )
    )


def sums(pipeline: Pipeline) -> list[object]:
    spans = pipeline.rows("SELECT sum(cost_usd), count(cost_usd) FROM calls")
    return spans + [
        row
        for table in ("calls_per_minute", "calls_per_hour")
        for row in pipeline.rows(ROLLED_UP.format(table=table))
    ]


def all_windows(pipeline: Pipeline, *, dry_run: bool = False) -> list[Repriced]:
    return [
        each
        for since, until in days(EVER.since, EVER.until)
        for each in reprice_window(pipeline.store, replace(EVER, since=since, until=until), dry_run=dry_run)
    ]


def test_costs_and_rollups_follow_the_new_prices_once(pipeline: Pipeline) -> None:
    send_calls(pipeline)
    ((before, count), *_) = sums(pipeline)
    assert count == 4
    assert set(refresh_prices(pipeline.store, dearer)) == {
        ("openai", "gpt-4o"),
        ("openai", "gpt-4o-mini"),
        ("openai", "our-own"),
    }
    assert sums(pipeline)[0] == pytest.approx((before, count)), "nothing changes before somebody says so"

    told = all_windows(pipeline, dry_run=True)
    assert sum(each.changed for each in told) == 4
    assert sums(pipeline)[0] == pytest.approx((before, count))

    assert [each.changed for each in all_windows(pipeline)] == [each.changed for each in told]
    expected = 2 * before + 2 * (100 * 0.15 + 10 * 0.6) / 1e6
    assert sums(pipeline) == [(pytest.approx(expected), 5)] * 3
    assert pipeline.rows("SELECT DISTINCT price_version FROM spans WHERE cost_usd > 0") == [("dearer",)]
    assert pipeline.rows("SELECT cost_usd, price_version FROM spans WHERE cache_status = 'hit'") == [
        (0, "app cache")
    ]
    assert pipeline.rows("SELECT cost_usd FROM spans WHERE kind = 'agent'") == [(None,)]

    assert refresh_prices(pipeline.store, dearer) == {}
    assert [each.changed for each in all_windows(pipeline)] == [0] * len(told)


def test_a_price_that_is_known_no_more_takes_the_cost_away(pipeline: Pipeline) -> None:
    send_calls(pipeline)
    refresh_prices(pipeline.store, lambda provider, model: [])
    assert sum(each.unpriced for each in all_windows(pipeline)) == 4
    assert sums(pipeline) == [(0, 1)] * 3
    assert pipeline.rows("SELECT DISTINCT price_version FROM spans ORDER BY 1") == [("",), ("app cache",)]


def test_only_what_is_selected_is_touched(pipeline: Pipeline) -> None:
    send_calls(pipeline)
    refresh_prices(pipeline.store, dearer)
    chosen = replace(EVER, since=NOW - timedelta(days=1, hours=6), model="gpt-4o-mini")
    assert [(each.model, each.changed) for each in reprice_window(pipeline.store, chosen)] == [
        ("gpt-4o-mini", 2)
    ]
    assert reprice_window(pipeline.store, replace(EVER, project="another")) == []
    versions = pipeline.rows("SELECT request_model, price_version FROM spans WHERE cost_usd > 0 ORDER BY ALL")
    assert [version == "dearer" for _, version in versions] == [False, True, True]


def test_rollups_left_behind_by_a_run_that_was_cut_off_are_put_right(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_calls(pipeline)
    refresh_prices(pipeline.store, dearer)
    with monkeypatch.context() as cut_off:
        cut_off.setattr(reprice, "_mend_rollups", lambda *_: None)
        all_windows(pipeline)
    spans, minutes, _ = sums(pipeline)
    assert spans != minutes
    assert sum(each.changed for each in all_windows(pipeline)) == 0
    assert sums(pipeline) == [(pytest.approx(spans[0]), spans[1])] * 3  # type: ignore[index]


def test_prices_that_change_at_a_date_are_told_apart(pipeline: Pipeline) -> None:
    send_calls(pipeline)
    border = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=12)

    def from_yesterday_noon(provider: str, model: str) -> list[Price]:
        return [
            *price_periods(provider, model),
            *(replace(price, valid_from=border) for price in dearer(provider, model)),
        ]

    refresh_prices(pipeline.store, from_yesterday_noon)
    all_windows(pipeline)
    rows = pipeline.rows(
        "SELECT start_time >= {border:DateTime('UTC')}, price_version = 'dearer' FROM spans WHERE cost_usd > 0",
        border=border,
    )
    assert len(rows) >= 3
    assert all(late == is_dearer for late, is_dearer in rows)


def test_a_period_that_is_gone_says_what_holds_there(pipeline: Pipeline) -> None:
    send_calls(pipeline)
    mini = ("openai", "gpt-4o-mini")
    listed = price_periods(*mini)[0]
    other = replace(listed, valid_from=datetime(2026, 5, 1, tzinfo=UTC), input_usd=[9.0])

    def until_then() -> list[list[float | None]]:
        saved = saved_prices(pipeline.store)[mini]
        return [price.input_usd for price in saved if price.valid_from <= other.valid_from]

    refresh_prices(pipeline.store, lambda *pair: [listed, other])
    assert until_then() == [listed.input_usd, [9.0]]
    refresh_prices(pipeline.store, price_periods)
    assert until_then() == [listed.input_usd] * 2
    assert refresh_prices(pipeline.store, price_periods) == {}


def test_models_without_a_price_are_told_with_what_they_used(pipeline: Pipeline) -> None:
    send_calls(pipeline)
    since = NOW - timedelta(days=7)
    (found,) = unpriced_models(pipeline.store, price_periods, since)
    assert (found.provider, found.model, found.calls, found.tokens) == ("openai", "our-own", 1, 110)
    assert (found.projects, found.is_known_now) == (["shop"], False)
    assert [each.is_known_now for each in unpriced_models(pipeline.store, dearer, since)] == [True]
    assert unpriced_models(pipeline.store, price_periods, since, "another") == []
    assert unpriced_models(pipeline.store, price_periods, NOW) == []


def test_a_time_is_cut_at_midnight() -> None:
    since, until = datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 1, 3, 1, tzinfo=UTC)
    assert [start.day * 100 + start.hour for start, _ in days(since, until)] == [105, 200, 300]
    assert days(since, until)[-1][1] == until
    assert days(until, since) == []


def test_a_start_asks_for_prices_again_only_when_something_changed(pipeline: Pipeline) -> None:
    assert are_in_step(pipeline.store, frozenset({price_list_version()}))
    send_calls(pipeline)
    assert are_in_step(pipeline.store, frozenset({price_list_version()}))
    assert not are_in_step(pipeline.store, frozenset({"a newer list"}))
    assert not are_in_step(pipeline.store, frozenset({price_list_version(), "a new file"}))
    pipeline.store.command("TRUNCATE TABLE model_prices")
    assert not are_in_step(pipeline.store, frozenset({price_list_version()})), "as after an upgrade"
    refresh_prices(pipeline.store, dearer)
    assert are_in_step(pipeline.store, frozenset({"dearer"}))
