"""Bring the schema of a database up to date.

Two kinds of texts, both from `gnomon_schemas`:

* migrations: numbered files for what holds data. Each is applied once, in order, forward only. The ledger
  table keeps a checksum of each, so that one edited after it was applied is noticed.
* repeatables: views and whatever else can be made anew at any time. Applied again when their text changes.

ClickHouse has no transactions for DDL. The ledger therefore counts statements: a run that was cut off goes on
where it stopped.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from gnomon_collector.errors import MigrationError, StoreError
from gnomon_collector.store.engine import Store

LEDGER_TABLE = "schema_ledger"

Kind = Literal["migration", "repeatable"]

_FILE_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_CLUSTER_NAME = re.compile(r"[A-Za-z0-9_.-]+")
# What the statement at which an earlier run was cut off answers when it had taken effect after all.
_ALREADY_DONE = frozenset({15, 57})  # DUPLICATE_COLUMN, TABLE_ALREADY_EXISTS

_LEDGER_DDL = """
CREATE TABLE IF NOT EXISTS schema_ledger{on_cluster}
(
    name String,
    kind LowCardinality(String),
    sha256 String,
    statements_done UInt32,
    statements_total UInt32,
    applied_at DateTime64(3, 'UTC'),
    version UInt64
)
ENGINE = {engine}ReplacingMergeTree(version)
ORDER BY (kind, name)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""
_LEDGER_ROWS = "SELECT kind, name, sha256, statements_done, statements_total FROM schema_ledger FINAL"
_LEDGER_COLUMNS = ("name", "kind", "sha256", "statements_done", "statements_total", "applied_at", "version")


@dataclass(frozen=True)
class Migration:
    """A text to apply.

    Attributes:
        name: file name of a migration (``0001_spans.sql``), name of the object of a repeatable
        kind: ``migration`` or ``repeatable``
        statements: SQL, with the slots ``{on_cluster}`` and ``{engine}`` still open
    """

    name: str
    kind: Kind
    statements: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Checksum of the statements, the same on a cluster and on a single server."""
        return hashlib.sha256("\n;\n".join(self.statements).encode()).hexdigest()


@dataclass(frozen=True)
class Applied:
    """A text that was applied just now."""

    name: str
    kind: Kind
    duration_ms: float


@dataclass(frozen=True)
class _Entry:
    """What the ledger knows of one text."""

    sha256: str
    statements_done: int
    statements_total: int

    @property
    def is_complete(self) -> bool:
        return self.statements_done >= self.statements_total


_Ledger = Mapping[tuple[str, str], _Entry]


def catalogue() -> list[Migration]:
    """Return every text of this version of Gnomon in the order of application."""
    from gnomon_schemas.otlp import DDL_SLOTS
    from gnomon_schemas.views import repeatables

    folder = files("gnomon_schemas") / "migrations"
    texts = [(entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir()]
    migrations = [(name, text) for name, text in texts if _FILE_NAME.fullmatch(name)]
    return [
        *(parse(name, "migration", text, DDL_SLOTS) for name, text in sorted(migrations)),
        *(parse(name, "repeatable", text, DDL_SLOTS) for name, text in repeatables()),
    ]


def parse(name: str, kind: Kind, text: str, slots: Mapping[str, str]) -> Migration:
    """Fill the slots that are the same everywhere, and cut `text` into statements."""
    return Migration(name, kind, tuple(split_statements(fill(text, slots))))


def split_statements(text: str) -> list[str]:
    """Cut SQL into statements: one ends with ``;`` at the end of a line that is not a comment."""
    statements: list[str] = []
    lines: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("--"):
            continue
        lines.append(line.rstrip())
        if lines[-1].endswith(";"):
            statements.append("\n".join(lines)[:-1].strip())
            lines = []
    statements.append("\n".join(lines).strip())
    return [statement for statement in statements if statement]


def fill(text: str, slots: Mapping[str, str]) -> str:
    """Replace each ``{slot}`` that is in `slots`; other braces are SQL's."""
    for slot, value in slots.items():
        text = text.replace(f"{{{slot}}}", value)
    return text


def cluster_slots(cluster: str | None) -> dict[str, str]:
    """Return the slots by which cluster DDL differs.

    Raises:
        MigrationError: senseless cluster name
    """
    if not cluster:
        return {"on_cluster": "", "engine": ""}
    if not _CLUSTER_NAME.fullmatch(cluster):
        raise MigrationError(f"{cluster!r} cannot be the name of a cluster: letters, digits, _ . - only.")
    return {"on_cluster": f" ON CLUSTER `{cluster}`", "engine": "Replicated"}


def ledger_ddl(cluster: str | None) -> str:
    """Return the SQL that creates the ledger table."""
    return fill(_LEDGER_DDL, cluster_slots(cluster)).strip()


