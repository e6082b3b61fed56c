"""``make bench-peers``: the same requests against Gnomon, Arize Phoenix and MLflow, side by side."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.bench.gnomon_server import BenchError, gnomon_server
from tests.bench.ingest_case import run_load
from tests.bench.load import LoadOptions, LoadResult
from tests.bench.machine import this_machine
from tests.bench.payloads import SPAN_BYTES
from tests.bench.peer_servers import PEERS, Peer, install, running
from tests.bench.report import REPORTS, Cell, Goal, Report, Table, save
from tests.bench.usage import MIB, UsageWatch, disk_bytes

GNOMON: Final = "Gnomon"
REQUEST_SPANS: Final = 100
_CONNECTIONS: Final = 4
_POLL_S: Final = 0.2
# A count by pages costs the server more than the load; it is asked again after as long as it took.
_COUNT_REST: Final = 1.0


@dataclass(frozen=True)
class PeerResult:
    """What came of the load on one server.

    Attributes:
        server: name and version.
        visible: spans found by its own API, of those acknowledged.
        visible_s: from the first request until all were found, or until the wait was over.
        cpu_s: CPU seconds of the server up to then, the counting included.
        idle_rss_bytes: before the load.
        disk_bytes: its data directory, less what was there before the load.
    """

    server: str
    load: LoadResult
    visible: int
    visible_s: float
    cpu_s: float
    idle_rss_bytes: int
    peak_rss_bytes: int
    disk_bytes: int

    @property
    def acknowledged_per_s(self) -> float:
        """Spans per second of load."""
        return self.load.spans / max(1e-9, self.load.seconds)

    @property
    def visible_per_s(self) -> float:
        """Spans per second from the first request to the last span found."""
        return self.visible / max(1e-9, self.visible_s)


@dataclass(frozen=True)
class _Target:
    """A running server under test."""

    name: str
    pid: int
    traces_url: str
    headers: tuple[tuple[str, str], ...]
    data_dir: Path
    count: Callable[[], int]


def measure(target: _Target, *, max_spans: int, seconds: float, wait_s: float) -> PeerResult:
    """Send `max_spans` spans (0: as many as go in `seconds`) and wait until all can be found."""
    before, disk_before = target.count(), disk_bytes(target.data_dir)
    with UsageWatch(target.pid) as watch:
        idle_rss = watch.look().rss_bytes
        load = run_load(
            LoadOptions(
                target.traces_url,
                target.headers,
                spans=REQUEST_SPANS,
                seconds=seconds,
                max_spans=max_spans,
                connections=_CONNECTIONS,
            )
        )
        visible, seen_at = _wait_until_visible(target, before, load.spans, wait_s)
        watch.look()
        return PeerResult(
            server=target.name,
            load=load,
            visible=visible,
            visible_s=seen_at - load.started_at,
            cpu_s=watch.cpu_s,
            idle_rss_bytes=idle_rss,
            peak_rss_bytes=watch.peak_rss_bytes,
            disk_bytes=max(0, disk_bytes(target.data_dir) - disk_before),
        )


def _wait_until_visible(target: _Target, before: int, wanted: int, wait_s: float) -> tuple[int, float]:
    """Return how many of `wanted` spans were found, and when (`time.monotonic`) the last look ended."""
    give_up_at = time.monotonic() + wait_s
    while True:
        started = time.monotonic()
        found = target.count() - before
        ended = time.monotonic()
        if found >= wanted or ended > give_up_at:
            return found, ended
        time.sleep(max(_POLL_S, _COUNT_REST * (ended - started)))


def _measure_peer(peer: Peer, options: argparse.Namespace, home: Path) -> PeerResult:
    with running(peer, install(peer), home / peer.program) as server:
        target = _Target(
            peer.requirement.replace("==", " "),
            server.pid,
            f"{server.url}/v1/traces",
            peer.headers,
            server.data_dir,
            lambda: peer.count(server.url),
        )
        return measure(target, max_spans=options.spans, seconds=options.seconds, wait_s=options.wait)


def _measure_gnomon(name: str, max_spans: int, options: argparse.Namespace, data_dir: Path) -> PeerResult:
    with gnomon_server(data_dir) as server:
        target = _Target(
            name,
            server.pid,
            server.traces_url,
            server.headers,
            data_dir,
            lambda: int(server.query("SELECT count() AS spans FROM spans")[0]["spans"]),
        )
        return measure(target, max_spans=max_spans, seconds=options.seconds, wait_s=options.wait)


def run(options: argparse.Namespace, home: Path) -> Report:
    """Measure everybody, one after the other, with data in `home`."""
    started = time.monotonic()
    machine = this_machine(home)
    results = []
    missing = []
    for peer in [peer for peer in PEERS if peer.program in options.peers]:
        try:
            results.append(_measure_peer(peer, options, home))
        except BenchError as error:
            missing.append(f"{peer.requirement} could not be measured: {error}")
            print(missing[-1], flush=True)
    results.append(_measure_gnomon(GNOMON, options.spans, options, home / "gnomon"))
    full = f"{GNOMON}, {options.seconds:g} s of load"
    results.append(_measure_gnomon(full, 0, options, home / "gnomon-full"))
    return Report(
        name="peers",
        title="Gnomon and its peers",
        command=f"python -m tests.bench.peers --spans {options.spans} --seconds {options.seconds:g}",
        machine=machine,
        seconds=time.monotonic() - started,
        goals=_goals(results),
        tables=[_table(results)],
        notes=[*_notes(options), *missing],
        raw={"results": [asdict(result) for result in results]},
    )


def _goals(results: Sequence[PeerResult]) -> list[Goal]:
    *others, same, full = results
    goals = []
    for other in others:
        ratio = full.visible_per_s / max(1e-9, other.visible_per_s)
        goals.append(
            Goal(
                f"queryable spans/s beside {other.server}",
                "more, of the same requests",
                f"{full.visible_per_s:,.0f} to {other.visible_per_s:,.0f}, {ratio:,.0f} times;"
                f" {same.visible_per_s:,.0f} on no more spans than it got",
                same.visible_per_s > other.visible_per_s and full.visible_per_s > other.visible_per_s,
            )
        )
    return goals


def _table(results: Sequence[PeerResult]) -> Table:
    columns = [
        "server",
        "spans acknowledged",
        "found",
        "acknowledged spans/s",
        "queryable spans/s",
        "ack p50 ms",
        "ack p99 ms",
        "server CPU µs/span",
        "RSS MiB before",
        "peak RSS MiB",
        "disk bytes/span",
        "answers",
    ]
    return Table("Side by side", columns, [_row(result) for result in results])


def _row(result: PeerResult) -> list[Cell]:
    spans = max(1, result.load.spans)
    return [
        result.server,
        result.load.spans,
        result.visible,
        round(result.acknowledged_per_s),
        round(result.visible_per_s),
        result.load.ack_ms_p50,
        result.load.ack_ms_p99,
        round(1e6 * result.cpu_s / spans),
        round(result.idle_rss_bytes / MIB),
        round(result.peak_rss_bytes / MIB),
        round(result.disk_bytes / spans),
        ", ".join(f"{count}× {status}" for status, count in sorted(result.load.statuses.items())),
    ]


def _notes(options: argparse.Namespace) -> list[str]:
    return [
        f"Requests of {REQUEST_SPANS} spans of {SPAN_BYTES} bytes, protobuf, not compressed, over {_CONNECTIONS}"
        f" connections; {options.spans:,} spans for each, or as many as go in {options.seconds:g} s. Each span"
        " is a trace of its own: that is harder for servers that keep a row per trace. The generator shares"
        " the cores.",
        "Each server as its users start it: one machine, SQLite (Phoenix, MLflow) or embedded ClickHouse"
        " (Gnomon), telemetry off. Phoenix and MLflow run without authentication by default, Gnomon with it.",
        "*Queryable* is what the server's own API finds: Phoenix by GraphQL `recordCount`, MLflow by paging"
        " through `traces/search`, Gnomon by `SELECT count()`. The time of the last look is part of the figure,"
        " which weighs on MLflow, whose look is a page of 500 after the other; CPU includes the looks too."
        f" After {options.wait:g} s the wait is over, found or not.",
        "Gnomon acknowledges after fsync of its inbox, and its data directory is measured right after the load:"
        " the inbox file and unmerged parts are in it. On few spans its fixed sizes weigh most.",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and save its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=3000, help="to each server (3000)")
    parser.add_argument("--seconds", type=float, default=20.0, help="longest load (20)")
    parser.add_argument("--wait", type=float, default=120.0, help="seconds until all must be found (120)")
    programs = [peer.program for peer in PEERS]
    parser.add_argument("--peers", nargs="*", default=programs, choices=programs)
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where the report goes")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gnomon-bench-", ignore_cleanup_errors=True) as home:
        report = run(options, Path(home))
    for goal in report.goals:
        print(f"{goal.what}: {goal.measured}")
    print(save(report, options.reports))


if __name__ == "__main__":
    main()
