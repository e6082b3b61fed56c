"""Millions of spans, made by the database itself: ``INSERT ... SELECT ... FROM numbers(...)``.

A trace is a workflow with a retrieval and two model calls. Traffic rises and falls over the day, 20 services
in 2 environments, of which the first has a third of it, call 30 models with 40 prompts in 5 versions each;
50,000 users, few of whom ask much; 2 % of the calls fail. Rollups and summaries of traces come from the
collector's own functions.
"""

from __future__ import annotations

import time
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
_MERGES_S: Final = 60.0
_TABLES: Final = (
    "spans",
    "calls_per_minute",
    "calls_per_hour",
    "trace_summaries",
    "users_per_day",
    "sessions_per_day",
)

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


def generated(store: Store, *, spans: int, days: int, now: datetime) -> Generated:
    """Do what `generate` does, and say on standard output how far it is."""
    made = Generated(now, days, 0)
    for made in generate(store, spans=spans, days=days, now=now):
        print(f"{made.spans:,} spans", end="\r", flush=True)
    print()
    return made


def wait_for_merges(store: Store) -> None:
    """Wait until nothing is merged any more, for a minute at most."""
    give_up_at = time.monotonic() + _MERGES_S
    quiet = 0
    while quiet < 3 and time.monotonic() < give_up_at:
        time.sleep(0.5)
        quiet = 0 if store.query("SELECT 1 FROM system.merges LIMIT 1").rows else quiet + 1


def sizes(store: Store) -> dict[str, tuple[int, int, int]]:
    """Return rows, bytes on disk and parts of each large table."""
    rows = store.query(
        "SELECT table, sum(rows), sum(bytes_on_disk), count() FROM system.parts"
        " WHERE active AND database = {database:String} GROUP BY table ORDER BY sum(rows) DESC",
        {"database": store.database},
    ).rows
    return {
        str(table): (int(str(count)), int(str(size)), int(str(parts)))
        for table, count, size, parts in rows
        if table in _TABLES
    }


def _roll_up(store: Store, start: datetime, end: datetime) -> None:
    first = start.replace(second=0, microsecond=0)
    count = int((end - first).total_seconds()) // 60 + 1
    minutes = [first + timedelta(minutes=number) for number in range(count)]
    for at in range(0, len(minutes), _MINUTES_PER_RECOMPUTE):
        rollups.recompute(store, [PROJECT], minutes[at : at + _MINUTES_PER_RECOMPUTE])
