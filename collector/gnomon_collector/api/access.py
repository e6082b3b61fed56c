"""Who may read what: a key of scope read or admin, restricted to its project."""

import hmac
from collections.abc import Callable

from fastapi import HTTPException, Query, Request

from gnomon_collector.bearer import presented_key
from gnomon_collector.store.access import ALL_PROJECTS, KeyRing

ProjectOf = Callable[..., str]
"""A dependency: the project that a request may read."""

_SCOPES = ("read", "admin")


def project_of(keys: KeyRing, admin_token: str) -> ProjectOf:
    """Return the dependency that lets a request in and says which project it reads.

    A key of one project reads that project, whatever the request says; keys of the whole server name one with
    ``project``.
    """

    def check(
        request: Request,
        project: str = Query("", max_length=100, description="Needed with a key of the whole server."),
    ) -> str:
        allowed = _allowed(keys, admin_token, presented_key(request.headers))
        if allowed == ALL_PROJECTS:
            if not project:
                raise HTTPException(
                    400, "This key is for the whole server: say which project, ?project=NAME."
                )
            return project
        if project not in ("", allowed, ALL_PROJECTS):
            raise HTTPException(403, f"This key reads the project {allowed} only.")
        return allowed

    return check


def _allowed(keys: KeyRing, admin_token: str, token: str) -> str:
    if token and hmac.compare_digest(token.encode(), admin_token.encode()):
        return ALL_PROJECTS
    info = keys.lookup(token)
    if info is None:
        raise HTTPException(401, "This needs a key of scope read: Authorization: Bearer <key>.")
    if info.scope not in _SCOPES:
        raise HTTPException(403, f"This needs a key of scope read; this one has scope {info.scope}.")
    return info.project
