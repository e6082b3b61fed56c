"""Dialects are data: the files load, mistakes in them are found, and every alias works."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from tests.ingest.payloads import hour_ago_ns, request, span
from tests.ingest.pipeline import Pipeline

import gnomon_schemas.dialects as dialects
from gnomon_schemas import attributes
from gnomon_schemas.dialects import FIELDS, ORDER, Dialect, load_dialects

BY_ID = {dialect.id: dialect for dialect in load_dialects()}


def test_every_file_is_loaded() -> None:
    folder = files("gnomon_schemas.dialects")
    assert {entry.name for entry in folder.iterdir() if entry.name.endswith(".toml")} == {
        f"{name}.toml" for name in ORDER
    }
    assert len(BY_ID) == len(ORDER)


@pytest.mark.parametrize("dialect", load_dialects(), ids=lambda dialect: dialect.id)
def test_a_dialect_says_how_it_is_known_and_uses_words_that_exist(dialect: Dialect) -> None:
    assert dialect.title
    assert dialect.scopes or dialect.attributes
    assert set(dialect.operations.values()) <= set(attributes.SPAN_KINDS)
    assert all(dialect.fields.values())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the dialects that a test may spoil."""
    for entry in files("gnomon_schemas.dialects").iterdir():
        if entry.name.endswith(".toml"):
            (tmp_path / entry.name).write_text(entry.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(dialects, "files", lambda _: tmp_path)
    load_dialects.cache_clear()
    yield tmp_path
    load_dialects.cache_clear()


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_field_nobody_knows_is_refused(folder: Path) -> None:
    spoil(folder / "otel_genai.toml", "[fields]\n", '[fields]\ninputt_tokens = ["x"]\n')
    with pytest.raises(
        ValueError, match=r"otel_genai\.toml: unknown fields \['inputt_tokens'\]; known are kind"
    ):
        load_dialects()


def test_a_scope_that_a_later_dialect_takes_by_its_beginning_is_refused(folder: Path) -> None:
    spoil(folder / "sentry.toml", 'scopes = ["sentry.*"]', 'scopes = ["sentry.*", "langfuse*"]')
    with pytest.raises(ValueError, match="scope langfuse-sdk of langfuse is also one of sentry"):
        load_dialects()


def test_the_copy_as_it_is_loads(folder: Path) -> None:
    assert [dialect.id for dialect in load_dialects()] == list(BY_ID)


MESSAGES = '[{"role":"user","parts":[{"type":"text","content":"hello"}]}]'
ANSWERS = '[{"role":"assistant","parts":[{"type":"text","content":"hello"}],"finish_reason":"stop"}]'
DOCUMENTS = '[{"id":"d1","content":"text","score":0.5}]'

# Field -> the column it fills, what is sent, what is in the column then.
SAID: dict[str, tuple[str, object, object]] = {
    "kind": ("kind", "tool", "tool"),
    "status": ("status", "cancelled", "cancelled"),
    "operation": ("operation", "chat", "chat"),
    "provider": ("provider", "OpenAI", "openai"),
    "request_model": ("request_model", "gpt-4o", "gpt-4o"),
    "response_model": ("response_model", "gpt-4o-2024", "gpt-4o-2024"),
    "response_id": ("response_id", "r-1", "r-1"),
    "error_type": ("error_type", "openai.RateLimitError", "RateLimitError"),
    "error_code": ("error_code", 429, 429),
    "stream": ("stream", True, True),
    "ttft_s": ("ttft_ms", 0.25, 250.0),
    "finish_reasons": ("finish_reason", ["tool_calls"], "tool_call"),
    "input_tokens": ("input_tokens", 11, 11),
    "output_tokens": ("output_tokens", 12, 12),
    "cache_read_tokens": ("cache_read_tokens", 3, 3),
    "cache_write_tokens": ("cache_write_tokens", 4, 4),
    "reasoning_tokens": ("reasoning_tokens", 5, 5),
    "service_tier": ("service_tier", "flex", "flex"),
    "cost_reported_usd": ("cost_reported_usd", 0.125, 0.125),
    "session_id": ("session_id", "s", "s"),
    "user_id": ("user_id", "u", "u"),
    "company_id": ("company_id", "c", "c"),
    "tags": ("tags", ["a", "b"], ["a", "b"]),
    "prompt_name": ("prompt_name", "greeting", "greeting"),
    "prompt_version": ("prompt_version", "7", "7"),
    "cache_status": ("cache_status", "semantic_hit", "semantic_hit"),
    "cache_similarity": ("cache_similarity", 0.75, 0.75),
    "attempt": ("attempt", 2, 2),
    "fallback_of": ("fallback_of", "gpt-4o", "gpt-4o"),
    "fallback_reason": ("fallback_reason", "timeout", "timeout"),
    "input_messages": ("input_text", MESSAGES, "hello"),
    "output_messages": ("output_text", ANSWERS, "hello"),
    "input": ("input_text", '{"city":"Rome"}', '{"city":"Rome"}'),
    "output": ("output_text", "sunny", "sunny"),
    "retrieval_query": ("retrieval_query", "why?", "why?"),
    "documents": ("documents", DOCUMENTS, [("d1", "text", 0.5)]),
}
ALIASES = [
    (dialect, field, source)
    for dialect in ("gnomon", "otel-genai")
    for field, sources in BY_ID[dialect].fields.items()
    for source in sources
]


def stored(value: object) -> object:
    """Return a value of the database so that it compares: named tuples may come as dicts."""
    if isinstance(value, list):
        return [stored(each) for each in value]
    return tuple(value.values()) if isinstance(value, dict) else value


def test_every_alias_of_gnomon_and_otel_fills_its_column(pipeline: Pipeline) -> None:
    start_ns = hour_ago_ns()
    assert {field for _, field, _ in ALIASES} <= set(SAID) <= set(FIELDS)
    pipeline.send(
        request(
            (span(n, start_ns, {source: SAID[field][1]}) for n, (_, field, source) in enumerate(ALIASES)),
            scope="any.service",
        )
    )
    columns = sorted({column for column, _, _ in SAID.values()})
    rows = pipeline.store.query(f"SELECT {', '.join(columns)} FROM spans ORDER BY span_id").dicts()
    wrong = [
        (source, column, row[column])
        for row, (_, field, source) in zip(rows, ALIASES, strict=True)
        for column, _, expected in [SAID[field]]
        if stored(row[column]) != expected
    ]
    assert wrong == []


GENERATIONS: dict[str, dict[str, object]] = {
    "v1.27 to v1.30": {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.usage.prompt_tokens": 100,
        "gen_ai.usage.completion_tokens": 10,
    },
    "v1.37 and later": {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
    },
}


@pytest.mark.parametrize("said", GENERATIONS.values(), ids=list(GENERATIONS))
@pytest.mark.parametrize("scope", ["opentelemetry.instrumentation.openai_v2", "somebody's own"])
def test_both_generations_of_a_call(pipeline: Pipeline, said: dict[str, object], scope: str) -> None:
    pipeline.send(request([span(1, hour_ago_ns(), said)], scope=scope))
    rows = pipeline.rows(
        "SELECT dialect, kind, operation, provider, model, input_tokens, output_tokens, round(cost_usd * 1e6, 6)"
        " FROM calls"
    )
    assert rows == [("otel-genai", "generation", "chat", "openai", "gpt-4o-mini-2024-07-18", 100, 10, 15 + 6)]


def test_where_both_generations_speak_the_newer_is_heard(pipeline: Pipeline) -> None:
    older, newer = GENERATIONS.values()
    said = {**newer, **{key: value for key, value in older.items() if key not in newer}}
    said |= {"gen_ai.usage.prompt_tokens": 1, "gen_ai.usage.completion_tokens": 1, "gen_ai.system": "other"}
    for number, order in enumerate([said, dict(reversed(said.items()))]):
        pipeline.send(request([span(number, hour_ago_ns(), order)]))
    rows = pipeline.rows("SELECT provider, input_tokens, output_tokens FROM spans")
    assert rows == [("openai", 100, 10)] * 2


@pytest.mark.parametrize("word", sorted(BY_ID["otel-genai"].operations))
def test_operations_have_kinds(pipeline: Pipeline, word: str) -> None:
    pipeline.send(request([span(1, hour_ago_ns(), {"gen_ai.operation.name": word})]))
    assert pipeline.value("SELECT kind FROM spans") == BY_ID["otel-genai"].operations[word]


@pytest.mark.parametrize(
    ("sent", "stored_count"),
    [(7, 7), (7.0, 7), ("7", 7), (0, 0), (-1, None), (7.5, None), ("", None), ("many", None), (True, None)],
)
def test_counts_come_as_any_type(pipeline: Pipeline, sent: object, stored_count: int | None) -> None:
    pipeline.send(request([span(1, hour_ago_ns(), {"gen_ai.usage.input_tokens": sent})]))
    assert pipeline.value("SELECT input_tokens FROM spans") == stored_count
