"""What a process and its children use, from outside."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil  # type: ignore[import-untyped]

_PERIOD_S: Final = 0.5
MIB: Final = 1024**2


@dataclass(frozen=True)
class Usage:
    """CPU time so far and resident memory now, of a process with its children.

    Attributes:
        rss_bytes: pages that several of them share are counted once.
    """

    cpu_s: float
    rss_bytes: int


def usage(pid: int) -> Usage:
    """Return what process `pid` and its living children use; zeros when it is gone."""
    cpu_s, rss_bytes = 0.0, 0
    family = list(_family(pid))
    for process in family:
        try:
            times = process.cpu_times()
            cpu_s += times.user + times.system
            rss_bytes += _resident(process, is_alone=len(family) == 1)
        except psutil.NoSuchProcess:
            continue
    return Usage(cpu_s, rss_bytes)


def _resident(process: psutil.Process, *, is_alone: bool) -> int:
    # The proportional size shares common pages out, but the kernel walks all pages to tell it.
    size: int = process.memory_info().rss if is_alone else process.memory_full_info().pss
    return size


def _family(pid: int) -> Iterator[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        yield parent
        yield from parent.children(recursive=True)
    except psutil.NoSuchProcess:
        return


def cpu_by_thread_name(pid: int) -> dict[str, float]:
    """Return CPU seconds of the living threads of `pid` by their name in the kernel."""
    seconds: dict[str, float] = {}
    process = psutil.Process(pid)
    for thread in process.threads():
        try:
            name = Path(f"/proc/{pid}/task/{thread.id}/comm").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            continue
        seconds[name] = seconds.get(name, 0.0) + thread.user_time + thread.system_time
    return seconds


class UsageWatch:
    """Follows the memory and the CPU time of a process family while it is entered.

    Attributes:
        peak_rss_bytes: largest sum seen, looked at every 500 ms.
        cpu_s: CPU seconds used since it was entered.
    """

    def __init__(self, pid: int) -> None:
        self.peak_rss_bytes = 0
        self._pid = pid
        self._started = usage(pid)
        self._latest = self._started
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def cpu_s(self) -> float:
        """CPU seconds used since the watch began, up to now or its end."""
        return self._latest.cpu_s - self._started.cpu_s

    def look(self) -> Usage:
        """Look now and return what is seen."""
        seen = usage(self._pid)
        # A child that ended takes its CPU time with it: the sum must not go back.
        self._latest = Usage(max(seen.cpu_s, self._latest.cpu_s), seen.rss_bytes)
        self.peak_rss_bytes = max(self.peak_rss_bytes, seen.rss_bytes)
        return seen

    def _watch(self) -> None:
        while not self._stopping.wait(_PERIOD_S):
            self.look()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self.look()


def disk_bytes(directory: Path) -> int:
    """Return what the files in `directory` take on disk, in blocks, hard links counted once.

    A database that merges makes and removes directories meanwhile: what is gone counts nothing.
    """
    seen: dict[tuple[int, int], int] = {}
    # Path.rglob raises when a directory is gone before it is read; os.walk passes over it.
    for parent, directories, files in os.walk(directory):
        for name in (*directories, *files):
            try:
                status = (Path(parent) / name).lstat()
            except FileNotFoundError:
                continue
            seen[(status.st_dev, status.st_ino)] = 512 * status.st_blocks
    return sum(seen.values())
