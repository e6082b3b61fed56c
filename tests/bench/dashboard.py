"""``make bench-dashboard``: every panel over many spans, pages in Chromium, thirty viewers beside an ingest."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.bench.dashboard_browser import PageLoad, load_pages, refresh_requests
from tests.bench.dashboard_panels import page_paths, panel_cases, trace_cases
from tests.bench.dashboard_questions import CaseTime, time_case
from tests.bench.dashboard_viewers import Beside, ingest_beside
from tests.bench.generated import PROJECT, Generated, generated, sizes, wait_for_merges
from tests.bench.gnomon_server import GnomonServer, gnomon_server
from tests.bench.machine import this_machine
from tests.bench.quantiles import quantile
from tests.bench.report import REPORTS, Cell, Goal, Report, Table, run_and_save
from tests.bench.usage import MIB, UsageWatch, usage

from gnomon_collector.store.engine import Store, open_store
from gnomon_collector.store.migrations import migrate
from gnomon_dashboard.state import PRESETS

RANGES: Final = ("1h", "24h", "7d", "30d")
GOAL_PANEL_MS: Final = 300
GOAL_PANEL_MS_BIG: Final = 500
BIG_ROWS: Final = 100_000_000
GOAL_WARM_MS: Final = 1000
GOAL_FIRST_BYTES: Final = 3_000_000
GOAL_RELOAD_BYTES: Final = 50_000
GOAL_VIEWED_MS: Final = 500
GOAL_INGEST_RATIO: Final = 0.99
_WATCHED: Final = ("/", "/latency", "/cost", "/traces")
_LOOK_S: Final = 5.0
_AT_REST_CPU_S: Final = 0.25
_LONGEST_SETTLE_S: Final = 300.0


def run(options: argparse.Namespace, home: Path) -> Report:
    """Measure all parts, one after the other, and put the figures together; data goes to `home`."""
    started = time.monotonic()
    machine = this_machine(home)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with UsageWatch(os.getpid()) as watch, open_store(f"chdb://{home / 'chdb'}", data_dir=home) as store:
        migrate(store)
        made = generated(store, spans=options.rows, days=options.days, now=now)
        generated_s = time.monotonic() - started
        wait_for_merges(store)
        times = _panel_times(store, options, now)
        times += [time_case(store, case, now, options.repeats) for case in trace_cases(store, made)]
        paths = list(page_paths(store))
        tables = sizes(store)
    with gnomon_server(home, environment={"GNOMON_AUTH": "off"}) as server:
        _settle(server.pid)
        ui_url = server.server.ui_url
        loads = load_pages(ui_url, [f"{path}?project={PROJECT}&range=24h&refresh=0" for path in paths])
        besides = _beside(server, options)
        server_rss = usage(server.pid).rss_bytes
    return Report(
        name="dashboard",
        title="Dashboard",
        command=f"python -m tests.bench.dashboard --rows {options.rows}",
        machine=machine,
        seconds=time.monotonic() - started,
        goals=[*_panel_goals(times, made.spans), *_page_goals(loads), *_viewer_goals(besides)],
        tables=[
            _slowest_table(times),
            _pages_table(times),
            _loads_table(loads),
            _viewers_table(besides),
            _sizes_table(tables, made),
        ],
        notes=_notes(options, made.spans, generated_s, watch.peak_rss_bytes, server_rss),
        raw={
            "times": [asdict(one) for one in times],
            "loads": [asdict(one) for one in loads],
            "beside": [asdict(one) for one in besides],
            "sizes": tables,
        },
    )


def _settle(pid: int) -> None:
    """Wait until the server has done in the background what spans of a month, there at once, give it to do."""
    give_up_at = time.monotonic() + _LONGEST_SETTLE_S
    while time.monotonic() < give_up_at:
        before_s = usage(pid).cpu_s
        time.sleep(_LOOK_S)
        if usage(pid).cpu_s - before_s < _AT_REST_CPU_S:
            return


def _panel_times(store: Store, options: argparse.Namespace, now: datetime) -> list[CaseTime]:
    times = []
    for preset in options.ranges:
        for case in panel_cases(store, preset):
            times.append(time_case(store, case, now, options.repeats))
            print(f"{times[-1].p95_ms:8.1f} ms p95  {case.page}: {case.name} {preset}", flush=True)
    return times


def _beside(server: GnomonServer, options: argparse.Namespace) -> list[Beside]:
    searches = [f"{path}?project={PROJECT}&range=24h" for path in _WATCHED]
    pages = refresh_requests(server.server.ui_url, searches)
    return [
        ingest_beside(server, pages, viewers=viewers, seconds=options.seconds, rate=options.rate)
        for viewers in (0, options.viewers)
    ]


# --- goals ----------------------------------------------------------------------------------


def _panel_goals(times: Sequence[CaseTime], spans: int) -> list[Goal]:
    limit = GOAL_PANEL_MS if spans < BIG_ROWS / 2 else GOAL_PANEL_MS_BIG
    worst = max(times, key=lambda one: one.p95_ms)
    slow = sum(one.p95_ms > limit for one in times)
    return [
        Goal(
            f"dashboard: p95 of every query of every page over {spans / 1e6:.3g} M spans",
            f"≤ {limit} ms",
            f"worst {worst.p95_ms:,.0f} ms ({worst.page}: {worst.name}, {worst.range});"
            f" {slow} of {len(times)} are slower than that",
            slow == 0,
        )
    ]


def _page_goals(loads: Sequence[PageLoad]) -> list[Goal]:
    first = max((one for one in loads if one.is_first), key=lambda one: one.transferred_bytes)
    warm = [one for one in loads if not one.is_first]
    slowest = max(warm, key=lambda one: one.interactive_ms)
    largest = max(warm, key=lambda one: one.transferred_bytes)
    restless = [one.path for one in loads if not one.came_to_rest]
    return [
        Goal(
            "dashboard: loads of pages that came to rest",
            "all",
            f"{len(loads) - len(restless)} of {len(loads)}{': not ' if restless else ''}{', '.join(restless)}",
            not restless,
        ),
        Goal(
            "dashboard: a page shown before is interactive again",
            f"≤ {GOAL_WARM_MS / 1e3:g} s",
            f"slowest {slowest.interactive_ms / 1e3:.2f} s ({slowest.path})",
            slowest.interactive_ms <= GOAL_WARM_MS,
        ),
        Goal(
            "dashboard: bytes of a first load",
            f"≤ {GOAL_FIRST_BYTES / 1e6:g} MB",
            f"most {first.transferred_bytes / 1e6:.2f} MB ({first.path})",
            first.transferred_bytes <= GOAL_FIRST_BYTES,
        ),
        Goal(
            "dashboard: bytes of a reload",
            f"≤ {GOAL_RELOAD_BYTES / 1e3:g} KB",
            f"most {largest.transferred_bytes / 1e3:.0f} KB ({largest.path})",
            largest.transferred_bytes <= GOAL_RELOAD_BYTES,
        ),
    ]


def _viewer_goals(besides: Sequence[Beside]) -> list[Goal]:
    alone, watched = besides
    p95_ms = quantile(watched.answers_ms, 0.95)
    ratio = watched.stored / max(1, alone.stored)
    return [
        Goal(
            f"dashboard: p95 of a panel, {watched.viewers} viewers beside an ingest",
            f"≤ {GOAL_VIEWED_MS} ms",
            f"{p95_ms:,.0f} ms, {watched.failed} of {len(watched.answers_ms):,} failed",
            p95_ms <= GOAL_VIEWED_MS and not watched.failed,
        ),
        Goal(
            f"dashboard: spans stored beside {watched.viewers} viewers against none",
            f"≥ {GOAL_INGEST_RATIO:g}",
            f"{ratio:.3f}",
            ratio >= GOAL_INGEST_RATIO,
        ),
    ]


# --- tables ---------------------------------------------------------------------------------


def _slowest_table(times: Sequence[CaseTime], most: int = 25) -> Table:
    slowest = sorted(times, key=lambda one: -one.p95_ms)[:most]
    rows: list[list[Cell]] = [
        [one.page, one.name, one.range, one.p50_ms, one.p95_ms, one.first_ms] for one in slowest
    ]
    return Table("The slowest queries", ["page", "query", "range", "p50 ms", "p95 ms", "first ms"], rows)


def _pages_table(times: Sequence[CaseTime]) -> Table:
    rows: list[list[Cell]] = []
    for page in dict.fromkeys(one.page for one in times):
        own = [one for one in times if one.page == page]
        p50 = [one.p50_ms for one in own]
        rows.append([page, len(own), quantile(p50, 0.5), max(p50), max(one.p95_ms for one in own)])
    columns = ["page", "queries, all ranges", "median p50 ms", "highest p50 ms", "highest p95 ms"]
    return Table("Queries by page", columns, rows)


def _loads_table(loads: Sequence[PageLoad]) -> Table:
    rows: list[list[Cell]] = [
        [
            one.path,
            "first" if one.is_first else "again",
            one.interactive_ms,
            one.complete_ms,
            one.transferred_bytes / 1e3,
            one.requests,
            one.heap_bytes / MIB,
        ]
        for one in loads
    ]
    columns = ["page", "load", "interactive ms", "panels in sight ms", "KB", "requests", "heap MiB"]
    return Table("Pages in Chromium, 24 hours", columns, rows)


def _viewers_table(besides: Sequence[Beside]) -> Table:
    rows: list[list[Cell]] = [
        [
            one.viewers,
            one.load.spans,
            one.stored,
            one.load.ack_ms_p50,
            one.load.ack_ms_p99,
            len(one.answers_ms),
            quantile(one.answers_ms, 0.5) if one.answers_ms else 0.0,
            quantile(one.answers_ms, 0.95) if one.answers_ms else 0.0,
        ]
        for one in besides
    ]
    columns = ["viewers", "spans acknowledged", "spans stored", "ack p50 ms", "ack p99 ms"]
    return Table("Viewers beside an ingest", [*columns, "panels asked", "panel p50 ms", "panel p95 ms"], rows)


def _sizes_table(by_table: dict[str, tuple[int, int, int]], made: Generated) -> Table:
    rows: list[list[Cell]] = [
        [table, count, size / MIB, size / max(1, made.spans), parts]
        for table, (count, size, parts) in by_table.items()
    ]
    return Table("Tables", ["table", "rows", "MiB on disk", "bytes per span", "parts"], rows)


def _notes(
    options: argparse.Namespace, spans: int, generated_s: float, peak_rss: int, server_rss: int
) -> list[str]:
    return [
        f"{spans:,} spans over {options.days} days in {generated_s:.0f} s: 20 services of which the first has a"
        " third of the traffic, 30 models, 50,000 users, 40 prompts in 5 versions (tests/bench/generated_day.sql).",
        "Queries: every panel of the registry of pages that stands on a page's first layout, and what the"
        " Traces page and the page of a trace ask, at each range, timed in one process on embedded chDB without"
        f" HTTP and figures; {options.repeats} answers each, fewer of a slow one, the clock a minute earlier"
        " with each. Pages of one user, session, company or prompt are those of the one with most spans.",
        "Pages: once the server is at rest; a Chromium with an empty profile for each, 1440 by 1000, over loopback; bytes are those on the"
        " wire. Interactive: the heading stands there. Panels in sight: no request was under way for"
        " half a second, which is not counted.",
        f"Viewers: what Chromium posts at one refresh of {', '.join(_WATCHED)} at 24 hours was recorded, and"
        f" {options.viewers} HTTP clients post it again every ten seconds, evenly spread, over six connections"
        f" each, for {options.seconds:g} s beside {options.rate:,.0f} spans/s. Clients, load"
        " generator and server share the machine.",
        f"Peak RSS of the process that generated and asked: {peak_rss / MIB:,.0f} MiB; of the server at the end:"
        f" {server_rss / MIB:,.0f} MiB.",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and save its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="spans to generate (10000000)")
    parser.add_argument("--days", type=int, default=30, help="that they spread over (30)")
    parser.add_argument("--ranges", nargs="+", default=list(RANGES), choices=list(PRESETS))
    parser.add_argument("--repeats", type=int, default=6, help="of each query (6)")
    parser.add_argument("--viewers", type=int, default=30, help="on live refresh (30)")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of ingest, with viewers and without (60)"
    )
    parser.add_argument("--rate", type=float, default=1000.0, help="spans per second meanwhile (1000)")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    options = parser.parse_args(arguments)
    run_and_save(lambda home: run(options, home), options.reports)


if __name__ == "__main__":
    main()
