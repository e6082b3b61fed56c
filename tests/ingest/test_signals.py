"""Logs and metrics, and Langfuse's path, over each transport of a real server."""

from __future__ import annotations

import base64
import gzip
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import ExponentialHistogramDataPoint, Metric, NumberDataPoint
from tests.ingest.payloads import any_value, chat_span, hour_ago_ns, key_values, request, span
from tests.ingest.pipeline import Pipeline
from tests.ingest.server_process import ServerProcess
from tests.ingest.test_logs import conversation, log_request, record

from gnomon_collector.bearer import presented_key
from gnomon_collector.errors import BadRequest
from gnomon_collector.ingest.metrics_signal import check_metrics, explicit_buckets, metric_points
from gnomon_collector.ingest.requests import TooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CAPTURES = Path(__file__).parent.parent / "captures"
JSON = "application/json"
PROTOBUF = "application/x-protobuf"
METRICS = (CAPTURES / "openllmetry" / "chat.metrics.pb").read_bytes()
Encoder = Callable[[bytes], bytes]
PLAIN: Encoder = bytes


def logs_as_json(body: bytes) -> bytes:
    """Return a request as OTLP/JSON, whose ids are hex."""
    text = MessageToJson(ExportLogsServiceRequest.FromString(body))
    for id_ in {
        id_
        for resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for scope in resource.scope_logs
        for each in scope.log_records
        for id_ in (each.trace_id, each.span_id)
    }:
        text = text.replace(base64.b64encode(id_).decode(), id_.hex())
    return text.encode()


def metrics_as_json(body: bytes) -> bytes:
    """Return a request as OTLP/JSON, without its exemplars, whose ids would be base64."""
    made = ExportMetricsServiceRequest.FromString(body)
    for metric in made.resource_metrics[0].scope_metrics[0].metrics:
        for point in (*metric.histogram.data_points, *metric.sum.data_points):
            del point.exemplars[:]
    return str(MessageToJson(made)).encode()


def counts(server: ServerProcess, project: str) -> dict[str, int]:
    server.wait_until_written()
    (row,) = server.query(
        f"SELECT (SELECT count() FROM log_records WHERE project = '{project}') AS records,"
        f" (SELECT count() FROM metric_points WHERE project = '{project}') AS points,"
        f" (SELECT count() FROM spans WHERE project = '{project}') AS spans"
    )
    return {name: int(value) for name, value in row.items()}


@pytest.mark.parametrize(
    ("media_type", "encoding", "encode"),
    [
        (PROTOBUF, "", PLAIN),
        (PROTOBUF, "gzip", gzip.compress),
        (PROTOBUF, "deflate", zlib.compress),
        (PROTOBUF, "zstd", zstd.compress),
        (JSON, "", PLAIN),
        (JSON, "gzip", gzip.compress),
    ],
)
def test_http(server: ServerProcess, media_type: str, encoding: str, encode: Encoder) -> None:
    project = f"signals-{media_type[12:16]}-{encoding or 'plain'}"
    key = server.key(project)
    headers = {"content_type": media_type} | ({"content_encoding": encoding} if encoding else {})
    records = log_request(conversation(1, hour_ago_ns()))
    sent = {
        "/v1/logs": logs_as_json(records) if media_type == JSON else records,
        "/v1/metrics": metrics_as_json(METRICS) if media_type == JSON else METRICS,
    }
    for path, body in sent.items():
        answer = server.post(path, encode(body), key, **headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type), answer.text
    assert counts(server, project) == {"records": 5, "points": 5, "spans": 0}


