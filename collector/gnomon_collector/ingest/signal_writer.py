"""Brings log records and metrics from the inbox to the database, and log contents onto spans.

As with spans, each step may be cut off and done again; only then are the requests forgotten.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from gnomon_collector.errors import StoreError, StoreUnavailable
from gnomon_collector.ingest.evaluations import (
    EVALUATION_EVENT,
    LOGFIRE_SCOPE,
    Judged,
    evaluation_score,
    logfire_score,
)
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.inbox_rows import ReceivedRequest
from gnomon_collector.ingest.log_contents import content_of
from gnomon_collector.ingest.logs import log_records
from gnomon_collector.ingest.metrics_signal import metric_points
from gnomon_collector.ingest.requests import plain_bytes
from gnomon_collector.ingest.signals import LOGS
from gnomon_collector.store import ingest, logs
from gnomon_collector.store.duplicate_marks import CallScopes, mark_duplicates
from gnomon_collector.store.engine import Store
from gnomon_collector.store.ingest import Batch, insert_scores
from gnomon_collector.store.judgements import Judgement, event_judgements, span_judgements
from gnomon_collector.store.logs import CONTENT_EVENTS, LogRecord
from gnomon_collector.store.metric_points import insert_metric_points

_log = logging.getLogger(__name__)

# Decoded in Python, where a byte becomes ten: few at a time.
_GROUP_BYTES: Final = 4 * 1024**2
_TABLES: Final = ("log_records", "span_contents", "metric_points")
_JUDGEMENT_MARKS: Final = (EVALUATION_EVENT.encode(), LOGFIRE_SCOPE.encode())

Touched = set[tuple[str, datetime]]
"""Project and minute (UTC) of spans that changed."""


class SignalWriter:
    """Writes requests of logs and metrics."""

    def __init__(self, inbox: Inbox, store: Store, scopes: CallScopes) -> None:
        self._inbox = inbox
        self._store = store
        self._scopes = scopes

    def flush(self, requests: Sequence[ReceivedRequest]) -> int:
        """Write requests and forget them; return how many were set aside.

        Raises:
            StoreUnavailable: those not yet forgotten wait in the inbox.
        """
        return sum(self._flush_group(group) for group in _groups(requests))

    def _flush_group(self, group: Sequence[ReceivedRequest]) -> int:
        try:
            touched = self._write(group)
        except StoreUnavailable:
            raise
        except StoreError as error:
            return self._isolate(group, error)
        self._inbox.forget(group, touched)
        return 0

    def _isolate(self, group: Sequence[ReceivedRequest], error: StoreError) -> int:
        """Flush again by halves, until the request at fault stands alone; that one is set aside."""
        if len(group) > 1:
            middle = len(group) // 2
            return self._flush_group(group[:middle]) + self._flush_group(group[middle:])
        self._check_tables(error)
        request = group[0]
        _log.error(
            "The database refuses %s of project %s, they are set aside: %s",
            request.signal,
            request.project,
            error,
        )
        self._inbox.quarantine(request, str(error))
        return 1

    def _check_tables(self, refusal: StoreError) -> None:
        try:
            for table in _TABLES:
                self._store.query(f"SELECT 1 FROM {table} LIMIT 0")  # noqa: S608  (names of this module)
        except StoreError:
            raise StoreUnavailable(f"The database takes no logs and metrics at all: {refusal}") from refusal

    def _write(self, group: Sequence[ReceivedRequest]) -> Touched:
        touched: Touched = set()
        for project in sorted({request.project for request in group}):
            own = [request for request in group if request.project == project]
            records = [
                record
                for request in own
                if request.signal == LOGS.name
                for record in log_records(request.plain_body(), request.received_at_ns)
            ]
            if records:
                touched |= {(project, minute) for minute in self._write_logs(project, records)}
            self._write_metrics(project, [request for request in own if request.signal != LOGS.name])
        return touched

    def _write_logs(self, project: str, records: Sequence[LogRecord]) -> set[datetime]:
        """Keep log records and what they say of spans; return the minutes of the spans that changed."""
        records = logs.without_erased(self._store, project, records)
        logs.insert_log_records(self._store, project, records)
        insert_scores(self._store, filter(None, (_score_of(project, record) for record in records)))
        said = [record for record in records if record.event_name in CONTENT_EVENTS and record.span_id]
        keys = {record.key for record in said}
        if not keys:
            return set()
        found = logs.content_records(self._store, project, keys)
        contents = {key: content_of(of_span) for key, of_span in found.items()}
        logs.save_contents(self._store, project, contents)
        times_ns = [record.time for record in said]
        enriched = logs.enrich_spans_of_logs(self._store, project, keys, times_ns)
        return {*enriched.minutes, *self._mark_again(enriched)} if enriched else set()

    def _mark_again(self, enriched: Batch) -> set[datetime]:
        """Sort out duplicates anew: of two views of a call, the one that has got its content now counts."""
        report = ingest.report_batch(self._store, enriched)
        seen_twice = self._scopes.seen_twice(report)
        return {minute for _, minute in mark_duplicates(self._store, enriched, seen_twice)}

    def _write_metrics(self, project: str, requests: Sequence[ReceivedRequest]) -> None:
        points = [
            point
            for request in requests
            for point in metric_points(request.plain_body(), request.received_at_ns)
        ]
        if points:
            insert_metric_points(self._store, project, points)


def may_have_judgements(body: bytes) -> bool:
    """Return whether a request of spans, protobuf, contains what one with judgements would have to."""
    return any(mark in body for mark in _JUDGEMENT_MARKS)


def follow_up_spans(store: Store, batch: Batch, *, is_judged: bool) -> Touched:
    """Do for a batch of spans, once it is in the database, what other signals and judgements ask for.

    Args:
        is_judged: whether there may be judgements in it, see `may_have_judgements`.

    Returns:
        Spans whose log records had come before them, and that have their contents now.
    """
    if is_judged:
        scores = [
            *(
                evaluation_score(_judged(each), each.said)
                for each in event_judgements(store, batch, EVALUATION_EVENT)
            ),
            *(
                logfire_score(_judged(each), each.said)
                for each in span_judgements(store, batch, LOGFIRE_SCOPE)
            ),
        ]
        insert_scores(store, filter(None, scores))
    return logs.enrich_spans_of_batch(store, batch)


def _judged(found: Judgement) -> Judged:
    return Judged(
        found.project,
        found.trace_id,
        found.span_id,
        found.scope_name,
        found.time_ns,
        found.received_at_ns,
    )


def _score_of(project: str, record: LogRecord) -> tuple[object, ...] | None:
    if record.event_name != EVALUATION_EVENT:
        return None
    ids = (record.trace_id, record.span_id, record.scope_name)
    return evaluation_score(Judged(project, *ids, record.time, record.received_at), record.attributes)


def _groups(requests: Sequence[ReceivedRequest]) -> Iterable[list[ReceivedRequest]]:
    """Yield requests in groups that are small enough to be decoded together."""
    group: list[ReceivedRequest] = []
    size_bytes = 0
    for request in requests:
        size_bytes += plain_bytes(request.body, request.encoding)
        if group and size_bytes > _GROUP_BYTES:
            yield group
            group, size_bytes = [], plain_bytes(request.body, request.encoding)
        group.append(request)
    if group:
        yield group
