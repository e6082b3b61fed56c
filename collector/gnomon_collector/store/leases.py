"""A job that only one of several processes may do: a lease in the database.

ClickHouse has no compare-and-set. So a claim is inserted, and then read back together with all others that
have not ended: the earliest wins, by the clock of the database. Whoever reads an earlier claim steps back.
"""

from __future__ import annotations

import os
import secrets
import socket
from typing import Protocol

from gnomon_collector.store.engine import Store

_CLAIM = """
INSERT INTO leases (name, holder, since, ends_at, version)
SELECT {name:String}, {holder:String},
    if(count() > 0 AND max(ends_at) > now64(6, 'UTC'), max(since), now64(6, 'UTC')),
    now64(6, 'UTC') + toIntervalMillisecond({length_ms:UInt64}), toUnixTimestamp64Nano(now64(9))
FROM leases FINAL WHERE name = {name:String} AND holder = {holder:String}
"""
_HOLDER = """
SELECT argMin(holder, (since, holder)) FROM leases FINAL
WHERE name = {name:String} AND ends_at > now64(6, 'UTC')
"""
_FORGET = """
INSERT INTO leases (name, holder, since, ends_at, version)
VALUES ({name:String}, {holder:String}, now64(6, 'UTC'), now64(6, 'UTC'), toUnixTimestamp64Nano(now64(9)))
"""


class Lease(Protocol):
    """The right to do a job."""

    def hold(self) -> bool:
        """Take or renew it, and return whether this process has it now."""

    def release(self) -> None:
        """Give it up, so that another need not wait for its end."""


class SoleLease:
    """For the embedded engine, which lets in one process anyway."""

    def hold(self) -> bool:
        return True

    def release(self) -> None:
        pass


class StoreLease:
    """A lease in the table ``leases``."""

    def __init__(self, store: Store, name: str, length_s: float) -> None:
        """Make a lease that ends `length_s` after it was last renewed."""
        self._store = store
        self._name = name
        self._length_s = length_s
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    def hold(self) -> bool:
        """Take or renew it.

        Raises:
            StoreError: the database does not answer; nobody should do the job then
        """
        holder = self._current()
        if holder not in ("", self._holder):
            return False
        bound = {"name": self._name, "holder": self._holder}
        self._store.command(_CLAIM, bound | {"length_ms": int(self._length_s * 1000)})
        return self._current() == self._holder

    def release(self) -> None:
        """Give it up.

        Raises:
            StoreError: the database does not answer; the lease then ends by itself
        """
        if self._current() == self._holder:
            self._store.command(_FORGET, {"name": self._name, "holder": self._holder})

    def _current(self) -> str:
        rows = self._store.query(_HOLDER, {"name": self._name}).rows
        return str(rows[0][0]) if rows else ""


def lease_for(store: Store, name: str, length_s: float) -> Lease:
    """Return the kind of lease that a store needs."""
    return SoleLease() if store.is_embedded else StoreLease(store, name, length_s)
