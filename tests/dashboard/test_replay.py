"""A call as a script: what runs is what the span says, whatever stands in its texts."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.dashboard import rich, seed

from gnomon_collector.store.queries import trace
from gnomon_dashboard.replay import replay, request_of

if TYPE_CHECKING:
    from gnomon_collector.store.engine import Store

NASTY = "it's $(touch /tmp/x) `id` \"quoted\" \\ ${HOME}\nnext 'line'"


@pytest.fixture
def span(store: Store) -> trace.SpanDetail:
    ids = rich.fill(store, datetime.now(UTC))
    found = next(
        detail
        for one in trace.spans(store, seed.PROJECT, ids[2])
        if (detail := trace.span(store, seed.PROJECT, ids[2], one.span_id)) and detail.kind == "generation"
    )
    messages = json.loads(found.attributes["gen_ai.input.messages"])
    messages[1]["parts"][0]["content"] = NASTY
    found.attributes["gen_ai.input.messages"] = json.dumps(messages)
    return found


def test_the_request_is_what_the_span_says(span: trace.SpanDetail) -> None:
    body = request_of(span)
    assert body is not None
    assert body["model"] == "gpt-4o-2024-08-06"
    assert body["temperature"] == 0.2
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][1]["content"] == NASTY


def test_curl_sends_the_text_and_runs_nothing_in_it(span: trace.SpanDetail) -> None:
    script = replay(span, "curl")
    assert script is not None
    words = shlex.split(script.replace("\\\n", " "))
    assert json.loads(words[words.index("-d") + 1]) == request_of(span)
    # a real shell takes it apart the same way
    echoed = subprocess.run(
        ["bash", "-c", script.replace("curl ", "printf '%s\\0' ", 1)],
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert json.loads(echoed.stdout.split(b"\0")[-2]) == request_of(span)


def test_python_is_python(span: trace.SpanDetail) -> None:
    script = replay(span, "python")
    assert script is not None
    call: Any = next(
        node
        for node in ast.walk(ast.parse(script))
        if isinstance(node, ast.Call) and any(one.arg == "messages" for one in node.keywords)
    )
    assert {one.arg: ast.literal_eval(one.value) for one in call.keywords} == request_of(span)


def test_what_is_no_call_cannot_be_sent_again(span: trace.SpanDetail, store: Store) -> None:
    ids = [row[0] for row in store.query("SELECT trace_id FROM spans WHERE kind = 'workflow' LIMIT 1").rows]
    (root,) = (one for one in trace.spans(store, seed.PROJECT, str(ids[0])) if one.kind == "workflow")
    detail = trace.span(store, seed.PROJECT, str(ids[0]), root.span_id)
    assert detail is not None and replay(detail, "curl") is None
