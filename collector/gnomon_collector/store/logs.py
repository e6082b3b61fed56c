"""Log records: kept, and written onto the spans they belong to.

Every step can be cut off and done again: a record is kept once, contents are a function of the records, and
setting them on a span twice does no harm. So a log may come before its span, minutes apart or over a restart:
whichever comes second finds the first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, cast

from gnomon_collector.store.engine import Store
from gnomon_collector.store.ingest import RECEIVED_WITH, Batch, received_between, with_neighbours
from gnomon_schemas.dialects import with_trait
from gnomon_schemas.language import call_language
from gnomon_schemas.sqltext import one_of, strings

CONTENT_EVENTS: Final = (
    "gen_ai.system.message",
    "gen_ai.user.message",
    "gen_ai.assistant.message",
    "gen_ai.tool.message",
    "gen_ai.choice",
    "gen_ai.client.inference.operation.details",
)
"""Events that say what was asked and answered in a call (OpenTelemetry GenAI v1.30, v1.37 and after)."""

INPUT_FROM_LOGS: Final = "input_from_logs"
OUTPUT_FROM_LOGS: Final = "output_from_logs"
FINISH_FROM_LOGS: Final = "finish_from_logs"

# How far a log record's time may be from the start of its span: longer than any call runs, and than clocks differ.
_REACH_NS: Final = 86_400 * 10**9
_KEYS_AT_ONCE: Final = 500
_RECORD_COLUMNS: Final = (
    "project",
    "time",
    "record_id",
    "position",
    "trace_id",
    "span_id",
    "event_name",
    "severity_number",
    "severity_text",
    "service_name",
    "environment",
    "scope_name",
    "scope_version",
    "body",
    "attributes",
    "resource",
    "received_at",
)
_CONTENT_COLUMNS: Final = (
    "project",
    "trace_id",
    "span_id",
    "input_text",
    "output_text",
    "finish_reason",
    "input_attributes",
    "output_attributes",
    "data_flags",
    "records",
    "received_at",
)

_STORED = """
SELECT record_id FROM log_records
WHERE project = {project:String} AND time BETWEEN fromUnixTimestamp64Nano({earliest_ns:Int64}, 'UTC')
        AND fromUnixTimestamp64Nano({latest_ns:Int64}, 'UTC')
    AND record_id IN {ids:Array(String)}
"""

_ERASED = """
SELECT DISTINCT trace_id FROM erased_traces
WHERE project = {project:String} AND trace_id IN {traces:Array(String)}
"""

_RECORDS_OF_SPANS = f"""
SELECT {", ".join(_RECORD_COLUMNS[1:])}
FROM (
    SELECT * REPLACE (toUnixTimestamp64Nano(time) AS time, toUnixTimestamp64Nano(received_at) AS received_at)
    FROM log_records
    WHERE project = {{project:String}} AND trace_id IN {{traces:Array(String)}}
        AND concat(trace_id, ':', span_id) IN {{keys:Array(String)}}
        AND event_name IN ({strings(CONTENT_EVENTS)})
    LIMIT 1 BY record_id
)
ORDER BY time, position, record_id
"""  # noqa: S608  (column names of this module)

_SPANS_OF_LOGS = """
SELECT concat(trace_id, ':', span_id) AS key, toStartOfMinute(start_time) AS minute,
    toUnixTimestamp64Nano(received_at) AS received_at_ns
FROM spans
WHERE project = {project:String} AND trace_id IN {traces:Array(String)}
    AND start_time BETWEEN fromUnixTimestamp64Nano({earliest_ns:Int64}, 'UTC')
        AND fromUnixTimestamp64Nano({latest_ns:Int64}, 'UTC')
    AND key IN {keys:Array(String)}
"""

_PROJECTS_WITH_CONTENTS = (
    "SELECT DISTINCT project FROM span_contents WHERE project IN {projects:Array(String)}"
)

_OF_BATCH = f"""
FROM spans
WHERE project = {{project:String}} AND toStartOfMinute(start_time) IN {{minutes:Array(DateTime('UTC'))}}
    AND {RECEIVED_WITH}"""

# By the batch's traces, for which `span_contents` has an index: it may hold a month of contents.
_SPANS_WITH_CONTENTS = f"""
SELECT concat(trace_id, ':', span_id) AS key, toStartOfMinute(start_time) AS minute
{_OF_BATCH} AND (trace_id, span_id) IN (
    SELECT trace_id, span_id FROM span_contents
    WHERE project = {{project:String}} AND trace_id IN (SELECT trace_id {_OF_BATCH}))
