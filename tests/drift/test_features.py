"""The rollup of what calls look like, on a real database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from tests.docs import markdown
from tests.drift import traffic
from tests.drift.traffic import NOW, PROJECT, Call

from gnomon_collector.store import drift_catalogue as catalogue
from gnomon_collector.store import rollups
from gnomon_collector.store.drift_catalogue import BY_NAME, FEATURES, LogScale, ScoreScale
from gnomon_collector.store.drift_features import SOURCES, refresh, refresh_sql, stale_hours
from gnomon_collector.store.drift_windows import (
    ALL,
    DimensionSet,
    Windows,
    distributions,
    total,
    windows_query,
)
from gnomon_collector.store.engine import Store

HOUR = NOW - timedelta(hours=3)
WINDOWS = Windows(NOW - timedelta(days=8), NOW - timedelta(days=1), NOW - timedelta(days=1), NOW)
BASE = Call("t" * 32, "s" * 16, HOUR + timedelta(minutes=5))


def counted(store: Store, *calls: Call) -> dict[str, Any]:
    """Return what is counted of some calls, by feature: buckets or categories."""
    numbered = [
        replace(call, trace_id=f"{at:032x}", span_id=f"{at:016x}") if call.span_id == BASE.span_id else call
        for at, call in enumerate(calls)
    ]
    traffic.insert(store, numbered)
    refresh(store, PROJECT, HOUR - timedelta(hours=1), NOW)
    return read(store)


def read(store: Store) -> dict[str, Any]:
    found = distributions(store, PROJECT, WINDOWS, ALL)
    return {feature: one.current for (_, feature), one in found.items()}


def test_the_refresh_and_the_reading_are_reviewed_as_sql(snapshot: Any) -> None:
    statements = [*map(refresh_sql, SOURCES), windows_query(PROJECT, WINDOWS)[0]]
    assert statements == snapshot


def test_a_call_is_counted_once_in_every_feature_it_has(store: Store) -> None:
    found = counted(
        store, BASE, replace(BASE, status="error", error_type="Timeout", output_text="", input_tokens=None)
    )
    assert found["error"] == {"ok": 1, "Timeout": 1}
    assert total(found["input_length"]) == 2
    assert total(found["output_length"]) == total(found["input_tokens"]) == total(found["latency"]) == 1
    assert found["models"] == {"gpt-4o": 2} and found["prompts"] == {"answer v1": 2}
    assert found["model_version"] == {"gpt-4o → gpt-4o-2024-08-06": 2}
    assert "first_token" not in found and "cache_similarity" not in found


def test_buckets_lie_where_the_scale_says(store: Store) -> None:
    found = counted(store, replace(BASE, duration_ns=1_500_000_000, cost_usd=0.0123, input_tokens=0))
    for feature, value in (("latency", 1500.0), ("cost", 0.0123), ("input_tokens", 0.0)):
        scale, bucket = BY_NAME[feature].scale, len(found[feature])
        assert scale.lower_bound(bucket) <= value < scale.lower_bound(bucket + 1), feature


@pytest.mark.parametrize("scale", [LogScale(), LogScale(1_000_000), ScoreScale()])
def test_bounds_in_sql_and_in_python_are_the_same(store: Store, scale: catalogue.Scale) -> None:
    rng = Random(3)
    values = [0.0, 1.0, *(rng.expovariate(0.01) for _ in range(200)), *(rng.random() for _ in range(200))]
    values += [-1.0, -0.35, 0.999, 12.0, 3e5] if isinstance(scale, ScoreScale) else [1e12]
    rows = store.query(
        f"SELECT value, {scale.sql('value')} FROM (SELECT arrayJoin({{values:Array(Float64)}}) AS value)",
        {"values": values},
    ).rows
    for value, bucket in ((float(str(value)), int(str(bucket))) for value, bucket in rows):
        assert scale.lower_bound(bucket) <= value + 1e-9 * max(1, abs(value))
        assert value <= scale.lower_bound(bucket + 1) * (1 + 1e-9) or bucket == catalogue.MOST_BUCKETS
    edges = [scale.lower_bound(bucket) for bucket in range(1, 200)]
    assert edges == sorted(edges)
    where = [scale.position(bucket) for bucket in range(1, 200)]
    assert where == sorted(where)


REFUSALS = {
    "I'm sorry, but I can't help with that.": "refused",
    "I’m sorry, I cannot share that information.": "refused",
    "Sorry, but I am unable to assist with this request.": "refused",
    "Unfortunately, I can't provide legal advice.": "refused",
    "As an AI language model, I cannot browse the web.": "refused",
    "Es tut mir leid, dabei kann ich Ihnen leider nicht helfen.": "refused",
    "Je suis désolé, mais je ne peux pas vous aider.": "refused",
    "Lo siento, pero no puedo ayudarte con eso.": "refused",
    "Mi dispiace, ma non posso aiutarti.": "refused",
    "Извините, я не могу помочь с этим вопросом.": "refused",
    "I am sorry about the delay: your order arrives tomorrow.": "answered",
    "You can return them within 30 days. I can't promise a date, though.": "answered",
    "Es tut mir leid, dass es so lange dauert. Ihr Paket kommt morgen.": "answered",
    "К сожалению, товара нет в наличии, но он появится завтра.": "answered",
    "Yes.": "answered",
}
LANGUAGES = {
    "Where is my order and how do I return it?": "en",
    "Wo ist meine Bestellung und wie kann ich sie zurückgeben?": "de",
    "Où est ma commande et comment puis-je la retourner, pour que je ne paie pas ?": "fr",
    "¿Dónde está mi pedido y cómo puedo devolver los zapatos que compré?": "es",
    "Waar is mijn bestelling en hoe kan ik het terugsturen van een winkel?": "nl",
    "ok": "latin",
}
JSON = {"gen_ai.output.type": "json"}
FORMATS: list[tuple[dict[str, Any], str]] = [
    ({"output_text": "", "output_tokens": 0}, "empty"),
    ({"finish_reason": "length"}, "cut off"),
    ({"attributes": JSON, "output_text": "Sure! {"}, "invalid JSON"),
    ({"attributes": JSON, "output_text": ' {"a": 1}\n'}, "fine"),
    (
        {
            "attributes": {"llm.invocation_parameters": '{"response_format": {"type": "json_schema"}}'},
            "output_text": "no",
        },
        "invalid JSON",
    ),
    ({"output_text": "plain"}, "fine"),
    ({"finish_reason": "tool_call", "output_text": ""}, ""),
    ({"status": "error", "output_text": ""}, ""),
]


def facts(store: Store, feature: str, *calls: Call) -> list[str]:
    """Return what a feature's SQL says of each call."""
    traffic.insert(store, [replace(call, span_id=f"{at:016x}") for at, call in enumerate(calls)])
    rows = store.query(f"SELECT {BY_NAME[feature].sql} FROM spans ORDER BY span_id").rows
    return [str(fact) for (fact,) in rows]