def pending(store: Store, texts: Sequence[Migration] | None = None) -> list[Migration]:
    """Return what `migrate` would apply, in order. Changes nothing.

    Args:
        store: the database
        texts: what should be there; by default the `catalogue`

    Raises:
        MigrationError: an applied migration was changed, is unknown here, or a new one comes too late
    """
    wanted = catalogue() if texts is None else list(texts)
    ledger = _read_ledger(store)
    _check_history(wanted, ledger)
    return [text for text in wanted if _is_pending(text, ledger)]


def migrate(
    store: Store,
    *,
    cluster: str | None = None,
    texts: Sequence[Migration] | None = None,
    on_applied: Callable[[Applied], None] | None = None,
) -> list[Applied]:
    """Bring the database up to date and return what was applied; nothing on the second run.

    Args:
        store: the database
        cluster: ClickHouse cluster to create replicated tables on; None or "" for a single server
        texts: what should be there; by default the `catalogue`
        on_applied: called after each text, for showing progress

    Raises:
        MigrationError: as for `pending`, or a statement was refused; the next run goes on at that statement
    """
    slots = cluster_slots(cluster)
    if cluster:
        store.command(fill(f"CREATE DATABASE IF NOT EXISTS `{store.database}`{{on_cluster}}", slots))
    todo = pending(store, texts)
    if not todo:
        return []
    store.command(ledger_ddl(cluster))
    ledger = _read_ledger(store)
    done: list[Applied] = []
    for text in todo:
        started = time.perf_counter()
        _apply(store, text, ledger.get((text.kind, text.name)), slots)
        done.append(Applied(text.name, text.kind, (time.perf_counter() - started) * 1000))
        if on_applied is not None:
            on_applied(done[-1])
    return done


def _apply(store: Store, text: Migration, entry: _Entry | None, slots: Mapping[str, str]) -> None:
    is_resumed = entry is not None and entry.sha256 == text.sha256 and not entry.is_complete
    first = entry.statements_done if entry is not None and is_resumed else 0
    _record(store, text, first)
    for index, statement in enumerate(text.statements[first:], start=first):
        try:
            store.command(fill(statement, slots))
        except StoreError as error:
            if not (is_resumed and index == first and error.code in _ALREADY_DONE):
                raise _refused(text, index, error) from error
        _record(store, text, index + 1)


def _refused(text: Migration, index: int, error: StoreError) -> MigrationError:
    return MigrationError(
        f"{text.name}, statement {index + 1} of {len(text.statements)}, was refused: {error}"
        " Remove the cause and run `gnomon migrate` again: it goes on at this statement.",
        code=error.code,
        name=error.name,
    )


def _record(store: Store, text: Migration, statements_done: int) -> None:
    # The version is the clock: two runs at a time are not meant, and time goes on between statements.
    now_ns = time.time_ns()
    row = (text.name, text.kind, text.sha256, statements_done, len(text.statements), now_ns // 10**6, now_ns)
    store.insert_rows(LEDGER_TABLE, _LEDGER_COLUMNS, [row])


def _read_ledger(store: Store) -> _Ledger:
    if store.query(f"EXISTS TABLE {LEDGER_TABLE}").rows[0][0] != 1:
        return {}
    return {
        (str(kind), str(name)): _Entry(str(sha256), int(str(done)), int(str(total)))
        for kind, name, sha256, done, total in store.query(_LEDGER_ROWS).rows
    }


def _is_pending(text: Migration, ledger: _Ledger) -> bool:
    entry = ledger.get((text.kind, text.name))
    return entry is None or not entry.is_complete or entry.sha256 != text.sha256


def _check_history(wanted: Iterable[Migration], ledger: _Ledger) -> None:
    here = {text.name: text for text in wanted if text.kind == "migration"}
    there = {name: entry for (kind, name), entry in ledger.items() if kind == "migration"}
    unknown = sorted(set(there) - set(here))
    if unknown:
        raise MigrationError(
            f"The database has migrations that this version of Gnomon does not know: {', '.join(unknown)}."
            " It was written by a newer version. Install that one again, or go back with the backup from before"
            " the upgrade: gnomon restore FILE --data NEW_DIR. Nothing was changed."
        )
    changed = sorted(name for name, entry in there.items() if entry.sha256 != here[name].sha256)
    if changed:
        raise MigrationError(
            f"{', '.join(changed)} was changed after it had been applied to this database. Applied migrations"
            " must stay as they are: restore the file, and put the change into a new migration."
        )
    newest = max(there, default="")
    late = sorted(name for name in here if name not in there and name < newest)
    if late:
        raise MigrationError(
            f"{', '.join(late)} is new but numbered before {newest}, which is already applied. Migrations go"
            " forward only: give it a higher number."
        )
