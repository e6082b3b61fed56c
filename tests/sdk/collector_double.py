"""A test double of the collector: a real HTTP server on loopback that decodes OTLP and obeys a script."""

import gzip
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it came over the wire."""

    name: str
    trace_id: str
    span_id: str
    parent_span_id: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    scope: str
    status_code: int
    status_message: str
    events: tuple[str, ...]


@dataclass(frozen=True)
class ReceivedRequest:
    """One request, with its body decompressed."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float


@dataclass
class Answer:
    """What to answer to one request; ``delay_s`` comes before it."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0


class CollectorDouble:
    """Everything received so far, and the answers that are still to be given (then 200 for good)."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self.accepted: list[ReceivedRequest] = []
        self.script: deque[Answer] = deque()
        self.always = Answer()
        self.url = ""
        self._changed = threading.Condition()

    def answer(self, request: ReceivedRequest) -> Answer:
        with self._changed:
            answer = self.script.popleft() if self.script else self.always
            self.requests.append(request)
            if answer.status == 200:
                self.accepted.append(request)
            self._changed.notify_all()
        return answer

    @property
    def spans(self) -> list[ReceivedSpan]:
        bodies = [request.body for request in self.accepted if request.path.endswith("/v1/traces")]
        return [span for body in bodies for span in decode(body)]

    @property
    def scores(self) -> list[dict[str, Any]]:
        bodies = [request.body for request in self.accepted if request.path.endswith("/v1/feedback")]
        return [score for body in bodies for score in json.loads(body)["scores"]]

    def span(self, name: str) -> ReceivedSpan:
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, [span.name for span in self.spans]
        return found[0]

    def wait_for_spans(self, count: int, timeout_s: float = 10.0) -> list[ReceivedSpan]:
        with self._changed:
            self._changed.wait_for(lambda: len(self.spans) >= count, timeout_s)
        return self.spans

    def wait_for_requests(self, count: int, timeout_s: float = 10.0) -> list[ReceivedRequest]:
        with self._changed:
            self._changed.wait_for(lambda: len(self.requests) >= count, timeout_s)
        return self.requests


def decode(body: bytes) -> Iterator[ReceivedSpan]:
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _pairs(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_span_id=span.parent_span_id.hex(),
                    attributes=_pairs(span.attributes),
                    resource=resource,
                    scope=scope.scope.name,
                    status_code=span.status.code,
                    status_message=span.status.message,
                    events=tuple(event.name for event in span.events),
                )


def partial_success(rejected_spans: int) -> bytes:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected_spans
    response.partial_success.error_message = "too old"
    return bytes(response.SerializeToString())


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that left early is part of the tests, not an error of the server."""


@contextmanager
def run_collector(port: int = 0) -> Iterator[CollectorDouble]:
    """Serve a double on a port of loopback, a free one by default."""
    double = CollectorDouble()
    server = _QuietServer(("127.0.0.1", port), _handler(double))
    double.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def hanging_collector() -> Iterator[str]:
    """A listener that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def dead_collector() -> Iterator[str]:
    """An address of loopback where nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


def _handler(double: CollectorDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
            answer = double.answer(ReceivedRequest(self.path, dict(self.headers), body, time.monotonic()))
            time.sleep(answer.delay_s)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            return None

    return Handler


def _pairs(attributes: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _pairs(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)
