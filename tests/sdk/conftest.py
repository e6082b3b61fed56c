"""A clean environment, a collector double, the stand-in provider, and a Gnomon stopped after each test."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from openai import OpenAI
from tests.sdk.collector_double import CollectorDouble, run_collector

import gnomon
from gnomon import _runtime
from gnomon_collector.demo.provider import make_provider_app

Start = Callable[..., None]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("GNOMON_", "OTEL_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    _runtime.runtime.guard._logged.clear()
    _runtime.runtime.guard.errors = 0
    _runtime.runtime.guard.last_error = None
    yield
    gnomon.shutdown(timeout_s=0.0)


@pytest.fixture
def collector() -> Iterator[CollectorDouble]:
    with run_collector() as double:
        yield double


@pytest.fixture
def start(collector: CollectorDouble) -> Start:
    """Start Gnomon against the double; short intervals, no instrumentors unless asked for."""

    def run(**settings: Any) -> None:
        defaults = {"endpoint": collector.url, "export_interval_s": 0.05, "instrument": "none"}
        gnomon.init(**{**defaults, **settings})

    return run


@pytest.fixture(scope="session")
def provider_url() -> Iterator[str]:
    """The stand-in provider, answering at once and failing only when asked to."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = make_provider_app(seed=11, latency_scale=0.01, error_rate=0.0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    server.should_exit = True
    thread.join(timeout=10)
    listener.close()


@pytest.fixture
def openai_client(provider_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=provider_url, api_key="sk-test", max_retries=0, timeout=10) as client:
        yield client