"""  # noqa: S608

_KEY = "concat(trace_id, ':', span_id)"
_WANTED = f"""(SELECT * FROM span_contents FINAL
    WHERE project = {{project:String}} AND {_KEY} IN {{keys:Array(String)}} ORDER BY trace_id, span_id)"""  # noqa: S608


def _of_content(column: str) -> str:
    """SQL for a column of the row of `span_contents` that belongs to a row of `spans`.

    Scalar subqueries, because an update cannot join; both see the same rows in the same order.
    """
    return f"(SELECT groupArray({column}) FROM {_WANTED})[indexOf((SELECT groupArray({_KEY}) FROM {_WANTED}), {_KEY})]"  # noqa: S608


def _takes(flag: str, missing: str, given: str) -> str:
    return f"({given} AND (has(data_flags, '{flag}') OR {missing}))"


# What a span says itself stands; what it has from logs is replaced when more of them have come.
_TAKES_INPUT = _takes(
    INPUT_FROM_LOGS,
    "input_text = '' AND NOT mapContains(attributes, 'gen_ai.input.messages')",
    f"notEmpty({_of_content('input_attributes')})",
)
_TAKES_OUTPUT = _takes(
    OUTPUT_FROM_LOGS,
    "output_text = '' AND NOT mapContains(attributes, 'gen_ai.output.messages')",
    f"notEmpty({_of_content('output_attributes')})",
)
_TAKES_FINISH = _takes(FINISH_FROM_LOGS, "finish_reason = ''", f"{_of_content('finish_reason')} != ''")
_NO_ATTRIBUTES = "CAST(map(), 'Map(LowCardinality(String), String)')"
_ADDED = (
    f"mapConcat(if({_TAKES_INPUT}, {_of_content('input_attributes')}, {_NO_ATTRIBUTES}),"
    f" if({_TAKES_OUTPUT}, {_of_content('output_attributes')}, {_NO_ATTRIBUTES}))"
)
_FLAGS = (
    f"arrayConcat(if({_TAKES_INPUT}, ['{INPUT_FROM_LOGS}'], []),"
    f" if({_TAKES_OUTPUT}, ['{OUTPUT_FROM_LOGS}'], []), if({_TAKES_FINISH}, ['{FINISH_FROM_LOGS}'], []),"
    f" if({_TAKES_INPUT} OR {_TAKES_OUTPUT}, {_of_content('data_flags')}, []))"
)

_LANGUAGE = call_language(_of_content("input_text"), _of_content("output_text"))

_SET_CONTENTS = f"""
UPDATE spans SET
    input_text = if({_TAKES_INPUT}, {_of_content("input_text")}, input_text),
    output_text = if({_TAKES_OUTPUT}, {_of_content("output_text")}, output_text),
    language = if({_TAKES_INPUT}, {_LANGUAGE}, language),
    finish_reason = if({_TAKES_FINISH}, {_of_content("finish_reason")}, finish_reason),
    status = if({_TAKES_FINISH} AND status = 'ok' AND {_of_content("finish_reason")} = 'error',
        if({one_of("dialect", with_trait("finish_error_is_abort"))}, 'cancelled', 'error'), status),
    attributes = mapUpdate(attributes, {_ADDED}),
    attribute_types = arrayConcat(attribute_types, CAST(arrayMap(k -> 'string',
        arrayFilter(k -> NOT mapContains(attributes, k), mapKeys({_ADDED}))), toTypeName(attribute_types))),
    data_flags = arrayDistinct(arrayConcat(data_flags, {_FLAGS}))
WHERE project = {{project:String}} AND toStartOfMinute(start_time) IN {{minutes:Array(DateTime('UTC'))}}
    AND {_KEY} IN {{keys:Array(String)}}
