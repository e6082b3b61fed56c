"""The generated SQL of the ingest, for review. ``make snapshots`` writes it anew."""

from __future__ import annotations

from itertools import pairwise

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from gnomon_schemas.normalise import Stage, ingest_sql, ingest_stages

STAGES = ingest_stages()


class SqlFile(SingleFileSnapshotExtension):
    """A snapshot in a file of its own, which editors and reviews show as SQL."""

    _write_mode = WriteMode.TEXT
    file_extension = "sql"


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.table)
def test_stage(stage: Stage, snapshot: SnapshotAssertion) -> None:
    assert snapshot(extension_class=SqlFile) == stage.select + "\n"


def test_statements_make_each_stage_from_the_one_before(snapshot: SnapshotAssertion) -> None:
    lines = [line for line in ingest_sql().splitlines() if line.startswith(("DROP", "CREATE"))]
    assert lines == snapshot
    for before, stage in pairwise(STAGES):
        assert before.table in stage.select
    assert STAGES[-1].table == "spans"
