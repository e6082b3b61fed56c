"""``make faults`` and ``make security``: run the tests of each promise, and print one line per promise.

    python -m tests.faults.report faults [--fast] [--resume] [--only TEXT]... [--list]
    python -m tests.faults.report security

The results are kept after each promise, in tests/faults/reports, and the table of docs/reliability.md is made of them:
every row says when and at which commit its promise was tested last, or that it was not. So a run that was broken off
is taken up again with --resume, and one promise is tested anew with --only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.machine import commit
from tests.faults.promises import FAULTS, SECURITY, Promise
from tests.faults.results import KEPT_IN, Results, Run, machine, table

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
SECTIONS = {"faults": FAULTS, "security": SECURITY}


def main() -> int:
    """Run, print and save; the exit code is 1 when a test failed."""
    arguments = _arguments()
    promises = SECTIONS[arguments.section]
    results = Results.load(arguments.section)
    # What a run writes is no change of what it tests.
    at = commit(apart_from=(PAGE, KEPT_IN))
    chosen = [each for each in promises if is_chosen(each, arguments.only)]
    if not chosen:
        print(f"No promise of {arguments.section} has {' or '.join(arguments.only)} in it: see --list.")
        return 2
    if arguments.list:
        print("\n".join(f"{each.number:3} {each.text} ({' '.join(each.tests)})" for each in chosen))
        return 0
    failed = False
    for promise in chosen:
        if arguments.resume and results.has(promise, at, fast=arguments.fast):
            continue
        run = run_tests(promise, at, fast=arguments.fast)
        failed |= bool(run.failed)
        results.keep(promise, run)
        print(f"{promise.number:3} {promise.text}: {run.said()} [{run.seconds:.0f} s]", flush=True)
        write_table(arguments.section, table(promises, results), PAGE)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("section", choices=tuple(SECTIONS))
    parser.add_argument("--fast", action="store_true", help="without the slow tier")
    parser.add_argument(
        "--resume", action="store_true", help="leave out what passed at this very commit already"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="TEXT",
        help="only promises with this in their words or in the paths of their tests; may be repeated",
    )
    parser.add_argument("--list", action="store_true", help="say what would be run, and run nothing")
    return parser.parse_args()


def is_chosen(promise: Promise, words: Sequence[str]) -> bool:
    """Return whether one of `words` is in the promise or its tests; without words every promise is chosen."""
    searched = f"{promise.text} {' '.join(promise.tests)}".lower()
    return not words or any(word.lower() in searched for word in words)


def run_tests(promise: Promise, at: str, *, fast: bool) -> Run:
    """Run the tests of a promise in a process of their own."""
    started, load, clock_s = datetime.now(UTC), os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", *promise.tests]
        command += ["-m", "not slow"] if fast else []
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        cases = list(ET.parse(report).getroot().iter("testcase")) if report.exists() else []
    failed = [_name(case) for case in cases if _has(case, "failure", "error")]
    if not cases:
        failed = ["no test was run to its end"]
    skipped = sum(_has(case, "skipped") for case in cases)
    return Run(
        commit=at,
        started_at=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock_s, 1),
        load_average=round(load, 1),
        machine=machine(),
        fast=fast,
        passed=sum(not _has(case, "failure", "error", "skipped") for case in cases),
        failed=failed,
        left_out=skipped,
        figures=list(_figures(cases)),
    )


def _has(case: ET.Element, *outcomes: str) -> bool:
    return any(case.find(outcome) is not None for outcome in outcomes)


def _name(case: ET.Element) -> str:
    return str(case.get("name"))


def _figures(cases: Iterable[ET.Element]) -> Iterable[str]:
    for case in cases:
        for each in case.iter("property"):
            if each.get("name") == "figure":
                yield str(each.get("value"))


def write_table(section: str, text: str, page: Path) -> None:
    """Put a table between the markers of its section."""
    before, marker, rest = page.read_text(encoding="utf-8").partition(f"<!-- {section}: -->\n")
    after = rest[rest.index(f"<!-- :{section} -->") :]
    page.write_text(f"{before}{marker}{text}\n{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
