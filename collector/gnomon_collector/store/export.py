"""Exports: calls, traces and scores as JSON Lines or CSV, and the fine-tuning set that feedback makes.

A fine-tuning line is one answered request: what a person said was good, or put right. Preference lines pair the
answer that was given with the correction of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_int, as_map
from gnomon_collector.store.queries.traces import ExportForm, TraceQuery, export
from gnomon_schemas.conversation import Conversation, Message, parse_conversation

Kind: TypeAlias = Literal["calls", "traces", "scores", "fine-tuning", "preferences", "examples"]
KINDS: Final[tuple[Kind, ...]] = ("calls", "traces", "scores", "fine-tuning", "preferences", "examples")
OF_DATASETS: Final[tuple[Kind, ...]] = ("fine-tuning", "preferences", "examples")
"""Kinds that can be written of a dataset; ``examples`` of nothing else."""

GOOD_FROM: Final = 0.75
"""Mean of a request's ratings (0..1) from which its answer is worth learning from."""

_TRACES_PER_QUERY: Final = 200


@dataclass(frozen=True, slots=True)
class Judged:
    """A request that people judged.

    Attributes:
        span_id: the call that was judged; empty where the whole trace was.
        mean: of its ratings; None with a correction alone.
        correction: what the answer should have been; empty without one.
    """

    trace_id: str
    span_id: str
    mean: float | None
    ratings: int
    correction: str


def exported(
    store: Store,
    kind: Kind,
    query: TraceQuery,
    form: ExportForm = "jsonl",
    *,
    with_ids: bool = False,
    good_from: float = GOOD_FROM,
) -> Iterator[bytes]:
    """Yield an export in blocks of whole bytes.

    Args:
        query: project, time, and what of calls and traces is kept.
        form: CSV is there for calls, traces and scores.
        with_ids: fine-tuning and preference lines carry the trace they come from, under ``metadata``.
        good_from: mean rating from which an answer goes into the fine-tuning set.
    """
    if kind in ("calls", "traces"):
        yield from export(store, query, (), form)
    elif kind == "scores":
        yield from scores(store, query.scope.project, query.start, query.end, form)
    else:
        yield from _learned(store, kind, query, with_ids, good_from)


def scores(store: Store, project: str, start: datetime, end: datetime, form: ExportForm) -> Iterator[bytes]:
    """Yield the scores of a time, oldest first."""
    sql = """
        SELECT score_id, trace_id, span_id, session_id, name, value, label, comment, source, author,
            evaluator_version, inclusion_probability, cost_usd, created_at
        FROM scores FINAL
        WHERE project = {project:String} AND created_at >= {start:DateTime64(9)} AND created_at < {end:DateTime64(9)}
        ORDER BY created_at, score_id
        SETTINGS date_time_output_format = 'iso', format_csv_null_representation = ''
    """
    fmt = "JSONEachRow" if form == "jsonl" else "CSVWithNames"
    yield from store.query_text(sql, {"project": project, "start": start, "end": end}, fmt)


def scores_of_trace(store: Store, project: str, trace_id: str) -> bytes:
    """Return the scores of a trace and its spans as a JSON array, oldest first."""
    sql = """
        SELECT * EXCEPT (project, received_at) FROM scores FINAL
        WHERE project = {project:String} AND trace_id = {trace_id:String}
        ORDER BY created_at, score_id
        LIMIT 1000
        SETTINGS date_time_output_format = 'iso'
    """
    blocks = store.query_text(sql, {"project": project, "trace_id": trace_id}, "JSONEachRow")
    return b"[" + b",".join(b"".join(blocks).splitlines()) + b"]"


def judged(store: Store, project: str, start: datetime, end: datetime) -> list[Judged]:
    """Return the requests that users or reviewers rated or put right in a time, oldest first."""
    rows = store.query(
        """
        SELECT trace_id, max(span_id), avg(value), count(value), argMaxIf(comment, created_at, name = 'correction')
        FROM scores FINAL
        WHERE project = {project:String} AND source IN ('user', 'human') AND trace_id != ''
            AND created_at >= {start:DateTime64(9)} AND created_at < {end:DateTime64(9)}
        GROUP BY trace_id
        ORDER BY min(created_at), trace_id
        """,
        {"project": project, "start": start, "end": end},
    ).rows
    return [
        Judged(
            str(row[0]),
            str(row[1]),
            as_float(row[2]) if as_int(row[3]) else None,
            as_int(row[3]),
            str(row[4]),
        )
        for row in rows
    ]


