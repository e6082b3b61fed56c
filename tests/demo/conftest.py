"""A stand-in provider on a free loopback port, as fast as it can answer and without random faults."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from openai import OpenAI
from starlette.applications import Starlette

from gnomon_collector.demo.provider import make_provider_app


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Serve `app` from a thread; gives its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline_s = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline_s:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@pytest.fixture(scope="module")
def provider_url() -> Iterator[str]:
    with serving(make_provider_app(seed=7, latency_scale=0.02, error_rate=0.0)) as url:
        yield url


@pytest.fixture
def client(provider_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{provider_url}/v1", api_key="sk-demo", max_retries=0, timeout=10) as client:
        yield client
