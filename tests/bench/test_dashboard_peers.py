"""The comparison of dashboards sends both servers the same, and times whole views."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.bench.dashboard_browser import Posted
from tests.bench.dashboard_peer_questions import QUESTIONS, Asker
from tests.bench.dashboard_peer_spans import RARE_WORD, SPANS_PER_TRACE, TRACES_PER_REQUEST, requests
from tests.bench.dashboard_peers import ask_in_turn
from tests.bench.gnomon_server import BenchError


def test_the_same_traces_each_time_a_few_with_the_rare_word() -> None:
    day = {"start_ns": 10**18, "end_ns": 10**18 + 10**9}
    bodies = list(requests(2000, **day))
    assert bodies == list(requests(2000, **day))
    assert len(bodies) == 2000 // TRACES_PER_REQUEST
    spans = [
        span
        for body in bodies
        for span in ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
    ]
    roots = [span for span in spans if not span.parent_span_id]
    assert len(spans) == 2000 * SPANS_PER_TRACE
    assert len({span.trace_id for span in spans}) == len(roots) == 2000
    assert all(day["start_ns"] <= span.start_time_unix_nano < day["end_ns"] for span in roots)
    rare = sum(
        any(RARE_WORD in one.value.string_value for one in root.attributes if one.key == "input.value")
        for root in roots
    )
    assert 0 < rare < 20


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"errors":[{"message":"no"}]}' if self.path == "/refused" else b'{"data":{}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        pass


def test_a_view_is_all_its_requests_and_a_refusal_is_no_answer() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        views = {question: [Posted("/a", "{}"), Posted("/b", "{}")] for question in QUESTIONS}
        asked = ask_in_turn([Asker("one", url, views), Asker("other", url, views)], repeats=3)
        assert [(one.server, one.requests, len(one.took_ms)) for one in asked[:2]] == [
            ("one", 2, 3),
            ("other", 2, 3),
        ]
        assert asked[0].body_bytes == 2 * len(b'{"data":{}}')
        refused = {key: [Posted("/refused", "{}")] for key in QUESTIONS}
        with pytest.raises(BenchError, match="refused answered 200"):
            ask_in_turn([Asker("one", url, refused)], repeats=1)
    finally:
        server.shutdown()
        server.server_close()
