"""What the inbox's file looks like: its tables, and requests as rows of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gnomon_collector.ingest.requests import decompress

_UNLIMITED: Final = 2**40

DDL: Final = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    received_at_ns INTEGER NOT NULL,
    encoding TEXT NOT NULL,
    spans INTEGER NOT NULL,
    minutes TEXT NOT NULL,
    body BLOB NOT NULL,
    signal TEXT NOT NULL DEFAULT 'traces'
);
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    received_at_ns INTEGER NOT NULL,
    encoding TEXT NOT NULL,
    spans INTEGER NOT NULL,
    minutes TEXT NOT NULL,
    body BLOB NOT NULL,
    reason TEXT NOT NULL,
    signal TEXT NOT NULL DEFAULT 'traces'
);
CREATE INDEX IF NOT EXISTS requests_by_project ON requests (project, id);
CREATE TABLE IF NOT EXISTS touched_minutes (
    project TEXT NOT NULL,
    minute INTEGER NOT NULL,
    touch INTEGER NOT NULL,
    PRIMARY KEY (project, minute)
) WITHOUT ROWID;
"""
# Inboxes of version 0.1 know traces alone.
_ADD_SIGNAL = "ALTER TABLE {table} ADD COLUMN signal TEXT NOT NULL DEFAULT 'traces'"
COLUMNS: Final = "project, received_at_ns, encoding, spans, minutes, body, signal"
_INSERT = f"INSERT INTO requests ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  (names of this module)
# The oldest of each project, then the second oldest of each: a project with a backlog holds up no other.
IN_TURN: Final = (
    "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY project ORDER BY id) AS turn"
    " FROM requests INDEXED BY requests_by_project WHERE id > ?) ORDER BY turn, id LIMIT ?"
)
REQUEST: Final = f"SELECT id, {COLUMNS} FROM requests WHERE id = ?"  # noqa: S608
RETRY: Final = f"INSERT INTO requests ({COLUMNS}) SELECT {COLUMNS} FROM quarantine WHERE id = ?"  # noqa: S608
QUARANTINED: Final = f"SELECT id, {COLUMNS}, reason FROM quarantine ORDER BY id"  # noqa: S608
QUARANTINE: Final = (
    f"INSERT OR REPLACE INTO quarantine (id, {COLUMNS}, reason)"  # noqa: S608
    f" SELECT id, {COLUMNS}, ? FROM requests WHERE id = ?"
)
TOUCH: Final = (
    "INSERT INTO touched_minutes VALUES (?, ?, ?)"
    " ON CONFLICT (project, minute) DO UPDATE SET touch = excluded.touch"
)


@dataclass(frozen=True)
class ReceivedRequest:
    """An accepted export request.

    Attributes:
        project: tenant, from the key
        received_at_ns: nanoseconds since 1970
        encoding: content encoding of `body`: "" or "gzip"
        spans: spans in it, or log records, or data points
        minutes: minutes since 1970 in which its spans start
        body: an export request of its signal, protobuf, as received
        id: place in the inbox; 0 before it is there
        signal: traces, logs or metrics
    """

    project: str
    received_at_ns: int
    encoding: str
    spans: int
    minutes: frozenset[int]
    body: bytes
    id: int = 0
    signal: str = "traces"

    def plain_body(self) -> bytes:
        """Return `body` decompressed. The limit of its size was held when the request was taken in."""
        return decompress(self.body, self.encoding, _UNLIMITED)


@dataclass(frozen=True)
class QuarantinedRequest:
    """A request that the database refused, and why. `request.id` is its number in the quarantine."""

    request: ReceivedRequest
    reason: str


@dataclass(frozen=True)
class TouchedMinutes:
    """Minutes whose rollups are out of date.

    Attributes:
        minutes: (project, minute in UTC)
        touch: the newest touch among them (ids of requests, so a clock set back does no harm); minutes
            touched later stay out of date
    """

    minutes: tuple[tuple[str, datetime], ...]
    touch: int


def minute_time(minute: int) -> datetime:
    """Return the time (UTC) of a minute counted from 1970."""
    return datetime.fromtimestamp(minute * 60, UTC)


def minute_number(time: datetime) -> int:
    return int(time.timestamp()) // 60


def touches(
    requests: Collection[ReceivedRequest], also_touched: Iterable[tuple[str, datetime]]
) -> set[tuple[str, int, int]]:
    touch = max((request.id for request in requests), default=0)
    own = {(request.project, minute, touch) for request in requests for minute in request.minutes}
    return own | {(project, minute_number(minute), touch) for project, minute in also_touched}


def insert(connection: sqlite3.Connection, request: ReceivedRequest) -> None:
    minutes = ",".join(map(str, sorted(request.minutes)))
    connection.execute(
        _INSERT,
        (
            request.project,
            request.received_at_ns,
            request.encoding,
            request.spans,
            minutes,
            request.body,
            request.signal,
        ),
    )


def received(row: tuple[Any, ...]) -> ReceivedRequest:
    """Return the request of a row that has the id and then `COLUMNS`."""
    id_, project, received_at_ns, encoding, spans, minutes, body, signal = row
    return ReceivedRequest(
        project, received_at_ns, encoding, spans, _minutes_from_text(minutes), body, id_, signal
    )


def add_signal(connection: sqlite3.Connection) -> None:
    for table in ("requests", "quarantine"):
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        if "signal" not in {name for _, name, *_ in columns}:
            connection.execute(_ADD_SIGNAL.format(table=table))


def _minutes_from_text(text: str) -> frozenset[int]:
    return frozenset(map(int, text.split(","))) if text else frozenset()
