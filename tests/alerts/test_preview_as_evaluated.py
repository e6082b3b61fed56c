"""What a preview says would have fired is what the evaluation would have fired, on random traffic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.alerts.calls import PROJECT, minute_of_calls
from tests.dashboard import seed

from gnomon_collector.alerts.conditions import Verdict
from gnomon_collector.alerts.engine import Engine
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.preview import preview
from gnomon_collector.alerts.replay import Fired, Past, Replay, replay
from gnomon_collector.alerts.states import Look, step
from gnomon_collector.alerts.watch import Grid
from gnomon_collector.store import trace_summaries
from gnomon_collector.store.alerts import AlertRecords, Instance
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_queries import Ask, Readings, Window, largest_groups

NOW: Final = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
STEP_S: Final = 300
HOURS: Final = 2
ABOVE: Final = {"kind": "threshold", "above": 0.3, "resolve": 0.2}
RULES: Final[tuple[dict[str, Any], ...]] = (
    {"metric": "error_rate", "group_by": ["service_name"], "condition": ABOVE, "for": "5m"},
    {"metric": "error_rate", "group_by": ["service_name", "model"], "condition": ABOVE, "confidence": 0},
    {"metric": "latency_p95_ms", "group_by": ["service_name"], "condition": {"kind": "threshold", "above": 900},
     "window": "15m"},
    {"metric": "cost_usd", "group_by": ["user_id"], "condition": {"kind": "threshold", "above": 0.03}, "confidence": 0,
     "keep_firing": "10m", "min_count": 3},
    {"metric": "requests", "group_by": ["model"], "condition": {"kind": "change", "against": "previous", "ratio": 1.4}, "confidence": 0},
    {"metric": "requests", "group_by": [], "filter": {"user_id": ["u-0", "u-1"]},
     "condition": {"kind": "threshold", "below": 20}},
)  # fmt: skip
VERDICTS: Final = {
    Verdict.NO_DATA: (0, 0),
    Verdict.CLEAR: (0, 100),
    Verdict.UNSURE: (11, 20),
    Verdict.BREACH: (100, 100),
}
"""Failures of calls that a threshold of 0.5 at a confidence of 0.95 says this of."""


@pytest.fixture
def random_hours(store: Store) -> Store:
    random = Random(7)
    seed.insert(store, [one for minute in range(60 * HOURS) for one in _minute(random, minute)])
    return store


def _minute(random: Random, minute: int) -> Iterator[seed.Span]:
    """Calls of some users and services, and none of others; a quarter of an hour is bad at times."""
    is_bad = Random(minute // 15).random() < 0.4
    for user in range(3):
        if random.random() < 0.5:
            continue
        yield from minute_of_calls(
            NOW - timedelta(hours=HOURS) + timedelta(minutes=minute),
            random.randrange(1, 8),
            failing=random.randrange(8) if is_bad else 0,
            latency_ms=1500 if is_bad else 500,
            cost_usd=random.choice((0.001, 0.003)),
            service=random.choice(("assistant", "mail")),
            model=random.choice(("gpt-4o", "gpt-4o-mini")),
            user=f"u-{user}",
        )


@pytest.mark.parametrize("number", range(len(RULES)))
def test_a_preview_fires_where_the_evaluation_does(random_hours: Store, number: int) -> None:
    rule = Rule.model_validate({"name": f"rule {number}", "for": 0, "window": "5m", **RULES[number]})
    engine = Engine(random_hours, AlertRecords(random_hours), Grid(STEP_S, 0))
    for looks in range(HOURS * 3600 // STEP_S + 1):
        engine.evaluate([rule], [PROJECT], NOW - timedelta(hours=HOURS) + timedelta(seconds=STEP_S * looks))
    incidents = AlertRecords(random_hours).incidents(PROJECT, since=NOW - timedelta(days=1))
    expected = {(frozenset(one.labels.items()), one.fired_at, one.resolved_at) for one in incidents}
    found = preview(random_hours, rule, PROJECT, NOW, days=1)
    assert found.step_s == STEP_S and found.all_groups <= len(found.groups)
    assert expected and expected == {
        (frozenset(group.labels.items()), fired.began, fired.ended)
        for group in found.groups
        for fired in group.result.fired
    }


@given(
    st.lists(st.sampled_from(list(VERDICTS)), max_size=60),
    st.sampled_from([0, 60, 90, 300]),
    st.sampled_from([0, 60, 150, 1200]),
)
@settings(deadline=None)
def test_the_firings_of_a_stretch_are_those_of_the_looks_one_after_the_other(
    verdicts: Sequence[Verdict], for_s: float, keep_firing_s: float
) -> None:
    rule = Rule.model_validate(
        {"name": "r", "metric": "error_rate", "for": for_s, "keep_firing": keep_firing_s, "min_count": 1,
         "condition": {"kind": "threshold", "above": 0.5}}
    )  # fmt: skip
    failed, all_calls = (
        np.array([VERDICTS[one][place] for one in verdicts], dtype=float) for place in (0, 1)
    )
    nothing = np.full(len(verdicts), np.nan)
    past = Past(NOW, 60, Readings([()] * len(verdicts), failed, all_calls, nothing, nothing))
    found = replay(rule, past)
    assert found.judged.verdict.tolist() == [int(one) for one in verdicts]
    assert found.fired == one_after_the_other(rule, past, found)


def one_after_the_other(rule: Rule, past: Past, judged: Replay) -> list[Fired]:
    """The firings as the evaluation makes them: look by look, by its own state machine."""
    one, fired = Instance("p", rule.name, {}), list[Fired]()
    for place, verdict in enumerate(judged.judged.verdict.tolist()):
        value = float(judged.figures.value[place])
        look = Look(Verdict(verdict), None if np.isnan(value) else value, None, None, 1)
        after = step(one, look, rule, past.time(place), past.step_s)
        if after.is_firing and not one.is_firing:
            fired.append(Fired(past.time(place), None, after.peak))
        elif one.is_firing:
            fired[-1] = Fired(fired[-1].began, None if after.is_firing else past.time(place), after.peak)
        one = after
    return fired


@pytest.mark.parametrize("dimension", ["user_id", "session_id", "company_id"])
def test_people_are_counted_by_traces_as_they_are_by_calls(random_hours: Store, dimension: str) -> None:
    span = Window(NOW - timedelta(hours=HOURS), NOW)
    ask = Ask((PROJECT,), "cost_usd", group_by=(dimension,))
    by_calls = largest_groups(random_hours, ask, span, 2)
    trace_summaries.bring_up_to_date(random_hours, PROJECT, NOW, is_over=lambda: False)
    assert largest_groups(random_hours, ask, span, 2) == by_calls
    assert by_calls[1] == (3 if dimension == "user_id" else 1)
