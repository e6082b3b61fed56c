"""Quotas by project: the noisy one waits, nobody else does."""

from __future__ import annotations

import time

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from tests.ingest.payloads import chat_span, hour_ago_ns, request
from tests.ingest.server_process import ServerProcess

from gnomon_collector.ingest.quotas import QuotaExceeded, Quotas
from gnomon_collector.store.projects import ProjectSettings

LIMITED = ProjectSettings("noisy", max_spans_per_minute=60)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_minutes_worth_passes_at_once_and_then_one_a_second() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    quotas.take(LIMITED, 60, 1)
    with pytest.raises(QuotaExceeded) as refused:
        quotas.take(LIMITED, 1, 1)
    assert refused.value.retry_after_s == 1
    clock.now_s += 1.0
    quotas.take(LIMITED, 1, 1)
    with pytest.raises(QuotaExceeded):
        quotas.take(LIMITED, 1, 1)


def test_a_request_larger_than_a_minutes_worth_passes_and_is_paid_off() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    quotas.take(LIMITED, 180, 1)
    with pytest.raises(QuotaExceeded) as refused:
        quotas.take(LIMITED, 1, 1)
    assert refused.value.retry_after_s == 121
    clock.now_s += 121
    quotas.take(LIMITED, 1, 1)


def test_the_buckets_of_projects_and_units_are_apart() -> None:
    quotas = Quotas(Clock())
    bytes_only = ProjectSettings("large", max_bytes_per_minute=100)
    quotas.take(LIMITED, 60, 10**9)
    quotas.take(bytes_only, 10**9, 100)
    with pytest.raises(QuotaExceeded, match="100 bytes per minute"):
        quotas.take(bytes_only, 0, 1)
    for _ in range(100):
        quotas.take(ProjectSettings("free"), 10**6, 10**9)


def test_over_http_and_grpc_only_the_noisy_project_gets_429(server: ServerProcess) -> None:
    noisy, quiet = server.key("noisy"), server.key("quiet")
    server.operate("set_project", project="noisy", changes={"max_spans_per_minute": 1})
    body = request([chat_span(number, hour_ago_ns()) for number in range(2)])
    headers = {"content-type": "application/x-protobuf"}
    assert server.post("/v1/traces", body, noisy, **headers).status_code == 200
    refused = server.post("/v1/traces", body, noisy, **headers)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 121
    assert server.post("/v1/traces", body, quiet, **headers).status_code == 200
    with grpc.insecure_channel(server.grpc_address) as channel:
        export = TraceServiceStub(channel).Export
        message = ExportTraceServiceRequest.FromString(body)
        with pytest.raises(grpc.RpcError) as error:
            export(message, metadata=[("authorization", f"Bearer {noisy}")], timeout=30)
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        export(message, metadata=[("authorization", f"Bearer {quiet}")], timeout=30)


def test_what_a_project_would_delete_at_once_is_refused_with_the_count(server: ServerProcess) -> None:
    key = server.key("short")
    server.operate("set_project", project="short", changes={"span_days": 7})
    month_ago_ns = time.time_ns() - 30 * 86_400 * 10**9
    body = request([chat_span(1, month_ago_ns), chat_span(2, hour_ago_ns())])
    answer = server.post("/v1/traces", body, key, **{"content-type": "application/x-protobuf"})
    assert answer.status_code == 200
    assert b"1 spans older than the project keeps them" in answer.content
    server.wait_until_written()
    assert server.query("SELECT count() AS spans FROM spans WHERE project = 'short'") == [{"spans": 1}]
