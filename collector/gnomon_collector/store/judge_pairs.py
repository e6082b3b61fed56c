"""Answers of two prompt versions to the same question, to be compared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_list

_PAIRS: Final = """
SELECT question, tupleElement(a.picked, 1), tupleElement(a.picked, 2), tupleElement(a.picked, 3),
    tupleElement(b.picked, 1), tupleElement(b.picked, 2), tupleElement(b.picked, 3), found
FROM (
    SELECT lower(trimBoth(input_text)) AS key, any(input_text) AS question,
        argMin((trace_id, span_id, output_text), sipHash64(span_id)) AS picked
    FROM calls
    WHERE project = {project:String} AND prompt_name = {prompt:String} AND prompt_version = {first:String}
        AND start_time >= {start:DateTime64(9)} AND start_time < {end:DateTime64(9)}
        AND kind = 'generation' AND output_text != '' AND input_text != ''
    GROUP BY key
) AS a
INNER JOIN (
    SELECT lower(trimBoth(input_text)) AS key,
        argMin((trace_id, span_id, output_text), sipHash64(span_id)) AS picked
    FROM calls
    WHERE project = {project:String} AND prompt_name = {prompt:String} AND prompt_version = {second:String}
        AND start_time >= {start:DateTime64(9)} AND start_time < {end:DateTime64(9)}
        AND kind = 'generation' AND output_text != '' AND input_text != ''
    GROUP BY key
) AS b ON a.key = b.key
LEFT JOIN (
    SELECT trace_id, arrayFlatten(groupArray(arrayMap(d -> (d.id, d.content), documents))) AS found FROM spans
    WHERE project = {project:String} AND start_time >= {start:DateTime64(9)} AND start_time < {end:DateTime64(9)}
        AND kind = 'retrieval' AND notEmpty(documents)
    GROUP BY trace_id
) AS d ON d.trace_id = tupleElement(b.picked, 1)
ORDER BY sipHash64(a.key)
LIMIT {limit:UInt32}
"""


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """Two answers to one question; the documents are those that the second call had."""

    question: str
    first_version: str
    second_version: str
    first_span_id: str
    first: str
    second_trace_id: str
    second_span_id: str
    second: str
    documents: tuple[tuple[str, str], ...]


def answer_pairs(
    store: Store,
    project: str,
    prompt: str,
    versions: tuple[str, str],
    start: datetime,
    end: datetime,
    limit: int,
) -> list[AnswerPair]:
    """Return answers of two versions of a prompt to the same question (letter case aside), chosen by hash."""
    rows = store.query(
        _PAIRS,
        {
            "project": project,
            "prompt": prompt,
            "first": versions[0],
            "second": versions[1],
            "start": start,
            "end": end,
            "limit": limit,
        },
    ).rows
    return [
        AnswerPair(
            question=str(question),
            first_version=versions[0],
            second_version=versions[1],
            first_span_id=str(first_span),
            first=str(first),
            second_trace_id=str(trace),
            second_span_id=str(second_span),
            second=str(second),
            documents=tuple(_pair(cell) for cell in as_list(documents)),
        )
        for question, _, first_span, first, trace, second_span, second, documents in rows
    ]


def _pair(cell: object) -> tuple[str, str]:
    values = list(cell.values()) if isinstance(cell, dict) else as_list(cell)
    return str(values[0]), str(values[1])
