"""Russian text of dialects without a capture is found by the search of the Traces page, escaped as it comes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.ingest.payloads import hour_ago_ns, request, span
from tests.ingest.pipeline import Pipeline
from tests.schemas.test_conversation_uncaptured import ANSWER, SPANS, USER

from gnomon_collector.store.queries.filters import Scope
from gnomon_collector.store.queries.traces import TraceQuery, page
from gnomon_schemas.dialects import load_dialects

NOW = datetime.now(UTC)
SPOKEN = {name: each for name, each in SPANS.items() if USER in each[3] or ANSWER in each[3]}


def test_what_was_said_is_found_in_every_dialect(pipeline: Pipeline) -> None:
    scopes = {dialect.id: dialect.scopes[0].rstrip("*") for dialect in load_dialects() if dialect.scopes}
    start_ns = hour_ago_ns()
    for number, (dialect, kind, said, _) in enumerate(SPOKEN.values()):
        attributes = {
            key: value if isinstance(value, str) else json.dumps(value) for key, value in said.items()
        }
        sent = span(number, start_ns + number, {**attributes, "gnomon.span.kind": kind})
        pipeline.put(request([sent], scope=scopes.get(dialect, "my.service")), project=f"p{number}")
    pipeline.flush()
    unfound = [
        (name, words)
        for number, (name, (_, _, _, expected)) in enumerate(SPOKEN.items())
        for words in (USER, ANSWER)
        if words in expected and not _found(pipeline, f"p{number}", words[3])
    ]
    assert unfound == []


def _found(pipeline: Pipeline, project: str, words: str) -> bool:
    query = TraceQuery(Scope(project), NOW - timedelta(hours=3), NOW, rows="calls", text=words.lower())
    rows = page(pipeline.store, query, offset=0, limit=9)
    return bool(rows) or bool(
        pipeline.value(
            "SELECT count() FROM spans WHERE project = {project:String} AND kind NOT IN ('generation', 'embedding')"
            " AND (positionCaseInsensitiveUTF8(input_text, {words:String}) > 0"
            " OR positionCaseInsensitiveUTF8(output_text, {words:String}) > 0)",
            project=project,
            words=words.lower(),
        )
    )
