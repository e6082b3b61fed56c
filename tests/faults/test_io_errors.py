"""System calls that fail: nothing is acknowledged that could not be made durable.

strace makes the calls of the running server fail. Needs strace, and the right to trace a child's process.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.faults.ledger import Ledger, Load, assert_l0, make_request, post
from tests.ingest.server_process import ServerProcess

STRACE = shutil.which("strace")
PROJECT = "io"
TRIES = 5
pytestmark = pytest.mark.skipif(STRACE is None, reason="needs strace: apt-get install strace")


@contextmanager
def failing(server: ServerProcess, calls: str, error: str) -> Iterator[None]:
    """Make these system calls of the server fail, in all its threads."""
    rule = f"inject={calls}:error={error}"
    command = [
        str(STRACE),
        "-f",
        "-p",
        str(server.pid),
        "-e",
        f"trace={calls}",
        "-e",
        rule,
        "-o",
        "/dev/null",
    ]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if "attached" not in said:
        tracer.wait()
        pytest.skip(f"strace may not trace here: {said.strip()}")
    try:
        yield
    finally:
        tracer.terminate()
        tracer.wait()
        tracer.stderr.close()


@pytest.mark.parametrize(
    ("calls", "error"),
    [
        ("fsync,fdatasync", "EIO"),
        pytest.param("fsync,fdatasync", "ENOSPC", marks=pytest.mark.slow),
        pytest.param("pwrite64", "ENOSPC", marks=pytest.mark.slow),
        pytest.param("pwrite64", "EIO", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_made_durable_is_not_acknowledged(
    tmp_path: Path, calls: str, error: str, record_property: Callable[[str, object], None]
) -> None:
    ledger, chance = Ledger(), random.Random(7)
    with ServerProcess(tmp_path / "data") as server:
        key = server.key(PROJECT)
        load = Load(server.url, key, PROJECT, ledger, seed=1)
        load.wait_for_acks(20)
        load.stop()
        before = ledger.acks
        unanswered = []
        with failing(server, calls, error):
            time.sleep(0.5)  # until every thread is traced
            for _ in range(TRIES):
                sent = make_request(PROJECT, chance)
                ledger.sending(sent)
                answer = server.post("/v1/traces", sent.body, key)
                ledger.answered(sent, answer.status_code)
                unanswered.append(sent)
        assert ledger.acks == before and ledger.refused[503] >= TRIES
        assert "cannot be written" in server.log.read_text()
        with httpx.Client(timeout=60, trust_env=False) as client:
            for sent in unanswered:
                assert post(client, server.url, key, sent, ledger, chance), "it does not recover"
        server.kill()
        server.start()
        stored = assert_l0(server, ledger, PROJECT)
    record_property(
        "figure", f"{error} on {calls}: 0 of {TRIES} acknowledged, {stored} acknowledged spans all there"
    )
