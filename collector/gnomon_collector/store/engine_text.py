"""Resident pages of the embedded engine's program, which its start reads and hardly anything else."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MADV_DONTNEED: Final = 4  # Linux, asm-generic/mman-common.h
_KIB: Final = 1024
_SMAPS: Final = Path("/proc/self/smaps")
_HEADER: Final = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ +(\S.*)$", re.MULTILINE)
_FIGURE: Final = re.compile(r"^(Rss|Anonymous): +(\d+) kB$", re.MULTILINE)
_ENGINE: Final = re.compile(r"/chdb/[^/]*\.so[^/]*$")


@dataclass(frozen=True)
class Mapping:
    """A part of a file in this process's address space.

    Attributes:
        start: address of its first byte
        end: address after its last byte
        mode: as the kernel writes it: ``r-xp`` is program text, private to the process
        rss_bytes: resident of it
        own_bytes: of these, pages that are no longer the file's: written to, and lost if given back
    """

    start: int
    end: int
    mode: str
    path: str
    rss_bytes: int
    own_bytes: int


def release_engine_text(smaps: Path = _SMAPS) -> int:
    """Give back the resident pages of chDB's program that nothing has written to; return their bytes.

    The file has them, and what is used again comes back from the page cache, page by page. Where there is no
    /proc (not Linux), nothing is done.
    """
    try:
        mappings = list(read_mappings(smaps.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return 0
    return sum(_release(mapping) for mapping in mappings if is_engine_text(mapping))


def read_mappings(smaps: str) -> Iterator[Mapping]:
    """Yield the mappings of files in the kernel's ``smaps`` (proc_pid_smaps(5))."""
    headers = list(_HEADER.finditer(smaps))
    ends = [header.start() for header in headers[1:]] + [len(smaps)]
    for header, end in zip(headers, ends, strict=True):
        # The first of each name counts: what follows without a header that matches is of no file.
        figures = {name: int(kib) * _KIB for name, kib in reversed(_FIGURE.findall(smaps, header.end(), end))}
        yield Mapping(
            int(header[1], 16),
            int(header[2], 16),
            header[3],
            header[4],
            figures.get("Rss", 0),
            figures.get("Anonymous", 0),
        )


def is_engine_text(mapping: Mapping) -> bool:
    """Return whether all of `mapping` is chDB's program as its file has it: never written, nor to be written."""
    is_only_read = mapping.mode in ("r-xp", "r--p")
    return is_only_read and not mapping.own_bytes and _ENGINE.search(mapping.path) is not None


def _release(mapping: Mapping) -> int:
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)
    refused = madvise(mapping.start, mapping.end - mapping.start, _MADV_DONTNEED)
    return 0 if refused else mapping.rss_bytes
