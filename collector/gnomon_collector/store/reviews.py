"""Reviews by people: what is to be looked at, labels, agreement with the judge and of people, thresholds.

The queue is made of judged answers, in the order of a hash, so that all reviewers go through the same ones
(which is what agreement between them needs) and the choice hangs on no verdict.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.judge_queue import JUDGE_SCORE_COLUMNS
from gnomon_collector.store.quality_agreement import Agreement, Threshold, agreement
from gnomon_collector.store.queries.cells import as_float, as_int, as_list, as_time, optional_float

_NEXT: Final = """
SELECT task_id, evaluator, evaluator_version, unit, trace_id, span_id, session_id, happened_at
FROM judge_tasks FINAL
WHERE project = {project:String} AND evaluator = {evaluator:String} AND state = 'judged'
    AND happened_at >= {since:DateTime64(9)} AND task_id NOT IN {passed:Array(String)}
    AND (trace_id, span_id, if(unit = 'session', session_id, '')) NOT IN (
        SELECT trace_id, span_id, session_id FROM scores FINAL
        WHERE project = {project:String} AND source = 'human' AND name = {evaluator:String}
            AND author = {author:String})
ORDER BY sipHash64(evaluator, trace_id, span_id, session_id)
LIMIT 1
"""

_PROGRESS: Final = """
SELECT evaluator, any(title), count(), countIf(has(authors, {author:String})), countIf(notEmpty(authors))
FROM (
    SELECT evaluator, evaluator_version, trace_id, span_id, if(unit = 'session', session_id, '') AS session
    FROM judge_tasks FINAL
    WHERE project = {project:String} AND state = 'judged' AND happened_at >= {since:DateTime64(9)}
) AS t
LEFT JOIN (
    SELECT name, trace_id, span_id, session_id AS session, groupUniqArray(author) AS authors FROM scores FINAL
    WHERE project = {project:String} AND source = 'human' GROUP BY name, trace_id, span_id, session
) AS h ON h.name = t.evaluator AND h.trace_id = t.trace_id AND h.span_id = t.span_id AND h.session = t.session
LEFT JOIN (SELECT evaluator_version, any(title) AS title FROM judge_evaluators GROUP BY evaluator_version) AS e
    ON e.evaluator_version = t.evaluator_version
GROUP BY evaluator ORDER BY evaluator
"""

_SCALE: Final = """
SELECT title, description, labels FROM judge_evaluators FINAL
WHERE name = {evaluator:String} ORDER BY registered_at DESC LIMIT 1
"""

# A label of a trace also judges its only answer; the keys must be equal otherwise.
_PAIRS: Final = """
SELECT h.trace_id, h.span_id, h.author, h.label, h.value, t.label, t.value, h.created_at
FROM (
    SELECT trace_id, span_id, session_id, author, label, value, created_at FROM scores FINAL
    WHERE project = {project:String} AND source = 'human' AND name = {evaluator:String} AND label != 'unsure'
        AND created_at >= {since:DateTime64(9)} AND created_at < {until:DateTime64(9)}
) AS h
INNER JOIN (
    SELECT trace_id, span_id, if(unit = 'session', session_id, '') AS session, label, value FROM judge_tasks FINAL
    WHERE project = {project:String} AND evaluator = {evaluator:String} AND evaluator_version = {version:String}
        AND state = 'judged'
) AS t ON t.trace_id = h.trace_id AND t.span_id = h.span_id AND t.session = h.session_id
ORDER BY h.created_at
"""

_HUMANS: Final = """
SELECT trace_id, span_id, session_id, groupArray((author, label)) FROM (
    SELECT * FROM scores FINAL WHERE project = {project:String} AND source = 'human'
        AND name = {evaluator:String} AND label NOT IN ('', 'unsure') ORDER BY created_at
)
GROUP BY trace_id, span_id, session_id HAVING count() > 1 ORDER BY trace_id, span_id, session_id
"""


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """An answer to be labelled by a person; nothing of the judge's verdict is in it."""

    task_id: str
    evaluator: str
    unit: str
    trace_id: str
    span_id: str
    session_id: str
    happened_at: datetime


