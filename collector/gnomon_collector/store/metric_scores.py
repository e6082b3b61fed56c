"""Fact rows of scores: judgements by themselves, and with the labels of the calls that they are about."""

from __future__ import annotations

from typing import Final

from gnomon_schemas.metrics import SCORED_CALL_DIMENSIONS, Metric

LOOKBACK_DAYS: Final = 14
"""A judgement of a call that began longer before it has no labels of that call; the judge's own always have."""

_LABELS: Final = ", ".join(SCORED_CALL_DIMENSIONS)
_CHOSEN: Final = (
    "FROM scores FINAL WHERE project IN {projects:Array(String)}"
    " AND created_at >= {facts_start:DateTime64(3, 'UTC')} AND created_at < {facts_end:DateTime64(3, 'UTC')}"
)
# The scores of a verdict are named after its task: `task`, `task:precision`, `task:1` for a document.
_SUBJECT: Final = "if(source = 'judge', splitByChar(':', score_id)[1], score_id)"
_OWN: Final = "source, author, evaluator_version, label, value, inclusion_probability"


def score_facts(found: Metric, also: str, parameters: dict[str, object]) -> str:
    """Return SQL of one row per judgement; the name that the metric asks for is added to `parameters`.

    Args:
        also: further conditions, of the judgement's own columns
    """
    return f"SELECT project, created_at AS time, {_OWN} {_CHOSEN}{_named(found, parameters)}{also}"


def scored_call_facts(found: Metric, also: str, parameters: dict[str, object]) -> str:
    """Return SQL of one row per judgement with the labels of what was judged.

    What the judge judged has its labels in its task. Any other judgement takes those of the call that it names,
    or else of the last call of its trace, or of its session.

    Args:
        also: further conditions, also of the labels
    """
    chosen = f"{_CHOSEN}{_named(found, parameters)}"
    judged = f"SELECT {_SUBJECT} {chosen} AND source = 'judge'"
    others = (
        "SELECT project, score_id AS about, span_id, if(trace_id != '', trace_id, session_id) AS subject"
        f" {chosen} AND source != 'judge'"
    )
    traces, sessions = (
        f"SELECT {key} {chosen} AND source != 'judge' AND {key} != ''" for key in ("trace_id", "session_id")
    )
    calls = (
        "SELECT project, arrayJoin([trace_id, session_id]) AS subject, span_id AS called, start_time,"  # noqa: S608
        f" tuple({_LABELS}) AS of_call FROM calls WHERE project IN {{projects:Array(String)}}"
        f" AND start_time >= {{facts_start:DateTime64(3, 'UTC')}} - INTERVAL {LOOKBACK_DAYS} DAY"
        " AND start_time < {facts_end:DateTime64(3, 'UTC')}"
        f" AND (trace_id IN ({traces}) OR session_id IN ({sessions}))"
    )
    labels = (
        f"SELECT project, task_id AS about, tuple({_LABELS}) AS of_call FROM judge_tasks FINAL"  # noqa: S608
        f" WHERE project IN {{projects:Array(String)}} AND task_id IN ({judged})"
        " UNION ALL SELECT project, about, argMax(of_call, (called = span_id, start_time)) AS of_call"
        f" FROM ({others}) AS one INNER JOIN ({calls}) AS call USING (project, subject)"
        " GROUP BY project, about"
    )
    columns = ", ".join(f"of_call.{place} AS {name}" for place, name in enumerate(SCORED_CALL_DIMENSIONS, 1))
    return (
        f"SELECT * FROM (SELECT project, time, {_OWN}, {columns}"  # noqa: S608  (names of this package)
        f" FROM (SELECT project, {_SUBJECT} AS about, created_at AS time, {_OWN} {chosen}) AS score"
        f" LEFT JOIN ({labels}) AS labels USING (project, about)) WHERE 1{also}"
    )


def _named(found: Metric, parameters: dict[str, object]) -> str:
    if not found.parameter:
        return ""
    parameters["score_name"] = found.parameter
    return " AND name = {score_name:String}"
