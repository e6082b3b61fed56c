"""A ``gnomon serve`` that starts in a third of the time: forked off a process that has imported all of it.

Of the two seconds of CPU that a start costs, most is importing. A sweep that starts a server hundreds of times
pays that once. The fork happens before the engine is loaded, and what is killed is the same server.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess

from tests.ingest.server_process import ServerProcess

from gnomon_collector.cli.app import main

PRELOADED = (
    "gnomon_collector.cli.serve",
    "gnomon_collector.serve",
    "gnomon_collector.ingest.otlp_grpc",
    "clickhouse_connect",
    "tests.faults.forked_server",
)


class ForkedServer(ServerProcess):
    """A server as its base runs it, in a fork."""

    def launch(self) -> None:
        """Start it, and leave it to itself."""
        multiprocessing.set_forkserver_preload(list(PRELOADED))
        self._output = self.log.open("ab")
        arguments = (self._command, self._environment, str(self.log))
        process = multiprocessing.get_context("forkserver").Process(target=_serve, args=arguments)
        process.start()
        self._process = _Forked(process)


class _Forked:
    """A forked process that is asked like one of `subprocess`."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._forked = process
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._forked.exitcode

    def kill(self) -> None:
        self._forked.kill()

    def send_signal(self, sig: int) -> None:
        os.kill(self.pid, sig)

    def wait(self, timeout: float | None = None) -> int:
        self._forked.join(timeout)
        code = self._forked.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("gnomon serve", timeout or 0)
        return code


def _serve(command: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    os.environ.update(environment)
    written = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(written, stream)
    main(list(command[1:]))
