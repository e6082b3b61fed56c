"""Health, metrics, and that neither they nor the log tell what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.ingest.payloads import chat_span, hour_ago_ns, request, span
from tests.ingest.server_process import ServerProcess

CANARY = "canary7f3a"


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose counters nobody else moves, and which says all it can say."""
    with ServerProcess(
        tmp_path_factory.mktemp("health") / "data", settings={"GNOMON_LOG_LEVEL": "debug"}
    ) as server:
        yield server


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_healthy_and_ready_without_a_key(server: ServerProcess, path: str) -> None:
    answer = server.http.get(f"{server.url}{path}")
    assert (answer.status_code, answer.text) == (200, "ok\n")


def labelled(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_metrics_count_what_happened(own_server: ServerProcess) -> None:
    key = own_server.key("metrics")
    before = labelled(own_server.http.get(f"{own_server.url}/metrics").text)
    start_ns = hour_ago_ns()
    own_server.export(request([span(1, start_ns), span(2, start_ns), span(3, start_ns, span_id=b"x")]), key)
    own_server.post("/v1/traces", b"\xff", key)
    own_server.post("/v1/traces", b"", "nobody")
    own_server.wait_until_written()

    answer = own_server.http.get(f"{own_server.url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    moved = {
        name: value - before.get(name, 0.0)
        for name, value in labelled(answer.text).items()
        if value != before.get(name, 0.0)
    }
    assert moved["gnomon_ingest_spans_total"] == 2
    assert moved["gnomon_ingest_rejected_spans_total"] == 1
    for code in ("200", "400", "401"):
        assert moved[f'gnomon_ingest_requests_total{{code="{code}",route="/v1/traces"}}'] == 1
    assert moved["gnomon_ingest_ack_seconds_count"] == 1
    assert moved["gnomon_flush_spans_total"] == 2
    assert moved["gnomon_flush_batches_total"] == 1
    assert labelled(answer.text)["gnomon_inbox_bytes"] == 0
    assert labelled(answer.text)["gnomon_inbox_requests"] == 0
    assert labelled(answer.text)["gnomon_inbox_max_bytes"] == 2 * 1024**3
    assert labelled(answer.text)["gnomon_quarantined_requests"] == 0
    assert labelled(answer.text)["gnomon_flush_failures_total"] == 0


def test_metrics_say_how_long_statements_take(own_server: ServerProcess) -> None:
    key = own_server.key("latency", "read")
    own_server.http.get(f"{own_server.url}/api/v1/calls", headers={"authorization": f"Bearer {key}"})
    own_server.query("SELECT 1")
    told = labelled(own_server.http.get(f"{own_server.url}/metrics").text)
    for part, kind in (("api", "query"), ("admin", "stream"), ("admin", "insert")):
        of = f'kind="{kind}",part="{part}"'
        assert told[f"gnomon_query_seconds_count{{{of}}}"] >= 1
        assert told[f"gnomon_query_seconds_sum{{{of}}}"] > 0


def send_canaries(server: ServerProcess, key: str) -> None:
    said = {
        "gen_ai.input.messages": json.dumps([{"role": "user", "content": CANARY}]),
        "gen_ai.request.model": f"model-{CANARY}",
        "user.id": CANARY,
        CANARY: CANARY,
        "deep": [[CANARY]],
    }
    sent = span(1, hour_ago_ns(), said, name=CANARY)
    sent.status.message = CANARY
    body = request([sent, chat_span(2, hour_ago_ns())], scope=CANARY, resource={"service.name": CANARY})
    server.export(body, key)
    server.post("/v1/traces", body[:-1], key)
    server.post("/v1/traces", body, key, content_encoding=f"gzip-{CANARY}")
    server.post("/v1/traces", body, key, content_type=f"text/{CANARY}")
    server.post("/v1/traces", body, f"key-{CANARY}")
    server.post("/v1/traces", CANARY.encode(), key, content_encoding="gzip")
    # Two members of a oneof: what the database refuses, and what is mended then.
    twice = sent.SerializeToString() + b"\x4a\x12\x12\x10\x0a\x0c" + CANARY.encode() + b"!!" + b"\x18\x05"
    scope = b"\x12" + bytes([len(twice) & 0x7F | 0x80, len(twice) >> 7]) + twice
    resource = b"\x12" + bytes([len(scope) & 0x7F | 0x80, len(scope) >> 7]) + scope
    server.export(b"\x0a" + bytes([len(resource) & 0x7F | 0x80, len(resource) >> 7]) + resource, key)
    for feedback in (
        {"session_id": CANARY, "comment": CANARY, "value": 1},
        {"session_id": CANARY, "value": CANARY, CANARY: 1},
        [CANARY],
    ):
        server.post("/v1/feedback", json.dumps(feedback).encode(), key, content_type="application/json")
    server.wait_until_written()


def test_no_content_and_no_key_in_metrics_and_log(own_server: ServerProcess) -> None:
    key = own_server.key("canary")
    send_canaries(own_server, key)
    stored = own_server.query("SELECT count() AS n FROM spans WHERE project = 'canary'")
    assert stored[0]["n"] == 2  # so the canaries did come in

    told = own_server.http.get(f"{own_server.url}/metrics").text + own_server.log.read_text()
    assert CANARY not in told
    assert key not in told
    assert "canary" not in own_server.http.get(f"{own_server.url}/metrics").text  # nor the project's name
