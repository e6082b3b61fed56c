"""`open_store` and the one API over both backends."""

from __future__ import annotations

import copy
import logging
import re
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.transform import NativeTransform

from gnomon_collector.errors import BadRequest, ConfigError, StoreError
from gnomon_collector.store.clients import SELECT, ThreadClients, described, errors_translated
from gnomon_collector.store.embedded import EmbeddedEngine
from gnomon_collector.store.remote import RemoteServer, parse_address

DEFAULT_DATABASE = "gnomon"
# For SQL written by people: bounded in time, and text formats that other programs read without surprises.
# `readonly` comes last, for nothing can be set after it.
READING_SETTINGS: dict[str, object] = {
    "max_execution_time": 60,
    "date_time_output_format": "iso",
    "format_csv_null_representation": "",
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,
    "readonly": 1,
}
# Formats in which people may ask for an answer, and what ClickHouse calls them.
ANSWER_FORMATS: Mapping[str, str] = {
    "csv": "CSVWithNames",
    "json_lines": "JSONEachRow",
    "table": "JSONCompactEachRowWithNamesAndTypes",
}
_FORMAT_CLAUSE = re.compile(r"\bFORMAT\s+\w+\s*;?\s*$", re.IGNORECASE)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class QueryResult:
    """The answer to a query.

    Attributes:
        columns: names
        types: ClickHouse's type names, in the order of `columns`
        rows: values as Python objects; times are aware and in UTC, unless the column says another zone
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[object, ...]]

    def dicts(self) -> list[dict[str, object]]:
        """Return the rows as dicts by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


Observe: TypeAlias = Callable[[str, float], None]
"""Is told of each statement: its kind (``query``, ``stream``, ``command``, ``insert``) and its seconds."""


class Backend(Protocol):
    """What differs between the embedded engine and a server."""

    @property
    def is_embedded(self) -> bool: ...
    @property
    def database(self) -> str: ...
    @property
    def place(self) -> str: ...
    def connect(self, settings: Mapping[str, object]) -> Client: ...
    def create_database(self, client: Client) -> None: ...
    def insert(
        self,
        client: Client,
        table: str,
        columns: Sequence[str],
        payload: Iterable[bytes],
        fmt: str,
        settings: Mapping[str, object],
        turn: AbstractContextManager[object],
    ) -> None: ...
    def text(
        self, client: Client, sql: str, parameters: Mapping[str, object] | None, fmt: str
    ) -> Iterator[bytes]: ...
    def check_reading(self, client: Client, sql: str) -> None: ...
    def close(self) -> None: ...


