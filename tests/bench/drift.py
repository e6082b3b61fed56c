"""``make bench-drift``: false alarms, delays until a shift is noticed, and the time of an evaluation."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tests.bench.drift_errors import (
    METRICS,
    MONTH_H,
    SHIFTS,
    TEXT_STEP_H,
    WATCHED_H,
    AlarmCount,
    Delay,
    delay,
    false_alarms,
    summary,
    text_alarms,
    text_delay,
)
from tests.bench.generated import PROJECT, generate
from tests.bench.machine import this_machine
from tests.bench.quantiles import quantile
from tests.bench.report import REPORTS, Cell, Goal, Report, Table, save
from tests.bench.usage import MIB, UsageWatch

from gnomon_collector.drift.evaluate import evaluate_counts, evaluate_texts, text_sets
from gnomon_collector.drift.plan import Plan, windows_at
from gnomon_collector.drift.report import report as drift_report
from gnomon_collector.store.drift_features import refresh, stale_hours
from gnomon_collector.store.engine import Store, open_store
from gnomon_collector.store.migrations import migrate

MOST_ALARMS: Final = 1.0
MOST_SECONDS: Final = 2.0
DELAY_CALLS_PER_HOUR: Final = 200.0
_TEXT_SHARES: Final = (0.5, 1.0)


def run(options: argparse.Namespace, home: Path) -> Report:
    """Simulate, generate, measure, and put the figures together; data goes to `home`."""
    started = time.monotonic()
    machine = this_machine(home)
    counts = [
        one
        for volume in options.volumes
        for seed in range(options.worlds)
        for one in _said(
            f"stationary world {seed}, {volume:g} calls/h", lambda v=volume, s=seed: list(false_alarms(v, s))
        )
    ]
    delays = [delay(shift, DELAY_CALLS_PER_HOUR, seed) for shift in SHIFTS for seed in range(options.repeats)]
    text_counts = [text_alarms(MONTH_H // TEXT_STEP_H, seed) for seed in range(options.text_worlds)]
    text_delays = {
        share: [text_delay(share, seed) for seed in range(options.repeats)] for share in _TEXT_SHARES
    }
    with UsageWatch(os.getpid()) as watch:
        timed = _timed(options, home)
    return Report(
        name="drift",
        title="Drift",
        command=f"python -m tests.bench.drift --rows {options.rows} --worlds {options.worlds}",
        machine=machine,
        seconds=time.monotonic() - started,
        goals=_goals(counts, text_counts, timed, options.rows),
        tables=[
            _alarm_table(counts, text_counts),
            _delay_table(delays, text_delays),
            Table("Time of an evaluation", ["what", "median s", "longest s", "times"], timed),
        ],
        notes=_notes(options, watch.peak_rss_bytes),
        raw={
            "false_alarms": [asdict(one) for one in counts],
            "text_alarms": text_counts,
            "delays": [asdict(one) for one in delays],
            "text_delays": {str(share): found for share, found in text_delays.items()},
            "seconds": {str(row[0]): row[1:] for row in timed},
        },
    )


def _said(what: str, do: Callable[[], list[AlarmCount]]) -> list[AlarmCount]:
    began = time.monotonic()
    found = do()
    print(f"{what}: {sum(one.alarms for one in found)} alarms, {time.monotonic() - began:.0f} s", flush=True)
    return found


def _timed(options: argparse.Namespace, home: Path) -> list[list[Cell]]:
    """Rows of (what, median s, longest s, times) over generated spans."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with open_store(f"chdb://{home / 'chdb'}", data_dir=home) as store:
        migrate(store)
        for made in generate(store, spans=options.rows, days=options.days, now=now):
            print(f"{made.spans:,} spans", end="\r", flush=True)
        print()
        first = now - timedelta(days=options.days, hours=1)
        hours = len(stale_hours(store, PROJECT, first, now))
        began = time.monotonic()
        refresh(store, PROJECT, first, now)
        counted_s = time.monotonic() - began
        rows: list[list[Cell]] = [["counting one hour of calls", counted_s / max(1, hours), "–", hours]]
        for days in (7, min(29, options.days - 1)):
            rows += _evaluations(store, Plan(24, days), now, options.repeats)
        return rows


def _evaluations(store: Store, plan: Plan, now: datetime, repeats: int) -> list[list[Cell]]:
    against = f"24 hours against {plan.reference_days} days"

    def counted(number: int) -> object:
        end = now - timedelta(hours=number)
        return evaluate_counts(store, PROJECT, windows_at(store, PROJECT, plan, end), {})

    def sampled(number: int) -> object:
        windows = windows_at(store, PROJECT, plan, now - timedelta(hours=number))
        return evaluate_texts(store, PROJECT, windows, text_sets([])[:1], {})

    def reported(number: int) -> object:
        return drift_report(store, PROJECT, plan, now - timedelta(hours=number), with_texts=False)

    return [
        _times(f"{against}: every counted metric of every part", counted, repeats),
        _times(f"{against}: texts of all traffic, on samples", sampled, min(3, repeats)),
        _times(
            f"{against}: gnomon drift report --no-texts, which evaluates twice", reported, min(3, repeats)
        ),
    ]


