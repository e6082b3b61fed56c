"""What a call costs in Gnomon is what the price list's own package says it costs."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import StartDateConstraint, TieredPrices, TimeOfDateConstraint
from tests.ingest.payloads import DAY_NS, SECOND_NS, hour_ago_ns, request, span
from tests.ingest.pipeline import Pipeline

from gnomon_collector.store.engine import Store
from gnomon_schemas.prices import PROVIDER_IDS, price_list_version, price_periods

# (input, output, cache read, cache write, reasoning); the cache is inside the input, reasoning inside the output.
USAGES = [
    (100, 10, None, None, None),
    (1_000, 100, 640, 0, 0),
    (250_000, 1_000, 100_000, 20_000, None),
    (600_000, 1, 0, 600_000, None),
    (0, 5, 0, 0, 5),
    (50, 0, 50, 0, 0),
    (1_000, 10, 0, 64, 4),
]
Model = tuple[str, str, datetime]


def conditional_prices(model: Any) -> list[Any]:
    return list(model.prices) if isinstance(model.prices, list) else []


def priced_models() -> list[Model]:
    """Return (provider, model, time of call) by what is special: tiers, dates, hours, other classes; or nothing."""
    now = datetime.fromtimestamp(hour_ago_ns() // SECOND_NS, UTC)
    kinds: dict[str, list[Model]] = {name: [] for name in ("hours", "tiers", "dates", "classes", "plain")}
    for provider in get_snapshot().providers:
        for model in provider.models:
            if _is_found(provider.id, model.id):
                kind = _special(model)
                kinds[kind] += [(provider.id, model.id, at) for at in _times(kind, now)]
    chance = random.Random(1)
    sampled = [
        chance.sample(kinds[kind], count) for kind, count in (("tiers", 14), ("dates", 10), ("plain", 16))
    ]
    return [*kinds["hours"], *kinds["classes"], *(each for models in sampled for each in models)]


def _special(model: Any) -> str:
    conditions = conditional_prices(model)
    prices = [each.prices for each in conditions] or [model.prices]
    values = {name: value for price in prices for name, value in vars(price).items() if value is not None}
    if any(isinstance(each.constraint, TimeOfDateConstraint) for each in conditions):
        return "hours"
    if {"requests_kcount", "output_reasoning_mtok"} & values.keys():
        return "classes"
    if any(isinstance(value, TieredPrices) for value in values.values()):
        return "tiers"
    return (
        "dates" if any(isinstance(each.constraint, StartDateConstraint) for each in conditions) else "plain"
    )


def _times(kind: str, now: datetime) -> list[datetime]:
    """Now; in other periods and hours too where they matter, the ends of DeepSeek's hours included."""
    yesterday = now.replace(hour=0, minute=0) - timedelta(days=1)
    if kind == "hours":
        minutes = (0, 29, 30, 60, 239, 240, 365, 599, 600, 989, 990, 1439)
        return [yesterday + timedelta(minutes=minute) for minute in minutes]
    return [now, now - timedelta(days=330)] if kind == "dates" else [now]


def _is_found(provider: str, model: str) -> bool:
    try:
        get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return False
    return True


def said(usage: tuple[int | None, ...]) -> dict[str, object]:
    names = (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
    )
    return {name: value for name, value in zip(names, usage, strict=True) if value is not None}


def official_cost_usd(provider: str, model: str, at: datetime, usage: tuple[int | None, ...]) -> float:
    names = (
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_reasoning_tokens",
    )
    counts = {name: value for name, value in zip(names, usage, strict=True) if value is not None}
    price = calc_price(Usage(**counts), model, provider_id=provider, genai_request_timestamp=at)
    return float(price.total_price)


def test_costs_are_those_of_genai_prices(pipeline: Pipeline) -> None:
    cases = [(*model, usage) for model in priced_models() for usage in USAGES]

    def sent(first_number: int) -> bytes:
        return request(
            span(
                first_number + number,
                int(at.timestamp()) * SECOND_NS,
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": provider,
                    "gen_ai.request.model": model,
                    **said(usage),
                },
            )
            for number, (provider, model, at, usage) in enumerate(cases)
        )

    pipeline.send(sent(0))  # models seen for the first time: priced after the insert
    pipeline.send(sent(len(cases)))  # and from then on while they come in

    rows = pipeline.rows(
        "SELECT provider, request_model, cost_usd, price_version FROM spans ORDER BY span_id"
    )
    assert len(rows) == 2 * len(cases)
    for (provider, model, cost, version), (_, _, at, usage) in zip(rows, cases * 2, strict=True):
        expected = official_cost_usd(str(provider), str(model), at, usage)
        assert cost == pytest.approx(expected, rel=1e-9, abs=1e-15), (provider, model, at, usage)
        assert version == price_list_version()
    assert len(cases) > 400
    assert len({cost for _, _, cost, _ in rows}) > 200


