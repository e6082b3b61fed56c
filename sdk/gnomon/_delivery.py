"""Deliver one batch: encode, post, retry with backoff, give up in time. Runs on the sender's thread."""

import gzip
import http.client
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from gnomon._encode import Finished, encode
from gnomon._guard import Guard
from gnomon._identity import given_resource
from gnomon._outbox import Outbox, Parcel, Score
from gnomon._scrub import Mask, scrub_score
from gnomon._settings import FEEDBACK_PATH, Settings
from gnomon._stats import Counters
from gnomon._transport import Response, Transport, is_loopback
from gnomon._verdict import Verdict, backoff_s, judge

_GZIP_FROM_BYTES: Final = 1_024
_GZIP_LEVEL: Final = 1
"""Level 1 makes JSON text about 10 % larger than level 6 for a third of the CPU time."""
_LAST_TRIES: Final = 2
_LAST_WAIT_S: Final = 0.1
_UNREACHABLE: Final = "unreachable"
_SPLIT_ABOVE_BYTES: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class _Request:
    """One request: where it goes, its body before compression, and the spans or scores in it."""

    path: str
    body: bytes
    content_type: str
    spans: Sequence[Finished] = ()
    scores: int = 0

    @property
    def items(self) -> int:
        return len(self.spans) + self.scores


