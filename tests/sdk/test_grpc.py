"""OTLP over gRPC, against a real gRPC server that obeys a script."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as ProtoAny
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from tests.sdk.collector_double import CollectorDouble, decode

import gnomon

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@dataclass
class GrpcDouble:
    """Everything received, and the failures that are still to be given."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    failures: deque[Status] = field(default_factory=deque)

    def export(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        self.metadata.append(dict(context.invocation_metadata()))
        if self.failures:
            context.abort_with_status(rpc_status.to_status(self.failures.popleft()))
        self.bodies.append(body)
        return b""


@pytest.fixture
def grpc_collector() -> Iterator[GrpcDouble]:
    double = GrpcDouble()
    server = grpc.server(ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(double.export)
    service, method = METHOD.strip("/").split("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    double.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield double
    server.stop(0).wait(5)


def start(url: str, **settings: Any) -> None:
    gnomon.init(
        **{"endpoint": url, "protocol": "grpc", "instrument": "none", "export_interval_s": 0.02, **settings}
    )


def failure(code: int, wait_s: float = 0.0) -> Status:
    status = Status(code=code, message="no")
    if wait_s:
        detail = ProtoAny()
        detail.Pack(RetryInfo(retry_delay=Duration(nanos=int(wait_s * 1e9))))
        status.details.append(detail)
    return status


def test_spans_go_over_grpc_and_feedback_over_http(
    grpc_collector: GrpcDouble, collector: CollectorDouble
) -> None:
    start(grpc_collector.url, api_key="k1", feedback_endpoint=collector.url)
    with gnomon.span("work") as span:
        span.set_input("x" * 5_000)
        gnomon.feedback(True)
    assert gnomon.flush()
    assert [span.name for body in grpc_collector.bodies for span in decode(body)] == ["work"]
    assert grpc_collector.metadata[0]["authorization"] == "Bearer k1"
    assert len(collector.scores) == 1
    assert gnomon.stats().exported_spans == 1


def test_a_busy_collector_is_asked_again_when_it_says(grpc_collector: GrpcDouble) -> None:
    grpc_collector.failures.append(failure(8, wait_s=0.2))  # RESOURCE_EXHAUSTED
    start(grpc_collector.url)
    with gnomon.span("work"):
        pass
    assert gnomon.flush()
    assert gnomon.stats().retries == 1
    assert len(grpc_collector.bodies) == 1


def test_a_refused_key_is_dropped_and_counted(
    grpc_collector: GrpcDouble, caplog: pytest.LogCaptureFixture
) -> None:
    grpc_collector.failures.append(failure(16))  # UNAUTHENTICATED
    start(grpc_collector.url)
    with gnomon.span("work"):
        pass
    assert gnomon.flush()
    assert gnomon.stats().dropped == {"http_401": 1}
    assert "check GNOMON_API_KEY" in caplog.text


def test_with_nobody_there_the_end_is_not_held_up() -> None:
    start("http://127.0.0.1:9", exit_timeout_s=1.0)
    with gnomon.span("work"):
        pass
    assert gnomon.shutdown() is False
    assert gnomon.stats().dropped == {"shutdown": 1}


def test_without_grpc_installed_init_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "grpc", None)
    start("http://127.0.0.1:9")
    assert "pip install 'gnomon[grpc]'" in caplog.text
    with gnomon.span("harmless"):
        pass
