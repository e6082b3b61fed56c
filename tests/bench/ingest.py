"""``make bench-ingest``: how many spans per second are acknowledged, and how many can be queried."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from tests.bench import profile
from tests.bench.gnomon_server import gnomon_server
from tests.bench.ingest_case import CaseResult, Options, run_case, run_load
from tests.bench.insert_chain import ViewCost
from tests.bench.load import LoadOptions
from tests.bench.machine import ROOT, this_machine
from tests.bench.payloads import SPAN_BYTES
from tests.bench.report import REPORTS, Cell, Goal, Report, Table, save
from tests.bench.stages import REQUEST_SPANS, REQUESTS_PER_BATCH, StageTime
from tests.bench.usage import MIB

GOAL_SPANS_PER_S: Final = 50_000
GOAL_RSS_MIB: Final = 1536


def run_profile(options: Options, data_dir: Path) -> profile.Profile:
    """Run the first case once more for a short time, with py-spy looking at the server."""
    with gnomon_server(data_dir, options.parts) as server:
        load = LoadOptions(
            server.traces_url,
            server.headers,
            spans=options.spans[-1],
            seconds=options.profile_seconds + 4,
            connections=options.connections,
        )
        sender = threading.Thread(target=run_load, args=(load,))
        sender.start()
        time.sleep(2)  # the generator builds its bodies first
        found = profile.record(server.pid, options.profile_seconds, data_dir)
        sender.join()
        return found


def run_stages(batches: int) -> tuple[list[StageTime], list[ViewCost]]:
    """Measure the stages of ingest, and the views of the insert among them."""
    stages = _measured("tests.bench.stages", "--batches", str(batches))
    views = _measured("tests.bench.insert_chain", "--repeats", str(max(3, batches // 3)))
    return [StageTime(**row) for row in stages], [ViewCost(**row) for row in views]


def _measured(module: str, *words: str) -> Any:
    """Run a module in a process of its own (chDB has one engine per process) and return what it prints."""
    answer = subprocess.run(
        [sys.executable, "-m", module, *words, "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout.splitlines()[-1])


def build_report(
    options: Options,
    cases: Sequence[CaseResult],
    stages: Sequence[StageTime],
    views: Sequence[ViewCost],
    profiled: profile.Profile | None,
    base: Report,
) -> Report:
    """Put the figures together."""
    tables = [_rates_table(cases, base.machine.cores), _cost_table(cases), _exactness_table(cases)]
    tables += [_stages_table(stages)] if stages else []
    tables += [_views_table(views)] if views else []
    tables += list(profiled.tables()) if profiled else []
    raw = {
        "cases": [asdict(case) for case in cases],
        "stages": [asdict(stage) for stage in stages],
        "views": [asdict(view) for view in views],
        "profile": asdict(profiled) if profiled else None,
    }
    return replace(
        base,
        goals=_goals(options, cases),
        tables=tables,
        notes=_notes(options, cases, profiled),
        raw=raw,
    )


def _goals(options: Options, cases: Sequence[CaseResult]) -> list[Goal]:
    best = max(cases, key=lambda case: case.queryable_per_s)
    peak_mib = max(case.peak_rss_bytes for case in cases) / MIB
    complete = [case.is_complete for case in cases]
    return [
        Goal(
            f"queryable spans/s over {options.seconds:.0f} s of load and the drain, best case"
            f" ({_case_name(best)}), generator on the same cores",
            f"≥ {GOAL_SPANS_PER_S:,}",
            f"{best.queryable_per_s:,.0f}",
            best.queryable_per_s >= GOAL_SPANS_PER_S,
        ),
        Goal(
            "peak RSS of the server, all cases",
            f"≤ {GOAL_RSS_MIB} MiB",
            f"{peak_mib:,.0f} MiB",
            peak_mib <= GOAL_RSS_MIB,
        ),
        Goal(
            "everything acknowledged is queryable exactly once, in spans and rollups",
            "all cases",
            f"{sum(complete)} of {len(complete)} cases",
            all(complete),
        ),
    ]


def _case_name(case: CaseResult) -> str:
    return f"{case.request_spans} spans, {case.encoding}"


def _rates_table(cases: Sequence[CaseResult], cores: int) -> Table:
    columns = [
        "request",
        "acknowledged spans/s",
        "queryable spans/s, to the end of the drain",
        "queryable spans/s while the load ran",
        "bound without generator, spans/s",
        "ack p50 ms",
        "ack p99 ms",
        "answers",
    ]
    rows: list[list[Cell]] = [
        [
            _case_name(case),
            round(case.acknowledged_per_s),
            round(case.queryable_per_s),
            round(case.queryable_during_load_per_s),
            round(cores * 1e6 / case.server_us_per_span),
            case.load.ack_ms_p50,
            case.load.ack_ms_p99,
            ", ".join(f"{count}× {status}" for status, count in sorted(case.load.statuses.items())),
        ]
        for case in cases
    ]
    return Table("Rates", columns, rows)


def _cost_table(cases: Sequence[CaseResult]) -> Table:
    columns = [
        "request",
        "server CPU µs/span",
        "generator CPU µs/span",
        "cores busy during the load, server + generator",
        "peak RSS MiB",
        "flusher busy",
        "spans per batch",
        "bytes/span in `spans`",
        "inbox files MiB",
        "bytes/span, data directory",
        "bytes/span on the wire",
    ]
    return Table("Cost", columns, [_cost_row(case) for case in cases])


def _cost_row(case: CaseResult) -> list[Cell]:
    server_cores, generator_cores = case.cores_during_load
    return [
        _case_name(case),
        case.server_us_per_span,
        case.generator_us_per_span,
        f"{server_cores:.2f} + {generator_cores:.2f}",
        round(case.peak_rss_bytes / MIB),
        f"{case.flush_busy_s / max(1e-9, case.drained_s):.0%}",
        round(case.load.spans / max(1.0, case.flush_batches)),
        round(case.part_bytes / max(1, case.queryable)),
        round(case.inbox_bytes / MIB),
        round(case.data_bytes / max(1, case.queryable)),
        round(case.load.body_bytes / max(1, case.load.spans)),
    ]


def _exactness_table(cases: Sequence[CaseResult]) -> Table:
    columns = [
        "request",
        "acknowledged",
        "rows in `spans`",
        "unique spans",
        "calls in rollups",
        "failed flushes",
    ]
    rows: list[list[Cell]] = [
        [
            _case_name(case),
            case.load.spans,
            case.queryable,
            case.unique,
            case.in_rollups,
            int(case.flush_failures),
        ]
        for case in cases
    ]
    return Table("Exactness", columns, rows)


def _stages_table(stages: Sequence[StageTime]) -> Table:
    total = sum(stage.cpu_us for stage in stages if stage.is_counted) or 1.0
    rows: list[list[Cell]] = [
        [
            stage.name,
            stage.wall_us,
            stage.cpu_us,
            f"{stage.cpu_us / total:.0%}" if stage.is_counted else "not counted",
        ]
        for stage in stages
    ]
    columns = ["stage", "wall µs/span (median)", "CPU µs/span (mean)", "share of CPU"]
    spans = REQUESTS_PER_BATCH * REQUEST_SPANS
    return Table(f"Stages, one after the other in one process, {spans:,} spans at a time", columns, rows)


def _views_table(views: Sequence[ViewCost]) -> Table:
    rows: list[list[Cell]] = [[view.name, view.per_insert_ms, view.per_span_us] for view in views]
    rows.append(
        ["**all**", sum(view.per_insert_ms for view in views), sum(view.per_span_us for view in views)]
    )
    columns = ["view", "CPU ms per insert, whatever its size", "CPU µs per span"]
    return Table("The insert, view by view", columns, rows)


def _notes(options: Options, cases: Sequence[CaseResult], profiled: profile.Profile | None) -> list[str]:
    parts = " + ".join(options.parts) or "all parts"
    first_error = next((case.load.first_error for case in cases if case.load.first_error), "")
    notes = [
        f"One server process ({parts}), a fresh data directory per case, spans of {SPAN_BYTES} bytes with 19"
        f" attributes, each in a trace of its own, {options.connections} keep-alive connections. Each sends"
        " its next request when the last one is answered; a refused one is tried again after at most 1 s.",
        "Server and generator share the cores. *Bound without generator* is cores divided by the server's CPU"
        " time per span: what could be reached if the server had all cores to itself and kept them busy. It"
        " is a bound, not a measurement.",
        "*Queryable, to the end of the drain* divides everything acknowledged by the time from the first"
        " request until `SELECT count()` had it all: while the inbox drains, the generator rests. The inbox may"
        f" hold {options.inbox_mib} MiB (GNOMON_INBOX_MAX_BYTES; the default is 2 GiB), so that a load that is"
        " too fast is told so (503) well within the run; before that, acknowledged runs ahead of queryable.",
        "Stages are timed with nothing else running, batch by batch into one growing minute as in the server."
        " CPU is that of the whole process, ClickHouse's threads and merges included.",
        "A view's cost is a difference between two measurements: below some 2 µs per span it is noise.",
        "The data directory is measured after the drain, with parts not merged yet and with the inbox's file,"
        " which keeps the size it once had and is filled again.",
        "gzip bodies are put together from pieces compressed beforehand (level 6): the generator would else"
        " spend 70 µs on a span. They are 14 % larger than bodies compressed at once.",
    ]
    if first_error:
        notes.append(f"First refusal: {first_error}")
    if profiled is not None and profiled.note:
        notes.append(f"No profile: {profiled.note}")
    return notes


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and save its report."""
    parsed = _parser().parse_args(arguments)
    options = Options(
        seconds=parsed.seconds,
        spans=tuple(parsed.spans),
        encodings=tuple(parsed.encodings),
        parts=tuple(parsed.parts),
        connections=parsed.connections,
        inbox_mib=parsed.inbox_mib,
        profile_seconds=parsed.profile_seconds,
        stage_batches=parsed.stage_batches,
    )
    with tempfile.TemporaryDirectory(prefix="gnomon-bench-", ignore_cleanup_errors=True) as home:
        print(save(run(options, Path(home)), parsed.reports))