def _times(what: str, do: Callable[[int], object], repeats: int) -> list[Cell]:
    took = []
    for number in range(repeats):
        began = time.perf_counter()
        do(number)
        took.append(time.perf_counter() - began)
    print(f"{quantile(took, 0.5):6.2f} s  {what}", flush=True)
    return [what, quantile(took, 0.5), max(took), repeats]


def _goals(
    counts: Sequence[AlarmCount],
    text_counts: Sequence[tuple[int, int]],
    timed: Sequence[Sequence[Cell]],
    rows: int,
) -> list[Goal]:
    rates = {
        (metric, volume): _rate(counts, metric, volume)
        for metric in METRICS
        for volume in sorted({one.calls_per_hour for one in counts})
    }
    worst = max(rates, key=lambda key: rates[key])
    text_rate = sum(alarms for alarms, _ in text_counts) / max(1, len(text_counts))
    slowest = max(
        float(row[2]) for row in timed if str(row[0]).endswith("every part") and "7 days" in str(row[0])
    )
    return [
        Goal(
            "False alarms per metric and month, stationary traffic",
            f"≤ {MOST_ALARMS:.0f}",
            f"worst {max(rates[worst], text_rate):.2f} ({worst[0]} at {worst[1]:g} calls/h); texts {text_rate:.2f}",
            max(rates[worst], text_rate) <= MOST_ALARMS,
        ),
        Goal(
            f"Drift of every metric and part over {rows / 1e6:.3g} M spans",
            f"≤ {MOST_SECONDS:.0f} s",
            f"{slowest:.2f} s",
            slowest <= MOST_SECONDS,
        ),
    ]


def _rate(counts: Sequence[AlarmCount], metric: str, volume: float) -> float:
    chosen = [one.alarms for one in counts if one.metric == metric and one.calls_per_hour == volume]
    return sum(chosen) / max(1, len(chosen))


def _alarm_table(counts: Sequence[AlarmCount], text_counts: Sequence[tuple[int, int]]) -> Table:
    volumes = sorted({one.calls_per_hour for one in counts})
    rows: list[list[Cell]] = [
        [metric, *[_alarm_cell(counts, metric, volume) for volume in volumes]] for metric in METRICS
    ]
    rate = sum(alarms for alarms, _ in text_counts) / max(1, len(text_counts))
    rows.append(["output_text", *["–"] * (len(volumes) - 1), f"{rate:.2f}"])
    return Table(
        "Alarms a month where nothing changes", ["metric", *[f"{one:g} calls/h" for one in volumes]], rows
    )


def _alarm_cell(counts: Sequence[AlarmCount], metric: str, volume: float) -> str:
    chosen = [one for one in counts if one.metric == metric and one.calls_per_hour == volume]
    blind = sum(one.without_data for one in chosen) / max(1, sum(one.evaluations for one in chosen))
    text = f"{_rate(counts, metric, volume):.2f}"
    return f"{text} (not enough data {blind:.0%} of the time)" if blind >= 0.005 else text


def _delay_table(delays: Sequence[Delay], text_delays: dict[float, list[int | None]]) -> Table:
    rows: list[list[Cell]] = [
        [shift.name, shift.metric, *summary([one for one in delays if one.name == shift.name])]
        for shift in SHIFTS
    ]
    for share, hours in text_delays.items():
        found = [Delay("", "", 0, one) for one in hours]
        rows.append([f"{share:.0%} of the answers by a wordier model", "output_text", *summary(found)])
    columns = ["shift", "metric", f"noticed in {WATCHED_H} h", "median h", "longest h"]
    return Table("Hours until a shift is drift", columns, rows)


def _notes(options: argparse.Namespace, peak_rss: int) -> list[str]:
    return [
        "Simulated worlds (tests/bench/drift_worlds.py): traffic of a day and a week, 400 users of whom few ask"
        " most, in sessions, each with a language, a company and a way of writing; slower at the busy hours;"
        " bursts of errors in 0.4 % of the hours, which are real changes and may alarm. Evaluated every hour by"
        " the rules the job uses, 24 hours against the trailing 7 days.",
        f"{options.worlds} months for each volume, {options.text_worlds} of texts (every six hours). Delays at"
        f" {DELAY_CALLS_PER_HOUR:.0f} calls/h, {options.repeats} worlds each, from the shift's first hour to the"
        " second breach in a row. A window of 24 hours fills by and by, so a small shift shows later.",
        f"{options.rows:,} generated spans over {options.days} days, half of them calls, 4 services, 6 models, 18"
        f" prompt versions. Peak RSS of the process: {peak_rss / MIB:,.0f} MiB.",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and save its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="spans to generate (10000000)")
    parser.add_argument("--days", type=int, default=30, help="that they spread over (30)")
    parser.add_argument("--worlds", type=int, default=6, help="simulated months per volume (6)")
    parser.add_argument("--text-worlds", type=int, default=2, help="simulated months of texts (2)")
    parser.add_argument(
        "--volumes", type=float, nargs="+", default=[20.0, 100.0, 600.0], help="calls per hour"
    )
    parser.add_argument("--repeats", type=int, default=6, help="of each shift and question (6)")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gnomon-bench-", ignore_cleanup_errors=True) as home:
        found = run(options, Path(home))
    for goal in found.goals:
        print(f"{goal.what}: {goal.measured} (wanted {goal.goal})")
    print(save(found, options.reports))


if __name__ == "__main__":
    main()
