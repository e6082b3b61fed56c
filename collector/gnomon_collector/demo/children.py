"""Child processes of the demo: starting them, and ending them whatever happens to the parent."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

_TERMINATE_S: Final = 8.0
_STANDARD_INPUT: Final = 0


class Child:
    """A running module of ours in a process of its own.

    It holds the child's standard input open: when this process dies, even by SIGKILL, the child sees it
    close and ends too. The child is in a process group of its own, so that Ctrl-C reaches the parent
    alone, which then ends its children in order.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with log.open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments, "--watch-parent"],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=sink,
                env=dict(environment),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def stop(self) -> int:
        """End it by SIGTERM, by SIGKILL after 8 s; returns its exit code. Stopping twice is harmless."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.terminate()
        try:
            return self._process.wait(timeout=_TERMINATE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def stop_on_signal(stop: threading.Event) -> None:
    """Set `stop` on SIGTERM and SIGINT instead of dying."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)


def when_parent_exits(act: Callable[[], None]) -> None:
    """Call `act` from a thread once standard input, which a `Child`'s parent holds open, closes."""

    def wait() -> None:
        # Not sys.stdin: its lock, held by a thread that waits, aborts the interpreter at exit.
        while os.read(_STANDARD_INPUT, 1024):
            pass
        act()

    threading.Thread(target=wait, daemon=True).start()


def free_port() -> int:
    """A port on loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
