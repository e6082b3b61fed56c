"""The ingest without HTTP: inbox, flusher and rollups on a real database, driven step by step."""

from __future__ import annotations

import time
from pathlib import Path

from gnomon_collector.ingest.flusher import Flusher, PriceList
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.inbox_rows import ReceivedRequest
from gnomon_collector.ingest.logs import check_logs
from gnomon_collector.ingest.metrics_signal import check_metrics
from gnomon_collector.ingest.requests import CheckedRequest, check_request, decompress
from gnomon_collector.ingest.rollup_worker import RollupWorker
from gnomon_collector.store.engine import Store
from gnomon_schemas.prices import price_periods

MAX_SPANS = 100_000


class Pipeline:
    """Takes requests in as the HTTP side does, and writes them when told to."""

    def __init__(self, store: Store, path: Path, price_list: PriceList = price_periods) -> None:
        self.store = store
        self.inbox = Inbox(path, 2**31)
        self.flusher = Flusher(self.inbox, store, price_list)
        self.rollups = RollupWorker(self.inbox, store)

    def put(
        self, body: bytes, *, project: str = "shop", encoding: str = "", received_at_ns: int = 0
    ) -> CheckedRequest:
        """Take a request in."""
        now_ns = received_at_ns or time.time_ns()
        checked = check_request(decompress(body, encoding, 2**24), now_ns, MAX_SPANS)
        kept = body if encoding else checked.body
        received = ReceivedRequest(project, now_ns, encoding, checked.spans, checked.minutes, kept)
        self.inbox.put(received).result()
        return checked

    def put_logs(self, body: bytes, *, project: str = "shop", received_at_ns: int = 0) -> CheckedRequest:
        """Take a request of log records in."""
        return self._put_signal("logs", check_logs(body, MAX_SPANS), project, received_at_ns)

    def put_metrics(self, body: bytes, *, project: str = "shop") -> CheckedRequest:
        """Take a request of metrics in."""
        return self._put_signal("metrics", check_metrics(body, MAX_SPANS), project, 0)

    def _put_signal(
        self, signal: str, checked: CheckedRequest, project: str, received_at_ns: int
    ) -> CheckedRequest:
        now_ns = received_at_ns or time.time_ns()
        received = ReceivedRequest(
            project, now_ns, "", checked.spans, checked.minutes, checked.body, signal=signal
        )
        self.inbox.put(received).result()
        return checked

    def flush(self) -> None:
        """Write everything that waits, rollups included."""
        while self.inbox.waiting_requests:
            self.flusher.flush_oldest()
        while self.rollups.recompute_touched():
            pass

    def send(self, *bodies: bytes, project: str = "shop") -> None:
        """Take requests in and write them."""
        for body in bodies:
            self.put(body, project=project)
        self.flush()

    def rows(self, sql: str, **parameters: object) -> list[tuple[object, ...]]:
        """Return the rows of a query."""
        return self.store.query(sql, parameters).rows

    def value(self, sql: str, **parameters: object) -> object:
        """Return the only value of a query."""
        ((found,),) = self.rows(sql, **parameters)
        return found
