"""Databases for tests.

chDB has one engine per process, on one directory at a time. So all tests that only need *a* database share
one engine in one directory, and find their tables empty (starting an engine and migrating takes over a
second, emptying the tables some milliseconds). A test that needs a directory of its own asks for
``data_dir``: the shared engine is stopped before, and starts again when somebody asks for it.

A process in which the engine runs must not fork and go on: start children with `subprocess`, or with the
``spawn`` method of `multiprocessing`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gnomon_collector.store.engine import Store

ROOT = Path(__file__).parent.parent
HTTP_PASSWORD = "p@ss/word:1"
_START_S = 30


class SharedDatabase:
    """A migrated database that is opened when needed, and empty whenever it is given out."""

    def __init__(self, url: str, data_dir: Path | None) -> None:
        self._url = url
        self._data_dir = data_dir
        self._store: Store | None = None

    def empty(self) -> Store:
        """Return the store, all tables empty."""
        if self._store is None:
            self._store = self._open()
        else:
            _empty_tables(self._store)
        return self._store

    def _open(self) -> Store:
        from gnomon_collector.store.engine import open_store
        from gnomon_collector.store.migrations import migrate

        store = open_store(self._url, data_dir=self._data_dir)
        migrate(store)
        _empty_tables(store)
        return store

    def stop(self) -> None:
        """Close the store, so that an engine may run on another directory."""
        store, self._store = self._store, None
        if store is not None:
            store.close()


def _empty_tables(store: Store) -> None:
    rows = store.query(
        "SELECT name FROM system.tables WHERE database = {database:String}"
        " AND engine LIKE '%MergeTree' AND total_rows > 0 AND name != 'schema_ledger'",
        {"database": store.database},
    ).rows
    for (name,) in rows:
        store.command(f"TRUNCATE TABLE `{name}`")


@pytest.fixture(scope="session")
def _embedded_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDatabase]:
    home = tmp_path_factory.mktemp("shared-data")
    database = SharedDatabase(f"chdb://{home / 'chdb'}", home)
    yield database
    database.stop()


@pytest.fixture
def store(_embedded_database: SharedDatabase) -> Store:
    """A migrated, empty database on the embedded engine. Do not close it."""
    return _embedded_database.empty()


@pytest.fixture
def data_dir(_embedded_database: SharedDatabase, tmp_path: Path) -> Path:
    """A fresh data directory for a test that opens it itself, and closes what it opened."""
    _embedded_database.stop()
    return tmp_path / "data"


@pytest.fixture(scope="session")
def clickhouse_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address (host:port) of a ClickHouse-HTTP front in its own process; user default, `HTTP_PASSWORD`."""
    path = tmp_path_factory.mktemp("clickhouse-http")
    command = [sys.executable, "-m", "tests.clickhouse_http.server", "--path", str(path)]
    process = subprocess.Popen(
        [*command, "--password", HTTP_PASSWORD],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    port = process.stdout.readline().strip()
    assert port, "the ClickHouse-HTTP front did not start; its error is above"
    yield f"127.0.0.1:{port}"
    process.stdin.close()
    try:
        process.wait(timeout=_START_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


@pytest.fixture(scope="session")
def http_store_url(clickhouse_http: str) -> str:
    """URL of the database ``gnomon`` behind the front."""
    from urllib.parse import quote

    return f"clickhouse://default:{quote(HTTP_PASSWORD, safe='')}@{clickhouse_http}/gnomon"


@pytest.fixture(scope="session")
def _http_database(http_store_url: str) -> Iterator[SharedDatabase]:
    database = SharedDatabase(http_store_url, None)
    yield database
    database.stop()


@pytest.fixture
def http_store(_http_database: SharedDatabase) -> Store:
    """A migrated, empty database over ClickHouse's HTTP interface. Do not close it."""
    return _http_database.empty()


@pytest.fixture(params=["embedded", "http"])
def any_store(request: pytest.FixtureRequest) -> Store:
    """Both backends, one after the other."""
    found: Store = request.getfixturevalue("store" if request.param == "embedded" else "http_store")
    return found