@dataclass(frozen=True, slots=True)
class ScaleLabel:
    """One label of an evaluator's scale."""

    label: str
    value: float | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Scale:
    """What a person is asked."""

    title: str
    description: str
    labels: tuple[ScaleLabel, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reviews of an evaluator are."""

    evaluator: str
    title: str
    judged: int
    by_author: int
    by_anyone: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A person's label and the judge's of the same answer."""

    trace_id: str
    span_id: str
    author: str
    human_label: str
    human_value: float | None
    judge_label: str
    judge_value: float | None
    labelled_at: datetime


def next_item(
    store: Store, project: str, evaluator: str, author: str, since: datetime, passed: Sequence[str] = ()
) -> ReviewItem | None:
    """Return the next answer that an author has not labelled, None when all are.

    Args:
        passed: task ids that the author does not want to see now
    """
    rows = store.query(
        _NEXT,
        {
            "project": project,
            "evaluator": evaluator,
            "author": author,
            "since": since,
            "passed": list(passed),
        },
    ).rows
    if not rows:
        return None
    task_id, name, _, unit, trace_id, span_id, session_id, at = rows[0]
    return ReviewItem(
        str(task_id), str(name), str(unit), str(trace_id), str(span_id), str(session_id), as_time(at)
    )


def progress(store: Store, project: str, author: str, since: datetime) -> list[Progress]:
    """Return for each evaluator how many answers are judged, and how many of them people labelled."""
    rows = store.query(_PROGRESS, {"project": project, "author": author, "since": since}).rows
    return [
        Progress(str(name), str(title) or str(name), as_int(judged), as_int(own), as_int(anyone))
        for name, title, judged, own, anyone in rows
    ]


def scale(store: Store, evaluator: str) -> Scale | None:
    """Return the newest scale of an evaluator."""
    rows = store.query(_SCALE, {"evaluator": evaluator}).rows
    if not rows:
        return None
    title, description, labels = rows[0]
    return Scale(str(title), str(description), tuple(map(_label, as_list(labels))))


def save_label(
    store: Store, project: str, item: ReviewItem, author: str, label: ScaleLabel, comment: str, now: datetime
) -> str:
    """Keep a person's label and return its score id; the same person's next one replaces it."""
    key = f"{project}|{item.evaluator}|{item.trace_id}|{item.span_id}|{item.session_id}|{author}"
    score_id = f"human-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    session = item.session_id if item.unit == "session" else ""
    row: list[object] = [
        score_id, project, item.trace_id, item.span_id, session, item.evaluator, label.value, label.label,
        comment, "human", author, "", None, None, now, now,
    ]  # fmt: skip
    store.insert_rows("scores", JUDGE_SCORE_COLUMNS, [row])
    return score_id


def pairs(
    store: Store, project: str, evaluator: str, version: str, since: datetime, until: datetime
) -> list[Pair]:
    """Return what people and one version of the judge said of the same answers, by time."""
    parameters = {
        "project": project,
        "evaluator": evaluator,
        "version": version,
        "since": since,
        "until": until,
    }
    return [
        Pair(
            trace_id=str(row[0]),
            span_id=str(row[1]),
            author=str(row[2]),
            human_label=str(row[3]),
            human_value=optional_float(row[4]),
            judge_label=str(row[5]),
            judge_value=optional_float(row[6]),
            labelled_at=as_time(row[7]),
        )
        for row in store.query(_PAIRS, parameters).rows
    ]


def agreement_of(found: Sequence[Pair]) -> Agreement:
    """Return how far people and the judge agree."""
    return agreement([one.human_label for one in found], [one.judge_label for one in found])


def agreement_of_people(store: Store, project: str, evaluator: str) -> Agreement:
    """Return how far people agree with one another: the first two labels of each answer that has two."""
    rows = store.query(_HUMANS, {"project": project, "evaluator": evaluator}).rows
    first, second = [], []
    for row in rows:
        labels = [str(as_list(cell)[1]) for cell in as_list(row[3])]
        first.append(labels[0])
        second.append(labels[1])
    return agreement(first, second)


def agreement_by_week(found: Sequence[Pair]) -> list[tuple[datetime, Agreement]]:
    """Return the agreement of each week (by when people labelled): a judge that drifts from people shows."""
    weeks: dict[datetime, list[Pair]] = defaultdict(list)
    for one in found:
        moment = one.labelled_at.replace(hour=0, minute=0, second=0, microsecond=0)
        monday = moment.toordinal() - moment.weekday()
        weeks[datetime.fromordinal(monday).replace(tzinfo=one.labelled_at.tzinfo)].append(one)
    return [(week, agreement_of(some)) for week, some in sorted(weeks.items())]


def save_threshold(
    store: Store, project: str, evaluator: str, version: str, threshold: Threshold, now: datetime
) -> None:
    """Keep from which value on an answer counts as good."""
    found = threshold.agreement
    row = [
        project, evaluator, version, threshold.value, found.kappa, found.low, found.high, found.pairs, now,
        time.time_ns(),
    ]  # fmt: skip
    columns = (
        "project", "evaluator", "evaluator_version", "threshold", "kappa", "kappa_low", "kappa_high", "pairs",
        "calibrated_at", "version",
    )  # fmt: skip
    store.insert_rows("judge_thresholds", columns, [row])


def thresholds(store: Store, project: str) -> dict[str, float]:
    """Return the thresholds in force, by evaluator version."""
    rows = store.query(
        "SELECT evaluator_version, threshold FROM judge_thresholds FINAL WHERE project = {project:String}",
        {"project": project},
    ).rows
    return {str(version): as_float(value) for version, value in rows}


def _label(value: object) -> ScaleLabel:
    cells = list(value.values()) if isinstance(value, dict) else as_list(value)
    return ScaleLabel(str(cells[0]), optional_float(cells[1]), str(cells[2]))
