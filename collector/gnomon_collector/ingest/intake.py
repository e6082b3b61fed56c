"""What every transport does with an export request: who sends it, is it sound, put it in the inbox."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Final

from google.protobuf.message import Message

from gnomon_collector.ingest.authorize import Authorize
from gnomon_collector.ingest.inbox import Inbox, ReceivedRequest
from gnomon_collector.ingest.logs import check_logs
from gnomon_collector.ingest.metrics import IngestMetrics
from gnomon_collector.ingest.metrics_signal import check_metrics
from gnomon_collector.ingest.otlp_json import from_json
from gnomon_collector.ingest.requests import CheckedRequest, check_request, decompress
from gnomon_collector.ingest.signals import LOGS, METRICS, TRACES, Signal
from gnomon_collector.settings import Settings

RETRY_AFTER_S: Final = 5
"""What a client is asked to wait when the collector cannot take anything in now."""


class Intake:
    """Takes in export requests of traces, logs and metrics. Safe to use from any thread."""

    def __init__(
        self, settings: Settings, authorize: Authorize, inbox: Inbox, metrics: IngestMetrics
    ) -> None:
        self.max_request_bytes = int(settings.max_request_bytes)
        self._max_spans = settings.max_request_spans
        self._authorize = authorize
        self._inbox = inbox
        self._metrics = metrics

    def project(self, headers: Mapping[str, str]) -> str:
        """Return the project that the sender's key is of.

        Raises:
            NotAuthorized: no good key, or none for sending telemetry.
        """
        return self._authorize(headers, ("ingest",)).project

    def check(
        self, project: str, body: bytes, encoding: str, *, is_json: bool = False, signal: Signal = TRACES
    ) -> tuple[CheckedRequest, ReceivedRequest]:
        """Decompress and check a request.

        Args:
            body: as received.
            encoding: content encoding of `body`, see `decompress`.
            is_json: OTLP/JSON instead of protobuf.
            signal: what is sent.

        Raises:
            BadRequest: it is not sound.
            TooLarge: it is larger than the settings allow.
        """
        received_at_ns = time.time_ns()
        plain = decompress(body, encoding, self.max_request_bytes)
        if is_json:
            plain = from_json(plain, signal)
        checked = self._checked(plain, received_at_ns, signal)
        # Kept as it came, compressed or not, where the inbox can tell its size and nothing was changed.
        keeps_encoding = encoding == "gzip" and not is_json and not checked.rejected
        stored = ReceivedRequest(
            project=project,
            received_at_ns=received_at_ns,
            encoding="gzip" if keeps_encoding else "",
            spans=checked.spans,
            minutes=checked.minutes,
            body=body if keeps_encoding else checked.body,
            signal=signal.name,
        )
        return checked, stored

    def _checked(self, plain: bytes, received_at_ns: int, signal: Signal) -> CheckedRequest:
        if signal == LOGS:
            return check_logs(plain, self._max_spans)
        if signal == METRICS:
            return check_metrics(plain, self._max_spans)
        return check_request(plain, received_at_ns, self._max_spans)

    def put(self, checked: CheckedRequest, stored: ReceivedRequest) -> Future[None]:
        """Put a checked request in the inbox; see `Inbox.put` for when it may be acknowledged."""
        if checked.spans:
            return self._inbox.put(stored)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def acknowledged(self, checked: CheckedRequest, duration_s: float, signal: Signal = TRACES) -> None:
        """Count a request that is about to be acknowledged."""
        self._metrics.acknowledged(signal.name, checked.spans, checked.rejected, duration_s)

    def answered(self, route: str, code: int | str) -> None:
        """Count an answer, good or bad."""
        self._metrics.requests.labels(route, code).inc()


def export_response(checked: CheckedRequest, signal: Signal = TRACES) -> Message:
    """Return the answer to an accepted request, with what was left out of it."""
    return signal.response(checked.rejected, checked.reason)
