"""What every transport does with an export request: who sends it, is it sound, put it in the inbox."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Final

from google.protobuf.message import Message

from gnomon_collector.errors import GnomonError, StoreUnavailable
from gnomon_collector.ingest.authorize import Authorize
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.inbox_rows import ReceivedRequest
from gnomon_collector.ingest.logs import check_logs
from gnomon_collector.ingest.masking import mask_request
from gnomon_collector.ingest.metrics import IngestMetrics
from gnomon_collector.ingest.metrics_signal import check_metrics
from gnomon_collector.ingest.otlp_json import from_json
from gnomon_collector.ingest.quotas import QuotaExceeded, Quotas
from gnomon_collector.ingest.requests import CheckedRequest, check_request, decompress
from gnomon_collector.ingest.signals import LOGS, METRICS, TRACES, Signal
from gnomon_collector.settings import Settings
from gnomon_collector.store.projects import ProjectSettings

_DAY_NS: Final = 86_400 * 10**9
RETRY_AFTER_S: Final = 5
"""What a client is asked to wait when the collector cannot take anything in now."""


class Intake:
    """Takes in export requests of traces, logs and metrics. Safe to use from any thread."""

    def __init__(
        self,
        settings: Settings,
        authorize: Authorize,
        inbox: Inbox,
        metrics: IngestMetrics,
        limits: Callable[[str], ProjectSettings] = ProjectSettings,
        quotas: Quotas | None = None,
    ) -> None:
        """Make an intake.

        Args:
            limits: the settings of a project by its name; by default there are none.
            quotas: shared by the intakes of one collector.
        """
        self.max_request_bytes = int(settings.max_request_bytes)
        self._max_spans = settings.max_request_spans
        self._authorize = authorize
        self._inbox = inbox
        self._metrics = metrics
        self._limits = limits
        self._quotas = quotas or Quotas()

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
            QuotaExceeded: the project sends too much.
        """
        limits = self._limits(project)
        received_at_ns = time.time_ns()
        plain = decompress(body, encoding, self.max_request_bytes)
        if is_json:
            plain = from_json(plain, signal)
        checked = self._checked(plain, received_at_ns, signal, limits)
        self._quotas.take(limits, checked.spans, len(plain))
        if limits.mask_content:
            checked = replace(checked, body=mask_request(checked.body, signal))
        # Kept as it came, compressed or not, where the inbox can tell its size and nothing was changed.
        keeps_encoding = encoding == "gzip" and not is_json and checked.body is plain
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

    def _checked(
        self, plain: bytes, received_at_ns: int, signal: Signal, limits: ProjectSettings
    ) -> CheckedRequest:
        if signal == LOGS:
            return check_logs(plain, self._max_spans)
        if signal == METRICS:
            return check_metrics(plain, self._max_spans)
        oldest_ns = 0 if limits.span_days is None else received_at_ns - limits.span_days * _DAY_NS
        return check_request(plain, received_at_ns, self._max_spans, oldest_ns)

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


def retry_after_s(error: GnomonError) -> int | None:
    """Return the seconds after which the same request may be sent again; None when that will not help."""
    if isinstance(error, QuotaExceeded):
        return error.retry_after_s
    return RETRY_AFTER_S if isinstance(error, StoreUnavailable) else None


def export_response(checked: CheckedRequest, signal: Signal = TRACES) -> Message:
    """Return the answer to an accepted request, with what was left out of it."""
    return signal.response(checked.rejected, checked.reason)
