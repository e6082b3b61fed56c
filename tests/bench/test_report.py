"""Reports survive being saved, and say first what falls short."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bench.machine import ROOT, this_machine
from tests.bench.report import (
    DOCUMENT,
    FIGURES,
    NUMBERS,
    README,
    Goal,
    Report,
    Table,
    figures,
    load,
    numbers,
    save,
    with_block,
)


def _report(name: str = "ingest") -> Report:
    return Report(
        name=name,
        title="Ingest",
        command="python -m tests.bench.ingest",
        machine=this_machine(ROOT),
        seconds=1.5,
        goals=[Goal("speed", "≥ 10", "7", False), Goal("size", "≤ 5", "3", True)],
        tables=[Table("Rates", ["request", "spans/s"], [["100 spans", 1234], ["500 spans", 0.1234]])],
        notes=["on a shared machine"],
        raw={"cases": [1]},
    )


def test_a_saved_report_is_read_back(tmp_path: Path) -> None:
    path = save(_report(), tmp_path)
    found = load("ingest", tmp_path)
    assert found is not None
    assert found.goals == _report().goals and found.raw == {"cases": [1]}
    text = path.read_text(encoding="utf-8")
    assert "| 100 spans | 1,234 |" in text and "| 500 spans | 0.123 |" in text
    assert found.machine.cores >= 1 and found.machine.git_commit
    assert load("peers", tmp_path) is None


def test_what_falls_short_stands_first() -> None:
    text = figures([_report()])
    missed, met = text.index("What falls short"), text.index("What is reached")
    assert missed < text.index("| speed |") < met < text.index("| size |") < text.index("## Ingest")
    assert "| speed | 7 | ≥ 10, **missed** | `make bench-ingest` |" in numbers([_report()])


def test_only_the_block_of_a_document_changes() -> None:
    document = "a\n<!-- figures: begin (by x) -->\nold\n<!-- figures: end -->\nb\n"
    changed = with_block(document, FIGURES, "new")
    assert changed == "a\n<!-- figures: begin (by x) -->\n\nnew\n\n<!-- figures: end -->\nb\n"
    assert with_block(changed, FIGURES, "new") == changed
    with pytest.raises(ValueError, match="numbers: begin"):
        with_block(document, NUMBERS, "new")


def test_the_documents_have_their_blocks() -> None:
    for path, name in ((DOCUMENT, FIGURES), (README, NUMBERS)):
        assert "new text" in with_block(path.read_text(encoding="utf-8"), name, "new text")
