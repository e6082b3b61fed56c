"""``make bench-drift``: false alarms, delays until a shift is noticed, and the time of an evaluation."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

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
from tests.bench.machine import Machine, this_machine
from tests.bench.quantiles import quantile
from tests.bench.report import REPORTS, Cell, Goal, Report, Table, load, save
from tests.bench.usage import MIB, UsageWatch

from gnomon_collector.drift.evaluate import evaluate_counts, evaluate_texts, text_sets
from gnomon_collector.drift.plan import Plan, windows_at
from gnomon_collector.drift.report import report as drift_report
from gnomon_collector.store.drift_features import refresh, stale_hours
from gnomon_collector.store.engine import Store, open_store
from gnomon_collector.store.migrations import migrate
from gnomon_collector.store.queries.cells import as_int, as_time

MOST_ALARMS: Final = 1.0
MOST_SECONDS: Final = 2.0
DELAY_CALLS_PER_HOUR: Final = 200.0
_TEXT_SHARES: Final = (0.5, 1.0)


Raw = dict[str, Any]
"""The figures of a report, as its JSON keeps them."""


def run(options: argparse.Namespace, home: Path) -> Report:
    """Simulate and measure what is asked for, keep the rest of the saved report; data goes to `home`."""
    started = time.monotonic()
    machine = this_machine(home)
    saved = load("drift", options.reports)
    raw: Raw = dict(saved.raw) if saved is not None else {}
    with UsageWatch(os.getpid()) as watch:
        for part, make in PARTS.items():
            if part in options.only:
                raw |= make(options, home)
    return written(raw, options, machine, time.monotonic() - started, watch.peak_rss_bytes)


def simulated_counts(options: argparse.Namespace, _home: Path) -> Raw:
    """The false alarms and delays of counted metrics."""
    # the largest worlds first, so that no process is left with one at the end
    worlds = [
        (volume, seed) for volume in sorted(options.volumes, reverse=True) for seed in range(options.worlds)
    ]
    shifts = [(place, seed) for place in range(len(SHIFTS)) for seed in range(options.repeats)]
    with _processes(options) as pool:
        alarms = [asdict(one) for found in pool.map(_world, worlds) for one in found]
        delays = [asdict(one) for one in pool.map(_delay, shifts)]
    return {"false_alarms": alarms, "delays": delays}


def simulated_texts(options: argparse.Namespace, _home: Path) -> Raw:
    """The false alarms and delays of texts."""
    shares = [(share, seed) for share in _TEXT_SHARES for seed in range(options.repeats)]
    with _processes(options) as pool:
        alarms = list(pool.map(_text_world, range(options.text_worlds)))
        delays = [
            [share, hours] for (share, _), hours in zip(shares, pool.map(_text_delay, shares), strict=True)
        ]
    return {"text_alarms": alarms, "text_delays": delays}


def _processes(options: argparse.Namespace) -> ProcessPoolExecutor:
    """Simulations in processes of their own, ended before the database engine starts in this one."""
    return ProcessPoolExecutor(options.processes, mp_context=get_context("spawn"))


def _world(case: tuple[float, int]) -> list[AlarmCount]:
    volume, seed = case
    began = time.monotonic()
    found = list(false_alarms(volume, seed))
    alarms = sum(one.alarms for one in found)
    print(f"world {seed}, {volume:g} calls/h: {alarms} alarms, {time.monotonic() - began:.0f} s", flush=True)
    return found


def _delay(case: tuple[int, int]) -> Delay:
    place, seed = case
    return delay(SHIFTS[place], DELAY_CALLS_PER_HOUR, seed)


def _text_world(seed: int) -> tuple[int, int]:
    return text_alarms(MONTH_H // TEXT_STEP_H, seed)


def _text_delay(case: tuple[float, int]) -> int | None:
    return text_delay(*case)


def timed(options: argparse.Namespace, home: Path) -> Raw:
    """How long evaluations take over generated spans; those of `--data` are used when they are there."""
    place = options.data or home
    with open_store(f"chdb://{place / 'chdb'}", data_dir=place) as store:
        if not _is_filled(store):
            migrate(store)
            now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            for made in generate(store, spans=options.rows, days=options.days, now=now):
                print(f"{made.spans:,} spans", end="\r", flush=True)
        spans, end, days = _extent(store)
        rows = [_counting(store, end)]
        for reference in (7, min(29, days - 1)):
            rows += _evaluations(store, Plan(24, reference), end, options.repeats)
    return {"seconds": rows, "spans": spans, "days": days}


PARTS: Final[dict[str, Callable[[argparse.Namespace, Path], Raw]]] = {
    "counts": simulated_counts,
    "texts": simulated_texts,
    "time": timed,
}


def written(raw: Raw, options: argparse.Namespace, machine: Machine, seconds: float, peak_rss: int) -> Report:
    """Put the figures together."""
    counts = [AlarmCount(**one) for one in raw.get("false_alarms", ())]
    delays = [Delay(**one) for one in raw.get("delays", ())]
    text_counts = [(int(alarms), int(evaluations)) for alarms, evaluations in raw.get("text_alarms", ())]
    return Report(
        name="drift",
        title="Drift",
        command=f"python -m tests.bench.drift --only {' '.join(options.only)}",
        machine=machine,
        seconds=seconds,
        goals=_goals(counts, text_counts, raw),
        tables=[
            _alarm_table(counts, text_counts),
            _delay_table(delays, raw.get("text_delays", ())),
            Table(
                "Time of an evaluation", ["what", "median s", "longest s", "times"], raw.get("seconds", ())
            ),
        ],
        notes=_notes(counts, delays, text_counts, raw, peak_rss),
        raw=raw,
    )


def _is_filled(store: Store) -> bool:
    tables = store.query(
        "SELECT 1 FROM system.tables WHERE database = 'gnomon' AND name = 'drift_results'"
    ).rows
    return bool(tables) and bool(store.query("SELECT 1 FROM spans LIMIT 1").rows)


def _extent(store: Store) -> tuple[int, datetime, int]:
    """Number of spans, the hour after the last of them, and how many days they spread over."""
    row = store.query("SELECT count(), min(start_time), max(start_time) FROM spans").rows[0]
    first, last = as_time(row[1]), as_time(row[2])
    end = last.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return as_int(row[0]), end, round((end - first).total_seconds() / 86_400)


def _counting(store: Store, end: datetime) -> list[Cell]:
    """The time of counting the last day anew, per hour of calls, and everything else that was not counted."""
    refresh(store, PROJECT, end - timedelta(days=31), end)
    begin = end - timedelta(days=1)
    store.command("DELETE FROM drift_features WHERE time >= {begin:DateTime}", {"begin": begin})
    hours = len(stale_hours(store, PROJECT, begin, end))
    began = time.monotonic()
    refresh(store, PROJECT, begin, end)
    return ["counting one hour of calls", (time.monotonic() - began) / max(1, hours), "–", hours]


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


def _goals(counts: Sequence[AlarmCount], text_counts: Sequence[tuple[int, int]], raw: Raw) -> list[Goal]:
    goals = []
    if counts:
        volumes = sorted({one.calls_per_hour for one in counts})
        rates = {(metric, volume): _rate(counts, metric, volume) for metric in METRICS for volume in volumes}
        worst = max(rates, key=lambda key: rates[key])
        rate = max(rates[worst], _text_rate(text_counts))
        texts = f"{_text_rate(text_counts):.2f}" if text_counts else "not measured"
        measured = f"worst {rates[worst]:.2f} ({worst[0]} at {worst[1]:g} calls/h); texts {texts}"
        wanted = f"≤ {MOST_ALARMS:.0f}"
        goals.append(
            Goal(
                "False alarms per metric and month, stationary traffic", wanted, measured, rate <= MOST_ALARMS
            )
        )
    rows = [row for row in raw.get("seconds", ()) if "7 days: every counted metric" in row[0]]
    if rows:
        what = (
            f"Drift of every metric and part over {raw['spans'] / 1e6:.3g} M spans, 24 hours against 7 days"
        )
        median_s, longest_s = float(rows[0][1]), float(rows[0][2])
        measured = f"median {median_s:.2f} s, longest {longest_s:.2f} s"
        goals.append(Goal(what, f"≤ {MOST_SECONDS:.0f} s", measured, longest_s <= MOST_SECONDS))
    return goals


def _text_rate(text_counts: Sequence[tuple[int, int]]) -> float:
    return sum(alarms for alarms, _ in text_counts) / max(1, len(text_counts))


def _rate(counts: Sequence[AlarmCount], metric: str, volume: float) -> float:
    chosen = [one.alarms for one in counts if one.metric == metric and one.calls_per_hour == volume]
    return sum(chosen) / max(1, len(chosen))


def _alarm_table(counts: Sequence[AlarmCount], text_counts: Sequence[tuple[int, int]]) -> Table:
    volumes = sorted({one.calls_per_hour for one in counts})
    rows: list[list[Cell]] = [
        [metric, *[_alarm_cell(counts, metric, volume) for volume in volumes]] for metric in METRICS
    ]
    if text_counts:
        rows.append(["output_text", *["–"] * (len(volumes) - 1), f"{_text_rate(text_counts):.2f}"])
    return Table(
        "Alarms a month where nothing changes", ["metric", *[f"{one:g} calls/h" for one in volumes]], rows
    )


def _alarm_cell(counts: Sequence[AlarmCount], metric: str, volume: float) -> str:
    chosen = [one for one in counts if one.metric == metric and one.calls_per_hour == volume]
    blind = sum(one.without_data for one in chosen) / max(1, sum(one.evaluations for one in chosen))
    text = f"{_rate(counts, metric, volume):.2f}"
    return f"{text} (not enough data {blind:.0%} of the time)" if blind >= 0.005 else text


def _delay_table(delays: Sequence[Delay], text_delays: Sequence[tuple[float, int | None]]) -> Table:
    rows: list[list[Cell]] = [
        [shift.name, shift.metric, *summary([one for one in delays if one.name == shift.name])]
        for shift in SHIFTS
    ]
    for share in sorted({share for share, _ in text_delays}):
        found = [Delay("", "", 0, hours) for one, hours in text_delays if one == share]
        rows.append([f"{share:.0%} of the answers by a wordier model", "output_text", *summary(found)])
    columns = ["shift", "metric", f"noticed in {WATCHED_H} h", "median h", "longest h"]
    return Table("Hours until a shift is drift", columns, rows)


def _notes(
    counts: Sequence[AlarmCount],
    delays: Sequence[Delay],
    text_counts: Sequence[tuple[int, int]],
    raw: Raw,
    peak_rss: int,
) -> list[str]:
    volumes = len({one.calls_per_hour for one in counts}) or 1
    return [
        "Simulated worlds (tests/bench/drift_worlds.py): traffic of a day and a week, 400 users of whom few ask"
        " most, in sessions, each with a language, a company and a way of writing; slower at the busy hours;"
        " bursts of errors in 0.4 % of the hours, which are real changes and may alarm. Evaluated every hour by"
        " the rules the job uses, 24 hours against the trailing 7 days.",
        f"{len(counts) // volumes // len(METRICS)} months for each volume, {len(text_counts)} of texts (every six"
        f" hours). Delays at {DELAY_CALLS_PER_HOUR:.0f} calls/h, {len(delays) // len(SHIFTS)} worlds each, from the"
        " shift's first hour to the second breach in a row. A window of 24 hours fills by and by, so a small shift"
        " shows later.",
        f"{raw.get('spans', 0):,} generated spans over {raw.get('days', 0)} days, half of them calls, 4 services, 6"
        f" models, 18 prompt versions. Peak RSS of the process: {peak_rss / MIB:,.0f} MiB.",
        "The parts (counts, texts, time) may be run apart with --only: figures of the others are those of the saved"
        " report, from the machine it names.",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and save its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="spans to generate (10000000)")
    parser.add_argument("--days", type=int, default=30, help="that they spread over (30)")
    parser.add_argument(
        "--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="parts to measure"
    )
    parser.add_argument(
        "--data", type=Path, help="directory to keep the generated spans in, and to find them in"
    )
    parser.add_argument("--worlds", type=int, default=4, help="simulated months per volume (4)")
    parser.add_argument("--processes", type=int, default=2, help="simulations at a time (2)")
    parser.add_argument("--text-worlds", type=int, default=2, help="simulated months of texts (2)")
    parser.add_argument(
        "--volumes", type=float, nargs="+", default=[20.0, 100.0, 600.0], help="calls per hour"
    )
    parser.add_argument("--repeats", type=int, default=5, help="of each shift and question (5)")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gnomon-bench-", ignore_cleanup_errors=True) as home:
        found = run(options, Path(home))
    for goal in found.goals:
        print(f"{goal.what}: {goal.measured} (wanted {goal.goal})")
    print(save(found, options.reports))


if __name__ == "__main__":
    main()
