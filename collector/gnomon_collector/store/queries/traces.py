"""The Traces page: pages of rows, their number, and the export of all of them.

A row is a whole trace (its entry span's name, the tokens and cost of its billable calls, its worst status) or
one billable call. A page of traces takes two queries: the first one finds the traces of the page, see
`trace_finding`; the second one reads every column of those few traces.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, TypeAlias, cast

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import trace_finding
from gnomon_collector.store.queries.cells import as_int
from gnomon_collector.store.queries.filters import Parameters, merged
from gnomon_collector.store.queries.trace_columns import (
    CALL_SOURCES,
    IS_CALL,
    PACKED,
    Column,
    Rows,
    column,
    columns,
    shown,
)
from gnomon_collector.store.queries.trace_conditions import (
    TraceQuery,
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
from gnomon_collector.store.queries.trace_finding import Found, find_among_spans, limits, slices

__all__ = ["TraceQuery", "count", "export", "merge_ranges", "neutralised", "page"]

ExportForm: TypeAlias = Literal["csv", "jsonl"]

_TRACES_PER_EXPORT_QUERY: Final = 500
_JOIN_GAP: Final = timedelta(minutes=1)
# By the exact start: a range for each of a hundred rows takes the planner longer than to read them.
_AT_STARTS: Final = "start_time IN (SELECT fromUnixTimestamp64Nano(arrayJoin({starts:Array(Int64)}), 'UTC'))"
_MOST_STARTS: Final = 1000
_MOST_EQUALS: Final = 400
_SUMMARIES: Final = f"""
SELECT trace_id, start_time, input, output, shown FROM trace_summaries FINAL
WHERE project = {{project:String}} AND trace_id IN {{ids:Array(String)}} AND {_AT_STARTS}
"""  # noqa: S608  (a constant of this module)
_FORMULA_START: Final = r"^[=+\-@\t\r\n]"


def page(store: Store, query: TraceQuery, *, offset: int, limit: int) -> list[dict[str, object]]:
    """Return rows `offset` to `offset + limit` of the sorted result, as dictionaries by column id.

    Raises:
        StoreError: the query failed or took longer than `trace_finding.LONGEST_QUERY_S`.
    """
    if query.rows == "calls":
        return _page_of_calls(store, query, offset, limit)
    found = trace_finding.find(store, query, offset, limit)
    return _in_order(_read_traces(store, query, found), found)


def count(store: Store, query: TraceQuery) -> int:
    """Return how many rows the whole result has."""
    if query.rows == "traces":
        return trace_finding.count(store, query)
    sql, parameters = _calls_sql(query, "1")
    result = store.query(f"SELECT count() FROM ({sql})", parameters, settings=limits())  # noqa: S608
    return as_int(result.rows[0][0])


def export(
    store: Store, query: TraceQuery, column_ids: Sequence[str], form: ExportForm = "csv"
) -> Iterator[bytes]:
    """Yield the whole filtered result, newest first: as CSV with a header of column ids, or as JSON Lines.

    It is read day by day, so that neither the database nor this process holds all of it. In CSV, texts that a
    spreadsheet would run as a formula get an apostrophe in front.
    """
    chosen = [one for name in column_ids if (one := column(query.rows, name))]
    wanted = chosen or list(columns(query.rows))
    if form == "csv":
        yield (",".join(f'"{one.id}"' for one in wanted) + "\n").encode()
    select = _select_list(wanted, query.rows, form)
    for day in _days(store, replace(query, sort="time", descending=True)):
        if query.rows == "calls":
            sql, parameters = _calls_sql(day, select, "start_time DESC, span_id")
            yield from _written(store, form, wanted, sql, parameters)
        else:
            yield from _export_traces(store, query, day, wanted, form)


def _export_traces(
    store: Store, query: TraceQuery, day: TraceQuery, wanted: Sequence[Column], form: ExportForm
) -> Iterator[bytes]:
    select = _select_list(wanted, "traces", form)
    found = find_among_spans(store, day, query.start)
    for first in range(0, len(found), _TRACES_PER_EXPORT_QUERY):
        block = found[first : first + _TRACES_PER_EXPORT_QUERY]
        sql, parameters = _whole_traces_sql(query, block, select)
        ordered = f"{sql} ORDER BY min(start_time) DESC, trace_id"
        yield from _written(store, form, wanted, ordered, parameters)


def merge_ranges(
    ranges: Sequence[tuple[datetime, datetime]], gap: timedelta = _JOIN_GAP
) -> list[tuple[datetime, datetime]]:
    """Return the ranges in order, those joined that overlap or lie at most `gap` apart."""
    joined: list[tuple[datetime, datetime]] = []
    for first, last in sorted(ranges):
        if joined and first - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def neutralised(expression: str) -> str:
    """Return SQL that puts an apostrophe before a text that a spreadsheet would take for a formula."""
    return f"if(match({expression}, '{_escaped(_FORMULA_START)}'), concat('\\'', {expression}), {expression})"


# --- calls ----------------------------------------------------------------------------------


def _page_of_calls(store: Store, query: TraceQuery, offset: int, limit: int) -> list[dict[str, object]]:
    wanted = columns("calls")
    select = ", ".join(f"{shown(one, 'calls')} AS c_{one.id}" for one in wanted)
    ordered = order(query, "span_id")
    for part in slices(query):
        # expressions outside: inside, ClickHouse would read every text before it sorts
        sql, parameters = _calls_sql(
            part, ", ".join(CALL_SOURCES), ordered, _bound(store, part, offset + limit)
        )
        result = store.query(
            f"SELECT {select} FROM ({sql} LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}) ORDER BY {ordered}",  # noqa: S608
            merged(parameters, {"limit": limit, "offset": offset}),
            settings=limits(),
        )
        if len(result.rows) == limit or part == query:
            return [dict(zip((one.id for one in wanted), row, strict=True)) for row in result.rows]
    return []


def _bound(store: Store, query: TraceQuery, rank: int) -> tuple[str, Parameters] | None:
    """The condition that a call comes among the first `rank`, or None where it would not help.

    To find it takes the column that is sorted by and when calls start, and no other; what has to be sorted with
    all that makes the order certain is then a page or two. Where more have the same value than were looked at,
    the value alone decides.
    """
    one = column("calls", query.sort)
    if one is None or one.type != "number":
        return None
    direction, comparison = ("DESC", ">=") if query.descending else ("ASC", "<=")
    select = f"{one.of_call} AS value, toUnixTimestamp64Nano(start_time)"
    sql, parameters = _calls_sql(query, select, f"value {direction} NULLS LAST")
    most = rank + _MOST_EQUALS
    rows = store.query(
        f"{sql} LIMIT {{most:UInt32}}", merged(parameters, {"most": most}), settings=limits()
    ).rows
    if len(rows) < rank or rows[rank - 1][0] is None:
        return None
    last = rows[rank - 1][0]
    condition, bound = f"{one.of_call} {comparison} {{bound:Float64}}", Parameters(bound=last)
    if rank > _MOST_STARTS or (len(rows) == most and rows[-1][0] == last):
        return condition, bound
    equals = sum(value == last for value, _ in rows[rank:])
    return f"{condition} AND {_AT_STARTS}", merged(bound, {"starts": [at for _, at in rows[: rank + equals]]})


def _calls_sql(
    query: TraceQuery, select: str, ordered: str = "", bound: tuple[str, Parameters] | None = None
) -> tuple[str, Parameters]:
    scores, score_parameters = score_conditions(query)
    filters, filter_parameters = filter_sql(
        query.filters, lambda name: column("calls", name), lambda one: one.of_call
    )
    conditions = [
        *within(),
        *scores,
        IS_CALL,
        *(f"{sql} IN {{{name}:Array(String)}}" for name, sql, _ in label_values(query.scope)),
        *(f"NOT {sql}" if negated else sql for sql, negated in text_conditions(query)),
        *filters,
        *([bound[0]] if bound else []),
    ]
    sql = f"SELECT {select} FROM spans {where_of(query)} {' AND '.join(conditions)}"  # noqa: S608
    parameters = merged(
        window_parameters(query),
        score_parameters,
        label_parameters(query.scope),
        text_parameters(query),
        filter_parameters,
        bound[1] if bound else {},
    )
    return sql + (f" ORDER BY {ordered}" if ordered else ""), parameters


# --- traces ---------------------------------------------------------------------------------


def _read_traces(store: Store, query: TraceQuery, found: Sequence[Found]) -> list[dict[str, object]]:
    summarised = [one for one in found if one.summary_ns]
    others = [one for one in found if not one.summary_ns]
    rows = _summaries(store, query, summarised) if summarised else []
    return rows + (_whole_traces(store, query, others) if others else [])


def _summaries(store: Store, query: TraceQuery, found: Sequence[Found]) -> list[dict[str, object]]:
    parameters: Parameters = {
        "project": query.scope.project,
        "starts": [one.summary_ns for one in found],
        "ids": [one.trace_id for one in found],
    }
    names = [one.id for one in PACKED]
    return [
        {
            "trace_id": trace_id,
            "time": start_time,
            "input": given,
            "output": answer,
            **dict(zip(names, json.loads(str(packed)), strict=True)),
        }
        for trace_id, start_time, given, answer, packed in store.query(
            _SUMMARIES, parameters, settings=limits()
        ).rows
    ]


def _whole_traces(store: Store, query: TraceQuery, found: Sequence[Found]) -> list[dict[str, object]]:
    wanted = columns("traces")
    select = ", ".join(f"{shown(one, 'traces')} AS c_{one.id}" for one in wanted)
    rows = store.query(*_whole_traces_sql(query, found, select), settings=limits()).rows
    return [dict(zip((one.id for one in wanted), row, strict=True)) for row in rows]


def _whole_traces_sql(query: TraceQuery, found: Sequence[Found], select: str) -> tuple[str, Parameters]:
    parameters = Parameters(project=query.scope.project, ids=[one.trace_id for one in found])
    ranges = []
    for index, (first, last) in enumerate(merge_ranges([(one.first, one.last) for one in found])):
        ranges.append(f"start_time BETWEEN {{a{index}:DateTime64(9)}} AND {{b{index}:DateTime64(9)}}")
        # what comes back has lost the nanoseconds
        parameters |= {f"a{index}": first, f"b{index}": last + timedelta(microseconds=1)}
    sql = (  # PREWHERE: a hundred ranges are slow to compare every row with
        f"SELECT {select} FROM spans"  # noqa: S608
        " PREWHERE project = {project:String} AND trace_id IN {ids:Array(String)}"
        f" WHERE ({' OR '.join(ranges)}) GROUP BY trace_id"
    )
    return sql, parameters


def _in_order(rows: list[dict[str, object]], found: Sequence[Found]) -> list[dict[str, object]]:
    by_id = {row["trace_id"]: row for row in rows}
    return [by_id[one.trace_id] for one in found if one.trace_id in by_id]


# --- both -----------------------------------------------------------------------------------


def _days(store: Store, query: TraceQuery) -> Iterator[TraceQuery]:
    """Yield the days of a query that have spans, newest first: a query for each empty one of years adds up."""
    sql = f"SELECT DISTINCT toDate(start_time, 'UTC') AS day FROM spans WHERE {' AND '.join(within())} ORDER BY day DESC"  # noqa: S608
    for (day,) in store.query(sql, window_parameters(query)).rows:
        since = datetime.combine(cast(date, day), time(), tzinfo=UTC)
        until = since + timedelta(days=1)
        yield replace(query, start=max(query.start, since), end=min(query.end, until))


def _csv_list(wanted: Sequence[Column], rows: Rows) -> str:
    return ", ".join(
        f"{neutralised(one.sql(rows)) if one.type == 'text' else one.sql(rows)} AS c_{one.id}"
        for one in wanted
    )


def _select_list(wanted: Sequence[Column], rows: Rows, form: ExportForm) -> str:
    return _csv_list(wanted, rows) if form == "csv" else _json_list(wanted, rows)


def _json_list(wanted: Sequence[Column], rows: Rows) -> str:
    return ", ".join(f"{one.sql(rows)} AS c_{one.id}" for one in wanted)


def _written(
    store: Store, form: ExportForm, wanted: Sequence[Column], sql: str, parameters: Parameters
) -> Iterator[bytes]:
    if form == "csv":
        return store.query_text(f"{sql} SETTINGS format_csv_null_representation = ''", parameters, "CSV")
    # renamed outside: inside, an alias would hide the column of the table that bears its name
    names = ", ".join(f"c_{one.id} AS {one.id}" for one in wanted)
    settings = "output_format_json_quote_64bit_integers = 0, date_time_output_format = 'iso'"
    return store.query_text(f"SELECT {names} FROM ({sql}) SETTINGS {settings}", parameters, "JSONEachRow")  # noqa: S608 (ids of our columns)


def _escaped(pattern: str) -> str:
    return pattern.replace("\\", "\\\\")
