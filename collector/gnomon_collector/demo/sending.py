"""Sends the simulated history to a collector as any OTLP client would: over HTTP, in gzip, with patience."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

import httpx
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from gnomon_collector.demo.history import Score, history_feedback, history_requests
from gnomon_collector.demo.timeline import Timeline
from gnomon_collector.errors import GnomonError, ServerUnreachable

HISTORY_SEED: Final = 2026
SCORES_PER_REQUEST: Final = 200
_BUSY: Final = (429, 502, 503, 504)
_LONGEST_WAIT_S: Final = 30.0
_FIRST_WAIT_S: Final = 0.25
_ADVICE: Final = {
    401: "the collector does not know this key: make one with `gnomon keys create --scope ingest`",
    403: "this key may not send data: it needs the ingest scope",
    404: "there is no Gnomon collector at this address",
    413: "the collector takes no requests of this size: raise max_request_bytes",
}
_UNEXPLAINED: Final = "it does not say why; are collector and demo of the same version?"

Progress = Callable[[float], None]


class StoppedError(GnomonError):
    """The `stop` event was set before everything was sent."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the collector accepted, and the spans it refused."""

    spans: int
    scores: int
    rejected_spans: int


def send_history(
    endpoint: str,
    api_key: str,
    *,
    now: datetime,
    days: int = 7,
    seed: int = HISTORY_SEED,
    progress: Progress = lambda share: None,
    stop: threading.Event | None = None,
    patience_s: float = 120.0,
) -> Sent:
    """Generate the history before `now` and send it through the collector's ordinary intake.

    Args:
        endpoint: base URL of the collector, such as `http://127.0.0.1:4318`.
        api_key: key with the ingest scope.
        now, days, seed: as of `history_requests`. Sent again on the same day it adds nothing.
        progress: called with the share done, 0 to 1, after each request.
        stop: set it to give up in between.
        patience_s: how long one request is tried again while the collector is busy or away, in seconds.

    Raises:
        ServerUnreachable: the collector was busy or away for longer than `patience_s`.
        GnomonError: the collector refused a request; the message says why.
        StoppedError: `stop` was set.
    """
    headers = {"authorization": f"Bearer {api_key}", "content-encoding": "gzip"}
    with httpx.Client(base_url=endpoint, headers=headers, timeout=30.0, trust_env=False) as client:
        sender = _Sender(client, stop or threading.Event(), patience_s)
        timeline = Timeline.until(now, days)
        spans = rejected = 0
        for request in history_requests(now=now, days=days, seed=seed):
            rejected += sender.send_spans(request)
            spans += _span_count(request)
            progress(_share_done(timeline, request))
        scores = sum(map(sender.send_scores, _batches(history_feedback(now=now, days=days, seed=seed))))
    progress(1.0)
    return Sent(spans - rejected, scores, rejected)


class _Sender:
    """Posts one body after the other, waiting while the collector is busy."""

    def __init__(self, client: httpx.Client, stop: threading.Event, patience_s: float) -> None:
        self._client = client
        self._stop = stop
        self._patience_s = patience_s

    def send_spans(self, request: ExportTraceServiceRequest) -> int:
        """Send a request; returns how many of its spans were rejected."""
        answer = self._post("/v1/traces", request.SerializeToString(), "application/x-protobuf")
        rejected: int = ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans
        return rejected

    def send_scores(self, scores: list[Score]) -> int:
        """Send scores; returns how many."""
        body = json.dumps({"scores": scores}, ensure_ascii=False).encode()
        self._post("/v1/feedback", body, "application/json")
        return len(scores)

    def _post(self, path: str, body: bytes, content_type: str) -> bytes:
        packed = gzip.compress(body, compresslevel=1)
        give_up_s = time.monotonic() + self._patience_s
        wait_s = pause_s = 0.0
        while not self._stop.wait(pause_s):
            try:
                return self._post_once(path, packed, content_type)
            except _BusyError as busy:
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S) or _FIRST_WAIT_S
                pause_s = max(wait_s, busy.retry_after_s)
                if time.monotonic() + pause_s > give_up_s:
                    raise ServerUnreachable(self._gave_up(busy)) from busy
        raise StoppedError

    def _post_once(self, path: str, packed: bytes, content_type: str) -> bytes:
        try:
            answer = self._client.post(path, content=packed, headers={"content-type": content_type})
        except httpx.TransportError as error:
            raise _BusyError(str(error), 0.0) from error
        if answer.is_success:
            return answer.content
        if answer.status_code in _BUSY:
            raise _BusyError(f"it answered {answer.status_code}", _retry_after_s(answer))
        advice = _ADVICE.get(answer.status_code) or _explanation(answer)
        raise GnomonError(f"the collector refused {path} with {answer.status_code}: {advice}")

    def _gave_up(self, busy: "_BusyError") -> str:
        return (
            f"the collector at {self._client.base_url} took no data for {self._patience_s:.0f} s ({busy}): "
            "see its log, or `gnomon status`"
        )


class _BusyError(Exception):
    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


def _retry_after_s(answer: httpx.Response) -> float:
    try:
        seconds = float(answer.headers.get("retry-after", "0"))
    except ValueError:
        # A date: our own collector sends seconds, a proxy in between may do otherwise.
        seconds = 1.0
    return min(max(seconds, 0.0), _LONGEST_WAIT_S)


def _explanation(answer: httpx.Response) -> str:
    """What the collector says about its refusal: JSON for scores, OTLP's protobuf status for spans."""
    try:
        if answer.headers.get("content-type", "").startswith("application/json"):
            return str(answer.json()["detail"])
        return str(Status.FromString(answer.content).message) or _UNEXPLAINED
    except (ValueError, KeyError, TypeError, DecodeError):
        return _UNEXPLAINED


def _span_count(request: ExportTraceServiceRequest) -> int:
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)


def _share_done(timeline: Timeline, request: ExportTraceServiceRequest) -> float:
    latest_s: float = request.resource_spans[-1].scope_spans[-1].spans[-1].end_time_unix_nano / 1e9
    begins_s, ends_s = timeline.begins.timestamp(), timeline.ends.timestamp()
    return min(max((latest_s - begins_s) / (ends_s - begins_s), 0.0), 1.0)


def _batches(scores: Iterable[Score]) -> Iterator[list[Score]]:
    iterator = iter(scores)
    while batch := list(islice(iterator, SCORES_PER_REQUEST)):
        yield batch
