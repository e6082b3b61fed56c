"""A preview says what the evaluation would have done; leases let one evaluate; objectives add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.alerts.calls import PROJECT, steady
from tests.dashboard import seed

from gnomon_collector.alerts.config import Slo, default_rules
from gnomon_collector.alerts.engine import Engine
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.preview import as_json, preview, preview_step_s
from gnomon_collector.alerts.slo import slo_states
from gnomon_collector.alerts.watch import Grid, Watcher
from gnomon_collector.errors import BadRequest
from gnomon_collector.store.alerts import AlertRecords
from gnomon_collector.store.engine import Store
from gnomon_collector.store.leases import SoleLease, StoreLease, lease_for

NOW = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)


def threshold(**more: object) -> Rule:
    said = {"name": "failing", "metric": "error_rate", "group_by": ["service_name"], "for": 0, "window": "5m"}
    return Rule.model_validate({**said, "condition": {"kind": "threshold", "above": 0.3}, **more})


@pytest.fixture
def bad_hour(store: Store) -> Store:
    """Two hours of calm, twenty minutes of failures, and half an hour of calm again."""
    start = NOW - timedelta(hours=3)
    seed.insert(store, list(steady(start, 120)))
    seed.insert(store, list(steady(start + timedelta(hours=2), 20, failing=12)))
    seed.insert(store, list(steady(start + timedelta(minutes=140), 40)))
    return store


def test_a_preview_finds_what_the_evaluation_found(bad_hour: Store) -> None:
    rule = threshold()
    engine = Engine(bad_hour, AlertRecords(bad_hour), Grid(300, 0))
    for minute in range(0, 185, 5):
        engine.evaluate([rule], [PROJECT], NOW - timedelta(minutes=180 - minute))
    (incident,) = AlertRecords(bad_hour).incidents(PROJECT, since=NOW - timedelta(days=1))
    found = preview(bad_hour, rule, PROJECT, NOW + timedelta(minutes=5), days=1)
    (fired,) = found.groups[0].result.fired
    assert (fired.began, fired.ended) == (incident.fired_at, incident.resolved_at)
    assert found.firings == 1 and found.per_week == pytest.approx(7) and found.noise == 0


@pytest.mark.parametrize(
    "name", ["Latency spike", "Failure spike", "Cost spike", "Provider outage", "No data"]
)
def test_every_default_rule_can_be_previewed(bad_hour: Store, name: str) -> None:
    rule = next(one for one in default_rules() if one.name == name)
    said = as_json(preview(bad_hour, rule, PROJECT, NOW, days=2))
    assert said["groups"] == 1 and said["rule"] == name


def test_a_burn_rate_is_previewed_over_its_long_window(bad_hour: Store) -> None:
    condition = {
        "kind": "burn_rate",
        "objective": 0.95,
        "pairs": [{"long": "1h", "short": "10m", "factor": 2}],
    }
    rule = threshold(metric="success_rate", condition=condition, min_count=20)
    assert preview(bad_hour, rule, PROJECT, NOW, days=1).firings == 1


def test_rules_without_a_group_are_previewed_too(bad_hour: Store) -> None:
    assert preview(bad_hour, threshold(group_by=[]), PROJECT, NOW, days=1).firings == 1


@pytest.mark.parametrize("metric", ["error_rate", "cost_usd", "latency_p50_ms"])
@pytest.mark.parametrize("window", ["10m", "24h"])
def test_each_point_of_a_preview_is_what_a_look_there_sees(bad_hour: Store, metric: str, window: str) -> None:
    rule = threshold(metric=metric, window=window, filter={"model": ["gpt-4o-mini"]}, confidence=0)
    found = preview(bad_hour, rule, PROJECT, NOW, days=1).groups[0]
    watcher, key = Watcher(bad_hour, Grid()), (PROJECT, "assistant")
    seen = [
        (time, value) for time, value in zip(found.times, found.values, strict=True) if value is not None
    ][::-5]
    assert seen
    for time, value in seen:
        assert watcher.look(rule, [PROJECT], time, [key])[key].value == pytest.approx(value)


def test_the_hours_of_a_spike_are_added_up_to_its_windows(bad_hour: Store) -> None:
    condition = {"kind": "spike", "direction": "above", "deviations": 5}
    said = {"metric": "cost_usd", "window": "24h", "confidence": 0, "group_by": ["user_id"]}
    spike, plain = threshold(**said, condition=condition), threshold(**said)
    found, expected = (preview(bad_hour, one, PROJECT, NOW, days=2).groups for one in (spike, plain))
    assert found[0].times == expected[0].times
    assert found[0].values == pytest.approx(expected[0].values, nan_ok=True) and any(found[0].values)


@pytest.mark.parametrize(
    ("window", "step_minutes"),
    [("30s", 1), ("3m", 3), ("5m", 5), ("7m", 7), ("15m", 5), ("1h", 5), ("24h", 120)],
)
def test_a_preview_looks_often_enough_for_the_window(window: str, step_minutes: int) -> None:
    assert preview_step_s(threshold(window=window)) == 60 * step_minutes


def test_scores_are_previewed_too(store: Store) -> None:
    columns = ("score_id", "project", "trace_id", "name", "value", "source", "created_at", "received_at")
    times = [NOW - timedelta(minutes=number) for number in range(60)]
    values = [float(number >= 20) for number in range(60)]
    rows = [
        [f"{at}", PROJECT, "t", "thumbs", value, "user", at, at]
        for at, value in zip(times, values, strict=True)
    ]
    store.insert_rows("scores", columns, rows)
    rule = threshold(metric="score_mean:thumbs", group_by=["source"], window="10m", min_count=5,
                     condition={"kind": "threshold", "below": 0.5})  # fmt: skip
    found = preview(store, rule, PROJECT, NOW, days=1)
    assert found.firings == 1 and found.groups[0].labels == {"source": "user"}


def test_what_has_no_past_cannot_be_previewed(store: Store) -> None:
    rule = next(one for one in default_rules() if one.name == "Judge stuck")
    with pytest.raises(BadRequest, match="says nothing of earlier"):
        preview(store, rule, PROJECT, NOW)


def test_the_error_budget_adds_up(bad_hour: Store) -> None:
    (state,) = slo_states(bad_hour, Slo(name="answers", objective=0.9, window=86_400), PROJECT, NOW)
    assert (state.total, state.bad) == (180 * 20, 20 * 12)
    assert state.budget_left == pytest.approx(1 - 240 / 360)
    assert state.burned[-1][1] == pytest.approx(state.budget_left)


def test_latency_objectives_count_slow_calls(bad_hour: Store) -> None:
    (state,) = slo_states(
        bad_hour, Slo(name="quick", objective=0.9, latency_ms=800, window=86_400), PROJECT, NOW
    )
    assert state.good_share == pytest.approx(0.5, abs=0.1)


# --- leases -------------------------------------------------------------------------------------------


def test_one_of_several_processes_evaluates(any_store: Store) -> None:
    first, second = StoreLease(any_store, "alerts", 60), StoreLease(any_store, "alerts", 60)
    assert first.hold() and not second.hold() and first.hold()
    first.release()
    assert second.hold() and not first.hold()


def test_a_lease_ends_by_itself(any_store: Store) -> None:
    first, second = StoreLease(any_store, "alerts", 2), StoreLease(any_store, "alerts", 60)
    assert first.hold()
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    while not second.hold():
        assert datetime.now(UTC) < deadline
    assert not first.hold()


def test_the_embedded_engine_needs_no_lease(store: Store) -> None:
    assert isinstance(lease_for(store, "alerts", 60), SoleLease)
