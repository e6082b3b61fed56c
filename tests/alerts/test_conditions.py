"""Intervals, baselines and conditions, against what statistics says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from gnomon_collector.alerts.baseline import Hourly, Normal, normal_at
from gnomon_collector.alerts.conditions import (
    Verdict,
    judge_absence,
    judge_change,
    judge_spike,
    judge_threshold,
)
from gnomon_collector.alerts.config import AlertConfig, default_rules, merged_rules, parse_config, parse_rule
from gnomon_collector.alerts.figures import Figures, figures_of
from gnomon_collector.alerts.intervals import of_count, wilson, z_of
from gnomon_collector.alerts.model import Absence, Change, Rule, Spike, Threshold, parse_duration_s
from gnomon_collector.alerts.rule_text import TEMPLATE, rule_text
from gnomon_collector.errors import ConfigError
from gnomon_collector.store.metric_queries import Readings
from gnomon_schemas.metrics import metric

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def array(*values: float) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(values, dtype=np.float64)


def readings(hits: float, total: float) -> Readings:
    return Readings([("p",)], array(hits), array(total), array(np.nan), array(np.nan))


def rule(condition: dict[str, object], **more: object) -> Rule:
    return Rule.model_validate({"name": "r", "metric": "error_rate", "condition": condition, **more})


def figures(
    value: float, low: float | None = None, high: float | None = None, samples: float = 100
) -> Figures:
    return Figures(
        array(value),
        array(value if low is None else low),
        array(value if high is None else high),
        array(samples),
    )


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (3, 10), (50, 100), (10, 10), (1, 1)])
def test_wilson_is_the_one_of_scipy(hits: int, total: int) -> None:
    low, high = wilson(array(hits), array(total), z_of(0.95))
    expected = stats.binomtest(hits, total).proportion_ci(0.95, method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("mean", [4, 20, 200])
def test_intervals_of_counts_cover(mean: int) -> None:
    counts = np.random.default_rng(1).poisson(mean, 20_000).astype(np.float64)
    low, high = of_count(counts, z_of(0.95))
    assert 0.93 < float(np.mean((low <= mean) & (mean <= high))) < 0.98


def test_three_of_ten_failures_are_no_proof_of_more_than_a_fifth() -> None:
    one = rule({"kind": "threshold", "above": 0.2})
    condition = one.condition
    assert isinstance(condition, Threshold)
    for hits, total, verdict in ((3, 10, Verdict.UNSURE), (30, 100, Verdict.BREACH), (1, 10, Verdict.CLEAR)):
        now = figures_of(metric("error_rate"), readings(hits, total), 0.95)
        assert judge_threshold(one, condition, now).verdict[0] == verdict
    now = figures_of(metric("error_rate"), readings(9, 9), 0.95)
    assert judge_threshold(one, condition, now).verdict[0] == Verdict.NO_DATA


def test_a_percentile_of_few_calls_is_not_trusted() -> None:
    found = Readings([("p",)], array(9000), array(12), array(4000), array(9500))
    now = figures_of(metric("latency_p95_ms"), found, 0.99)
    assert now.high[0] == np.inf and now.low[0] == 4000


def test_a_firing_ends_at_its_own_limit() -> None:
    one = rule({"kind": "threshold", "below": 0.5, "resolve": 0.8}, metric="success_rate")
    condition = one.condition
    assert isinstance(condition, Threshold)
    found = [judge_threshold(one, condition, figures(value)).verdict[0] for value in (0.4, 0.6, 0.9)]
    assert found == [Verdict.BREACH, Verdict.UNSURE, Verdict.CLEAR]


def test_change_against_an_earlier_window() -> None:
    one = rule({"kind": "change", "ratio": 2, "floor": 0.05})
    condition = one.condition
    assert isinstance(condition, Change)
    verdicts = [
        judge_change(one, condition, figures(now), figures(before, samples=n)).verdict[0]
        for now, before, n in ((0.3, 0.1, 100), (0.15, 0.1, 100), (0.04, 0.01, 100), (0.3, 0.1, 3))
    ]
    assert verdicts == [Verdict.BREACH, Verdict.CLEAR, Verdict.CLEAR, Verdict.NO_DATA]


def test_what_is_normal_knows_the_time_of_day_and_the_weekend() -> None:
    hours = np.arange(24 * 28)
    weekday = hours // 24 % 7
    values = np.where(weekday >= 5, 10.0, 100.0) + np.where((hours % 24 >= 9) & (hours % 24 < 17), 50.0, 0.0)
    past = Hourly(MONDAY, values, np.full(len(hours), 600.0))
    monday_noon = MONDAY + timedelta(days=28, hours=12)
    found = normal_at(past, [monday_noon, monday_noon.replace(hour=3), monday_noon + timedelta(days=5)], 14)
    assert found.median.tolist() == [150, 100, 60]
    assert found.counts.tolist() == [600, 600, 600]


def test_incidents_of_the_past_do_not_become_normal() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(100, 5, 24 * 14)
    values[rng.choice(24 * 14, 40, replace=False)] = 5_000
    past = Hourly(MONDAY, values, np.full(24 * 14, 600.0))
    found = normal_at(past, [MONDAY + timedelta(days=14, hours=12)], 14)
    assert 90 < found.median[0] < 110 and found.spread[0] < 20


def test_too_short_a_past_says_nothing() -> None:
    past = Hourly(MONDAY, np.array([100.0, 100.0]), np.array([1.0, 1.0]))
    assert np.isnan(normal_at(past, [MONDAY + timedelta(days=1)], 14).median[0])


def test_a_spike_is_beyond_the_floor_and_the_deviations() -> None:
    one = rule({"kind": "spike", "deviations": 6, "floor": 500, "floor_ratio": 0.5}, metric="latency_p95_ms")
    condition, normal = one.condition, Normal(array(1000), array(50), array(600))
    assert isinstance(condition, Spike)
    found = [judge_spike(one, condition, figures(value), normal).verdict[0] for value in (1400, 1600, 1300)]
    assert found == [Verdict.UNSURE, Verdict.BREACH, Verdict.UNSURE]
    assert judge_spike(one, condition, figures(1200), normal).verdict[0] == Verdict.CLEAR


def test_absence_asks_what_is_usual_now() -> None:
    one = rule({"kind": "absence", "expected": 20}, metric="requests", window="10m", min_count=0)
    condition = one.condition
    assert isinstance(condition, Absence)
    verdicts = [
        judge_absence(
            one, condition, figures(0, samples=calls), Normal(array(1), array(0), array(usual))
        ).verdict[0]
        for calls, usual in ((0, 600), (0, 30), (1, 600))
    ]
    assert verdicts == [Verdict.BREACH, Verdict.NO_DATA, Verdict.CLEAR]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("14d", 1_209_600), (7, 7)]
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not valid TOML"),
        ('name = "x"\nmetric = "latency"\n[condition]\nkind = "threshold"\nabove = 1', "There is no metric 'latency'"),
        ('name = "x"\nmetric = "error_rate"\n[condition]\nkind = "threshold"', "either `above` or `below`"),
        ('name = "x"\nmetric = "error_rate"\nwindow = "5 minutes"\n[condition]\nkind="threshold"\nabove=1', "no duration"),
        ('name = "x"\nmetric = "error_rate"\ngroup_by = ["error_type"]\n[condition]\nkind="threshold"\nabove=1', "cannot be"),
        ('name = "x"\nmetric = "cost_usd"\n[condition]\nkind="burn_rate"\nobjective=0.9', "needs a rate"),
        ('name = "x"\nmetric = "error_rate"\ntypo = 1\n[condition]\nkind="threshold"\nabove=1', "typo"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_explained(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match="(?s)" + message):
        parse_rule(text)


def test_rules_survive_the_editor() -> None:
    for one in default_rules():
        assert parse_rule(rule_text(one)) == one
    assert parse_rule(TEMPLATE).name == "Slow answers"


def test_secrets_come_from_the_environment_and_stay_out_of_sight() -> None:
    text = '[[channel]]\nname = "c"\nurl = "slack://${TOKEN}/x"'
    found = parse_config(text, "a test", {"TOKEN": "s3cret"})
    assert found.channels[0].url.get_secret_value() == "slack://s3cret/x"
    assert "s3cret" not in repr(found) + found.model_dump_json()
    with pytest.raises(ConfigError, match="variable TOKEN"):
        parse_config(text, "a test", {})


def test_a_rule_of_one_project_replaces_the_general_one_there() -> None:
    general = rule({"kind": "threshold", "above": 0.5})
    own = general.model_copy(update={"project": "shop", "enabled": False})
    found = {(one.project, one.name): one for one in merged_rules([general], [own])}
    assert found["*", "r"].projects(["shop", "other"]) == ("other",)
    assert found["shop", "r"].projects(["shop", "other"]) == ("shop",)


def test_two_of_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two of"):
        AlertConfig.model_validate({"channel": [{"name": "a", "url": "x"}, {"name": "a", "url": "y"}]})
