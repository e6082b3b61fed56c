"""When the inbox is full, clients are told to come again, and are let in once there is room."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from google.rpc.status_pb2 import Status
from tests.ingest.payloads import hour_ago_ns, request, span

from gnomon_collector.ingest.app import IngestParts, add_ingest_routes
from gnomon_collector.ingest.authorize import authorize_all
from gnomon_collector.ingest.flusher import FlushStats
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.metrics import IngestMetrics
from gnomon_collector.settings import load_settings
from gnomon_collector.store.engine import Store

MAX_BYTES = 200_000


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    inbox = Inbox(tmp_path / "inbox.sqlite", MAX_BYTES)
    yield inbox
    inbox.close()


@pytest.fixture
def url(store: Store, inbox: Inbox) -> Iterator[str]:
    """The ingest's routes served for real, with nobody who empties the inbox."""
    app = FastAPI()
    parts = IngestParts(load_settings(), authorize_all, inbox, store, IngestMetrics(inbox, FlushStats()))
    add_ingest_routes(app, parts)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listener.close()


def post(url: str, body: bytes) -> httpx.Response:
    return httpx.post(
        f"{url}/v1/traces", content=body, headers={"content-type": "application/x-protobuf"}, trust_env=False
    )


def test_full_is_503_with_retry_after_until_there_is_room(url: str, inbox: Inbox) -> None:
    body = request([span(1, hour_ago_ns(), {"text": "x" * 60_000})])
    assert [post(url, body).status_code for _ in range(3)] == [200, 200, 200]

    refused = post(url, body)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["content-type"] == "application/x-protobuf"
    assert Status.FromString(refused.content).code == 14
    assert f"of {MAX_BYTES} bytes" in Status.FromString(refused.content).message
    assert inbox.waiting_requests == 3

    metrics = httpx.get(f"{url}/metrics", trust_env=False).text
    assert f"gnomon_inbox_bytes {float(inbox.waiting_bytes)}" in metrics
    assert 'gnomon_ingest_requests_total{code="503",route="/v1/traces"} 1.0' in metrics
    assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200

    inbox.forget(inbox.oldest(0, 1))
    assert post(url, body).status_code == 200
    assert inbox.waiting_requests == 3


def test_a_stopping_inbox_is_503(url: str, inbox: Inbox) -> None:
    inbox.close()
    refused = post(url, request([span(1, hour_ago_ns())]))
    assert (refused.status_code, "stopping" in Status.FromString(refused.content).message) == (503, True)