class Store:
    """A database. Safe to use from any number of threads; not from a forked child.

    (While the embedded engine is open, a forked child that ends normally hangs too, in chDB's cleanup: let it
    end with ``os._exit`` or ``exec``, as `multiprocessing` and `subprocess` do.)

    Every method raises `StoreError` when the database refuses a statement, and its leaf `StoreUnavailable`
    when the database cannot be reached or may accept the same later.

    ``parameters`` are bound by the database: ``{name:Type}`` in the SQL, and never formatted into it.
    """

    def __init__(self, backend: Backend, *, is_readonly: bool = False) -> None:
        """Use `open_store` and `readonly` instead. A readonly store leaves the backend to its owner."""
        self._backend = backend
        self._is_readonly = is_readonly
        self._observe: Observe = lambda kind, seconds: None
        self._readers: weakref.WeakSet[Store] = weakref.WeakSet()
        with errors_translated(backend.place):
            self._clients = ThreadClients(self._connect)
            if not is_readonly:
                backend.create_database(self._clients.get())

    def _connect(self) -> Client:
        return self._backend.connect(READING_SETTINGS if self._is_readonly else {})

    @property
    def database(self) -> str:
        """Name of the database."""
        return self._backend.database

    @property
    def is_embedded(self) -> bool:
        """Whether the engine runs inside this process."""
        return self._backend.is_embedded

    @property
    def place(self) -> str:
        """Where the database is, for messages; without password."""
        return self._backend.place

    def query(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        settings: Mapping[str, object] | None = None,
    ) -> QueryResult:
        """Run a reading statement and return its rows."""
        with self._timed("query"), errors_translated(self.place):
            client = self._checked_client(sql, parameters)
            result = client.query(sql, _bound(parameters), settings=_bound(settings))
            columns, types = tuple(result.column_names), tuple(kind.name for kind in result.column_types)
            if not columns and SELECT.match(sql):
                columns, types = described(client, sql, parameters)
            return QueryResult(columns, types, [tuple(row) for row in result.result_rows])

    def query_text(
        self, sql: str, parameters: Mapping[str, object] | None = None, fmt: str = "CSVWithNames"
    ) -> Iterator[bytes]:
        """Run a reading statement and yield its answer in a ClickHouse format, in blocks as they come.

        The iterator may be read in any thread and should be closed when left early. Errors come while it is
        read: take the first block before promising success to a client.
        """
        if not _IDENTIFIER.fullmatch(fmt):
            raise ValueError(f"{fmt!r} is not the name of a ClickHouse format")
        with self._timed("stream"), errors_translated(self.place), closing(self._connect()) as client:
            # A client of its own: an open stream holds its client, and threads change under a web server.
            self._check(client, sql, parameters)
            yield from self._backend.text(client, sql, parameters, fmt)

    def command(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """Run a statement that answers nothing."""
        with self._timed("command"), errors_translated(self.place):
            client = self._checked_client(sql, parameters)
            client.command(sql, _bound(parameters), settings=_bound(settings))

    def insert_rows(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Insert a few rows of Python values. They are in the table when this returns.

        Raises:
            StoreError: also when a value does not fit its column
        """
        if not rows:
            return
        with self._timed("insert"), errors_translated(self.place):
            client = self._clients.get()
            payload = _native_block(client, table, columns, rows)
            self._backend.insert(client, table, columns, [payload], "Native", {}, nullcontext())

    def insert_raw(
        self,
        table: str,
        payload: bytes | Iterable[bytes],
        fmt: str,
        settings: Mapping[str, object] | None = None,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        """Insert bytes in ClickHouse's format `fmt` into `table`.

        Args:
            payload: whole or in pieces, which the embedded engine never holds together.
            turn: entered when the payload is ready, held while the statement runs.
        """
        if not _IDENTIFIER.fullmatch(fmt):
            raise ValueError(f"{fmt!r} is not the name of a ClickHouse format")
        with self._timed("insert"), errors_translated(self.place):
            pieces = [payload] if isinstance(payload, bytes) else payload
            client = self._clients.get()
            self._backend.insert(client, table, (), pieces, fmt, settings or {}, turn or nullcontext())

    def readonly(self) -> Store:
        """Return a handle on the same database that can only read, for SQL written by people.

        Statements are bounded to 60 s. On the embedded engine, what would reach past the database (files of
        this machine) raises `BadRequest`. It is closed with this store.
        """
        reader = Store(self._backend, is_readonly=True)
        reader._observe = self._observe
        self._readers.add(reader)
        return reader

    def observed(self, observe: Observe) -> Store:
        """Return this store as one part of the server uses it: `observe` is told of its statements."""
        part = copy.copy(self)  # clients and readers are the same
        part._observe = observe
        return part

    def ping(self) -> None:
        """Raise `StoreUnavailable` unless the database answers."""
        self.query("SELECT 1")

    def close(self) -> None:
        """Close all clients; waits for statements under way. Doing so twice does no harm."""
        for reader in list(self._readers):
            reader.close()
        self._clients.close()
        if not self._is_readonly:
            self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        started_s = time.perf_counter()
        try:
            yield
        finally:
            self._observe(kind, time.perf_counter() - started_s)

    def _checked_client(self, sql: str, parameters: Mapping[str, object] | None) -> Client:
        client = self._clients.get()
        self._check(client, sql, parameters)
        return client

    def _check(self, client: Client, sql: str, parameters: Mapping[str, object] | None) -> None:
        check_bound(sql, parameters)
        if self._is_readonly:
            if _FORMAT_CLAUSE.search(sql):
                raise BadRequest("Leave FORMAT out of the SQL: the format is asked for beside it (--format).")
            self._backend.check_reading(client, sql)


def open_store(url: str, *, data_dir: Path | None = None) -> Store:
    """Open a database, which is created when it is not there.

    Args:
        url: ``chdb:///abs/dir`` for the embedded engine, or ``clickhouse://user:password@host:port/database``
            (``clickhouses://`` for TLS). ``?database=`` names the database for chdb; default ``gnomon``.
        data_dir: where the lock and the temporary files of the embedded engine go; by default its directory

    Raises:
        ConfigError: the URL is wrong, or no permission
        DataDirHeld: another process works in the directory
        StoreUnavailable: no server there, or the password is wrong
    """
    # What clickhouse-connect logs it also raises; in its log are tracebacks and bound values.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    backend = _backend(url, data_dir)
    try:
        return Store(backend)
    except BaseException:
        backend.close()
        raise


def _backend(url: str, data_dir: Path | None) -> Backend:
    parts = urlsplit(url)
    if parts.scheme == "chdb":
        if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
            raise ConfigError(
                "GNOMON_STORE must name an absolute directory: chdb:///abs/dir (three slashes)."
            )
        directory = Path(unquote(parts.path))
        database = parse_qs(parts.query).get("database", [DEFAULT_DATABASE])[0]
        return EmbeddedEngine(directory, _database_name(database), data_dir or directory)
    if parts.scheme in ("clickhouse", "clickhouses"):
        return RemoteServer(parse_address(url), _database_name(unquote(parts.path[1:]) or DEFAULT_DATABASE))
    raise ConfigError(
        f"GNOMON_STORE must start with chdb://, clickhouse:// or clickhouses://, not {parts.scheme + '://'!r}."
    )


def _database_name(name: str) -> str:
    if not _IDENTIFIER.fullmatch(name):
        raise ConfigError(f"{name!r} is no usable database name: letters, digits and _ only.")
    return name


def check_bound(sql: str, parameters: Mapping[str, object] | None) -> None:
    """Make sure that the database binds every parameter.

    clickhouse-connect formats values into the text when it finds no ``{name:Type}``. That must not happen.

    Raises:
        ValueError: a parameter has no ``{name:Type}`` in the SQL, or is a dict, which would be bound as JSON
    """
    for name, value in (parameters or {}).items():
        if isinstance(value, dict):
            raise ValueError(
                f"Parameter {name!r} is a dict: bind its keys and values as arrays (mapFromArrays)"
            )
        if not _IDENTIFIER.fullmatch(name) or not re.search(r"\{\s*" + name + r"\s*:", sql):
            raise ValueError(f"Parameter {name!r} is not in the SQL as {{{name}:Type}}")


def _bound(values: Mapping[str, object] | None) -> dict[str, object] | None:
    return dict(values) if values else None


def _native_block(
    client: Client, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> bytes:
    """Return `rows` in ClickHouse's Native format."""
    context = client.create_insert_context(table, list(columns), data=rows)
    body = b"".join(NativeTransform.build_insert(context))
    if context.insert_exception is not None:
        raise StoreError(f"A value does not fit its column in {table}: {context.insert_exception}")
    # The block starts with the INSERT statement that an HTTP body needs.
    return body[body.index(b"\n") + 1 :]
