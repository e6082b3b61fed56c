"""Erasing a person, a session, a trace or a project, wherever it is kept."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from dataclasses import asdict

from gnomon_collector.errors import BadRequest
from gnomon_collector.ingest.inbox_rows import QuarantinedRequest, ReceivedRequest
from gnomon_collector.operations.operator import Json, Operator
from gnomon_collector.store import access, audit
from gnomon_collector.store.erasure import KINDS, Kind, erase

_log = logging.getLogger(__name__)


def erase_subject(operator: Operator, kind: Kind, project: str, value: str = "") -> Json:
    """Delete everything of a user, session, trace or project: spans, scores, rollups, inbox and quarantine.

    The audit log keeps that it was done, with a hash in place of a person's id.

    Raises:
        BadRequest: no such kind, or nothing to erase named.
        StoreUnavailable: the database is behind or away; nothing or a part was erased, run it again.
    """
    _check(kind, project, value)
    target = audit.pseudonym(value) if kind in ("user", "session") else value
    operator.record(f"erase.{kind}", project=project, target=target, details={"state": "started"})
    if kind == "project":
        _revoke_keys(operator, project)
    operator.drain()
    dropped = _drop_quarantined(operator, kind, project, value)
    result = erase(operator.store, kind, project, value, uuid.uuid4().hex, _log_progress)
    operator.inbox.compact()
    done = {**asdict(result), "quarantined_requests": dropped}
    operator.record(f"erase.{kind}", project=project, target=target, details={"state": "done", **done})
    return done


def _check(kind: str, project: str, value: str) -> None:
    if kind not in KINDS:
        raise BadRequest(f"There is no {kind!r} to erase: {', '.join(KINDS)}.")
    if not project:
        raise BadRequest("Name the project.")
    if kind != "project" and not value:
        raise BadRequest(f"Name the {kind}.")


def _log_progress(table: str) -> None:
    _log.info("Erasing: %s", table)


def _revoke_keys(operator: Operator, project: str) -> None:
    for key in access.list_keys(operator.store):
        if key.project == project and key.revoked_at is None:
            access.revoke_key(operator.store, key.key_id)
    operator.keys_changed()


def _drop_quarantined(operator: Operator, kind: Kind, project: str, value: str) -> int:
    """Drop the whole of each request set aside in which the subject occurs; return how many."""
    hit = [
        each.request
        for each in _of_project(operator.inbox.quarantine_list(), project)
        if kind == "project" or _mentions(each.request, value)
    ]
    if hit:
        operator.inbox.drop_quarantined(hit)
    return len(hit)


def _of_project(found: Iterable[QuarantinedRequest], project: str) -> list[QuarantinedRequest]:
    return [each for each in found if each.request.project == project]


def _mentions(request: ReceivedRequest, value: str) -> bool:
    """Return whether the value occurs in a request as bytes: as a text, or as the id it is the hex of."""
    body = request.plain_body()
    if value.encode() in body:
        return True
    try:
        return bytes.fromhex(value) in body
    except ValueError:
        return False
