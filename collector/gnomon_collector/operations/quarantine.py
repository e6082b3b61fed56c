"""Requests that the database refused: look at them, try again, or drop them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gnomon_collector.errors import BadRequest
from gnomon_collector.ingest.inbox_rows import QuarantinedRequest, ReceivedRequest
from gnomon_collector.ingest.otlp_json import to_json
from gnomon_collector.ingest.signals import SIGNALS
from gnomon_collector.operations.operator import Json, Operator


def list_quarantine(operator: Operator) -> Json:
    """Return what is set aside, oldest first, without content."""
    return [_summary(each) for each in operator.inbox.quarantine_list()]


def show_quarantined(operator: Operator, id: int) -> Json:
    """Return a request as OTLP/JSON, and why it was refused."""
    (found,) = _chosen(operator, [id])
    body = found.request.plain_body()
    signal = next(each for each in SIGNALS if each.name == found.request.signal)
    request = json.loads(to_json(signal.request.FromString(body)))
    operator.record("quarantine.show", project=found.request.project, target=str(id))
    return {**_summary(found), "request": request}


def retry_quarantined(operator: Operator, ids: Sequence[int]) -> Json:
    """Let requests wait for the database again; all of them when `ids` is empty."""
    return _changed(operator, "quarantine.retry", ids, operator.inbox.retry_quarantined)


def drop_quarantined(operator: Operator, ids: Sequence[int]) -> Json:
    """Delete requests for good; all of them when `ids` is empty."""
    return _changed(operator, "quarantine.drop", ids, operator.inbox.drop_quarantined)


def _changed(
    operator: Operator, action: str, ids: Sequence[int], change: Callable[[list[ReceivedRequest]], None]
) -> Json:
    chosen = _chosen(operator, ids)
    for each in chosen:
        operator.record(action, project=each.request.project, target=str(each.request.id))
    change([each.request for each in chosen])
    return {
        "requests": len(chosen),
        "spans": sum(each.request.spans for each in chosen),
    }


def _chosen(operator: Operator, ids: Sequence[int]) -> list[QuarantinedRequest]:
    found = {each.request.id: each for each in operator.inbox.quarantine_list()}
    missing = [id_ for id_ in ids if id_ not in found]
    if missing:
        raise BadRequest(f"There is no request {missing[0]} in the quarantine: see `gnomon quarantine list`.")
    return [found[id_] for id_ in ids] if ids else list(found.values())


def _summary(quarantined: QuarantinedRequest) -> dict[str, Json]:
    request = quarantined.request
    received_at = datetime.fromtimestamp(request.received_at_ns / 1e9, UTC)
    return {
        "id": request.id,
        "project": request.project,
        "received_at": received_at.isoformat(timespec="seconds"),
        "signal": request.signal,
        "spans": request.spans,
        "bytes": len(request.body),
        "reason": quarantined.reason,
    }
