"""One clickhouse-connect client per thread, and its errors in our words."""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC
from typing import BinaryIO, cast

from clickhouse_connect.driver import options
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from gnomon_collector.errors import StoreError, StoreUnavailable

# Settings of every client. UTC makes toDate() and zoneless DateTime mean the same on every machine; inserts
# must be in the table when they return.
CLIENT_SETTINGS: dict[str, object] = {"async_insert": 0, "session_timezone": "UTC"}

# Of ClickHouse's error codes those that speak of the state of the server and not of the statement: the same
# statement may work later. Source: ClickHouse, src/Common/ErrorCodes.cpp.
PASSING_ERROR_CODES = frozenset(
    {
        74,  # CANNOT_READ_FROM_FILE_DESCRIPTOR
        75,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
        76,  # CANNOT_OPEN_FILE
        77,  # CANNOT_CLOSE_FILE
        87,  # CANNOT_SEEK_THROUGH_FILE
        88,  # CANNOT_TRUNCATE_FILE
        95,  # CANNOT_READ_FROM_SOCKET
        96,  # CANNOT_WRITE_TO_SOCKET
        107,  # FILE_DOESNT_EXIST
        159,  # TIMEOUT_EXCEEDED
        172,  # CANNOT_CREATE_DIRECTORY
        173,  # CANNOT_ALLOCATE_MEMORY
        193,  # WRONG_PASSWORD
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        204,  # CANNOT_FSYNC
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        214,  # CANNOT_STATVFS
        225,  # NO_ZOOKEEPER
        236,  # ABORTED
        239,  # CANNOT_MUNMAP
        240,  # CANNOT_MREMAP
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        254,  # NO_ACTIVE_REPLICAS
        272,  # CANNOT_IO_SUBMIT
        273,  # CANNOT_IO_GETEVENTS
        274,  # AIO_READ_ERROR
        275,  # AIO_WRITE_ERROR
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        289,  # REPLICA_IS_NOT_IN_QUORUM
        294,  # CANNOT_WRITE_TO_FILE
        319,  # UNKNOWN_STATUS_OF_INSERT
        363,  # CANNOT_CREATE_IO_BUFFER
        369,  # ALL_REPLICAS_ARE_STALE
        394,  # QUERY_WAS_CANCELLED
        400,  # CANNOT_STAT
        402,  # CANNOT_IOSETUP
        424,  # CANNOT_LINK
        425,  # SYSTEM_ERROR
        439,  # CANNOT_SCHEDULE_TASK
        458,  # CANNOT_UNLINK
        463,  # CANNOT_FCNTL
        516,  # AUTHENTICATION_FAILED
        531,  # CANNOT_FSTAT
        566,  # CANNOT_RMDIR
        586,  # CANNOT_CREATE_FILE
        615,  # CANNOT_ADVISE
        625,  # IO_SETUP_ERROR
        641,  # CANNOT_APPEND_TO_FILE
        659,  # UNKNOWN_STATUS_OF_TRANSACTION
        678,  # IO_URING_INIT_FAILED
        679,  # IO_URING_SUBMIT_ERROR
        692,  # TOO_MANY_MUTATIONS
        700,  # USER_SESSION_LIMIT_EXCEEDED
        749,  # TCP_CONNECTION_LIMIT_REACHED
        762,  # HTTP_CONNECTION_LIMIT_REACHED
        771,  # CACHE_CANNOT_WRITE_TO_CACHE_DISK
        777,  # MEMORY_RESERVATION_KILLED
        778,  # MEMORY_RESERVATION_FAILED
        901,  # CANNOT_USE_DISTRIBUTED_CACHE
        903,  # DISTRIBUTED_CACHE_REGISTRY_SHUTDOWN
        999,  # KEEPER_EXCEPTION
        1000,  # POCO_EXCEPTION
        1001,  # STD_EXCEPTION
        1002,  # UNKNOWN_EXCEPTION
        1019,  # QUERY_SLOT_ACQUISITION_TIMEOUT
        1020,  # MEMORY_RESERVATION_ACQUISITION_TIMEOUT
    }
)
SELECT = re.compile(r"[\s(]*(?:SELECT|WITH)\b", re.IGNORECASE)
_CHUNK_BYTES = 1 << 20
_NOISE = re.compile(r"(?:Code: \d+\. )?DB::Exception: |\s*\(version [^()]*(?:\([^()]*\))?[^()]*\)")
# What the parser would have liked instead fills a screen; the scope repeats the query with its values.
_SCOPE = re.compile(r":? In scope .*", re.DOTALL)
_EXPECTED = re.compile(r"\. Expected one of: .{120,}", re.DOTALL)
_UNPARSED_VALUE = re.compile(r"\b([Vv]alue) .* (cannot be parsed as)", re.DOTALL)
_MAX_MESSAGE_CHARACTERS = 500
_TRAILING_NAME = re.compile(r"\s*\(([A-Z][A-Z0-9_]+)\)\.?\s*$")


