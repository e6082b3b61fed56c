"""Samples of calls for drift of texts and vectors, and examples that explain a drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from gnomon_collector.store.drift_catalogue import Feature
from gnomon_collector.store.drift_features import ROWS
from gnomon_collector.store.drift_windows import DimensionSet
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_list, as_time
from gnomon_collector.store.queries.filters import Parameters

TextField = Literal["input_text", "output_text"]

MOST_CHARS: Final = 1000
EXAMPLE_CHARS: Final = 300
_CALLS_A_SESSION: Final = 20
_SESSION: Final = "sipHash64(if(session_id != '', session_id, trace_id))"
_VECTOR_KEYS: Final = "'embedding.embeddings.0.embedding.vector', 'mlflow.spanOutputs', 'ai.embedding'"
_VECTOR: Final = (
    "multiIf("
    "mapContains(attributes, 'embedding.embeddings.0.embedding.vector'),"
    " JSONExtract(attributes['embedding.embeddings.0.embedding.vector'], 'Array(Float32)'),"
    " mapContains(attributes, 'ai.embedding'), JSONExtract(attributes['ai.embedding'], 'Array(Float32)'),"
    " JSONExtract(attributes['mlflow.spanOutputs'], 'data', 1, 'embedding', 'Array(Float32)'))"
)


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a call, and where it stands. Long ones are cut."""

    trace_id: str
    span_id: str
    time: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Vector:
    """An embedding as its SDK captured it, and where it stands."""

    trace_id: str
    span_id: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A call that shows what changed: the ends of its texts are cut."""

    trace_id: str
    span_id: str
    time: datetime
    input_text: str
    output_text: str
    fact: str


def texts(
    store: Store, project: str, dimension_set: DimensionSet, field: TextField, start: datetime, end: datetime,
    limit: int,
) -> list[Text]:  # fmt: skip
    """Return a sample of the texts of ``[start, end)`` (UTC), one of each session.

    The sample is the same whenever it is drawn: the sessions with the smallest hash. One text a session keeps
    a talkative user from looking like a change of the world.
    """
    where, parameters = _where(project, dimension_set, start, end)
    # Of millions of calls only some sessions are sorted: enough of them for sessions of up to 20 calls.
    rows = store.query(
        f"""
        WITH (SELECT count() FROM ({ROWS["calls"]} {where})) AS everything,
            toUInt64(1e6 * least(1, {_CALLS_A_SESSION} * {{limit:UInt32}} / greatest(1, everything))) AS drawn
        SELECT trace_id, span_id, start_time, substringUTF8({field}, 1, {MOST_CHARS})
        FROM ({ROWS["calls"]} {where} AND {field} != '' AND status = 'ok')
        WHERE {_SESSION} % 1000000 < drawn
        ORDER BY {_SESSION} % 1000000, {_SESSION}, start_time, span_id
        LIMIT 1 BY {_SESSION}
        LIMIT {{limit:UInt32}}
        """,  # noqa: S608 (a name from a Literal, and constants of the store)
        {**parameters, "limit": limit},
    ).rows
    return [Text(str(trace), str(span), as_time(time), str(text)) for trace, span, time, text in rows]


def vectors(store: Store, project: str, start: datetime, end: datetime, limit: int) -> list[Vector]:
    """Return a sample of the embeddings in ``[start, end)`` (UTC), those that an SDK captured.

    OpenInference, MLflow and Vercel's SDK carry them; the first vector of a request is taken. Vectors of
    another length than most are left out.
    """
    where, parameters = _where(project, DimensionSet(), start, end)
    rows = store.query(
        f"""
        SELECT trace_id, span_id, {_VECTOR} AS vector
        FROM spans
        WHERE kind = 'embedding' AND {where} AND hasAny(mapKeys(attributes), [{_VECTOR_KEYS}]) AND notEmpty(vector)
        ORDER BY sipHash64(trace_id, span_id)
        LIMIT {{limit:UInt32}}
        """,  # noqa: S608 (constants of this module)
        {**parameters, "limit": limit},
    ).rows
    found = [
        Vector(str(trace), str(span), tuple(map(as_float, as_list(values)))) for trace, span, values in rows
    ]
    return _of_one_length(found)


def examples(
    store: Store, project: str, dimension_set: DimensionSet, feature: Feature, keys: Sequence[str],
    start: datetime, end: datetime, limit: int = 5,
) -> list[Example]:  # fmt: skip
    """Return calls of ``[start, end)`` (UTC) that fell into some buckets or categories of a feature.

    Args:
        keys: bucket numbers (1-based) as text, or categories.
    """
    where, parameters = _where(project, dimension_set, start, end)
    sql = f"""
        SELECT trace_id, span_id, start_time, substringUTF8(input_text, 1, {EXAMPLE_CHARS}),
            substringUTF8(output_text, 1, {EXAMPLE_CHARS}), toString({feature.sql}) AS fact
        FROM ({ROWS[feature.source]} {where})
        WHERE fact IN {{keys:Array(String)}}
        ORDER BY start_time DESC, span_id
        LIMIT {{limit:UInt32}}
    """  # noqa: S608 (expressions of the catalogue, and constants of the store)
    rows = store.query(sql, {**parameters, "keys": list(keys), "limit": limit}).rows
    return [_example(row) for row in rows]


def calls_by_id(store: Store, project: str, spans: Sequence[tuple[str, str]]) -> list[Example]:
    """Return the calls with these (trace id, span id), in that order; those that are gone are left out."""
    rows = store.query(
        f"""
        SELECT trace_id, span_id, start_time, substringUTF8(input_text, 1, {EXAMPLE_CHARS}),
            substringUTF8(output_text, 1, {EXAMPLE_CHARS}), ''
        FROM spans
        WHERE project = {{project:String}} AND trace_id IN {{traces:Array(String)}}
        """,  # noqa: S608 (a constant)
        {"project": project, "traces": [trace for trace, _ in spans]},
    ).rows
    found = {(one.trace_id, one.span_id): one for one in map(_example, rows)}
    return [found[key] for key in spans if key in found]


def _where(
    project: str, dimension_set: DimensionSet, start: datetime, end: datetime
) -> tuple[str, Parameters]:
    parameters: Parameters = {"project": project, "start": _nanoseconds(start), "end": _nanoseconds(end)}
    conditions = [
        "project = {project:String}",
        "start_time >= fromUnixTimestamp64Nano({start:Int64}, 'UTC')",
        "start_time < fromUnixTimestamp64Nano({end:Int64}, 'UTC')",
    ]
    for column, name, value in (
        ("service_name", "service", dimension_set.service_name),
        ("if(request_model != '', request_model, response_model)", "asked", dimension_set.model),
        ("prompt_name", "prompt", dimension_set.prompt_name),
        ("prompt_version", "prompt_version", dimension_set.prompt_version),
    ):
        if value:
            conditions.append(f"{column} = {{{name}:String}}")
            parameters[name] = value
    return " AND ".join(conditions), parameters


def _example(row: tuple[object, ...]) -> Example:
    trace, span, time, question, answer, fact = row
    return Example(str(trace), str(span), as_time(time), str(question), str(answer), str(fact))


def _of_one_length(found: Sequence[Vector]) -> list[Vector]:
    lengths = [len(one.values) for one in found]
    usual = max(set(lengths), key=lengths.count) if lengths else 0
    return [one for one in found if len(one.values) == usual]


def _nanoseconds(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp()) * 10**9
