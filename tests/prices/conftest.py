"""Fixtures of the price tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ingest.pipeline import Pipeline

from gnomon_collector.store.engine import Store


@pytest.fixture
def pipeline(store: Store, tmp_path: Path) -> Iterator[Pipeline]:
    """The ingest on an empty database."""
    pipeline = Pipeline(store, tmp_path / "inbox.sqlite")
    yield pipeline
    pipeline.inbox.close()
