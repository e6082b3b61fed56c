"""The background sender: takes from the outbox, posts to the collector, retries, and ends in time.

The service's threads only append to the outbox. Everything slow happens on one daemon thread, which
starts with the first span and starts anew in a forked child.
"""

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence

from opentelemetry import context as otel_context
from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.sdk.trace import ReadableSpan

from gnomon import _spans
from gnomon._call_span import CallSpan
from gnomon._delivery import Delivery
from gnomon._drop_report import DropReport
from gnomon._encode import Finished
from gnomon._guard import Guard
from gnomon._outbox import Limits, Outbox, Parcel, Score
from gnomon._scrub import Mask
from gnomon._settings import Settings
from gnomon._stats import Counters, Stats
from gnomon._transport import Transport
from gnomon._wire import UNFIT, PackedSpan, pack

_MAX_SPANS_PER_REQUEST = 512
_SCORE_BYTES = 1_000
_PACKED_CHARS = 64 * 1024
"""Spans with longer texts are encoded on the exporter's thread: the caller should not wait for that."""
_PARCEL_BYTES = 200
_MOST_INTERVALS = 4
_IDLE_S = 60.0


class Exporter:
    """Bounded, asynchronous export of spans and scores; survives forks and dead collectors."""

    def __init__(
        self,
        settings: Settings,
        connect: Callable[[], Transport],
        guard: Guard,
        mask: Mask | None = None,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._guard = guard
        self._mask = mask
        self._limits = Limits(
            max_bytes=settings.queue_bytes,
            max_items=settings.queue_spans,
            urgent_bytes=min(settings.max_export_bytes, settings.queue_bytes) // 2,
            urgent_items=min(_MAX_SPANS_PER_REQUEST, settings.queue_spans),
        )
        self._forked = False
        self._start_anew()
        _renew_after_fork(self)

    def put_span(self, span: ReadableSpan) -> None:
        """Queue a finished span, or count it as dropped."""
        packed = _packed(span)
        if packed is None:
            self._put(Parcel(span, _spans.estimate_bytes(span)))
        else:
            self._put(Parcel(packed, len(packed.data) + _PARCEL_BYTES))

    def put_score(self, score: Score) -> None:
        """Queue a score, or count it as dropped."""
        self._put(Parcel(score, _SCORE_BYTES))

    def drop(self, reason: str) -> None:
        """Count something that could not even be queued."""
        self._counters.drop(reason, 1)

    def flush(self, timeout_s: float) -> bool:
        """Send what is queued now; returns whether it was settled within ``timeout_s`` seconds."""
        if self._outbox.held_items == 0:
            return True
        settled = self._outbox.mark()
        self._ensure_thread()
        return settled.wait(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Send what is left within ``timeout_s`` seconds, then stop; returns whether nothing was lost."""
        if self._delivery.closing:
            return True
        self._delivery.close_by(time.monotonic() + timeout_s)
        self._outbox.ring()
        if not self._outbox.empty and not self._ensure_thread():
            # No thread can be started any more when the interpreter is ending.
            self._run()
        self._join(timeout_s)
        left = self._outbox.discard()
        if left:
            self._counters.drop("shutdown", max(left - self._delivery.abandon(), 0))
        return "shutdown" not in self._counters.dropped

    def stats(self) -> Stats:
        """Return the counters of now."""
        counters = self._counters
        return Stats(
            enabled=not self._delivery.closing,
            queued_spans=self._outbox.held_items,
            queued_bytes=self._outbox.held_bytes,
            exported_spans=counters.exported_spans,
            exported_scores=counters.exported_scores,
            exported_bytes=counters.exported_bytes,
            retries=counters.retries,
            dropped=counters.dropped,
            errors=self._guard.errors,
            last_error=self._guard.last_error,
        )

    def _start_anew(self) -> None:
        self._counters = Counters()
        self._drop_report = DropReport()
        self._outbox = Outbox(self._limits)
        self._transport = self._connect()
        self._delivery = Delivery(
            self._settings, self._transport, self._outbox, self._counters, self._guard, self._mask
        )
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()

    def _put(self, parcel: Parcel) -> None:
        if self._delivery.closing:
            self._counters.drop("after_shutdown", 1)
        elif not self._outbox.put(parcel):
            self._counters.drop("queue_full", 1)
            self._guard.warn_once(
                "queue_full",
                "gnomon: the queue is full, new spans are dropped and counted in gnomon.stats(): "
                "is the collector reachable? GNOMON_QUEUE_BYTES sets the size",
            )
        elif self._thread is None:
            self._ensure_thread()

    def _ensure_thread(self) -> bool:
        with self._starting:
            if self._thread is not None:
                return self._thread.is_alive()
            # Set before it starts: a destructor may end a span, and come here again, while it does.
            self._thread = threading.Thread(target=self._run, name="gnomon-exporter", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None
                return False
        _flush_when_worker_ends(self, self._settings.exit_timeout_s, self._forked)
        return True

    def _join(self, timeout_s: float) -> None:
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
            if thread.is_alive():
                self._transport.abort()

    def _run(self) -> None:
        token = otel_context.attach(_without_instrumentation())
        outbox, delivery = self._outbox, self._delivery
        try:
            while not (delivery.closing and outbox.empty):
                if outbox.empty:
                    outbox.wait(_IDLE_S)
                else:
                    self._gather()
                    self._deliver_some(outbox, delivery)
        finally:
            otel_context.detach(token)

    def _deliver_some(self, outbox: Outbox, delivery: Delivery) -> None:
        parcels = outbox.take(_MAX_SPANS_PER_REQUEST, self._settings.max_export_bytes)
        exported = self._counters.exported_spans
        try:
            delivery.deliver(parcels)
        except Exception as error:
            # Caught even under test: the thread must live on to settle what a flush waits for.
            self._counters.drop("fault", max(len(parcels) - delivery.done_in_batch, 0))
            self._guard.note(f"export: {type(error).__name__}")
            self._guard.warn_once("export", f"gnomon: a batch could not be sent ({type(error).__name__})")
        outbox.settle(parcels)
        if self._counters.exported_spans > exported and not delivery.closing:
            # The collector answers: what was lost before can be told now.
            self._tell_drops(parcels)

    def _tell_drops(self, parcels: Sequence[Parcel]) -> None:
        span = next(parcel.content for parcel in parcels if isinstance(parcel.content, Finished))
        report = self._drop_report.next(self._counters.dropped, span.resource, time.time_ns())
        if report is not None:
            self._outbox.put(Parcel(report, _spans.estimate_bytes(report)))

    def _gather(self) -> None:
        """Wait for more to send at once: an interval, and some more while spans keep coming."""
        for _ in range(_MOST_INTERVALS):
            before = self._outbox.waiting_items
            if self._is_cut_short(self._settings.export_interval_s) or before == self._outbox.waiting_items:
                return

    def _is_cut_short(self, interval_s: float) -> bool:
        """Sleep for the interval; returns True as soon as something has to leave at once."""
        until_s = time.monotonic() + interval_s
        while not (self._outbox.urgent or self._delivery.closing):
            if not self._outbox.wait(until_s - time.monotonic()):
                return False
        return True


def _packed(span: ReadableSpan) -> PackedSpan | None:
    """Encode a span of Gnomon's own while it lies in the processor's cache (docs/adr/0017)."""
    if type(span) is not CallSpan:
        return None
    try:
        return pack(span, _PACKED_CHARS)
    except UNFIT:
        return None


def _without_instrumentation() -> otel_context.Context:
    """A context in which the requests to the collector do not become spans of their own."""
    context = otel_context.Context()
    for key in (
        _SUPPRESS_INSTRUMENTATION_KEY,
        _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
        "suppress_instrumentation",
    ):
        context = otel_context.set_value(key, True, context)
    return context


def _flush_when_worker_ends(exporter: Exporter, timeout_s: float, forked: bool) -> None:
    """Have multiprocessing and celery flush before a worker of theirs ends: it skips ``atexit``."""
    processes, finalizers = (
        sys.modules.get("multiprocessing.process"),
        sys.modules.get("multiprocessing.util"),
    )
    if processes is not None and finalizers is not None and processes.parent_process() is not None:
        finalizers.Finalize(None, exporter.flush, args=(timeout_s,), exitpriority=0)
    celery = sys.modules.get("celery.signals")
    if celery is not None and forked:
        # Its pool ends workers by os._exit, right after this signal.
        celery.worker_process_shutdown.connect(lambda **_: exporter.flush(timeout_s), weak=False)


def _renew_after_fork(exporter: Exporter) -> None:
    if not hasattr(os, "register_at_fork"):
        return
    reference = weakref.ref(exporter)

    def renew() -> None:
        child = reference()
        if child is not None:
            # The parent sends what was queued before the fork; its thread, locks and socket stay with it.
            child._forked = True
            child._start_anew()

    os.register_at_fork(after_in_child=renew)
