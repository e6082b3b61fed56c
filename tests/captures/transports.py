"""Every way in which an export request can be posted to a server."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc
from backports import zstd
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.ingest.server_process import ServerProcess

MESSAGES: Final[Mapping[str, Any]] = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}
SERVICES: Final = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_IDS: Final = ("traceId", "spanId", "parentSpanId")

Post = Callable[[ServerProcess, str, str, bytes], None]


@dataclass(frozen=True)
class Transport:
    """One way: `post` takes the server, a key, the signal (traces or logs) and a protobuf request."""

    name: str
    post: Post


def otlp_json(signal: str, body: bytes) -> bytes:
    """Return a protobuf request as OTLP/JSON: ids in hex, enums as numbers."""
    message = MESSAGES[signal].FromString(body)
    fields = json_format.MessageToDict(message, use_integers_for_enums=True)
    return json.dumps(_with_hex_ids(fields)).encode()


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_hex_ids(element) for element in value]
    if not isinstance(value, dict):
        return value
    return {k: base64.b64decode(v).hex() if k in _IDS else _with_hex_ids(v) for k, v in value.items()}


def _http(
    encode: Callable[[bytes], bytes] | None = None, encoding: str = "", *, is_json: bool = False
) -> Post:
    def post(server: ServerProcess, key: str, signal: str, body: bytes) -> None:
        sent = otlp_json(signal, body) if is_json else body
        headers = {"content_encoding": encoding} if encoding else {}
        content_type = "application/json" if is_json else "application/x-protobuf"
        sent = encode(sent) if encode else sent
        answer = server.post(f"/v1/{signal}", sent, key, content_type=content_type, **headers)
        assert answer.status_code == 200, (answer.status_code, answer.text)

    return post


def _grpc(compression: grpc.Compression) -> Post:
    def post(server: ServerProcess, key: str, signal: str, body: bytes) -> None:
        with grpc.insecure_channel(server.grpc_address) as channel:
            export = channel.unary_unary(SERVICES[signal])
            export(body, metadata=(("authorization", f"Bearer {key}"),), compression=compression, timeout=60)

    return post


TRANSPORTS: Final = (
    Transport("HTTP, protobuf", _http()),
    Transport("HTTP, protobuf, gzip", _http(gzip.compress, "gzip")),
    Transport("HTTP, protobuf, deflate", _http(zlib.compress, "deflate")),
    Transport("HTTP, protobuf, zstd", _http(zstd.compress, "zstd")),
    Transport("HTTP, JSON", _http(is_json=True)),
    Transport("HTTP, JSON, gzip", _http(gzip.compress, "gzip", is_json=True)),
    Transport("gRPC", _grpc(grpc.Compression.NoCompression)),
    Transport("gRPC, gzip", _grpc(grpc.Compression.Gzip)),
)
