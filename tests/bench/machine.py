"""Where and when a benchmark ran."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]

ROOT: Final = Path(__file__).parent.parent.parent
_PACKAGES: Final = (
    "gnomon",
    "chdb",
    "chdb-core",
    "clickhouse-connect",
    "fastapi",
    "uvicorn",
    "protobuf",
    "dash",
)


@dataclass(frozen=True)
class Machine:
    """Where and when. `load_average` is that of one minute, before the benchmark began."""

    measured_at: str
    git_commit: str
    cpu: str
    cores: int
    memory_gib: float
    system: str
    file_system: str
    python: str
    packages: dict[str, str]
    load_average: float


def this_machine(directory: Path) -> Machine:
    """Describe this machine. `directory` is where the benchmark keeps its data."""
    return Machine(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=commit(),
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(psutil.virtual_memory().total / 1024**3, 1),
        system=platform.platform(),
        file_system=_file_system(directory),
        python=platform.python_version(),
        packages={name: found for name in _PACKAGES if (found := _version(name))},
        load_average=round(os.getloadavg()[0], 2),
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def commit(apart_from: Sequence[Path] = ()) -> str:
    """Return the commit of this checkout, "unknown" where there is no git.

    Args:
        apart_from: what may have changed without a word about it, such as the report itself
    """
    if shutil.which("git") is None:
        return "unknown"
    head = _git("rev-parse", "--short=12", "HEAD")
    left_out = [f":(exclude){path.relative_to(ROOT)}" for path in apart_from]
    is_changed = bool(_git("status", "--porcelain", "--untracked-files=no", "--", ".", *left_out))
    return f"{head} with changes not committed" if is_changed else head


def _git(*words: str) -> str:
    answer = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _file_system(directory: Path) -> str:
    places = [part for part in psutil.disk_partitions(all=True) if directory.is_relative_to(part.mountpoint)]
    return max(places, key=lambda part: len(part.mountpoint)).fstype if places else ""
