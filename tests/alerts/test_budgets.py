"""Budgets over real calls, the answer of /v1/allow, and patterns of abuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.alerts.calls import PROJECT, minute_of_calls
from tests.dashboard import seed

from gnomon_collector.alerts.abuse import FEWEST_CALLS, WINDOW, abuse_watched
from gnomon_collector.alerts.budgets import BudgetMeter, budgets_watched, leaves_window_at
from gnomon_collector.alerts.conditions import Verdict
from gnomon_collector.alerts.config import AlertConfig, Budget
from gnomon_collector.alerts.engine import Engine
from gnomon_collector.alerts.watch import Grid
from gnomon_collector.errors import StoreUnavailable
from gnomon_collector.ingest.allow import AllowBook, WhenUnknown
from gnomon_collector.store.alerts import AlertRecords
from gnomon_collector.store.budgets import BudgetState, budget_states, conduct, denials, save_budget_states
from gnomon_collector.store.engine import Store

NOW = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)


def budget(**said: object) -> Budget:
    config = {"budget": [{"name": "daily", "limit": 1.0, **said}]}
    return AlertConfig.model_validate(config).budgets[0]


def spend(store: Store, usd: float, *, user: str = "u-1", ago: timedelta = timedelta(minutes=5)) -> None:
    seed.insert(store, list(minute_of_calls(NOW - ago, 10, cost_usd=usd / 10, user=user)))


def measured(store: Store, one: Budget, now: datetime = NOW) -> list[tuple[str, str, float]]:
    found = BudgetMeter(store).measure([one], [PROJECT], now)
    return [(state.subject, state.state, round(state.spent, 6)) for state in found]


def test_each_user_has_a_budget(store: Store) -> None:
    spend(store, 1.2, user="greedy")
    spend(store, 0.85, user="near")
    spend(store, 0.2, user="modest")
    spend(store, 5, user="yesterday", ago=timedelta(hours=25))
    found = measured(store, budget(per="user"))
    assert sorted(found) == [("greedy", "over", 1.2), ("near", "near", 0.85)]


def test_a_limit_of_ones_own(store: Store) -> None:
    spend(store, 1.2, user="vip")
    assert measured(store, budget(per="user", limits={"vip": 10})) == []


@pytest.mark.parametrize(("measure", "limit"), [("cost_usd", 0.9), ("total_tokens", 1000), ("requests", 9)])
def test_money_tokens_and_calls_of_a_project(store: Store, measure: str, limit: float) -> None:
    spend(store, 1.0)
    ((subject, state, _),) = measured(store, budget(measure=measure, limit=limit))
    assert (subject, state) == ("", "over")


def test_overspend_between_two_full_readings_is_seen_at_once(store: Store) -> None:
    meter, one = BudgetMeter(store), budget(per="user")
    spend(store, 0.9)
    assert [state.state for state in meter.measure([one], [PROJECT], NOW)] == ["near"]
    seed.insert(store, list(minute_of_calls(NOW, 10, cost_usd=0.02, user="u-1")))
    (state,) = meter.measure([one], [PROJECT], NOW + timedelta(seconds=65))
    assert state.state == "over" and state.spent == pytest.approx(1.1)
    assert state.retry_at is not None
    assert NOW + timedelta(hours=23) < state.retry_at < NOW + timedelta(hours=25)


def test_a_budget_recovers_when_the_window_moved_on(store: Store) -> None:
    spend(store, 1.2)
    one = budget(per="user")
    assert measured(store, one)[0][1] == "over"
    assert measured(store, one, NOW + timedelta(hours=25))[0][1] == "ok"


def test_when_spending_leaves_the_window() -> None:
    steps = [(NOW, 0.5), (NOW + timedelta(minutes=1), 0.4), (NOW + timedelta(minutes=2), 0.4)]
    assert leaves_window_at(steps, 1.3, 1.0, 3600, 60) == NOW + timedelta(minutes=61)
    assert leaves_window_at(steps, 1.3, 0.0, 3600, 60) is None


def test_people_are_told_at_each_threshold_once(store: Store) -> None:
    spend(store, 1.2, user="greedy")
    one = budget(per="user")
    states = BudgetMeter(store).measure([one], [PROJECT], NOW)
    engine = Engine(store, AlertRecords(store), Grid())
    for minute in range(3):
        later = NOW + timedelta(minutes=minute)
        engine.evaluate([], [PROJECT], later, lambda end: budgets_watched([one], states))
    found = AlertRecords(store).incidents(PROJECT, since=NOW - timedelta(days=1))
    assert sorted((each.rule, each.labels["user_id"]) for each in found) == [
        ("Budget daily at 100%", "greedy"),
        ("Budget daily at 80%", "greedy"),
    ]


# --- allow ------------------------------------------------------------------------------------------


def over(subject: str, **changed: object) -> BudgetState:
    values = {
        "project": PROJECT, "budget": "daily", "subject": subject, "per": "user", "state": "over",
        "is_blocking": True, "spent": 1.2, "limit_value": 1.0, "measure": "cost_usd", "window_s": 86_400.0,
        "since": NOW, "retry_at": NOW + timedelta(hours=1),
    }  # fmt: skip
    return BudgetState(**(values | changed))  # type: ignore[arg-type]


def test_who_is_over_is_refused_with_a_reason(store: Store) -> None:
    save_budget_states(store, [over("greedy"), over("warned", is_blocking=False), over("near", state="near")])
    book = AllowBook(store, "open", lambda: NOW)
    answer = book.answer(PROJECT, {"user": "greedy"})
    assert (answer.allowed, answer.budget, answer.retry_after_s) == (False, "daily", 3600)
    assert answer.reason == "The budget 'daily' of user greedy is used up: $1.20 of $1.00 in 1 d."
    for user in ("warned", "near", "somebody", ""):
        assert book.answer(PROJECT, {"user": user}).allowed
    assert book.answer("other-project", {"user": "greedy"}).allowed


def test_a_project_over_its_budget_stops_everybody(store: Store) -> None:
    save_budget_states(store, [over("", per="project")])
    assert not AllowBook(store, "open").answer(PROJECT, {}).allowed


def test_refusals_are_counted(store: Store) -> None:
    save_budget_states(store, [over("greedy")])
    times = iter([NOW, *[NOW] * 10, *[NOW + timedelta(minutes=1)] * 10])
    book = AllowBook(store, "open", lambda: next(times))
    for _ in range(3):
        book.answer(PROJECT, {"user": "greedy"})
    book._reading = None
    for _ in range(8):
        book.answer(PROJECT, {"user": "greedy"})
    book._reading = None
    book.answer(PROJECT, {})
    (found,) = denials(store, PROJECT, NOW - timedelta(hours=1))
    assert (found.subject, found.budget) == ("greedy", "daily") and found.denials >= 3


@pytest.mark.parametrize(("when_unknown", "allowed"), [("open", True), ("closed", False)])
def test_without_a_database_the_setting_decides(
    store: Store, monkeypatch: pytest.MonkeyPatch, when_unknown: WhenUnknown, allowed: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    book = AllowBook(store, when_unknown)
    monkeypatch.setattr(Store, "query", fail)
    assert book.answer(PROJECT, {"user": "u"}).allowed is allowed


# --- abuse ------------------------------------------------------------------------------------------


def test_a_flood_and_a_parrot_are_noticed(store: Store) -> None:
    start = NOW - timedelta(minutes=3)
    for number in range(8):
        seed.insert(store, list(minute_of_calls(start, 4, user=f"u-{number}")))
    seed.insert(store, list(minute_of_calls(start, 150, user="flood")))
    found = conduct(store, [PROJECT], NOW, WINDOW, FEWEST_CALLS)
    breaches = {
        (one.rule.name, key[1])
        for one in abuse_watched(found)
        for key, look in one.looks.items()
        if look.verdict is Verdict.BREACH
    }
    assert breaches == {("Abuse: sudden volume", "flood"), ("Abuse: repeated prompts", "flood")}


def test_budget_states_of_one_project_only(store: Store) -> None:
    save_budget_states(store, [over("a"), over("b", project="other")])
    assert [one.subject for one in budget_states(store, PROJECT)] == ["a"]
