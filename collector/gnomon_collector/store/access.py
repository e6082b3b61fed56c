"""API keys.

A key looks like ``gnm_i_`` and 30 characters of 0-9A-Za-z (178 bits): the letter is the scope's first. The
start of it is its public id, under which it is listed and revoked; 131 secret bits remain. Only its SHA-256
is stored: with so many random bits a slow hash would add nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import string
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Self, cast, get_args

from gnomon_collector.errors import BadRequest, StoreError
from gnomon_collector.store.engine import Store
from gnomon_collector.store.projects import ProjectSettings, project_settings

Scope = Literal["ingest", "feedback", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

ALL_PROJECTS = "*"
"""The project of keys that are not bound to one: admin keys always, read keys when asked for."""

_ALPHABET = string.digits + string.ascii_letters
_SECRET_CHARACTERS = 30
_KEY_ID_CHARACTERS = len("gnm_i_") + 8
_REFRESH_S = 4.0
_REFRESH_EMBEDDED_S = 60.0
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

_KEYS = """
SELECT key_id, key_sha256, project, scope, name, created_at, expires_at, revoked_at
FROM api_keys FINAL
ORDER BY created_at, key_id
"""
_KEY = """
SELECT key_id, key_sha256, project, scope, name, created_at, expires_at, revoked_at
FROM api_keys FINAL
WHERE key_id = {id:String}
"""
_KEY_COLUMNS = (
    *("key_id", "key_sha256", "project", "scope", "name", "created_at", "expires_at", "revoked_at"),
    "version",
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeyInfo:
    """What a key may do, without the key.

    Attributes:
        key_id: public start of the key
        project: the project it is for, or `ALL_PROJECTS`
        scope: what it allows
        name: free text
        created_at: UTC
        revoked_at: UTC, None while the key is good
        expires_at: UTC, None when it never does
    """

    key_id: str
    project: str
    scope: Scope
    name: str
    created_at: datetime
    revoked_at: datetime | None
    expires_at: datetime | None = None

    def is_good(self, now: datetime) -> bool:
        """Return whether the key opens anything at `now` (UTC)."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class NewKey:
    """A key just made. The only place where the key itself exists."""

    key: str = field(repr=False)
    key_id: str
    project: str
    scope: Scope


def create_key(
    store: Store, project: str, scope: str, name: str = "", *, expires_at: datetime | None = None
) -> NewKey:
    """Make a key and store its hash. The project needs no making: it is there with its first key.

    Args:
        expires_at: when the key stops working (UTC); None for never.

    Raises:
        BadRequest: unknown scope, a project that such a key cannot have, or an expiry in the past
    """
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise BadRequest("The key would have expired already: give a time in the future.")
    checked = _checked_scope(scope)
    _check_project(project, checked)
    key = f"gnm_{checked[0]}_" + _random_text(_SECRET_CHARACTERS)
    new = NewKey(key, key[:_KEY_ID_CHARACTERS], project, checked)
    made = (new.key_id, key_sha256(key), project, checked, name, datetime.now(UTC))
    row = (*made, expires_at, None, time.time_ns())
    store.insert_rows("api_keys", _KEY_COLUMNS, [row])
    return new


def list_keys(store: Store) -> list[KeyInfo]:
    """Return all keys, revoked ones too, oldest first."""
    return [info for info, _ in _read_keys(store)]


def revoke_key(store: Store, key_id: str) -> KeyInfo:
    """Revoke a key for good and return it. Revoking twice changes nothing.

    Running servers stop accepting it within the refresh time of their `KeyRing`.

    Raises:
        BadRequest: there is no such key
    """
    rows = store.query(_KEY, {"id": key_id}).rows
    if not rows:
        raise BadRequest(f"There is no key {key_id!r}. `gnomon keys list` shows the ids.")
    info = _key_info(rows[0])
    if info.revoked_at is not None:
        return info
    revoked_at = datetime.now(UTC)
    row = (*rows[0][:7], revoked_at, time.time_ns())
    store.insert_rows("api_keys", _KEY_COLUMNS, [row])
    return replace(info, revoked_at=revoked_at)


