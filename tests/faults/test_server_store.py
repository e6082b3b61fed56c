"""A ClickHouse server that is away, hangs, fails or breaks off after it has committed (fault 7).

The collector goes on acknowledging, keeps what it took in, and brings it to the database by itself when that
is back. Between the two stands a TCP proxy that misbehaves when told to.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest
from tests.conftest import HTTP_PASSWORD
from tests.faults.ledger import Ledger, Load, assert_l0
from tests.ingest.server_process import ServerProcess

Mode = Literal["pass", "refuse", "hang", "http 500", "reset after commit"]
FAULTS: tuple[Mode, ...] = ("refuse", "hang", "http 500", "reset after commit")
ACKS_DURING_FAULT = 15


class Proxy:
    """Forwards connections to a port, or misbehaves."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.mode: Mode = "pass"
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode: Mode) -> None:
        """Change the mode; connections that are open are broken off."""
        self.mode = mode
        for each in list(self._open):
            _close(each)

    def close(self) -> None:
        """Stop."""
        _close(self._listener)
        self.set("refuse")

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        mode = self.mode
        try:
            if mode == "hang":
                while client.recv(65536):
                    pass
            elif mode == "http 500":
                client.recv(65536)
                client.sendall(b"HTTP/1.1 500 Sorry\r\ncontent-length: 5\r\nconnection: close\r\n\r\nsorry")
            elif mode != "refuse":
                self._forward(client, breaks_off=mode == "reset after commit")
        except OSError:
            pass
        finally:
            self._open.discard(client)
            _close(client)

    def _forward(self, client: socket.socket, *, breaks_off: bool) -> None:
        with socket.create_connection(self._target) as server:
            self._open.add(server)
            threading.Thread(target=_pump, args=(client, server), daemon=True).start()
            while block := server.recv(65536):
                if breaks_off:  # the server has done its work; nobody hears of it
                    return
                client.sendall(block)
            self._open.discard(server)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while block := source.recv(65536):
            target.sendall(block)
    except OSError:
        pass
    _close(target)


def _close(each: socket.socket) -> None:
    try:
        each.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    each.close()


@pytest.fixture
def proxy(clickhouse_http: str) -> Iterator[Proxy]:
    """A proxy in front of the ClickHouse-HTTP front."""
    host, _, port = clickhouse_http.partition(":")
    proxy = Proxy((host, int(port)))
    yield proxy
    proxy.close()


def test_whatever_the_database_does_acks_go_on_and_nothing_is_lost_or_doubled(
    proxy: Proxy, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    store = f"clickhouse://default:{quote(HTTP_PASSWORD, safe='')}@127.0.0.1:{proxy.port}/faults"
    ledger = Ledger()
    with ServerProcess(tmp_path / "data", settings={"GNOMON_STORE": store}) as server:
        key = server.key("shop")
        load = Load(server.url, key, "shop", ledger, seed=7, threads=1)
        load.wait_for_acks(5)
        for fault in FAULTS:
            proxy.set(fault)
            load.wait_for_acks(ACKS_DURING_FAULT)
            proxy.set("pass")
            load.wait_for_acks(5)
        load.stop()
        stored = assert_l0(server, ledger, "shop")
    figure = f"{len(FAULTS)} faults, {ledger.acks} acks, {stored} spans stored, 0 lost, 0 doubled"
    record_property("figure", figure)
    assert ledger.refused == {}


def test_when_the_inbox_is_full_the_sender_is_told_and_the_rest_drains(
    proxy: Proxy, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    store = f"clickhouse://default:{quote(HTTP_PASSWORD, safe='')}@127.0.0.1:{proxy.port}/faults_full"
    ledger = Ledger()
    limits = {"GNOMON_STORE": store, "GNOMON_INBOX_MAX_BYTES": "1MiB"}
    with ServerProcess(tmp_path / "data", settings=limits) as server:
        key = server.key("shop")
        proxy.set("refuse")
        load = Load(server.url, key, "shop", ledger, seed=8, threads=2)
        deadline_s = time.monotonic() + 60
        while not ledger.refused[503]:
            assert time.monotonic() < deadline_s, "the inbox did not fill"
            time.sleep(0.05)
        load.stop()
        proxy.set("pass")
        stored = assert_l0(server, ledger, "shop")
        assert server.metric("gnomon_inbox_bytes") == 0
    figure = f"503 after {ledger.acks} acks at 1 MiB; {stored} spans drained, 0 lost, 0 doubled"
    record_property("figure", figure)
    assert set(ledger.refused) == {503}
