"""A dashboard over a seeded store, served as it is in production."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from tests.dashboard import seed

if TYPE_CHECKING:
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store

SECRET = "a secret of the tests, long enough to sign"
USERNAME, PASSWORD = "admin", "correct horse battery"


@pytest.fixture(scope="module")
def shop(_embedded_database: SharedDatabase) -> Store:
    """Two days of a shop assistant's traffic, many calls in the last hour, a hostile span and a wide trace."""
    store = _embedded_database.empty()
    fill(store, datetime.now(UTC))
    return store


def fill(store: Store, now: datetime) -> None:
    """Put the traffic of `shop` into an empty store."""
    from gnomon_collector.store import users

    spans = [
        *seed.history(now, days=2, traces_per_day=150),
        *seed.history(now, days=0.04, traces_per_day=5000, seed=3),
        *seed.hostile(now - timedelta(seconds=40)),
        *seed.wide_trace(now - timedelta(minutes=2), 1200),
    ]
    seed.insert(store, spans)
    users.create_user(store, USERNAME, PASSWORD, "admin")


@pytest.fixture(scope="module")
def address(shop: Store) -> Iterator[str]:
    """Base URL of the dashboard over `shop`."""
    from gnomon_dashboard.app import create_dashboard

    with served(create_dashboard(shop, secret=SECRET)) as url:
        yield url


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Run an ASGI application in a thread and give its base URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        _wait_until_started(server)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


def _wait_until_started(server: uvicorn.Server) -> None:
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the dashboard did not start"
        time.sleep(0.02)
