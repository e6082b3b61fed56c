"""The quarantine as operators use it."""

from __future__ import annotations

import json

import pytest
from tests.ingest.payloads import chat_span, hour_ago_ns, request
from tests.ingest.pipeline import Pipeline

from gnomon_collector.errors import BadRequest
from gnomon_collector.operations.operator import Operator
from gnomon_collector.operations.registry import run


@pytest.fixture
def set_aside(pipeline: Pipeline) -> list[int]:
    """Ids of two requests in the quarantine."""
    for number in (1, 2):
        pipeline.put(request([chat_span(number, hour_ago_ns())]))
    for each in pipeline.inbox.oldest(0, 10**9):
        pipeline.inbox.quarantine(each, f"reason {each.id}")
    return [each.request.id for each in pipeline.inbox.quarantine_list()]


def test_the_list_has_reasons_and_no_content(operator: Operator, set_aside: list[int]) -> None:
    found = run("list_quarantine", operator, {})
    assert [each["id"] for each in found] == set_aside
    assert found[0]["reason"] == f"reason {set_aside[0]}"
    assert found[0]["spans"] == 1
    assert "gen_ai" not in json.dumps(found)


def test_one_is_shown_whole_and_that_is_audited(operator: Operator, set_aside: list[int]) -> None:
    shown = run("show_quarantined", operator, {"id": set_aside[1]})
    assert "gen_ai.request.model" in json.dumps(shown["request"])
    assert run("list_audit", operator, {})[0]["action"] == "quarantine.show"


def test_a_retry_brings_them_to_the_database_once(
    pipeline: Pipeline, operator: Operator, set_aside: list[int]
) -> None:
    assert run("retry_quarantined", operator, {"ids": []}) == {"requests": 2, "spans": 2}
    pipeline.flush()
    assert pipeline.value("SELECT count() FROM spans") == 2
    assert run("list_quarantine", operator, {}) == []
    assert pipeline.inbox.waiting_bytes == 0


def test_a_drop_takes_only_what_is_named(
    pipeline: Pipeline, operator: Operator, set_aside: list[int]
) -> None:
    run("drop_quarantined", operator, {"ids": set_aside[:1]})
    assert [each["id"] for each in run("list_quarantine", operator, {})] == set_aside[1:]
    pipeline.flush()
    assert pipeline.value("SELECT count() FROM spans") == 0


def test_an_id_that_is_not_there_changes_nothing(operator: Operator, set_aside: list[int]) -> None:
    with pytest.raises(BadRequest, match="no request 999"):
        run("drop_quarantined", operator, {"ids": [set_aside[0], 999]})
    assert len(run("list_quarantine", operator, {})) == 2


def test_wrong_names_and_arguments_say_so(operator: Operator) -> None:
    with pytest.raises(BadRequest, match="no operation 'nothing'"):
        run("nothing", operator, {})
    with pytest.raises(BadRequest, match="takes no argument 'colour'"):
        run("list_quarantine", operator, {"colour": "red"})
    with pytest.raises(BadRequest, match="ids"):
        run("drop_quarantined", operator, {"ids": "all"})
