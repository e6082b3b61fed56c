"""A Gnomon server of its own for a benchmark, started and stopped as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from tests.bench.machine import ROOT

from gnomon_collector.runfile import ServerFile, find_server

PROJECT: Final = "bench"
LOG_FILE: Final = "server.log"
_START_S: Final = 60.0
_STOP_S: Final = 30.0
_ANSWER_S: Final = 120.0


class BenchError(Exception):
    """A benchmark cannot go on. The message says why."""


@dataclass(frozen=True)
class GnomonServer:
    """A running server.

    Attributes:
        server: address, process id and admin token.
        data_dir: its data directory.
        key: ingest key of the project `PROJECT`.
    """

    server: ServerFile
    data_dir: Path
    key: str

    @property
    def pid(self) -> int:
        """Process id."""
        return self.server.pid

    @property
    def traces_url(self) -> str:
        """Where OTLP traces go."""
        return f"{self.server.http_url}/v1/traces"

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What a sender of traces needs."""
        return (("Authorization", f"Bearer {self.key}"),)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Run a reading statement through the admin API, as `gnomon query` does."""
        text = _answer(self.server, "/api/v1/query", {"sql": sql, "format": "json_lines"})
        return [json.loads(line) for line in text.splitlines()]

    def status(self) -> dict[str, Any]:
        """What `gnomon status` shows."""
        return cast(dict[str, Any], json.loads(_answer(self.server, "/api/v1/status", None)))

    def metrics(self) -> dict[str, float]:
        """The samples of ``/metrics``, by name and labels as written there."""
        lines = _answer(self.server, "/metrics", None).splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))
        }


@contextmanager
def gnomon_server(
    data_dir: Path, parts: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[GnomonServer]:
    """Run ``gnomon serve`` on free ports of loopback.

    Args:
        data_dir: its data directory, made if need be. Its log is `LOG_FILE` there.
        parts: of ``collector``, ``dashboard``, ``jobs``; none means what users get.
        environment: settings besides those of this process, by variable.

    Raises:
        BenchError: it does not start; the message has the end of its log.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    flags = [f"--{name}-port=0" for name in ("otlp-http", "otlp-grpc", "ui")]
    command = [
        str(Path(sys.executable).with_name("gnomon")),
        "serve",
        *parts,
        "--data",
        str(data_dir),
        *flags,
    ]
    with (data_dir / LOG_FILE).open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | dict(environment or {}), stdout=log, stderr=log
        )
    try:
        server = _wait_until_up(process, data_dir)
        answer = _answer(server, "/api/v1/keys", {"project": PROJECT, "scope": "ingest", "name": "bench"})
        yield GnomonServer(server, data_dir, json.loads(answer)["key"])
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a child with SIGTERM, and with SIGKILL when that does not help."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _wait_until_up(process: subprocess.Popen[bytes], data_dir: Path) -> ServerFile:
    give_up_at = time.monotonic() + _START_S
    while time.monotonic() < give_up_at and process.poll() is None:
        server = find_server(data_dir)
        if server is not None and server.pid == process.pid:
            return server
        time.sleep(0.1)
    log = (data_dir / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    raise BenchError(f"gnomon serve did not start within {_START_S:.0f} s:\n{log[-2000:]}")


def _answer(server: ServerFile, path: str, body: dict[str, Any] | None) -> str:
    request = urllib.request.Request(
        f"{server.http_url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {server.admin_token}", "Content-Type": "application/json"},
    )
    # No proxy for loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_ANSWER_S) as answer:
        text: str = answer.read().decode()
    return text
