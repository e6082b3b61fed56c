"""Log records: kept once, and written onto their span whichever comes first."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from tests.ingest.payloads import SECOND_NS, any_value, chat_span, hour_ago_ns, key_values, request
from tests.ingest.pipeline import Pipeline
from tests.ingest.server_process import ServerProcess

from gnomon_collector.errors import StoreUnavailable
from gnomon_collector.ingest.logs import check_logs
from gnomon_collector.ingest.requests import TooLarge
from gnomon_collector.store import logs

OPENAI_V2 = "opentelemetry.instrumentation.openai_v2"
DETAILS = "gen_ai.client.inference.operation.details"


def record(
    number: int,
    event: str,
    body: object = None,
    attributes: Mapping[str, object] | None = None,
    time_ns: int = 0,
    **fields: object,
) -> LogRecord:
    """Return a record of the span `number` (see `payloads.span`); only its time of observation is set."""
    given: dict[str, object] = {
        "trace_id": (number + 1).to_bytes(16, "big"),
        "span_id": (number + 1).to_bytes(8, "big"),
        "observed_time_unix_nano": time_ns or hour_ago_ns(),
        "event_name": event,
        **fields,
    }
    return LogRecord(body=any_value(body), attributes=key_values(attributes or {}), **given)


def log_request(records: Sequence[LogRecord], scope: str = OPENAI_V2) -> bytes:
    """Return a serialized export request of one resource and scope."""
    of_scope = ScopeLogs(scope=InstrumentationScope(name=scope), log_records=records)
    resource = Resource(attributes=key_values({"service.name": "shop"}))
    of_resource = ResourceLogs(resource=resource, scope_logs=[of_scope])
    return bytes(ExportLogsServiceRequest(resource_logs=[of_resource]).SerializeToString())


def conversation(number: int, start_ns: int, finish: str = "stop") -> list[LogRecord]:
    """Return what OpenTelemetry v1.30 says of a call."""
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
    return [
        record(number, "gen_ai.system.message", {"content": "Be brief."}, time_ns=start_ns),
        record(
            number, "gen_ai.user.message", {"content": "How is the weather in Paris?"}, time_ns=start_ns + 1
        ),
        record(number, "gen_ai.assistant.message", {"tool_calls": [call]}, time_ns=start_ns + 2),
        record(number, "gen_ai.tool.message", {"id": "c", "content": "18 degrees"}, time_ns=start_ns + 3),
        record(
            number,
            "gen_ai.choice",
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": "Mild."}},
            time_ns=start_ns + SECOND_NS,
        ),
    ]


def details(number: int, start_ns: int, **said: object) -> LogRecord:
    """Return what OpenTelemetry v1.37 says of a call; dots are written as two underscores."""
    attributes: dict[str, object] = {
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Погода?"}]}],
        "gen_ai.output.messages": [
            {
                "role": "assistant",
                "parts": [{"type": "text", "content": "Тепло."}],
                "finish_reason": "length",
                "name": None,
            }
        ],
        "gen_ai.usage.input_tokens": 999,
    }
    attributes |= {name.replace("__", "."): value for name, value in said.items()}
    return record(number, DETAILS, None, attributes, time_ns=start_ns)


SPAN = (
    "SELECT input_text, output_text, finish_reason, status, language, arraySort(data_flags), input_tokens,"
    " length(attribute_types) = length(attributes) FROM spans ORDER BY span_id"
)
FROM_V1_30 = (
    *("How is the weather in Paris?", "Mild.", "stop", "ok", "en"),
    ["finish_from_logs", "input_from_logs", "output_from_logs"],
    *(100, 1),
)


def put_span(pipeline: Pipeline, start_ns: int) -> None:
    pipeline.put(request([chat_span(1, start_ns)], scope=OPENAI_V2))


def put_conversation(pipeline: Pipeline, start_ns: int) -> None:
    pipeline.put_logs(log_request(conversation(1, start_ns)))


@pytest.mark.parametrize(
    "steps", [(put_span, put_conversation), (put_conversation, put_span)], ids=["span first", "logs first"]
)
@pytest.mark.parametrize("between", ["nothing", "flush", "restart"])
def test_whichever_comes_first(
    pipeline: Pipeline, steps: Sequence[Callable[[Pipeline, int], None]], between: str
) -> None:
    start_ns = hour_ago_ns()
    first, second = steps
    first(pipeline, start_ns)
    if between != "nothing":
        pipeline.flush()
    if between == "restart":
        path = pipeline.inbox._path
        pipeline.inbox.close()
        pipeline = Pipeline(pipeline.store, path)
    second(pipeline, start_ns)
    pipeline.flush()
    assert pipeline.rows(SPAN) == [FROM_V1_30]
    said = pipeline.value("SELECT attributes['gen_ai.input.messages'] FROM spans")
    assert [message["role"] for message in json.loads(str(said))] == ["system", "user", "assistant", "tool"]
    assert pipeline.value("SELECT sum(input_tokens) FROM calls_per_minute FINAL") == 100
    pipeline.inbox.close()


def test_each_record_in_a_request_of_its_own_and_twice(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    for number, one in enumerate(reversed(conversation(1, start_ns))):
        for _ in range(2):
            pipeline.put_logs(log_request([one]))
        if number == 1:
            put_span(pipeline, start_ns)
        pipeline.flush()
    assert pipeline.rows(SPAN) == [FROM_V1_30]
    assert pipeline.value("SELECT count() FROM log_records") == 5
    assert pipeline.value("SELECT length(data_flags) FROM span_contents FINAL") == 0


def test_logs_minutes_away_from_their_span(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    put_span(pipeline, start_ns)
    pipeline.flush()
    put_conversation(pipeline, start_ns + 40 * 60 * SECOND_NS)
    pipeline.flush()
    assert pipeline.rows(SPAN) == [FROM_V1_30]


def test_details_of_the_whole_call(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    put_span(pipeline, start_ns)
    instructions = [{"type": "text", "content": "Кратко."}]
    pipeline.put_logs(log_request([details(1, start_ns, gen_ai__system_instructions=instructions)]))
    pipeline.flush()
    assert pipeline.rows(SPAN) == [
        (
            *("Погода?", "Тепло.", "length", "ok", "ru"),
            ["finish_from_logs", "input_from_logs", "output_from_logs"],
            *(100, 1),
        )
    ]
    kept = pipeline.value("SELECT attributes['gen_ai.system_instructions'] FROM spans")
    assert json.loads(str(kept)) == instructions


def test_what_a_span_says_itself_stands(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    own = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Mine"}]}])
    spans = [
        chat_span(1, start_ns, gen_ai__input__messages=own, gen_ai__response__finish_reasons=["tool_calls"])
    ]
    pipeline.put(request(spans, scope=OPENAI_V2))
    put_conversation(pipeline, start_ns)
    pipeline.flush()
    ((input_text, output_text, finish, *_),) = pipeline.rows(SPAN)
    assert (input_text, output_text, finish) == ("Mine", "Mild.", "tool_call")
    assert pipeline.value("SELECT attributes['gen_ai.input.messages'] FROM spans") == own


def test_an_aborted_stream_moves_in_the_rollups(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    put_span(pipeline, start_ns)
    pipeline.flush()
    assert pipeline.rows("SELECT status, calls FROM calls_per_minute FINAL WHERE calls > 0") == [("ok", 1)]
    pipeline.put_logs(log_request(conversation(1, start_ns, finish="error")))
    pipeline.flush()
    for table in ("calls_per_minute", "calls_per_hour"):
        rows = pipeline.rows(f"SELECT status, t.calls FROM {table} AS t FINAL WHERE t.calls > 0")
        assert rows == [("cancelled", 1)]


@pytest.mark.parametrize("scope", ["wrapper first", "native first"])
def test_of_two_views_the_one_with_content_counts(pipeline: Pipeline, scope: str) -> None:
    start_ns = hour_ago_ns()
    wrapper = chat_span(1, start_ns, gen_ai__response__id="r")
    native = chat_span(
        2, start_ns + 1000, gen_ai__response__id="r", gen_ai__usage__cache_read__input_tokens=0
    )
    native.trace_id, native.parent_span_id = wrapper.trace_id, wrapper.span_id
    requests = [
        request([wrapper], scope=OPENAI_V2),
        request([native], scope="com.anthropic.sdk.python"),
    ]
    for body in requests if scope == "wrapper first" else reversed(requests):
        pipeline.send(body)
    assert pipeline.rows("SELECT scope_name FROM calls") == [("com.anthropic.sdk.python",)]
    put_conversation(pipeline, start_ns)
    pipeline.flush()
    assert pipeline.rows("SELECT scope_name, output_text FROM calls") == [(OPENAI_V2, "Mild.")]


def test_other_projects_spans_are_not_touched(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    pipeline.put(request([chat_span(1, start_ns)], scope=OPENAI_V2), project="theirs")
    put_span(pipeline, start_ns)
    pipeline.put_logs(log_request(conversation(1, start_ns)))
    pipeline.flush()
    rows = pipeline.rows("SELECT project, input_text FROM spans ORDER BY project")
    assert rows == [("shop", "How is the weather in Paris?"), ("theirs", "")]


def test_any_log_record_is_kept_as_it_came(pipeline: Pipeline) -> None:
    now_ns = time.time_ns()
    own = record(1, "", "плохо", {"n": 1, "deep": [{"a": [True, None]}]}, time_unix_nano=now_ns)
    own.severity_number, own.severity_text = 17, "ERROR"
    old = record(2, "", {"a": 1.5}, {"event.name": "mine"}, time_ns=1)
    pipeline.put_logs(log_request([own, old], scope="app"))
    pipeline.flush()
    rows = pipeline.rows(
        "SELECT body, attributes, severity_number, severity_text, event_name, service_name, scope_name,"
        " toUnixTimestamp64Nano(time) = {now_ns:Int64}, time = received_at FROM log_records ORDER BY span_id",
        now_ns=now_ns,
    )
    assert rows == [
        ("плохо", {"n": "1", "deep": '[{"a":[true,null]}]'}, 17, "ERROR", "", "shop", "app", 1, 0),
        ('{"a":1.5}', {"event.name": "mine"}, 0, "", "mine", "shop", "app", 0, 1),
    ]


def test_an_erased_trace_stays_erased(pipeline: Pipeline) -> None:
    erased = f"{2:032x}"
    pipeline.store.command(
        "INSERT INTO erased_traces VALUES ('shop', {trace:String}, 'e', now64(3))", {"trace": erased}
    )
    for number in (1, 2):
        pipeline.put_logs(log_request(conversation(number, hour_ago_ns())))
    pipeline.flush()
    for table in ("log_records", "span_contents"):
        assert pipeline.rows(f"SELECT DISTINCT trace_id FROM {table}") == [(f"{3:032x}",)]


def test_records_with_ids_of_the_wrong_length_are_left_out() -> None:
    good, none, bad = record(1, "e"), record(2, "e", trace_id=b"", span_id=b""), record(3, "e", span_id=b"x")
    checked = check_logs(log_request([good, none, bad]), 10)
    assert (checked.spans, checked.rejected) == (2, 1)
    assert "1 log records" in checked.reason
    kept = ExportLogsServiceRequest.FromString(checked.body).resource_logs[0].scope_logs[0].log_records
    assert list(kept) == [good, none]


def test_too_many_records_are_counted_before_they_are_decoded() -> None:
    with pytest.raises(TooLarge, match="more than 3 log records"):
        check_logs(log_request([LogRecord()] * 4), 3)


def test_a_database_that_is_away_loses_nothing(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    start_ns = hour_ago_ns()
    put_span(pipeline, start_ns)
    put_conversation(pipeline, start_ns)
    for step in ("insert_log_records", "save_contents", "enrich_spans_of_logs"):
        with monkeypatch.context() as patch:
            patch.setattr(logs, step, _away)
            with pytest.raises(StoreUnavailable):
                pipeline.flusher.flush_oldest()
        assert pipeline.inbox.waiting_requests == 1
    pipeline.flush()
    assert pipeline.rows(SPAN) == [FROM_V1_30]
    assert pipeline.value("SELECT count() FROM log_records") == 5


def _away(*_: object) -> None:
    raise StoreUnavailable("away")


def test_a_broken_table_sets_no_request_aside(pipeline: Pipeline) -> None:
    put_conversation(pipeline, hour_ago_ns())
    pipeline.store.command("RENAME TABLE log_records TO logs_elsewhere")
    try:
        with pytest.raises(StoreUnavailable, match="no logs and metrics at all"):
            pipeline.flusher.flush_oldest()
    finally:
        pipeline.store.command("RENAME TABLE logs_elsewhere TO log_records")
    pipeline.flush()
    assert pipeline.inbox.quarantined() == 0
    assert pipeline.value("SELECT count() FROM log_records") == 5


def test_a_request_the_database_refuses_is_set_aside_alone(pipeline: Pipeline) -> None:
    pipeline.store.command("ALTER TABLE log_records ADD CONSTRAINT antidote CHECK body != 'poison'")
    try:
        for number in range(5):
            body = "poison" if number == 3 else f"good {number}"
            pipeline.put_logs(log_request([record(number, "", body)]))
        pipeline.flush()
    finally:
        pipeline.store.command("ALTER TABLE log_records DROP CONSTRAINT antidote")
    assert pipeline.value("SELECT count() FROM log_records") == 4
    assert pipeline.inbox.quarantined() == pipeline.flusher.stats.quarantined == 1


def test_acknowledged_logs_survive_kill_9(tmp_path: Path) -> None:
    start_ns = hour_ago_ns()
    with ServerProcess(tmp_path / "data") as server:
        key = server.key("shop")
        for number in range(40):
            body = log_request(conversation(number, start_ns + number * SECOND_NS))
            answer = server.post("/v1/logs", body, key)
            assert ExportLogsServiceResponse.FromString(answer.content) == ExportLogsServiceResponse()
            assert answer.status_code == 200
        server.kill()
        server.start()
        spans = [chat_span(number, start_ns + number * SECOND_NS) for number in range(40)]
        server.export(request(spans, scope=OPENAI_V2), key)
        server.kill()
        server.start()
        server.wait_until_written()
        rows = server.query(
            "SELECT count() AS spans, countIf(input_text = 'How is the weather in Paris?' AND output_text = 'Mild.') AS enriched,"
            " (SELECT count() FROM log_records) AS records FROM spans"
        )
        assert rows == [{"spans": 40, "enriched": 40, "records": 200}]
