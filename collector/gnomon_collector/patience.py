"""How long a client may take to say what it wants.

uvicorn waits for ever for the headers of a request, so that a few hundred connections that send a byte a
second (slow-loris) hold their sockets and memory for good. Here a connection is closed when the headers of a
request are not there in time. How long a body may take is the affair of the routes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_S = 20.0


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 of uvicorn with a time limit on headers."""

    headers_s: float = HEADERS_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time of the first request."""
        super().connection_made(transport)
        self._start_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time."""
        self._stop_time()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Start the time of a further request on a connection that is kept alive."""
        self._start_time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers came in time."""
        self._stop_time()
        super().on_headers_complete()

    def _start_time(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.headers_s, self._give_up)

    def _stop_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.close()
