"""What a process family and a directory take."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from tests.bench.usage import UsageWatch, cpu_by_thread_name, disk_bytes, usage


def test_hard_links_count_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 65536)
    alone = disk_bytes(tmp_path)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert disk_bytes(tmp_path) == alone >= 65536


def test_a_directory_may_be_changed_while_it_is_measured(tmp_path: Path) -> None:
    stopping = threading.Event()

    def churn() -> None:
        while not stopping.is_set():
            for number in range(20):
                (tmp_path / str(number)).mkdir()
            for number in range(20):
                shutil.rmtree(tmp_path / str(number))

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        sizes = [disk_bytes(tmp_path) for _ in range(300)]
    finally:
        stopping.set()
        thread.join()
    assert min(sizes) >= 0 and disk_bytes(tmp_path) == 0


def test_children_are_part_of_the_family() -> None:
    before = usage(os.getpid())
    with (
        UsageWatch(os.getpid()) as watch,
        subprocess.Popen(
            [sys.executable, "-c", "x = bytearray(1 << 27); print('up', flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child,
    ):
        assert child.stdout is not None and child.stdin is not None
        child.stdout.readline()
        seen = watch.look()
        child.stdin.write(b"\n")
    assert seen.rss_bytes > before.rss_bytes + 2**26
    assert watch.peak_rss_bytes >= seen.rss_bytes and watch.cpu_s >= 0
    assert usage(2**22 + 1).cpu_s == 0
    assert sum(cpu_by_thread_name(os.getpid()).values()) > 0
