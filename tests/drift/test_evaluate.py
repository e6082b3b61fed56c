"""From spans to results and their explanations, on a real database."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from tests.drift import traffic
from tests.drift.traffic import NOW, PROJECT, Call

from gnomon_collector.drift.evaluate import evaluate_counts, evaluate_texts
from gnomon_collector.drift.explain import amount
from gnomon_collector.drift.plan import Plan, windows_at
from gnomon_collector.drift.report import as_json, report
from gnomon_collector.drift.samples import Samples, compared
from gnomon_collector.errors import GnomonError
from gnomon_collector.store.drift_features import refresh
from gnomon_collector.store.drift_results import DriftResult
from gnomon_collector.store.drift_windows import ALL, DimensionSet
from gnomon_collector.store.engine import Store

PLAN = Plan(24, 7)
ASSISTANT = DimensionSet(service_name="assistant")


def evaluated(store: Store, calls: list[Call]) -> Mapping[tuple[DimensionSet, str], DriftResult]:
    traffic.insert(store, calls)
    refresh(store, PROJECT, NOW - timedelta(days=10), NOW)
    results = evaluate_counts(store, PROJECT, windows_at(store, PROJECT, PLAN, NOW), {})
    return {(one.dimension_set, one.metric): one for one in results}


def test_traffic_that_stays_as_it_was_is_ok(store: Store) -> None:
    found = evaluated(store, traffic.calls())
    assert {one.state for one in found.values()} <= {"ok", "not_enough_data"}
    judged = {metric for (_, metric), one in found.items() if one.state == "ok"}
    assert {
        "input_length",
        "output_length",
        "latency",
        "error",
        "users",
        "companies",
        "model_version",
    } <= judged


def declining_and_long(call: Call, rng: Random) -> None:
    """The assistant's model answers at length, refuses now and then, and is another snapshot."""
    if call.service_name != "assistant":
        return
    traffic.wordier(call, rng)
    call.response_model = "gpt-4o-2024-11-20"
    if rng.random() < 0.15:
        call.output_text = "I'm sorry, but I can't help with that."


def test_a_change_is_found_where_it_is_and_said_in_words(store: Store) -> None:
    found = evaluated(store, traffic.calls(declining_and_long))
    breached = {key for key, one in found.items() if one.state == "breach"}
    for metric in ("output_length", "output_tokens", "refusal", "model_version"):
        assert {(ALL, metric), (ASSISTANT, metric), (DimensionSet(model="gpt-4o"), metric)} <= breached
    mailer = {metric for dimension_set, metric in breached if dimension_set.service_name == "mailer"}
    assert not mailer, "the other service did not change"
    assert "input_length" not in {metric for _, metric in breached}

    length = found[ASSISTANT, "output_length"]
    assert length.statistic in ("psi", "wasserstein") and length.value > length.threshold > 0
    assert length.summary.startswith("Output length: median ") and "characters (+" in length.summary
    assert {row["name"] for row in length.explanation["statistics"]} == {"psi", "wasserstein"}
    assert length.explanation["keys"]

    refusal = found[ASSISTANT, "refusal"]
    assert "refused 0.0 % → 1" in refusal.summary
    assert refusal.explanation["keys"] == ["refused"]
    version = found[ALL, "model_version"]
    assert version.summary.startswith(
        "Gpt-4o now answers as gpt-4o-2024-11-20"
    ) or version.summary.startswith("gpt-4o now answers as gpt-4o-2024-11-20")


def test_texts_that_differ_are_explained_by_their_terms(store: Store) -> None:
    def about_vouchers(call: Call, rng: Random) -> None:
        if rng.random() < 0.6:
            call.input_text = f"My voucher number {rng.randrange(10**6)} is rejected by the checkout page"

    traffic.insert(store, traffic.calls(about_vouchers))
    windows = windows_at(store, PROJECT, PLAN, NOW)
    found = {one.metric: one for one in evaluate_texts(store, PROJECT, windows, [ALL, ASSISTANT], {})
             if one.dimension_set == ALL}  # fmt: skip
    asked = found["input_text"]
    assert asked.state == "breach" and asked.statistic in ("auc", "centroid")
    grown = [row["term"] for row in asked.explanation["terms"] if row["current"] > row["reference"]]
    assert any("voucher" in term for term in grown)
    assert found["output_text"].state == "ok"

    stored = json.dumps(asked.explanation)
    assert "rejected by the checkout page" not in stored, "ids are stored, not texts"
    examples = asked.explanation["examples"]["current"]
    assert examples and all(len(trace) == 32 and len(span) == 16 for trace, span in examples)
    texts = store.query(
        "SELECT input_text FROM spans WHERE span_id IN {ids:Array(String)}",
        {"ids": [span for _, span in examples]},
    ).rows
    assert all("voucher" in str(text) for (text,) in texts)


