"""Other open-source servers for LLM traces, as their users would start them: pinned, installed, run, counted.

Each is installed from PyPI into a virtualenv of its own under the user's cache directory, never into Gnomon's.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.gnomon_server import BenchError, stop

_START_S: Final = 180.0
_ANSWER_S: Final = 120.0
_PHOENIX_COUNT: Final = "{ projects { edges { node { name recordCount } } } }"
_MLFLOW_PAGE: Final = 500


@dataclass(frozen=True)
class Peer:
    """How to run another server.

    Attributes:
        requirement: what pip installs; the one place of its version.
        program: in the virtualenv.
        arguments: with the slots {port}, {other_port} and {data}.
        environment: with the same slots.
        health: path that answers 200 once it is up.
        headers: of trace requests.
        count: asks the server at an URL, by its own API, how many of our spans can be found.
    """

    name: str
    requirement: str
    program: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    health: str
    headers: tuple[tuple[str, str], ...]
    count: Callable[[str], int]


@dataclass(frozen=True)
class RunningPeer:
    """A server of a peer."""

    peer: Peer
    pid: int
    url: str
    data_dir: Path


def _count_phoenix(url: str) -> int:
    projects = _post(f"{url}/graphql", {"query": _PHOENIX_COUNT})["data"]["projects"]["edges"]
    return sum(int(edge["node"]["recordCount"]) for edge in projects if edge["node"]["name"] == "default")


def _count_mlflow(url: str) -> int:
    """The number of traces, page by page: each of our spans is a trace of its own."""
    found = 0
    token = ""
    while True:
        body = {
            "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}],
            "max_results": _MLFLOW_PAGE,
        }
        answer = _post(f"{url}/api/3.0/mlflow/traces/search", body | ({"page_token": token} if token else {}))
        found += len(answer.get("traces", []))
        token = answer.get("next_page_token", "")
        if not token:
            return found


# SQLite, one process, no authentication: their defaults. What phones home is off: nothing leaves loopback.
PEERS: Final = (
    Peer(
        name="Arize Phoenix",
        requirement="arize-phoenix==20.26.1",
        program="phoenix",
        arguments=("serve",),
        environment={
            "PHOENIX_WORKING_DIR": "{data}",
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": "{port}",
            "PHOENIX_GRPC_PORT": "{other_port}",
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        },
        health="/healthz",
        headers=(),
        count=_count_phoenix,
    ),
    Peer(
        name="MLflow",
        requirement="mlflow==3.17.2",
        program="mlflow",
        arguments=(
            *("server", "--host", "127.0.0.1", "--port", "{port}"),
            *("--backend-store-uri", "sqlite:///{data}/mlflow.db"),
            *("--artifacts-destination", "{data}/artifacts"),
        ),
        environment={"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
        health="/health",
        headers=(("x-mlflow-experiment-id", "0"),),
        count=_count_mlflow,
    ),
)


def cache_dir() -> Path:
    """Where the virtualenvs of peers are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gnomon-bench"


def install(peer: Peer) -> Path:
    """Make the virtualenv of a peer if it is not there, and return its directory.

    Raises:
        BenchError: pip failed.
    """
    home = cache_dir() / peer.requirement
    if (home / "bin" / peer.program).exists():
        return home
    print(f"Installing {peer.requirement} into {home} ...", flush=True)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(home)],
        [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", peer.requirement],
    ):
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise BenchError(f"{' '.join(command)} failed:\n{answer.stderr[-2000:]}")
    return home


@contextmanager
def running(peer: Peer, home: Path, data_dir: Path) -> Iterator[RunningPeer]:
    """Run a peer on free ports of loopback.

    Args:
        home: its virtualenv.
        data_dir: where it keeps everything.

    Raises:
        BenchError: it does not start; the message has the end of its log.
    """
    data_dir.mkdir(parents=True)
    slots = {"port": str(_free_port()), "other_port": str(_free_port()), "data": str(data_dir)}
    environment = os.environ | {name: value.format(**slots) for name, value in peer.environment.items()}
    environment["PATH"] = f"{home / 'bin'}{os.pathsep}{environment['PATH']}"
    command = [str(home / "bin" / peer.program), *(word.format(**slots) for word in peer.arguments)]
    log_path = data_dir.with_suffix(".log")
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=data_dir, env=environment, stdout=log, stderr=log)
    try:
        server = RunningPeer(peer, process.pid, f"http://127.0.0.1:{slots['port']}", data_dir)
        _wait_until_up(process, server, log_path)
        yield server
    finally:
        stop(process)


def _wait_until_up(process: subprocess.Popen[bytes], server: RunningPeer, log_path: Path) -> None:
    give_up_at = time.monotonic() + _START_S
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            _open(urllib.request.Request(server.url + server.peer.health))
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    log = log_path.read_text(encoding="utf-8", errors="replace")
    raise BenchError(f"{server.peer.requirement} did not start within {_START_S:.0f} s:\n{log[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _post(url: str, body: Mapping[str, object]) -> Any:
    headers = {"Content-Type": "application/json"}
    return json.loads(_open(urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)))


def _open(request: urllib.request.Request) -> bytes:
    # No proxy for loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_ANSWER_S) as answer:
        body: bytes = answer.read()
    return body