def test_refusals_are_told_from_apologies(store: Store) -> None:
    said = facts(store, "refusal", *(replace(BASE, output_text=answer) for answer in REFUSALS))
    assert dict(zip(REFUSALS, said, strict=True)) == REFUSALS


def test_a_content_filter_is_a_refusal(store: Store) -> None:
    filtered = replace(BASE, finish_reason="content_filter", output_text="")
    assert facts(store, "refusal", filtered) == ["refused"]


def test_formats_that_fail(store: Store) -> None:
    said = facts(store, "format", *(replace(BASE, **changed) for changed, _ in FORMATS))
    assert said == [wanted for _, wanted in FORMATS]


def test_languages_of_latin_script(store: Store) -> None:
    said = facts(store, "language", *(replace(BASE, input_text=text) for text in LANGUAGES))
    assert dict(zip(LANGUAGES, said, strict=True)) == LANGUAGES


def test_content_that_was_not_captured_is_no_empty_answer(store: Store) -> None:
    found = counted(store, replace(BASE, output_text="", input_text=""))
    assert {"format", "refusal", "language", "input_length", "output_length"}.isdisjoint(found)


def test_a_script_that_tells_the_language_wins(store: Store) -> None:
    assert facts(store, "language", replace(BASE, input_text="Где мой заказ?", language="ru")) == ["ru"]


