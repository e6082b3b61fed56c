"""Masking on the server: what is found is written nowhere, neither to the inbox nor to the database."""

from __future__ import annotations

import json

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tests.ingest.payloads import chat_span, hour_ago_ns, key_values, request
from tests.ingest.server_process import ServerProcess

from gnomon_collector.ingest.masking import mask_request
from gnomon_collector.ingest.signals import METRICS, TRACES

MAIL = "ann.lee@example.org"
CARD = "4111 1111 1111 1111"


def personal_span() -> Span:
    """A span with an address in every place that can hold a text."""
    span = chat_span(
        1,
        hour_ago_ns(),
        **{
            "gen_ai.input.messages": json.dumps([{"role": "user", "content": f"I am {MAIL}"}]),
            "list": [f"call {MAIL}", {"deep": CARD}],
        },
    )
    span.events.add(name="exception", attributes=key_values({"exception.message": f"no {MAIL}"}))
    span.links.add(trace_id=bytes(16), span_id=bytes(8), attributes=key_values({"why": MAIL}))
    span.status.CopyFrom(Status(code=2, message=f"refused {MAIL}"))
    return span


def test_every_text_of_a_request_is_masked_and_the_rest_stays() -> None:
    body = request([personal_span()], resource={"service.name": "shop", "owner": MAIL})
    masked = mask_request(body, TRACES)
    assert MAIL.encode() in body and CARD.encode() in body
    assert MAIL.encode() not in masked and CARD.encode() not in masked
    assert masked.count(b"[EMAIL]") == 6 and b"[CARD]" in masked
    assert b"gpt-4o-mini" in masked and b"shop" in masked


def test_metrics_have_no_content_to_mask() -> None:
    assert mask_request(MAIL.encode(), METRICS) == MAIL.encode()


def test_a_masked_project_stores_no_address_and_others_do(server: ServerProcess) -> None:
    for project, is_masked in (("masked", True), ("plain", False)):
        key = server.key(project)
        server.operate("set_project", project=project, changes={"mask_content": is_masked})
        server.export(request([personal_span()]), key)
        comment = json.dumps({"trace_id": "0" * 31 + "1", "name": "thumbs", "value": 0, "comment": MAIL})
        sent = server.post("/v1/feedback", comment.encode(), key, **{"content-type": "application/json"})
        assert sent.status_code == 200, sent.text
    server.wait_until_written()
    found = server.query(
        "SELECT project, input_text, status_message, c.comment AS comment FROM spans AS s"
        " INNER JOIN scores AS c ON c.project = s.project WHERE s.project IN ('masked', 'plain')"
        " ORDER BY project"
    )
    assert [row["input_text"] for row in found] == ["I am [EMAIL]", f"I am {MAIL}"]
    assert [row["comment"] for row in found] == ["[EMAIL]", MAIL]
    assert MAIL not in json.dumps(server.query("SELECT * FROM spans WHERE project = 'masked'"))