class Delivery:
    """Sends batches one after the other until each is accepted or dropped with a count."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        outbox: Outbox,
        counters: Counters,
        guard: Guard,
        mask: Mask | None = None,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._outbox = outbox
        self._counters = counters
        self._guard = guard
        self._mask = mask
        self._random = random.Random()
        self._deadline_s: float | None = None
        self._given_up = False
        self._last_tries = 0
        self.done_in_batch = 0
        self._resource = given_resource(settings)
        self._compresses = _compresses(settings)

    @property
    def closing(self) -> bool:
        """Whether the end was announced: only what is queued is still sent, until the deadline."""
        return self._deadline_s is not None

    def close_by(self, deadline_s: float) -> None:
        """Announce the end; ``deadline_s`` is on the monotonic clock."""
        self._deadline_s = deadline_s

    def abandon(self) -> int:
        """Stop counting, the sender's thread is left behind; returns how many items of its batch are done."""
        self._given_up = True
        self._counters = Counters()
        return self.done_in_batch

    def deliver(self, parcels: Sequence[Parcel]) -> None:
        """Send everything in ``parcels``; returns when each is accepted, or dropped and counted."""
        self.done_in_batch = 0
        if self._is_over():
            self._drop("shutdown", sum(not isinstance(parcel.content, Event) for parcel in parcels))
            return
        spans = [parcel.content for parcel in parcels if isinstance(parcel.content, Finished)]
        scores = [self._masked(parcel.content) for parcel in parcels if isinstance(parcel.content, dict)]
        if scores:
            body = json.dumps({"scores": scores}, ensure_ascii=False).encode("utf-8", "replace")
            self._send(_Request(FEEDBACK_PATH, body, "application/json", scores=len(scores)))
        if spans:
            for request in self._trace_requests(spans, self._settings.max_export_bytes):
                self._send(request)

    def _masked(self, score: Score) -> Score:
        return score if self._mask is None else scrub_score(score, self._mask)

    def _trace_requests(self, spans: Sequence[Finished], max_bytes: int) -> Iterator[_Request]:
        for encoded in encode(spans, max_bytes, self._resource, self._mask):
            if isinstance(encoded, Exception):
                self._drop("unencodable", 1)
                self._guard.report("encoding a span", encoded)
            else:
                yield _Request(
                    self._settings.traces_path, encoded.data, "application/x-protobuf", spans=encoded.spans
                )

    def _send(self, request: _Request) -> None:
        headers, body = self._headers(request), request.body
        # gRPC compresses by itself; feedback goes over HTTP even then.
        over_grpc = self._settings.protocol == "grpc" and bool(request.spans)
        if self._compresses and len(body) >= _GZIP_FROM_BYTES and not over_grpc:
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        failures = 0
        while not self._is_over():
            verdict = self._attempt(request, body, headers)
            if verdict.action == "accept":
                return
            if verdict.action == "reject":
                self._rejected(request, verdict)
                return
            failures += 1
            if not self._wait_before_retry(verdict, failures):
                break
            self._counters.retried()
        self._drop("shutdown", request.items)

    def _headers(self, request: _Request) -> dict[str, str]:
        headers = {
            "Content-Type": request.content_type,
            "User-Agent": "gnomon-python",
            **self._settings.headers,
        }
        if self._settings.api_key:
            headers["Authorization"] = f"Bearer {self._settings.api_key}"
        return headers

    def _attempt(self, request: _Request, body: bytes, headers: dict[str, str]) -> Verdict:
        try:
            response = self._transport.post(request.path, body, headers, self._time_left_s())
        except (OSError, http.client.HTTPException) as error:
            return self._unreachable(error)
        verdict = judge(response, datetime.now(UTC))
        if verdict.action == "accept":
            self._accepted(request, response)
        elif verdict.action == "retry":
            self._guard.note(f"the collector answered {response.status}, trying again")
        return verdict

    def _unreachable(self, error: Exception) -> Verdict:
        self._guard.note(f"{self._settings.endpoint}: {type(error).__name__}")
        self._guard.warn_once(
            _UNREACHABLE,
            f"gnomon: no answer from {self._settings.endpoint} ({type(error).__name__}): trying again in the "
            f"background, up to {self._settings.queue_bytes / 2**20:.0f} MiB are kept. Is the collector "
            "running (`gnomon serve`), is GNOMON_ENDPOINT right?",
        )
        return Verdict("retry", _UNREACHABLE)

    def _accepted(self, request: _Request, response: Response) -> None:
        self._guard.forget_warning(_UNREACHABLE)
        rejected = min(_rejected_spans(response), len(request.spans)) if request.spans else 0
        self._counters.exported(len(request.spans) - rejected, request.scores, len(request.body))
        self._counters.drop("rejected", rejected)
        self.done_in_batch += request.items
        if rejected:
            self._guard.note(f"the collector rejected {rejected} spans")

    def _rejected(self, request: _Request, verdict: Verdict) -> None:
        self._guard.note(f"{verdict.reason}: {verdict.advice}")
        self._guard.warn_once(
            verdict.reason, f"gnomon: {verdict.advice}. What was sent is dropped and counted"
        )
        if verdict.reason == "http_413" and len(request.spans) > 1 and len(request.body) > _SPLIT_ABOVE_BYTES:
            # A proxy with a smaller limit than ours: halves may pass where the whole did not.
            for smaller in self._trace_requests(request.spans, len(request.body) // 2):
                self._send(smaller)
        else:
            self._drop(verdict.reason, request.items)

    def _drop(self, reason: str, items: int) -> None:
        self._counters.drop(reason, items)
        self.done_in_batch += items

    def _time_left_s(self) -> float:
        limit_s = self._settings.request_timeout_s
        if self._deadline_s is None:
            return limit_s
        return max(min(limit_s, self._deadline_s - time.monotonic()), 0.01)

    def _is_over(self) -> bool:
        return self._given_up or (self._deadline_s is not None and time.monotonic() >= self._deadline_s)

    def _wait_before_retry(self, verdict: Verdict, failures: int) -> bool:
        """Sleep the backoff; returns False when there is no point in another attempt before the end."""
        until_s = time.monotonic() + backoff_s(failures, verdict.retry_after_s, self._random)
        while self._deadline_s is None:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return True
            self._outbox.wait(left_s)
        return self._wait_while_closing(verdict, until_s, self._deadline_s)

    def _wait_while_closing(self, verdict: Verdict, until_s: float, deadline_s: float) -> bool:
        now_s = time.monotonic()
        if verdict.reason == _UNREACHABLE:
            self._last_tries += 1
            # Nobody answers and the process wants to end: do not hold it up for what cannot be sent.
            self._given_up = self._last_tries > _LAST_TRIES
            until_s = now_s + _LAST_WAIT_S * (self._last_tries - 1)
        elif verdict.retry_after_s is None:
            until_s = min(until_s, now_s + max((deadline_s - now_s) / 2, _LAST_WAIT_S))
        if self._given_up or until_s >= deadline_s:
            return False
        time.sleep(max(until_s - now_s, 0))
        return True


def _compresses(settings: Settings) -> bool:
    if settings.compression != "auto":
        return settings.compression == "gzip"
    # To the same machine bytes cost nothing, and packing and unpacking them costs both sides.
    return not is_loopback(urlsplit(settings.endpoint).hostname or "")


def _rejected_spans(response: Response) -> int:
    if not response.body:
        return 0
    try:
        answer = ExportTraceServiceResponse.FromString(response.body)
    except Exception:
        # An empty or JSON body of a proxy: the status already said that all was taken.
        return 0
    return int(answer.partial_success.rejected_spans)