def rotate_key(store: Store, key_id: str, grace_s: float) -> NewKey:
    """Make a key like another one, which goes on working for `grace_s` seconds and then expires.

    Raises:
        BadRequest: there is no such key, or it works no more
    """
    rows = store.query(_KEY, {"id": key_id}).rows
    now = datetime.now(UTC)
    if not rows or not _key_info(rows[0]).is_good(now):
        raise BadRequest(f"There is no working key {key_id!r}. `gnomon keys list` shows the ids.")
    old = _key_info(rows[0])
    new = create_key(store, old.project, old.scope, old.name)
    ends_at = now + timedelta(seconds=grace_s)
    expires_at = min(ends_at, old.expires_at) if old.expires_at else ends_at
    store.insert_rows("api_keys", _KEY_COLUMNS, [(*rows[0][:6], expires_at, None, time.time_ns())])
    return new


def key_sha256(key: str) -> str:
    """Return the hex digest under which `key` is stored."""
    # A header may hold anything, lone surrogates too.
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


class KeyRing:
    """The good keys in memory, so that checking one costs no query and works while the database is away.

    A thread reads them anew every `refresh_s` seconds: that is how long a key revoked by another process may
    live on, and how long one that it made may take to be known. When the database does not answer, the keys
    known last stay good.
    """

    def __init__(self, store: Store, refresh_s: float | None = None) -> None:
        """Read the keys and start the thread.

        Args:
            refresh_s: None for what suits the database: the embedded engine has no other process.

        Raises:
            StoreError: the first reading failed
        """
        self._store = store
        self._refresh_s = refresh_s or (_REFRESH_EMBEDDED_S if store.is_embedded else _REFRESH_S)
        self._keys: Mapping[str, tuple[KeyInfo, str]] = {}
        self._projects: Mapping[str, ProjectSettings] = {}
        self._stopped = threading.Event()
        self._refreshing = threading.Lock()
        self.refresh()
        self._thread = threading.Thread(target=self._keep_fresh, name="gnomon-keys", daemon=True)
        self._thread.start()

    def lookup(self, key: str) -> KeyInfo | None:
        """Return what `key` may do, None when it is unknown, expired or revoked. Never blocks."""
        known = self._keys.get(key[:_KEY_ID_CHARACTERS])
        # The id is public; the rest is compared in constant time, and as hash.
        if known is None or not hmac.compare_digest(known[1], key_sha256(key)):
            return None
        return known[0] if known[0].is_good(datetime.now(UTC)) else None

    def settings(self, project: str) -> ProjectSettings:
        """Return the settings of a project, as known last. Never blocks."""
        return self._projects.get(project) or ProjectSettings(project)

    def refresh(self) -> None:
        """Read keys and project settings now, as after changing one in this process.

        Raises:
            StoreError: the keys known before stay
        """
        # One after the other: a reading that began before a key was made must not end after one that has it.
        with self._refreshing:
            self._keys = {
                info.key_id: (info, sha256)
                for info, sha256 in _read_keys(self._store)
                if info.revoked_at is None
            }
            self._projects = project_settings(self._store)

    def close(self) -> None:
        """Stop the thread. Call it before closing the store."""
        self._stopped.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep_fresh(self) -> None:
        while not self._stopped.wait(self._refresh_s):
            try:
                self.refresh()
            except StoreError as error:
                _log.warning("API keys could not be read, the ones known stay good: %s", error)


def _read_keys(store: Store) -> list[tuple[KeyInfo, str]]:
    return [(_key_info(row), str(row[1])) for row in store.query(_KEYS).rows]


def _key_info(row: tuple[object, ...]) -> KeyInfo:
    key_id, _, project, scope, name, created_at, expires_at, revoked_at = row
    return KeyInfo(
        str(key_id),
        str(project),
        cast(Scope, scope),
        str(name),
        cast(datetime, created_at),
        cast("datetime | None", revoked_at),
        cast("datetime | None", expires_at),
    )


def _checked_scope(scope: str) -> Scope:
    if scope not in SCOPES:
        raise BadRequest(f"There is no scope {scope!r}. Scopes are {', '.join(SCOPES)}.")
    return scope


def _check_project(project: str, scope: Scope) -> None:
    if scope == "admin" and project != ALL_PROJECTS:
        raise BadRequest("An admin key is for the whole server: give it the project '*'.")
    if project == ALL_PROJECTS and scope in ("admin", "read"):
        return
    check_project_name(project)


def check_project_name(project: str) -> None:
    """Make sure that a text can be the name of a project.

    Raises:
        BadRequest: it cannot
    """
    if not _PROJECT.fullmatch(project):
        raise BadRequest(
            f"{project!r} cannot be a project: letters, digits, _ . - only, starting with a letter or digit,"
            " 100 characters at most."
        )


def _random_text(characters: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(characters))