def test_grpc(server: ServerProcess) -> None:
    key = (("authorization", f"Bearer {server.key('signals-grpc')}"),)
    services = "opentelemetry.proto.collector"
    wrong = conversation(1, hour_ago_ns())
    wrong[0].trace_id = b"short"
    with grpc.insecure_channel(server.grpc_address) as channel:
        export_logs = channel.unary_unary(f"/{services}.logs.v1.LogsService/Export")
        export_metrics = channel.unary_unary(f"/{services}.metrics.v1.MetricsService/Export")
        answer = export_logs(log_request(wrong), metadata=key, compression=grpc.Compression.Gzip)
        partial = ExportLogsServiceResponse.FromString(answer).partial_success
        assert (partial.rejected_log_records, bool(partial.error_message)) == (1, True)
        assert ExportMetricsServiceResponse.FromString(export_metrics(METRICS, metadata=key)) == (
            ExportMetricsServiceResponse()
        )
        for export in (export_logs, export_metrics):
            with pytest.raises(grpc.RpcError) as refusal:
                export(b"\xff\xff", metadata=key)
            assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            with pytest.raises(grpc.RpcError) as refusal:
                export(b"")
            assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert counts(server, "signals-grpc") == {"records": 4, "points": 5, "spans": 0}


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics", "/api/public/otel/v1/traces"])
def test_answers(server: ServerProcess, path: str) -> None:
    key, read_key = server.key("signals-answers"), server.key("signals-answers", "read")
    answers = [
        server.post(path, b"", "nobody"),
        server.post(path, b"", read_key),
        server.post(path, b"\xff\xff", key),
        server.post(path, b"x", key, content_type="text/plain"),
        server.post(path, b"x", key, content_encoding="br"),
        server.post(path, b"{", key, content_type=JSON),
        server.post(path, bytes(17 * 1024**2), key),
        server.post(path, gzip.compress(bytes(17 * 1024**2)), key, content_encoding="gzip"),
    ]
    assert [answer.status_code for answer in answers] == [401, 403, 400, 415, 400, 400, 413, 413]


@pytest.mark.parametrize("path", ["/api/public/otel/v1/traces", "/api/public/otel"])
@pytest.mark.parametrize("credentials", ["pk-lf-x:{key}", "{key}:{key}", "{key}:sk-lf-x", "{key}:"])
def test_langfuses_own_path(server: ServerProcess, path: str, credentials: str) -> None:
    project = f"langfuse-{len(path)}-{len(credentials)}"
    shown = base64.b64encode(credentials.format(key=server.key(project)).encode()).decode()
    body = (CAPTURES / "langfuse" / "chat.traces.pb").read_bytes()
    answer = server.post(
        path, gzip.compress(body), "", authorization=f"Basic {shown}", content_encoding="gzip"
    )
    assert answer.status_code == 200
    assert counts(server, project)["spans"] > 0


@pytest.mark.parametrize(
    "shown", ["Basic", "Basic !", "Basic " + base64.b64encode(b"\xff").decode(), "Digest x"]
)
def test_broken_credentials_show_no_key(shown: str) -> None:
    assert presented_key({"authorization": shown}) == ""


def test_metrics_of_a_name_alone_are_left_out() -> None:
    request_ = ExportMetricsServiceRequest.FromString(METRICS)
    first = request_.resource_metrics[0].scope_metrics[0].metrics[0]
    points = len(metric_points(METRICS, 1))
    first.name = ""
    checked = check_metrics(bytes(request_.SerializeToString()), 100)
    assert checked.rejected > 0
    assert checked.spans == points - checked.rejected == len(metric_points(checked.body, 1))


def test_too_many_data_points_are_counted_before_they_are_decoded() -> None:
    made = ExportMetricsServiceRequest()
    metric = made.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.gauge.data_points.extend([NumberDataPoint()] * 9)
    assert check_metrics(bytes(made.SerializeToString()), 9).spans == 9
    with pytest.raises(TooLarge, match="more than 8 data points"):
        check_metrics(bytes(made.SerializeToString()), 8)
    with pytest.raises(BadRequest):
        check_metrics(b"\n\x05\x12\x03", 1)


def test_every_kind_of_point_is_kept_once(pipeline: Pipeline) -> None:
    made = ExportMetricsServiceRequest()
    metrics = made.resource_metrics.add().scope_metrics.add().metrics
    at = {"time_unix_nano": hour_ago_ns(), "attributes": key_values({"k": "v"})}
    gauge, total, spread, wide, digest = (metrics.add(name=f"m{number}", unit="s") for number in range(5))
    gauge.gauge.data_points.add(as_int=7, **at)
    total.sum.data_points.add(as_double=1.5, **at)
    total.sum.aggregation_temporality, total.sum.is_monotonic = 1, True
    spread.histogram.data_points.add(count=3, sum=4, explicit_bounds=[1.0], bucket_counts=[1, 2], **at)
    wide.exponential_histogram.data_points.add(
        count=1, scale=0, positive={"offset": 1, "bucket_counts": [1]}, **at
    )
    digest.summary.data_points.add(count=2, sum=3, quantile_values=[{"quantile": 0.5, "value": 1.5}], **at)
    for _ in range(2):
        pipeline.put_metrics(bytes(made.SerializeToString()))
        pipeline.flush()
    rows = pipeline.rows(
        "SELECT name, kind, temporality, is_monotonic, value, count, p.sum, bounds, bucket_counts,"
        " quantile_values, attributes['k'] FROM metric_points AS p ORDER BY name"
    )
    assert rows == [
        ("m0", "gauge", "", 0, 7.0, 0, None, [], [], [], "v"),
        ("m1", "sum", "delta", 1, 1.5, 0, None, [], [], [], "v"),
        ("m2", "histogram", "", 0, None, 3, 4.0, [1.0], [1, 2], [], "v"),
        ("m3", "histogram", "", 0, None, 1, None, [0.0, 2.0, 4.0], [0, 0, 1, 0], [], "v"),
        ("m4", "summary", "", 0, None, 2, 3.0, [0.5], [], [1.5], "v"),
    ]


