"""The state machine: what fires and ends, whatever the clock does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon_collector.alerts.conditions import Verdict
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.states import Look, step
from gnomon_collector.store.alerts import Instance

NOW = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)
RULE = Rule.model_validate(
    {"name": "r", "metric": "error_rate", "for": "2m", "keep_firing": "3m", "condition": {"kind": "threshold", "above": 0.5}}
)  # fmt: skip
B, C, U, N = Verdict.BREACH, Verdict.CLEAR, Verdict.UNSURE, Verdict.NO_DATA


def walk(verdicts: list[Verdict], rule: Rule = RULE, start: Instance | None = None) -> list[Instance]:
    """The states after each look, a minute apart."""
    one, found = start or Instance("p", "r", {}), []
    for minute, verdict in enumerate(verdicts):
        look = Look(verdict, 0.6 if verdict in (B, U) else 0.1, None, 0.5, 100)
        one = step(one, look, rule, NOW + timedelta(minutes=minute), 60)
        found.append(one)
    return found


@pytest.mark.parametrize(
    ("verdicts", "states"),
    [
        ([C, B, B, B], ["normal", "pending", "pending", "firing"]),
        ([B, C, B], ["pending", "normal", "pending"]),
        ([B, U, B], ["pending", "normal", "pending"]),
        (
            [B, B, B, C, C, C, C],
            ["pending", "pending", "firing", "recovering", "recovering", "recovering", "normal"],
        ),
        (
            [B, B, B, C, B, C, C],
            ["pending", "pending", "firing", "recovering", "firing", "recovering", "recovering"],
        ),
        ([B, B, B, U, U, U, U], ["pending", "pending", "firing", "firing", "firing", "firing", "firing"]),
        ([B, B, B, N, N, N, N, N], ["pending", "pending", "firing", *["recovering"] * 5]),
    ],
)
def test_states(verdicts: list[Verdict], states: list[str]) -> None:
    assert [one.state for one in walk(verdicts)] == states


def test_without_for_it_fires_at_once() -> None:
    assert walk([B], RULE.model_copy(update={"for_": 0.0}))[0].state == "firing"


def test_silence_ends_a_firing_after_a_quarter_of_an_hour() -> None:
    found = walk([B, B, B, *[N] * 17])
    assert found[-3].state == "recovering" and found[-1].state == "normal"


def test_one_firing_is_one_incident_and_the_next_another() -> None:
    found = walk([B, B, B, C, B, C, C, C, C, B, B, B])
    ids = [one.incident_id for one in found if one.state == "firing"]
    assert len(set(ids)) == 2
    assert found[8].resolved_at == NOW + timedelta(minutes=8)
    assert found[-1].resolved_at is None


def test_a_clock_set_forward_or_a_long_pause_fires_nothing() -> None:
    (pending,) = walk([B], RULE.model_copy(update={"for_": 600.0}))
    later = step(
        pending,
        Look(B, 0.6, None, 0.5, 100),
        RULE.model_copy(update={"for_": 600.0}),
        NOW + timedelta(days=1),
        60,
    )
    assert later.state == "pending"


def test_a_clock_set_back_neither_fires_nor_ends() -> None:
    firing = walk([B, B, B])[-1]
    back = step(firing, Look(C, 0.1, None, 0.5, 100), RULE, NOW - timedelta(hours=2), 60)
    assert back.state == "recovering" and back.incident_id == firing.incident_id
    onward = step(
        back, Look(C, 0.1, None, 0.5, 100), RULE, NOW - timedelta(hours=2) + timedelta(minutes=1), 60
    )
    assert onward.state == "recovering" and onward.held_s == 60


@given(st.lists(st.sampled_from([B, C, U, N]), max_size=40), st.integers(0, 39))
def test_a_restart_in_between_changes_nothing(verdicts: list[Verdict], cut: int) -> None:
    whole = walk(verdicts)
    if cut < len(verdicts):
        one = whole[cut]
        restored = Instance(**{name: getattr(one, name) for name in one.__dataclass_fields__})
        assert replace(restored) == one
    fired = {one.incident_id for one in whole if one.is_firing}
    began = sum(
        after.is_firing and not before.is_firing
        for before, after in zip([Instance("p", "r", {}), *whole], whole, strict=False)
    )
    assert len(fired) == began