def run(options: Options, home: Path) -> Report:
    """Run everything, with data in `home`."""
    started = time.monotonic()
    machine = this_machine(home)
    cases = []
    for spans in options.spans:
        for encoding in options.encodings:
            case = run_case(options, spans, encoding, home / f"{spans}-{encoding}")
            print(_progress(case), flush=True)
            cases.append(case)
    stages, views = run_stages(options.stage_batches) if options.stage_batches else ([], [])
    profiled = run_profile(options, home / "profile") if options.profile_seconds else None
    command = f"python -m tests.bench.ingest --seconds {options.seconds:g}"
    base = Report("ingest", "Ingest", command, machine, time.monotonic() - started, (), (), ())
    return build_report(options, cases, stages, views, profiled, base)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load per case (60)")
    parser.add_argument("--spans", type=int, nargs="+", default=[100, 500], help="per request (100 500)")
    parser.add_argument("--encodings", nargs="+", default=["identity", "gzip"], choices=["identity", "gzip"])
    parser.add_argument("--parts", nargs="*", default=[], help="of the server; all by default")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--inbox-mib", type=int, default=512, help="GNOMON_INBOX_MAX_BYTES in MiB (512)")
    parser.add_argument("--profile-seconds", type=float, default=16.0, help="with py-spy, 0 for none (16)")
    parser.add_argument("--stage-batches", type=int, default=30, help="of the stage benchmark (30)")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    return parser


def _progress(case: CaseResult) -> str:
    return (
        f"{_case_name(case)}: {case.acknowledged_per_s:,.0f} acknowledged/s,"
        f" {case.queryable_per_s:,.0f} queryable/s, {case.server_us_per_span:.1f} µs CPU/span,"
        f" {case.peak_rss_bytes / MIB:,.0f} MiB, {'complete' if case.is_complete else 'NOT COMPLETE'}"
    )


if __name__ == "__main__":
    main()
