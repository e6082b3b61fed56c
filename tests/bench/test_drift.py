"""The drift benchmark runs, at a tiny size, and reports what it should. Nothing here is about time."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench import drift
from tests.bench.drift_errors import Delay, summary
from tests.bench.drift_worlds import World, distribution, draw, hourly, more_often

from gnomon_collector.store.drift_windows import total


def test_the_timing_counts_the_generated_calls(tmp_path: Path, data_dir: Path) -> None:
    data_dir.mkdir()
    drift.main(
        [
            "--only",
            "time",
            "--rows",
            "2000",
            "--days",
            "9",
            "--repeats",
            "1",
            "--data",
            str(data_dir),
            "--reports",
            str(tmp_path),
        ]
    )
    raw = json.loads((tmp_path / "drift.json").read_text(encoding="utf-8"))["raw"]
    assert 1900 <= raw["spans"] <= 2000 and raw["days"] == 9
    assert len(raw["seconds"]) == 7 and all(row[1] > 0 for row in raw["seconds"])
    assert (tmp_path / "drift.md").read_text(encoding="utf-8").startswith("# Drift")


def test_a_world_has_the_calls_it_is_to_have_and_shifts_from_its_hour_on() -> None:
    world = World(3, 24 * 10, 50.0, more_often("refusal", 1.0), 24 * 9)
    calls = draw(world)
    assert abs(len(calls.hour) / (50 * 24 * 10) - 1) < 0.1
    refusals = calls.columns["refusal"].astype(bool)
    assert (
        refusals[calls.hour >= world.shift_hour].all()
        and refusals[calls.hour < world.shift_hour].mean() < 0.03
    )
    found = distribution(hourly(calls, world.hours, "refusal"), "refusal", world.hours, 24, 7)
    assert found.current == {"1": int((calls.hour >= world.shift_hour).sum())}
    assert len(found.periods) == 7
    assert sum(map(total, found.periods)) == int(((calls.hour >= 48) & (calls.hour < 216)).sum())


def test_delays_are_summed_up_with_those_that_nothing_noticed() -> None:
    delays = [Delay("x", "m", 1.0, hours) for hours in (4, None, 10, 6)]
    assert summary(delays) == ("3 of 4", "6", "10")
    assert summary([Delay("x", "m", 1.0, None)]) == ("0 of 1", "–", "–")
