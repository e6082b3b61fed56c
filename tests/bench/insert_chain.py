"""What each view of the insert costs: per insert, however small, and per span.

``python -m tests.bench.insert_chain``. Batches of two sizes go in; then the last view of the chain is
dropped, and they go in again, down to the bare decoding. What a view costs is the difference that dropping it
makes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from tests.bench.payloads import RequestTemplate, request_templates

from gnomon_collector.store.engine import Store, open_store
from gnomon_collector.store.ingest import insert_batch
from gnomon_collector.store.migrations import migrate
from gnomon_schemas.normalise import ingest_stages
from gnomon_schemas.otlp import encode_envelope

REQUEST_SPANS: Final = 100
_DECODING: Final = "decode protobuf"


@dataclass(frozen=True)
class ViewCost:
    """CPU that a view costs the process: per insert, and per span on top of it."""

    name: str
    per_insert_ms: float
    per_span_us: float


@dataclass(frozen=True)
class _Cost:
    """CPU of an insert that runs the chain up to some view: for one request, and for many."""

    name: str
    small_s: float
    large_s: float


def measure(repeats: int, large_requests: int, home: Path) -> list[ViewCost]:
    """Measure every view.

    Args:
        repeats: inserts of each size; the median counts.
        large_requests: requests of 100 spans in a large batch.
        home: an empty directory.
    """
    templates = request_templates(REQUEST_SPANS)
    with open_store(f"chdb://{home / 'chdb'}", data_dir=home) as store:
        migrate(store)
        costs = []
        for stage in reversed(ingest_stages()):
            costs.append(_cost(store, templates, f"→ {stage.table}", repeats, large_requests))
            store.command(f"DROP VIEW to_{stage.table}")
        costs.append(_cost(store, templates, _DECODING, repeats, large_requests))
    nothing = _Cost("", 0.0, 0.0)
    return [_difference(more, less, large_requests) for less, more in pairwise([nothing, *reversed(costs)])]


def _cost(
    store: Store, templates: Sequence[RequestTemplate], name: str, repeats: int, large_requests: int
) -> _Cost:
    _inserted_s(store, templates, 1)  # warms up
    small = [_inserted_s(store, templates, 1) for _ in range(repeats)]
    large = [_inserted_s(store, templates, large_requests) for _ in range(repeats)]
    return _Cost(name, statistics.median(small), statistics.median(large))


def _inserted_s(store: Store, templates: Sequence[RequestTemplate], requests: int) -> float:
    envelopes = b"".join(
        encode_envelope(
            "bench", time.time_ns(), "bench", templates[number % len(templates)].fill(time.time_ns())
        )
        for number in range(requests)
    )
    started = time.process_time()
    insert_batch(store, envelopes)
    return time.process_time() - started


def _difference(more: _Cost, less: _Cost, large_requests: int) -> ViewCost:
    small_s, large_s = more.small_s - less.small_s, more.large_s - less.large_s
    per_span_s = (large_s - small_s) / REQUEST_SPANS / max(1, large_requests - 1)
    return ViewCost(more.name, 1e3 * (small_s - per_span_s * REQUEST_SPANS), 1e6 * per_span_s)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--requests", type=int, default=90, help="of 100 spans, in a large batch")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gnomon-bench-", ignore_cleanup_errors=True) as home:
        costs = measure(options.repeats, options.requests, Path(home))
    if options.json:
        print(json.dumps([asdict(cost) for cost in costs]))
        return
    for cost in costs:
        print(f"{cost.per_insert_ms:8.1f} ms per insert {cost.per_span_us:8.2f} µs per span  {cost.name}")


if __name__ == "__main__":
    main()