def test_retrievals_and_caches_count_beside_calls(store: Store) -> None:
    documents = [("faq-1", "text", 0.83), ("faq-2", "text", 0.4)]
    found = counted(
        store,
        BASE,
        replace(BASE, kind="retrieval", documents=documents),
        replace(BASE, kind="cache", cache_status="semantic_hit", cache_similarity=0.96),
    )
    score = BY_NAME["retrieval_score"].scale
    assert score.lower_bound(len(found["retrieval_score"])) == pytest.approx(0.82)
    assert total(found["documents"]) == 1 and found["cache"] == {"semantic_hit": 1}
    assert total(found["cache_similarity"]) == 1
    assert found["error"] == {"ok": 1}, "neither a retrieval nor a look-up is a model call"


def test_only_hours_that_changed_are_counted_again(store: Store) -> None:
    counted(store, BASE)
    assert stale_hours(store, PROJECT, HOUR, NOW) == []
    late = replace(BASE, trace_id="l" * 32, span_id="l" * 16)
    traffic.insert(store, [late])
    assert [time for time, _ in stale_hours(store, PROJECT, HOUR, NOW)] == [HOUR]
    assert refresh(store, PROJECT, HOUR, NOW) == 0
    assert read(store)["error"] == {"ok": 2}


def test_calls_that_turn_out_to_be_duplicates_are_taken_back(store: Store) -> None:
    other = replace(BASE, request_model="gpt-5", span_id="d" * 16, trace_id="d" * 32)
    assert counted(store, BASE, other)["models"] == {"gpt-4o": 1, "gpt-5": 1}
    store.command("ALTER TABLE spans DELETE WHERE request_model = 'gpt-5' SETTINGS mutations_sync = 1")
    rollups.recompute(store, [PROJECT], [HOUR + timedelta(minutes=5)])
    refresh(store, PROJECT, HOUR, NOW)
    assert read(store)["models"] == {"gpt-4o": 1}


def test_a_backlog_is_counted_in_pieces(store: Store) -> None:
    calls = [
        replace(
            BASE,
            start_time=NOW - timedelta(hours=at, minutes=30),
            trace_id=f"{at:032x}",
            span_id=f"{at:016x}",
        )
        for at in range(20)
    ]
    traffic.insert(store, calls)
    assert refresh(store, PROJECT, NOW - timedelta(days=1), NOW, most_hours=8) == 12
    assert refresh(store, PROJECT, NOW - timedelta(days=1), NOW) == 0
    assert read(store)["error"] == {"ok": 20}


def test_windows_are_cut_into_periods_for_every_part(any_store: Store) -> None:
    traffic.insert(any_store, traffic.calls(per_hour=2))
    refresh(any_store, PROJECT, WINDOWS.reference_start, NOW)
    found = distributions(any_store, PROJECT, WINDOWS)
    error = found[ALL, "error"]
    assert total(error.current) == 48
    assert [total(one) for one in error.periods] == [48] * 7
    sets = {dimension_set for dimension_set, feature in found if feature == "error"}
    assert sets == {
        ALL,
        DimensionSet(service_name="assistant"),
        DimensionSet(service_name="mailer"),
        DimensionSet(model="gpt-4o"),
        DimensionSet(prompt_name="answer", prompt_version="v1"),
    }
    services = [found[one, "error"].current for one in sorted(sets) if one.dimension == "service"]
    assert sum(map(total, services)) == 48


def test_other_projects_are_left_alone(store: Store) -> None:
    traffic.insert(store, [replace(BASE, project="other")])
    found = counted(store, BASE)
    assert found["error"] == {"ok": 1}
    assert store.query("SELECT DISTINCT project FROM drift_features").rows == [(PROJECT,)]


def test_every_metric_is_on_the_page() -> None:
    rows = markdown.table(markdown.DOCS / "drift.md", "What is compared")
    assert [row["Metric"] for row in rows] == list(catalogue.METRICS)
    assert set(catalogue.LABELS) == set(catalogue.METRICS)
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
