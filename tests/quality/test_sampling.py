"""The draw: deterministic, with the probability that it says, and late judgements of users mended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.quality.conftest import NOW, answered, insert

from gnomon_collector.store.engine import Store
from gnomon_collector.store.judge_sampling import Boosts, Sample, Stratum, Unit, plan, preview


def sample(rate: float = 1.0, unit: Unit = "span", **more: Any) -> Sample:
    values: dict[str, Any] = {
        "project": "shop",
        "unit": unit,
        "policy": "q",
        "rate": rate,
        "evaluators": [("relevance", "relevance-1-a"), ("refusal", "refusal-1-a")],
        "after": NOW - timedelta(hours=2),
        "until": NOW,
        "since": NOW - timedelta(hours=3),
    }
    return Sample(**(values | more))


def tasks(store: Store, what: str = "trace_id, evaluator, inclusion_probability") -> list[tuple[Any, ...]]:
    return store.query(f"SELECT {what} FROM judge_tasks FINAL ORDER BY trace_id, evaluator").rows


def thumb_down(store: Store, number: int) -> None:
    columns = ("score_id", "project", "trace_id", "name", "value", "source", "created_at", "received_at")
    moment = NOW - timedelta(minutes=1)
    store.insert_rows(
        "scores", columns, [[f"u{number}", "shop", f"{number:032x}", "f", 0.0, "user", moment, moment]]
    )


def test_planning_twice_makes_no_second_task(store: Store) -> None:
    insert(store, *(answered(number) for number in range(50)))
    plan(store, sample(0.5))
    first = tasks(store)
    plan(store, sample(0.5))
    assert tasks(store) == first and 30 < len(first) < 70
    assert len({trace for trace, _, _ in first}) * 2 == len(first), "each evaluator sees the same answers"


def test_a_higher_rate_draws_the_same_and_more(store: Store) -> None:
    insert(store, *(answered(number) for number in range(200)))
    plan(store, sample(0.1))
    few = {trace for trace, _, _ in tasks(store)}
    plan(store, sample(0.6))
    assert few < {trace for trace, _, _ in tasks(store)}


def test_weights_add_up_to_the_population(store: Store) -> None:
    insert(
        store,
        *(answered(number, service_name="mail") for number in range(300)),
        *(answered(number, duration_ns=20_000_000_000) for number in range(300, 400)),
        *(answered(number) for number in range(400, 1000)),
    )
    strata = [Stratum({"service": "mail", "model": "gpt-4o-2024-08-06"}, 0.5)]
    wanted = sample(0.2, strata=strata, boosts=Boosts(slow=0.9, slow_ms=10_000))
    plan(store, wanted)
    rates = dict(store.query("SELECT service_name = 'mail' ? 'mail' : toString(inclusion_probability), max(inclusion_probability) FROM judge_tasks FINAL GROUP BY 1").rows)  # fmt: skip
    assert rates == {"mail": 0.5, "0.9": 0.9, "0.2": 0.2}
    (weight,) = store.query(
        "SELECT sum(1 / inclusion_probability) FROM judge_tasks FINAL WHERE evaluator = 'refusal'"
    ).rows[0]
    assert 900 < weight < 1100
    drawn = preview(store, wanted)
    assert drawn.population == 1000 and drawn.tasks == 2 * drawn.sampled == len(tasks(store))


def test_errors_in_the_trace_are_boosted(store: Store) -> None:
    failed = answered(1, span_id="f" * 16, status="error", output_text="")
    insert(store, *(answered(number) for number in range(20)), failed)
    plan(store, sample(0.0, boosts=Boosts(errors=1.0)))
    assert {trace for trace, _, _ in tasks(store)} == {f"{1:032x}"}


def test_a_thumb_down_that_comes_later_draws_and_corrects(store: Store) -> None:
    insert(store, *(answered(number) for number in range(40)))
    boosts = Boosts(thumbs_down=1.0)
    plan(store, sample(0.3, boosts=boosts))
    before = {trace: p for trace, _, p in tasks(store)}
    for number in range(40):
        thumb_down(store, number)
    later = sample(0.3, boosts=boosts, after=NOW - timedelta(minutes=2))
    plan(store, later)
    after = {trace: p for trace, _, p in tasks(store)}
    assert 0 < len(before) < 40 and set(before.values()) == {0.3}
    assert len(after) == 40 and set(after.values()) == {1.0}


@pytest.mark.parametrize(("unit", "count"), [("span", 6), ("trace", 3), ("session", 2)])
def test_what_a_unit_is(store: Store, unit: Unit, count: int) -> None:
    for trace in range(3):
        root = answered(
            trace, span_id=f"a{trace:015x}", kind="workflow", session_id="s1" if trace < 2 else "s2"
        )
        call = {"parent_span_id": root.span_id, "session_id": root.session_id}
        insert(store, root, *(answered(trace, span_id=f"b{n}{trace:014x}", **call) for n in range(2)))
    plan(store, sample(unit=unit))
    assert len(tasks(store)) == 2 * count
    assert {row[0] for row in tasks(store, "unit, trace_id, evaluator")} == {unit}
    assert {row[0] for row in tasks(store, "model, trace_id, evaluator")} == {"gpt-4o-2024-08-06"}


def test_only_answers_are_drawn(store: Store) -> None:
    insert(
        store,
        answered(1, output_text=""),
        answered(2, status="error"),
        answered(3, kind="embedding"),
        answered(4, duplicate_of="x:y"),
        answered(5, project="other"),
        answered(6, received_at=NOW + timedelta(hours=1)),
        answered(7),
    )
    plan(store, sample())
    assert {trace for trace, _, _ in tasks(store)} == {f"{7:032x}"}


def test_what_drifts_now_is_drawn_more(store: Store) -> None:
    from gnomon_collector.quality.planner import drifting_strata
    from gnomon_collector.store import drift_results
    from gnomon_collector.store.drift_results import DriftResult
    from gnomon_collector.store.drift_windows import DimensionSet, Windows

    hour = NOW.replace(minute=0, second=0)
    windows = Windows(hour - timedelta(days=7), hour - timedelta(days=1), hour - timedelta(hours=1), hour)
    drifts = DriftResult(
        DimensionSet(service_name="mail"), "input_length", windows, "psi", 0.5, 0.2, 2.5, "drift", 1000, 1000
    )
    whole = DriftResult(DimensionSet(), "input_length", windows, "psi", 0.5, 0.2, 2.5, "drift", 1000, 1000)
    drift_results.write(store, "shop", [drifts, whole], 1)
    found = drifting_strata(store, "shop", hour + timedelta(minutes=30))
    assert [stratum.where for stratum in found] == [{"service": "mail"}]
    insert(store, *(answered(number, service_name=("mail", "web")[number % 2]) for number in range(40)))
    plan(store, sample(0.0, drifting=[Stratum({"service": "mail"}, 1.0)]))
    assert {row[0] for row in tasks(store, "service_name, trace_id, evaluator")} == {"mail"}
    assert len(tasks(store)) == 40
