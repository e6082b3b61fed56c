"""What only a ClickHouse server has: an address, a password, and the chance of not being there."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from gnomon_collector.errors import StoreError, StoreUnavailable
from gnomon_collector.store.engine import Store, open_store
from gnomon_collector.store.remote import parse_address


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Proxy:
    """A TCP proxy that can be cut, and mended on the same port."""

    def __init__(self, target: str) -> None:
        host, _, port = target.partition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self.address = f"127.0.0.1:{self._port}"

    def __enter__(self) -> Proxy:
        self._accept_in_background()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def cut(self) -> None:
        # shutdown, not close alone: a thread that waits in accept or recv would keep the socket alive
        for connection in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._sockets.clear()

    def mend(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._accept_in_background()

    def _accept_in_background(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                inner = listener.accept()[0]
                outer = socket.create_connection(self._target)
                self._sockets += [inner, outer]
                for pair in ((inner, outer), (outer, inner)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def other_server() -> Iterator[int]:
    """Port of an HTTP server that is no ClickHouse."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_address_of_a_url() -> None:
    address = parse_address("clickhouse://me:p%40ss%2Fword@db.example:9000/gnomon")
    assert (address.host, address.port, address.username, address.password, address.is_tls) == (
        "db.example",
        9000,
        "me",
        "p@ss/word",
        False,
    )
    assert "p@ss" not in repr(address)


def test_defaults_of_an_address() -> None:
    assert (parse_address("clickhouse://h/x").port, parse_address("clickhouses://h/x").port) == (8123, 8443)
    assert parse_address("clickhouses://h/x").is_tls
    assert parse_address("clickhouse://h").username == "default"


def test_nobody_there() -> None:
    port = closed_port()
    with pytest.raises(StoreUnavailable, match=f"ClickHouse at 127.0.0.1:{port} does not answer") as caught:
        open_store(f"clickhouse://me:hidden@127.0.0.1:{port}/gnomon")
    message = str(caught.value)
    assert "refused" in message and "GNOMON_STORE" in message and "hidden" not in message


def test_no_such_host() -> None:
    with pytest.raises(StoreUnavailable, match="does not answer"):
        open_store("clickhouse://no-such-host.invalid/gnomon")


def test_a_wrong_password(clickhouse_http: str) -> None:
    with pytest.raises(StoreUnavailable, match="refuses user 'default'") as caught:
        open_store(f"clickhouse://default:hidden@{clickhouse_http}/gnomon")
    assert caught.value.code == 516
    assert "GNOMON_STORE" in str(caught.value) and "hidden" not in str(caught.value)


def test_something_else_listens_there(other_server: int) -> None:
    with pytest.raises(StoreUnavailable, match="HTTP interface"):
        open_store(f"clickhouse://127.0.0.1:{other_server}/gnomon")


def test_a_database_is_made_when_it_is_not_there(http_store_url: str) -> None:
    with open_store(http_store_url.replace("/gnomon", "/brand_new")) as store:
        assert store.query("SELECT currentDatabase()").rows == [("brand_new",)]
        store.command("DROP DATABASE brand_new")


def test_a_server_that_goes_away_is_unavailable_and_values_stay_out_of_the_message(
    http_store_url: str, clickhouse_http: str
) -> None:
    with (
        Proxy(clickhouse_http) as proxy,
        open_store(http_store_url.replace(clickhouse_http, proxy.address)) as store,
    ):
        store.ping()
        proxy.cut()
        with pytest.raises(StoreUnavailable) as caught:
            store.query("SELECT {s:String}", {"s": "my secret prompt"})
        assert "secret" not in str(caught.value)
        proxy.mend()
        store.ping()


def test_a_statement_error_is_no_unavailability(http_store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        http_store.query("SELECT nope")
    assert not isinstance(caught.value, StoreUnavailable)


def test_answers_are_compressed_on_the_way(http_store: Store) -> None:
    backend = http_store._clients.get()._backend  # type: ignore[attr-defined]
    assert "lz4" in backend.compression
    text = "x" * 100_000
    assert http_store.query("SELECT {s:String}", {"s": text}).rows == [(text,)]
