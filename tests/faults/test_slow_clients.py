"""Slow-loris: hundreds of connections that send a byte a second (fault 10)."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import statistics
import threading
import time
from collections.abc import Callable

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from tests.faults.ledger import make_request
from tests.ingest.server_process import ServerProcess

from gnomon_collector.patience import PatientProtocol

LORISES, TURNS = 500, 10
BEGUN = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\nx-slow: "


class _Hurried(PatientProtocol):
    headers_s = 0.5


def _serve(app: FastAPI, protocol: type[PatientProtocol]) -> tuple[uvicorn.Server, threading.Thread, int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", http=protocol))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    return server, thread, listener.getsockname()[1]


@pytest.mark.parametrize("sent", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: "])
def test_headers_that_do_not_come_close_the_connection(sent: bytes) -> None:
    server, thread, port = _serve(FastAPI(), _Hurried)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(sent)
        assert client.recv(100) == b""
    server.should_exit = True
    thread.join()


def test_a_slow_body_and_a_connection_kept_alive_are_left_alone() -> None:
    app = FastAPI()

    @app.post("/")
    async def echo(body: dict[str, int]) -> dict[str, int]:
        return body

    server, thread, port = _serve(app, _Hurried)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n"
        for _ in range(2):
            client.sendall(head)
            time.sleep(0.8)
            client.sendall(b'{"a":1}')
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
    server.should_exit = True
    thread.join()


@pytest.mark.slow
def test_five_hundred_slow_clients_are_cut_and_hold_nobody_up(
    tmp_path_factory: pytest.TempPathFactory, record_property: Callable[[str, object], None]
) -> None:
    """The share of time is compared in one run: it is a fault test, the machine's speed cancels out."""
    with ServerProcess(tmp_path_factory.mktemp("loris") / "data") as server:
        key = server.key("shop")
        alone_s = _p99_s(server, key)
        sockets = [socket.create_connection(_address(server)) for _ in range(LORISES)]
        for each in sockets:
            each.sendall(BEGUN)
            each.setblocking(False)
        stop = threading.Event()
        dripping = threading.Thread(target=_drip, args=(sockets, stop))
        dripping.start()
        beside_s = _p99_s(server, key)
        deadline_s = time.monotonic() + 40
        while (left := sum(map(_is_open, sockets))) and time.monotonic() < deadline_s:
            time.sleep(0.5)
        stop.set()
        dripping.join()
        for each in sockets:
            each.close()
    figure = f"p99 beside {LORISES} slow clients {beside_s / alone_s:.2f}x of alone, {left} left open"
    record_property("figure", figure)
    assert left == 0
    assert beside_s < 2 * alone_s + 0.05


def _address(server: ServerProcess) -> tuple[str, int]:
    url = httpx.URL(server.url)
    assert url.port is not None
    return url.host, url.port


def _drip(sockets: list[socket.socket], stop: threading.Event) -> None:
    """Send a byte a second on each, a tenth of them at a time: clients do not act in step."""
    for turn in itertools.cycle(range(TURNS)):
        if stop.wait(1 / TURNS):
            return
        for each in sockets[turn::TURNS]:
            with contextlib.suppress(OSError):
                each.send(b"x")


def _is_open(client: socket.socket) -> bool:
    try:
        return client.recv(4096) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _p99_s(server: ServerProcess, key: str) -> float:
    chance = random.Random(1)
    times = []
    for _ in range(200):
        body = make_request("shop", chance).body
        started = time.perf_counter()
        server.export(body, key)
        times.append(time.perf_counter() - started)
    return statistics.quantiles(times, n=100)[98]
