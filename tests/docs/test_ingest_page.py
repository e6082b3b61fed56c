"""The ingest page says what the collector answers."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from fastapi import FastAPI
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from tests.docs import markdown

from gnomon_collector.ingest.app import IngestParts, add_ingest_routes
from gnomon_collector.ingest.authorize import authorize_by_key
from gnomon_collector.ingest.feedback import MAX_SCORES, Score
from gnomon_collector.ingest.flusher import FlushStats
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.intake import Intake
from gnomon_collector.ingest.metrics import IngestMetrics
from gnomon_collector.ingest.otlp_grpc import SERVICE, OtlpGrpcServer
from gnomon_collector.ingest.otlp_json import to_json
from gnomon_collector.settings import Settings
from gnomon_collector.store import logs
from gnomon_collector.store.access import KeyRing, create_key
from gnomon_collector.store.engine import Store
from gnomon_schemas import normalise

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Export = Callable[..., str]

PAGE = markdown.DOCS / "ingest.md"
PROTOBUF = "application/x-protobuf"
INBOX_BYTES = 3000
MAX_REQUEST_BYTES = 2000


@dataclass(frozen=True)
class Collector:
    """The routes in this process, and keys of two scopes."""

    http: httpx.AsyncClient
    ingest_key: str
    feedback_key: str

    async def post(self, body: bytes, **headers: str) -> httpx.Response:
        base = {"content-type": PROTOBUF, "authorization": f"Bearer {self.ingest_key}"}
        return await self.http.post("/v1/traces", content=body, headers={**base, **headers})


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    made = Inbox(tmp_path / "inbox.sqlite", INBOX_BYTES)
    yield made
    made.close()


@pytest.fixture
async def collector(store: Store, inbox: Inbox, tmp_path: Path) -> AsyncIterator[Collector]:
    settings = Settings(data=tmp_path, max_request_bytes=MAX_REQUEST_BYTES)
    ingest = create_key(store, "shop", "ingest").key
    feedback = create_key(store, "shop", "feedback").key
    app = FastAPI()
    with KeyRing(store) as keys:
        metrics = IngestMetrics(inbox, FlushStats())
        add_ingest_routes(app, IngestParts(settings, authorize_by_key(keys), inbox, store, metrics))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://collector") as http:
            yield Collector(http, ingest, feedback)


def _request(name: str = "span", *, trace_id: bytes = b"t" * 16, spans: int = 1) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(1, spans + 1):
        scope.spans.add(trace_id=trace_id, span_id=number.to_bytes(8, "big"), name=name)
    return bytes(request.SerializeToString())


def _documented(column: str) -> set[str]:
    return {row[column] for row in markdown.table(PAGE, "Answers") if row[column]}


async def test_the_statuses_on_the_page_are_those_that_are_given(collector: Collector) -> None:
    big = _request("x" * 2 * MAX_REQUEST_BYTES)
    answers = [
        await collector.post(_request()),
        await collector.post(b"\xff\xff"),
        await collector.post(_request(), **{"content-encoding": "br"}),
        await collector.post(_request(), authorization="Bearer nobody"),
        await collector.post(_request(), authorization=f"Bearer {collector.feedback_key}"),
        await collector.post(big),
        await collector.post(gzip.compress(big), **{"content-encoding": "gzip"}),
        await collector.post(_request(), **{"content-type": "text/plain"}),
        *[await collector.post(_request("y" * 1800)) for _ in range(3)],
    ]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200, 400, 400, 401, 403, 413, 413, 415, 200, 503, 503]
    assert set(map(str, statuses)) == _documented("Status")
    assert answers[-1].headers["retry-after"].isdigit()
    for answer in answers:
        if answer.status_code != 200:
            assert Status.FromString(answer.content).message


@pytest.fixture
def export(store: Store, inbox: Inbox, tmp_path: Path) -> Iterator[Export]:
    """Sends a request over gRPC; returns the status code's name."""
    settings = Settings(data=tmp_path, max_request_bytes=MAX_REQUEST_BYTES)
    keys = {scope: create_key(store, "shop", scope).key for scope in ("ingest", "feedback")}
    with KeyRing(store) as ring:
        metrics = IngestMetrics(inbox, FlushStats())
        intake = Intake(settings, authorize_by_key(ring), inbox, metrics)
        server = OtlpGrpcServer(intake, "127.0.0.1", 0, "--otlp-grpc-port")
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            call = channel.unary_unary(f"/{SERVICE}/Export")

            def send(body: bytes, scope: str = "ingest") -> str:
                try:
                    call(body, metadata=(("x-gnomon-api-key", keys.get(scope, "none")),))
                except grpc.RpcError as error:
                    return str(error.code().name)
                return "OK"

            yield send
        server.stop()


