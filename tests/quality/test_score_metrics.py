"""Scores as metrics, by what is known of the calls that were judged: rules and the API read them so."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.quality.conftest import NOW, Judge, answered, insert, make_setup, policy_text

from gnomon_collector.alerts.engine import Engine
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.watch import Grid
from gnomon_collector.quality.planner import plan_online
from gnomon_collector.quality.worker import Worker
from gnomon_collector.store.alerts import AlertRecords
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_queries import Ask, Window, read_windows

_COLUMNS = (
    "score_id", "project", "trace_id", "span_id", "session_id", "name", "value", "source",
    "inclusion_probability", "created_at", "received_at",
)  # fmt: skip
# Verdicts are of when they are given, which in a run of all tests is long after this was read.
WINDOW = Window(NOW - timedelta(minutes=10), NOW + timedelta(hours=3))


def score(
    store: Store,
    score_id: str,
    value: float | None,
    *,
    of: tuple[str, str, str],
    probability: float | None = None,
    source: str = "user",
    at: datetime = NOW,
) -> None:
    """Insert a judgement of (trace, span, session)."""
    row = [score_id, "shop", *of, "thumbs", value, source, probability, at, at]
    store.insert_rows("scores", _COLUMNS, [row])


def read(store: Store, name: str, *by: str, **filters: list[str]) -> dict[tuple[str, ...], float]:
    found = read_windows(store, Ask(("shop",), name, filters, by), [WINDOW])[0]
    return {
        key[1:]: float(first / second)
        for key, first, second in zip(found.keys, found.first, found.second, strict=True)
        if second
    }


def test_judgements_of_users_take_the_labels_of_what_they_are_about(store: Store) -> None:
    first, second = (answered(1), answered(2, prompt_version="v2", response_model="other"))
    later = answered(1, span_id="f" * 16, start_time=NOW, prompt_version="v3")
    insert(store, first, second, later)
    score(store, "of the call", 1, of=(first.trace_id, first.span_id, ""))
    score(store, "of the trace", 0, of=(first.trace_id, "", ""))
    score(store, "of the session", 0.5, of=("", "", second.session_id))
    score(store, "of nothing that is known", 0.25, of=("0" * 31 + "9", "", ""))
    assert read(store, "score_mean:thumbs", "prompt_version") == {
        ("v1",): 1, ("v3",): 0, ("v2",): 0.5, ("",): 0.25,
    }  # fmt: skip
    assert read(store, "satisfaction", "model", prompt_version=["v2"]) == {("other",): 1}
    assert read(store, "satisfaction") == {(): 0.5}


def test_verdicts_take_the_labels_of_their_tasks(store: Store, judge: Judge, tmp_path: Path) -> None:
    insert(store, *(answered(number, prompt_version=f"v{number % 2}") for number in range(6)))
    setup = make_setup(judge.url, tmp_path, policy_text())
    plan_online(store, setup.policy, setup.evaluators, setup.model, NOW)
    asyncio.run(Worker(setup.parts(store)).run(until_empty=True))
    assert read(store, "score_mean:relevance", "service_name", "prompt_version") == {
        ("shop-assistant", "v0"): 1,
        ("shop-assistant", "v1"): 1,
    }


@pytest.mark.parametrize("probability", [0.001, None])
def test_a_rule_of_a_prompt_version_fires_when_its_score_falls(
    store: Store, probability: float | None
) -> None:
    insert(store, *(answered(number, prompt_version=f"v{number % 2}") for number in range(80)))
    for number in range(80):
        value = number % 2 or float(number % 10 == 0)
        score(store, f"s{number}", value, of=(f"{number:032x}", "", ""), probability=probability)
    assert firing(store, below=0.5) == [{"prompt_version": "v0"}]


def test_few_verdicts_are_few_however_many_answers_they_stand_for(store: Store) -> None:
    insert(store, *(answered(number) for number in range(9)))
    for number in range(9):
        score(store, f"s{number}", 0.3, of=(f"{number:032x}", "", ""), probability=0.001)
    assert firing(store, below=0.5) == []


def firing(store: Store, below: float) -> list[dict[str, str]]:
    rule = Rule.model_validate(
        {
            "name": "groundedness",
            "metric": "score_mean:thumbs",
            "group_by": ["prompt_version"],
            "window": "1h",
            "for": "0s",
            "condition": {"kind": "threshold", "below": below},
        }
    )
    records = AlertRecords(store)
    Engine(store, records, Grid()).evaluate([rule], ["shop"], NOW + timedelta(minutes=2))
    return [one.labels for one in records.incidents("*", since=NOW - timedelta(days=1))]
