"""One case of the ingest benchmark: a fresh server, a load, and what came of it."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.gnomon_server import BenchError, GnomonServer, gnomon_server
from tests.bench.load import LoadOptions, LoadResult, command
from tests.bench.machine import ROOT
from tests.bench.usage import UsageWatch, cpu_by_thread_name, disk_bytes

_POLL_S: Final = 0.5
# The server is given up on when nothing new can be queried for so long.
_STALLED_S: Final = 30.0
_MERGES_S: Final = 60.0
_GRACE_S: Final = 180.0

# A fresh server has the spans of the load alone.
_COUNT: Final = "SELECT count() AS spans FROM spans"
_UNIQUE: Final = "SELECT uniqExact(project, trace_id, span_id) AS spans FROM spans"
_IN_ROLLUPS: Final = "SELECT sum(calls) AS spans FROM calls_per_minute FINAL"
_ON_DISK: Final = (
    "SELECT sum(bytes_on_disk) AS bytes, sum(rows) AS spans FROM system.parts"
    " WHERE active AND database = 'gnomon' AND table = 'spans'"
)
_MERGES: Final = "SELECT count() AS merges FROM system.merges"


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        seconds: of load per case.
        spans: request sizes.
        encodings: of bodies, "identity" or "gzip".
        parts: of the server, empty for what users get.
        connections: of the generator.
        inbox_mib: how much may be acknowledged and not yet in the database.
        profile_seconds: length of the run with py-spy, 0 for none.
        stage_batches: batches of the stage benchmark, 0 for none.
    """

    seconds: float
    spans: tuple[int, ...]
    encodings: tuple[str, ...]
    parts: tuple[str, ...]
    connections: int
    inbox_mib: int
    profile_seconds: float
    stage_batches: int


@dataclass(frozen=True)
class CaseResult:
    """One case: request size and encoding.

    Attributes:
        drained_s: from the first request until everything acknowledged could be queried.
        queryable_at_end: spans in the table when the load ended.
        in_rollups: calls in `calls_per_minute` at the end.
        server_load_cpu_s: CPU seconds of the server while the load ran.
        server_cpu_s: the same up to the end of the drain.
        thread_cpu_s: the same by kernel thread name.
        part_bytes: of the table `spans`.
        inbox_bytes: of the inbox's files, drained.
        data_bytes: of the whole data directory.
    """

    request_spans: int
    encoding: str
    load: LoadResult
    drained_s: float
    queryable: int
    unique: int
    in_rollups: int
    queryable_at_end: int
    server_load_cpu_s: float
    server_cpu_s: float
    peak_rss_bytes: int
    thread_cpu_s: dict[str, float]
    flush_busy_s: float
    flush_batches: float
    flush_failures: float
    part_bytes: int
    inbox_bytes: int
    data_bytes: int

    @property
    def acknowledged_per_s(self) -> float:
        """Spans per second of load."""
        return self.load.spans / self.load.seconds if self.load.seconds else 0.0

    @property
    def queryable_per_s(self) -> float:
        """Spans per second from the first request to the last span that could be queried."""
        return self.queryable / self.drained_s if self.drained_s else 0.0

    @property
    def queryable_during_load_per_s(self) -> float:
        """Spans per second that could be queried while the generator was still sending."""
        return self.queryable_at_end / self.load.seconds if self.load.seconds else 0.0

    @property
    def server_us_per_span(self) -> float:
        """CPU microseconds of the server per span, drain included."""
        return 1e6 * self.server_cpu_s / max(1, self.load.spans)

    @property
    def generator_us_per_span(self) -> float:
        """CPU microseconds of the generator per span."""
        return 1e6 * self.load.cpu_s / max(1, self.load.spans)

    @property
    def cores_during_load(self) -> tuple[float, float]:
        """Cores that server and generator kept busy while the load ran."""
        seconds = max(1e-9, self.load.seconds)
        return self.server_load_cpu_s / seconds, self.load.cpu_s / seconds

    @property
    def is_complete(self) -> bool:
        """Whether everything acknowledged can be queried exactly once, in spans and in rollups."""
        return self.load.spans == self.queryable == self.unique == self.in_rollups


