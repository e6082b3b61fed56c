"""A ClickHouse server, over its HTTP interface."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from gnomon_collector.errors import ConfigError, StoreUnavailable
from gnomon_collector.store.clients import CLIENT_SETTINGS, prepared, read_text, translate

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 120
_WRONG_CREDENTIALS = frozenset({192, 193, 194, 516})


@dataclass(frozen=True)
class Address:
    """Where a server is and who we are to it. ``repr`` leaves the password out."""

    host: str
    port: int
    username: str
    password: str
    is_tls: bool

    def __repr__(self) -> str:
        return f"Address({self.username}@{self.host}:{self.port})"


def parse_address(url: str) -> Address:
    """Read ``clickhouse://user:password@host:port/database`` (``clickhouses://`` for TLS).

    Raises:
        ConfigError: no host, or a senseless port
    """
    parts = urlsplit(url)
    is_tls = parts.scheme == "clickhouses"
    try:
        port = parts.port or (8443 if is_tls else 8123)
    except ValueError:
        raise ConfigError("The port in GNOMON_STORE is not a number from 1 to 65535.") from None
    if not parts.hostname:
        raise ConfigError("GNOMON_STORE names no host: write clickhouse://user:password@host:8123/database.")
    return Address(
        parts.hostname, port, unquote(parts.username or "default"), unquote(parts.password or ""), is_tls
    )


class RemoteServer:
    """A ClickHouse server (>= 25.9, for its way to decode protobuf)."""

    is_embedded = False

    def __init__(self, address: Address, database: str) -> None:
        self.address = address
        self.database = database
        self.place = f"ClickHouse at {address.host}:{address.port}"

    def connect(self, settings: Mapping[str, object]) -> Client:
        """Open a client. Sessions are off: they would tie it to one replica behind a load balancer.

        Raises:
            StoreUnavailable: nobody there, or the password is wrong
        """
        try:
            client = clickhouse_connect.get_client(
                interface="https" if self.address.is_tls else "http",
                host=self.address.host,
                port=self.address.port,
                username=self.address.username,
                password=self.address.password,
                tz_mode="aware",
                settings={**CLIENT_SETTINGS, **settings},
                connect_timeout=CONNECT_TIMEOUT_S,
                send_receive_timeout=ANSWER_TIMEOUT_S,
                autogenerate_session_id=False,
                show_clickhouse_errors="scrub",
            )
        except ClickHouseError as error:
            raise self._explain_refusal(error) from error
        client.database = self.database
        return prepared(client)

    def _explain_refusal(self, error: ClickHouseError) -> StoreUnavailable:
        code = error.code if isinstance(error, Error) else None
        if code in _WRONG_CREDENTIALS:
            return StoreUnavailable(
                f"{self.place} refuses user {self.address.username!r} with this password."
                " Check GNOMON_STORE (clickhouse://user:password@host:port/database).",
                code=code,
                name="AUTHENTICATION_FAILED",
            )
        cause = translate(error, self.place)
        return StoreUnavailable(
            f"{cause} Is GNOMON_STORE right, and is this the port of ClickHouse's HTTP interface"
            " (8123, with TLS 8443)?",
            code=code,
            name=cause.name,
        )

    def create_database(self, client: Client) -> None:
        """Create the database if it is not there; a user without that right may still use one that is."""
        name = quote_identifier(self.database)
        if client.command(f"EXISTS DATABASE {name}", use_database=False) != 1:
            client.command(f"CREATE DATABASE {name}", use_database=False)

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
        body = b"".join(payload)
        with turn:
            client.raw_insert(table, list(columns) or None, body, settings=dict(settings), fmt=fmt)

    def text(
        self, client: Client, sql: str, parameters: Mapping[str, object] | None, fmt: str
    ) -> Iterator[bytes]:
        """Yield the answer in ClickHouse's format `fmt`, as it arrives."""
        yield from read_text(client, sql, parameters, fmt)

    def check_reading(self, client: Client, sql: str) -> None:
        """Nothing to do: ``readonly=1`` and the rights of the database user hold on a server."""

    def close(self) -> None:
        """Nothing to give free."""
