"""Send what is left when uvicorn stops: it ends itself by SIGTERM, and Python's exit never comes."""

import functools
import sys
from collections.abc import Callable
from typing import Any, Final

from gnomon._guard import Guard
from gnomon._import_hook import when_imported

_MODULE: Final = "uvicorn.server"


class UvicornExit:
    """Flushes after uvicorn's own graceful shutdown, off its event loop, for a bounded time."""

    def __init__(self, flush: Callable[[], object], guard: Guard) -> None:
        self._flush = flush
        self._guard = guard
        self._original: Any = None
        self._stopped = False

    def start(self) -> None:
        """Hook into uvicorn, now or when it is imported."""
        if _MODULE in sys.modules:
            self._hook()
        else:
            when_imported(_MODULE, self._hook)

    def stop(self) -> None:
        """Take the hook out again."""
        self._stopped = True
        if self._original is not None:
            sys.modules[_MODULE].Server.shutdown = self._original
            self._original = None

    def _hook(self) -> None:
        with self._guard.harmless("hooking into uvicorn"):
            server = getattr(sys.modules.get(_MODULE), "Server", None)
            if server is None or self._stopped:
                return
            self._original = original = server.shutdown
            flush = self._flush_quietly

            @functools.wraps(original)
            async def shutdown(self: Any, *args: Any, **kwargs: Any) -> None:
                import asyncio

                try:
                    await original(self, *args, **kwargs)
                finally:
                    await asyncio.to_thread(flush)

            server.shutdown = shutdown

    def _flush_quietly(self) -> None:
        with self._guard.harmless("the flush at uvicorn's end"):
            self._flush()
