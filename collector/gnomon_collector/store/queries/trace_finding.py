"""Which traces a page shows, by their ids: from the table of summaries where it is complete, else from the spans.

Over a long window the traces are looked up in `trace_summaries`, which has a row per trace; the newest, which
are not summarised yet, come from `spans`. A trace stands where its first span does. Over a short window, and
while the summaries are not complete, all come from `spans`. With the newest first, the query looks at the
latest part of the window and widens it until the page is full, so that it does not grow with the window.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from gnomon_collector.store import trace_summaries
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_int, as_time
from gnomon_collector.store.queries.filters import Parameters, Scope, merged
from gnomon_collector.store.queries.trace_columns import LONG_TEXTS, Column, column, columns, summary_column
from gnomon_collector.store.queries.trace_conditions import (
    TraceQuery,
    alias,
    label_parameters,
    label_values,
    order,
    score_conditions,
    text_conditions,
    text_parameters,
    where_of,
    window_parameters,
    within,
)
from gnomon_collector.store.queries.trace_filters import filter_sql
from gnomon_collector.store.trace_summaries import LONGEST_PAUSE, LONGEST_TRACE, SLOT, Coverage

LONGEST_QUERY_S: Final = 30
NARROW: Final = timedelta(hours=2)
"""A window up to this long is read from the spans as they are now."""

_SLICES: Final = (64, 8, 1)
_NARROWEST: Final = timedelta(hours=1)
"""Of a slice: to ask costs more than to read what a shorter one leaves out."""


@dataclass(frozen=True, slots=True)
class Found:
    """A trace of the result.

    Attributes:
        first, last: start of its first and of its last span (UTC).
        summary_ns: start of its summary, in ns since 1970; 0 where it was found among the spans.
    """

    trace_id: str
    first: datetime
    last: datetime
    summary_ns: int


def find(store: Store, query: TraceQuery, offset: int, limit: int) -> list[Found]:
    """Return traces `offset` to `offset + limit` of the sorted result."""
    covered = _coverage(store, query)
    found: list[Found] = []
    for part in slices(query):
        if covered is None:
            found = find_among_spans(store, part, query.start, limit=limit, offset=offset)
        else:
            found = _run(store, *_ordered(query, *_summaries_sql(part, covered), offset, limit))
        if len(found) == limit:
            break
    return found


def find_among_spans(
    store: Store, query: TraceQuery, floor: datetime, *, limit: int | None = None, offset: int = 0
) -> list[Found]:
    """Return traces from the spans as they are now.

    Args:
        query: a part of a window; traces that began before it are left out.
        floor: where the window begins; no span before that counts.
    """
    if query.start > floor:
        sql, parameters = _spans_sql(query, since="look_back_to", having=["c_time >= {start:DateTime64(9)}"])
        parameters["look_back_to"] = max(floor, query.start - LONGEST_PAUSE)
    else:
        sql, parameters = _spans_sql(query)
    return _run(store, *_ordered(query, sql, parameters, offset, limit))


def count(store: Store, query: TraceQuery) -> int:
    """Return how many traces the whole result has."""
    covered = _coverage(store, query)
    sql, parameters = _spans_sql(query) if covered is None else _summaries_sql(query, covered)
    result = store.query(f"SELECT count() FROM ({sql})", parameters, settings=limits())  # noqa: S608
    return as_int(result.rows[0][0])


def slices(query: TraceQuery) -> Iterator[TraceQuery]:
    """Parts of the window, ever wider, that begin at the end the result begins with; the last one is all."""
    width = query.end - query.start
    if query.sort == "time" and width > NARROW:
        for divisor in _SLICES[:-1]:
            if width / divisor < _NARROWEST:
                continue
            if query.descending:
                yield replace(query, start=query.end - width / divisor)
            elif query.rows == "calls":
                yield replace(query, end=query.start + width / divisor)
    yield query


def limits() -> dict[str, object]:
    """Settings of a query that a person waits for."""
    return {"max_execution_time": LONGEST_QUERY_S}


def _run(store: Store, sql: str, parameters: Parameters) -> list[Found]:
    rows = store.query(sql, parameters, settings=limits()).rows
    return [Found(str(row[0]), as_time(row[1]), as_time(row[2]), as_int(row[3])) for row in rows]


def _ordered(
    query: TraceQuery, sql: str, parameters: Parameters, offset: int, limit: int | None
) -> tuple[str, Parameters]:
    sql += f" ORDER BY {order(query, 'trace_id')}"
    if limit is None:
        return sql, parameters
    bound = merged(parameters, {"limit": limit, "offset": offset})
    return f"{sql} LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}", bound


# --- from the spans -------------------------------------------------------------------------


def _spans_sql(
    query: TraceQuery, *, since: str = "start", conditions: Sequence[str] = (), having: Sequence[str] = ()
) -> tuple[str, Parameters]:
    scores, score_parameters = score_conditions(query)
    filters, filter_parameters = filter_sql(query.filters, lambda name: column("traces", name), alias)
    kept = [*filters, *having]
    labels = [f"{sql} IN {{{name}:Array(String)}}" for name, sql, _ in label_values(query.scope)]
    if labels:
        kept.append(f"countIf({' AND '.join(labels)}) > 0")
    select = "".join(f", {one.of_trace} AS c_{one.id}" for one in _needed(query))
    where = " AND ".join([*within(since), *scores, *conditions, *_texts(query, since)])
    sql = (
        f"SELECT trace_id, min(start_time), max(start_time), 0{select}"  # noqa: S608
        f" FROM spans WHERE {where} GROUP BY trace_id{' HAVING ' if kept else ''}{' AND '.join(kept)}"
    )
    bound = merged(_parameters(query), label_parameters(query.scope), score_parameters, filter_parameters)
    return sql, bound


def _texts(query: TraceQuery, since: str = "start") -> list[str]:
    """Conditions on a trace: one of its spans has the text, or none.

    In a query of its own, which reads texts and ids and nothing else.
    """
    return [
        f"trace_id {'NOT IN' if negated else 'IN'}"  # noqa: S608
        f" (SELECT trace_id FROM spans {where_of(query)} {' AND '.join([*within(since), condition])})"
        for condition, negated in text_conditions(query)
    ]


def _parameters(query: TraceQuery) -> Parameters:
    return merged(window_parameters(query), text_parameters(query))


def _needed(query: TraceQuery) -> list[Column]:
    names = ({"time", query.sort} | {one.column for one in query.filters}) - {"trace_id"}
    return [one for one in columns("traces") if one.id in names]


# --- from the summaries ---------------------------------------------------------------------


def _coverage(store: Store, query: TraceQuery) -> Coverage | None:
    """What is summarised, or None where the spans have to answer."""
    if query.end - query.start <= NARROW or any(one.id in LONG_TEXTS for one in _needed(query)):
        return None
    known = trace_summaries.coverage(store, query.scope.project)
    return known if known and known.since <= query.start < known.until - SLOT else None


def _summaries_sql(query: TraceQuery, covered: Coverage) -> tuple[str, Parameters]:
    """Traces from the summaries, and the newest, that are not summarised yet, from the spans.

    What began in the last ten minutes that are summarised may go on in those that are not: it is newest too.
    """
    fresh = covered.until - SLOT
    if query.end <= fresh:
        return _summarised_sql(query)
    old, parameters = _summarised_sql(query, until="fresh")
    bound = {"fresh": fresh, "begun": fresh - LONGEST_TRACE}
    new, new_parameters = _spans_sql(query, since="fresh", conditions=(NOT_BEGUN_BEFORE,))
    return f"SELECT * FROM ({old} UNION ALL {new})", merged(parameters, new_parameters, bound)  # noqa: S608


NOT_BEGUN_BEFORE: Final = (
    "trace_id NOT IN (SELECT trace_id FROM trace_summaries FINAL"  # noqa: S608
    f" WHERE {' AND '.join(within('begun', 'fresh'))} AND last_start_time >= {{fresh:DateTime64(9)}})"
)
"""The condition on a span that its trace is not summarised already, for {fresh} and, up to a day earlier, {begun}."""


def _summarised_sql(query: TraceQuery, until: str = "end") -> tuple[str, Parameters]:
    scores, score_parameters = score_conditions(query)
    filters, filter_parameters = filter_sql(
        query.filters, lambda name: column("traces", name), summary_column
    )
    select = "".join(f", {summary_column(one)} AS c_{one.id}" for one in _needed(query))
    labels, label_pattern = _labels(query.scope)
    where = " AND ".join([*within(until=until), *scores, *labels, *filters, *_texts(query)])
    sql = f"SELECT trace_id, start_time, last_start_time, toUnixTimestamp64Nano(start_time){select} FROM trace_summaries FINAL WHERE {where}"  # noqa: S608
    return sql, merged(_parameters(query), score_parameters, filter_parameters, label_pattern)


def _labels(scope: Scope) -> tuple[list[str], Parameters]:
    """The condition on a summary that one of its spans has all the labels at once."""
    if not label_values(scope):
        return [], {}
    wanted = "\t".join(_any_of(values) for values in (scope.services, scope.environments, scope.models))
    # once for each combination that occurs in a block, not for each row
    return ["match(labels, {labels:String})"], {"labels": f"(?m)^{wanted}$"}


def _any_of(values: Sequence[str]) -> str:
    return f"({'|'.join(map(re.escape, values))})" if values else "[^\t\n]*"
