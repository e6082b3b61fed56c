"""The columns of the Traces page: what each one is, of a call and of a whole trace.

The catalogue is the allow-list of identifiers: sorts, filters and exports name columns by `Column.id`, and
only expressions written here reach SQL.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

ColumnType: TypeAlias = Literal["text", "number", "time"]
Rows: TypeAlias = Literal["traces", "calls"]

TEXT_SHOWN: Final = 300
"""Characters of input and output that a page of rows carries."""

LONG_TEXTS: Final = ("input", "output")

IS_CALL: Final = "(kind IN ('generation', 'embedding') AND duplicate_of = '')"
MODEL: Final = "if(response_model != '', response_model, request_model)"

_TOKENS: Final = "if(input_tokens IS NULL AND output_tokens IS NULL, NULL, ifNull(input_tokens, 0) + ifNull(output_tokens, 0))"
_END_NS: Final = "toUnixTimestamp64Nano(start_time) + toInt64(duration_ns)"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        of_call: SQL over a row of `spans` that is a billable call; empty where calls have no such column.
        of_trace: SQL aggregate over the spans of a trace; empty where traces have no such column.
    """

    id: str
    type: ColumnType
    of_call: str
    of_trace: str

    def sql(self, rows: Rows) -> str:
        return self.of_trace if rows == "traces" else self.of_call


def _of_entry(column: str) -> str:
    """The value on the root span, or on the first span where the root is not here."""
    return f"argMin({column}, (parent_span_id != '', start_time))"


def _first_set(column: str) -> str:
    return f"argMinIf({column}, start_time, {column} != '')"


def _text(column_id: str, column: str, of_trace: str) -> Column:
    return Column(column_id, "text", column, of_trace)


def _number(column_id: str, of_call: str, of_trace: str) -> Column:
    return Column(column_id, "number", of_call, of_trace)


def _entry_text_or_last_call(column: str) -> str:
    return f"if({_of_entry(column)} != '', {_of_entry(column)}, argMaxIf({column}, start_time, {IS_CALL}))"


COLUMNS: Final = (
    _text(
        "status",
        "status",
        "multiIf(countIf(status = 'error') > 0, 'error', countIf(status = 'cancelled') > 0, 'cancelled',"
        " countIf(status = 'ok') > 0, 'ok', 'unknown')",
    ),
    _text("name", "name", _of_entry("name")),
    _text("trace_id", "trace_id", "trace_id"),
    _number(
        "latency_ms",
        "duration_ns / 1e6",
        f"if(countIf(parent_span_id = '') > 0, argMinIf(duration_ns, start_time, parent_span_id = ''),"
        f" max({_END_NS}) - min(toUnixTimestamp64Nano(start_time))) / 1e6",
    ),
    _text("input", "input_text", _entry_text_or_last_call("input_text")),
    _text("output", "output_text", _entry_text_or_last_call("output_text")),
    Column("time", "time", "start_time", "min(start_time)"),
    _text(
        "model",
        MODEL,
        f"arrayStringConcat(arraySort(groupUniqArrayIf({MODEL}, {IS_CALL} AND {MODEL} != '')), ', ')",
    ),
    _number("tokens", _TOKENS, f"sumIf({_TOKENS}, {IS_CALL})"),
    _number("cost_usd", "cost_usd", f"sumIf(cost_usd, {IS_CALL})"),
    _text("user", "user_id", _first_set("user_id")),
    _text("service", "service_name", _of_entry("service_name")),
    _text("environment", "environment", _of_entry("environment")),
    _text("kind", "kind", _of_entry("kind")),
    _text("session", "session_id", _first_set("session_id")),
    _text("company", "company_id", _first_set("company_id")),
    _text("prompt", "prompt_name", _first_set("prompt_name")),
    _text("prompt_version", "prompt_version", _first_set("prompt_version")),
    _text("release", "release", _of_entry("release")),
    _text("error_type", "error_type", _first_set("error_type")),
    _text("provider", "provider", _first_set("provider")),
    _text("finish_reason", "finish_reason", f"argMaxIf(finish_reason, start_time, {IS_CALL})"),
    _number("ttft_ms", "ttft_ms", f"argMinIf(ttft_ms, start_time, {IS_CALL} AND ttft_ms IS NOT NULL)"),
    _number("input_tokens", "input_tokens", f"sumIf(input_tokens, {IS_CALL})"),
    _number("output_tokens", "output_tokens", f"sumIf(output_tokens, {IS_CALL})"),
    _number("cache_read_tokens", "cache_read_tokens", f"sumIf(cache_read_tokens, {IS_CALL})"),
    _text("cache_status", "cache_status", _first_set("cache_status")),
    _text("language", "language", _first_set("language")),
    _text(
        "tags",
        "arrayStringConcat(arraySort(tags), ', ')",
        "arrayStringConcat(arraySort(groupUniqArrayArray(tags)), ', ')",
    ),
    _text("fallback_of", "fallback_of", _first_set("fallback_of")),
    _number("attempt", "attempt", "max(attempt)"),
    _number("calls", "", f"countIf({IS_CALL})"),
    _number("spans", "", "count()"),
    _text("span_id", "span_id", ""),
)

