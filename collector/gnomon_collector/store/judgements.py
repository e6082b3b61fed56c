"""Judgements that instrumentations put into spans: span events of evaluations, and spans of Logfire's feedback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from gnomon_collector.store.engine import Store
from gnomon_collector.store.ingest import Batch, received_between, with_neighbours

_OF_BATCH: Final = """
    WHERE project IN {projects:Array(String)}
        AND toStartOfMinute(start_time) IN {minutes:Array(DateTime('UTC'))}
        AND received_at BETWEEN fromUnixTimestamp64Nano({first_received_at_ns:Int64}, 'UTC')
            AND fromUnixTimestamp64Nano({last_received_at_ns:Int64}, 'UTC')"""
_EVENTS: Final = f"""
SELECT project, trace_id, span_id, scope_name, toUnixTimestamp64Nano(event.time) AS time_ns,
    toUnixTimestamp64Nano(received_at) AS received_at_ns, event.attributes AS said
FROM spans
ARRAY JOIN events AS event
{_OF_BATCH} AND event.name = {{event:String}}
"""  # noqa: S608  (SQL of this module)
_SPANS: Final = f"""
SELECT project, trace_id, parent_span_id AS span_id, scope_name, toUnixTimestamp64Nano(start_time) AS time_ns,
    toUnixTimestamp64Nano(received_at) AS received_at_ns, attributes AS said
FROM spans
{_OF_BATCH} AND scope_name = {{scope:String}}
"""  # noqa: S608


@dataclass(frozen=True)
class Judgement:
    """What a span says of itself, of another span (`span_id`) or, where that is empty, of its trace.

    Attributes:
        time_ns, received_at_ns: nanoseconds since 1970
        said: attributes of the event or the span, as texts
    """

    project: str
    trace_id: str
    span_id: str
    scope_name: str
    time_ns: int
    received_at_ns: int
    said: Mapping[str, str]


def event_judgements(store: Store, batch: Batch, event: str) -> list[Judgement]:
    """Return the span events of a batch that have this name."""
    return _found(store, _EVENTS, batch, {"event": event})


def span_judgements(store: Store, batch: Batch, scope: str) -> list[Judgement]:
    """Return the spans of a batch that have this scope, as judgements of their parents."""
    return _found(store, _SPANS, batch, {"scope": scope})


def _found(store: Store, sql: str, batch: Batch, parameters: Mapping[str, object]) -> list[Judgement]:
    of_batch = {
        "projects": list(batch.projects),
        "minutes": with_neighbours(batch.minutes),
        **received_between(batch),
    }
    return [
        Judgement(
            str(row["project"]),
            str(row["trace_id"]),
            str(row["span_id"]),
            str(row["scope_name"]),
            cast(int, row["time_ns"]),
            cast(int, row["received_at_ns"]),
            cast("Mapping[str, str]", row["said"]),
        )
        for row in store.query(sql, {**of_batch, **parameters}).dicts()
    ]
