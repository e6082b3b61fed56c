"""Fixtures of the ingest tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ingest.pipeline import Pipeline
from tests.ingest.server_process import ServerProcess

from gnomon_collector.store.engine import Store


@pytest.fixture
def pipeline(store: Store, tmp_path: Path) -> Iterator[Pipeline]:
    """The ingest on an empty database."""
    pipeline = Pipeline(store, tmp_path / "inbox.sqlite")
    yield pipeline
    pipeline.inbox.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A collector of its own process, shared by the tests: take a project per test."""
    with ServerProcess(tmp_path_factory.mktemp("server") / "data") as server:
        yield server
