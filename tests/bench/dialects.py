"""What ingest costs by dialect: ``python -m tests.bench.dialects [--other CHECKOUT]``.

The payloads of tests/captures, enlarged to batches with ids of their own, go in dialect by dialect and mixed. With
another checkout, its code runs on the same payloads in turns with this one's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from tests.bench.dialects_child import LENGTH
from tests.bench.machine import ROOT, this_machine
from tests.bench.report import REPORTS, Goal, Report, Table, run_and_save
from tests.captures.recorded import SENT
from tests.captures.test_conformance import CAPTURES
from tests.ingest.payloads import hour_ago_ns, request_of, spans_of

from gnomon_collector.ingest.requests import check_request

PLAIN: Final = "otel-genai-span"
MIXED: Final = "mixed"
WANTED_OF_OTHER: Final = 0.8
REQUEST_SPANS: Final = 100
_SPAN_GAP_NS: Final = 1_000_000
Parts = tuple[ResourceSpans, ScopeSpans, Span]
Seconds = Mapping[str, Sequence[float]]


def captured() -> dict[str, list[Parts]]:
    """Return the spans of every folder of captures, and of all of them in turns."""
    found: dict[str, list[Parts]] = {}
    recorded = {each: bodies["traces"] for each, bodies in SENT.items()}
    for (folder, _), body in (CAPTURES | recorded).items():
        found.setdefault(folder, []).extend(spans_of(body))
    return found | {MIXED: list(_in_turns(found.values()))}


def _in_turns(lists: Collection[list[Parts]]) -> Iterator[Parts]:
    for index in range(max(map(len, lists))):
        yield from (each[index % len(each)] for each in lists)


def enlarged(parts: Sequence[Parts], spans: int) -> Iterator[bytes]:
    """Yield requests of copies of some spans, `spans` in all, with ids and times of their own."""
    start_ns = hour_ago_ns()
    copies = islice(cycle(parts), spans)
    batch: list[Parts] = []
    for number, (resource, scope, span) in enumerate(copies):
        batch.append((resource, scope, _copy(span, number // len(parts), start_ns + number * _SPAN_GAP_NS)))
        if len(batch) == REQUEST_SPANS or number == spans - 1:
            yield check_request(request_of(batch), time.time_ns(), spans).body
            batch = []


def _copy(span: Span, number: int, start_ns: int) -> Span:
    """A span whose ids differ from those of another number, and that stands in the same way to its trace."""
    copy = Span()
    copy.CopyFrom(span)
    mark = number.to_bytes(4, "big")
    copy.trace_id = mark + span.trace_id[4:]
    length_ns = max(0, span.end_time_unix_nano - span.start_time_unix_nano)
    copy.start_time_unix_nano, copy.end_time_unix_nano = start_ns, start_ns + length_ns
    return copy


def write_requests(folder: Path, spans: int) -> dict[str, int]:
    """Write the batch of each dialect for the children; returns its bytes."""
    sizes = {}
    for name, parts in captured().items():
        bodies = list(enlarged(parts, spans))
        (folder / f"{name}.requests").write_bytes(b"".join(LENGTH.pack(len(body)) + body for body in bodies))
        sizes[name] = sum(map(len, bodies))
    return sizes


def timed(checkout: Path, folder: Path) -> Seconds:
    """Run a child on one round with a checkout's code."""
    paths = [checkout, *(checkout / part for part in ("collector", "dashboard", "schemas", "sdk"))]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("dialects_child.py")), str(folder), "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{checkout}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def in_rounds(checkouts: Sequence[Path], folder: Path, rounds: int) -> list[dict[str, float]]:
    """Return the median CPU seconds by dialect of each checkout; they take turns."""
    told: list[list[Seconds]] = [[] for _ in checkouts]
    for _ in range(rounds):
        for checkout, seconds in zip(checkouts, told, strict=True):
            seconds.append(timed(checkout, folder))
    return [
        {name: statistics.median(value for each in seconds for value in each[name]) for name in seconds[0]}
        for seconds in told
    ]


def run(home: Path, spans: int, rounds: int, other: Path | None) -> Report:
    """Measure, in an empty folder."""
    started = time.monotonic()
    machine = this_machine(home)
    sizes = write_requests(home, spans)
    checkouts = [ROOT, *([other] if other else [])]
    here, *there = in_rounds(checkouts, home, rounds)
    return Report(
        name="dialects",
        title="Ingest by dialect",
        command=f"python -m tests.bench.dialects --spans {spans} --rounds {rounds}"
        + (" --other …" if other else ""),
        machine=machine,
        seconds=time.monotonic() - started,
        goals=_goals(here, there),
        tables=[_table(here, there, sizes, spans)],
        notes=[
            f"CPU time of the inserting process; {PLAIN} is the plain OpenTelemetry dialect.",
            "Bytes are of the requests as they are inserted, not compressed.",
        ],
        raw={"here": here, "other": there, "bytes": sizes},
    )


def _goals(here: Mapping[str, float], there: Sequence[Mapping[str, float]]) -> list[Goal]:
    if not there:
        return []
    speed = there[0][MIXED] / here[MIXED]
    measured = f"{speed:.2f}"
    return [
        Goal(
            "Ingest of mixed dialects against the other checkout",
            f"at least {WANTED_OF_OTHER} of its speed",
            measured,
            speed >= WANTED_OF_OTHER,
        )
    ]


def _table(
    here: Mapping[str, float], there: Sequence[Mapping[str, float]], sizes: Mapping[str, int], spans: int
) -> Table:
    columns = [
        "dialect",
        "CPU µs/span",
        "bytes/span",
        "CPU ms/MB",
        "per span against plain",
        "per MB against plain",
    ]
    per_mb = {name: seconds / sizes[name] * 1e9 for name, seconds in here.items()}
    rows = [
        [
            name, round(1e6 * seconds / spans, 1), sizes[name] // spans, round(per_mb[name], 1),
            f"{seconds / here[PLAIN]:.2f}×", f"{per_mb[name] / per_mb[PLAIN]:.2f}×",
            *(f"{other[name] / seconds:.2f}" for other in there),
        ]
        for name, seconds in sorted(here.items(), key=lambda item: item[1])
    ]  # fmt: skip
    return Table(
        "By captured SDK, cheapest first",
        [*columns, *["speed against the other checkout"] * len(there)],
        rows,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and save the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dialects", description=__doc__)
    parser.add_argument("--spans", type=int, default=18_000, help="in the batch of each dialect")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--other", type=Path, help="another checkout to take turns with")
    parser.add_argument("--directory", type=Path, default=REPORTS)
    options = parser.parse_args(arguments)
    run_and_save(lambda home: run(home, options.spans, options.rounds, options.other), options.directory)


if __name__ == "__main__":
    main()
