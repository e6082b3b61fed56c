"""An operator on an empty database, with the ingest to fill it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ingest.pipeline import Pipeline

from gnomon_collector.operations.operator import Operator
from gnomon_collector.store.engine import Store


@pytest.fixture
def pipeline(store: Store, tmp_path: Path) -> Iterator[Pipeline]:
    """The ingest on an empty database."""
    pipeline = Pipeline(store, tmp_path / "inbox.sqlite")
    yield pipeline
    pipeline.inbox.close()


@pytest.fixture
def operator(pipeline: Pipeline, tmp_path: Path) -> Operator:
    """The command line, beside no server."""
    return Operator(pipeline.store, pipeline.inbox, tmp_path, "command line", pipeline.flusher.flush_oldest)
