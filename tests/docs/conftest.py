"""A real server, and a stand-in LLM provider, for what the guides tell people to run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

GNOMON = str(Path(sys.executable).with_name("gnomon"))
_START_S = 60.0
_OURS = ("GNOMON_", "OTEL_", "OPENAI_")


@dataclass(frozen=True)
class RunningServer:
    """``gnomon serve`` in a process of its own, with a key for a project."""

    data_dir: Path
    http_url: str
    project: str
    key: str

    def environment(self) -> dict[str, str]:
        """Return the environment in which commands and services reach this server."""
        return {
            **clean_environment(),
            "GNOMON_DATA": str(self.data_dir),
            "GNOMON_ENDPOINT": self.http_url,
            "GNOMON_API_KEY": self.key,
        }

    def ask(self, sql: str) -> list[dict[str, object]]:
        """Run ``gnomon query`` beside the server."""
        answer = run_gnomon("query", sql, "--format", "json", env=self.environment())
        rows: list[dict[str, object]] = json.loads(answer)
        return rows

    def wait_for(self, sql: str, timeout_s: float = 20.0) -> list[dict[str, object]]:
        """Ask until there is an answer with rows."""
        end_s = time.monotonic() + timeout_s
        while not (rows := self.ask(sql)):
            assert time.monotonic() < end_s, f"no rows after {timeout_s} s: {sql}"
            time.sleep(0.3)
        return rows


def clean_environment() -> dict[str, str]:
    """Return this process's environment without anything that Gnomon or its SDKs would read."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


def run_gnomon(*words: str, env: dict[str, str]) -> str:
    """Run a command and return its output."""
    done = subprocess.run([GNOMON, *words], capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data_dir = tmp_path_factory.mktemp("docs-server")
    env = {**clean_environment(), "GNOMON_DATA": str(data_dir)}
    log = (data_dir / "server.log").open("w")
    command = [GNOMON, "serve", "collector"]
    ports = ["--otlp-http-port", "0", "--otlp-grpc-port", "0", "--ui-port", "0"]
    process = subprocess.Popen([*command, *ports], env=env, stdout=log, stderr=log)
    try:
        http_url = _wait_for_url(data_dir, process)
        key = run_gnomon("keys", "create", "--project", "shop", env=env).splitlines()[-1]
        yield RunningServer(data_dir, http_url, "shop", key)
    finally:
        _stop(process)
        log.close()


@pytest.fixture(scope="session")
def provider_url() -> Iterator[str]:
    """Base URL of an OpenAI-compatible provider on loopback that makes no mistakes and is quick."""
    port = _free_port()
    command = [sys.executable, "-m", "gnomon_collector.demo.provider", "--port", str(port)]
    quick = ["--latency-scale", "0", "--error-rate", "0", "--seed", "1"]
    process = subprocess.Popen([*command, *quick], env=clean_environment())
    try:
        _wait_until(lambda: _listens(port), process, "the provider")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        _stop(process)


def _wait_for_url(data_dir: Path, process: subprocess.Popen[bytes]) -> str:
    said = data_dir / "server.json"
    _wait_until(said.exists, process, f"the server (log in {data_dir})")
    url: str = json.loads(said.read_text(encoding="utf-8"))["http_url"]
    assert _is_healthy(url)
    return url


def _wait_until(is_there: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    end_s = time.monotonic() + _START_S
    while not is_there():
        assert process.poll() is None, f"{what} ended by itself"
        assert time.monotonic() < end_s, f"{what} did not start in {_START_S} s"
        time.sleep(0.05)


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
