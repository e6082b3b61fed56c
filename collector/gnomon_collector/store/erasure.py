"""Erasing a person, a trace, a session or a project from every table.

Tables are found by their columns, so that one added later is reached without being named here; those with
content (`gnomon_collector.store.content_tables`) must be among them. What is erased is kept as a list of trace
ids (`erased_traces`): the ingest leaves out what comes of them later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, cast, get_args

from gnomon_collector.errors import StoreError
from gnomon_collector.store import rollups
from gnomon_collector.store.content_tables import CONTENT_TABLES
from gnomon_collector.store.engine import Store

Kind = Literal["user", "session", "trace", "project"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

# Columns that name a person or a session by itself, wherever they occur.
_OWN_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "user": ("user_id", "author"),
    "session": ("session_id",),
    "trace": (),
    "project": (),
}
_SPANS_OF: Final[Mapping[str, str]] = {
    "user": "user_id = {value:String}",
    "session": "session_id = {value:String}",
    "trace": "trace_id = {value:String}",
}
# What stays when a project goes: who did what, and the keys, which are revoked.
_KEPT_TABLES: Final = ("audit_log", "api_keys", "erased_traces")
_MINUTES_AT_ONCE: Final = 720
_ATTEMPTS: Final = 5
_SHORT_LIVED_PARTS: Final = "old_parts_lifetime = 60, min_rows_to_fsync_after_merge = 1"
OFF_DISK_S: Final = 900.0
"""After this time no byte of what was erased is in the data directory. (The engine looks for old files at
intervals that grow to ten minutes while nothing happens.)"""

_TABLES = """
SELECT c.table, groupArray(c.name)
FROM system.columns AS c
INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table
WHERE c.database = {database:String} AND t.engine LIKE '%MergeTree'
    AND c.name IN ('project', 'trace_id', 'user_id', 'session_id', 'author')
GROUP BY c.table
ORDER BY c.table
"""
_KEEP_TRACES = """
INSERT INTO erased_traces
SELECT DISTINCT project, trace_id, {id:String}, now64(3) FROM spans
WHERE project = {project:String} AND """
_COUNT_TRACES = (
    "SELECT count() FROM erased_traces FINAL WHERE project = {project:String} AND erasure_id = {id:String}"
)


@dataclass(frozen=True)
class Erasure:
    """What was erased.

    Attributes:
        traces: traces that the subject occurred in
        rows: rows deleted, by table
    """

    traces: int
    rows: Mapping[str, int]


def erase(
    store: Store, kind: Kind, project: str, value: str, erasure_id: str, progress: Callable[[str], None]
) -> Erasure:
    """Delete everything of a subject. Cut off, it may be run again with the same arguments.

    When this returns no query finds it any more. The files that the deletion replaced go when the database
    next tidies up: seconds later where data comes in, up to `OFF_DISK_S` later where nothing happens.

    A user or a session is erased with the whole of every trace that it occurs in: prompts often stand in
    another span than the user's id.

    Args:
        value: user id, session id or trace id; unused for a project.
        erasure_id: names this erasure in `erased_traces`.
        progress: is told which table is next.

    Raises:
        StoreError: something is left; run it again.
    """
    digest = hashlib.sha256(value.encode()).hexdigest()
    subject = {"project": project, "value": value, "digest": digest, "id": erasure_id}
    if kind != "project":
        keep_traces = _KEEP_TRACES + _SPANS_OF[kind]
        store.command(keep_traces, _used(keep_traces, subject))
    conditions = _conditions(store, kind)
    minutes = _minutes(store, conditions["spans"], subject)
    _forget_old_parts_soon(store, sorted(conditions))
    rows = {
        table: _delete(store, table, condition, subject, progress) for table, condition in conditions.items()
    }
    progress("rollups")
    for start in range(0, len(minutes), _MINUTES_AT_ONCE):
        rollups.recompute(store, [project], minutes[start : start + _MINUTES_AT_ONCE])
    deleted = {table: count for table, count in rows.items() if count}
    traces = int(str(store.query(_COUNT_TRACES, {"project": project, "id": erasure_id}).rows[0][0]))
    return Erasure(traces, deleted)


def _conditions(store: Store, kind: Kind) -> dict[str, str]:
    """Return for each table which rows go. `spans` comes last: the others may be found through it.

    Raises:
        StoreError: a table with content would be left out
    """
    found: dict[str, str] = {}
    for table, names in store.query(_TABLES, {"database": store.database}).rows:
        columns = cast(Sequence[str], names)
        condition = _condition(kind, columns) if str(table) not in _KEPT_TABLES else ""
        if condition:
            found[str(table)] = f"project = {{project:String}} AND ({condition})"
    unreached = [one.name for one in CONTENT_TABLES if one.name not in found]
    if unreached:
        raise StoreError(
            f"Nothing was erased: {', '.join(unreached)} is not reached in this database. Run `gnomon migrate`."
        )
    return {**{table: found[table] for table in found if table != "spans"}, "spans": found["spans"]}


def _condition(kind: Kind, columns: Sequence[str]) -> str:
    if "project" not in columns:
        return ""
    if kind == "project":
        return "true"
    of_trace = (
        "trace_id IN (SELECT trace_id FROM erased_traces"
        " WHERE project = {project:String} AND erasure_id = {id:String})"
    )
    # By digest: the database keeps the text of a deletion in a file.
    own = [
        f"SHA256({column}) = unhex({{digest:String}})" for column in _OWN_COLUMNS[kind] if column in columns
    ]
    return " OR ".join([*([of_trace] if "trace_id" in columns else []), *own])


def _minutes(store: Store, condition: str, subject: Mapping[str, str]) -> list[datetime]:
    sql = "SELECT DISTINCT toStartOfMinute(start_time) FROM spans WHERE " + condition  # noqa: S608  (of this module)
    return sorted(cast(datetime, row[0]) for row in store.query(sql, _used(condition, subject)).rows)


def _delete(
    store: Store, table: str, condition: str, subject: Mapping[str, str], progress: Callable[[str], None]
) -> int:
    """Delete the rows of a table, and once more those that an insert under way brought meanwhile."""
    progress(table)
    parameters = _used(condition, subject)
    count_sql = f"SELECT count() FROM {table} WHERE {condition}"  # noqa: S608  (a table of ours)
    deleted = 0
    for _ in range(_ATTEMPTS):
        count = int(str(store.query(count_sql, parameters).rows[0][0]))
        if not count:
            return deleted
        deleted += count
        store.command(
            f"ALTER TABLE {table} DELETE WHERE {condition}", parameters, settings={"mutations_sync": 2}
        )
    raise StoreError(
        f"Rows keep coming into {table} that should be erased. Stop the sender and run it again."
    )


def _used(sql: str, subject: Mapping[str, str]) -> dict[str, object]:
    return {name: value for name, value in subject.items() if f"{{{name}:" in sql}


def _forget_old_parts_soon(store: Store, tables: Sequence[str]) -> None:
    """Have the files that deletions replace removed after a minute instead of eight.

    Safe against a loss of power because what replaces them is on stable storage first.
    """
    for table in tables:
        store.command(f"ALTER TABLE {table} MODIFY SETTING {_SHORT_LIVED_PARTS}")
