"""What the judge is to see of a task: the spans of its trace or session, references and feedback."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_int, as_list, as_map, as_time

LONGEST_TRACE: Final = timedelta(hours=6)
LONGEST_SESSION: Final = timedelta(days=2)
MOST_SPANS_OF_TRACE: Final = 200
REFERENCE_NAMES: Final = ("reference", "correction")
"""Names of scores whose comment is the right answer."""

_COLUMNS: Final = """trace_id, span_id, session_id, parent_span_id, start_time, kind, name, status,
    input_text, output_text, retrieval_query, documents, metadata, dialect,
    if({with_attributes}, attributes, map()) AS said"""

_SPANS: Final = """
SELECT {columns}
FROM spans
WHERE project = {{project:String}} AND start_time >= {{since:DateTime64(9)}} AND start_time <= {{until:DateTime64(9)}}
    AND {key} IN {{keys:Array(String)}} AND duplicate_of = ''
ORDER BY start_time, span_id
LIMIT {most} BY {key}
"""

_SCORES: Final = """
SELECT trace_id, span_id, session_id, name, source, value, label, comment, created_at
FROM scores FINAL
WHERE project = {project:String} AND trace_id IN {traces:Array(String)} AND source IN ('user', 'human')
    AND (comment != '' OR value < 0.5)
ORDER BY created_at
"""


class Target(Protocol):
    """What is to be looked at: a `judge_queue.Task` or a `reviews.ReviewItem`."""

    @property
    def task_id(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def trace_id(self) -> str: ...
    @property
    def span_id(self) -> str: ...
    @property
    def session_id(self) -> str: ...
    @property
    def happened_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class InputSpan:
    """A span as far as judging needs it; the fields are columns of `spans`."""

    trace_id: str
    span_id: str
    session_id: str
    parent_span_id: str
    start_time: datetime
    kind: str
    name: str
    status: str
    input_text: str
    output_text: str
    retrieval_query: str
    documents: tuple[tuple[str, str], ...]
    metadata: Mapping[str, str]
    dialect: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Remark:
    """What a user or a reviewer said: a correction, a thumb down, a comment."""

    trace_id: str
    span_id: str
    name: str
    source: str
    value: float | None
    label: str
    comment: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Material:
    """Everything about one task, spans by time."""

    spans: tuple[InputSpan, ...]
    remarks: tuple[Remark, ...]


def load_material(store: Store, project: str, tasks: Sequence[Target]) -> dict[str, Material]:
    """Return the material of tasks of one project, by task id. What is gone from the store is empty."""
    whole_traces = [task for task in tasks if task.unit != "session"]
    sessions = [task for task in tasks if task.unit == "session"]
    by_trace = _spans(store, project, whole_traces, "trace_id", LONGEST_TRACE)
    by_session = _spans(store, project, sessions, "session_id", LONGEST_SESSION)
    found = {task.task_id: by_trace.get(task.trace_id, []) for task in whole_traces}
    found |= {task.task_id: by_session.get(task.session_id, []) for task in sessions}
    remarks = _remarks(store, project, {span.trace_id for spans in found.values() for span in spans})
    return {
        task_id: Material(
            tuple(spans),
            tuple(one for trace in dict.fromkeys(span.trace_id for span in spans) for one in remarks[trace]),
        )
        for task_id, spans in found.items()
    }


def _spans(
    store: Store, project: str, tasks: Sequence[Target], key: str, longest: timedelta
) -> dict[str, list[InputSpan]]:
    if not tasks:
        return {}
    parameters: dict[str, object] = {
        "project": project,
        "since": min(task.happened_at for task in tasks) - longest,
        "until": max(task.happened_at for task in tasks) + longest,
        "keys": sorted({getattr(task, key) for task in tasks}),
    }
    # The attributes are most of a span's bytes: only those of what is judged are read.
    wanted = [task.span_id for task in tasks if task.span_id]
    condition = "span_id IN {wanted:Array(String)}" if wanted else "0"
    if wanted:
        parameters["wanted"] = wanted
    sql = _SPANS.format(columns=_COLUMNS.format(with_attributes=condition), key=key, most=MOST_SPANS_OF_TRACE)
    grouped: dict[str, list[InputSpan]] = defaultdict(list)
    for row in store.query(sql, parameters).dicts():
        span = _span(row)
        grouped[getattr(span, key)].append(span)
    return grouped


def _remarks(store: Store, project: str, traces: set[str]) -> dict[str, list[Remark]]:
    grouped: dict[str, list[Remark]] = defaultdict(list)
    if traces:
        for row in store.query(_SCORES, {"project": project, "traces": sorted(traces)}).dicts():
            row.pop("session_id")
            row["created_at"] = as_time(row["created_at"])
            remark = Remark(**row)  # type: ignore[arg-type]
            grouped[remark.trace_id].append(remark)
    return grouped


def _span(row: Mapping[str, object]) -> InputSpan:
    texts = {
        name: str(row[name])
        for name in ("trace_id", "span_id", "session_id", "parent_span_id", "kind", "name", "status",
                     "input_text", "output_text", "retrieval_query", "dialect")
    }  # fmt: skip
    return InputSpan(
        **texts,
        start_time=as_time(row["start_time"]),
        documents=tuple(map(_document, as_list(row["documents"]))),
        metadata=as_map(row["metadata"]),
        attributes=as_map(row["said"]),
    )


def _document(value: object) -> tuple[str, str]:
    if isinstance(value, dict):
        return str(value["id"]), str(value["content"])
    cells = as_list(value)
    return str(cells[0]), str(cells[1])


def recent_cost_usd(store: Store, project: str, evaluator: str) -> float | None:
    """Return the mean cost of an evaluator's last 500 verdicts in a project, None when there are none."""
    row = store.query(
        """SELECT count(), avg(cost_usd) FROM (SELECT cost_usd FROM judge_attempts FINAL
            WHERE project = {project:String} AND evaluator = {evaluator:String} AND outcome = 'judged'
                AND cost_usd IS NOT NULL AND day >= today() - 30 ORDER BY claimed_at DESC LIMIT 500)""",
        {"project": project, "evaluator": evaluator},
    ).rows[0]
    return float(str(row[1])) if as_int(row[0]) else None


def mean_document_characters(store: Store, project: str, since: datetime, until: datetime) -> float:
    """Return the mean characters of the documents that a trace with retrieval finds; 0 without any."""
    row = store.query(
        """SELECT count(), avg(characters) FROM (
            SELECT trace_id, sum(arraySum(d -> lengthUTF8(d.content), documents)) AS characters FROM spans
            WHERE project = {project:String} AND start_time >= {since:DateTime64(9)}
                AND start_time < {until:DateTime64(9)} AND notEmpty(documents)
            GROUP BY trace_id LIMIT 10000)""",
        {"project": project, "since": since, "until": until},
    ).rows[0]
    return float(str(row[1])) if as_int(row[0]) else 0.0
