"""What an operation works with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon_collector.errors import StoreUnavailable
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.settings import Settings
from gnomon_collector.store import audit
from gnomon_collector.store.engine import Store

Json = Any
"""What `json.dumps` takes."""

_DRAIN_S = 60.0
_POLL_S = 0.05


@dataclass(frozen=True)
class Operator:
    """Who acts, and on what.

    Attributes:
        store: the database
        inbox: what is acknowledged and not yet in it
        data_dir: the data directory
        actor: user name or key id, for the audit log
        flush: brings some of the inbox to the database; None where a flusher runs anyway
        keys_changed: is called when keys or project settings changed
        settings: of this process; None where an operation must do without
    """

    store: Store
    inbox: Inbox
    data_dir: Path
    actor: str
    flush: Callable[[], int] | None = None
    keys_changed: Callable[[], None] = lambda: None
    settings: Settings | None = None

    def record(
        self, action: str, *, project: str = "", target: str = "", details: Mapping[str, Json] | None = None
    ) -> None:
        """Add to the audit log. Do it before the deed: what cannot be recorded is not done."""
        audit.record(self.store, self.actor, action, project=project, target=target, details=details)

    def drain(self) -> None:
        """Wait until everything acknowledged by now is in the database.

        Raises:
            StoreUnavailable: it takes longer than a minute.
        """
        newest = self.inbox.newest_id()
        deadline_s = time.monotonic() + _DRAIN_S
        while self.inbox.has_before(newest):
            if time.monotonic() > deadline_s:
                raise StoreUnavailable(
                    "The database is more than a minute behind the inbox (see `gnomon status`):"
                    " try again when it has caught up."
                )
            if self.flush is None or not self.flush():
                time.sleep(_POLL_S)