def _learned(
    store: Store, kind: Kind, query: TraceQuery, with_ids: bool, good_from: float
) -> Iterator[bytes]:
    wanted = [
        one
        for one in judged(store, query.scope.project, query.start, query.end)
        if one.correction or (kind == "fine-tuning" and one.mean is not None and one.mean >= good_from)
    ]
    for first in range(0, len(wanted), _TRACES_PER_QUERY):
        block = wanted[first : first + _TRACES_PER_QUERY]
        calls = answers(store, query.scope.project, block)
        for one in block:
            talk = calls.get(one.trace_id)
            line = training_line(kind, one, talk, with_ids) if talk else None
            if line is not None:
                yield json.dumps(line, ensure_ascii=False).encode() + b"\n"


def answers(store: Store, project: str, block: Sequence[Judged]) -> dict[str, Conversation]:
    """Return the conversation of the call that answered, by trace: the judged one, else the last that did."""
    rows = store.query(
        """
        SELECT trace_id, span_id, attributes, dialect, input_text, output_text
        FROM spans
        WHERE project = {project:String} AND trace_id IN {ids:Array(String)} AND kind = 'generation'
            AND duplicate_of = '' AND status != 'error'
        ORDER BY trace_id, start_time, span_id
        """,
        {"project": project, "ids": [one.trace_id for one in block]},
    ).rows
    asked = {one.trace_id: one.span_id for one in block}
    found: dict[str, Conversation] = {}
    exact: set[str] = set()
    for trace_id, span_id, attributes, dialect, input_text, output_text in rows:
        key = str(trace_id)
        is_asked = bool(asked[key]) and asked[key] == str(span_id)
        if key in exact and not is_asked:
            continue
        talk = parse_conversation(
            as_map(attributes),
            dialect=str(dialect),
            kind="generation",
            input_text=str(input_text),
            output_text=str(output_text),
        )
        if talk.input and (is_asked or said_in(talk.output)):
            found[key] = talk
            exact |= {key} if is_asked else set()
    return found


def training_line(kind: Kind, one: Judged, talk: Conversation, with_ids: bool) -> dict[str, Any] | None:
    """Return a line as OpenAI's fine-tuning takes it: ``messages``, or for preferences ``input`` and two outputs.

    None where the call has no answer to learn from, or no correction of it to prefer.
    """
    messages = [as_message(said) for said in talk.input]
    given = said_in(talk.output)
    if kind == "preferences":
        if not one.correction or not given or given == one.correction:
            return None
        line: dict[str, Any] = {
            "input": {"messages": messages},
            "preferred_output": [_assistant(one.correction)],
            "non_preferred_output": [_assistant(given)],
        }
    else:
        answer = one.correction or given
        if not answer:
            return None
        line = {"messages": [*messages, _assistant(answer)]}
    return line | ({"metadata": {"trace_id": one.trace_id, "mean_rating": one.mean}} if with_ids else {})


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def said_in(messages: Sequence[Message]) -> str:
    """Return the text of messages."""
    return "\n".join(filter(None, (one.text for one in messages)))


def as_message(said: Message) -> dict[str, Any]:
    """Return a message as OpenAI's API takes it."""
    results = [part for part in said.parts if part.kind == "tool_result"]
    if results:
        return {"role": "tool", "tool_call_id": results[0].call_id, "content": results[0].body}
    message: dict[str, Any] = {"role": said.role, "content": said.text}
    calls = [part for part in said.parts if part.kind == "tool_call"]
    if calls:
        message["tool_calls"] = [
            {"id": part.call_id, "type": "function", "function": {"name": part.title, "arguments": part.body}}
            for part in calls
        ]
    return message
