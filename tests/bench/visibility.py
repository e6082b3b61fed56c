"""From the acknowledgement of a request to the moment when a query finds its spans."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from tests.bench.gnomon_server import PROJECT, BenchError, GnomonServer
from tests.bench.load import LoadOptions, LoadResult, Marker, command
from tests.bench.machine import ROOT

# Each look costs the server some 20 ms: more often would measure the looking.
POLL_S: Final = 0.1
_CHARTS_POLL_S: Final = 0.5
_GIVE_UP_S: Final = 60.0
_FOUND: Final = (
    "SELECT DISTINCT trace_id FROM spans WHERE project = '{project}'"
    " AND start_time > now() - INTERVAL 5 MINUTE AND trace_id IN ({trace_ids})"
)
_IN_CHARTS: Final = f"SELECT sum(calls) AS calls FROM calls_per_minute FINAL WHERE project = '{PROJECT}'"


@dataclass(frozen=True)
class Visibility:
    """Seconds from ack to the answer of the first query that finds a request: an upper bound.

    Attributes:
        spans_s: of each request, found by trace id in `spans`.
        charts_s: of each request, counted in `calls_per_minute` together with all before it.
        missing: requests never found in `spans`.
        query_s: how long the queries took that looked for them.
    """

    load: LoadResult
    spans_s: list[float]
    charts_s: list[float]
    missing: int
    query_s: list[float]


@dataclass
class _Markers:
    """Acknowledged requests, as the generator prints them."""

    all: list[Marker] = field(default_factory=list)
    result: LoadResult | None = None

    def read(self, lines: Iterable[str]) -> None:
        """Read the generator's output to its end."""
        for line in lines:
            values = json.loads(line)
            if "trace_id" in values:
                self.all.append(Marker(**values))
            else:
                self.result = LoadResult(**values)


def watch_load(server: GnomonServer, options: LoadOptions) -> Visibility:
    """Run a load with markers and look for each of its requests until it is found.

    Raises:
        BenchError: the generator failed.
    """
    process = subprocess.Popen(command(options), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        return _watch(server, process, _output(process))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _output(process: subprocess.Popen[str]) -> IO[str]:
    if process.stdout is None:
        raise BenchError("the load generator has no output")
    return process.stdout


def _watch(server: GnomonServer, process: subprocess.Popen[str], output: IO[str]) -> Visibility:
    markers = _Markers()
    reader = threading.Thread(target=markers.read, args=(output,), daemon=True)
    reader.start()
    charts = _ChartsWatch(server)
    charts.start()
    spans_s, missing, query_s = _look_for_all(server, markers, reader)
    counts = charts.stop_at(markers.all[-1].spans if markers.all else 0)
    process.wait()
    if markers.result is None:
        raise BenchError("the load generator failed; its error is above")
    return Visibility(markers.result, spans_s, chart_lags(markers.all, counts), missing, query_s)


def _look_for_all(
    server: GnomonServer, markers: _Markers, reader: threading.Thread
) -> tuple[list[float], int, list[float]]:
    waiting: dict[str, Marker] = {}
    seen = 0
    lags: list[float] = []
    query_s: list[float] = []
    give_up_at = float("inf")
    while reader.is_alive() or waiting or seen < len(markers.all):
        fresh = markers.all[seen:]
        seen += len(fresh)
        waiting.update({marker.trace_id: marker for marker in fresh})
        started = time.monotonic()
        if not reader.is_alive():
            give_up_at = min(give_up_at, started + _GIVE_UP_S)
        if started > give_up_at:
            break
        if waiting:
            found = _found(server, list(waiting))
            now = time.monotonic()
            query_s.append(now - started)
            lags += [now - waiting.pop(trace_id).acknowledged_at for trace_id in found]
        time.sleep(max(0.0, POLL_S - (time.monotonic() - started)))
    return lags, len(waiting), query_s


def _found(server: GnomonServer, trace_ids: Sequence[str]) -> list[str]:
    listed = ", ".join(f"'{trace_id}'" for trace_id in trace_ids)
    return [row["trace_id"] for row in server.query(_FOUND.format(project=PROJECT, trace_ids=listed))]


class _ChartsWatch:
    """Reads how many calls the rollups count, over and over."""

    def __init__(self, server: GnomonServer) -> None:
        self._server = server
        self._counts: list[tuple[float, int]] = []
        self._wanted: int | None = None
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop_at(self, wanted: int) -> list[tuple[float, int]]:
        """Go on until `wanted` calls are counted; return (time, calls) of each reading."""
        self._give_up_at = time.monotonic() + _GIVE_UP_S
        self._wanted = wanted
        self._thread.join()
        return self._counts

    def _watch(self) -> None:
        while self._wanted is None or (
            self._counts[-1][1] < self._wanted and time.monotonic() < self._give_up_at
        ):
            calls = int(self._server.query(_IN_CHARTS)[0]["calls"])
            self._counts.append((time.monotonic(), calls))
            time.sleep(_CHARTS_POLL_S)


def chart_lags(markers: Sequence[Marker], counts: Sequence[tuple[float, int]]) -> list[float]:
    """Return the seconds from each ack to the first reading that counts it and all acknowledged before.

    Args:
        markers: in order of acknowledgement.
        counts: (time, calls) in order of time.
    """
    lags = []
    at = 0
    for marker in markers:
        while at < len(counts) and counts[at][1] < marker.spans:
            at += 1
        if at == len(counts):
            break
        lags.append(max(0.0, counts[at][0] - marker.acknowledged_at))
    return lags
