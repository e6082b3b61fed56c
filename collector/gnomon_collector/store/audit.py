"""The audit log: what people did to the data and to who may reach it. Rows are only ever added."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from gnomon_collector.store.engine import Store

_COLUMNS = ("time", "actor", "action", "project", "target", "details")
_ENTRIES = """
SELECT time, actor, action, project, target, details
FROM audit_log
WHERE time >= {since:DateTime64(3, 'UTC')} AND ({action:String} = '' OR action = {action:String})
ORDER BY time DESC
LIMIT {limit:UInt32}
"""


@dataclass(frozen=True)
class AuditEntry:
    """One thing that was done.

    Attributes:
        time: UTC
        actor: user name, key id, or ``command line``
        action: what was done, as in ``keys.create`` or ``erase``
        project: empty when it is about the whole server
        target: what it was done to; of an erased person only a hash
        details: counts and settings, never content
    """

    time: datetime
    actor: str
    action: str
    project: str
    target: str
    details: Mapping[str, object]


def record(
    store: Store,
    actor: str,
    action: str,
    *,
    project: str = "",
    target: str = "",
    details: Mapping[str, object] | None = None,
) -> None:
    """Add an entry, timed now.

    Raises:
        StoreError: it was not written; what it is about should then not be done.
    """
    text = json.dumps(details or {}, ensure_ascii=False, sort_keys=True)
    store.insert_rows("audit_log", _COLUMNS, [(datetime.now(UTC), actor, action, project, target, text)])


def entries(store: Store, since: datetime, action: str = "", limit: int = 100) -> list[AuditEntry]:
    """Return the newest entries since a time (UTC), newest first."""
    rows = store.query(_ENTRIES, {"since": since, "action": action, "limit": limit}).rows
    return [AuditEntry(*_texts(row), details=json.loads(str(row[5]))) for row in rows]


def pseudonym(value: str) -> str:
    """Return what the log keeps of a person's id: it can be compared with, but not read back."""
    return "sha256:" + hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()


def _texts(row: tuple[object, ...]) -> tuple[datetime, str, str, str, str]:
    return cast(tuple[datetime, str, str, str, str], row[:5])
