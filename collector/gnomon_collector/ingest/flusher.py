"""The threads that carry requests from the inbox to the database.

Order of things, each step of which may be cut off and done again: insert the batch, flatten what the database
could not decode, price models seen for the first time, mark duplicates, and only then forget the requests.

Two threads take turns where there is more than one batch to carry: what one does before and after its insert
it does while the other inserts. Never do both insert, nor follow up their inserts, at once: docs/adr/0023.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from gnomon_collector.errors import StoreError, StoreUnavailable
from gnomon_collector.ingest.flatten import flatten_request
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.inbox_rows import ReceivedRequest, minute_time
from gnomon_collector.ingest.requests import mend_request
from gnomon_collector.ingest.signal_writer import SignalWriter, follow_up_spans, may_have_judgements
from gnomon_collector.ingest.signals import TRACES
from gnomon_collector.store import duplicate_marks, ingest
from gnomon_collector.store.duplicate_marks import CallScopes
from gnomon_collector.store.engine import Store
from gnomon_schemas.otlp import encode_envelope
from gnomon_schemas.prices import Price

_log = logging.getLogger(__name__)

PriceList = Callable[[str, str], Sequence[Price]]
"""(provider, model) -> its price periods, empty when unknown."""

_Model = tuple[str, str]

# 64 MiB: a flush costs the same whatever it brings, and at the peak some 15 times its bytes in memory.
_BATCH_BYTES = 64 * 1024**2
# So much must wait besides a batch for the second thread to make the next one ready. Less is gathered.
_BEHIND_BYTES = 16 * 1024**2
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
    """What the flusher did since the start. Read by any thread, written by the flusher alone.

    Attributes:
        busy_s: seconds in which its first thread had something to do.
    """

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
        self._priced: frozenset[_Model] | None = None
        self._claimed: dict[int, int] = {}  # requests by their id, and their bytes
        self._claiming, self._inserting, self._following_up = (threading.Lock() for _ in range(3))
        self._behind = threading.Event()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._run, "gnomon-flusher"), (self._run_second, "gnomon-flusher2"))
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop after the batches under way. What is left waits in the inbox for the next start."""
        self._stopping.set()
        self._behind.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

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

    def _run_second(self) -> None:
        """Take a batch whenever one was taken that left much behind. The first thread tries again."""
        while True:
            self._behind.wait()
            self._behind.clear()
            if self._stopping.is_set():
                return
            try:
                self.flush_oldest()
            except Exception as error:
                self._note_failure(error)

    def _note_failure(self, error: Exception) -> None:
        with self._following_up:
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
        with self._claim() as requests:
            traces = [request for request in requests if request.signal == TRACES.name]
            others = [request for request in requests if request.signal != TRACES.name]
            if traces:
                self._flush([_Parcel(each) for each in traces])
            if others:
                # After the spans, so that what came together is written onto them at once.
                with self._following_up:
                    self.stats.quarantined += self._signals.flush(others)
            return sum(request.spans for request in requests)

    @contextmanager
    def _claim(self) -> Iterator[Sequence[ReceivedRequest]]:
        """Take the oldest requests that the other thread has not taken, until the end of the block."""
        with self._claiming:
            requests = self._inbox.oldest(0, _BATCH_BYTES, self._claimed)
            self._claimed |= {request.id: len(request.body) for request in requests}
            if self._inbox.waiting_bytes - sum(self._claimed.values()) >= _BEHIND_BYTES:
                self._behind.set()
        try:
            yield requests
        finally:
            with self._claiming:
                for request in requests:
                    del self._claimed[request.id]

    def _flush(self, parcels: Sequence[_Parcel]) -> None:
        """Write requests and forget them; see `_isolate` for what the database refuses."""
        batch = _batch(parcels)
        try:
            inserted = self._insert(batch, parcels)
            with self._following_up:
                self._follow_up(batch, parcels, inserted)
        except StoreUnavailable:
            raise
        except StoreError as error:
            self._isolate(parcels, error)

    def _isolate(self, parcels: Sequence[_Parcel], error: StoreError) -> None:
        """Flush again what can be mended, and by halves, until the request at fault stands alone."""
        mended = [parcel.mended() for parcel in parcels]
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
        with self._following_up:
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

    def _follow_up(self, batch: ingest.Batch, parcels: Sequence[_Parcel], inserted: _Inserted) -> None:
        """Do what can be known only once the spans are in the database, and forget the requests."""
        report = ingest.report_batch(self._store, batch)
        if report.spans < batch.spans:
            report = self._write_flattened(batch, parcels) or report
        self._price(batch, report.unpriced - inserted.priced)
        # Before the duplicates: which of two views counts hangs on what each has.
        enriched = follow_up_spans(self._store, batch, is_judged=inserted.is_judged)
        related = duplicate_marks.projects_to_mark(self._store, batch, self._scopes.seen_twice(report))
        also_touched = enriched | duplicate_marks.mark_duplicates(self._store, batch, related)
        self._inbox.forget([parcel.request for parcel in parcels], also_touched)
        self.stats.batches += 1
        self.stats.requests += len(parcels)
        self.stats.spans += batch.spans

    def _insert(self, batch: ingest.Batch, parcels: Sequence[_Parcel]) -> _Inserted:
        found = _Inserted()

        def envelopes() -> Iterator[bytes]:
            for parcel in parcels:
                body, request = parcel.body(), parcel.request
                found.is_judged = found.is_judged or may_have_judgements(body)
                yield encode_envelope(request.project, request.received_at_ns, batch.id, body)

        ingest.insert_batch(self._store, envelopes(), self._inbox.name, self._turn(found))
        return found

    @contextmanager
    def _turn(self, inserted: _Inserted) -> Iterator[None]:
        """Keep inserts apart, also from one whose answer never came: both would write the same spans."""
        with self._inserting:
            if self._is_unsure:
                self._wait_for_earlier_inserts()
            self._is_unsure = not self._store.is_embedded
            inserted.priced = self._priced_models()
            yield
            self._is_unsure = False

    def _wait_for_earlier_inserts(self) -> None:
        deadline_s = time.monotonic() + _EARLIER_INSERTS_S
        while ingest.inserts_under_way(self._store, self._inbox.name, self._cluster):
            if time.monotonic() > deadline_s or self._stopping.is_set():
                raise StoreUnavailable("The database still works on an insert that it did not answer.")
            time.sleep(_POLL_S)

    def _write_flattened(self, batch: ingest.Batch, parcels: Sequence[_Parcel]) -> ingest.BatchReport | None:
        """Insert once more, flattened, the requests whose values nest too deep for the database."""
        flattened = ((parcel, flatten_request(parcel.body())) for parcel in parcels)
        deep = [replace(parcel, changed=body) for parcel, body in flattened if body is not None]
        if not deep:
            return None
        self._insert(batch, deep)
        return ingest.report_batch(self._store, batch)

    def _priced_models(self) -> frozenset[_Model]:
        if self._priced is None:
            self._priced = frozenset(ingest.priced_models(self._store))
        return self._priced

    def _price(self, batch: ingest.Batch, models: frozenset[_Model]) -> None:
        """Price models that had no price yet when the batch was inserted."""
        new = {pair: self._price_list(*pair) for pair in sorted(models)}
        for (provider, model), periods in new.items():
            ingest.price_batch(self._store, batch, provider, model, periods)
        # Last: once its price is saved, a flush that was cut off would not come back to a model.
        ingest.save_prices(self._store, new)
        self._priced = self._priced_models() | new.keys()


def _pause_s(spans: int) -> float:
    return next((pause_s for most_spans, pause_s in _PAUSES_S if spans < most_spans), 0.0)


@dataclass(frozen=True)
class _Parcel:
    """A request, and its body where that is not as it was received."""

    request: ReceivedRequest
    changed: bytes | None = None

    def body(self) -> bytes:
        """Return what is to be inserted. It is not kept: a batch decompressed would take 64 MiB."""
        return self.request.plain_body() if self.changed is None else self.changed

    def mended(self) -> _Parcel:
        body = self.body()
        mended = mend_request(body)
        return self if mended == body else replace(self, changed=mended)


@dataclass
class _Inserted:
    """What is known of an insert.

    Attributes:
        priced: models whose prices the insert could know; the other thread may have saved more meanwhile
        is_judged: whether judgements may be in it
    """

    priced: frozenset[_Model] = frozenset()
    is_judged: bool = False


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
