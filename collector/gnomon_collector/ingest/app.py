"""The collector's HTTP side: OTLP, feedback, health and metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse

from gnomon_collector.errors import BadRequest, GnomonError
from gnomon_collector.ingest.authorize import Authorize, NotAuthorized
from gnomon_collector.ingest.feedback import parse_scores, score_rows
from gnomon_collector.ingest.inbox import Inbox, ReceivedRequest
from gnomon_collector.ingest.metrics import CONTENT_TYPE, IngestMetrics
from gnomon_collector.ingest.requests import CheckedRequest, TooLarge, check_request, decompress
from gnomon_collector.settings import Settings
from gnomon_collector.store.engine import Store
from gnomon_collector.store.ingest import insert_scores

PROTOBUF = "application/x-protobuf"
RETRY_AFTER_S = 5
_MAX_FEEDBACK_BYTES = 1024**2
# Decoding holds the event loop; a large request is decoded in a thread instead. gzip can be 1000 times larger
# inside.
_LARGE_BYTES = 1024**2
_LARGE_GZIP_BYTES = 16 * 1024
# google.rpc.Code: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_RPC_CODES = {400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 429: 8, 503: 14}


class _Unsupported(BadRequest):
    """The media type is none that this route takes."""


@dataclass(frozen=True)
class IngestParts:
    """What the routes work with."""

    settings: Settings
    authorize: Authorize
    inbox: Inbox
    store: Store
    metrics: IngestMetrics


def add_ingest_routes(app: FastAPI, parts: IngestParts) -> None:
    """Add ``/v1/traces``, ``/v1/feedback``, ``/healthz``, ``/readyz`` and ``/metrics`` to `app`."""

    async def export_traces(request: Request) -> Response:
        return await _answered(parts, request, _export_traces, _otlp_error)

    async def feedback(request: Request) -> Response:
        return await _answered(parts, request, _feedback, _json_error)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        try:
            await asyncio.to_thread(parts.store.ping)
        except GnomonError as error:
            return PlainTextResponse(f"the database does not answer: {error}\n", status_code=503)
        return PlainTextResponse("ok\n")

    async def metrics(request: Request) -> Response:
        return Response(await asyncio.to_thread(parts.metrics.text), media_type=CONTENT_TYPE)

    app.add_route("/v1/traces", export_traces, methods=["POST"])
    app.add_route("/v1/feedback", feedback, methods=["POST"])
    for path, endpoint in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        app.add_route(path, endpoint, methods=["GET"])


async def _answered(
    parts: IngestParts,
    request: Request,
    endpoint: Callable[[IngestParts, Request], Awaitable[Response]],
    explain: Callable[[int, str], Response],
) -> Response:
    try:
        response = await endpoint(parts, request)
    except ClientDisconnect:
        response = explain(400, "The connection ended before the body did.")  # for the count alone
    except GnomonError as error:
        response = explain(_http_status(error), str(error))
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if response.status_code in (429, 503):
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
    parts.metrics.requests.labels(request.url.path, response.status_code).inc()
    return response


def _http_status(error: GnomonError) -> int:
    if isinstance(error, NotAuthorized):
        return error.http_status
    if isinstance(error, TooLarge):
        return 413
    if isinstance(error, _Unsupported):
        return 415
    return 400 if isinstance(error, BadRequest) else 503


def _otlp_error(status: int, message: str) -> Response:
    body = Status(code=_RPC_CODES.get(status, 2), message=message).SerializeToString()
    return Response(body, status_code=status, media_type=PROTOBUF)


def _json_error(status: int, message: str) -> Response:
    return JSONResponse({"detail": message}, status_code=status)


async def _export_traces(parts: IngestParts, request: Request) -> Response:
    started = time.perf_counter()
    project = parts.authorize(request.headers, ("ingest",)).project
    _check_media_type(request, PROTOBUF)
    body = await _read(request, parts.settings.max_request_bytes, "GNOMON_MAX_REQUEST_BYTES")
    encoding = request.headers.get("content-encoding", "").lower()
    checked, stored = await _received(parts, project, body, encoding)
    if checked.spans:
        await asyncio.wrap_future(parts.inbox.put(stored))
    parts.metrics.spans.inc(checked.spans)
    parts.metrics.rejected_spans.inc(checked.rejected)
    parts.metrics.ack_seconds.observe(time.perf_counter() - started)
    return Response(_export_response(checked), media_type=PROTOBUF)


async def _received(
    parts: IngestParts, project: str, body: bytes, encoding: str
) -> tuple[CheckedRequest, ReceivedRequest]:
    arguments = (parts.settings, project, body, encoding, time.time_ns())
    if len(body) > (_LARGE_GZIP_BYTES if encoding == "gzip" else _LARGE_BYTES):
        return await asyncio.to_thread(_check, *arguments)
    return _check(*arguments)


def _check(
    settings: Settings, project: str, body: bytes, encoding: str, received_at_ns: int
) -> tuple[CheckedRequest, ReceivedRequest]:
    plain = decompress(body, encoding, settings.max_request_bytes)
    checked = check_request(plain, received_at_ns, settings.max_request_spans)
    # Kept as it came, compressed or not, unless something had to be left out.
    keeps_encoding = encoding == "gzip" and not checked.rejected
    stored = ReceivedRequest(
        project=project,
        received_at_ns=received_at_ns,
        encoding="gzip" if keeps_encoding else "",
        spans=checked.spans,
        minutes=checked.minutes,
        body=body if keeps_encoding else checked.body,
    )
    return checked, stored


def _export_response(checked: CheckedRequest) -> bytes:
    if not checked.rejected:
        return b""  # an ExportTraceServiceResponse with nothing set
    partial = ExportTracePartialSuccess(rejected_spans=checked.rejected, error_message=checked.reason)
    return bytes(ExportTraceServiceResponse(partial_success=partial).SerializeToString())


async def _feedback(parts: IngestParts, request: Request) -> Response:
    sender = parts.authorize(request.headers, ("ingest", "feedback"))
    _check_media_type(request, "application/json")
    body = await _read(request, _MAX_FEEDBACK_BYTES, "")
    encoding = request.headers.get("content-encoding", "").lower()
    scores = parse_scores(decompress(body, encoding, _MAX_FEEDBACK_BYTES))
    rows = score_rows(scores, sender.project, datetime.now(UTC), only_user=sender.scope == "feedback")
    await asyncio.to_thread(insert_scores, parts.store, rows)
    return JSONResponse({"score_ids": [score.score_id for score in scores]})


def _check_media_type(request: Request, wanted: str) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != wanted:
        raise _Unsupported(f"Content-Type {media_type or 'missing'} is not supported here: send {wanted}.")


async def _read(request: Request, max_bytes: int, setting: str) -> bytes:
    """Read a body, giving up as soon as it is too large."""
    too_large = TooLarge(
        f"The request body is larger than {max_bytes} bytes: send less at a time"
        + (f", or raise {setting}." if setting else ".")
    )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    chunks = []
    size_bytes = 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise too_large
        chunks.append(chunk)
    return b"".join(chunks)