"""  # noqa: S608

_UPDATE_SETTINGS: Final[Mapping[str, object]] = {"enable_lightweight_update": 1}

Key = str
"""``trace_id:span_id``"""


@dataclass(frozen=True)
class LogRecord:
    """A row of `log_records` but for its project.

    Attributes:
        time, received_at: nanoseconds since 1970; when it happened, when it was taken in
        position: place in its request
        attributes, resource: texts by name
    """

    time: int
    record_id: str
    position: int
    trace_id: str
    span_id: str
    event_name: str
    severity_number: int
    severity_text: str
    service_name: str
    environment: str
    scope_name: str
    scope_version: str
    body: str
    attributes: Mapping[str, str]
    resource: Mapping[str, str]
    received_at: int

    @property
    def key(self) -> Key:
        """The span that it belongs to."""
        return f"{self.trace_id}:{self.span_id}"


@dataclass(frozen=True)
class SpanContent:
    """What the log records of a span say together.

    Attributes:
        input_attributes, output_attributes: by the names that they have on spans
        data_flags: what had to be cut
        records: how many records say so
    """

    input_text: str = ""
    output_text: str = ""
    finish_reason: str = ""
    input_attributes: Mapping[str, str] = field(default_factory=dict)
    output_attributes: Mapping[str, str] = field(default_factory=dict)
    data_flags: Sequence[str] = ()
    records: int = 0


def without_erased(store: Store, project: str, records: Sequence[LogRecord]) -> list[LogRecord]:
    """Leave out what belongs to traces that were erased, so that a replay brings nothing back."""
    erased: set[str] = set()
    for traces in _chunks(sorted({record.trace_id for record in records} - {""})):
        rows = store.query(_ERASED, {"project": project, "traces": traces}).rows
        erased |= {str(trace_id) for (trace_id,) in rows}
    return [record for record in records if record.trace_id not in erased]


def insert_log_records(store: Store, project: str, records: Sequence[LogRecord]) -> int:
    """Insert the records that are not there yet and return how many those were."""
    by_id = {record.record_id: record for record in records}
    times = [record.time for record in records]
    stored: set[str] = set()
    for ids in _chunks(sorted(by_id)):
        parameters = {"project": project, "ids": ids, "earliest_ns": min(times), "latest_ns": max(times)}
        stored |= {str(record_id) for (record_id,) in store.query(_STORED, parameters).rows}
    rows = [_record_row(project, record) for id_, record in by_id.items() if id_ not in stored]
    store.insert_rows("log_records", _RECORD_COLUMNS, rows)
    return len(rows)


def _record_row(project: str, record: LogRecord) -> tuple[object, ...]:
    return (project, *(getattr(record, name) for name in _RECORD_COLUMNS[1:]))


def content_records(store: Store, project: str, keys: Collection[Key]) -> dict[Key, list[LogRecord]]:
    """Return all records with contents of some spans, in their order."""
    found: dict[Key, list[LogRecord]] = {}
    for chunk in _chunks(sorted(keys)):
        traces = sorted({key.partition(":")[0] for key in chunk})
        for row in store.query(_RECORDS_OF_SPANS, {"project": project, "traces": traces, "keys": chunk}).rows:
            record = LogRecord(**cast("dict[str, object]", dict(zip(_RECORD_COLUMNS[1:], row, strict=True))))  # type: ignore[arg-type]
            found.setdefault(record.key, []).append(record)
    return found


def save_contents(store: Store, project: str, contents: Mapping[Key, SpanContent]) -> None:
    """Keep what log records say of spans, which may not be there yet."""
    now = datetime.now(UTC)
    rows = [_content_row(project, key, content, now) for key, content in contents.items()]
    store.insert_rows("span_contents", _CONTENT_COLUMNS, rows)


def _content_row(project: str, key: Key, content: SpanContent, now: datetime) -> tuple[object, ...]:
    trace_id, _, span_id = key.partition(":")
    texts = (content.input_text, content.output_text, content.finish_reason)
    maps = (dict(content.input_attributes), dict(content.output_attributes))
    return (project, trace_id, span_id, *texts, *maps, list(content.data_flags), content.records, now)


def enrich_spans_of_logs(
    store: Store, project: str, keys: Collection[Key], times_ns: Sequence[int]
) -> Batch | None:
    """Write contents onto those of the spans that are there already.

    Args:
        keys: of the spans
        times_ns: of their log records, nanoseconds since 1970

    Returns:
        The spans that changed, as a batch; None when there are none.
    """
    found: list[tuple[object, ...]] = []
    window = {"earliest_ns": min(times_ns) - _REACH_NS, "latest_ns": max(times_ns) + _REACH_NS}
    for chunk in _chunks(sorted(keys)):
        traces = sorted({key.partition(":")[0] for key in chunk})
        parameters = {"project": project, "traces": traces, "keys": chunk, **window}
        rows = store.query(_SPANS_OF_LOGS, parameters).rows
        _set_contents(store, project, rows)
        found += rows
    return _as_batch(project, found)


def _as_batch(project: str, spans: Sequence[tuple[object, ...]]) -> Batch | None:
    if not spans:
        return None
    received = [cast(int, received_at_ns) for *_, received_at_ns in spans]
    minutes = {cast(datetime, minute) for _, minute, _ in spans}
    return Batch("", [project], minutes, len(spans), min(received), max(received))


def enrich_spans_of_batch(store: Store, batch: Batch) -> set[tuple[str, datetime]]:
    """Write contents onto spans that came after their log records.

    Returns:
        Project and minute (UTC) of those spans.
    """
    projects = store.query(_PROJECTS_WITH_CONTENTS, {"projects": list(batch.projects)}).rows
    touched: set[tuple[str, datetime]] = set()
    for (project,) in projects:
        parameters: dict[str, object] = {"project": project, "minutes": with_neighbours(batch.minutes)}
        rows = store.query(_SPANS_WITH_CONTENTS, {**parameters, **received_between(batch)}).rows
        for chunk in (rows[start : start + _KEYS_AT_ONCE] for start in range(0, len(rows), _KEYS_AT_ONCE)):
            touched |= {(str(project), minute) for minute in _set_contents(store, str(project), chunk)}
    return touched


def _set_contents(store: Store, project: str, spans: Sequence[tuple[object, ...]]) -> set[datetime]:
    """Set contents on spans (key, minute and more) and return the minutes."""
    minutes = {cast(datetime, minute) for _, minute, *_ in spans}
    if spans:
        parameters: dict[str, object] = {
            "project": project,
            "keys": sorted({str(key) for key, *_ in spans}),
            "minutes": sorted(minutes),
        }
        store.command(_SET_CONTENTS, parameters, settings=_UPDATE_SETTINGS)
    return minutes


def _chunks(keys: Sequence[str]) -> list[list[str]]:
    return [list(keys[start : start + _KEYS_AT_ONCE]) for start in range(0, len(keys), _KEYS_AT_ONCE)]
