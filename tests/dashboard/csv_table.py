"""Reads what an export gave."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable


def read_csv(chunks: Iterable[bytes]) -> list[dict[str, str]]:
    """Return the rows of a CSV by column."""
    return list(csv.DictReader(io.StringIO(b"".join(chunks).decode(), newline="")))