def test_few_sessions_are_not_enough_texts(store: Store) -> None:
    one_session = [replace(call, session_id="s1") for call in traffic.calls(per_hour=1)]
    traffic.insert(store, one_session)
    found = evaluate_texts(store, PROJECT, windows_at(store, PROJECT, PLAN, NOW), [ALL], {})
    assert {one.state for one in found} == {"not_enough_data"}
    assert all("1 of 100 texts (one a session)" in one.summary for one in found)


def embedding(call: Call, centre: float, rng: Random) -> Call:
    vector = [rng.gauss(centre if at < 4 else 0, 1) for at in range(16)]
    return replace(
        call,
        kind="embedding",
        span_id=f"e{call.span_id[1:]}",
        attributes={"embedding.embeddings.0.embedding.vector": json.dumps(vector)},
    )


def test_embeddings_that_moved_are_found(store: Store) -> None:
    rng = Random(3)
    made = traffic.calls(per_hour=6)
    begin = NOW - timedelta(days=1)
    still = [embedding(call, 0.0, rng) for call in made]
    traffic.insert(store, still)
    windows = windows_at(store, PROJECT, PLAN, NOW)

    def state() -> str:
        found = evaluate_texts(store, PROJECT, windows, [ALL], {})
        return next(one.state for one in found if one.metric == "embedding")

    assert state() == "ok"
    store.command("TRUNCATE TABLE spans")
    traffic.insert(store, [embedding(call, 1.0 if call.start_time >= begin else 0.0, rng) for call in made])
    assert state() == "breach"


def test_a_report_says_drift_when_the_hour_before_breached_too(store: Store) -> None:
    traffic.insert(store, traffic.calls(traffic.wordier))
    found = as_json(report(store, PROJECT, PLAN, NOW - timedelta(minutes=1), with_texts=False))
    assert found["worst"] == "drift" == found["results"][0]["state"]
    assert found["current"] == {"start": "2026-11-19T12:00:00+00:00", "end": "2026-11-20T12:00:00+00:00"}
    lengths = {one["set"]: one["state"] for one in found["results"] if one["metric"] == "output_length"}
    assert lengths["all traffic"] == lengths["service assistant"] == "drift"
    assert lengths["service mailer"] == "not_enough_data", "72 calls in the last day"


def test_a_report_of_the_first_hour_of_a_change_says_breach(store: Store) -> None:
    def failing(call: Call, rng: Random) -> None:
        call.status, call.error_type, call.output_text = "error", "Timeout", ""

    traffic.insert(store, traffic.calls(failing, changed_hours=0.95, per_hour=20, days=6))
    found = report(store, PROJECT, Plan(3, 5), NOW - timedelta(minutes=1), only=ALL, with_texts=False)
    (errors,) = [one for one in found.results if one.metric == "error"]
    assert (errors.state, errors.dimension_set) == ("not_enough_data", ALL), "60 calls in 3 hours are few"
    found = report(store, PROJECT, Plan(6, 5), NOW - timedelta(minutes=1), only=ALL, with_texts=False)
    (errors,) = [one for one in found.results if one.metric == "error"]
    assert errors.state == "breach" and "Timeout 0.0 % → " in errors.summary


@pytest.mark.parametrize(
    ("value", "text"), [(0.0000671, "$0.000067"), (0.021, "$0.021"), (12.3, "$12.30"), (None, "–")]
)
def test_small_amounts_are_written_out(value: float | None, text: str) -> None:
    assert amount(value, "USD") == text


def test_samples_that_cannot_be_compared_say_why() -> None:
    ragged = Samples([[1.0, 2.0]] * 100, [[1.0]] * 100)
    with pytest.raises(GnomonError, match="Texts could not be compared: ValueError"):
        compared([ragged])


def test_the_server_does_without_scikit_learn() -> None:
    # while pandas is being imported, which scikit-learn does, Plotly writes no figure in the same process
    question = "import sys, gnomon_collector.drift.report; print(*{'sklearn', 'pandas'} & {*sys.modules})"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""
