"""The report says of every promise when and at which commit it was tested, or that it was not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.promises import FAULTS, SECURITY, Promise
from tests.faults.report import PAGE, SECTIONS, is_chosen, run_tests, write_table
from tests.faults.results import Results, Run, table

KEPT = Promise(1, "nothing is lost", ("tests/faults/test_report.py",))
OTHER = Promise(2, "nothing is doubled", ("tests/faults/test_kill.py",))


def _run(commit: str = "abc", *, fast: bool = False, failed: tuple[str, ...] = ()) -> Run:
    return Run(
        commit=commit,
        started_at="2026-11-23T18:00:00+00:00",
        seconds=61.4,
        load_average=3.4,
        machine="2 cores",
        fast=fast,
        passed=3,
        failed=list(failed),
        left_out=0,
        figures=["7 kills", "0 lost"],
    )


def test_a_run_that_was_broken_off_is_taken_up_again(tmp_path: Path) -> None:
    Results.load("faults", tmp_path).keep(KEPT, _run())
    again = Results.load("faults", tmp_path)
    assert again.of(KEPT) == _run()
    assert again.has(KEPT, "abc", fast=False) and again.has(KEPT, "abc", fast=True)
    assert not again.has(KEPT, "def", fast=True)
    assert not again.has(OTHER, "abc", fast=True)


def test_the_fast_tier_does_not_stand_for_the_slow_one(tmp_path: Path) -> None:
    results = Results.load("faults", tmp_path)
    results.keep(KEPT, _run(fast=True))
    assert results.has(KEPT, "abc", fast=True) and not results.has(KEPT, "abc", fast=False)


def test_what_failed_is_run_again(tmp_path: Path) -> None:
    results = Results.load("faults", tmp_path)
    results.keep(KEPT, _run(failed=("test_x",)))
    assert not results.has(KEPT, "abc", fast=True)


def test_the_table_has_what_failed_and_what_was_not_run(tmp_path: Path) -> None:
    results = Results.load("faults", tmp_path)
    results.keep(KEPT, _run(failed=("test_x",)))
    said, *rows = table((KEPT, OTHER), results).splitlines()
    assert said == "1 of 2 promises were run, 1 minutes in all, on 2 cores."
    assert rows[-2:] == [
        "| 1 | nothing is lost | 3 passed, **1 failed**: test_x | 7 kills; 0 lost"
        " | 2026-11-23 18:00, abc, 61 s, load 3 |",
        "| 2 | nothing is doubled | not run | | |",
    ]


@pytest.mark.parametrize("words, chosen", [((), True), (("LOST",), True), (("test_kill", "xyz"), False)])
def test_promises_are_chosen_by_words_or_paths(words: tuple[str, ...], chosen: bool) -> None:
    assert is_chosen(KEPT, words) is chosen


def test_tests_that_cannot_be_run_are_a_failure() -> None:
    run = run_tests(Promise(1, "x", ("tests/faults/no_such_file.py",)), "abc", fast=True)
    assert run.failed == ["no test was run to its end"] and run.passed == 0


def test_the_tests_of_a_promise_are_run_and_timed() -> None:
    name = "tests/faults/test_report.py::test_promises_are_chosen_by_words_or_paths"
    run = run_tests(Promise(1, "x", (name,)), "abc", fast=True)
    assert (run.passed, run.failed, run.left_out) == (3, [], 0)
    assert run.seconds > 0 and run.commit == "abc"


def test_a_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- faults: -->\nold\n<!-- :faults -->\nb\n", encoding="utf-8")
    for text in ("new", "newer"):
        write_table("faults", text, page)
    assert page.read_text(encoding="utf-8") == "a\n<!-- faults: -->\nnewer\n<!-- :faults -->\nb\n"


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_shows_what_is_kept(section: str) -> None:
    """As on the page: a table that was written by hand would say what nobody has measured."""
    assert table(SECTIONS[section], Results.load(section)) in PAGE.read_text(encoding="utf-8")


def test_no_two_promises_have_the_same_words() -> None:
    for promises in (FAULTS, SECURITY):
        assert len({each.text for each in promises}) == len(promises)
