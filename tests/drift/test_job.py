"""The job: every hour once, also the ones it missed."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.drift import traffic
from tests.drift.traffic import NOW, PROJECT

from gnomon_collector.drift.job import DriftJob, create_drift_jobs
from gnomon_collector.jobs import JobParts
from gnomon_collector.settings import Settings
from gnomon_collector.store import drift_results
from gnomon_collector.store.drift_features import refresh
from gnomon_collector.store.drift_results import Cell, results_at, states_at
from gnomon_collector.store.drift_windows import ALL, DimensionSet
from gnomon_collector.store.engine import Store
from gnomon_collector.store.price_source import PriceSource

SOON = NOW + timedelta(minutes=6)
ASSISTANT = DimensionSet(service_name="assistant")


def job(store: Store, tmp_path: Path, **options: float) -> DriftJob:
    return DriftJob(store, Settings(data=tmp_path), **options)


def times(store: Store) -> list[datetime]:
    return [time for (time,) in store.query("SELECT DISTINCT time FROM drift_results ORDER BY time").rows]  # type: ignore[misc]


def settled(store: Store) -> None:
    """Let the rollups be from before the tests' clock, which stands in the past or future of the real one."""
    for table in ("calls_per_minute", "calls_per_hour"):
        store.command(f"INSERT INTO {table} SELECT * REPLACE (1000 AS version) FROM {table} FINAL")
        store.command(f"ALTER TABLE {table} DELETE WHERE version != 1000 SETTINGS mutations_sync = 1")


def run_until_done(runner: DriftJob, store: Store) -> None:
    """Run it as often as a server would: a run counts and evaluates for some seconds only."""
    for _ in range(20):
        runner.run_once(SOON)
        if times(store)[-1:] == [NOW]:
            return
    pytest.fail("the job did not come to the newest hour")


@pytest.fixture
def changed(store: Store) -> Store:
    """Answers became longer five hours ago, in a project whose last nine days are there."""
    traffic.insert(store, traffic.calls(traffic.wordier, changed_hours=5, per_hour=8, days=6))
    settled(store)
    return store


def test_missed_hours_are_made_up_for_and_none_is_done_twice(changed: Store, tmp_path: Path) -> None:
    seed_result(changed, NOW - timedelta(hours=5))
    refresh(changed, PROJECT, NOW - timedelta(days=10), NOW)
    runner = job(changed, tmp_path, budget_s=0)
    runner.run_once(SOON)
    assert times(changed)[-1] == NOW - timedelta(hours=4), "with no time left a run stops after one hour"
    run_until_done(runner, changed)
    assert times(changed) == [NOW - timedelta(hours=at) for at in (5, 4, 3, 2, 1, 0)]
    count = changed.query("SELECT count() FROM drift_results").rows
    runner.run_once(SOON)
    assert changed.query("SELECT count() FROM drift_results").rows == count


def test_two_breaches_in_a_row_are_drift(changed: Store, tmp_path: Path) -> None:
    # start shortly before the change instead of 72 hours back
    seed_result(changed, NOW - timedelta(hours=5))
    run_until_done(job(changed, tmp_path), changed)
    states = [
        states_at(changed, PROJECT, NOW - timedelta(hours=at)).get((ALL, "output_length"))
        for at in (4, 3, 2, 1, 0)
    ]
    assert states.count("breach") == 1, "only the first one over the threshold is no drift yet"
    assert states[-1] == "drift" and states[states.index("breach") + 1] == "drift"
    (worst, *_) = results_at(changed, PROJECT, ALL, NOW)
    assert worst.metric in ("output_length", "output_tokens") and worst.severity > 1
    cells = drift_results.cells(changed, PROJECT, ALL, NOW - timedelta(hours=3), NOW, 3600)
    assert Cell(NOW - timedelta(hours=1), "output_length", pytest.approx(worst_of(changed)), "drift") in cells  # type: ignore[arg-type]
    assert {
        one.dimension_set for one in drift_results.alarms(changed, PROJECT, NOW - timedelta(days=1), NOW)
    } >= {
        ALL,
        ASSISTANT,
    }
    (most, *_) = drift_results.set_states(changed, PROJECT, NOW - timedelta(days=1), NOW)
    assert most.drifting >= 1


def worst_of(store: Store) -> float:
    return next(one.severity for one in results_at(store, PROJECT, ALL, NOW) if one.metric == "output_length")


def seed_result(store: Store, time: datetime) -> None:
    """An evaluation at `time`, after which the job goes on."""
    from gnomon_collector.drift.evaluate import nothing_counted
    from gnomon_collector.drift.plan import Plan, windows_at

    windows = windows_at(store, PROJECT, Plan(), time)
    drift_results.write(store, PROJECT, [nothing_counted(windows)], 1)


def test_texts_are_looked_at_every_six_hours(changed: Store, tmp_path: Path) -> None:
    seed_result(changed, NOW - timedelta(hours=1))
    run_until_done(job(changed, tmp_path), changed)
    metrics = {one.metric for one in results_at(changed, PROJECT, ALL, NOW)}
    assert NOW.hour % 6 == 0 and {"input_text", "output_text"} <= metrics


def test_a_pinned_reference_is_compared_with(changed: Store, tmp_path: Path) -> None:
    window = (NOW - timedelta(days=6), NOW - timedelta(days=4))
    drift_results.pin_reference(changed, PROJECT, *window, 1)
    seed_result(changed, NOW - timedelta(hours=1))
    run_until_done(job(changed, tmp_path), changed)
    (one, *_) = results_at(changed, PROJECT, ALL, NOW)
    assert (one.windows.reference_start, one.windows.reference_end) == window
    drift_results.pin_reference(changed, PROJECT, NOW, NOW, 2)
    assert drift_results.pinned_reference(changed, PROJECT) is None


def test_a_history_that_is_still_coming_in_is_waited_for(store: Store, tmp_path: Path) -> None:
    traffic.insert(store, traffic.calls(per_hour=1, days=2))
    rolled_up = store.query("SELECT max(version) / 1e9 FROM calls_per_hour").rows[0][0]
    lateness = rolled_up - SOON.timestamp()  # type: ignore[operator]
    moment = SOON + timedelta(seconds=lateness + 10)
    shifted = job(store, tmp_path)
    assert list(shifted._due(PROJECT, NOW, moment)) == []
    assert list(shifted._due(PROJECT, NOW, moment + timedelta(minutes=2)))


def test_a_quiet_project_says_what_is_missing(store: Store, tmp_path: Path) -> None:
    traffic.insert(store, traffic.calls(per_hour=1, days=1))
    settled(store)
    job(store, tmp_path).run_once(SOON)
    results = results_at(store, PROJECT, ALL, times(store)[-1])
    assert {one.state for one in results} == {"not_enough_data"}
    assert any("of 100 calls in the current window" in one.summary for one in results)


def test_the_setting_leaves_the_job_out(store: Store, tmp_path: Path) -> None:
    on = create_drift_jobs(JobParts(Settings(data=tmp_path), store, "", PriceSource()))
    off = create_drift_jobs(JobParts(Settings(data=tmp_path, drift="off"), store, "", PriceSource()))
    assert [one.name for one in on] == ["drift"] and off == []
