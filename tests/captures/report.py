"""``make conformance``: every capture by every transport to a fresh server, against the truth.

``python -m tests.captures.report`` prints the tables and writes them into docs/conformance.md; the exit code is
0 when every figure is exact.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.captures.test_conformance import (
    CAPTURES,
    COUNTS,
    FIGURES,
    FOLDERS,
    LOGS,
    OTHERWISE,
    TRUTH,
    Counts,
    truth_of,
)
from tests.captures.transports import TRANSPORTS, Transport
from tests.ingest.payloads import spans_of
from tests.ingest.server_process import ServerProcess

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "conformance.md"
BEGIN: Final = "<!-- begin: written by make conformance -->"
END: Final = "<!-- end -->"
# What a sum over the spans that say usage comes to: the way most tools count.
NAIVE: Final = (
    "SELECT project, sum(ifNull(input_tokens, 0)) + sum(ifNull(output_tokens, 0)) AS tokens"
    " FROM spans GROUP BY project"
)
SHORT: Final = {"input_tokens": "in", "output_tokens": "out", "cache_read_tokens": "cache read"} | {
    "cache_write_tokens": "cache write", "reasoning_tokens": "reasoning"
}  # fmt: skip

Scenario = tuple[str, str]
COUNTS_BY_TRACE: Final = COUNTS.replace("SELECT project,", "SELECT project, trace_id,").replace(
    "GROUP BY project", "GROUP BY project, trace_id"
)
SCENARIOS: Final = {
    (folder, span.trace_id.hex()): (folder, scenario)
    for (folder, scenario), body in CAPTURES.items()
    for _, _, span in spans_of(body)
}
"""Which scenario of an SDK a trace is."""

Found = Mapping[Scenario, Counts]


@dataclass(frozen=True)
class Results:
    """What the server says of each scenario, by transport, and what a naive sum of tokens says by SDK."""

    by_transport: Mapping[str, Found]
    naive: Mapping[str, int]


def main() -> int:
    """Post, compare, print and write."""
    with (
        tempfile.TemporaryDirectory(prefix="gnomon-conformance-") as home,
        ServerProcess(Path(home) / "data") as server,
    ):
        results = measure(server, TRANSPORTS)
    text = tables(results)
    print(text)
    write(DOCUMENT, text)
    wrong = mismatches(results)
    print("\n".join(wrong) or "Everything is exact.")
    return 1 if wrong else 0


def measure(server: ServerProcess, transports: Sequence[Transport]) -> Results:
    """Post every capture by every transport, all scenarios of an SDK into one project of each transport."""
    projects = {
        f"t{number}-{folder}": (transport.name, folder)
        for number, transport in enumerate(transports)
        for folder in FOLDERS
    }
    by_name = {transport.name: transport for transport in transports}
    for project, (name, folder) in projects.items():
        key = server.key(project)
        for scenario in (each for each in CAPTURES if each[0] == folder):
            _post(server, by_name[name], key, scenario)
    server.wait_until_written()
    found: dict[str, dict[Scenario, Counts]] = {transport.name: {} for transport in transports}
    for row in server.query(COUNTS_BY_TRACE):
        name, folder = projects[row.pop("project")]
        scenario = SCENARIOS[folder, row.pop("trace_id")]
        found[name][scenario] = _added(found[name].get(scenario, {}), row)
    first = {row["project"]: row["tokens"] for row in server.query(NAIVE)}
    return Results(found, {folder: first[f"t0-{folder}"] for folder in FOLDERS})


def _added(one: Counts, other: Counts) -> Counts:
    """The sum of two traces of a scenario; what neither says stays null."""
    return {
        name: value if (before := one.get(name)) is None else before + (value or 0)
        for name, value in other.items()
    }


def _post(server: ServerProcess, transport: Transport, key: str, scenario: Scenario) -> None:
    transport.post(server, key, "traces", CAPTURES[scenario])
    if scenario in LOGS:
        transport.post(server, key, "logs", LOGS[scenario])


def differences(found: Counts | None, truth: Counts) -> list[str]:
    """Return what is not exact, as ``calls 2 (1)``: the figure and the truth."""
    if found is None:
        return ["nothing stored"]
    names = ("calls", *FIGURES, "errors")
    return [
        f"{SHORT.get(name, name)} {found.get(name)} ({truth.get(name)})"
        for name in names
        if found.get(name) != truth.get(name)
    ]


def mismatches(results: Results) -> list[str]:
    """Return a line for each scenario that is not exact."""
    return [
        f"{name}: {folder} {scenario}: {', '.join(wrong)}"
        for name, found in results.by_transport.items()
        for folder, scenario in CAPTURES
        if (wrong := differences(found.get((folder, scenario)), truth_of(folder, scenario)))
    ]


def tables(results: Results) -> str:
    """Return the tables as Markdown: by SDK, by scenario, by transport."""
    first = next(iter(results.by_transport.values()))
    parts = [
        "### By SDK\n", _by_sdk(first, results.naive),
        "\n### By scenario and SDK\n", _by_scenario(first),
        "\n### By transport\n", _by_transport(results),
    ]  # fmt: skip
    return "\n".join(parts)


def _by_sdk(found: Found, naive: Mapping[str, int]) -> str:
    return _table(
        (
            "SDK",
            "Scenarios",
            "Calls",
            "Tokens",
            "Errors",
            "Naive sum of tokens",
            "Not said by the SDK in some scenario",
        ),
        (_sdk_row(folder, found, naive[folder]) for folder in FOLDERS),
    )


def _sdk_row(folder: str, found: Found, naive: int) -> tuple[str, ...]:
    scenarios = [each for each in CAPTURES if each[0] == folder]
    truths = {each: truth_of(*each) for each in scenarios}

    def exact(names: Sequence[str]) -> str:
        good = sum(
            all(found.get(each, {}).get(name) == truths[each].get(name) for name in names)
            for each in scenarios
        )
        return f"{good} of {len(scenarios)} exact" if good < len(scenarios) else "all exact"

    unsaid = [SHORT[name] for name in FIGURES if any(_is_unsaid(each, name) for each in scenarios)]
    total = sum(
        truths[each].get(name) or 0 for each in scenarios for name in ("input_tokens", "output_tokens")
    )
    return (
        folder, str(len(scenarios)), exact(["calls"]), exact(FIGURES), exact(["errors"]),
        f"{naive / total:.2f}×" if total else "", ", ".join(unsaid),
    )  # fmt: skip


def _is_unsaid(scenario: Scenario, name: str) -> bool:
    """Whether the provider reported a number and the SDK does not."""
    return bool(TRUTH.get(scenario[1], {}).get(name)) and truth_of(*scenario).get(name) is None


def _by_scenario(found: Found) -> str:
    names = sorted({scenario for _, scenario in CAPTURES})
    rows = ((name, *(_cell(found, folder, name) for folder in FOLDERS)) for name in names)
    return _table(("Scenario", *FOLDERS), rows)


def _cell(found: Found, folder: str, scenario: str) -> str:
    if (folder, scenario) not in CAPTURES:
        return ""
    wrong = differences(found.get((folder, scenario)), truth_of(folder, scenario))
    mark = " *" if (folder, scenario) in OTHERWISE else ""
    return ", ".join(wrong) if wrong else f"exact{mark}"


def _by_transport(results: Results) -> str:
    rows = [
        (
            name,
            f"{sum(not differences(found.get(each), truth_of(*each)) for each in CAPTURES)} of {len(CAPTURES)}",
        )
        for name, found in results.by_transport.items()
    ]
    return _table(("Transport", "Exact scenarios"), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write(document: Path, text: str) -> None:
    """Put the tables between the marks of a document."""
    whole = document.read_text(encoding="utf-8")
    head, _, rest = whole.partition(BEGIN)
    _, _, tail = rest.partition(END)
    document.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
