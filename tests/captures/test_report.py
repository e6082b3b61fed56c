"""The conformance report: what it calls exact, and that the one in docs/ is of all captures."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.captures import report
from tests.captures.test_conformance import CAPTURES, FOLDERS, truth_of
from tests.captures.transports import TRANSPORTS
from tests.ingest.server_process import ServerProcess

TRUTH = {"calls": 1, "input_tokens": 106, "cache_read_tokens": None, "errors": 0}


def test_a_zero_is_no_null_and_every_figure_counts() -> None:
    assert report.differences(TRUTH, TRUTH) == []
    assert report.differences({**TRUTH, "cache_read_tokens": 0}, TRUTH) == ["cache read 0 (None)"]
    assert report.differences({**TRUTH, "calls": 2, "errors": 1}, TRUTH) == ["calls 2 (1)", "errors 1 (0)"]
    assert report.differences(None, TRUTH) == ["nothing stored"]


def test_what_is_off_is_named_with_its_transport() -> None:
    found = {each: truth_of(*each) for each in CAPTURES}
    off = ("langfuse", "chat")
    results = report.Results(
        {"HTTP": found, "gRPC": {**found, off: {**found[off], "calls": 2}}}, dict.fromkeys(FOLDERS, 100)
    )
    assert report.mismatches(results) == ["gRPC: langfuse chat: calls 2 (1)"]
    text = report.tables(results)
    assert f"| gRPC | {len(CAPTURES) - 1} of {len(CAPTURES)} |" in text
    assert "| langfuse | 21 | all exact | all exact | all exact |" in text


def test_the_tables_go_between_their_marks(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    report.write(document, "new")
    assert document.read_text(encoding="utf-8") == f"before\n{report.BEGIN}\n\nnew\n{report.END}\nafter\n"


def test_the_page_says_that_all_of_todays_captures_are_exact() -> None:
    page = report.DOCUMENT.read_text(encoding="utf-8")
    for folder in FOLDERS:
        scenarios = sum(at == folder for at, _ in CAPTURES)
        assert f"| {folder} | {scenarios} | all exact | all exact | all exact |" in page
    for transport in TRANSPORTS:
        assert f"| {transport.name} | {len(CAPTURES)} of {len(CAPTURES)} |" in page


@pytest.mark.slow
def test_every_capture_is_exact_by_every_transport(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        results = report.measure(server, TRANSPORTS)
    assert report.mismatches(results) == []
