"""``make bench-freshness``: how soon after its ack a span can be queried, and what idling costs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.gnomon_server import gnomon_server
from tests.bench.idle import IdlePhase, Rest, come_to_rest, measure_idle
from tests.bench.load import LoadOptions
from tests.bench.machine import this_machine
from tests.bench.quantiles import quantile
from tests.bench.report import REPORTS, Cell, Goal, Report, Table, run_and_save
from tests.bench.usage import MIB, UsageWatch
from tests.bench.visibility import POLL_S, Visibility, watch_load

GOAL_P99_S: Final = 1.0
GOAL_CPU_PERCENT: Final = 1.0
GOAL_RSS_MB: Final = 400
GOAL_DISK_MIB_PER_DAY: Final = 1.0
_CONNECTIONS: Final = 4
_PAGE_SETTLES_S: Final = 15.0
_DAY_S: Final = 86_400
_MB: Final = 1_000_000


@dataclass(frozen=True)
class LoadCost:
    """What the server used while it took in the load, the queries of the benchmark included."""

    cpu_percent: float
    peak_rss_bytes: int


def run(options: argparse.Namespace, home: Path) -> Report:
    """Run everything, with data in `home`."""
    started = time.monotonic()
    machine = this_machine(home)
    with gnomon_server(home / "data") as server, UsageWatch(server.pid) as watch:
        load = LoadOptions(
            server.traces_url,
            server.headers,
            spans=options.spans,
            seconds=options.seconds,
            connections=_CONNECTIONS,
            rate=options.rate,
            markers=True,
        )
        visible = watch_load(server, load)
        watch.look()
        cost = LoadCost(100 * watch.cpu_s / max(1e-9, visible.load.seconds), watch.peak_rss_bytes)
    rest, phases = _idle(options, home / "data")
    raw: dict[str, Any] = {
        "visibility": asdict(visible),
        "cost": asdict(cost),
        "rest": asdict(rest),
        "idle": [asdict(phase) for phase in phases],
    }
    return Report(
        name="freshness",
        title="Freshness and idling",
        command=f"python -m tests.bench.freshness --seconds {options.seconds:g} --rate {options.rate:g}",
        machine=machine,
        seconds=time.monotonic() - started,
        goals=[*_freshness_goals(options, visible), *_idle_goals(phases)],
        tables=[_freshness_table(visible), _cost_table(visible, cost), *_idle_tables(phases)],
        notes=_notes(options, visible, rest),
        raw=raw,
    )


def _idle(options: argparse.Namespace, data_dir: Path) -> tuple[Rest, list[IdlePhase]]:
    if not options.idle_seconds:
        return Rest(0.0, ()), []
    # Started anew on the data of the load, so that memory is that of an idle server, not of one after a rush.
    with gnomon_server(data_dir) as server:
        rest = come_to_rest(server, options.settle_seconds)
        return rest, measure_idle(
            server,
            each_s=options.idle_seconds,
            settle_s=_PAGE_SETTLES_S,
        )


def _freshness_goals(options: argparse.Namespace, visible: Visibility) -> list[Goal]:
    p99_s = quantile(visible.spans_s, 0.99)
    return [
        Goal(
            f"ack to queryable, p99 at {options.rate:,.0f} spans/s",
            f"≤ {GOAL_P99_S:g} s",
            f"{p99_s:.2f} s",
            p99_s <= GOAL_P99_S and not visible.missing,
        )
    ]


def _idle_goals(phases: Sequence[IdlePhase]) -> list[Goal]:
    if not phases:
        return []
    still = [phase for phase in phases if "every" not in phase.name]
    cpu_percent = max(phase.cpu_percent for phase in still)
    shortest_s = min(phase.seconds for phase in still)
    rss_mb = max(phase.rss_bytes for phase in phases) / _MB
    growth = _disk_mib_per_day(phases)
    return [
        Goal(
            f"idle CPU, no page or the Overview open, live refresh off, {shortest_s:.0f} s each",
            f"≤ {GOAL_CPU_PERCENT:g} % of a core",
            f"{cpu_percent:.2f} %",
            cpu_percent <= GOAL_CPU_PERCENT,
        ),
        Goal(
            "idle RSS, Overview open",
            f"≤ {GOAL_RSS_MB} MB",
            f"{rss_mb:,.0f} MB",
            rss_mb <= GOAL_RSS_MB,
        ),
        Goal(
            "disk growth when idle",
            f"≤ {GOAL_DISK_MIB_PER_DAY:g} MiB a day",
            f"{growth:.2f} MiB a day",
            growth <= GOAL_DISK_MIB_PER_DAY,
        ),
    ]


def _disk_mib_per_day(phases: Sequence[IdlePhase]) -> float:
    """Growth alone: what merges free in one phase must not hide what another phase writes."""
    grown = sum(max(0, phase.disk_growth_bytes) for phase in phases)
    return grown / sum(phase.seconds for phase in phases) * _DAY_S / MIB


def _freshness_table(visible: Visibility) -> Table:
    rows: list[list[Cell]] = [
        [
            name,
            quantile(lags, 0.5),
            quantile(lags, 0.9),
            quantile(lags, 0.99),
            max(lags, default=0.0),
            len(lags),
        ]
        for name, lags in (
            ("found in `spans` by trace id", visible.spans_s),
            ("counted in the Overview's rollups", visible.charts_s),
        )
    ]
    columns = ["from ack until", "p50 s", "p90 s", "p99 s", "longest s", "requests"]
    return Table("Freshness", columns, rows)


def _cost_table(visible: Visibility, cost: LoadCost) -> Table:
    columns = [
        "spans acknowledged",
        "requests never found",
        "ack p50 ms",
        "ack p99 ms",
        "server CPU, % of a core",
        "peak RSS MiB",
        "look-up p50 ms",
    ]
    row: list[Cell] = [
        visible.load.spans,
        visible.missing,
        visible.load.ack_ms_p50,
        visible.load.ack_ms_p99,
        cost.cpu_percent,
        round(cost.peak_rss_bytes / MIB),
        1e3 * quantile(visible.query_s, 0.5),
    ]
    return Table("During that load", columns, [row])


def _idle_tables(phases: Sequence[IdlePhase]) -> list[Table]:
    if not phases:
        return []
    columns = ["phase", "seconds", "CPU, % of a core", "RSS MB", "disk growth, bytes"]
    rows: list[list[Cell]] = [
        [
            phase.name,
            round(phase.seconds),
            phase.cpu_percent,
            round(phase.rss_bytes / _MB),
            phase.disk_growth_bytes,
        ]
        for phase in phases
    ]
    return [Table("Idle", columns, rows)]


def _notes(options: argparse.Namespace, visible: Visibility, rest: Rest) -> list[str]:
    notes = [
        f"Requests of {options.spans} spans over {_CONNECTIONS} connections. A request counts as visible when"
        f" the answer of a query that finds it has arrived; one query looks every {POLL_S * 1e3:.0f} ms for"
        " all that wait, through the admin API of the same server. So the figures are upper bounds, and the"
        " server's CPU includes that polling.",
        "Idle: the server is started anew on the data of the load, rests until what the load leaves to be done"
        " in the background is done (inbox empty, no merge, merged parts removed, traces summarised, which they"
        " are a minute after their ten minutes are over), and is measured with no page, with the Overview open"
        f" in a real Chromium, and with it refreshing itself, {options.idle_seconds:g} s each, since some jobs run"
        f" once a minute. It rested for {rest.seconds:,.0f} s;"
        f" left to be done: {', '.join(rest.left) or 'nothing'}. Chromium's own CPU is not counted.",
        "Disk growth per day is extrapolated from the phases in which the directory grew: one 4 KiB block"
        " more or less makes megabytes of it. It shrinks when merged parts are removed.",
    ]
    if visible.load.first_error:
        notes.append(f"First refusal: {visible.load.first_error}")
    return notes


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and save its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of load (30)")
    parser.add_argument("--rate", type=float, default=1000.0, help="spans per second (1000)")
    parser.add_argument("--spans", type=int, default=50, help="per request (50)")
    parser.add_argument(
        "--idle-seconds", type=float, default=120.0, help="of each state of idling, 0 for none (120)"
    )
    parser.add_argument(
        "--settle-seconds",
        type=float,
        default=1200.0,
        help="of rest before idling at the most: until background work on the load is done (1200)",
    )
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    options = parser.parse_args(arguments)
    run_and_save(lambda home: run(options, home), options.reports)


if __name__ == "__main__":
    main()