def test_an_exponential_histogram_has_negative_values_too() -> None:
    point = ExponentialHistogramDataPoint(
        scale=0,
        zero_count=5,
        zero_threshold=0.5,
        positive={"offset": 0, "bucket_counts": [1, 2]},
        negative={"offset": 0, "bucket_counts": [3, 4]},
    )
    # (-4, -2], (-2, -1], zeros, gap, (1, 2], (2, 4]
    assert explicit_buckets(point) == ([-2.0, -1.0, 0.5, 1.0, 2.0, 4.0], [4, 3, 5, 0, 1, 2, 0])


def test_a_metric_without_data_is_no_point() -> None:
    made = ExportMetricsServiceRequest()
    made.resource_metrics.add().scope_metrics.add().metrics.append(Metric(name="empty"))
    assert metric_points(bytes(made.SerializeToString()), 1) == []


def evaluation(value: object, **said: object) -> dict[str, object]:
    given: dict[str, object] = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": value}
    return given | {f"gen_ai.evaluation.{name}": each for name, each in said.items()}


SCORES = "SELECT name, value, label, comment, source, author, span_id FROM scores FINAL ORDER BY name, label"


@pytest.mark.parametrize("flush_between", [True, False])
def test_openlit_says_a_judgement_twice_and_it_is_one_score(pipeline: Pipeline, flush_between: bool) -> None:
    start_ns = hour_ago_ns()
    said = evaluation(0.5, explanation="half")
    judged = chat_span(1, start_ns)
    judged.events.add(name="gen_ai.evaluation.result", time_unix_nano=start_ns, attributes=key_values(said))
    pipeline.put(request([judged], scope="openlit"))
    if flush_between:
        pipeline.flush()
    records = [record(1, "gen_ai.evaluation.result", None, said, time_ns=start_ns + 5)]
    for _ in range(2):
        pipeline.put_logs(log_request(records, scope="openlit"))
    pipeline.flush()
    span_id = f"{2:016x}"
    assert pipeline.rows(SCORES) == [("relevance", 0.5, "", "half", "check", "openlit", span_id)]


def test_values_beyond_the_scale_are_labels(pipeline: Pipeline) -> None:
    said = [evaluation(4.5), evaluation("poor"), evaluation(1, **{"score.label": "pass"}), {}]
    records = [record(1, "gen_ai.evaluation.result", None, each) for each in said]
    pipeline.put_logs(log_request(records))
    pipeline.flush()
    assert [row[1:3] for row in pipeline.rows(SCORES)] == [(None, "4.5"), (1.0, "pass"), (None, "poor")]


def test_feedback_of_logfire_is_a_score_of_the_span_above(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    said = {"logfire.feedback.name": "thumbs", "thumbs": True, "logfire.feedback.comment": "good"}
    given = span(1, start_ns, said, parent_span_id=(9).to_bytes(8, "big"))
    for _ in range(2):
        pipeline.send(request([given], scope="logfire.feedback"))
    assert pipeline.rows(SCORES) == [("thumbs", 1.0, "", "good", "user", "logfire.feedback", f"{9:016x}")]


def test_values_of_records_as_texts() -> None:
    from gnomon_collector.ingest.any_value import text

    values = [None, "a", 1, 1.5, True, b"\x00", [1, "a"], {"a": None}, float("nan")]
    assert [text(any_value(value)) for value in values] == [
        *("", "a", "1", "1.5", "true", "AA==", '[1,"a"]', '{"a":null}', ""),
    ]
