"""What each stage of ingest costs by itself, without HTTP: ``python -m tests.bench.stages``."""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, cast

from tests.bench.payloads import RequestTemplate, request_templates

from gnomon_collector.ingest.flusher import Flusher
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.inbox_rows import ReceivedRequest
from gnomon_collector.ingest.requests import check_request, decompress
from gnomon_collector.store import rollups
from gnomon_collector.store.engine import Store, open_store
from gnomon_collector.store.migrations import migrate
from gnomon_schemas.prices import price_periods

REQUEST_SPANS: Final = 100
# 24 MB: between a trickle and what the flusher takes at once under full load.
REQUESTS_PER_BATCH: Final = 90
_PUT_TOGETHER: Final = 8
_PROJECT: Final = "bench"
_MAX_BYTES: Final = 2**31
_GUNZIP: Final = "undo gzip (only requests that have it)"
_WHOLE_FLUSH: Final = "flush as a whole"
_ROLLUP: Final = "rollups: the busy minute and its hour once"
_NOT_COUNTED: Final = (_GUNZIP, _WHOLE_FLUSH, _ROLLUP)
_INBOX_STAGES: Final[Mapping[str, str]] = {"oldest": "read from the inbox", "forget": "forget in the inbox"}
_STORE_STAGES: Final[Mapping[str, str]] = {
    "insert_raw": "insert: decode, normalise, leave out what is there, write",
    "query": "report on the batch",
    "command": "mark duplicates, price",
    "insert_rows": "keep new prices",
}

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class StageTime:
    """What a stage costs per span: median wall time and mean CPU time of the process, in µs.

    Attributes:
        is_counted: it happens once per span; others are shown, but have no part in shares.
    """

    name: str
    wall_us: float
    cpu_us: float
    is_counted: bool


class Stopwatch:
    """Collects wall and CPU seconds of stages."""

    def __init__(self) -> None:
        self._measured: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def timed(self, name: str, work: Callable[P, T]) -> Callable[P, T]:
        """Return `work`, measured whenever it is called."""

        def measured(*args: P.args, **kwargs: P.kwargs) -> T:
            with self.stage(name):
                return work(*args, **kwargs)

        return measured

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what happens inside."""
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        yield
        self._measured[name].append((time.perf_counter() - wall_s, time.process_time() - cpu_s))

    def times(self, spans: int) -> list[StageTime]:
        """Return the stages in the order in which they were first measured.

        Args:
            spans: that each measurement was about.
        """
        return [
            StageTime(
                name,
                wall_us=1e6 * statistics.median(wall_s for wall_s, _ in measured) / spans,
                cpu_us=1e6 * statistics.mean(cpu_s for _, cpu_s in measured) / spans,
                is_counted=name not in _NOT_COUNTED,
            )
            for name, measured in self._measured.items()
        ]


class _Timed:
    """Stands before an object and measures some of its methods."""

    def __init__(self, target: object, watch: Stopwatch, stages: Mapping[str, str]) -> None:
        self._target, self._watch, self._stages = target, watch, stages

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        stage = self._stages.get(name)
        return found if stage is None else self._watch.timed(stage, found)


def measure(batches: int, requests_per_batch: int, home: Path) -> list[StageTime]:
    """Run `batches` batches through every stage, after one that warms up.

    Args:
        home: an empty directory.
    """
    watch = Stopwatch()
    templates = request_templates(REQUEST_SPANS)
    with ExitStack() as stack:
        store = stack.enter_context(open_store(f"chdb://{home / 'chdb'}", data_dir=home))
        migrate(store)
        inbox = stack.enter_context(closing(Inbox(home / "inbox.sqlite", _MAX_BYTES)))
        for number in range(1 + batches):
            bodies = [_fill(templates, number) for number in range(requests_per_batch)]
            measured = watch if number else Stopwatch()
            _receive(measured, inbox, bodies)
            _flush(measured, inbox, store, requests_per_batch * REQUEST_SPANS)
    return watch.times(requests_per_batch * REQUEST_SPANS)


def _fill(templates: Sequence[RequestTemplate], number: int) -> bytes:
    return templates[number % len(templates)].fill(time.time_ns())


def _receive(watch: Stopwatch, inbox: Inbox, bodies: list[bytes]) -> None:
    zipped = [gzip.compress(body, 6) for body in bodies]
    with watch.stage(_GUNZIP):
        for body in zipped:
            decompress(body, "gzip", _MAX_BYTES)
    now_ns = time.time_ns()
    with watch.stage("check protobuf and ids"):
        checked = [check_request(body, now_ns, 100_000) for body in bodies]
    requests = [ReceivedRequest(_PROJECT, now_ns, "", one.spans, one.minutes, one.body) for one in checked]
    with watch.stage(f"commit to the inbox, fsync, {_PUT_TOGETHER} at a time"):
        for at in range(0, len(requests), _PUT_TOGETHER):
            for future in [inbox.put(request) for request in requests[at : at + _PUT_TOGETHER]]:
                future.result()


def _flush(watch: Stopwatch, inbox: Inbox, store: Store, spans: int) -> None:
    flusher = Flusher(
        cast(Inbox, _Timed(inbox, watch, _INBOX_STAGES)),
        cast(Store, _Timed(store, watch, _STORE_STAGES)),
        price_periods,
    )
    with watch.stage(_WHOLE_FLUSH):
        while flusher.flush_oldest():
            pass
    if flusher.stats.spans != spans:
        raise AssertionError(f"{flusher.stats.spans} of {spans} spans arrived: the figures mean nothing")
    with watch.stage(_ROLLUP):
        rollups.recompute(store, [_PROJECT], [minute for _, minute in inbox.touched_minutes(1).minutes])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=30)
    parser.add_argument("--requests", type=int, default=REQUESTS_PER_BATCH, help="of 100 spans, per batch")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gnomon-bench-", ignore_cleanup_errors=True) as home:
        stages = measure(options.batches, options.requests, Path(home))
    if options.json:
        print(json.dumps([asdict(stage) for stage in stages]))
        return
    for stage in stages:
        print(f"{stage.wall_us:8.2f} µs wall {stage.cpu_us:8.2f} µs CPU per span  {stage.name}")


if __name__ == "__main__":
    main()
