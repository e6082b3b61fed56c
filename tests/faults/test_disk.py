"""A disk that takes no more: 503, reads go on, and it recovers by itself."""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path

import httpx
from google.rpc.status_pb2 import Status
from tests.faults.ledger import Ledger, Load, assert_l0, make_request, post
from tests.ingest.server_process import ServerProcess

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def test_when_files_cannot_grow(tmp_path: Path) -> None:
    """The kernel refuses to let any file of the server grow, as a full disk would, and then no longer."""
    with ServerProcess(tmp_path / "data") as server:
        ledger = Ledger()
        chance = random.Random(1)
        key = server.key("full")
        load = Load(server.url, key, "full", ledger, seed=1)
        load.wait_for_acks(30)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
        deadline = time.monotonic() + 30
        while not ledger.refused:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        load.stop()
        assert set(ledger.refused) == {503}

        sent = make_request("full", chance)
        ledger.sending(sent)
        answer = server.post("/v1/traces", sent.body, key)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "Try again later" in Status.FromString(answer.content).message
        assert server.http.get(f"{server.url}/healthz").status_code == 200
        assert server.query("SELECT count() > 0 AS answers FROM spans")[0]["answers"] in (0, 1)

        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, UNLIMITED)
        with httpx.Client(timeout=30, trust_env=False) as client:
            assert post(client, server.url, key, sent, ledger, chance)
        assert assert_l0(server, ledger, "full") > 30
        assert server.metric("gnomon_quarantined_requests") == 0

        server.kill()
        server.start()
        assert_l0(server, ledger, "full")