def run_case(options: Options, request_spans: int, encoding: str, data_dir: Path) -> CaseResult:
    """Run one case against a fresh server in `data_dir`."""
    settings = {"GNOMON_INBOX_MAX_BYTES": f"{options.inbox_mib}MiB"}
    with gnomon_server(data_dir, options.parts, settings) as server, UsageWatch(server.pid) as watch:
        load = LoadOptions(
            server.traces_url,
            server.headers,
            spans=request_spans,
            gzip=encoding == "gzip",
            seconds=options.seconds,
            connections=options.connections,
        )
        result = run_load(load)
        watch.look()
        load_cpu_s, at_end = watch.cpu_s, _spans(server, _COUNT)
        drained_at = drain(server, result.spans)
        watch.look()
        metrics, cpu_s, threads = server.metrics(), watch.cpu_s, cpu_by_thread_name(server.pid)
        in_rollups = _settled_rollups(server, result.spans)
        _wait_for_merges(server)
        (on_disk,) = server.query(_ON_DISK)
        return CaseResult(
            request_spans=request_spans,
            encoding=encoding,
            load=result,
            drained_s=drained_at - result.started_at,
            queryable=_spans(server, _COUNT),
            unique=_spans(server, _UNIQUE),
            in_rollups=in_rollups,
            queryable_at_end=at_end,
            server_load_cpu_s=load_cpu_s,
            server_cpu_s=cpu_s,
            peak_rss_bytes=watch.peak_rss_bytes,
            thread_cpu_s=threads,
            flush_busy_s=metrics.get("gnomon_flush_busy_seconds_total", 0.0),
            flush_batches=metrics.get("gnomon_flush_batches_total", 0.0),
            flush_failures=metrics.get("gnomon_flush_failures_total", 0.0),
            part_bytes=int(on_disk["bytes"]),
            inbox_bytes=sum(path.stat().st_size for path in data_dir.glob("inbox.sqlite*")),
            data_bytes=disk_bytes(data_dir),
        )


def run_load(options: LoadOptions) -> LoadResult:
    """Run the generator in a process of its own.

    Raises:
        BenchError: it failed, or nothing was acknowledged.
    """
    answer = subprocess.run(
        command(options),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=options.seconds + _GRACE_S,
    )
    if answer.returncode:
        raise BenchError(f"the load generator ended with {answer.returncode}; its error is above")
    result = LoadResult(**json.loads(answer.stdout.splitlines()[-1]))
    if not result.spans:
        raise BenchError(f"nothing was acknowledged: {result.statuses} {result.first_error}")
    return result


def _spans(server: GnomonServer, sql: str) -> int:
    return int(server.query(sql)[0]["spans"])


def drain(server: GnomonServer, wanted: int) -> float:
    """Wait until `wanted` spans can be queried, and return when (`time.monotonic`) the last ones came."""
    count, changed_at = 0, time.monotonic()
    while count < wanted and time.monotonic() - changed_at < _STALLED_S:
        found = _spans(server, _COUNT)
        if found > count:
            count, changed_at = found, time.monotonic()
        if count < wanted:
            time.sleep(_POLL_S)
    return changed_at


def _settled_rollups(server: GnomonServer, wanted: int) -> int:
    give_up_at = time.monotonic() + _STALLED_S
    while (found := _spans(server, _IN_ROLLUPS)) != wanted and time.monotonic() < give_up_at:
        time.sleep(_POLL_S)
    return found


def _wait_for_merges(server: GnomonServer) -> None:
    """Wait until no merge runs for a second: the size on disk is that of data at rest."""
    give_up_at = time.monotonic() + _MERGES_S
    quiet = 0
    while quiet < 2 and time.monotonic() < give_up_at:
        time.sleep(_POLL_S)
        quiet = 0 if int(server.query(_MERGES)[0]["merges"]) else quiet + 1
