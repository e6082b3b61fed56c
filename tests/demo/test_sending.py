"""The history on its way to a collector: complete, patient, and clear about what went wrong."""

import threading
from datetime import UTC, datetime

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.responses import Response
from tests.demo.conftest import Intake

from gnomon_collector.demo.children import free_port
from gnomon_collector.demo.history import history_feedback, history_traces
from gnomon_collector.demo.sending import HISTORY_SEED, StoppedError, send_history
from gnomon_collector.errors import GnomonError, ServerUnreachable

NOW = datetime(2026, 11, 18, 6, 30, tzinfo=UTC)


def test_everything_arrives_once_with_the_key(intake: Intake) -> None:
    shares: list[float] = []
    sent = send_history(intake.url, "gn_key", now=NOW, days=1, progress=shares.append)
    expected = [span for trace in history_traces(now=NOW, days=1, seed=HISTORY_SEED) for span in trace.spans]
    arrived = [span.span_id for _, _, span in intake.spans]
    assert arrived and sorted(arrived) == sorted(span.span_id for span in expected)
    assert intake.scores == list(history_feedback(now=NOW, days=1, seed=HISTORY_SEED))
    assert (sent.spans, sent.scores, sent.rejected_spans) == (len(arrived), len(intake.scores), 0)
    assert intake.keys == {"Bearer gn_key"}
    assert shares == sorted(shares) and shares[-1] == 1.0


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_collector_is_waited_for(intake: Intake, status: int) -> None:
    intake.refusals = [Response(status_code=status, headers={"retry-after": "0"}) for _ in range(2)]
    sent = send_history(intake.url, "gn_key", now=NOW, days=1)
    assert len({span.span_id for _, _, span in intake.spans}) == len(intake.spans) == sent.spans
    assert intake.refusals == []


def test_retry_after_is_kept_to_until_patience_ends(intake: Intake) -> None:
    intake.refusals = [Response(status_code=503, headers={"retry-after": "20"})]
    with pytest.raises(ServerUnreachable, match=r"took no data for 5 s \(it answered 503\)"):
        send_history(intake.url, "gn_key", now=NOW, days=1, patience_s=5)
    assert intake.spans == []


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "gnomon keys create"), (403, "ingest scope"), (400, "400")]
)
def test_a_refusal_says_what_to_do(intake: Intake, status: int, advice: str) -> None:
    intake.refusals = [Response(status_code=status)]
    with pytest.raises(GnomonError, match=advice):
        send_history(intake.url, "gn_key", now=NOW, days=1)


def test_a_refusal_carries_the_collectors_own_words(intake: Intake) -> None:
    words = Status(code=3, message="the request is not OTLP").SerializeToString()
    intake.refusals = [Response(words, status_code=400, media_type="application/x-protobuf")]
    with pytest.raises(GnomonError, match="with 400: the request is not OTLP"):
        send_history(intake.url, "gn_key", now=NOW, days=1)


def test_spans_the_collector_rejects_are_counted(intake: Intake) -> None:
    partly = ExportTraceServiceResponse()
    partly.partial_success.rejected_spans = 7
    intake.refusals = [Response(partly.SerializeToString(), media_type="application/x-protobuf")]
    sent = send_history(intake.url, "gn_key", now=NOW, days=1)
    assert sent.rejected_spans == 7


def test_nobody_at_the_address() -> None:
    with pytest.raises(ServerUnreachable, match="took no data for 0 s"):
        send_history(f"http://127.0.0.1:{free_port()}", "gn_key", now=NOW, days=1, patience_s=0)


def test_stop_ends_the_waiting(intake: Intake) -> None:
    intake.refusals = [Response(status_code=503, headers={"retry-after": "20"})]
    stop = threading.Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    with pytest.raises(StoppedError):
        send_history(intake.url, "gn_key", now=NOW, days=1, stop=stop)
    timer.join()
