"""HTTP servers of uvicorn, each with an event loop, a port and a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import ExitStack, suppress
from typing import Any

import uvicorn

from gnomon_collector.errors import ConfigError
from gnomon_collector.patience import PatientProtocol

# A connection that is still open gets this long to finish when the server stops.
_GRACE_S = 3
_TICK_S = 1.0


class WebServers:
    """Starts servers that end with `stack`.

    Args:
        stop: is set when one of them ends by itself: the process does not go on without one of its servers.
    """

    def __init__(self, host: str, stack: ExitStack, stop: threading.Event) -> None:
        self._host = host
        self._stack = stack
        self._stop = stop

    def start(self, name: str, app: Any, port: int, flag: str) -> str:
        """Serve `app` and return its base URL once it listens.

        Raises:
            ConfigError: nobody can listen there; it names `flag`, which sets the port.
        """
        listener = _listen(self._host, port, flag)
        self._stack.callback(listener.close)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="auto",
            timeout_graceful_shutdown=_GRACE_S,
            server_header=False,
            http=PatientProtocol,
        )
        server = CalmServer(config)
        thread = threading.Thread(target=self._serve, args=(server, listener), name=name, daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(server.leave)
        return f"http://{shown_host(self._host)}:{listener.getsockname()[1]}"

    def _serve(self, server: uvicorn.Server, listener: socket.socket) -> None:
        try:
            server.run(sockets=[listener])
        finally:
            self._stop.set()


class CalmServer(uvicorn.Server):
    """uvicorn that wakes once a second when nobody asks anything, for its Date header, and not ten times.

    `leave` ends it at once, from any thread.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._left = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Serve until `leave`."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), _TICK_S)

    def leave(self) -> None:
        """End the server; it first finishes what it is answering."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._left.set)


def shown_host(host: str) -> str:
    """Return the host of a URL under which a browser on this machine finds what listens on `host`."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _listen(host: str, port: int, flag: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another port with {flag} PORT."
        ) from None
    listener.listen(1024)
    return listener
