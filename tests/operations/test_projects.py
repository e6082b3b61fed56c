"""Settings of projects: retention is what they do to data that is there."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.ingest.payloads import DAY_NS, chat_span, request
from tests.ingest.pipeline import Pipeline

from gnomon_collector.errors import BadRequest
from gnomon_collector.operations.operator import Operator
from gnomon_collector.operations.registry import run
from gnomon_collector.operations.retention import RetentionJob, expire
from gnomon_collector.store.projects import ProjectSettings, project_settings

NOW = datetime.now(UTC)


def days_old(number: int, days: int) -> bytes:
    return request([chat_span(number, time.time_ns() - days * DAY_NS)])


def test_settings_are_kept_one_by_one_and_limits_are_taken_away(operator: Operator) -> None:
    run("set_project", operator, {"project": "shop", "changes": {"span_days": 90, "mask_content": True}})
    run("set_project", operator, {"project": "shop", "changes": {"max_spans_per_minute": 600}})
    run("set_project", operator, {"project": "shop", "changes": {"span_days": None}})
    assert project_settings(operator.store) == {
        "shop": ProjectSettings("shop", max_spans_per_minute=600, mask_content=True)
    }
    assert [entry["action"] for entry in run("list_audit", operator, {})] == ["projects.set"] * 3


@pytest.mark.parametrize("changes", [{"span_days": 0}, {"colour": 1}, {"max_bytes_per_minute": -1}])
def test_senseless_settings_are_refused(operator: Operator, changes: dict[str, int]) -> None:
    with pytest.raises(BadRequest):
        run("set_project", operator, {"project": "shop", "changes": changes})
    assert project_settings(operator.store) == {}


def test_old_spans_go_and_the_charts_keep_their_numbers(pipeline: Pipeline) -> None:
    pipeline.send(days_old(1, 40), days_old(2, 1))
    pipeline.send(days_old(3, 40), project="another")
    assert expire(pipeline.store, ProjectSettings("shop", span_days=30), NOW) == {"spans": 1, "texts": 0}
    assert pipeline.rows("SELECT project, count() FROM spans GROUP BY project ORDER BY project") == [
        ("another", 1),
        ("shop", 1),
    ]
    assert pipeline.value("SELECT sum(calls) FROM calls_per_hour FINAL WHERE project = 'shop'") == 2
    assert expire(pipeline.store, ProjectSettings("shop", span_days=30), NOW) == {"spans": 0, "texts": 0}


def test_old_texts_go_and_the_numbers_of_their_spans_stay(pipeline: Pipeline) -> None:
    pipeline.send(days_old(1, 10), days_old(2, 1))
    before = pipeline.rows("SELECT span_id, input_tokens, cost_usd FROM spans ORDER BY span_id")
    settings = ProjectSettings("shop", content_days=7)
    assert expire(pipeline.store, settings, NOW) == {"spans": 0, "texts": 1}
    assert pipeline.rows("SELECT span_id, input_tokens, cost_usd FROM spans ORDER BY span_id") == before
    assert pipeline.rows("SELECT empty(attributes), data_flags FROM spans ORDER BY start_time") == [
        (1, ["content_expired"]),
        (0, []),
    ]
    assert expire(pipeline.store, settings, NOW) == {"spans": 0, "texts": 0}


def test_logs_go_with_the_texts(pipeline: Pipeline) -> None:
    for days in (10, 1):
        time_text = f"{NOW - timedelta(days):%F %T}"
        said = {"project": "shop", "record_id": str(days), "time": time_text, "received_at": time_text}
        pipeline.store.insert_raw("log_records", json.dumps(said).encode(), "JSONEachRow")
    expire(pipeline.store, ProjectSettings("shop", content_days=7), NOW)
    assert pipeline.rows("SELECT record_id FROM log_records") == [("1",)]


def test_the_job_follows_the_settings_and_leaves_a_trace(pipeline: Pipeline, operator: Operator) -> None:
    pipeline.send(days_old(1, 40))
    run("set_project", operator, {"project": "shop", "changes": {"span_days": 30}})
    RetentionJob(pipeline.store).run_once(NOW)
    assert pipeline.value("SELECT count() FROM spans") == 0
    (entry,) = run("list_audit", operator, {"action": "expire"})
    assert (entry["actor"], entry["details"]) == ("retention", {"spans": 1, "texts": 0})
