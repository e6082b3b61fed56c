"""The embedded engine: chDB, which is ClickHouse inside this process."""

from __future__ import annotations

import csv
import importlib
import io
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlencode

import clickhouse_connect
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from gnomon_collector.errors import BadRequest, ConfigError
from gnomon_collector.runfile import DataDirLock
from gnomon_collector.store.clients import CLIENT_SETTINGS, SELECT, described, prepared, read_text
from gnomon_collector.store.spool import Spool

# The engine looks after each table by itself, some fifty of them. Where it finds nothing to do it looks again after
# 0.1 s, a little later each time; an insert wakes it anyway, so that merges do not wait for this. The other is how
# often it takes stock of memory. Together most of what an idle engine costs: docs/adr/0019.
ENGINE_OPTIONS: Mapping[str, int] = {
    "background_processing_pool_thread_sleep_seconds_if_nothing_to_do": 10,
    "background_move_processing_pool_thread_sleep_seconds_if_nothing_to_do": 10,
    "background_streaming_processing_pool_thread_sleep_seconds_if_nothing_to_do": 10,
    "memory_worker_period_ms": 500,
}

_STRING_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
# What reaches past the database even when readonly=1: `file` reads any file of this machine, `python` any
# table-like object of this process, `eval` runs a string that was not looked at, OUTFILE writes a file, and
# the AI functions call out.
_FORBIDDEN = re.compile(r"\b(file|python|eval|outfile|ai[A-Z_]\w*)\b", re.IGNORECASE)
_READING_STATEMENTS = ("SELECT", "WITH", "SHOW", "DESCRIBE", "EXPLAIN", "EXISTS")


class EmbeddedEngine:
    """A chDB directory of which this process is the only user.

    chDB runs one engine per process, on one directory at a time; objects of this class on the same directory
    share it.
    """

    is_embedded = True

    def __init__(self, directory: Path, database: str, home: Path) -> None:
        """Lock `home`, and prepare `directory` for the engine.

        Raises:
            DataDirHeld: another process works there
            ConfigError: no permission
        """
        self.directory = directory
        self.database = database
        self.place = f"The database in {directory}"
        self._lock = DataDirLock.acquire(home)
        try:
            self._spool = Spool(home / "tmp" / "inserts")
            _make_directory(directory)
            _load_chdb()
        except BaseException:
            self._lock.release()
            raise

    def connect(self, settings: Mapping[str, object]) -> Client:
        """Open a handle; the first one starts the engine (about 0.4 s, later ones 20 ms)."""
        client = clickhouse_connect.get_client(
            interface="chdb",
            # The first handle starts the engine: options have to come with it, as those of a URL.
            path=f"{self.directory}?{urlencode(ENGINE_OPTIONS)}",
            tz_mode="aware",
            # Without implicit_select a misspelt SELECT is a syntax error; with it, an unknown column.
            show_clickhouse_errors="scrub",
            settings={**CLIENT_SETTINGS, "implicit_select": 0, **settings},
        )
        client.database = self.database
        return prepared(client)

    def create_database(self, client: Client) -> None:
        """Create the database if it is not there."""
        client.command(
            f"CREATE DATABASE IF NOT EXISTS {quote_identifier(self.database)} ENGINE = Atomic",
            use_database=False,
        )

    def insert(
        self,
        client: Client,
        table: str,
        columns: Sequence[str],
        payload: Iterable[bytes],
        fmt: str,
        settings: Mapping[str, object],
        turn: AbstractContextManager[object],
    ) -> None:
        """Insert `payload`, which is in ClickHouse's format `fmt`, once it is its `turn`."""
        names = f" ({', '.join(map(quote_identifier, columns))})" if columns else ""
        with self._spool.file(payload) as path, turn:
            client.command(
                f"INSERT INTO {table}{names} FROM INFILE {_quoted(str(path))}"
                f"{_settings_clause(settings)} FORMAT {fmt}"
            )

    def text(
        self, client: Client, sql: str, parameters: Mapping[str, object] | None, fmt: str
    ) -> Iterator[bytes]:
        """Yield the answer in ClickHouse's format `fmt`, block by block for CSV, TSV and JSONEachRow."""
        bound = dict(parameters) if parameters else None
        if not SELECT.match(sql):
            # The engine streams SELECT alone; what SHOW and the like answer is small.
            yield client.raw_query(sql, bound, fmt=fmt)
        elif fmt == "CSVWithNames":
            yield from _csv_with_names(client, sql, bound)
        else:
            yield from read_text(client, sql, bound, fmt)

    def check_reading(self, client: Client, sql: str) -> None:
        """Refuse what is more than reading from the database.

        ``readonly=1`` alone is not enough here: there are no users and no rights in the embedded engine, and
        it still lets SQL read and write files of this machine. The engine itself puts the statement into its
        plain form first (no comments, one way to write strings and names), so what is looked at is what runs.

        Raises:
            BadRequest: with what to do instead
        """
        try:
            plain = str(
                client.query("SELECT formatQuerySingleLine({q:String})", {"q": sql}).result_rows[0][0]
            )
        except ClickHouseError:
            if ";" in sql.rstrip().rstrip(";"):
                raise BadRequest("Only one statement at a time, please.") from None
            raise
        check_plain_sql(plain)

    def close(self) -> None:
        """Give the data directory free."""
        self._spool.close()
        self._lock.release()


def _load_chdb() -> None:
    """Load chDB without pyarrow: only answers in Arrow need it, none is asked for, and it takes 38 MB."""
    if "chdb" in sys.modules or "pyarrow" in sys.modules:
        return
    sys.modules["pyarrow"] = None  # type: ignore[assignment]  # Python's way to say that there is none
    try:
        importlib.import_module("chdb.state.sqlitelike")
    finally:
        del sys.modules["pyarrow"]


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(f"Cannot write in {error.filename}: {error.strerror}. Check its owner.") from error


def check_plain_sql(plain: str) -> None:
    """Refuse SQL, as ``formatQuerySingleLine`` writes it, that does more than read from the database.

    Raises:
        BadRequest: with what to do instead
    """
    first = plain.split(maxsplit=1)[0].strip("(").upper() if plain.strip() else ""
    if first not in _READING_STATEMENTS:
        raise BadRequest(
            f"Only reading is possible here ({', '.join(_READING_STATEMENTS)}), not {first or 'nothing'}."
        )
    found = _FORBIDDEN.search(_STRING_LITERAL.sub("''", plain))
    if found is None:
        return
    word = found.group(1)
    if word.upper() == "OUTFILE":
        raise BadRequest(
            "INTO OUTFILE is not possible here. Redirect the output instead: gnomon query ... > FILE"
        )
    raise BadRequest(
        f"{word!r} is not possible here: it reaches past the database. Give a column of that name an alias."
    )


def _csv_with_names(client: Client, sql: str, parameters: dict[str, object] | None) -> Iterator[bytes]:
    """Yield CSV with a header. The engine can stream formats without one only, so it is put before."""
    names, _ = described(client, sql, parameters)
    blocks = read_text(client, sql, parameters, "CSV")
    # The first block first: when the query fails at once, nothing must have been said.
    yield _csv_line(names) + next(blocks, b"")
    yield from blocks


def _settings_clause(settings: Mapping[str, object]) -> str:
    if not settings:
        return ""
    return " SETTINGS " + ", ".join(f"{quote_identifier(k)} = {_quoted(str(v))}" for k, v in settings.items())


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _csv_line(cells: Sequence[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()
