"""Hot copies of the embedded engine's tables, and putting them into an empty database.

ClickHouse freezes a table by hard links to its parts, which never change; nothing waits meanwhile. A server
has better means of its own (``BACKUP DATABASE``).
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from gnomon_collector.errors import ConfigError
from gnomon_collector.store.engine import Store

_TABLES: Final = """
SELECT name, data_paths FROM system.tables
WHERE database = {database:String} AND engine LIKE '%MergeTree'
ORDER BY name
"""
_PATCHED: Final = """
SELECT DISTINCT table FROM system.parts
WHERE database = {database:String} AND active AND startsWith(name, 'patch-')
"""
_DETACHED: Final = "detached"


@dataclass(frozen=True)
class FrozenPart:
    """A part of a table: a directory of files that do not change."""

    table: str
    name: str
    directory: Path


@dataclass(frozen=True)
class _Table:
    name: str
    directory: Path


@contextmanager
def frozen_parts(store: Store) -> Iterator[list[FrozenPart]]:
    """Freeze every table and yield the parts; they are let go at the end.

    Raises:
        ConfigError: the store is not embedded.
    """
    if not store.is_embedded:
        raise ConfigError(
            "gnomon backup copies the embedded database. Back up a ClickHouse server with its own means:"
            " BACKUP DATABASE gnomon TO ... (see docs/operations.md)."
        )
    # Patches refer to rows by numbers that attaching gives anew: they are applied first.
    for (table,) in store.query(_PATCHED, {"database": store.database}).rows:
        store.command(f"ALTER TABLE {table} APPLY PATCHES", settings={"mutations_sync": 2})
    name = f"backup_{uuid.uuid4().hex}"
    tables = _tables(store)
    try:
        for table in tables:
            store.command(f"ALTER TABLE {table.name} FREEZE WITH NAME '{name}'")
        yield [part for table in tables for part in _parts(table, name)]
    finally:
        for root in {_root(table) for table in tables}:
            shutil.rmtree(root / "shadow" / name, ignore_errors=True)


def attach_parts(store: Store, parts: Sequence[FrozenPart]) -> int:
    """Move parts into the tables of an empty database with the same schema; return how many rows they have."""
    directories = {table.name: table.directory for table in _tables(store)}
    rows = 0
    for part in parts:
        target = directories[part.table] / _DETACHED / part.name
        target.parent.mkdir(exist_ok=True)
        shutil.move(part.directory, target)
        store.command(f"ALTER TABLE {part.table} ATTACH PART '{part.name}'")
    for table in sorted({part.table for part in parts}):
        rows += cast(int, store.query(f"SELECT count() FROM {table}").rows[0][0])  # noqa: S608  (a table of ours)
    return rows


def _tables(store: Store) -> list[_Table]:
    rows = store.query(_TABLES, {"database": store.database}).rows
    return [_Table(str(name), Path(cast(Sequence[str], paths)[0])) for name, paths in rows]


def _root(table: _Table) -> Path:
    """Return the engine's directory: tables lie in ``store/abc/abc…`` below it."""
    return table.directory.parents[2]


def _parts(table: _Table, name: str) -> list[FrozenPart]:
    frozen = _root(table) / "shadow" / name / table.directory.relative_to(_root(table))
    if not frozen.is_dir():
        return []
    return [
        FrozenPart(table.name, directory.name, directory)
        for directory in sorted(frozen.iterdir())
        if not directory.name.startswith("patch-")
    ]
