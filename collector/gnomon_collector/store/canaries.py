"""What canaries got: which slots are answered, and how each model's answers change over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.own_projects import CANARY_PROJECT
from gnomon_collector.store.queries.cells import as_int, as_list, as_time, optional_float

_ANSWERED: Final = """
SELECT DISTINCT trace_id FROM spans
WHERE project = {project:String} AND start_time > now() - INTERVAL 8 DAY AND trace_id IN {traces:Array(String)}
"""

# The first half of the window is what the second is compared with.
_SERIES: Final = """
SELECT prompt_name, request_model, count() AS answers, countIf(status = 'error') AS failed,
    arrayDistinct(arrayMap(pair -> pair.2, arraySort(groupArrayIf((start_time, response_model), status = 'ok')))) AS snapshots,
    uniqExactIf(metadata['fingerprint'], metadata['fingerprint'] != '') AS fingerprints,
    uniqExactIf(output_text, output_text != '') AS texts,
    medianIf(output_tokens, status = 'ok' AND start_time < {middle:DateTime64(9)}) AS tokens_before,
    medianIf(output_tokens, status = 'ok' AND start_time >= {middle:DateTime64(9)}) AS tokens_now,
    avgIf(t.value, start_time < {middle:DateTime64(9)}) AS value_before,
    avgIf(t.value, start_time >= {middle:DateTime64(9)}) AS value_now,
    countIf(metadata['pattern'] = 'missed') AS missed, max(start_time) AS last
FROM (
    SELECT * FROM spans
    WHERE project = {project:String} AND kind = 'generation' AND start_time >= {start:DateTime64(9)}
        AND start_time < {end:DateTime64(9)}
) AS s
LEFT JOIN (
    SELECT span_id, any(value) AS value FROM judge_tasks FINAL
    WHERE project = {project:String} AND evaluator = 'correctness' AND state = 'judged'
    GROUP BY span_id
) AS t USING (span_id)
GROUP BY prompt_name, request_model ORDER BY prompt_name, request_model
"""


@dataclass(frozen=True, slots=True)
class CanaryState:
    """How a canary's answers of one model went in a window, whose first half is "before".

    Attributes:
        snapshots: the models that answered, in the order in which they first did
        texts: different answers
        missed: answers that the canary's pattern does not find
        value_before, value_now: mean of the judge's verdicts on correctness
    """

    canary: str
    model: str
    answers: int
    failed: int
    snapshots: tuple[str, ...]
    fingerprints: int
    texts: int
    tokens_before: float | None
    tokens_now: float | None
    value_before: float | None
    value_now: float | None
    missed: int
    last: datetime

    @property
    def has_new_snapshot(self) -> bool:
        """Whether more than one model answered to the same name."""
        return len(self.snapshots) > 1


def answered(store: Store, project: str, traces: Sequence[str]) -> set[str]:
    """Return those of the traces that are there."""
    if not traces:
        return set()
    rows = store.query(_ANSWERED, {"project": project, "traces": list(traces)}).rows
    return {str(row[0]) for row in rows}


def canary_states(store: Store, start: datetime, end: datetime) -> list[CanaryState]:
    """Return each canary and model with what changed between the halves of a window."""
    parameters = {"project": CANARY_PROJECT, "start": start, "end": end, "middle": start + (end - start) / 2}
    return [
        CanaryState(
            canary=str(row[0]),
            model=str(row[1]),
            answers=as_int(row[2]),
            failed=as_int(row[3]),
            snapshots=tuple(str(one) for one in as_list(row[4]) if one),
            fingerprints=as_int(row[5]),
            texts=as_int(row[6]),
            tokens_before=_number(row[7]),
            tokens_now=_number(row[8]),
            value_before=_number(row[9]),
            value_now=_number(row[10]),
            missed=as_int(row[11]),
            last=as_time(row[12]),
        )
        for row in store.query(_SERIES, parameters).rows
    ]


def _number(cell: object) -> float | None:
    """The median of nothing is NaN in the database."""
    value = optional_float(cell)
    return None if value is None or value != value else value
