"""``make faults`` and ``make security``: run the tests of each promise, and print one line per promise.

    python -m tests.faults.report faults [--fast]
    python -m tests.faults.report security

The table goes into docs/reliability.md too, between the markers of its section.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.machine import commit
from tests.faults.promises import FAULTS, SECURITY, Promise

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"
_HEAD = "| | Promise | Tests | Figures |\n| --- | --- | --- | --- |\n"


@dataclass(frozen=True)
class Outcome:
    """How the tests of a promise went."""

    promise: Promise
    passed: int
    failed: int
    left_out: int
    figures: tuple[str, ...]

    def row(self) -> str:
        """Return a row of the table."""
        tests = f"{self.passed} passed" + (f", **{self.failed} failed**" if self.failed else "")
        if self.left_out:
            tests += f", {self.left_out} known not to hold or not run"
        figures = "; ".join(self.figures)
        return f"| {self.promise.number} | {self.promise.text} | {tests} | {figures} |"


def main() -> int:
    """Run, print and save; the exit code is 1 when a test failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("section", choices=("faults", "security"))
    parser.add_argument("--fast", action="store_true", help="without the slow tier")
    arguments = parser.parse_args()
    promises = FAULTS if arguments.section == "faults" else SECURITY
    outcomes = []
    where = machine()
    for promise in promises:
        outcomes.append(_run(promise, arguments.fast))
        print(outcomes[-1].row(), flush=True)
        ran = "" if len(outcomes) == len(promises) else f", {len(outcomes)} of {len(promises)} promises"
        _save(arguments.section, outcomes, arguments.fast, f"{where}{ran}")
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def _run(promise: Promise, fast: bool) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", *promise.tests]
        command += ["-m", "not slow"] if fast else []
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        cases = list(ET.parse(report).getroot().iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    figures = tuple(
        str(each.get("value"))
        for case in cases
        for each in case.iter("property")
        if each.get("name") == "figure"
    )
    passed = len(cases) - len(failed) - len(skipped)
    return Outcome(promise, passed, len(failed) + (not cases), len(skipped), figures)


def machine() -> str:
    """Return what the tests run on, and how busy it was before they began."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, Python {platform.python_version()},"
        f" load average {load:.1f} at the start"
    )


def _save(section: str, outcomes: Sequence[Outcome], fast: bool, where: str) -> None:
    command = f"make {section}" + (" TIER=fast" if fast else "")
    when = datetime.now(UTC).date().isoformat()
    text = PAGE.read_text(encoding="utf-8")
    before, marker, rest = text.partition(f"<!-- {section}: -->\n")
    after = rest[rest.index(f"<!-- :{section} -->") :]
    table = _HEAD + "\n".join(outcome.row() for outcome in outcomes)
    PAGE.write_text(
        f"{before}{marker}`{command}`, {when}, commit {commit()}; {where}\n\n{table}\n{after}",
        encoding="utf-8",
    )


if __name__ == "__main__":
    sys.exit(main())
