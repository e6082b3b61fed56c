"""Every way a request can come in: the same span arrives whole by each of them."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from backports import zstd
from google.protobuf import json_format
from grpc_status import rpc_status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from tests.ingest.server_process import ServerProcess

from gnomon_collector.errors import BadRequest
from gnomon_collector.ingest.otlp_json import from_json

CAPTURES = sorted((Path(__file__).parent.parent / "captures").rglob("*.traces.pb"))
CHAT = Path(__file__).parent.parent / "captures" / "otel-genai-span" / "chat.traces.pb"
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
JSON = "application/json"

Encoder = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("transports") / "data") as running:
        yield running


def as_json(body: bytes) -> bytes:
    """OTLP/JSON of a protobuf request: ids in hex, enums as numbers."""
    fields = json_format.MessageToDict(
        ExportTraceServiceRequest.FromString(body), use_integers_for_enums=True
    )

    def with_hex_ids(value: object) -> object:
        if isinstance(value, list):
            return [with_hex_ids(element) for element in value]
        if not isinstance(value, dict):
            return value
        ids = {"traceId", "spanId", "parentSpanId"}
        return {k: base64.b64decode(v).hex() if k in ids else with_hex_ids(v) for k, v in value.items()}

    return json.dumps(with_hex_ids(fields)).encode()


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_json_is_the_same_request(capture: Path) -> None:
    body = capture.read_bytes()
    assert ExportTraceServiceRequest.FromString(
        from_json(as_json(body))
    ) == ExportTraceServiceRequest.FromString(body)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"resourceSpans": 5}']
    + [b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":%s}]}]}]}' % id_ for id_ in (b'"zz"', b"7")],
)
def test_bad_json_is_refused_without_being_quoted(body: bytes) -> None:
    with pytest.raises(BadRequest, match="JSON") as refusal:
        from_json(body)
    assert "zz" not in str(refusal.value)


def test_json_takes_names_of_enums_snake_case_and_unknown_fields() -> None:
    body = {
        "resource_spans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "trace_id": "5b8efff798038103d269b633813fc60c",
                                "spanId": "EEE19B7EC3C1B174",
                                "kind": "SPAN_KIND_CLIENT",
                                "startTimeUnixNano": "1544712660000000000",
                                "endTimeUnixNano": 1544712661000000000,
                                "someDay": {"a": 1},
                            }
                        ]
                    }
                ]
            }
        ]
    }
    request = ExportTraceServiceRequest.FromString(from_json(json.dumps(body).encode()))
    span = request.resource_spans[0].scope_spans[0].spans[0]
    assert span.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert span.span_id.hex() == "eee19b7ec3c1b174"
    assert (span.kind, span.start_time_unix_nano, span.end_time_unix_nano) == (
        3,
        1544712660000000000,
        1544712661000000000,
    )


@pytest.mark.parametrize(
    ("media_type", "encoding", "encode"),
    [
        ("application/x-protobuf", "", bytes),
        ("application/x-protobuf", "gzip", gzip.compress),
        ("application/x-protobuf", "deflate", zlib.compress),
        ("application/x-protobuf", "zstd", zstd.compress),
        (JSON, "", as_json),
        (JSON, "gzip", lambda body: gzip.compress(as_json(body))),
        (JSON + "; charset=utf-8", "zstd", lambda body: zstd.compress(as_json(body))),
    ],
)
def test_http(server: ServerProcess, media_type: str, encoding: str, encode: Encoder) -> None:
    project = f"http-{media_type[12:16]}-{encoding or 'plain'}"
    headers = {"content_type": media_type} | ({"content_encoding": encoding} if encoding else {})
    answer = server.post("/v1/traces", encode(CHAT.read_bytes()), server.key(project), **headers)
    assert answer.status_code == 200, answer.text
    expected = JSON if media_type.startswith(JSON) else media_type
    assert answer.headers["content-type"].startswith(expected)
    assert calls_of(server, project) == [106]


def test_errors_speak_the_senders_encoding(server: ServerProcess) -> None:
    key = server.key("errors")
    answer = server.post("/v1/traces", b"{", key, content_type=JSON)
    assert answer.status_code == 400
    assert answer.json()["code"] == 3


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_grpc_exporter(server: ServerProcess, compression: grpc.Compression | None) -> None:
    project = f"grpc-{compression.name if compression else 'plain'}"
    provider = TracerProvider()
    exporter = OTLPSpanExporter(
        endpoint=server.grpc_address,
        insecure=True,
        headers=(("authorization", f"Bearer {server.key(project)}"),),
        compression=compression,
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("chat") as span:
        span.set_attribute("gen_ai.operation.name", "chat")
        span.set_attribute("gen_ai.usage.input_tokens", 7)
    provider.shutdown()
    assert calls_of(server, project) == [7]


def test_grpc_answers(server: ServerProcess) -> None:
    ingest = (("authorization", f"Bearer {server.key('grpc-answers')}"),)
    read = (("x-gnomon-api-key", server.key("grpc-answers", "read")),)
    with grpc.insecure_channel(server.grpc_address) as channel:
        export = channel.unary_unary(EXPORT)
        for metadata, body, code in (
            ((), b"", grpc.StatusCode.UNAUTHENTICATED),
            (read, b"", grpc.StatusCode.PERMISSION_DENIED),
            (ingest, b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
            (ingest, b"\n" + b"\x80\x80\x80\x08" + bytes(17 * 1024**2), grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            with pytest.raises(grpc.RpcError) as refusal:
                export(body, metadata=metadata)
            assert refusal.value.code() == code
        assert export(CHAT.read_bytes(), metadata=ingest) == b""
        answer = export(without_trace_id(CHAT.read_bytes()), metadata=ingest)
        assert ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans == 1
    assert calls_of(server, "grpc-answers") == [106]


def test_grpc_says_when_to_try_again(tmp_path: Path) -> None:
    settings = {"GNOMON_INBOX_MAX_BYTES": str(1024**2)}
    with ServerProcess(tmp_path / "data", settings=settings) as server:
        key = server.key("full")
        big = large_request(2 * 1024**2)
        with grpc.insecure_channel(server.grpc_address) as channel:
            with pytest.raises(grpc.RpcError) as refusal:
                channel.unary_unary(EXPORT)(big, metadata=(("authorization", f"Bearer {key}"),))
            assert refusal.value.code() == grpc.StatusCode.UNAVAILABLE
            status = rpc_status.from_call(refusal.value)
        assert [detail.type_url for detail in status.details] == ["type.googleapis.com/google.rpc.RetryInfo"]


def calls_of(server: ServerProcess, project: str) -> list[int]:
    """Input tokens of the project's calls, once everything is written."""
    server.wait_until_written()
    rows = server.query(f"SELECT input_tokens FROM calls WHERE project = '{project}'")
    return [int(row["input_tokens"]) for row in rows]


def without_trace_id(body: bytes) -> bytes:
    request = ExportTraceServiceRequest.FromString(body)
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b""
    return bytes(request.SerializeToString())


def large_request(size_bytes: int) -> bytes:
    request = ExportTraceServiceRequest.FromString(CHAT.read_bytes())
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.add(key="padding").value.string_value = "x" * size_bytes
    return bytes(request.SerializeToString())
