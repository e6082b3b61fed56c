"""Rules over real calls in a real database: what fires, when, and what is kept of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.alerts.calls import PROJECT, minute_of_calls, steady
from tests.dashboard import seed

from gnomon_collector.alerts.config import default_rules
from gnomon_collector.alerts.engine import Engine
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.watch import Grid
from gnomon_collector.store.alerts import AlertRecords, Incident
from gnomon_collector.store.engine import Store

NOW = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
DAYS = 4


def ticks(
    store: Store, rules: list[Rule], start: datetime, minutes: int, engine: Engine | None = None
) -> Engine:
    engine = engine or Engine(store, AlertRecords(store), Grid())
    for minute in range(minutes):
        engine.evaluate(rules, [PROJECT], start + timedelta(minutes=minute, seconds=15))
    return engine


def incidents(store: Store) -> list[Incident]:
    return AlertRecords(store).incidents("*", since=NOW - timedelta(days=1))


def rule(name: str) -> Rule:
    return next(one for one in default_rules() if one.name == name)


@pytest.fixture
def past(store: Store) -> Store:
    """Days of calm traffic up to NOW: an hour of calls, and its rollup as that of every hour before."""
    seed.insert(store, list(steady(NOW - timedelta(hours=1), 60)))
    store.command(
        "INSERT INTO calls_per_hour SELECT * REPLACE (time - toIntervalHour(n) AS time)"
        f" FROM calls_per_hour FINAL ARRAY JOIN range(1, {24 * DAYS}) AS n"
    )
    return store


def test_nothing_fires_on_calm_traffic(past: Store) -> None:
    seed.insert(past, list(steady(NOW, 10)))
    ticks(past, list(default_rules()), NOW, 10)
    assert incidents(past) == []


def test_failures_fire_once_and_resolve(past: Store) -> None:
    seed.insert(past, list(steady(NOW, 6, failing=9)))
    seed.insert(past, list(steady(NOW + timedelta(minutes=6), 20)))
    ticks(past, [rule("Failure spike")], NOW, 26)
    (found,) = incidents(past)
    assert found.fired_at <= NOW + timedelta(minutes=4)
    assert found.resolved_at is not None and found.resolved_at > NOW + timedelta(minutes=11)
    assert found.labels == {"service_name": "assistant"}
    assert found.peak is not None and found.peak > 0.3


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Latency spike", {"latency_ms": 4000}),
        ("Cost spike", {"cost_usd": 0.02}),
        ("Provider outage", {"failing": 20}),
        ("Error budget burn", {"failing": 6}),
    ],
)
def test_each_default_rule_fires_on_what_it_is_for(past: Store, name: str, change: dict[str, float]) -> None:
    seed.insert(past, list(steady(NOW, 25, **change)))
    ticks(past, [rule(name)], NOW, 25)
    assert [one.rule for one in incidents(past)] == [name]


def test_silence_of_a_busy_service_fires(past: Store) -> None:
    ticks(past, [rule("No data")], NOW, 20)
    assert [(one.rule, one.labels) for one in incidents(past)] == [("No data", {"service_name": "assistant"})]


def test_a_restart_neither_repeats_nor_forgets(past: Store) -> None:
    seed.insert(past, list(steady(NOW, 8, failing=12)))
    seed.insert(past, list(steady(NOW + timedelta(minutes=8), 20)))
    for minute in range(28):  # a new process for every tick
        ticks(past, [rule("Failure spike")], NOW + timedelta(minutes=minute), 1)
    (found,) = incidents(past)
    assert found.resolved_at is not None


def test_an_incident_lost_with_the_process_is_written_after_all(past: Store) -> None:
    seed.insert(past, list(steady(NOW, 8, failing=12)))
    ticks(past, [rule("Failure spike")], NOW, 8)
    past.command("TRUNCATE TABLE alert_incidents")
    ticks(past, [rule("Failure spike")], NOW + timedelta(minutes=8), 1)
    assert [one.rule for one in incidents(past)] == ["Failure spike"]


def test_a_rule_that_is_gone_ends_what_it_began(past: Store) -> None:
    seed.insert(past, list(steady(NOW, 8, failing=12)))
    engine = ticks(past, [rule("Failure spike")], NOW, 8)
    ticks(past, [], NOW + timedelta(minutes=8), 1, engine)
    assert incidents(past)[0].resolved_at is not None


def test_each_group_fires_by_itself(past: Store) -> None:
    by_model = Rule.model_validate(
        {"name": "slow", "metric": "latency_p95_ms", "group_by": ["model"], "for": 0,
         "condition": {"kind": "threshold", "above": 2000}}
    )  # fmt: skip
    for minute in range(3):
        seed.insert(past, list(minute_of_calls(NOW + timedelta(minutes=minute), model="fast")))
        seed.insert(
            past, list(minute_of_calls(NOW + timedelta(minutes=minute), model="slow", latency_ms=5000))
        )
    ticks(past, [by_model], NOW, 4)
    assert [one.labels for one in incidents(past)] == [{"model": "slow"}]


def test_evidence_names_examples_cause_and_change(past: Store) -> None:
    seed.insert(past, list(steady(NOW - timedelta(hours=20), 30)))
    minutes = [NOW + timedelta(minutes=minute) for minute in range(8)]
    for minute in minutes:
        seed.insert(past, list(minute_of_calls(minute)))
        seed.insert(
            past, list(minute_of_calls(minute, 12, failing=12, release="2.0", model="gpt-5", user="u-2"))
        )
    ticks(past, [rule("Failure spike")], NOW, 6)
    evidence = json.loads(incidents(past)[0].evidence)
    assert len({one["trace_id"] for one in evidence["examples"]}) == 3
    assert all(one["status"] == "error" for one in evidence["examples"])
    explained = {one["dimension"]: one["value"] for one in evidence["causes"]}
    assert explained["model"] == "gpt-5" and explained["release"] == "2.0"
    assert any("release 2.0 first seen" in one for one in evidence["changes"])
    assert evidence["series"]["values"][-1] > 0.1
    assert evidence["missing"] == []
