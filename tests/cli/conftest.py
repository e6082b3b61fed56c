"""The command line as people run it: the installed script in a process of its own."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from gnomon_collector.cli.app import run
from gnomon_collector.runfile import ServerFile, find_server

GNOMON = Path(sys.executable).parent / "gnomon"
RUN_TIMEOUT_S = 60
START_S = 30
FREE_PORTS = ("--otlp-http-port", "0", "--otlp-grpc-port", "0", "--ui-port", "0")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without anybody's own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GNOMON_")} | extra


def run_gnomon(
    *arguments: str, stdin: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [str(GNOMON), *arguments],
        input=stdin,
        env=clean_environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )


def run_here(
    *arguments: str, stdin: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process; only where it does not open a database."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", newline=""), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in list(os.environ):
            if name.startswith("GNOMON_"):
                patch.delenv(name)
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        code = run(list(arguments))
    out.flush()
    text = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(arguments, code, text, err.getvalue())


def begin_gnomon(data_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a command that stays."""
    return subprocess.Popen(
        [str(GNOMON), "--data", str(data_dir), *arguments, *FREE_PORTS],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_start(process: subprocess.Popen[str], has_come: Callable[[], bool]) -> None:
    """Wait until a starting server has come so far; fail when it ends before, or takes too long."""
    deadline_s = time.monotonic() + START_S
    while not has_come():
        if process.poll() is not None or time.monotonic() > deadline_s:
            process.kill()
            pytest.fail(f"the server did not start: {process.communicate()[0]}")
        time.sleep(0.05)


def start_gnomon(data_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a command that stays, and wait until its server answers."""
    process = begin_gnomon(data_dir, *arguments)
    wait_for_start(process, lambda: find_server(data_dir) is not None)
    return process


def stop_gnomon(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> str:
    """Stop it and return what it said."""
    process.send_signal(number)
    return process.communicate(timeout=RUN_TIMEOUT_S)[0]


@pytest.fixture(scope="session")
def server_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Data directory of a running collector."""
    data_dir = tmp_path_factory.mktemp("served") / "data"
    process = start_gnomon(data_dir, "serve", "collector")
    yield data_dir
    stop_gnomon(process)


@pytest.fixture
def server(server_dir: Path) -> ServerFile:
    """How to reach the running collector."""
    found = find_server(server_dir)
    assert found is not None
    return found


@pytest.fixture(scope="session")
def offline_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data directory that has a key and no server."""
    data_dir = tmp_path_factory.mktemp("offline") / "data"
    done = run_gnomon("keys", "create", "--project", "shop", "--data", str(data_dir))
    assert done.returncode == 0, done.stderr
    return data_dir


@pytest.fixture(params=["beside a server", "without a server"])
def gnomon(request: pytest.FixtureRequest) -> Run:
    """A function that runs a command, both ways to the database one after the other.

    Without a server the command opens the database, so it needs a process of its own. Beside one it runs in
    this process, which saves the start of an interpreter.
    """
    beside = request.param == "beside a server"
    run = run_here if beside else run_gnomon
    data_dir: Path = request.getfixturevalue("server_dir" if beside else "offline_dir")
    return lambda *arguments, **more: run("--data", str(data_dir), *arguments, **more)
