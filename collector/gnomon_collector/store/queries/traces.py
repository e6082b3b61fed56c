"""The Traces page: pages of rows, their number, and the export of all of them.

A row is a whole trace (its entry span's name, the tokens and cost of its billable calls, its worst status) or
one billable call. A page of traces takes two queries: the first one finds the traces of the page and reads
only the columns that the sort and the filters need; the second one reads every column of those few traces.
With the newest first, the first query looks at the latest part of the window and widens it until the page is
full, so that it does not grow with the window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_int, as_time
from gnomon_collector.store.queries.filters import Parameters, Scope, merged
from gnomon_collector.store.queries.trace_columns import (
    CALL_SOURCES,
    IS_CALL,
    MODEL,
    Column,
    Rows,
    column,
    columns,
)
from gnomon_collector.store.queries.trace_filters import ColumnFilter, filter_sql
from gnomon_collector.store.queries.trace_language import ScoreFilter, TextFilter

ExportForm: TypeAlias = Literal["csv", "jsonl"]

TEXT_SHOWN: Final = 300
"""Characters of input and output that a page of rows carries."""

LONGEST_QUERY_S: Final = 30
_LOOK_BACK: Final = timedelta(hours=1)
"""A trace whose spans pause for longer is placed by its first span after the pause, when newest first."""

_SLICES: Final = (64, 8, 1)
_NARROW: Final = timedelta(hours=2)
_TRACES_PER_EXPORT_QUERY: Final = 500
_JOIN_GAP: Final = timedelta(minutes=1)
_FORMULA_START: Final = r"^[=+\-@\t\r\n]"


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """What the Traces page asks for.

    Attributes:
        start: earliest start of a span, inclusive (UTC).
        end: latest start of a span, exclusive (UTC).
        text: kept are rows with this text in input or output, upper and lower case alike.
        texts: more texts that must, or must not, stand there.
        scores: kept are rows whose trace has such scores.
        sort: a column id, see `trace_columns.COLUMNS`.
    """

    scope: Scope
    start: datetime
    end: datetime
    rows: Rows = "traces"
    text: str = ""
    sort: str = "time"
    descending: bool = True
    filters: tuple[ColumnFilter, ...] = ()
    texts: tuple[TextFilter, ...] = ()
    scores: tuple[ScoreFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    trace_id: str
    first: datetime
    last: datetime


def page(store: Store, query: TraceQuery, *, offset: int, limit: int) -> list[dict[str, object]]:
    """Return rows `offset` to `offset + limit` of the sorted result, as dictionaries by column id.

    Raises:
        StoreError: the query failed or took longer than `LONGEST_QUERY_S`.
    """
    if query.rows == "calls":
        return _page_of_calls(store, query, offset, limit)
    found = _find_traces(store, query, offset, limit)
    return _in_order(_read_traces(store, query, found), found)


def count(store: Store, query: TraceQuery) -> int:
    """Return how many rows the whole result has."""
    sql, parameters = _calls_sql(query, "1") if query.rows == "calls" else _traces_sql(query)
    result = store.query(f"SELECT count() FROM ({sql})", parameters, settings=_limits())  # noqa: S608
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
    for day in _days(replace(query, sort="time", descending=True)):
        if query.rows == "calls":
            sql, parameters = _calls_sql(day, select, order="start_time DESC, span_id")
            yield from _written(store, form, wanted, sql, parameters)
        else:
            yield from _export_traces(store, query, day, wanted, form)


def _export_traces(
    store: Store, query: TraceQuery, day: TraceQuery, wanted: Sequence[Column], form: ExportForm
) -> Iterator[bytes]:
    select = _select_list(wanted, "traces", form)
    found = _run_traces(store, day, looks_back=day.start > query.start, floor=query.start)
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
    select = ", ".join(f"{_shown(one, 'calls')} AS c_{one.id}" for one in wanted)
    order = _order(query, "span_id")
    for part in _slices(query):
        # expressions outside: inside, ClickHouse would read every text before it sorts
        sql, parameters = _calls_sql(part, ", ".join(CALL_SOURCES), order=order)
        result = store.query(
            f"SELECT {select} FROM ({sql} LIMIT {{limit:UInt32}} OFFSET {{offset:UInt32}}) ORDER BY {order}",  # noqa: S608
            merged(parameters, {"limit": limit, "offset": offset}),
            settings=_limits(),
        )
        if len(result.rows) == limit or part == query:
            return [dict(zip((one.id for one in wanted), row, strict=True)) for row in result.rows]
    return []


def _calls_sql(query: TraceQuery, select: str, order: str = "") -> tuple[str, Parameters]:
    conditions, parameters = _span_conditions(query)
    conditions.append(IS_CALL)
    for name, sql_column, values in _labels(query.scope):
        conditions.append(f"{sql_column} IN {{{name}:Array(String)}}")
        parameters[name] = list(values)
    for condition, bound_text in _text_conditions(query):
        conditions.append(condition)
        parameters |= bound_text
    extra, bound = filter_sql(query.filters, lambda name: column("calls", name), lambda one: one.of_call)
    sql = f"SELECT {select} FROM spans WHERE {' AND '.join(conditions + extra)}"  # noqa: S608
    return sql + (f" ORDER BY {order}" if order else ""), merged(parameters, bound)


# --- traces ---------------------------------------------------------------------------------


def _find_traces(store: Store, query: TraceQuery, offset: int, limit: int) -> list[_Found]:
    found: list[_Found] = []
    for part in _slices(query):
        found = _run_traces(
            store, part, looks_back=part.start > query.start, floor=query.start, limit=limit, offset=offset
        )
        if len(found) == limit:
            break
    return found


def _run_traces(
    store: Store,
    query: TraceQuery,
    *,
    looks_back: bool,
    floor: datetime,
    limit: int | None = None,
    offset: int = 0,
) -> list[_Found]:
    sql, parameters = _traces_sql(
        query, look_back_to=max(floor, query.start - _LOOK_BACK) if looks_back else None
    )
    sql += f" ORDER BY {_order(query, 'trace_id')}"
    if limit is not None:
        sql += " LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
        parameters |= {"limit": limit, "offset": offset}
    rows = store.query(sql, parameters, settings=_limits()).rows
    return [_Found(str(row[0]), as_time(row[1]), as_time(row[2])) for row in rows]


def _traces_sql(query: TraceQuery, look_back_to: datetime | None = None) -> tuple[str, Parameters]:
    conditions, parameters = _span_conditions(query)
    having, having_parameters = _having(query)
    if look_back_to is not None:
        having.append("c_time >= {start:DateTime64(9)}")
        conditions[1] = "start_time >= {look_back_to:DateTime64(9)}"
        parameters["look_back_to"] = look_back_to
    needed = {"time", query.sort} | {one.column for one in query.filters}
    select = "".join(
        f", {one.of_trace} AS c_{one.id}"
        for one in columns("traces")
        if one.id in needed and one.id != "trace_id"
    )
    sql = (
        f"SELECT trace_id, min(start_time), max(start_time){select}"  # noqa: S608
        f" FROM spans WHERE {' AND '.join(conditions)} GROUP BY trace_id"
    )
    return sql + (f" HAVING {' AND '.join(having)}" if having else ""), merged(parameters, having_parameters)


def _having(query: TraceQuery) -> tuple[list[str], Parameters]:
    having, parameters = filter_sql(query.filters, lambda name: column("traces", name), _alias)
    labels = []
    for name, sql_column, values in _labels(query.scope):
        labels.append(f"{sql_column} IN {{{name}:Array(String)}}")
        parameters[name] = list(values)
    if labels:
        having.append(f"countIf({' AND '.join(labels)}) > 0")
    for condition, bound_text in _text_conditions(query, any_span=True):
        having.append(condition)
        parameters |= bound_text
    return having, parameters


def _read_traces(store: Store, query: TraceQuery, found: Sequence[_Found]) -> list[dict[str, object]]:
    if not found:
        return []
    wanted = columns("traces")
    select = ", ".join(f"{_shown(one, 'traces')} AS c_{one.id}" for one in wanted)
    sql, parameters = _whole_traces_sql(query, found, select)
    rows = store.query(sql, parameters, settings=_limits()).rows
    return [dict(zip((one.id for one in wanted), row, strict=True)) for row in rows]


def _whole_traces_sql(query: TraceQuery, found: Sequence[_Found], select: str) -> tuple[str, Parameters]:
    parameters = Parameters(project=query.scope.project, ids=[one.trace_id for one in found])
    ranges = []
    for index, (first, last) in enumerate(merge_ranges([(one.first, one.last) for one in found])):
        ranges.append(f"start_time BETWEEN {{a{index}:DateTime64(9)}} AND {{b{index}:DateTime64(9)}}")
        # what comes back has lost the nanoseconds
        parameters |= {f"a{index}": first, f"b{index}": last + timedelta(microseconds=1)}
    sql = (
        f"SELECT {select} FROM spans WHERE project = {{project:String}} AND ({' OR '.join(ranges)})"  # noqa: S608
        f" AND trace_id IN {{ids:Array(String)}} GROUP BY trace_id"
    )
    return sql, parameters


def _in_order(rows: list[dict[str, object]], found: Sequence[_Found]) -> list[dict[str, object]]:
    by_id = {row["trace_id"]: row for row in rows}
    return [by_id[one.trace_id] for one in found if one.trace_id in by_id]


# --- both -----------------------------------------------------------------------------------


def _text_conditions(query: TraceQuery, *, any_span: bool = False) -> Iterator[tuple[str, Parameters]]:
    """Yield a condition for each text; of a trace, one of its spans has to have it."""
    wanted = [*([TextFilter(query.text)] if query.text else []), *query.texts]
    for index, one in enumerate(wanted):
        name = "text" if index == 0 else f"text{index}"
        condition = (
            f"(positionCaseInsensitiveUTF8(input_text, {{{name}:String}}) > 0"
            f" OR positionCaseInsensitiveUTF8(output_text, {{{name}:String}}) > 0)"
        )
        if any_span:
            condition = f"countIf({condition}) {'= 0' if one.negated else '> 0'}"
        elif one.negated:
            condition = f"NOT {condition}"
        yield condition, {name: one.text}


def _score_conditions(query: TraceQuery) -> Iterator[tuple[str, Parameters]]:
    """Yield a condition on the trace for each score that is asked for."""
    for index, one in enumerate(query.scores):
        found = (  # the comparison is one of five signs
            "SELECT trace_id FROM scores FINAL WHERE project = {project:String}"  # noqa: S608
            f" AND name = {{score{index}:String}} AND value {one.comparison} {{bound{index}:Float64}}"
        )
        condition = f"trace_id {'NOT IN' if one.negated else 'IN'} ({found})"
        yield condition, {f"score{index}": one.name, f"bound{index}": one.value}


def _span_conditions(query: TraceQuery) -> tuple[list[str], Parameters]:
    conditions = [
        "project = {project:String}",
        "start_time >= {start:DateTime64(9)}",
        "start_time < {end:DateTime64(9)}",
    ]
    parameters = Parameters(project=query.scope.project, start=query.start, end=query.end)
    for condition, bound in _score_conditions(query):
        conditions.append(condition)
        parameters |= bound
    return conditions, parameters


def _labels(scope: Scope) -> list[tuple[str, str, tuple[str, ...]]]:
    labels = [
        ("services", "service_name", scope.services),
        ("environments", "environment", scope.environments),
        ("models", MODEL, scope.models),
    ]
    return [label for label in labels if label[2]]


def _order(query: TraceQuery, tie_break: str) -> str:
    one = column(query.rows, query.sort) or column(query.rows, "time")
    expression = "start_time" if one is None else _alias(one) if query.rows == "traces" else one.of_call
    direction = "DESC" if query.descending else "ASC"
    return f"{expression} {direction} NULLS LAST, {tie_break}"


def _alias(one: Column) -> str:
    return "trace_id" if one.id == "trace_id" else f"c_{one.id}"


def _slices(query: TraceQuery) -> Iterator[TraceQuery]:
    """Parts of the window, ever wider, that begin at the end the result begins with; the last one is all."""
    width = query.end - query.start
    if query.sort == "time" and width > _NARROW:
        for divisor in _SLICES[:-1]:
            if query.descending:
                yield replace(query, start=query.end - width / divisor)
            elif query.rows == "calls":
                yield replace(query, end=query.start + width / divisor)
    yield query


def _days(query: TraceQuery) -> Iterator[TraceQuery]:
    end = query.end
    while end > query.start:
        start = max(query.start, end - timedelta(days=1))
        yield replace(query, start=start, end=end)
        end = start


def _shown(one: Column, rows: Rows) -> str:
    return (
        f"substringUTF8({one.sql(rows)}, 1, {TEXT_SHOWN})" if one.id in ("input", "output") else one.sql(rows)
    )


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


def _limits() -> dict[str, object]:
    return {"max_execution_time": LONGEST_QUERY_S}


def _escaped(pattern: str) -> str:
    return pattern.replace("\\", "\\\\")
