"""``make bench-alerts``: do the default rules find incidents, and how long do ticks and previews take?

The first part simulates thirty days with sixty incidents and judges the default rules by them, beside plain
3 sigma and fixed thresholds on the same data. The rules are evaluated with the server's own code, minute by
minute. The second part times ticks of 1,000 rules inside a running server, beside ingest; the third previews
of a rule over thirty days.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from tests.bench.alert_detectors import Alarm, fixed_alarms, gnomon_alarms, since, three_sigma_alarms
from tests.bench.alert_previews import Previews, measure_previews
from tests.bench.alert_ticks import Ticks, measure_ticks
from tests.bench.alert_world import DAYS, HISTORY_DAYS, KINDS, START, Injected, Kind, World, make_world
from tests.bench.machine import this_machine
from tests.bench.report import REPORTS, Cell, Goal, Report, Table, save

GOAL_RECALL: Final = 0.95
GOAL_PRECISION: Final = 0.95
GOAL_DELAY_MINUTES: Final = 2.0
GOAL_FALSE_A_WEEK: Final = 1.0
GOAL_TICK_S: Final = 10.0
GOAL_PREVIEW_S: Final = 2.0

SPIKES: Final[tuple[Kind, ...]] = ("latency", "failures", "outage")
_NOTICED_AFTER: Final = timedelta(minutes=15)
_AFTERMATH: Final = timedelta(minutes=75)
"""An alarm that begins so soon after an incident is still about it: long windows hold it."""

_TELLS: Final[Mapping[Kind, frozenset[str]]] = {
    "latency": frozenset({"Latency spike", "latency"}),
    "failures": frozenset({"Failure spike", "Provider outage", "Error budget burn", "failures"}),
    "cost": frozenset({"Cost spike", "cost"}),
    "outage": frozenset({"Provider outage", "Failure spike", "Error budget burn", "No data", "failures"}),
    "slow burn": frozenset({"Error budget burn", "Failure spike", "failures"}),
}
"""Which alarms tell of which incident: one of another kind is false even while something is wrong."""

DETECTORS: Final[Mapping[str, Callable[[World], list[Alarm]]]] = {
    "Gnomon's default rules": gnomon_alarms,
    "mean + 3 σ of the last day": three_sigma_alarms,
    "fixed thresholds": fixed_alarms,
}


@dataclass(frozen=True)
class Judgement:
    """How a detector did in one world.

    Attributes:
        delays_minutes: by kind, from the beginning of each incident found to the first alarm that tells of it
    """

    incidents: int
    found: int
    alarms: int
    false: int
    delays_minutes: dict[str, list[float]]


def judge(world: World, alarms: Sequence[Alarm]) -> Judgement:
    """Hold alarms against what happened."""
    counted = since(alarms, START + timedelta(days=HISTORY_DAYS))
    delays: dict[str, list[float]] = {kind: [] for kind in KINDS}
    true: set[int] = set()
    for one in world.incidents:
        ended = START + timedelta(minutes=one.last)
        telling = [alarm for alarm in counted if alarm.by in _TELLS[one.kind] and alarm.began >= one.began]
        true |= {id(alarm) for alarm in telling if alarm.began < ended + _AFTERMATH}
        in_time = [alarm for alarm in telling if alarm.began < ended + _NOTICED_AFTER]
        if in_time:
            delays[one.kind].append(_minutes(one, in_time[0]))
    found = sum(len(minutes) for minutes in delays.values())
    false = sum(id(alarm) not in true for alarm in counted)
    return Judgement(len(world.incidents), found, len(counted), false, delays)


def run(options: argparse.Namespace, home: Path) -> Report:
    """Run everything, with data in `home`."""
    started = time.monotonic()
    machine = this_machine(home)
    worlds = [make_world(seed) for seed in range(1, options.worlds + 1)]
    judged = {name: [judge(world, detect(world)) for world in worlds] for name, detect in DETECTORS.items()}
    ticks = [] if options.worlds_only else measure_ticks(home, options.seconds)
    previews = [] if options.worlds_only else measure_previews(home / "previews", options.spans)
    ours = _added(next(iter(judged.values())))
    raw: dict[str, Any] = {
        "judged": {name: [asdict(one) for one in found] for name, found in judged.items()},
        "ticks": [asdict(one) for one in ticks],
        "previews": [asdict(one) for one in previews],
    }
    return Report(
        name="alerts",
        title="Alerts",
        command=f"python -m tests.bench.alerts --worlds {options.worlds}",
        machine=machine,
        seconds=time.monotonic() - started,
        goals=[
            *_detection_goals(ours, options.worlds),
            *_tick_goals(ticks),
            *_preview_goals(previews, options.spans),
        ],
        tables=[
            _detector_table(judged),
            _kind_table(judged),
            *_tick_tables(ticks),
            *_preview_tables(previews),
        ],
        notes=_NOTES,
        raw=raw,
    )


def _minutes(incident: Injected, alarm: Alarm) -> float:
    return (alarm.began - incident.began).total_seconds() / 60


def _added(found: Sequence[Judgement]) -> Judgement:
    return Judgement(
        sum(one.incidents for one in found),
        sum(one.found for one in found),
        sum(one.alarms for one in found),
        sum(one.false for one in found),
        {kind: [delay for one in found for delay in one.delays_minutes[kind]] for kind in KINDS},
    )


def _precision(one: Judgement) -> float:
    return 1 - one.false / one.alarms if one.alarms else 0.0


def _spike_delay(one: Judgement) -> float:
    return statistics.median(
        [delay for kind in SPIKES for delay in one.delays_minutes[kind]] or [float("inf")]
    )


def _false_a_week(one: Judgement, worlds: int) -> float:
    return one.false / (worlds * DAYS / 7)


def _detection_goals(ours: Judgement, worlds: int) -> list[Goal]:
    recall, precision = ours.found / ours.incidents, _precision(ours)
    delay, false = _spike_delay(ours), _false_a_week(ours, worlds)
    return [
        Goal("incidents found (recall)", f"≥ {GOAL_RECALL}", f"{recall:.3f}", recall >= GOAL_RECALL),
        Goal("alarms that were true (precision)", f"≥ {GOAL_PRECISION}", f"{precision:.3f}", precision >= GOAL_PRECISION),
        Goal("median delay on spikes", f"≤ {GOAL_DELAY_MINUTES:g} min", f"{delay:.1f} min", delay <= GOAL_DELAY_MINUTES),
        Goal("false alarms a week", f"≤ {GOAL_FALSE_A_WEEK:g}", f"{false:.2f}", false <= GOAL_FALSE_A_WEEK),
    ]  # fmt: skip


def _tick_goals(ticks: Sequence[Ticks]) -> list[Goal]:
    return [
        Goal(
            f"tick of 1,000 rules × 100 groups, {one.name}, beside {one.spans_per_s:,.0f} spans/s",
            f"≤ {GOAL_TICK_S:g} s",
            f"{one.median_s:.1f} s",
            one.median_s <= GOAL_TICK_S,
        )
        for one in ticks
    ]


def _preview_goals(previews: Sequence[Previews], spans: int) -> list[Goal]:
    if not previews:
        return []
    worst = max(previews, key=lambda one: one.median_s)
    what = f"preview over 30 days at {spans:,} spans, the slowest of {len(previews)} kinds of rules"
    measured = f"{worst.median_s:.1f} s ({worst.name})"
    return [Goal(what, f"≤ {GOAL_PREVIEW_S:g} s", measured, worst.median_s <= GOAL_PREVIEW_S)]


def _preview_tables(previews: Sequence[Previews]) -> list[Table]:
    if not previews:
        return []
    rows: list[list[Cell]] = [[one.name, one.groups, one.median_s, max(one.seconds)] for one in previews]
    return [Table("Previews over 30 days", ["rule", "label sets", "median (s)", "longest (s)"], rows)]


def _detector_table(judged: Mapping[str, Sequence[Judgement]]) -> Table:
    rows: list[list[Cell]] = []
    for name, found in judged.items():
        one = _added(found)
        rows.append(
            [
                name,
                one.found / one.incidents,
                _precision(one),
                _spike_delay(one),
                _false_a_week(one, len(found)),
                one.alarms,
            ]
        )
    columns = [
        "detector",
        "recall",
        "precision",
        "median delay on spikes (min)",
        "false alarms a week",
        "alarms",
    ]
    return Table("Sixty incidents in thirty days, all worlds together", columns, rows)


def _kind_table(judged: Mapping[str, Sequence[Judgement]]) -> Table:
    rows: list[list[Cell]] = []
    for kind in KINDS:
        row: list[Cell] = [kind]
        for found in judged.values():
            delays = _added(found).delays_minutes[kind]
            of = sum(one.incidents for one in found) / len(KINDS)
            median = f"{statistics.median(delays):.0f} min" if delays else "–"
            row.append(f"{len(delays)} of {of:.0f}, {median}")
        rows.append(row)
    return Table("Found, and median delay, by kind", ["incident", *judged], rows)


def _tick_tables(ticks: Sequence[Ticks]) -> list[Table]:
    if not ticks:
        return []
    columns = ["case", "rules", "groups", "ticks", "median (s)", "longest (s)", "spans/s beside it"]
    rows: list[list[Cell]] = [
        [one.name, one.rules, one.groups, len(one.seconds), one.median_s, max(one.seconds), one.spans_per_s]
        for one in ticks
    ]
    return [Table("Ticks in a running server", columns, rows)]


_NOTES: Final = (
    "The traffic is made up (tests/bench/alert_world.py): a day, a week, hourly noise, two calls a minute at night"
    " and forty at noon, deploys that move latency and cost by some percent. Real traffic has surprises that it"
    " lacks.",
    "Incidents begin where at least eight calls a minute are usual: with fewer nothing can be said in two minutes.",
    "The delay is until a rule fires. Messages then wait 30 s (`group_wait`) for what belongs with them, and the"
    " server looks 10 s after the end of each minute (`GNOMON_ALERT_ALLOWANCE_S`).",
    "Thresholds of the default rules were chosen while looking at worlds 1 and 2; the others are fresh.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and save its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=4, help="simulated months")
    parser.add_argument("--seconds", type=float, default=150.0, help="load per case of the ticks")
    parser.add_argument("--spans", type=int, default=10_000_000, help="to preview rules over")
    parser.add_argument("--worlds-only", action="store_true", help="no ticks")
    parser.add_argument("--reports", type=Path, default=REPORTS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gnomon-bench-alerts-") as home:
        report = run(options, Path(home))
    print(save(report, options.reports).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
