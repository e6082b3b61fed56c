"""The durable inbox: what is acknowledged is here, on stable storage, until the database has it.

SQLite in WAL mode with ``synchronous=FULL``: a commit returns after fsync. One thread writes, and commits
together whatever has gathered meanwhile (group commit), so that many small requests share one fsync.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gnomon_collector.errors import StoreError, StoreUnavailable
from gnomon_collector.ingest.inbox_rows import (
    DDL,
    IN_TURN,
    QUARANTINE,
    QUARANTINED,
    REQUEST,
    RETRY,
    TOUCH,
    QuarantinedRequest,
    ReceivedRequest,
    TouchedMinutes,
    add_signal,
    insert,
    minute_number,
    minute_time,
    received,
    touches,
)
from gnomon_collector.ingest.requests import plain_bytes

_log = logging.getLogger(__name__)

_MOST_AT_ONCE = 20_000
_BUSY_TIMEOUT_S = 30.0
_PAGE_BYTES = 65536
_CACHE_KIB = 8192
_MAX_GROUP_BYTES = 32 * 1024**2


class InboxFull(StoreUnavailable):
    """The inbox holds as many bytes as it may; the client should try again later."""


_Write = Callable[[sqlite3.Connection], None]


@dataclass(frozen=True)
class _Task:
    write: _Write
    size_bytes: int
    done: Future[None]


class Inbox:
    """Safe to use from any thread. Closed, it finishes what was put."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Open or create the inbox.

        Args:
            path: file of the inbox; SQLite keeps its log beside it.
            max_bytes: most bytes of bodies it holds, beyond which `put` is refused.

        Raises:
            StoreError: the file cannot be opened or is no inbox.
        """
        self.max_bytes = max_bytes
        # The same in every process that works with this inbox.
        self.name = (
            "gnomon-" + hashlib.sha256(f"{socket.gethostname()}:{path.absolute()}".encode()).hexdigest()[:16]
        )
        self._path = path
        self._tasks: deque[_Task] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._arrived = threading.Event()
        self._touched = threading.Event()
        self._touched.set()  # what was touched before a restart
        self._waiting_bytes, self._waiting_requests = self._open()
        if self._waiting_requests:
            self._arrived.set()
        self._writer = threading.Thread(target=self._write_groups, name="gnomon-inbox", daemon=True)
        self._writer.start()

    def _open(self) -> tuple[int, int]:
        """Create what is not there; return how many bytes and requests wait."""
        try:
            _create_private(self._path)
            with closing(self._connect()) as connection:
                connection.executescript(DDL)
                add_signal(connection)
                row = connection.execute("SELECT ifnull(sum(length(body)), 0), count(*) FROM requests")
                waiting_bytes, waiting_requests = row.fetchone()
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"The inbox {self._path} cannot be opened: {error}. What was acknowledged waits in it for the"
                " database: mend it or restore it, or move it away to start with an empty one."
            ) from error
        return int(waiting_bytes), int(waiting_requests)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of bodies acknowledged and not yet in the database."""
        return self._waiting_bytes

    @property
    def waiting_requests(self) -> int:
        """Requests acknowledged and not yet in the database."""
        return self._waiting_requests

    def put(self, request: ReceivedRequest) -> Future[None]:
        """Take in a request. It may be acknowledged once the future is done without an exception.

        Raises:
            InboxFull: at once, nothing was taken in.

        The future fails with `StoreUnavailable` when the disk did not take it.
        """
        size_bytes = len(request.body)
        with self._changed:
            if self._waiting_bytes + size_bytes > self.max_bytes:
                raise InboxFull(
                    f"The inbox holds {self._waiting_bytes} of {self.max_bytes} bytes that the database has"
                    " not taken yet. Try again later; if it stays so, see `gnomon status`."
                )
            self._waiting_bytes += size_bytes
            self._waiting_requests += 1
        return self._submit(lambda connection: insert(connection, request), size_bytes)

    def wait_for_requests(self, timeout_s: float) -> bool:
        """Wait until there is a request that `oldest` has not handed out; False after the time-out."""
        return self._arrived.wait(timeout_s)

    def wake(self) -> None:
        """Have `wait_for_requests` return at once: what `oldest` handed out was not dealt with."""
        self._arrived.set()

    def oldest(self, after_id: int, max_bytes: int, besides: Collection[int] = ()) -> list[ReceivedRequest]:
        """Return the oldest requests after `after_id`, of each project in turn; at least one if there is any.

        Args:
            max_bytes: most bytes of all bodies together, decompressed.
            besides: ids of requests that are left alone.
        """
        self._arrived.clear()
        found: list[ReceivedRequest] = []
        size_bytes = 0
        with closing(self._connect()) as connection:
            ids = connection.execute(IN_TURN, (after_id, _MOST_AT_ONCE + len(besides))).fetchall()
            for id_ in ids:
                if id_[0] in besides:
                    continue
                request = received(connection.execute(REQUEST, id_).fetchone())
                size_bytes += plain_bytes(request.body, request.encoding)
                if found and size_bytes > max_bytes:
                    self._arrived.set()
                    break
                found.append(request)
        if len(ids) == _MOST_AT_ONCE + len(besides):
            self._arrived.set()
        return found

    def forget(
        self, requests: Collection[ReceivedRequest], also_touched: Iterable[tuple[str, datetime]] = ()
    ) -> None:
        """Drop requests that are in the database, and note that their minutes need new rollups.

        Args:
            also_touched: (project, minute in UTC) of other spans that changed with them.
        """
        ids = [(request.id,) for request in requests]
        touched = touches(requests, also_touched)

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM requests WHERE id = ?", ids)
            connection.executemany(TOUCH, touched)

        self._submit(write, 0).result()
        self._release(requests)
        self._touched.set()

    def quarantine(self, request: ReceivedRequest, reason: str) -> None:
        """Set a request aside that the database does not take, so that it stops nothing else."""
        touched = touches([request], ())  # some of its spans may be in

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(QUARANTINE, (reason, request.id))
            connection.execute("DELETE FROM requests WHERE id = ?", (request.id,))
            connection.executemany(TOUCH, touched)

        self._submit(write, 0).result()
        self._release([request])
        self._touched.set()

    def quarantined(self) -> int:
        """Return how many requests are set aside."""
        with closing(self._connect()) as connection:
            return int(connection.execute("SELECT count(*) FROM quarantine").fetchone()[0])

    def quarantine_list(self) -> list[QuarantinedRequest]:
        """Return what is set aside, oldest first."""
        with closing(self._connect()) as connection:
            rows = connection.execute(QUARANTINED).fetchall()
        return [QuarantinedRequest(received(row[:-1]), row[-1]) for row in rows]

    def retry_quarantined(self, requests: Collection[ReceivedRequest]) -> None:
        """Let requests that were set aside wait for the database again, as if they had just come."""

        written = [self._retry(request) for request in requests]
        for each in written:
            each.result()

    def _retry(self, request: ReceivedRequest) -> Future[None]:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(RETRY, (request.id,))
            connection.execute("DELETE FROM quarantine WHERE id = ?", (request.id,))

        with self._changed:
            self._waiting_bytes += len(request.body)
            self._waiting_requests += 1
        return self._submit(write, len(request.body))

    def drop_quarantined(self, requests: Collection[ReceivedRequest]) -> None:
        """Delete requests that were set aside, for good."""
        ids = [(request.id,) for request in requests]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM quarantine WHERE id = ?", ids)

        self._submit(write, 0).result()

    def newest_id(self) -> int:
        """Return the number of the request taken in last; 0 when none waits."""
        with closing(self._connect()) as connection:
            return int(connection.execute("SELECT ifnull(max(id), 0) FROM requests").fetchone()[0])

    def has_before(self, id_: int) -> bool:
        """Return whether a request up to number `id_` still waits for the database."""
        with closing(self._connect()) as connection:
            return bool(connection.execute("SELECT 1 FROM requests WHERE id <= ? LIMIT 1", (id_,)).fetchone())

    def copy_to(self, path: Path) -> None:
        """Write a copy of the inbox, as it is at one instant, to a new file."""
        _create_private(path)
        with closing(self._connect()) as connection, closing(sqlite3.connect(path)) as copy:
            connection.backup(copy)

    def compact(self) -> None:
        """Give the space of forgotten requests back to the disk, and their bytes with it.

        SQLite leaves deleted bodies in free pages, where they can still be read.
        """
        with closing(self._connect()) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def wait_for_touched(self, timeout_s: float) -> bool:
        """Wait until minutes were touched since this returned True last; False after the time-out."""
        if not self._touched.wait(timeout_s):
            return False
        self._touched.clear()
        return True

    def touched_minutes(self, limit: int) -> TouchedMinutes:
        """Return minutes whose rollups are out of date, newest first, at most `limit`."""
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT project, minute, touch FROM touched_minutes ORDER BY minute DESC LIMIT ?", (limit,)
            ).fetchall()
        return TouchedMinutes(
            tuple((str(project), minute_time(minute)) for project, minute, _ in rows),
            max((int(touch) for _, _, touch in rows), default=0),
        )

    def wake_touched(self) -> None:
        """Have `wait_for_touched` return at once: not all touched minutes were dealt with."""
        self._touched.set()

    def forget_touched(self, touched: TouchedMinutes) -> None:
        """Note that the rollups of these minutes are up to date, unless touched again meanwhile."""
        keys = [(project, minute_number(minute), touched.touch) for project, minute in touched.minutes]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "DELETE FROM touched_minutes WHERE project = ? AND minute = ? AND touch <= ?", keys
            )

        self._submit(write, 0).result()

    def close(self) -> None:
        """Commit what was put and close. Doing so twice does no harm."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._writer.join()

    def _release(self, requests: Iterable[ReceivedRequest]) -> None:
        sizes = [len(request.body) for request in requests]
        with self._changed:
            self._waiting_bytes -= sum(sizes)
            self._waiting_requests -= len(sizes)

    def _submit(self, write: _Write, size_bytes: int) -> Future[None]:
        task = _Task(write, size_bytes, Future())
        # A client that goes away cancels its wait, not the write.
        task.done.set_running_or_notify_cancel()
        with self._changed:
            if self._closing:
                task.done.set_exception(StoreUnavailable("The collector is stopping. Try again later."))
                return task.done
            self._tasks.append(task)
            self._changed.notify()
        return task.done

    def _write_groups(self) -> None:
        connection: sqlite3.Connection | None = None
        while group := self._next_group():
            try:
                connection = connection or self._connect()
                _commit(connection, group)
            except sqlite3.Error as error:
                # Closing undoes what was begun, whatever state the connection is in.
                _close(connection)
                connection = None
                self._fail(group, error)
                continue
            if any(task.size_bytes for task in group):
                self._arrived.set()
            for task in group:
                task.done.set_result(None)
        _close(connection)

    def _next_group(self) -> list[_Task]:
        """Wait for tasks and take what has gathered; empty when closed and all done."""
        with self._changed:
            while not self._tasks and not self._closing:
                self._changed.wait()
            group: list[_Task] = []
            size_bytes = 0
            while self._tasks and size_bytes < _MAX_GROUP_BYTES:
                group.append(self._tasks.popleft())
                size_bytes += group[-1].size_bytes
            return group

    def _fail(self, group: list[_Task], error: sqlite3.Error) -> None:
        _log.error("The inbox %s cannot be written: %s. Free disk space or mend the disk.", self._path, error)
        with self._changed:
            self._waiting_bytes -= sum(task.size_bytes for task in group)
            self._waiting_requests -= sum(1 for task in group if task.size_bytes)
        failure = StoreUnavailable(f"The inbox cannot be written: {error}. Try again later.")
        for task in group:
            task.done.set_exception(failure)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        # Debian's SQLite writes zeros over what is deleted: as many bytes again through the log, for each
        # forgotten request. Erasure has `compact` for that.
        connection.execute("PRAGMA secure_delete = OFF")
        return connection


def _commit(connection: sqlite3.Connection, group: Iterable[_Task]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for task in group:
        task.write(connection)
    connection.execute("COMMIT")


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        with suppress(sqlite3.Error):
            connection.close()


def _create_private(path: Path) -> None:
    """Create the file if need be: it holds people's prompts. SQLite gives its log the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
