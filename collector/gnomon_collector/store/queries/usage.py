"""Calls summed by any label: over time, and as a table beside the period before.

Labels that the rollups carry are read from them; the others (user, session, company, release, language…) from
the calls themselves, with the same sums, so that a page may break figures down by either.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_int, as_list, as_time
from gnomon_collector.store.queries.filters import Parameters, Scope, Window, scope_conditions
from gnomon_collector.store.queries.histogram import quantile_ms

Order: TypeAlias = Literal["calls", "cost_usd", "errors", "duration_ms", "tokens"]

ROLLUP_LABELS: Final = {
    "model": "model",
    "provider": "provider",
    "service": "service_name",
    "environment": "environment",
    "kind": "kind",
    "prompt": "prompt_name",
    "prompt_version": "if(prompt_version = '', prompt_name, concat(prompt_name, ' ', prompt_version))",
    "status": "status",
    "error_type": "error_type",
    "cache_status": "cache_status",
}
"""Labels of the rollups: id to SQL over a rollup row."""

CALL_LABELS: Final = {
    "user": "user_id",
    "company": "company_id",
    "session": "session_id",
    "release": "release",
    "language": "language",
    "finish_reason": "finish_reason",
    "tag": "arrayJoin(if(empty(tags), [''], tags))",
}
"""Labels that only calls carry: id to SQL over a row of `calls`."""

LABELS: Final = (*ROLLUP_LABELS, *CALL_LABELS)
_ORDERS: Final[dict[Order, str]] = {
    "calls": "s_calls",
    "cost_usd": "s_cost",
    "errors": "s_errors",
    "duration_ms": "s_duration",
    "tokens": "s_in + s_out",
}
_OF_ROLLUP: Final = """
            sum(calls) AS s_calls,
            sumIf(calls, status = 'ok') AS s_ok,
            sumIf(calls, status = 'error') AS s_errors,
            sumIf(calls, status = 'cancelled') AS s_cancelled,
            sum(input_tokens) AS s_in,
            sum(output_tokens) AS s_out,
            sum(cache_read_tokens) AS s_cache_read,
            sum(cache_write_tokens) AS s_cache_write,
            sum(reasoning_tokens) AS s_reasoning,
            sum(calls_with_usage) AS s_usage,
            sum(cost_usd) AS s_cost,
            sum(calls_with_cost) AS s_priced,
            sum(duration_ms) AS s_duration,
            sum(ttft_ms) AS s_ttft,
            sum(calls_with_ttft) AS s_with_ttft,
            sumIf(duration_ms, output_tokens > 0) AS s_writing"""
_LATENCY_OF_ROLLUP: Final = "sumForEach(latency_buckets) AS s_latency"
_OF_CALLS: Final = """
            count() AS s_calls,
            countIf(status = 'ok') AS s_ok,
            countIf(status = 'error') AS s_errors,
            countIf(status = 'cancelled') AS s_cancelled,
            sum(ifNull(input_tokens, 0)) AS s_in,
            sum(ifNull(output_tokens, 0)) AS s_out,
            sum(ifNull(cache_read_tokens, 0)) AS s_cache_read,
            sum(ifNull(cache_write_tokens, 0)) AS s_cache_write,
            sum(ifNull(reasoning_tokens, 0)) AS s_reasoning,
            countIf(usage_source != 'none') AS s_usage,
            sum(ifNull(cost_usd, 0)) AS s_cost,
            count(cost_usd) AS s_priced,
            sum(duration_ns) / 1e6 AS s_duration,
            sum(ifNull(ttft_ms, 0)) AS s_ttft,
            count(ttft_ms) AS s_with_ttft,
            sumIf(duration_ns, output_tokens > 0) / 1e6 AS s_writing"""
_LATENCY_OF_CALLS: Final = "quantiles(0.5, 0.95, 0.99)(duration_ns / 1e6) AS s_latency"
_NO_LATENCY: Final = "emptyArrayUInt32() AS s_latency"
"""To add histograms up costs more than all sums together: left out where nobody looks."""

_SHORT_OF_ROLLUP: Final = (
    "sum(calls) AS s_calls, sumIf(calls, status = 'error') AS s_errors, sum(cost_usd) AS s_cost"
)
_SHORT_OF_CALLS: Final = (
    "count() AS s_calls, countIf(status = 'error') AS s_errors, sum(ifNull(cost_usd, 0)) AS s_cost"
)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over some calls. Shares and means are None where nothing was reported.

    Attributes:
        with_usage: calls that reported tokens; `priced`: calls with a known price; `cost_usd` covers those.
        duration_ms: of all calls together.
        ttft_ms: of the `with_ttft` calls that reported a time to the first token, together.
        writing_ms: duration of the calls that reported output tokens, together.
    """

    calls: int = 0
    ok: int = 0
    errors: int = 0
    cancelled: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    with_usage: int = 0
    cost_usd: float = 0.0
    priced: int = 0
    duration_ms: float = 0.0
    ttft_ms: float = 0.0
    with_ttft: int = 0
    writing_ms: float = 0.0

    @property
    def tokens(self) -> int:
        """Input and output tokens."""
        return self.input_tokens + self.output_tokens

    @property
    def success_rate(self) -> float | None:
        """Share of ok among calls that ended well or badly (0..1)."""
        return _share(self.ok, self.ok + self.errors)

    @property
    def error_rate(self) -> float | None:
        """Share of failures among calls that ended well or badly (0..1)."""
        return _share(self.errors, self.ok + self.errors)

    @property
    def mean_ttft_ms(self) -> float | None:
        """Mean time to the first token."""
        return _share(self.ttft_ms, self.with_ttft)

    @property
    def tokens_per_second(self) -> float | None:
        """Output tokens per second of the calls that reported output."""
        per_ms = _share(self.output_tokens, self.writing_ms)
        return None if per_ms is None else per_ms * 1000

    @property
    def prompt_cache_share(self) -> float | None:
        """Share of the input tokens that the provider's prompt cache served (0..1)."""
        return _share(self.cache_read_tokens, self.input_tokens)

    @property
    def cost_per_call_usd(self) -> float | None:
        """Mean cost of a priced call."""
        return _share(self.cost_usd, self.priced)


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles of the duration of calls in ms; None without calls, and where they were not asked for."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """The calls with one value of a label in one bucket of time."""

    time: datetime
    value: str
    totals: Totals
    latency: Latency


@dataclass(frozen=True, slots=True)
class Group:
    """The calls with one value of a label in a window, and in the window before."""

    value: str
    totals: Totals
    latency: Latency
    before: Totals


def over_time(
    store: Store,
    scope: Scope,
    window: Window,
    label: str = "",
    *,
    prompt: str | None = None,
    has_latency: bool = False,
) -> list[Point]:
    """Return sums per bucket, and per value of `label` where one is given, in order of time.

    Args:
        prompt: the name of a prompt: only its calls count.
        has_latency: whether to work out quantiles as well.

    Raises:
        ValueError: no such label.
    """
    rows = store.query(*over_time_query(scope, window, label, prompt, has_latency=has_latency)).rows
    return [Point(as_time(row[0]), str(row[1]), totals(row[2:18]), latency(row[18])) for row in rows]


def by_label(
    store: Store,
    scope: Scope,
    window: Window,
    label: str,
    *,
    order: Order = "cost_usd",
    limit: int = 50,
    has_latency: bool = False,
) -> list[Group]:
    """Return sums per value of `label`, greatest first, each beside the window before.

    Args:
        has_latency: whether to work out quantiles as well.

    Raises:
        ValueError: no such label.
    """
    rows = store.query(*by_label_query(scope, window, label, order, limit, has_latency=has_latency)).rows
    return [
        Group(
            str(row[0]),
            totals(row[1:17]),
            latency(row[17]),
            Totals(calls=as_int(row[18]), errors=as_int(row[19]), cost_usd=as_float(row[20])),
        )
        for row in rows
    ]


def over_time_query(
    scope: Scope, window: Window, label: str = "", prompt: str | None = None, *, has_latency: bool = False
) -> tuple[str, Parameters]:
    """Return SQL and parameters of `over_time`."""
    table, time, sums, value = _source(window, label, has_latency)
    where, parameters = _where(scope, table, time, since="start")
    parameters |= {"start": window.start, "end": window.end, "step": window.step_s}
    if prompt is not None:
        where += " AND prompt_name = {prompt:String}"
        parameters["prompt"] = prompt
    sql = f"""
        SELECT
            toStartOfInterval({time}, toIntervalSecond({{step:UInt32}}), 'UTC') AS bucket,
            {value} AS value,{sums}
        FROM {table}
        WHERE {where}
        GROUP BY bucket, value
        ORDER BY bucket, value
    """  # noqa: S608 (tables, sums and labels are constants, values are bound)
    return sql, parameters


def by_label_query(
    scope: Scope, window: Window, label: str, order: Order, limit: int, *, has_latency: bool = False
) -> tuple[str, Parameters]:
    """Return SQL and parameters of `by_label`: sums of the window, then calls, errors and cost before it."""
    table, time, sums, value = _source(window, label, has_latency)
    where, parameters = _where(scope, table, time, since="start")
    parameters |= {
        "start": window.start,
        "end": window.end,
        "previous_start": window.previous.start,
        "limit": limit,
    }
    now = f"SELECT {value} AS value,{sums} FROM {table} WHERE {where} GROUP BY value ORDER BY {_ORDERS[order]} DESC, value LIMIT {{limit:UInt32}}"  # noqa: S608
    earlier, _ = _where(scope, table, time, since="previous_start", until="start")
    short = _SHORT_OF_CALLS if table == "calls" else _SHORT_OF_ROLLUP
    before = f"SELECT {value} AS value, {short} FROM {table} WHERE {earlier} GROUP BY value"  # noqa: S608
    sql = f"""
        SELECT now.value, {", ".join(f"now.{name}" for name in _NAMES)}, before.s_calls, before.s_errors, before.s_cost
        FROM ({now}) AS now
        LEFT JOIN ({before}) AS before ON now.value = before.value
        ORDER BY {_ORDERS[order].replace("s_", "now.s_")} DESC, now.value
    """  # noqa: S608 (as above)
    return sql, parameters


_FRACTIONAL: Final = ("cost_usd", "duration_ms", "ttft_ms", "writing_ms")
_NAMES: Final = (
    "s_calls",
    "s_ok",
    "s_errors",
    "s_cancelled",
    "s_in",
    "s_out",
    "s_cache_read",
    "s_cache_write",
    "s_reasoning",
    "s_usage",
    "s_cost",
    "s_priced",
    "s_duration",
    "s_ttft",
    "s_with_ttft",
    "s_writing",
    "s_latency",
)


def _source(window: Window, label: str, has_latency: bool) -> tuple[str, str, str, str]:
    """Table, time column, sums, and the SQL of a label."""
    if label in CALL_LABELS:
        sums = f"{_OF_CALLS},\n            {_LATENCY_OF_CALLS if has_latency else _NO_LATENCY}"
        return "calls", "start_time", sums, CALL_LABELS[label]
    if label and label not in ROLLUP_LABELS:
        raise ValueError(f"There is no label {label!r}; there are {', '.join(LABELS)}.")
    sums = f"{_OF_ROLLUP},\n            {_LATENCY_OF_ROLLUP if has_latency else _NO_LATENCY}"
    return f"{window.table} FINAL", "time", sums, ROLLUP_LABELS.get(label, "''")


def _where(scope: Scope, table: str, time: str, *, since: str, until: str = "end") -> tuple[str, Parameters]:
    conditions, parameters = scope_conditions(scope)
    if table != "calls":
        # a label set whose calls turned out to be duplicates stays as a row of zeros
        conditions.append("calls > 0")
    conditions += [f"{time} >= {{{since}:DateTime}}", f"{time} < {{{until}:DateTime}}"]
    return " AND ".join(conditions), parameters


_CELLS: Final = tuple(as_float if name in _FRACTIONAL else as_int for name in Totals.__dataclass_fields__)


def totals(cells: tuple[object, ...]) -> Totals:
    """Return the sixteen sums of a row."""
    # charts over time bring thousands of rows
    return Totals(*[cell(value) for cell, value in zip(_CELLS, cells, strict=True)])  # type: ignore[arg-type]


_UNKNOWN: Final = Latency(None, None, None)


def latency(cell: object) -> Latency:
    """Return the quantiles out of latency buckets, or as the database computed them."""
    values = as_list(cell)
    if not values:
        return _UNKNOWN
    if len(values) == 3 and all(isinstance(value, float) for value in values):
        return Latency(*(as_float(value) for value in values))
    counts = [as_int(value) for value in values]
    return Latency(*(quantile_ms(counts, q) for q in (0.5, 0.95, 0.99)))


def added(parts: list[Totals]) -> Totals:
    """Return the sums of several sums."""
    names = Totals.__dataclass_fields__
    return Totals(**{name: sum(getattr(part, name) for part in parts) for name in names})


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
