"""What trust costs ingest: CPU per span with quotas and masking, and against another checkout, in turns.

    python -m tests.bench.trust [--other CHECKOUT]

Every case is a `gnomon serve collector` of its own that takes in the same number of spans; counted is its CPU time
from the first request until the last span can be queried. The cases take turns, so that other work on the machine
meets all of them alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from tests.bench.gnomon_server import PROJECT, BenchError, GnomonServer, gnomon_server
from tests.bench.ingest_case import run_load
from tests.bench.load import LoadOptions
from tests.bench.machine import ROOT
from tests.bench.usage import usage

SPANS_PER_REQUEST: Final = 100
_LONGEST_S: Final = 600.0
_MUCH: Final = 4_000_000_000


@dataclass(frozen=True)
class Case:
    """A server to measure.

    Attributes:
        checkout: whose code it runs
        changes: of the project's settings, see `gnomon projects set`
    """

    name: str
    checkout: Path
    changes: Mapping[str, object]


def cases(other: Path | None) -> list[Case]:
    """Return what is compared; the first is what users get."""
    quotas = {"max_spans_per_minute": _MUCH, "max_bytes_per_minute": _MUCH}
    found = [
        Case("here", ROOT, {}),
        Case("here, with quotas", ROOT, quotas),
        Case("here, with quotas and masking", ROOT, quotas | {"mask_content": True}),
    ]
    return [*found, Case("other", other, {})] if other else found


def cpu_us_per_span(case: Case, data_dir: Path, spans: int) -> float:
    """Run one server, and return its CPU microseconds per span.

    Raises:
        BenchError: the spans are not there in ten minutes
    """
    with gnomon_server(data_dir, ("collector",), _environment(case.checkout)) as server:
        if case.changes:
            _configure(server, case.changes)
        before_s = usage(server.pid).cpu_s
        load = LoadOptions(
            server.traces_url, server.headers, SPANS_PER_REQUEST, seconds=_LONGEST_S, max_spans=spans
        )
        sent = run_load(load).spans
        _wait_for(server, sent)
        return 1e6 * (usage(server.pid).cpu_s - before_s) / sent


def _environment(checkout: Path) -> dict[str, str]:
    paths = [checkout, *(checkout / part for part in ("collector", "dashboard", "schemas", "sdk"))]
    return {"PYTHONPATH": os.pathsep.join(map(str, paths))}


def _configure(server: GnomonServer, changes: Mapping[str, object]) -> None:
    answer = httpx.post(
        f"{server.server.http_url}/api/v1/operations/set_project",
        json={"project": PROJECT, "changes": changes},
        headers={"authorization": f"Bearer {server.server.admin_token}"},
        trust_env=False,
    )
    if not answer.is_success:
        raise BenchError(f"set_project: {answer.status_code} {answer.text}")


def _wait_for(server: GnomonServer, spans: int) -> None:
    give_up_at = time.monotonic() + _LONGEST_S
    while server.query("SELECT count() AS n FROM spans")[0]["n"] < spans:
        if time.monotonic() > give_up_at:
            raise BenchError(f"not all of {spans} spans can be queried")
        time.sleep(1)


def in_turns(compared: Sequence[Case], spans: int, rounds: int) -> dict[str, list[float]]:
    """Return CPU microseconds per span of each round, by name of the case."""
    told: dict[str, list[float]] = {case.name: [] for case in compared}
    for number in range(rounds):
        for case in compared:
            with tempfile.TemporaryDirectory() as home:
                told[case.name].append(cpu_us_per_span(case, Path(home) / "data", spans))
            print(f"round {number + 1}: {case.name}: {told[case.name][-1]:.1f} us per span", flush=True)
    return told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--other", type=Path, help="another checkout of Gnomon")
    parser.add_argument("--spans", type=int, default=60_000, help="of each server and round")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}")
    told = in_turns(cases(arguments.other), arguments.spans, arguments.rounds)
    medians = {name: statistics.median(rounds) for name, rounds in told.items()}
    for name, median in medians.items():
        print(f"{name}: {median:.1f} us per span; speed of here is {median / medians['here']:.2f} of it")


if __name__ == "__main__":
    main()
