"""The one place that remembers that `gnomon.init` was called.

A process has one OpenTelemetry TracerProvider, and ``gnomon.init()`` must be callable from anywhere
without handing an object around; so exactly one `Runtime` exists, here, and nothing else is global.
"""

import atexit
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gnomon._guard import Guard, logger
from gnomon._stats import Stats

if TYPE_CHECKING:
    from gnomon._client import Client
    from gnomon._fixed import Fixed
    from gnomon._sink import Sink


class Runtime:
    """Holds the running client, if any, and starts and stops it."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.client: Client | None = None
        self._lock = threading.RLock()
        self._stops_at_exit = False
        self._last_stats = Stats()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._unlock_in_child)

    def start(
        self, arguments: Mapping[str, object], sink: "Sink | None" = None, fixed: "Fixed | None" = None
    ) -> None:
        """Start unless already started; ``sink`` and ``fixed`` replace exporter, clock and ids in tests."""
        with self._lock:
            if self.client is not None:
                logger.debug("gnomon: init was called again; the first call stays in force")
                return
            # Imported here, not above: `import gnomon` stays fast, and a disabled Gnomon costs nothing.
            from gnomon._client import start_client

            self.client = start_client(arguments, self.guard, sink, fixed)
            if self.client is not None and not self._stops_at_exit:
                self._stops_at_exit = True
                atexit.register(self._stop_at_exit)

    def stop(self, timeout_s: float | None) -> bool:
        """Stop, sending what is left for at most ``timeout_s`` seconds; returns whether nothing was lost."""
        with self._lock:
            client, self.client = self.client, None
            if client is None:
                return True
            complete = client.stop(timeout_s)
            self._last_stats = replace(client.sink.stats(), enabled=False)
            return complete

    def stats(self) -> Stats:
        """Return the counters of now, or the last ones after a stop."""
        client = self.client
        return client.sink.stats() if client is not None else self._last_stats

    def _stop_at_exit(self) -> None:
        client = self.client
        if client is not None:
            with self.guard.harmless("the exit flush"):
                client.close_sink(None)

    def _unlock_in_child(self) -> None:
        self._lock = threading.RLock()


runtime: Final = Runtime()
