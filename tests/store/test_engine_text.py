"""What start leaves of the engine's program in memory can be given back, and nothing that is ours."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gnomon_collector.store.engine import Store
from gnomon_collector.store.engine_text import is_engine_text, read_mappings, release_engine_text

ENGINE = "/site-packages/chdb/_chdb.abi3.so"


def smaps(mode: str, path: str, own_kib: int) -> str:
    """Return the kernel's words on a mapping, and on one of no file after it."""
    return (
        f"7f10c3c57000-7f10db229000 {mode} 09056000 fe:00 5390902                    {path}\n"
        f"Size:             382792 kB\nRss:              149408 kB\nAnonymous:        {own_kib:6} kB\n"
        "VmFlags: rd ex mr mw me \n"
        "7f10dbda0000-7f10dcec6000 rw-p 00000000 00:00 0 \n"
        "Size:              17560 kB\nRss:                2192 kB\nAnonymous:          2192 kB\n"
    )


@pytest.mark.parametrize(
    ("mode", "path", "own_kib", "is_text"),
    [
        ("r-xp", ENGINE, 0, True),
        ("r--p", ENGINE, 0, True),
        ("r--p", ENGINE, 11_428, False),  # relocated: its file does not have these bytes
        ("rw-p", ENGINE, 0, False),
        ("r-xp", "/usr/lib/x86_64-linux-gnu/libc.so.6", 0, False),
        ("r--p", "/home/chdb/data.bin", 0, False),
    ],
)
def test_only_what_the_file_still_has_is_given_back(
    mode: str, path: str, own_kib: int, is_text: bool
) -> None:
    (mapping,) = read_mappings(smaps(mode, path, own_kib))
    assert (mapping.rss_bytes, mapping.own_bytes) == (149_408 * 1024, own_kib * 1024)
    assert is_engine_text(mapping) is is_text


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/PID/smaps")
def test_the_engine_goes_on_after_its_text_was_given_back(store: Store) -> None:
    if not store.is_embedded:
        pytest.skip("a server has its program in a process of its own")
    question = "SELECT quantile(0.5)(number), uniq(number), max(toString(number)) FROM numbers(1000)"
    before = store.query(question).rows
    released = release_engine_text()
    assert released > 32 * 1024**2
    assert resident_text() < released / 2
    assert store.query(question).rows == before


def test_nothing_is_done_where_the_kernel_does_not_tell(tmp_path: Path) -> None:
    assert release_engine_text(tmp_path / "smaps") == 0


def resident_text() -> int:
    """Return the resident bytes of the engine's program."""
    found = read_mappings(Path("/proc/self/smaps").read_text(encoding="utf-8"))
    return sum(mapping.rss_bytes for mapping in found if is_engine_text(mapping))
