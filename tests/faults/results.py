"""The last run of each promise: kept as JSON beside the tests, shown as a table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.faults.promises import Promise

KEPT_IN = Path(__file__).parent / "reports"
_NAMED = 3
_HEAD = "| | Promise | Tests | Figures | Run |\n| --- | --- | --- | --- | --- |\n"


@dataclass(frozen=True)
class Run:
    """How the tests of a promise went.

    Attributes:
        commit: that was tested, and whether there were changes beside it
        started_at: ISO 8601, UTC
        seconds: that it took
        load_average: of one minute, before it began
        machine: what it ran on
        fast: whether the slow tier was left out
        passed: number of tests
        failed: names of tests
        left_out: number of tests that were skipped
        figures: what the tests measured
    """

    commit: str
    started_at: str
    seconds: float
    load_average: float
    machine: str
    fast: bool
    passed: int
    failed: list[str]
    left_out: int
    figures: list[str]

    def said(self) -> str:
        """Return the outcome in words."""
        text = f"{self.passed} passed"
        if self.failed:
            text += f", **{len(self.failed)} failed**: {', '.join(self.failed[:_NAMED])}"
        if self.left_out:
            text += f", {self.left_out} skipped"
        return "; ".join([text, *self.figures])

    def row(self, promise: Promise) -> str:
        """Return a row of the table."""
        tests, _, figures = self.said().partition("; ")
        when = f"{self.started_at[:10]} {self.started_at[11:16]}, {self.commit}, {self.seconds:.0f} s"
        how = f"{when}, load {self.load_average:.0f}" + (", fast tier" if self.fast else "")
        return f"| {promise.number} | {promise.text} | {tests} | {figures} | {how} |"


class Results:
    """The last run of each promise of a section, in a file of its own."""

    def __init__(self, path: Path, runs: Mapping[str, Run]) -> None:
        self._path = path
        self._runs = dict(runs)

    @classmethod
    def load(cls, section: str, folder: Path = KEPT_IN) -> Self:
        """Read what is kept of a section; nothing is, before the first run."""
        path = folder / f"{section}.json"
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return cls(path, {text: Run(**run) for text, run in kept.items()})

    def has(self, promise: Promise, commit: str, *, fast: bool) -> bool:
        """Return whether all tests of the promise passed at this commit, those of the slow tier too unless `fast`."""
        run = self._runs.get(promise.text)
        return run is not None and run.commit == commit and not run.failed and (fast or not run.fast)

    def of(self, promise: Promise) -> Run | None:
        """Return the last run of a promise."""
        return self._runs.get(promise.text)

    def keep(self, promise: Promise, run: Run) -> None:
        """Keep a run at once, in place of the one before: the next one may be broken off."""
        self._runs[promise.text] = run
        kept = {text: asdict(each) for text, each in self._runs.items()}
        self._path.parent.mkdir(exist_ok=True)
        self._path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(promises: Sequence[Promise], results: Results) -> str:
    """Return all promises of a section, those that were not run included, and on what the runs were."""
    runs = [(promise, results.of(promise)) for promise in promises]
    ran = [run for _, run in runs if run is not None]
    rows = [
        run.row(promise) if run is not None else f"| {promise.number} | {promise.text} | not run | | |"
        for promise, run in runs
    ]
    machines = "; ".join(sorted({run.machine for run in ran}))
    took_min = sum(run.seconds for run in ran) / 60
    said = f"{len(ran)} of {len(runs)} promises were run, {took_min:.0f} minutes in all, on {machines}."
    return f"{said}\n\n{_HEAD}" + "\n".join(rows)


def machine() -> str:
    """Return what the tests run on."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, Python {platform.python_version()}"
