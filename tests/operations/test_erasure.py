"""Erasing: everywhere, for good, and nothing else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tests.ingest.payloads import SECOND_NS, chat_span, hour_ago_ns, request
from tests.ingest.pipeline import Pipeline
from tests.ingest.server_process import ServerProcess

from gnomon_collector.errors import BadRequest
from gnomon_collector.operations.operator import Operator
from gnomon_collector.operations.registry import run
from gnomon_collector.store.access import create_key, list_keys
from gnomon_collector.store.erasure import OFF_DISK_S

CANARY = "canary-4711-of-bob"


def body(number: int, **said: object) -> bytes:
    """One call in a trace of its own."""
    return request([chat_span(number, hour_ago_ns() + number * SECOND_NS, **said)])


def trace_of(pipeline: Pipeline, user: str) -> str:
    return str(pipeline.value("SELECT any(trace_id) FROM spans WHERE user_id = {u:String}", u=user))


def calls_in_rollups(pipeline: Pipeline) -> object:
    return pipeline.value("SELECT sum(calls) FROM calls_per_minute FINAL")


def test_a_user_goes_with_the_whole_of_the_traces_and_nobody_else_does(
    pipeline: Pipeline, operator: Operator
) -> None:
    pipeline.send(body(1, **{"user.id": "bob"}), body(2, **{"user.id": "ann"}))
    trace = trace_of(pipeline, "bob")
    other = chat_span(3, hour_ago_ns())
    other.trace_id = bytes.fromhex(trace)
    pipeline.send(request([other]))  # the prompt of bob's trace, on a span without his id
    pipeline.send(body(4, **{"user.id": "bob"}), project="another")
    done = run("erase_subject", operator, {"kind": "user", "project": "shop", "value": "bob"})
    assert done["traces"] == 1
    assert done["rows"] == {"spans": 2}
    assert pipeline.rows("SELECT project, user_id FROM spans ORDER BY project") == [
        ("another", "bob"),
        ("shop", "ann"),
    ]
    assert calls_in_rollups(pipeline) == 2


def test_a_replay_and_late_spans_bring_nothing_back(pipeline: Pipeline, operator: Operator) -> None:
    sent = body(1, **{"user.id": "bob"})
    pipeline.send(sent)
    trace = trace_of(pipeline, "bob")
    run("erase_subject", operator, {"kind": "trace", "project": "shop", "value": trace})
    late = chat_span(2, hour_ago_ns())
    late.trace_id = bytes.fromhex(trace)
    pipeline.send(sent, request([late]))
    assert pipeline.value("SELECT count() FROM spans") == 0
    pipeline.send(body(9, **{"user.id": "bob"}))
    assert pipeline.value("SELECT count() FROM spans") == 1  # what the person does from now on is new


def test_what_waits_in_the_inbox_is_reached(pipeline: Pipeline, operator: Operator) -> None:
    pipeline.put(body(1, **{"user.id": "bob"}))
    run("erase_subject", operator, {"kind": "user", "project": "shop", "value": "bob"})
    pipeline.flush()
    assert pipeline.value("SELECT count() FROM spans") == 0


def test_scores_of_the_person_and_on_the_traces_go(pipeline: Pipeline, operator: Operator) -> None:
    pipeline.send(body(1, **{"user.id": "bob"}))
    trace = trace_of(pipeline, "bob")
    given = {"project": "shop", "name": "thumbs", "source": "user", "value": 1.0}
    rows = [
        {**given, "score_id": "on-trace", "trace_id": trace},
        {**given, "score_id": "by-bob", "author": "bob"},
        {**given, "score_id": "of-ann", "author": "ann"},
    ]
    times = {"created_at": "2026-11-23 00:00:00", "received_at": "2026-11-23 00:00:00"}
    pipeline.store.insert_raw(
        "scores", "\n".join(json.dumps({**row, **times}) for row in rows).encode(), "JSONEachRow"
    )
    run("erase_subject", operator, {"kind": "user", "project": "shop", "value": "bob"})
    assert pipeline.rows("SELECT score_id FROM scores") == [("of-ann",)]


def test_what_is_set_aside_goes_when_the_person_occurs_in_it(pipeline: Pipeline, operator: Operator) -> None:
    pipeline.put(body(1, **{"user.id": "bob"}))
    pipeline.put(body(2, **{"user.id": "ann"}))
    for each in pipeline.inbox.oldest(0, 10**9):
        pipeline.inbox.quarantine(each, "for this test")
    done = run("erase_subject", operator, {"kind": "user", "project": "shop", "value": "bob"})
    assert done["quarantined_requests"] == 1
    assert len(pipeline.inbox.quarantine_list()) == 1


def test_a_project_goes_with_its_keys(pipeline: Pipeline, operator: Operator) -> None:
    create_key(pipeline.store, "shop", "ingest")
    kept = create_key(pipeline.store, "another", "ingest")
    pipeline.send(body(1))
    pipeline.send(body(2), project="another")
    run("erase_subject", operator, {"kind": "project", "project": "shop"})
    assert pipeline.rows("SELECT DISTINCT project FROM spans") == [("another",)]
    assert pipeline.rows("SELECT DISTINCT project FROM calls_per_hour FINAL") == [("another",)]
    assert [key.key_id for key in list_keys(pipeline.store) if key.revoked_at is None] == [kept.key_id]


def test_the_audit_log_knows_a_person_only_by_hash(pipeline: Pipeline, operator: Operator) -> None:
    run("erase_subject", operator, {"kind": "user", "project": "shop", "value": CANARY})
    entries = run("list_audit", operator, {"action": "erase.user"})
    assert [entry["details"]["state"] for entry in entries] == ["done", "started"]
    assert CANARY not in json.dumps(entries)
    assert entries[0]["target"].startswith("sha256:")


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "planet", "project": "shop", "value": "x"},
        {"kind": "user", "project": "shop", "value": ""},
        {"kind": "user", "project": "", "value": "x"},
    ],
)
def test_what_names_nothing_is_refused(operator: Operator, arguments: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        run("erase_subject", operator, arguments)


@pytest.mark.slow
def test_no_byte_is_left_in_the_data_directory(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        key = server.key("shop")
        server.export(body(1, **{"user.id": CANARY}), key)
        server.export(body(2, **{"user.id": "ann"}), key)
        server.wait_until_written()
        assert _files_with(CANARY, tmp_path / "data")
        server.operate("erase_subject", kind="user", project="shop", value=CANARY)
        assert server.query("SELECT user_id FROM spans") == [{"user_id": "ann"}]
        deadline_s = time.monotonic() + OFF_DISK_S
        while _files_with(CANARY, tmp_path / "data"):
            assert time.monotonic() < deadline_s, _files_with(CANARY, tmp_path / "data")
            time.sleep(5)


def _files_with(text: str, folder: Path) -> list[Path]:
    """Files that hold the text as it is; the bodies of one span are too short to be compressed."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if text.encode() in _bytes(path)]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # a merge took it away
        return b""
