"""One trace: its spans for the waterfall, one span in full, and its scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import (
    as_int,
    as_list,
    as_map,
    as_numbers,
    as_time,
    optional_float,
    optional_int,
)
from gnomon_collector.store.queries.trace_columns import IS_CALL, MODEL

MOST_SPANS: Final = 20_000


@dataclass(frozen=True, slots=True)
class SpanRow:
    """What the waterfall shows of a span. Times in Unix nanoseconds."""

    span_id: str
    parent_span_id: str
    start_ns: int
    duration_ns: int
    name: str
    kind: str
    service: str
    status: str
    model: str
    tokens: int
    cost_usd: float | None
    is_call: bool


@dataclass(frozen=True, slots=True)
class Document:
    """A retrieved document."""

    id: str
    content: str
    score: float | None


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a span."""

    time: datetime
    name: str
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class SpanDetail:
    """A span in full; the fields are the columns of `spans` (DATA_MODEL)."""

    trace_id: str
    span_id: str
    parent_span_id: str
    start_time: datetime
    duration_ns: int
    name: str
    kind: str
    operation: str
    dialect: str
    scope_name: str
    scope_version: str
    service_name: str
    environment: str
    release: str
    provider: str
    request_model: str
    response_model: str
    response_id: str
    status: str
    error_type: str
    error_code: int | None
    status_message: str
    stream: bool | None
    ttft_ms: float | None
    finish_reason: str
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    usage_details: dict[str, float]
    service_tier: str
    usage_source: str
    cost_usd: float | None
    cost_reported_usd: float | None
    price_version: str
    session_id: str
    user_id: str
    company_id: str
    tags: list[str]
    prompt_name: str
    prompt_version: str
    cache_status: str
    cache_similarity: float | None
    attempt: int | None
    fallback_of: str
    fallback_reason: str
    language: str
    input_text: str
    output_text: str
    retrieval_query: str
    documents: list[Document]
    metadata: dict[str, str]
    attributes: dict[str, str]
    resource: dict[str, str]
    events: list[Event]
    data_flags: list[str]
    duplicate_of: str


@dataclass(frozen=True, slots=True)
class Score:
    """One judgement of the trace or of one of its spans (`span_id` empty: of the whole trace)."""

    span_id: str
    name: str
    value: float | None
    label: str
    comment: str
    source: str
    author: str
    created_at: datetime


def spans(store: Store, project: str, trace_id: str) -> list[SpanRow]:
    """Return the spans of a trace by start time, at most `MOST_SPANS`; empty when there is no such trace."""
    result = store.query(
        f"""
        SELECT
            span_id, parent_span_id, toUnixTimestamp64Nano(start_time), duration_ns, name, kind, service_name,
            status, {MODEL}, ifNull(input_tokens, 0) + ifNull(output_tokens, 0), cost_usd, {IS_CALL}
        FROM spans
        WHERE project = {{project:String}} AND trace_id = {{trace_id:String}}
        ORDER BY start_time, span_id
        LIMIT 1 BY span_id
        LIMIT {MOST_SPANS}
        """,  # noqa: S608 (constants of this package)
        {"project": project, "trace_id": trace_id},
    )
    return [_span_row(row) for row in result.rows]


def span(store: Store, project: str, trace_id: str, span_id: str) -> SpanDetail | None:
    """Return one span in full, or None when there is no such span."""
    names = [field.name for field in fields(SpanDetail)]
    result = store.query(
        f"""
        SELECT {", ".join(names)}
        FROM spans
        WHERE project = {{project:String}} AND trace_id = {{trace_id:String}} AND span_id = {{span_id:String}}
        LIMIT 1
        """,  # noqa: S608 (the field names of a class of this module)
        {"project": project, "trace_id": trace_id, "span_id": span_id},
    )
    return _span_detail(dict(zip(names, result.rows[0], strict=True))) if result.rows else None


def scores(store: Store, project: str, trace_id: str) -> list[Score]:
    """Return the scores of a trace and of its spans, oldest first."""
    result = store.query(
        """
        SELECT span_id, name, value, label, comment, source, author, created_at
        FROM scores FINAL
        WHERE project = {project:String} AND trace_id = {trace_id:String}
        ORDER BY created_at, score_id
        LIMIT 500
        """,
        {"project": project, "trace_id": trace_id},
    )
    return [
        Score(
            str(span_id),
            str(name),
            optional_float(value),
            str(label),
            str(comment),
            str(source),
            str(author),
            as_time(at),
        )
        for span_id, name, value, label, comment, source, author, at in result.rows
    ]


def _span_row(row: tuple[object, ...]) -> SpanRow:
    span_id, parent, start, duration, name, kind, service, status, model, tokens, cost, is_call = row
    return SpanRow(
        span_id=str(span_id),
        parent_span_id=str(parent),
        start_ns=as_int(start),
        duration_ns=as_int(duration),
        name=str(name),
        kind=str(kind),
        service=str(service),
        status=str(status),
        model=str(model),
        tokens=as_int(tokens),
        cost_usd=optional_float(cost),
        is_call=bool(is_call),
    )


_CONVERTERS: Final[dict[str, Callable[[object], Any]]] = {
    "datetime": as_time,
    "int": as_int,
    "int | None": optional_int,
    "float | None": optional_float,
    "bool | None": lambda value: None if value is None else bool(value),
    "list[str]": lambda value: [str(item) for item in as_list(value)],
    "dict[str, str]": as_map,
    "dict[str, float]": as_numbers,
    "list[Document]": lambda value: [_document(item) for item in as_list(value)],
    "list[Event]": lambda value: [_event(item) for item in as_list(value)],
    "str": str,
}


def _span_detail(row: dict[str, object]) -> SpanDetail:
    return SpanDetail(
        **{field.name: _CONVERTERS[str(field.type)](row[field.name]) for field in fields(SpanDetail)}
    )


def _parts(value: object, names: tuple[str, ...]) -> list[object]:
    """The members of a named tuple cell, which the driver gives as a dictionary or as a tuple."""
    return [value[name] for name in names] if isinstance(value, dict) else as_list(value)


def _document(value: object) -> Document:
    document_id, content, score = _parts(value, ("id", "content", "score"))
    return Document(str(document_id), str(content), optional_float(score))


def _event(value: object) -> Event:
    time, name, attributes = _parts(value, ("time", "name", "attributes"))
    return Event(as_time(time), str(name), as_map(attributes))
