"""A real ``gnomon serve`` in a process of its own, on free ports."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Protocol, Self

import httpx

GNOMON = Path(sys.executable).parent / "gnomon"
START_S = 60.0
DRAIN_S = 240.0


class Process(Protocol):
    """What a server asks of its process: that of `subprocess.Popen`."""

    pid: int

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...

    def send_signal(self, sig: int, /) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class ServerProcess:
    """A server on a data directory. It can be killed and started again.

    Attributes:
        url: base of its HTTP side while it runs
        grpc_address: host and port of its gRPC side
        log: file that holds all it ever wrote
    """

    def __init__(
        self, data_dir: Path, parts: Sequence[str] = ("collector",), settings: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self.url = ""
        self.grpc_address = ""
        self.http = httpx.Client(timeout=60, trust_env=False)
        self._command = [str(GNOMON), "serve", *parts, "--data", str(data_dir)]
        for flag in ("--otlp-http-port", "--otlp-grpc-port", "--ui-port"):
            self._command += [flag, "0"]
        self._environment = {**os.environ, **(settings or {})}
        self._process: Process | None = None
        self._output: IO[bytes] | None = None
        self._admin_token = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.http.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start it, and leave it to itself."""
        self._output = self.log.open("ab")
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=self._output, stderr=subprocess.STDOUT
        )

    def wait_until_ready(self) -> None:
        """Wait until it answers."""
        assert self._process is not None
        deadline = time.monotonic() + START_S
        while not self._find():
            assert self._process.poll() is None, f"it ended: {self.log.read_text(errors='replace')[-3000:]}"
            assert time.monotonic() < deadline, f"it does not start: {self.log.read_text()[-3000:]}"
            time.sleep(0.02)

    def _find(self) -> bool:
        try:
            found = json.loads((self.data_dir / "server.json").read_text(encoding="utf-8"))
            if found["pid"] != self.pid or not self.http.get(f"{found['http_url']}/healthz").is_success:
                return False
        except (OSError, ValueError, httpx.HTTPError):
            return False
        self.url, self._admin_token = found["http_url"], found["admin_token"]
        self.grpc_address = str(found["grpc_address"])
        return True

    def kill(self) -> None:
        """End it with SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._ended(START_S)

    def terminate(self, timeout_s: float) -> int:
        """End it with SIGTERM and return its exit code; fails after `timeout_s`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._ended(timeout_s)

    def _ended(self, timeout_s: float) -> int:
        assert self._process is not None and self._output is not None
        code = self._process.wait(timeout=timeout_s)
        self._output.close()
        self._process = None
        return code

    def key(self, project: str, scope: str = "ingest") -> str:
        """Make a key."""
        answer = self._admin("POST", "/keys", {"project": project, "scope": scope})
        return str(answer.json()["key"])

    def post(self, path: str, body: bytes, key: str, **headers: str) -> httpx.Response:
        """Post a body; header names are written with underscores. Protobuf unless they say otherwise."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"content-type": "application/x-protobuf", "authorization": f"Bearer {key}", **named}
        return self.http.post(f"{self.url}{path}", content=body, headers=sent)

    def export(self, body: bytes, key: str) -> None:
        """Post spans, which must be accepted."""
        answer = self.post("/v1/traces", body, key)
        assert answer.status_code == 200, (answer.status_code, answer.content)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Run SQL through the admin API."""
        answer = self._admin("POST", "/query", {"sql": sql, "format": "json_lines"})
        return [json.loads(line) for line in answer.text.splitlines()]

    def operate(self, operation: str, **arguments: object) -> Any:
        """Run an operation of `gnomon_collector.operations` and return its answer."""
        return self._admin("POST", f"/operations/{operation}", arguments).json()

    def _admin(self, method: str, path: str, body: Mapping[str, object]) -> httpx.Response:
        answer = self.http.request(
            method,
            f"{self.url}/api/v1{path}",
            json=body,
            headers={"authorization": f"Bearer {self._admin_token}"},
        )
        assert answer.is_success, (answer.status_code, answer.text)
        return answer

    def metric(self, name: str) -> float:
        """Return the value of a metric without labels."""
        lines = self.http.get(f"{self.url}/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])

    def wait_until_written(self) -> None:
        """Wait until everything acknowledged is in the database and in the rollups."""
        deadline = time.monotonic() + DRAIN_S
        while self._waiting():
            assert time.monotonic() < deadline, f"not written: {self.log.read_text()[-3000:]}"
            time.sleep(0.02)

    def _waiting(self) -> bool:
        address = f"file:{self.data_dir / 'inbox.sqlite'}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as inbox:
            sql = "SELECT (SELECT count(*) FROM requests) + (SELECT count(*) FROM touched_minutes)"
            return bool(inbox.execute(sql).fetchone()[0])