@pytest.mark.parametrize("status", ["hit", "semantic_hit", "Hit"])
def test_an_answer_from_the_services_own_cache_costs_nothing(pipeline: Pipeline, status: str) -> None:
    said = {
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.operation.name": "chat",
    }
    for number, model in enumerate(["gpt-4o", "gpt-4o", "no-such-model"]):
        cached = {**said, "gen_ai.request.model": model, "gnomon.cache.status": status}
        pipeline.send(request([span(number, hour_ago_ns(), cached)]))
    assert pipeline.rows("SELECT cost_usd, price_version FROM spans") == [(0.0, "app cache")] * 3
    missed = {**said, "gen_ai.request.model": "gpt-4o", "gnomon.cache.status": "miss"}
    pipeline.send(request([span(9, hour_ago_ns(), missed)]))
    assert pipeline.value("SELECT sum(cost_usd) FROM spans") == pytest.approx(0.0025)


def test_otel_names_of_providers_are_understood() -> None:
    known = {provider.id for provider in get_snapshot().providers}
    assert set(PROVIDER_IDS.values()) - known == {"ibm"}  # of whom the list has no models
    assert price_periods("azure.ai.openai", "gpt-4o") == price_periods("azure", "gpt-4o") != []
    assert price_periods("", "gpt-4o-mini") != []
    assert (
        price_periods("", "text-embedding-3-small") == price_periods("openai", "text-embedding-3-small") != []
    )
    assert price_periods("", "llama-3.3-70b-in-our-cellar") == []


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"gen_ai.request.model": "no-such-model-anywhere", "gen_ai.usage.input_tokens": 5}, "generation"),
        ({"gen_ai.request.model": "gpt-4o-mini"}, "generation"),
        ({"gen_ai.usage.input_tokens": 5}, "generation"),
        (
            {
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.usage.input_tokens": 5,
                "gen_ai.operation.name": "invoke_agent",
            },
            "agent",
        ),
    ],
    ids=["unknown model", "no usage", "no model", "an agent"],
)
def test_no_price_is_null_and_not_zero(pipeline: Pipeline, attributes: dict[str, object], kind: str) -> None:
    sent = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", **attributes}
    pipeline.send(request([span(1, hour_ago_ns(), sent)]), request([span(2, hour_ago_ns(), sent)]))
    rows = pipeline.rows("SELECT kind, cost_usd, price_version FROM spans")
    assert rows == [(kind, None, "")] * 2


def test_a_reported_cost_is_kept_apart(pipeline: Pipeline) -> None:
    sent = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "OpenAI",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1_000_000,
        "gen_ai.usage.cost": 99.5,
    }
    pipeline.send(request([span(1, hour_ago_ns(), sent)]))
    assert pipeline.rows("SELECT provider, cost_usd, cost_reported_usd FROM spans") == [
        ("openai", 0.15, 99.5)
    ]


def test_the_price_list_is_asked_once_for_each_model(pipeline: Pipeline) -> None:
    asked: list[tuple[str, str]] = []

    def price_list(provider: str, model: str) -> list[Any]:
        asked.append((provider, model))
        return price_periods(provider, model)

    counting = Pipeline(pipeline.store, pipeline.inbox._path.with_name("counting.sqlite"), price_list)
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1}
    for number, model in enumerate(["gpt-4o", "no-such-model", "gpt-4o", "no-such-model"]):
        counting.send(request([span(number, hour_ago_ns(), {**attributes, "gen_ai.request.model": model})]))
    counting.inbox.close()
    assert asked == [("", "gpt-4o"), ("", "no-such-model")]


def test_hundreds_of_unknown_models_are_one_write(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that makes model names up must not hold up the others."""
    writes: list[str] = []
    real = Store.insert_rows

    def insert_rows(store: Store, table: str, *rest: Any) -> None:
        writes.append(table)
        real(store, table, *rest)

    monkeypatch.setattr(Store, "insert_rows", insert_rows)
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1}
    pipeline.send(
        request(
            span(n, hour_ago_ns(), {**attributes, "gen_ai.request.model": f"made-up-{n}"}) for n in range(300)
        )
    )
    assert writes == ["model_prices"]
    assert pipeline.value("SELECT count() FROM model_prices") == 300


def test_calls_of_all_days_of_a_batch_are_priced(pipeline: Pipeline) -> None:
    attributes = {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 10}
    pipeline.send(request(span(day, hour_ago_ns() - day * DAY_NS, attributes) for day in range(5)))
    assert pipeline.rows("SELECT count(), count(cost_usd) FROM calls") == [(5, 5)]
