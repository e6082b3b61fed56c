"""The thread that carries requests from the inbox to the database.

Order of things, each step of which may be cut off and done again: insert the batch, flatten what the database
could not decode, price models seen for the first time, mark duplicates, and only then forget the requests.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gnomon_collector.errors import StoreError, StoreUnavailable
from gnomon_collector.ingest.flatten import flatten_request
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.inbox_rows import ReceivedRequest, minute_time
from gnomon_collector.ingest.requests import mend_request
from gnomon_collector.ingest.signal_writer import SignalWriter, follow_up_spans
from gnomon_collector.ingest.signals import TRACES
from gnomon_collector.store import duplicate_marks, ingest
from gnomon_collector.store.duplicate_marks import CallScopes
from gnomon_collector.store.engine import Store
from gnomon_schemas.otlp import encode_envelope
from gnomon_schemas.prices import Price

_log = logging.getLogger(__name__)

PriceList = Callable[[str, str], Sequence[Price]]
"""(provider, model) -> its price periods, empty when unknown."""

# 64 MiB: a flush costs the same whatever it brings, and at the peak some 15 times its bytes in memory.
_BATCH_BYTES = 64 * 1024**2
# A flush costs the database some 200 ms of CPU whatever its size (it analyses the ingest views anew), so what
# trickles in is gathered first: seconds between two flushes, by the spans of the earlier one.
_PAUSES_S = ((100, 0.8), (2_000, 0.4))
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 15.0
_WAIT_S = 1.0
_EARLIER_INSERTS_S = 120.0
_POLL_S = 0.1


@dataclass
class FlushStats:
    """What the flusher did since the start. Read by any thread, written by the flusher alone."""

    batches: int = 0
    requests: int = 0
    spans: int = 0
    quarantined: int = 0
    failures: int = 0
    busy_s: float = 0.0
    last_error: str = ""


class Flusher:
    """Start it once; `stop` finishes the batch under way."""

    def __init__(self, inbox: Inbox, store: Store, price_list: PriceList, cluster: str = "") -> None:
        self.stats = FlushStats()
        self._cluster = cluster
        # Until an insert has answered, one of an earlier process may still be under way.
        self._is_unsure = not store.is_embedded
        self._inbox = inbox
        self._store = store
        self._price_list = price_list
        self._scopes = CallScopes(store)
        self._signals = SignalWriter(inbox, store, self._scopes)
        self._priced: set[tuple[str, str]] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gnomon-flusher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the batch under way. What is left waits in the inbox for the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._stopping.is_set():
            if not self._inbox.wait_for_requests(_WAIT_S):
                continue
            started = time.monotonic()
            spans = 0
            try:
                spans = self.flush_oldest()
                retry_s = _FIRST_RETRY_S
            except Exception as error:
                self._note_failure(error)
                self._stopping.wait(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
            self.stats.busy_s += time.monotonic() - started
            self._stopping.wait(max(0.0, _pause_s(spans) - (time.monotonic() - started)))

    def _note_failure(self, error: Exception) -> None:
        self.stats.failures += 1
        self.stats.last_error = str(error)
        self._inbox.wake()
        if isinstance(error, StoreUnavailable):
            _log.warning("The database does not take spans now, they wait in the inbox: %s", error)
        else:
            _log.exception("Writing spans failed, they wait in the inbox")

    def flush_oldest(self) -> int:
        """Write the oldest requests and return how many spans they have; 0 when there are none.

        Raises:
            StoreUnavailable: they wait in the inbox; flush again later.
        """
        requests = self._inbox.oldest(0, _BATCH_BYTES)
        traces = [request for request in requests if request.signal == TRACES.name]
        if traces:
            self._flush([_Parcel(each, each.plain_body()) for each in traces])
        # After the spans, so that what came together is written onto them at once.
        self.stats.quarantined += self._signals.flush(
            [request for request in requests if request.signal != TRACES.name]
        )
        return sum(request.spans for request in requests)

    def _flush(self, parcels: Sequence[_Parcel]) -> None:
        """Write requests and forget them; see `_isolate` for what the database refuses."""
        batch = _batch(parcels)
        try:
            also_touched = self._write(batch, parcels)
        except StoreUnavailable:
            raise
        except StoreError as error:
            self._isolate(parcels, error)
            return
        self._inbox.forget([parcel.request for parcel in parcels], also_touched)
        self.stats.batches += 1
        self.stats.requests += len(parcels)
        self.stats.spans += batch.spans

    def _isolate(self, parcels: Sequence[_Parcel], error: StoreError) -> None:
        """Flush again what can be mended, and by halves, until the request at fault stands alone."""
        mended = [replace(parcel, body=mend_request(parcel.body)) for parcel in parcels]
        if mended != parcels:
            self._flush(mended)
        elif len(parcels) > 1:
            middle = len(parcels) // 2
            self._flush(parcels[:middle])
            self._flush(parcels[middle:])
        else:
            self._set_aside(parcels[0].request, error)

    def _set_aside(self, request: ReceivedRequest, error: StoreError) -> None:
        self._check_ingest(error)
        _log.error(
            "The database refuses a request of project %s, it is set aside: %s", request.project, error
        )
        self._inbox.quarantine(request, str(error))
        self.stats.quarantined += 1

    def _check_ingest(self, refusal: StoreError) -> None:
        """Make sure that the database takes a batch at all, so that it is the request that is at fault.

        Raises:
            StoreUnavailable: it does not: a table or a view is broken or missing.
        """
        try:
            ingest.insert_batch(self._store, encode_envelope("", 0, "", b""))
        except StoreError:
            raise StoreUnavailable(f"The database takes no spans at all: {refusal}") from refusal

    def _write(self, batch: ingest.Batch, parcels: Sequence[_Parcel]) -> set[tuple[str, datetime]]:
        """Bring requests to the database; return project and minute of other spans that changed."""
        self._insert(_envelopes(batch, parcels))
        report = ingest.report_batch(self._store, batch)
        if report.spans < batch.spans:
            report = self._write_flattened(batch, parcels) or report
        self._price(batch, report)
        # Before the duplicates: which of two views counts hangs on what each has.
        enriched = follow_up_spans(self._store, batch, (parcel.body for parcel in parcels))
        related = duplicate_marks.projects_to_mark(self._store, batch, self._scopes.seen_twice(report))
        return enriched | duplicate_marks.mark_duplicates(self._store, batch, related)

    def _insert(self, envelopes: bytes) -> None:
        """Insert, but not beside an insert whose answer never came: both would write the same spans."""
        if self._is_unsure:
            self._wait_for_earlier_inserts()
        self._is_unsure = not self._store.is_embedded
        ingest.insert_batch(self._store, envelopes, self._inbox.name)
        self._is_unsure = False

    def _wait_for_earlier_inserts(self) -> None:
        deadline_s = time.monotonic() + _EARLIER_INSERTS_S
        while ingest.inserts_under_way(self._store, self._inbox.name, self._cluster):
            if time.monotonic() > deadline_s or self._stopping.is_set():
                raise StoreUnavailable("The database still works on an insert that it did not answer.")
            time.sleep(_POLL_S)

    def _write_flattened(self, batch: ingest.Batch, parcels: Sequence[_Parcel]) -> ingest.BatchReport | None:
        """Insert once more, flattened, the requests whose values nest too deep for the database."""
        flattened = ((parcel, flatten_request(parcel.body)) for parcel in parcels)
        deep = [replace(parcel, body=body) for parcel, body in flattened if body is not None]
        if not deep:
            return None
        self._insert(_envelopes(batch, deep))
        return ingest.report_batch(self._store, batch)

    def _price(self, batch: ingest.Batch, report: ingest.BatchReport) -> None:
        if self._priced is None:
            self._priced = ingest.priced_models(self._store)
        new = {pair: self._price_list(*pair) for pair in sorted(report.unpriced - self._priced)}
        for (provider, model), periods in new.items():
            ingest.price_batch(self._store, batch, provider, model, periods)
        # Last: once its price is saved, a flush that was cut off would not come back to a model.
        ingest.save_prices(self._store, new)
        self._priced.update(new)


def _pause_s(spans: int) -> float:
    return next((pause_s for most_spans, pause_s in _PAUSES_S if spans < most_spans), 0.0)


@dataclass(frozen=True)
class _Parcel:
    """A request with its body decompressed."""

    request: ReceivedRequest
    body: bytes


def _batch(parcels: Sequence[_Parcel]) -> ingest.Batch:
    requests = [parcel.request for parcel in parcels]
    return ingest.Batch(
        id=uuid.uuid4().hex,
        projects=sorted({request.project for request in requests}),
        minutes={minute_time(minute) for request in requests for minute in request.minutes},
        spans=sum(request.spans for request in requests),
        first_received_at_ns=min(request.received_at_ns for request in requests),
        last_received_at_ns=max(request.received_at_ns for request in requests),
    )


def _envelopes(batch: ingest.Batch, parcels: Sequence[_Parcel]) -> bytes:
    return b"".join(
        encode_envelope(parcel.request.project, parcel.request.received_at_ns, batch.id, parcel.body)
        for parcel in parcels
    )
