"""The collector's HTTP side: OTLP, feedback, health and metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse

from gnomon_collector.errors import BadRequest, GnomonError
from gnomon_collector.ingest.authorize import Authorize, NotAuthorized
from gnomon_collector.ingest.browsers import MAX_PUBLIC_BODY_BYTES, Browsers
from gnomon_collector.ingest.feedback import parse_scores, score_rows
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.intake import Intake, export_response, retry_after_s
from gnomon_collector.ingest.masking import mask_text
from gnomon_collector.ingest.metrics import CONTENT_TYPE, IngestMetrics
from gnomon_collector.ingest.otlp_json import to_json
from gnomon_collector.ingest.quotas import QuotaExceeded, Quotas
from gnomon_collector.ingest.requests import TooLarge, decompress
from gnomon_collector.ingest.signals import SIGNALS, TRACES, Signal
from gnomon_collector.settings import Settings
from gnomon_collector.store.engine import Store
from gnomon_collector.store.ingest import insert_scores
from gnomon_collector.store.projects import ProjectSettings

# Langfuse's SDKs send to a path of their own, with Basic authentication.
OTLP_PATHS: Mapping[str, Signal] = {f"/v1/{signal.name}": signal for signal in SIGNALS} | {
    "/api/public/otel": TRACES,
    "/api/public/otel/v1/traces": TRACES,
}
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_MAX_FEEDBACK_BYTES = 1024**2
_BODY_S = 120.0
# Decoding holds the event loop; a large request is decoded in a thread instead. What is compressed can be
# 1000 times larger inside, and JSON takes 100 times as long.
_LARGE_BYTES = 1024**2
_LARGE_DENSE_BYTES = 16 * 1024
# google.rpc.Code: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_RPC_CODES = {400: 3, 408: 4, 401: 16, 403: 7, 413: 8, 415: 3, 429: 8, 503: 14}


class _Unsupported(BadRequest):
    """The media type is none that this route takes."""


class _TooSlow(BadRequest):
    """The client takes too long."""


@dataclass(frozen=True)
class IngestParts:
    """What the routes work with."""

    settings: Settings
    authorize: Authorize
    inbox: Inbox
    store: Store
    metrics: IngestMetrics
    limits: Callable[[str], ProjectSettings] = ProjectSettings
    quotas: Quotas = field(default_factory=Quotas)


def add_ingest_routes(app: FastAPI, parts: IngestParts) -> None:
    """Add OTLP's paths, ``/v1/feedback``, ``/healthz``, ``/readyz`` and ``/metrics`` to `app`."""

    intake = Intake(parts.settings, parts.authorize, parts.inbox, parts.metrics, parts.limits, parts.quotas)

    browsers = Browsers(parts.settings.feedback_origins, parts.settings.feedback_per_minute)

    async def feedback(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=browsers.headers(request.headers, preflight=True))
        answer = await _answered(intake, request, lambda: _feedback(parts, browsers, request), _json_error)
        answer.headers.update(browsers.headers(request.headers))
        return answer

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

    for path, signal in OTLP_PATHS.items():
        app.add_route(path, _exporter(intake, signal), methods=["POST"])
    app.add_route("/v1/feedback", feedback, methods=["POST", "OPTIONS"])
    for path, endpoint in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        app.add_route(path, endpoint, methods=["GET"])


async def _answered(
    intake: Intake,
    request: Request,
    answer: Callable[[], Awaitable[Response]],
    explain: Callable[[Request, int, str], Response],
) -> Response:
    try:
        response = await answer()
    except ClientDisconnect:
        response = explain(request, 400, "The connection ended before the body did.")  # for the count alone
    except GnomonError as error:
        response = explain(request, _http_status(error), str(error))
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        wait_s = retry_after_s(error)
        if wait_s is not None:
            response.headers["Retry-After"] = str(wait_s)
    intake.answered(request.url.path, response.status_code)
    return response