def test_the_grpc_codes_on_the_page_are_those_that_are_given(export: Export) -> None:
    said = [
        export(_request()),
        export(b"\xff\xff"),
        export(_request(), "nobody"),
        export(_request(), "feedback"),
        *[export(_request("y" * 1800)) for _ in range(3)],
    ]
    assert said[:5] == ["OK", "INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "OK"]
    assert set(said) == _documented("gRPC")
    assert export(_request("x" * 2 * MAX_REQUEST_BYTES)) == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("row", range(3))
async def test_every_form_on_the_page_is_taken(
    row: int, collector: Collector, export: Export, store: Store
) -> None:
    form = markdown.table(PAGE, "Taking in telemetry")[row]
    if form["Form"] == "gRPC":
        assert export(_request()) == "OK"
        return
    body = _request()
    if form["Content-Type"] == "application/json":
        body = to_json(ExportTraceServiceRequest.FromString(body))
        fields = json.loads(body)
        for span in fields["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            span |= {"traceId": "ab" * 16, "spanId": "cd" * 8}
        body = json.dumps(fields).encode()
    packed = {
        "none": body,
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "zstd": zstd.compress(body),
    }
    if form["Compression"] != "the same":
        assert form["Compression"].split(", ") == list(packed)
    for encoding, sent in packed.items():
        headers = {"content-type": form["Content-Type"]}
        if encoding != "none":
            headers["content-encoding"] = encoding
        assert (await collector.post(sent, **headers)).status_code == 200, encoding


async def test_the_key_may_come_in_either_header(collector: Collector) -> None:
    other = await collector.post(_request(), authorization="", **{"x-gnomon-api-key": collector.ingest_key})
    assert other.status_code == 200


async def test_spans_without_valid_ids_are_left_out_and_counted(collector: Collector) -> None:
    answer = await collector.post(_request(trace_id=b"short"))
    assert answer.status_code == 200
    assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 1


async def test_the_feedback_example_is_taken(collector: Collector, store: Store) -> None:
    (example,) = markdown.blocks(PAGE, "json")
    headers = {"content-type": "application/json", "authorization": f"Bearer {collector.feedback_key}"}
    answer = await collector.http.post("/v1/feedback", content=example.text, headers=headers)
    assert answer.json() == {"score_ids": [json.loads(example.text)["score_id"]]}
    assert store.query("SELECT project, value FROM scores FINAL").rows == [("shop", 1.0)]


def test_every_feedback_field_is_on_the_page() -> None:
    said = [name for row in markdown.table(PAGE, "Feedback") for name in row["Field"].split(", ")]
    assert said == list(Score.model_fields)


def test_the_limits_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    settings = Settings.model_fields
    assert (
        settings["max_request_bytes"].default == 16 * 1024**2
        and "16 MiB (`GNOMON_MAX_REQUEST_BYTES`)" in text
    )
    assert settings["inbox_max_bytes"].default == 2 * 1024**3 and "2 GiB (`GNOMON_INBOX_MAX_BYTES`)" in text
    assert f"{settings['max_request_spans'].default:,} (`GNOMON_MAX_REQUEST_SPANS`)" in text
    assert f"at most {MAX_SCORES:,}" in text
    assert f"{normalise.MAX_TEXT_CHARS:,} characters" in text
    assert (normalise.EARLIEST.year, normalise.MAX_FUTURE_S, normalise.MAX_DURATION_S) == (
        2020,
        3600,
        604_800,
    )


def test_every_flag_of_mended_data_is_on_the_page() -> None:
    flags = {flag for row in markdown.table(PAGE, "What is mended, and how one sees it") for flag in
             row["data_flags"].split(", ") if flag}  # fmt: skip
    of_logs = {logs.INPUT_FROM_LOGS, logs.OUTPUT_FROM_LOGS, logs.FINISH_FROM_LOGS}
    assert flags - of_logs == {
        flag for flag in _words(normalise.ingest_sql()) if flag.endswith(("_clamped", "_truncated"))
    }
    assert flags >= of_logs


def _words(sql: str) -> set[str]:
    return set(sql.replace("'", " ").split())
