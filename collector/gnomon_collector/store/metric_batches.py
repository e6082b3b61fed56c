"""Many questions in one statement: what a thousand rules want to know of the same minutes is read once.

A statement costs some 15 ms whatever it reads, a question inside one a fraction of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_facts import Ask, Window
from gnomon_collector.store.metric_queries import (
    MOST_GROUPS,
    Readings,
    aggregates,
    is_hourly_window,
    readings_of,
)
from gnomon_schemas.metrics import metric

MOST_ASKED: Final = 20
"""Questions in a statement; more make its planning dearer than another statement."""

_FACTS: Final = (
    "FROM calls_per_minute FINAL WHERE project IN {projects:Array(String)} AND calls > 0"
    " AND time >= {facts_start:DateTime64(3, 'UTC')} AND time < {facts_end:DateTime64(3, 'UTC')}"
)


def may_share(ask: Ask, windows: Sequence[Window]) -> bool:
    """Return whether a question can stand in a statement with others: it is of the rollup per minute."""
    return ask.source == "rollup" and not any(is_hourly_window(one, ask) for one in windows)


def read_batch(store: Store, asks: Sequence[Ask], windows: Sequence[Window]) -> list[list[Readings]]:
    """Return the readings of each window, for each question.

    Args:
        asks: of the same projects and dimensions, each of which `may_share`; at most `MOST_ASKED`

    Raises:
        StoreError: the database refused or failed
    """
    found: list[list[list[tuple[object, ...]]]] = [[[] for _ in windows] for _ in asks]
    width = 1 + len(asks[0].group_by)
    for row in store.query(*batch_query(asks, windows)).rows:
        key, window = row[1 : 1 + width], int(str(row[0])) - 1
        for place in range(len(asks)):
            numbers = row[1 + width + 4 * place : 5 + width + 4 * place]
            if numbers[0] or numbers[1]:  # else it is a group of another question only
                found[place][window].append((*key, *numbers))
    return [[readings_of(rows, 0, width) for rows in of_windows] for of_windows in found]


def batch_query(asks: Sequence[Ask], windows: Sequence[Window]) -> tuple[str, Mapping[str, object]]:
    """Return SQL and parameters of rows (window, project, dimensions, four numbers of each question)."""
    starts, ends = [one.start for one in windows], [one.end for one in windows]
    bound: dict[str, object] = {
        "projects": list(asks[0].projects),
        "facts_start": min(starts),
        "facts_end": max(ends),
    }
    chosen = ", ".join(f"{_chosen(place, ask, bound)} AS asked_{place}" for place, ask in enumerate(asks))
    groups = ", ".join(("project", *asks[0].group_by))
    numbers = ", ".join(aggregates(ask, f"asked_{place}") for place, ask in enumerate(asks))
    sql = (
        f"SELECT window, {groups}, {numbers} FROM (SELECT *, {chosen} {_FACTS})"  # noqa: S608  (allow-listed names)
        " ARRAY JOIN arrayFilter(i -> time >= {starts:Array(DateTime64(3, 'UTC'))}[i]"
        " AND time < {ends:Array(DateTime64(3, 'UTC'))}[i], range(1, {windows:UInt16} + 1)) AS window"
        f" GROUP BY window, {groups} LIMIT {MOST_GROUPS * len(windows)}"
    )
    return sql, bound | {"starts": starts, "ends": ends, "windows": len(windows)}


def _chosen(place: int, ask: Ask, bound: dict[str, object]) -> str:
    """SQL of which rows a question is about; its values are added to `bound`."""
    conditions = []
    for number, (dimension, values) in enumerate(ask.filter.items()):
        if dimension not in metric(ask.metric).dimensions:
            raise ValueError(f"{ask.metric} cannot be filtered by {dimension!r}.")
        name = f"filter_{place}_{number}"
        conditions.append(f"{dimension} IN {{{name}:Array(String)}}")
        bound[name] = list(values)
    return " AND ".join(conditions) or "1"
