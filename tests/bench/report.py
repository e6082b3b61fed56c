"""Saved reports of benchmarks, and their place in docs/benchmarks.md.

``python -m tests.bench.report`` writes the figures of all saved reports into docs/benchmarks.md, with
``--readme`` also the table of numbers in the README.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.machine import ROOT, Machine

REPORTS: Final = ROOT / "tests" / "bench" / "reports"
DOCUMENT: Final = ROOT / "docs" / "benchmarks.md"
ORDER: Final = (
    "ingest",
    "dialects",
    "freshness",
    "dashboard",
    "dashboard_peers",
    "drift",
    "alerts",
    "peers",
    "sdk",
    "quality",
)
README: Final = ROOT / "README.md"
FIGURES: Final = "figures"
NUMBERS: Final = "numbers"

Cell = str | int | float


@dataclass(frozen=True)
class Goal:
    """A number to reach. `measured` is text, with its unit."""

    what: str
    goal: str
    measured: str
    is_met: bool


@dataclass(frozen=True)
class Table:
    """Figures. Each row has a cell per column; units stand in the column names."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Report:
    """What a benchmark found.

    Attributes:
        name: file name of the report without extension.
        command: what was run.
        seconds: how long the whole benchmark took.
        raw: everything measured, for those who read the JSON.
    """

    name: str
    title: str
    command: str
    machine: Machine
    seconds: float
    goals: Sequence[Goal]
    tables: Sequence[Table]
    notes: Sequence[str]
    raw: dict[str, Any] = field(default_factory=dict)


def save(report: Report, directory: Path = REPORTS) -> Path:
    """Write a report as JSON and as Markdown, and return the path of the latter."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{report.name}.json").write_text(
        json.dumps(asdict(report), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    path = directory / f"{report.name}.md"
    path.write_text(f"# {report.title}\n\n{_markdown(report)}\n", encoding="utf-8")
    return path


def run_and_save(run: Callable[[Path], Report], directory: Path) -> None:
    """Run a benchmark in an empty folder of its own, say how it did, and save its report."""
    with tempfile.TemporaryDirectory(prefix="gnomon-bench-", ignore_cleanup_errors=True) as home:
        report = run(Path(home))
    for goal in report.goals:
        print(f"{goal.what}: {goal.measured} (wanted {goal.goal})")
    print(save(report, directory))


def load(name: str, directory: Path = REPORTS) -> Report | None:
    """Read a saved report, None when there is none."""
    try:
        values = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    values["machine"] = Machine(**values["machine"])
    values["goals"] = [Goal(**goal) for goal in values["goals"]]
    values["tables"] = [Table(**table) for table in values["tables"]]
    return Report(**values)


def _markdown(report: Report) -> str:
    parts = [_machine_text(report)]
    if report.goals:
        parts.append(_table_text(_goals_table(report.goals)))
    parts += [f"**{table.title}**\n\n{_table_text(table)}" for table in report.tables]
    if report.notes:
        parts.append("\n".join(f"- {note}" for note in report.notes))
    return "\n\n".join(parts)


def _machine_text(report: Report) -> str:
    machine = report.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return (
        f"`{report.command}`, {machine.measured_at}, commit {machine.git_commit},"
        f" took {report.seconds:.0f} s."
        f" {machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.file_system},"
        f" {machine.system}; Python {machine.python}, {packages}."
        f" Load average before the start: {machine.load_average}."
    )


def _goals_table(goals: Sequence[Goal]) -> Table:
    rows = [[goal.what, goal.goal, goal.measured, "met" if goal.is_met else "**missed**"] for goal in goals]
    return Table("Goals", ["goal", "wanted", "measured", ""], rows)


def _table_text(table: Table) -> str:
    lines = [
        _line(table.columns),
        _line(["---"] * len(table.columns)),
        *(_line([_cell(value) for value in row]) for row in table.rows),
    ]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def figures(reports: Sequence[Report]) -> str:
    """Return the Markdown of several reports: first what falls short, then what is reached, then all."""
    missed = [goal for report in reports for goal in report.goals if not goal.is_met]
    met = [goal for report in reports for goal in report.goals if goal.is_met]
    parts = [
        f"## {title}\n\n{_table_text(_goals_table(goals)) if goals else 'Nothing.'}"
        for title, goals in (("What falls short", missed), ("What is reached", met))
    ]
    parts += [f"## {report.title}\n\n{_markdown(report)}" for report in reports]
    return "\n\n".join(parts)


def numbers(reports: Sequence[Report]) -> str:
    """Return the table of the README: every goal with what was measured."""
    rows = [
        [goal.what, goal.measured, goal.goal if goal.is_met else f"{goal.goal}, **missed**", _command(report)]
        for report in reports
        for goal in report.goals
    ]
    return _table_text(Table("", ["What", "Measured", "Goal", "Command"], rows))


def _command(report: Report) -> str:
    return f"`make bench-{report.name.replace('_', '-')}`"


def with_block(document: str, name: str, text: str) -> str:
    """Return `document` with what stands between its lines ``<!-- name: begin`` and ``end`` replaced.

    Raises:
        ValueError: there are no such lines.
    """
    lines = document.split("\n")
    begin = _line_starting(lines, f"<!-- {name}: begin")
    end = _line_starting(lines, f"<!-- {name}: end")
    return "\n".join([*lines[: begin + 1], "", text, "", *lines[end:]])


def _line_starting(lines: Sequence[str], text: str) -> int:
    for number, line in enumerate(lines):
        if line.startswith(text):
            return number
    raise ValueError(f"the document has no line that begins with {text!r}")


def _rewrite(path: Path, name: str, text: str) -> None:
    path.write_text(with_block(path.read_text(encoding="utf-8"), name, text), encoding="utf-8")
    print(path.relative_to(ROOT))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the figures of all saved reports into the documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readme", action="store_true", help="also the table in the README")
    options = parser.parse_args(arguments)
    reports = [report for name in ORDER if (report := load(name)) is not None]
    _rewrite(DOCUMENT, FIGURES, figures(reports))
    if options.readme:
        _rewrite(README, NUMBERS, numbers(reports))


if __name__ == "__main__":
    main()