CALL_SOURCES: Final = (
    "status",
    "name",
    "trace_id",
    "duration_ns",
    "input_text",
    "output_text",
    "start_time",
    "response_model",
    "request_model",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "user_id",
    "service_name",
    "environment",
    "kind",
    "session_id",
    "company_id",
    "prompt_name",
    "prompt_version",
    "release",
    "error_type",
    "provider",
    "finish_reason",
    "ttft_ms",
    "cache_read_tokens",
    "cache_status",
    "language",
    "span_id",
    "tags",
    "fallback_of",
    "attempt",
)
"""The columns of `spans` that `Column.of_call` reads."""


def columns(rows: Rows) -> tuple[Column, ...]:
    """Return the columns that traces or calls have, in the order they are shown."""
    return tuple(column for column in COLUMNS if column.sql(rows))


def column(rows: Rows, column_id: str) -> Column | None:
    """Return one column by its id, or None where there is no such column."""
    return next((column for column in columns(rows) if column.id == column_id), None)


_SUMMARY_NAMES: Final = {"user": "user_id", "session": "session_id", "time": "start_time"}

IN_SUMMARY: Final = tuple(one for one in COLUMNS if one.of_trace and one.id not in ("trace_id", "time"))
"""The columns of traces that `trace_summaries` has beside its key."""

PACKED: Final = tuple(one for one in IN_SUMMARY if one.id not in LONG_TEXTS)
"""Those that `trace_summaries.shown` holds: to read thirty columns of rows from all over takes a long time."""

SUMS_OF_CALLS: Final = {
    "failed_calls": f"countIf({IS_CALL} AND status = 'error')",
    "cancelled_calls": f"countIf({IS_CALL} AND status = 'cancelled')",
    "calls_with_cost": f"countIf({IS_CALL} AND cost_usd IS NOT NULL)",
    "calls_ms": f"sumIf(duration_ns, {IS_CALL}) / 1e6",
}
"""What `trace_summaries` has besides, for lists of users, sessions and companies: name to SQL over the spans of a trace."""

SUMMARY_LABELS: Final = f"""\
arrayStringConcat(arraySort(groupUniqArray(
        concat(service_name, '\\t', environment, '\\t', {MODEL}))), '\\n')"""
"""SQL for `trace_summaries.labels`."""


def summary_column(one: Column) -> str:
    """Return what `trace_summaries` calls a column: erasure knows people and sessions by their columns."""
    return _SUMMARY_NAMES.get(one.id, one.id)


def shown(one: Column, rows: Rows) -> str:
    """Return SQL for a column as a list shows it: of long texts the beginning."""
    sql = one.sql(rows)
    return f"substringUTF8({sql}, 1, {TEXT_SHOWN})" if one.id in LONG_TEXTS else sql
