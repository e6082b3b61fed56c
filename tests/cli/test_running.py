"""Starting, stopping, and being in each other's way."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.cli.conftest import (
    FREE_PORTS,
    begin_gnomon,
    run_gnomon,
    run_here,
    start_gnomon,
    stop_gnomon,
    wait_for_start,
)

from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.inbox_rows import ReceivedRequest
from gnomon_collector.runfile import (
    ServerFile,
    find_server,
    read_server_file,
    remove_server_file,
    write_server_file,
)
from gnomon_collector.store.engine import open_store


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_server_says_where_it_is_and_takes_its_file_back(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with taken_port() as port:  # of a part that is not started
        process = start_gnomon(data_dir, "serve", "collector", "--ui-port", str(port))
    server = read_server_file(data_dir)
    mode = stat.S_IMODE((data_dir / "server.json").stat().st_mode)
    said = stop_gnomon(process, signal.SIGINT)

    assert server is not None and server.pid == process.pid
    assert mode == 0o600
    assert server.admin_token not in repr(server) and server.admin_token not in said
    assert server.http_url in said
    assert process.returncode == 0
    assert not (data_dir / "server.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_told_to_stop_while_it_starts_stops_as_it_should(
    tmp_path: Path, number: signal.Signals
) -> None:
    data_dir = tmp_path / "data"
    process = begin_gnomon(data_dir, "serve")
    wait_for_start(process, (data_dir / "chdb").exists)  # then the engine is opened, and the migrations run
    assert not (data_dir / "server.json").exists()
    said = stop_gnomon(process, number)

    assert process.returncode == 0, said
    assert "Gnomon is running." in said and "Interrupted" not in said
    assert not (data_dir / "server.json").exists()


def test_status_beside_a_server(server_dir: Path, server: ServerFile) -> None:
    done = run_gnomon("status", "--json", "--data", str(server_dir))
    facts = json.loads(done.stdout)
    assert done.returncode == 0
    assert (facts["server"], facts["pid"], facts["http_url"]) == ("running", server.pid, server.http_url)
    assert facts["version"] == facts["server_version"]
    assert (facts["inbox_requests"], facts["inbox_bytes"]) == (0, 0)
    assert facts["disk_bytes"] > 0 and facts["disk_free_bytes"] > 0 and facts["spans"] >= 0


def test_status_without_a_server(offline_dir: Path) -> None:
    done = run_gnomon("status", "--data", str(offline_dir))
    assert done.returncode == 1
    shown = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert shown["server"] == "not running"
    assert shown["data"] == str(offline_dir)
    assert shown["spans"] == "0"


def test_status_tells_what_a_stopped_server_left_in_its_inbox(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    run_gnomon("migrate", "--data", str(data_dir))
    with closing(Inbox(data_dir / "inbox.sqlite", 1_000_000)) as inbox:
        inbox.put(ReceivedRequest("shop", 0, "", 1, frozenset(), b"12345")).result()
    facts = json.loads(run_gnomon("status", "--json", "--data", str(data_dir)).stdout)
    assert (facts["inbox_requests"], facts["inbox_bytes"]) == (1, 5)


def test_a_second_server_on_the_directory_is_refused_and_the_first_unharmed(
    server_dir: Path, server: ServerFile
) -> None:
    done = run_gnomon("serve", "collector", *FREE_PORTS, "--data", str(server_dir))
    assert done.returncode == 1
    assert f"already runs on {server_dir}: process {server.pid}" in done.stderr and "--data" in done.stderr
    assert find_server(server_dir) == server


def test_a_directory_that_another_process_holds(data_dir: Path) -> None:
    with open_store(f"chdb://{data_dir / 'chdb'}", data_dir=data_dir) as store:
        for command in (
            ["keys", "list"],
            ["serve", "collector", *FREE_PORTS],
            ["migrate"],
            ["query", "SELECT 1"],
        ):
            done = run_gnomon(*command, "--data", str(data_dir))
            assert done.returncode == 1
            assert f"in use by process {os.getpid()} (" in done.stderr and done.stderr.count("\n") == 1
        store.ping()


@pytest.mark.parametrize("flag", ["--otlp-http-port", "--otlp-grpc-port", "--ui-port"])
def test_a_taken_port_is_named_with_the_flag_that_changes_it(tmp_path: Path, flag: str) -> None:
    ports = dict(zip(FREE_PORTS[::2], FREE_PORTS[1::2], strict=True))
    with taken_port() as port:
        flags = [word for pair in (ports | {flag: str(port)}).items() for word in pair]
        done = run_gnomon("serve", *flags, "--data", str(tmp_path / "data"))
    assert done.returncode == 2
    assert f"Port {port} is taken" in done.stderr and f"{flag} PORT" in done.stderr


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_a_host_that_is_not_here(tmp_path: Path, host: str) -> None:
    done = run_gnomon("serve", *FREE_PORTS, "--host", host, "--data", str(tmp_path / "data"))
    assert done.returncode == 2
    assert host in done.stderr and "--host" in done.stderr


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        (
            "clickhouse://127.0.0.1:1/gnomon",
            1,
            "ClickHouse at 127.0.0.1:1 does not answer: Connection refused",
        ),
        ("postgres://h/db", 2, "GNOMON_STORE must start with"),
        ("chdb://here", 2, "absolute directory"),
    ],
)
def test_a_wrong_store(tmp_path: Path, url: str, code: int, message: str) -> None:
    done = run_gnomon("keys", "list", "--data", str(tmp_path / "data"), env={"GNOMON_STORE": url})
    assert done.returncode == code
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_gnomon("keys", "create", "--project", "p", "--data", str(tmp_path / "file"))
    assert done.returncode == 2
    assert str(tmp_path / "file") in done.stderr and "--data" in done.stderr


def test_the_file_of_a_dead_server_is_passed_over(offline_dir: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    write_server_file(offline_dir, ServerFile(dead.pid, "http://127.0.0.1:1", "", "t", ""))
    assert find_server(offline_dir) is None
    assert run_gnomon("keys", "list", "--data", str(offline_dir)).returncode == 0
    (offline_dir / "server.json").unlink()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": 1}', "\x00"])
def test_a_broken_server_file_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    assert read_server_file(tmp_path) is None
    assert find_server(tmp_path) is None


def test_the_file_of_another_server_is_left_alone(tmp_path: Path) -> None:
    other = ServerFile(os.getppid(), "http://127.0.0.1:1", "", "t", "2024-01-01T00:00:00+00:00")
    write_server_file(tmp_path, other)
    remove_server_file(tmp_path)
    assert read_server_file(tmp_path) == other
    assert find_server(tmp_path) is None


def test_data_may_stand_before_the_command_and_comes_from_the_environment_else(
    server_dir: Path, tmp_path: Path
) -> None:
    before = run_here("--data", str(server_dir), "keys", "list")
    inside = run_here("keys", "--data", str(server_dir), "list")
    last = run_here("--data", str(tmp_path), "keys", "list", "--data", str(server_dir))
    environment = run_gnomon("keys", "list", env={"GNOMON_DATA": str(server_dir)})
    assert before.returncode == 0 and "first start" in before.stdout
    assert before.stdout == inside.stdout == last.stdout == environment.stdout


def test_a_wrong_setting_names_its_variable(tmp_path: Path) -> None:
    done = run_gnomon("status", "--data", str(tmp_path), env={"GNOMON_UI_PORT": "eighty"})
    assert done.returncode == 2
    assert "GNOMON_UI_PORT is wrong" in done.stderr


def test_the_demo_fills_the_dashboard_s_tables_and_stops_cleanly(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    process = start_gnomon(data_dir, "demo", "--history-days", "0", "--requests-per-second", "20")
    sql = "SELECT count() AS n FROM calls WHERE project = 'demo' AND service_name = 'shop-assistant'"
    found = 0
    for _ in range(20):
        done = run_gnomon("query", sql, "--format", "json", "--data", str(data_dir))
        found = json.loads(done.stdout)[0]["n"]
        if found:
            break
    said = stop_gnomon(process, signal.SIGINT)
    assert found > 0, said
    assert process.returncode == 0, said
    assert "HTTP Request" not in said
