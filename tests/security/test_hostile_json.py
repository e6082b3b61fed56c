"""Bodies that no client of ours sends: refused in words, never with a 5xx, and not read to their end first."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from tests.dashboard.conftest import PASSWORD, SECRET, served
from tests.ingest.server_process import ServerProcess

from gnomon_collector.bounded_bodies import MOST_BYTES
from gnomon_collector.store import users
from gnomon_collector.store.engine import Store
from gnomon_dashboard.app import create_dashboard

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
JSON = {"content-type": "application/json"}
HOSTILE = {
    "NaN": b'{"sql":NaN,"project":NaN,"since":Infinity,"username":-Infinity}',
    "half a pair": b'{"sql":"\\ud800","project":"\\ud800","username":"\\udfff"}',
    "half a pair as a name": b'{"\\ud800":1}',
    "a number of 5,000 digits": b'{"sql":' + b"9" * 5_000 + b"}",
    "deep": b"[" * 200_000,
    "not UTF-8": b'{"sql":"\xff\xfe"}',
    "a name twice": b'{"sql":1,"sql":2}',
}
COLLECTOR = ("/api/v1/query", "/api/v1/keys", "/api/v1/reprice", "/api/v1/operations/set_project")
DASHBOARD = ("/api/settings/users", "/api/settings/project", "/api/views", "/api/scores", "/api/traces/rows")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("hostile_json") / "data") as server:
        yield server


@pytest.fixture
def dashboard(store: Store) -> Iterator[str]:
    users.create_user(store, "ada", PASSWORD, "admin")
    with served(create_dashboard(store, secret=SECRET)) as url:
        yield url


@pytest.mark.parametrize("path", COLLECTOR)
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_the_collector_refuses_it(server: ServerProcess, path: str, body: bytes) -> None:
    answer = server.post(path, body, server.key("*", "admin"), content_type="application/json")
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["detail"]


def test_the_dashboard_refuses_it(dashboard: str) -> None:
    with httpx.Client(base_url=dashboard, headers=OWN_PAGE) as client:
        assert client.post("/login", data={"username": "ada", "password": PASSWORD}).status_code == 303
        for path in DASHBOARD:
            for name, body in HOSTILE.items():
                answer = client.post(path, content=body, headers=JSON)
                assert answer.status_code < 500, (path, name, answer.text)


def test_an_answer_does_not_repeat_the_body(server: ServerProcess) -> None:
    body = b'{"sql": 7, "password": "a secret of mine"}'
    answer = server.post("/api/v1/query", body, server.key("*", "admin"), content_type="application/json")
    assert answer.status_code == 422
    assert "secret" not in answer.text and "sql" in answer.text


def test_strangers_cannot_make_the_collector_read_without_end(server: ServerProcess) -> None:
    assert _sent_before_413(f"{server.url}/api/v1/query") <= 4 * MOST_BYTES


def test_strangers_cannot_make_the_login_read_without_end(dashboard: str) -> None:
    assert _sent_before_413(f"{dashboard}/login", "Sec-Fetch-Site: same-origin\r\n") <= 4 * MOST_BYTES


@pytest.mark.parametrize("path", ["/login", "/api/views"])
def test_an_announced_length_is_enough_to_refuse(dashboard: str, path: str) -> None:
    with httpx.Client(base_url=dashboard, headers=OWN_PAGE) as client:
        client.post("/login", data={"username": "ada", "password": PASSWORD})
        assert client.post(path, content=b"x" * (MOST_BYTES + 1)).status_code == 413


def _sent_before_413(url: str, headers: str = "") -> int:
    """Send a body in chunks, without saying how long it is, until an answer comes; return its bytes."""
    address = urlsplit(url)
    assert address.hostname and address.port
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        head = f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n{headers}"
        kind = "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall((head + kind).encode())
        chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        for number in range(1, 1000):
            try:
                client.sendall(chunk)
            except OSError:
                return number * 0x10000
            client.setblocking(False)
            try:
                answer = client.recv(1000)
            except BlockingIOError:
                continue
            finally:
                client.settimeout(30)
            assert answer.startswith(b"HTTP/1.1 413"), answer
            return number * 0x10000
    raise AssertionError("64 MiB were read")