def _http_status(error: GnomonError) -> int:
    if isinstance(error, NotAuthorized):
        return error.http_status
    if isinstance(error, TooLarge):
        return 413
    if isinstance(error, _Unsupported):
        return 415
    if isinstance(error, _TooSlow):
        return 408
    if isinstance(error, QuotaExceeded):
        return 429
    return 400 if isinstance(error, BadRequest) else 503


def _otlp_error(request: Request, status: int, message: str) -> Response:
    answer = Status(code=_RPC_CODES.get(status, 2), message=message)
    return _otlp_answer(answer, JSON if _media_type(request) == JSON else PROTOBUF, status)


def _json_error(request: Request, status: int, message: str) -> Response:
    return JSONResponse({"detail": message}, status_code=status)


def _exporter(intake: Intake, signal: Signal) -> Callable[[Request], Awaitable[Response]]:
    async def export(request: Request) -> Response:
        return await _answered(intake, request, lambda: _export(intake, request, signal), _otlp_error)

    return export


async def _export(intake: Intake, request: Request, signal: Signal) -> Response:
    started = time.perf_counter()
    project = intake.project(request.headers)
    is_json = _check_media_type(request, PROTOBUF, JSON) == JSON
    body = await _read(request, intake.max_request_bytes, "GNOMON_MAX_REQUEST_BYTES")
    encoding = request.headers.get("content-encoding", "").lower()
    if len(body) > (_LARGE_BYTES if encoding in ("", "identity") and not is_json else _LARGE_DENSE_BYTES):
        checked, stored = await asyncio.to_thread(
            intake.check, project, body, encoding, is_json=is_json, signal=signal
        )
    else:
        checked, stored = intake.check(project, body, encoding, is_json=is_json, signal=signal)
    await asyncio.wrap_future(intake.put(checked, stored))
    intake.acknowledged(checked, time.perf_counter() - started, signal)
    return _otlp_answer(export_response(checked, signal), JSON if is_json else PROTOBUF)


def _otlp_answer(message: Message, media_type: str, status_code: int = 200) -> Response:
    body = to_json(message) if media_type == JSON else message.SerializeToString()
    return Response(body, status_code=status_code, media_type=media_type)


async def _feedback(parts: IngestParts, browsers: Browsers, request: Request) -> Response:
    sender = parts.authorize(request.headers, ("ingest", "feedback"))
    is_public = sender.scope == "feedback"
    max_bytes = MAX_PUBLIC_BODY_BYTES if is_public else _MAX_FEEDBACK_BYTES
    _check_media_type(request, JSON)
    body = await _read(request, max_bytes, "")
    encoding = request.headers.get("content-encoding", "").lower()
    scores = parse_scores(decompress(body, encoding, max_bytes))
    if is_public:
        browsers.take(sender.project, request.client.host if request.client else "", len(scores))
    if parts.limits(sender.project).mask_content:
        scores = [
            score.model_copy(
                update={"comment": mask_text(score.comment), "correction": mask_text(score.correction)}
            )
            for score in scores
        ]
    rows = score_rows(scores, sender.project, datetime.now(UTC), only_user=is_public)
    await asyncio.to_thread(insert_scores, parts.store, rows)
    return JSONResponse({"score_ids": [score.score_id for score in scores]})


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_media_type(request: Request, *wanted: str) -> str:
    media_type = _media_type(request)
    if media_type not in wanted:
        raise _Unsupported(
            f"Content-Type {media_type or 'missing'} is not supported here: send {' or '.join(wanted)}."
        )
    return media_type


async def _read(request: Request, max_bytes: int, setting: str) -> bytes:
    """Read a body, giving up as soon as it is too large, or when it takes too long."""
    too_large = TooLarge(
        f"The request body is larger than {max_bytes} bytes: send less at a time"
        + (f", or raise {setting}." if setting else ".")
    )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    chunks = []
    size_bytes = 0
    try:
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                size_bytes += len(chunk)
                if size_bytes > max_bytes:
                    raise too_large
                chunks.append(chunk)
    except TimeoutError:
        raise _TooSlow(
            f"The request body was not there after {_BODY_S:.0f} s: send less at a time."
        ) from None
    return b"".join(chunks)
