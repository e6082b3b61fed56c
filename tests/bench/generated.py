"""Millions of spans, made by the database itself: ``INSERT ... SELECT ... FROM numbers(...)``.

A trace is a workflow with a retrieval and two model calls. Traffic rises and falls over the day, 20 services
in 2 environments, of which the first has a third of it, call 30 models with 40 prompts in 5 versions each;
50,000 users, few of whom ask much; 2 % of the calls fail. Rollups and summaries of traces come from the
collector's own functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gnomon_collector.store import rollups, trace_summaries
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.filters import floor_time

PROJECT: Final = "bench"
SPANS_PER_TRACE: Final = 4
_MINUTES_PER_RECOMPUTE: Final = 1440

_DAY_SQL: Final = Path(__file__).with_name("generated_day.sql")


@dataclass(frozen=True)
class Generated:
    """What was made.

    Attributes:
        now: end of the data (UTC); the newest spans start just before it.
    """

    now: datetime
    days: int
    spans: int


def generate(store: Store, *, spans: int, days: int, now: datetime) -> Iterator[Generated]:
    """Fill `spans` and the rollups, oldest day first, and yield after each day what is there.

    Args:
        spans: about how many in all.
        days: over how many days until `now`.
        now: in UTC.
    """
    traces_per_day = max(1, spans // days // SPANS_PER_TRACE)
    rows = traces_per_day * SPANS_PER_TRACE
    sql = _DAY_SQL.read_text(encoding="utf-8")
    for number in range(days):
        start = now - timedelta(days=days - number)
        store.command(
            sql,
            {
                "project": PROJECT,
                "traces": traces_per_day,
                "day_ns": int(start.timestamp()) * 10**9,
                "first_day_ns": int((now - timedelta(days=days)).timestamp()) * 10**9,
                "first": number * rows,
                "rows": rows,
            },
        )
        _roll_up(store, start, start + timedelta(days=1))
        yield Generated(now, days, (number + 1) * rows)
    until = floor_time(now, int(trace_summaries.SLOT.total_seconds()))
    trace_summaries.bring_up_to_date(store, PROJECT, until, is_over=lambda: False)


def _roll_up(store: Store, start: datetime, end: datetime) -> None:
    first = start.replace(second=0, microsecond=0)
    count = int((end - first).total_seconds()) // 60 + 1
    minutes = [first + timedelta(minutes=number) for number in range(count)]
    for at in range(0, len(minutes), _MINUTES_PER_RECOMPUTE):
        rollups.recompute(store, [PROJECT], minutes[at : at + _MINUTES_PER_RECOMPUTE])
