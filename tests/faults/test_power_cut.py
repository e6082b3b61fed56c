"""The power goes: what was acknowledged was on the disk, and charts still agree with the spans.

The data directory is a file system of its own, in a file. Telling ext4 to shut down without writing its journal
leaves on it what a power cut would: what was fsynced, and of the rest whatever happened to be written already.
Needs root, a loop device and mkfs.ext4.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.faults.ledger import Ledger, Load, Request, assert_l0, post
from tests.ingest.server_process import ServerProcess

PROJECT = "power"
SIZE_BYTES = 2 * 1024**3
# linux/fs/ext4/ext4.h: _IOR('X', 125, __u32), EXT4_GOING_FLAGS_NOLOGFLUSH
EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2
FAST_TRIALS, SLOW_TRIALS = 3, 40


class Disk:
    """A file system that can lose its power; it is sparse, and mounted at `path`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "disk"
        self._image = folder / "disk.img"
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(SIZE_BYTES)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self.mount()

    def mount(self) -> None:
        """Mount it; ext4 replays the part of its journal that was written."""
        _run("mount", "-o", "loop", str(self._image), str(self.path))

    def cut_power(self) -> None:
        """Lose at once whatever is not on the disk. Every later call on its files fails."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(handle)

    def unmount(self) -> None:
        """Unmount it; nothing may have it open."""
        _run("umount", str(self.path))


def _run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise OSError(f"{' '.join(command)}: {ran.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        made = Disk(tmp_path)
    except OSError as error:
        pytest.skip(f"no file system can be made and mounted here: {error}")
    yield made
    made.unmount()


@pytest.mark.parametrize("trials", [FAST_TRIALS, pytest.param(SLOW_TRIALS, marks=pytest.mark.slow)])
def test_the_power_is_cut(disk: Disk, trials: int, record_property: Callable[[str, object], None]) -> None:
    """Every other time at rest: what is only computed from the spans, and forgotten then, must be there as well."""
    ledger, chance = Ledger(), random.Random(trials)
    with ServerProcess(disk.path) as server:
        key = server.key(PROJECT)
        for number in range(trials):
            load = Load(server.url, key, PROJECT, ledger, seed=number)
            load.wait_for_acks(chance.choice([10, 30, 60]))
            unanswered = _cut(server, disk, load, chance, at_rest=number % 2 == 0)
            _send_again(server, key, unanswered, ledger, chance)
            stored = assert_l0(server, ledger, PROJECT)
        assert server.metric("gnomon_quarantined_requests") == 0
    assert set(ledger.refused) <= {503}
    record_property(
        "figure", f"{trials} cuts, {ledger.acks} requests acknowledged, all of {stored} spans there once"
    )


def _cut(
    server: ServerProcess, disk: Disk, load: Load, chance: random.Random, *, at_rest: bool
) -> list[Request]:
    """Cut the power, start anew, and return the requests that had no answer."""
    unanswered = []
    if at_rest:
        unanswered = load.stop()
        server.wait_until_written()
    time.sleep(chance.uniform(0, 3))
    _freeze(server.pid)
    disk.cut_power()
    server.kill()
    unanswered = unanswered or load.stop()
    disk.unmount()
    disk.mount()
    server.start()
    return unanswered


def _freeze(pid: int) -> None:
    """Stop a process between two system calls.

    A power cut ends process and disk at once. Here the disk goes first, and an fsync that is under way then may
    return success for what was never written.
    """
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 30
    while any(_state(thread) != "T" for thread in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < deadline, "a thread does not stop"
        time.sleep(0.001)


def _state(thread: Path) -> str:
    """State of a thread, see proc(5)."""
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]


def _send_again(
    server: ServerProcess, key: str, unanswered: list[Request], ledger: Ledger, chance: random.Random
) -> None:
    """Send half of what had no answer again, as an exporter would."""
    with httpx.Client(timeout=60, trust_env=False) as client:
        for sent in unanswered:
            if chance.random() < 0.5:
                assert post(client, server.url, key, sent, ledger, chance)
