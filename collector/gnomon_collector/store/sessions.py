"""Sessions of the dashboard, kept here so that every process knows when one has ended.

The cookie holds 256 random bits, of which only the SHA-256 is stored. A session ends when its person logs out,
after `SESSION_S`, or when the person's row in ``users`` has changed since the login: another password, another
role, removed.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.users import User, find_user

SESSION_S: Final = 14 * 86_400

_COLUMNS: Final = (
    *("session_sha256", "username", "user_version", "created_at", "expires_at", "ended_at"),
    "version",
)
_SESSION: Final = """
SELECT username, user_version, created_at, expires_at
FROM sessions FINAL
WHERE session_sha256 = {sha256:String} AND ended_at IS NULL AND expires_at > {now:DateTime64(3, 'UTC')}
"""


def begin_session(store: Store, user: User) -> str:
    """Start a session for who has just logged in, and return the text for the cookie."""
    token = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    ends_at = now + timedelta(seconds=SESSION_S)
    row = (_sha256(token), user.username, user.version, now, ends_at, None, time.time_ns())
    store.insert_rows("sessions", _COLUMNS, [row])
    return token


def session_user(store: Store, token: str) -> User | None:
    """Return whose session it is, as the person is now; None when it has ended."""
    rows = store.query(_SESSION, {"sha256": _sha256(token), "now": datetime.now(UTC)}).rows
    if not rows:
        return None
    username, user_version = rows[0][:2]
    user = find_user(store, str(username))
    return user if user is not None and user.version == user_version else None


def end_session(store: Store, token: str) -> None:
    """End a session, wherever its cookie was copied to. Of one that is over nothing changes."""
    rows = store.query(_SESSION, {"sha256": _sha256(token), "now": datetime.now(UTC)}).rows
    ended = [(_sha256(token), *row, datetime.now(UTC), time.time_ns()) for row in rows]
    store.insert_rows("sessions", _COLUMNS, ended)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
