"""Times inserts of each dialect with the code that PYTHONPATH names; a part of `tests.bench.dialects`.

``python dialects_child.py FOLDER ROUNDS``: FOLDER has a file for each dialect, export requests with their lengths
before them. Prints CPU seconds of this process by dialect and round as JSON. Imports nothing of the tests, which
another checkout may not have.
"""

from __future__ import annotations

import json
import struct
import sys
import tempfile
import time
from pathlib import Path

from gnomon_collector.store.engine import Store, open_store
from gnomon_collector.store.ingest import insert_batch
from gnomon_collector.store.migrations import migrate
from gnomon_schemas.otlp import encode_envelope

LENGTH = struct.Struct("<I")


def bodies(path: Path) -> list[bytes]:
    """Return the requests in a file."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = LENGTH.unpack_from(data, at)
        found.append(data[at + LENGTH.size : at + LENGTH.size + length])
        at += LENGTH.size + length
    return found


def insert_s(store: Store, project: str, requests: list[bytes]) -> float:
    """Return the CPU seconds that one insert of all requests took."""
    now_ns = time.time_ns()
    envelopes = b"".join(encode_envelope(project, now_ns, project, body) for body in requests)
    started = time.process_time()
    insert_batch(store, envelopes)
    return time.process_time() - started


def main(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Insert each file once a round, every round into another project: what is stored already is left out."""
    listed = {path.stem: bodies(path) for path in sorted(folder.glob("*.requests"))}
    seconds: dict[str, list[float]] = {name: [] for name in listed}
    with (
        tempfile.TemporaryDirectory(prefix="gnomon-bench-", ignore_cleanup_errors=True) as home,
        open_store(f"chdb://{home}/chdb", data_dir=Path(home)) as store,
    ):
        migrate(store)
        insert_s(store, "warm", next(iter(listed.values()))[:1])
        for number in range(rounds):
            for name, requests in listed.items():
                seconds[name].append(insert_s(store, f"{name}-{number}", requests))
    return seconds


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
