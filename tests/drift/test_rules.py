"""When a difference is drift."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from gnomon_collector.drift import rules
from gnomon_collector.store.drift_catalogue import BY_NAME, MODEL_VERSION
from gnomon_collector.store.drift_windows import Counts, Distribution

LENGTH, ERROR = BY_NAME["output_length"], BY_NAME["error"]


def lengths(mean: float, count: int, seed: int = 1) -> tuple[int, ...]:
    rng = np.random.default_rng(seed)
    return tuple(np.bincount(np.clip(rng.normal(mean, 6, count).astype(int), 0, 90), minlength=90).tolist())


def errors(share: float, count: int) -> dict[str, int]:
    failed = round(share * count)
    return {"ok": count - failed, "Timeout": failed} if failed else {"ok": count}


def test_what_is_alike_is_ok() -> None:
    found = Distribution(lengths(40, 1000), tuple(lengths(40, 1000, seed) for seed in range(2, 9)))
    assert rules.judge(LENGTH, found).severity < 0.5


def test_a_shift_of_half_a_deviation_is_over_the_threshold() -> None:
    found = Distribution(lengths(43.5, 1000), tuple(lengths(40, 1000, seed) for seed in range(2, 9)))
    verdict = rules.judge(LENGTH, found)
    assert verdict.severity > 1
    assert {one.statistic for one in verdict.measured} == {"psi", "wasserstein"}
    assert verdict.decisive == max(verdict.measured, key=lambda one: one.severity)


@pytest.mark.parametrize(
    ("current", "periods", "missing"),
    [
        (errors(0, 99), (errors(0, 500),) * 7, "99 of 100 calls in the current window"),
        (errors(0, 500), (errors(0, 140),) * 2, "280 of 300 calls in the reference"),
        (errors(0, 500), (errors(0, 900),), "1 of 2 periods"),
        (errors(0, 500), (errors(0, 900), errors(0, 29)), "1 of 2 periods"),
        ({}, (errors(0, 900),) * 3, "0 of 100 calls"),
    ],
)
def test_too_little_is_said_to_be_too_little(
    current: Counts, periods: tuple[Counts, ...], missing: str
) -> None:
    verdict = rules.judge(ERROR, Distribution(current, periods))
    assert missing in verdict.missing
    assert not verdict.measured and verdict.severity == 0


def test_few_calls_spread_over_many_categories_tell_nothing() -> None:
    rng = np.random.default_rng(3)
    users = BY_NAME["users"]
    rows = [
        {
            f"group {at}": int(number)
            for at, number in enumerate(rng.multinomial(count, [1 / 32] * 32))
            if number
        }
        for count in (110, *([100] * 7))
    ]
    assert "chance" in rules.judge(users, Distribution(rows[0], tuple(rows[1:]))).missing


def test_a_threshold_rises_where_the_reference_differs_from_itself() -> None:
    calm = Distribution(errors(0.06, 2000), tuple(errors(0.01, 2000) for _ in range(7)))
    uneven = Distribution(
        errors(0.06, 2000), tuple(errors(share, 2000) for share in (0, 0.08, 0.01, 0.07, 0, 0.09, 0.02))
    )
    assert rules.judge(ERROR, calm).severity > 1
    assert rules.judge(ERROR, uneven).severity < 1


def test_a_break_inside_the_reference_does_not_make_blind() -> None:
    broken = tuple(errors(share, 2000) for share in (0.9, 0.9, 0, 0, 0, 0, 0))
    verdict = rules.judge(BY_NAME["finish_reason"], Distribution({"length": 2000}, broken))
    assert verdict.severity > 1
    assert all(one.threshold <= rules.MOST_RAISED * rules.EFFECTS[one.statistic] for one in verdict.measured)


def test_drift_takes_two_breaches_and_ends_well_below_the_threshold() -> None:
    seen, state = [], ""
    for severity in (0.2, 1.1, 0.9, 1.0, 1.4, 0.85, 0.79, None, 1.2):
        state = rules.state_after(severity, state)
        seen.append(state)
    assert seen == ["ok", "breach", "ok", "breach", "drift", "drift", "ok", "not_enough_data", "breach"]


def versions(**counts: int) -> dict[str, int]:
    return {name.replace("__", " → "): number for name, number in counts.items()}


def test_another_snapshot_of_a_model_is_noticed() -> None:
    feature = BY_NAME[MODEL_VERSION]
    before = versions(gpt4__gpt4_may=900)
    verdict = rules.judge(feature, Distribution(versions(gpt4__gpt4_may=400, gpt4__gpt4_nov=100), (before,)))
    assert verdict.new == ("gpt4 → gpt4_nov",)
    assert verdict.decisive is not None and verdict.decisive.value == pytest.approx(0.2)
    assert verdict.severity == pytest.approx(2)


def test_a_model_that_was_not_asked_before_is_no_other_snapshot() -> None:
    feature = BY_NAME[MODEL_VERSION]
    before = versions(gpt4__gpt4_may=900)
    verdict = rules.judge(feature, Distribution(versions(gpt4__gpt4_may=100, gpt5__gpt5_jan=400), (before,)))
    assert verdict.severity == 0 and not verdict.new


def test_stationary_counts_do_not_alarm_in_a_month() -> None:
    """A month of hours on independent draws; tests/bench/drift.py has the thorough simulation."""
    rng = Random(4)
    hours = [errors(0.01 + 0.002 * rng.random(), rng.randrange(10, 60)) for _ in range(24 * 38)]
    state, alarms = "", 0
    for end in range(24 * 8, len(hours), 3):
        windows = [_day(hours[end - 24 * (back + 1) : end - 24 * back]) for back in range(8)]
        verdict = rules.judge(ERROR, Distribution(windows[0], tuple(windows[1:])))
        before, state = state, rules.state_after(verdict.severity, state)
        alarms += state == "drift" and before != "drift"
    assert alarms == 0


def _day(hours: list[dict[str, int]]) -> dict[str, int]:
    return {name: sum(hour.get(name, 0) for hour in hours) for name in ("ok", "Timeout")}
