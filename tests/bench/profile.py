"""Where the threads of a running server spend their time, by py-spy's samples.

py-spy is not a dependency: without it there is no profile (``pip install py-spy``). It must be allowed to
look into the process: root, or ptrace of own processes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.report import Table

_RATE_HZ: Final = 100
_SLACK_S: Final = 60.0
_LINES_SHOWN: Final = 12
_SMALLEST_SHARE: Final = 0.01
_THREAD: Final = re.compile(r"^thread \(\w+\):? ?")
_PLACE: Final = re.compile(r":\d+\)$")

_NUMBER: Final = re.compile(r"[-_]\d+$")
# Threads of ours, and those of asyncio.to_thread.
_OURS: Final = ("gnomon-", "asyncio", "AnyIO")

# The innermost of these functions on a stack decides the stage.
STAGES: Final[Mapping[str, str]] = {
    "decompress": "undo gzip",
    "check_request": "check protobuf and ids",
    "_read": "read the body",
    "put": "hand to the inbox",
    "_commit": "commit to the inbox (SQLite, fsync)",
    "_next_group": "wait for requests to commit",
    "oldest": "read from the inbox",
    "_envelopes": "concatenate",
    "insert_batch": "insert",
    "report_batch": "report on the batch",
    "mark_duplicates": "mark duplicates",
    "_price": "price",
    "forget": "forget in the inbox",
    "recompute": "rollups",
    "touched_minutes": "rollups",
    "authorize": "look up the key",
    "wait_for_requests": "wait for requests",
    "wait": "wait",
    "select": "wait for the network",
    "Runner.run": "event loop: waiting, or in its own code",
}


@dataclass(frozen=True)
class Profile:
    """Shares of samples.

    Attributes:
        stages: by thread, then by stage, as a share of the thread's samples.
        lines: by function that holds the GIL, as a share of all samples that hold it.
        note: why there is no profile, else empty.
    """

    seconds: float
    stages: dict[str, dict[str, float]]
    lines: dict[str, float]
    note: str = ""

    def tables(self) -> Iterator[Table]:
        """Return the profile as tables; none when there is no profile."""
        rows = [
            (thread, stage, f"{share:.0%}")
            for thread, stages in self.stages.items()
            for stage, share in sorted(stages.items(), key=lambda item: -item[1])
            if share >= _SMALLEST_SHARE
        ]
        if rows:
            yield Table("Wall time of the server's threads (py-spy)", ["thread", "stage", "share"], rows)
        busiest = sorted(self.lines.items(), key=lambda item: -item[1])[:_LINES_SHOWN]
        if busiest:
            rows_held = [(name, f"{share:.1%}") for name, share in busiest]
            yield Table(
                "Functions that hold the GIL (py-spy)", ["function", "share of the GIL held"], rows_held
            )


def record(pid: int, seconds: float, directory: Path) -> Profile:
    """Watch process `pid`, half the time for where threads are, half for who holds the GIL.

    Args:
        directory: where the samples are written.
    """
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if program is None:
        return Profile(0, {}, {}, "py-spy is not installed: pip install py-spy")
    half_s = max(1, round(seconds / 2))
    try:
        everything = _samples(program, pid, half_s, directory / "idle.txt", "--idle", "--threads")
        held = _samples(program, pid, half_s, directory / "gil.txt", "--gil")
    except subprocess.CalledProcessError as error:
        return Profile(0, {}, {}, f"py-spy failed: {error.stderr.strip()[-300:]}")
    return Profile(2 * half_s, stage_shares(everything), leaf_shares(held))


def _samples(program: str, pid: int, seconds: int, path: Path, *flags: str) -> Counter[str]:
    words = [
        "record",
        "--pid",
        str(pid),
        "--duration",
        str(seconds),
        "--rate",
        str(_RATE_HZ),
        "--nonblocking",
    ]
    subprocess.run(
        [program, *words, "--format", "raw", "--output", str(path), "--function", *flags],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + _SLACK_S,
    )
    counts: Counter[str] = Counter()
    for line in path.read_text(encoding="utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        counts[stack] += int(count)
    return counts


def stage_shares(samples: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Return the share of each stage in the samples of each named thread."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for stack, count in samples.items():
        thread, *frames = stack.split(";")
        counts[_NUMBER.sub("", _THREAD.sub("", thread))][_stage(frames)] += count
    return {
        thread: {stage: count / stages.total() for stage, count in stages.items()}
        for thread, stages in sorted(counts.items())
        if thread.startswith(_OURS)
    }


def leaf_shares(samples: Mapping[str, int]) -> dict[str, float]:
    """Return the share of each innermost function."""
    counts: Counter[str] = Counter()
    for stack, count in samples.items():
        counts[_PLACE.sub(")", stack.split(";")[-1])] += count
    return {name: count / counts.total() for name, count in counts.items()}


def _stage(frames: list[str]) -> str:
    for frame in reversed(frames):
        # "Class.method (file.py:12)"
        name = frame.split(" (")[0]
        found = STAGES.get(name) or STAGES.get(name.rpartition(".")[2])
        if found:
            return found
    return "other"
