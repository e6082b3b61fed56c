"""Saved reports of benchmarks, and their place in docs/benchmarks.md.

``python -m tests.bench.report`` writes the figures of all saved reports into docs/benchmarks.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.machine import ROOT, Machine

REPORTS: Final = ROOT / "tests" / "bench" / "reports"
DOCUMENT: Final = ROOT / "docs" / "benchmarks.md"
ORDER: Final = ("ingest", "freshness", "queries", "peers")
_BEGIN: Final = "<!-- figures: begin (written by python -m tests.bench.report) -->"
_END: Final = "<!-- figures: end -->"

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


def with_figures(document: str, text: str) -> str:
    """Return `document` with the text between its two marker lines replaced.

    Raises:
        ValueError: a marker line is missing.
    """
    if _BEGIN not in document or _END not in document:
        raise ValueError(f"docs/benchmarks.md needs the lines {_BEGIN!r} and {_END!r}")
    before, _, rest = document.partition(_BEGIN)
    return f"{before}{_BEGIN}\n\n{text}\n\n{_END}{rest.partition(_END)[2]}"


def main() -> None:
    """Write the figures of all saved reports into docs/benchmarks.md."""
    reports = [report for name in ORDER if (report := load(name)) is not None]
    text = with_figures(DOCUMENT.read_text(encoding="utf-8"), figures(reports))
    DOCUMENT.write_text(text, encoding="utf-8")
    print(f"{DOCUMENT.relative_to(ROOT)}: {', '.join(report.name for report in reports)}")


if __name__ == "__main__":
    main()
