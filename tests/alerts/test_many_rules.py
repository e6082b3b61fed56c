"""Many rules answered from one reading of the rollups see what each of them sees by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pytest
from tests.alerts.calls import PROJECT, minute_of_calls
from tests.dashboard import seed

from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.states import Look
from gnomon_collector.alerts.watch import Grid, Watcher, ask_for, windows_of
from gnomon_collector.store import metric_cube
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_cube import is_additive, pieces_of, read_cube
from gnomon_collector.store.metric_queries import Key, Readings, Window, read_windows
from gnomon_schemas.metrics import METRICS

NOW = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
PROJECTS = (PROJECT, "other")
METRIC_NAMES = [one.name for one in METRICS if one.sources[0] == "rollup"]
FILTERS: dict[str, list[str]] = {
    "service_name": ["assistant", "search"],
    "model": ["gpt-5", "gpt-4o-mini", "no such model"],
    "provider": ["openai"],
    "environment": ["production"],
}
CONDITIONS: list[dict[str, Any]] = [
    {"kind": "threshold", "above": 0.2},
    {"kind": "change", "against": "previous", "ratio": 1.2},
    {"kind": "change", "against": "yesterday", "ratio": 0.8},
    {"kind": "spike", "direction": "above", "deviations": 2.0, "days": 5},
    {"kind": "spike", "direction": "below", "deviations": 2.0, "days": 3},
    {"kind": "absence", "expected": 1.0, "days": 4},
]
BURNS: list[dict[str, Any]] = [
    {"kind": "burn_rate", "objective": 0.95},
    {"kind": "burn_rate", "objective": 0.9, "latency_ms": 1000},
]


def random_rules(rng: Random, count: int) -> Iterator[Rule]:
    for number in range(count):
        burns = number % 8 == 7
        condition = rng.choice(BURNS if burns else CONDITIONS)
        name = rng.choice(METRIC_NAMES)
        if burns:
            name = "latency_p95_ms" if "latency_ms" in condition else "error_rate"
        chosen = rng.sample(sorted(FILTERS), rng.randrange(3))
        yield Rule.model_validate(
            {
                "name": f"rule {number}",
                "metric": name,
                "project": rng.choice(["*", "*", PROJECT]),
                "filter": {
                    one: rng.sample(FILTERS[one], rng.randint(1, len(FILTERS[one]))) for one in chosen
                },
                "group_by": rng.sample(["service_name", "model", "provider"], rng.randrange(4)),
                "window": rng.choice(["2m", "10m", "1h", "7h"]),
                "min_count": 3,
                "confidence": rng.choice([0, 0.95]),
                "condition": condition,
            }
        )


@pytest.fixture
def traffic(store: Store) -> Store:
    """Two projects with uneven traffic: this hour minute by minute, and an hour of each of the last days."""
    rng = Random(11)
    seed.insert(store, list(_minutes(rng, NOW - timedelta(minutes=70), 70)))
    for day in range(1, 6):
        for hour in (-1, 0, 1):
            seed.insert(store, list(_minutes(rng, NOW - timedelta(days=day, hours=1 - hour), 2)))
    return store


def _minutes(rng: Random, start: datetime, count: int) -> Iterator[seed.Span]:
    for number in range(count):
        for service, model, project in (
            ("assistant", "gpt-5", PROJECT),
            ("assistant", "gpt-4o-mini", PROJECT),
            ("search", "gpt-5", "other"),
        ):
            if rng.random() < 0.4:
                calls = rng.randint(1, 6)
                yield from minute_of_calls(
                    start + timedelta(minutes=number),
                    calls,
                    failing=rng.randint(0, calls),
                    latency_ms=rng.choice([0.5, 300, 2000]),
                    cost_usd=rng.random(),
                    service=service,
                    model=model,
                    project=project,
                )


def test_rules_looked_at_together_see_what_they_see_alone(traffic: Store) -> None:
    rules = list(random_rules(Random(3), 160))
    together, known = Watcher(traffic, Grid()), every_key(rules)
    together.prepare(rules, PROJECTS, NOW)
    for rule in rules:
        wanted = rule.projects(PROJECTS)
        shared = together.look(rule, wanted, NOW, known[rule.name])
        alone = Watcher(traffic, Grid()).look(rule, wanted, NOW, known[rule.name])
        assert shared.keys() == alone.keys(), rule
        for key, look in alone.items():
            assert same(shared[key], look), (rule, key, shared[key], look)


def every_key(rules: list[Rule]) -> dict[str, list[Key]]:
    values = {
        "service_name": ["assistant", "search"],
        "model": ["gpt-5", "gpt-4o-mini"],
        "provider": ["openai"],
    }
    found: dict[str, list[Key]] = {}
    for rule in rules:
        keys: list[Key] = [(project,) for project in rule.projects(PROJECTS)]
        for name in rule.group_by:
            keys = [(*key, value) for key in keys for value in values[name]]
        found[rule.name] = keys
    return found


def same(one: Look, other: Look) -> bool:
    names = ("value", "normal", "threshold", "samples")
    found, wanted = ([getattr(look, name) for name in names] for look in (one, other))
    return one.verdict == other.verdict and found == [
        None if value is None else pytest.approx(value, rel=1e-9) for value in wanted
    ]


def test_every_metric_is_the_same_from_sums(traffic: Store) -> None:
    rules = [
        Rule.model_validate(
            {
                "name": name,
                "metric": name,
                "group_by": ["model"],
                "condition": {"kind": "threshold", "above": 1},
            }
        )
        for name in METRIC_NAMES
    ]
    asks = [ask_for(rule, PROJECTS) for rule in rules]
    windows = [*windows_of(rules[0], NOW), Window(NOW - timedelta(hours=1), NOW - timedelta(minutes=10))]
    assert all(is_additive(ask) for ask in asks)
    cube = read_cube(traffic, "calls_per_minute", asks, windows)
    assert cube is not None
    for ask in asks:
        for shared, alone in zip(
            cube.readings(ask, windows), read_windows(traffic, ask, windows), strict=True
        ):
            assert_same(shared, alone)


def assert_same(shared: Readings, alone: Readings) -> None:
    assert sorted(shared.keys) == sorted(alone.keys)
    for name in ("first", "second", "low", "high"):
        found = getattr(shared.aligned(alone.keys), name)
        np.testing.assert_allclose(found, getattr(alone, name), rtol=1e-9, equal_nan=True)


def test_with_too_many_label_sets_each_rule_asks_by_itself(
    traffic: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = list(random_rules(Random(5), 20))
    monkeypatch.setattr(metric_cube, "MOST_CELLS", 3)
    watcher, known = Watcher(traffic, Grid()), every_key(rules)
    watcher.prepare(rules, PROJECTS, NOW)
    monkeypatch.undo()
    shared = Watcher(traffic, Grid())
    shared.prepare(rules, PROJECTS, NOW)
    for rule in rules:
        looks = [one.look(rule, rule.projects(PROJECTS), NOW, known[rule.name]) for one in (watcher, shared)]
        assert looks[0].keys() == looks[1].keys()


def test_windows_are_cut_where_any_of_them_begins_or_ends() -> None:
    def window(start: int, end: int) -> Window:
        return Window(NOW + timedelta(minutes=start), NOW + timedelta(minutes=end))

    found = pieces_of([window(0, 10), window(5, 10), window(20, 30)])
    assert found == [window(0, 5), window(5, 10), window(20, 30)]


def test_without_any_calls_rules_see_nothing(store: Store) -> None:
    rules = list(random_rules(Random(7), 24))
    watcher = Watcher(store, Grid())
    watcher.prepare(rules, PROJECTS, NOW)
    assert not any(watcher.look(rule, rule.projects(PROJECTS), NOW) for rule in rules)
