"""``make bench-queries``: how long the dashboard's queries take over many spans."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tests.bench.generated import PROJECT, Generated, generate
from tests.bench.machine import this_machine
from tests.bench.quantiles import quantile
from tests.bench.report import REPORTS, Cell, Goal, Report, Table, run_and_save
from tests.bench.usage import MIB, UsageWatch

from gnomon_collector.store.engine import Store, open_store
from gnomon_collector.store.migrations import migrate
from gnomon_collector.store.queries import filters, overview, trace, traces
from gnomon_collector.store.queries.filters import Window
from gnomon_dashboard import state
from gnomon_dashboard.state import PRESETS, ViewState

GOAL_P95_MS: Final = 300
RANGES: Final = ("1h", "24h", "7d", "30d")
PAGE_ROWS: Final = 100
_FEWEST_REPEATS: Final = 5
_CASE_BUDGET_S: Final = 12.0
_MERGES_S: Final = 60.0

Question = Callable[[Store, datetime], object]


@dataclass(frozen=True)
class Case:
    """A question of the dashboard, asked again and again for a clock that moves a minute each time."""

    page: str
    name: str
    range: str
    ask: Question


@dataclass(frozen=True)
class CaseTime:
    """How long a question took, in ms.

    Attributes:
        rows: in the first answer, 0 where it is not a list.
        first_ms: the first answer, before any cache was warm.
    """

    page: str
    name: str
    range: str
    repeats: int
    rows: int
    first_ms: float
    p50_ms: float
    p95_ms: float


def overview_cases(preset: str) -> Iterator[Case]:
    """Yield what the Overview asks for one range; every panel is one of these queries."""
    panels: dict[str, Callable[[Store, filters.Scope, Window], object]] = {
        "tiles and success over time": overview.traffic,
        "latency over time and its distribution": overview.latency,
        "tokens and cost by model": overview.usage_by_model,
        "success distribution": overview.outcomes,
    }
    for name, ask in panels.items():
        yield Case("Overview", name, preset, _over_window(ask, preset))
    yield Case("Overview", "values of the filters", preset, _filter_options(preset))


def _over_window(ask: Callable[[Store, filters.Scope, Window], object], preset: str) -> Question:
    view = ViewState(range=preset)
    return lambda store, now: ask(store, state.scope(view, PROJECT), state.window(view, now))


def _filter_options(preset: str) -> Question:
    view = ViewState(range=preset)
    return lambda store, now: filters.filter_options(store, PROJECT, state.window(view, now))


def traces_cases(preset: str) -> Iterator[Case]:
    """Yield what the Traces page asks for one range."""
    views = {
        "traces, newest first": ViewState(range=preset),
        "traces, slowest first": ViewState(range=preset, sort="-latency_ms"),
        "traces, of one model": ViewState(range=preset, models=("gpt-4o",)),
        "traces, with a text": ViewState(range=preset, text="voucher express password"),
        "traces, failed ones": ViewState(range=preset, filter=state.equals_filter("status", "error")),
        "calls, newest first": ViewState(range=preset, rows="calls"),
        "calls, dearest first": ViewState(range=preset, rows="calls", sort="-cost_usd"),
    }
    for name, view in views.items():
        yield Case("Traces", name, preset, _page(view))
    yield Case("Traces", "number of traces", preset, _count(ViewState(range=preset)))


def _page(view: ViewState) -> Question:
    return lambda store, now: traces.page(
        store, state.trace_query(view, PROJECT, now), offset=0, limit=PAGE_ROWS
    )


def _count(view: ViewState) -> Question:
    return lambda store, now: traces.count(store, state.trace_query(view, PROJECT, now))


def trace_cases(store: Store, made: Generated) -> Iterator[Case]:
    """Yield what the page of one trace asks; the trace is one from the middle of all."""
    middle = made.now - timedelta(days=made.days / 2)
    query = state.trace_query(ViewState(range="24h"), PROJECT, middle)
    found = traces.page(store, query, offset=0, limit=1)
    if not found:
        return
    trace_id = str(found[0]["trace_id"])
    span_id = trace.spans(store, PROJECT, trace_id)[-1].span_id
    yield Case("Trace", "waterfall", "", lambda store, _: trace.spans(store, PROJECT, trace_id))
    yield Case("Trace", "one span", "", lambda store, _: trace.span(store, PROJECT, trace_id, span_id))
    yield Case("Trace", "scores", "", lambda store, _: trace.scores(store, PROJECT, trace_id))


def time_case(store: Store, case: Case, now: datetime, repeats: int) -> CaseTime:
    """Ask `repeats` times, fewer when that takes too long, and return how long it took."""
    took_ms: list[float] = []
    rows = 0
    began = time.monotonic()
    for number in range(repeats):
        started = time.perf_counter()
        answer = case.ask(store, now - timedelta(minutes=number))
        took_ms.append(1e3 * (time.perf_counter() - started))
        rows = rows or (len(answer) if isinstance(answer, list) else 0)
        if number + 1 >= _FEWEST_REPEATS and time.monotonic() - began > _CASE_BUDGET_S:
            break
    return CaseTime(
        case.page,
        case.name,
        case.range,
        len(took_ms),
        rows,
        took_ms[0],
        quantile(took_ms, 0.5),
        quantile(took_ms, 0.95),
    )


def run(options: argparse.Namespace, home: Path) -> Report:
    """Generate, ask, and put the figures together; data goes to `home`."""
    started = time.monotonic()
    machine = this_machine(home)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with UsageWatch(os.getpid()) as watch, open_store(f"chdb://{home / 'chdb'}", data_dir=home) as store:
        migrate(store)
        made = generated(store, options, now)
        generated_s = time.monotonic() - started
        wait_for_merges(store)
        cases = [
            case for preset in options.ranges for case in (*overview_cases(preset), *traces_cases(preset))
        ]
        times = []
        for case in (*cases, *trace_cases(store, made)):
            times.append(time_case(store, case, now, options.repeats))
            print(_progress(times[-1]), flush=True)
        raw = {
            "times": [asdict(one) for one in times],
            "rows": {_name(one): one.rows for one in times},
            "sizes": (by_table := sizes(store)),
            "calls_in_rollups": _calls_in_rollups(store),
        }
    base = Report(
        name="queries",
        title="Dashboard queries",
        command=f"python -m tests.bench.queries --rows {options.rows}",
        machine=machine,
        seconds=time.monotonic() - started,
        goals=_goals(times, made),
        tables=[_times_table(times), sizes_table(by_table, made)],
        notes=_notes(options, made, generated_s, watch.peak_rss_bytes),
    )
    return replace(base, raw=raw)


def generated(store: Store, options: argparse.Namespace, now: datetime) -> Generated:
    """Fill the store with `options.rows` spans over `options.days` until `now` (UTC)."""
    made = Generated(now, options.days, 0)
    for made in generate(store, spans=options.rows, days=options.days, now=now):
        print(f"{made.spans:,} spans", end="\r", flush=True)
    print()
    return made


def wait_for_merges(store: Store) -> None:
    """Wait until nothing is merged any more, for a minute at most."""
    give_up_at = time.monotonic() + _MERGES_S
    quiet = 0
    while quiet < 3 and time.monotonic() < give_up_at:
        time.sleep(0.5)
        quiet = 0 if store.query("SELECT 1 FROM system.merges LIMIT 1").rows else quiet + 1


def sizes(store: Store) -> dict[str, tuple[int, int, int]]:
    """Return rows, bytes on disk and parts of each large table."""
    rows = store.query(
        "SELECT table, sum(rows), sum(bytes_on_disk), count() FROM system.parts"
        " WHERE active AND database = {database:String} GROUP BY table ORDER BY sum(rows) DESC",
        {"database": store.database},
    ).rows
    wanted = ("spans", "calls_per_minute", "calls_per_hour", "trace_summaries")
    return {
        str(table): (int(str(count)), int(str(size)), int(str(parts)))
        for table, count, size, parts in rows
        if table in wanted
    }


def _calls_in_rollups(store: Store) -> int:
    return int(str(store.query("SELECT sum(calls) FROM calls_per_hour FINAL").rows[0][0]))


def _goals(times: Sequence[CaseTime], made: Generated) -> list[Goal]:
    goals = []
    for page in dict.fromkeys(one.page for one in times):
        of_page = [one for one in times if one.page == page]
        worst = max(of_page, key=lambda one: one.p95_ms)
        slow = sum(one.p95_ms > GOAL_P95_MS for one in of_page)
        goals.append(
            Goal(
                f"{page}: p95 of every query over {made.spans / 1e6:.3g} M spans",
                f"≤ {GOAL_P95_MS} ms",
                f"worst {worst.p95_ms:,.0f} ms ({f'{worst.name}, {worst.range}'.rstrip(', ')});"
                f" {slow} of {len(of_page)} are slower than that",
                slow == 0,
            )
        )
    return goals


def _times_table(times: Sequence[CaseTime]) -> Table:
    rows: list[list[Cell]] = [
        [one.page, one.name, one.range, one.p50_ms, one.p95_ms, one.first_ms, one.repeats] for one in times
    ]
    return Table("Queries", ["page", "query", "range", "p50 ms", "p95 ms", "first ms", "times asked"], rows)


def sizes_table(by_table: dict[str, tuple[int, int, int]], made: Generated) -> Table:
    """Return what `sizes` found as a table."""
    rows: list[list[Cell]] = [
        [table, count, size / MIB, size / max(1, made.spans), parts]
        for table, (count, size, parts) in by_table.items()
    ]
    return Table("Tables", ["table", "rows", "MiB on disk", "bytes per span", "parts"], rows)


def _notes(options: argparse.Namespace, made: Generated, generated_s: float, peak_rss: int) -> list[str]:
    return [
        f"{made.spans:,} spans over {made.days} days, 4 to a trace of which 2 are model calls, made by the"
        f" database out of numbers (tests/bench/generated_day.sql), in {generated_s:.0f} s with the rollups,"
        " which `rollups.recompute` of the collector made. A span has 150 characters of question, 230 of"
        " answer and 8 attributes: about 1 KB, less than the 2.6 KB of the ingest benchmark.",
        "Timed in one process on embedded chDB, from the call of a function of"
        " `gnomon_collector.store.queries` to its typed result, without HTTP and figures. The clock moves a"
        f" minute with each repetition. p95 of {options.repeats} answers is the second slowest; a slow query"
        f" is asked fewer times, {_FEWEST_REPEATS} at least. Files are in the page cache.",
        f"Peak RSS of the process, generation included: {peak_rss / MIB:,.0f} MiB.",
    ]


def _name(one: CaseTime) -> str:
    return f"{one.page}: {one.name} {one.range}".rstrip()


def _progress(one: CaseTime) -> str:
    return f"{one.p50_ms:8.1f} ms p50 {one.p95_ms:8.1f} ms p95  {_name(one)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and save its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="spans to generate (10000000)")
    parser.add_argument("--days", type=int, default=30, help="that they spread over (30)")
    parser.add_argument("--ranges", nargs="+", default=list(RANGES), choices=list(PRESETS))
    parser.add_argument("--repeats", type=int, default=20, help="of each query (20)")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    options = parser.parse_args(arguments)
    run_and_save(lambda home: run(options, home), options.reports)


if __name__ == "__main__":
    main()
