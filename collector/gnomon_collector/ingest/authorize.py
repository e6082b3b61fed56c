"""Who may send what: a key and its scope decide, and the key alone says which project it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from gnomon_collector.bearer import presented_key
from gnomon_collector.errors import GnomonError
from gnomon_collector.store.access import KeyRing


@dataclass(frozen=True)
class Sender:
    """Who sends: the project, and the scope of the key shown."""

    project: str
    scope: str


Authorize = Callable[[Mapping[str, str], Collection[str]], Sender]
"""(request headers, scopes that will do) -> sender. Raises `NotAuthorized`."""

OPEN_PROJECT = "default"
"""The project of everything sent to a server without authentication."""


class NotAuthorized(GnomonError):  # noqa: N818
    """A request has no good key. `http_status` is 401, or 403 when the key's scope is too low."""

    def __init__(self, message: str, http_status: int) -> None:
        super().__init__(message)
        self.http_status = http_status


def authorize_by_key(keys: KeyRing) -> Authorize:
    """Return the check against `keys`."""

    def authorize(headers: Mapping[str, str], scopes: Collection[str]) -> Sender:
        info = keys.lookup(presented_key(headers))
        if info is None:
            raise NotAuthorized(
                "This needs a valid API key: Authorization: Bearer <key>."
                " Make one with: gnomon keys create --project NAME --scope ingest",
                401,
            )
        if info.scope not in scopes:
            raise NotAuthorized(
                f"This needs a key of scope {' or '.join(sorted(scopes))}; this one has scope {info.scope}.",
                403,
            )
        return Sender(info.project, info.scope)

    return authorize


def authorize_all(headers: Mapping[str, str], scopes: Collection[str]) -> Sender:
    """Let everybody in: the check of a server with ``auth = off``, which listens on loopback only."""
    return Sender(OPEN_PROJECT, "ingest")