class ThreadClients:
    """Hands each thread a client of its own: a client serialises its queries, two clients run in parallel.

    A client lives as long as its thread. Not usable in a forked child: the embedded engine's threads are not
    there, and a query would wait for them for ever.
    """

    def __init__(self, connect: Callable[[], Client]) -> None:
        self._connect = connect
        self._local = threading.local()
        self._lock = threading.Lock()
        self._clients: weakref.WeakSet[Client] = weakref.WeakSet()
        self._pid = os.getpid()
        self._closed = False
        # Without this one the engine would stop and start again with the thread that happened to open it.
        self._first: Client | None = self.get()

    def get(self) -> Client:
        """Return the calling thread's client, made on first use.

        Raises:
            StoreError: closed, or called in a forked child
        """
        client: Client | None = getattr(self._local, "client", None)
        if client is not None and not self._closed and os.getpid() == self._pid:
            return client
        self._check_usable()
        client = self._connect()
        with self._lock:
            self._clients.add(client)
        self._local.client = client
        return client

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise StoreError(
                f"This store was opened in process {self._pid} and cannot be used in its forked child"
                f" {os.getpid()}: open the store after forking, or start the child with spawn."
            )
        if self._closed:
            raise StoreError("The store is closed.")

    def close(self) -> None:
        """Close the clients of all threads; waits for queries under way. Doing so twice does no harm."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._closed = True
            clients, self._first = list(self._clients), None
            self._clients.clear()
        for client in clients:
            with suppress(ClickHouseError):
                client.close()
        self._local = threading.local()


def read_text(client: Client, sql: str, parameters: Mapping[str, object] | None, fmt: str) -> Iterator[bytes]:
    """Yield the answer to `sql` in ClickHouse's format `fmt`, as it comes."""
    stream = cast(BinaryIO, client.raw_stream(sql, dict(parameters) if parameters else None, fmt=fmt))
    try:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
    finally:
        stream.close()


def described(
    client: Client, sql: str, parameters: Mapping[str, object] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names and types of the columns that a SELECT answers with."""
    statement = f"DESCRIBE TABLE ({sql.rstrip().rstrip(';')}\n)"
    names, types = client.query(statement, dict(parameters) if parameters else None).result_columns[:2]
    return tuple(names), tuple(types)


def prepared(client: Client) -> Client:
    """Make `client` read and bind times without zone as UTC, which `CLIENT_SETTINGS` makes the engine do."""
    client.server_tz = UTC
    # Inserted rows are lists here. The driver would import pandas, 50 MB, to see that they are no DataFrame.
    vars(options).setdefault("pd", None)
    return client


@contextmanager
def errors_translated(place: str) -> Iterator[None]:
    """Turn errors of clickhouse-connect into `StoreError` and `StoreUnavailable`.

    Args:
        place: what is connected to, without password, for the message
    """
    try:
        yield
    except ClickHouseError as error:
        raise translate(error, place) from error


def translate(error: ClickHouseError, place: str) -> StoreError:
    """Return `error` in our words. A transport error's text is left out: it has the query's parameters."""
    code = error.code if isinstance(error, Error) else None
    if code is None:
        return StoreUnavailable(f"{place} does not answer: {_transport_reason(error)}.")
    message, name = _clean(str(error))
    leaf = StoreUnavailable if code in PASSING_ERROR_CODES else StoreError
    return leaf(f"{message} ({name or code})", code=code, name=name)


def _clean(text: str) -> tuple[str, str]:
    message = _NOISE.sub("", text).strip()
    names = _TRAILING_NAME.findall(message)
    while _TRAILING_NAME.search(message):
        message = _TRAILING_NAME.sub("", message)
    message = " ".join(message.split())
    message = _UNPARSED_VALUE.sub(r"\1 \2", _EXPECTED.sub("", _SCOPE.sub("", message)))
    return message[:_MAX_MESSAGE_CHARACTERS].rstrip(". ") + ".", names[-1] if names else ""


def _transport_reason(error: BaseException) -> str:
    """Name the innermost cause that has a plain name, such as ConnectionRefusedError."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        reason = getattr(cause, "reason", None)
        cause = reason if isinstance(reason, BaseException) else cause.__cause__ or cause.__context__
    return type(error).__name__
