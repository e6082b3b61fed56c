"""The overview's panels: one query each, all on the rollups of `calls`.

A rollup row is replaced by a newer version of itself until it is merged, hence FINAL. The window's last,
still open bucket is included: the rollups are recomputed with every flush.
"""

from dataclasses import dataclass
from datetime import datetime

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_int, as_list, as_time
from gnomon_collector.store.queries.filters import Parameters, Scope, Window, scope_conditions

_LATE_SHARE = 0.1
_FIRST_CALL = "(SELECT min(time) FROM calls_per_hour WHERE project = {project:String} AND calls > 0)"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Sums over some calls. `cost_usd` covers the `priced` ones only, tokens those `with_usage`."""

    calls: int = 0
    ok: int = 0
    errors: int = 0
    cancelled: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    with_usage: int = 0
    cost_usd: float = 0.0
    priced: int = 0

    @property
    def success_rate(self) -> float | None:
        """Share of `ok` among calls that ended well or badly (0..1); cancelled and unknown ones say nothing."""
        return self.ok / (self.ok + self.errors) if self.ok + self.errors else None


@dataclass(frozen=True, slots=True)
class TrafficSeries:
    """Traffic per bucket of a window, and of the window before it as a whole.

    `previous` is None where the project's first call came too late for a comparison.
    """

    buckets: tuple[tuple[datetime, Traffic], ...]
    previous: Traffic | None


@dataclass(frozen=True, slots=True)
class LatencySeries:
    """Latency bucket counts (see `histogram`) per bucket of a window, and of the window before it.

    `previous` is empty where the project's first call came too late for a comparison.
    """

    buckets: tuple[tuple[datetime, tuple[int, ...]], ...]
    previous: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """Tokens and cost of one model in one bucket of time."""

    time: datetime
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    priced: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many calls ended with this status and error type."""

    status: str
    error_type: str
    calls: int


def traffic(store: Store, scope: Scope, window: Window) -> TrafficSeries:
    """Return what the tiles (but for latency) and success over time show."""
    rows = store.query(*traffic_query(scope, window)).rows
    return TrafficSeries(
        buckets=tuple((as_time(row[1]), _traffic(row[2:-1])) for row in rows if row[0]),
        previous=next((_traffic(row[2:-1]) for row in rows if not row[0]), Traffic())
        if _began_before(rows, window)
        else None,
    )


def latency(store: Store, scope: Scope, window: Window) -> LatencySeries:
    """Return what the latency tiles, latency over time and the latency distribution show."""
    rows = store.query(*latency_query(scope, window)).rows
    return LatencySeries(
        buckets=tuple((as_time(row[1]), _counts(row[2])) for row in rows if row[0]),
        previous=next((_counts(row[2]) for row in rows if not row[0]), ())
        if _began_before(rows, window)
        else (),
    )


def _began_before(rows: list[tuple[object, ...]], window: Window) -> bool:
    """Whether the project was in use through most of the window before: else a comparison would mislead."""
    late = window.previous.start + (window.previous.end - window.previous.start) * _LATE_SHARE
    return bool(rows) and as_time(rows[0][-1]) <= late


def usage_by_model(store: Store, scope: Scope, window: Window) -> list[ModelUsage]:
    """Return tokens and cost per model and bucket, in order of time."""
    return [
        ModelUsage(
            as_time(time),
            str(model),
            as_int(calls),
            as_int(tokens_in),
            as_int(tokens_out),
            as_float(cost),
            as_int(priced),
        )
        for time, model, calls, tokens_in, tokens_out, cost, priced in store.query(
            *usage_query(scope, window)
        ).rows
    ]


def outcomes(store: Store, scope: Scope, window: Window) -> list[Outcome]:
    """Return the number of calls per status and error type, most frequent first."""
    return [
        Outcome(str(status), str(error_type), as_int(calls))
        for status, error_type, calls in store.query(*outcomes_query(scope, window)).rows
    ]


def traffic_query(scope: Scope, window: Window) -> tuple[str, Parameters]:
    """Return SQL and parameters: rows of (is current, bucket, sums); the window before is one row."""
    where, parameters = _where(scope, window, since="previous_start")
    parameters |= {"start": window.start, "step": window.step_s}
    sql = f"""
        SELECT
            time >= {{start:DateTime}} AS current,
            if(current, toStartOfInterval(time, toIntervalSecond({{step:UInt32}}), 'UTC'), toDateTime(0, 'UTC')) AS bucket,
            sum(calls),
            sumIf(calls, status = 'ok'),
            sumIf(calls, status = 'error'),
            sumIf(calls, status = 'cancelled'),
            sum(input_tokens),
            sum(output_tokens),
            sum(calls_with_usage),
            sum(cost_usd),
            sum(calls_with_cost),
            {_FIRST_CALL}
        FROM {window.table} FINAL
        WHERE {where}
        GROUP BY current, bucket
        ORDER BY bucket
    """  # noqa: S608 (tables and conditions are constants, values are bound)
    return sql, parameters


def latency_query(scope: Scope, window: Window) -> tuple[str, Parameters]:
    """Return SQL and parameters: rows of (is current, bucket, counts per latency bucket)."""
    where, parameters = _where(scope, window, since="previous_start")
    parameters |= {"start": window.start, "step": window.step_s}
    sql = f"""
        SELECT
            time >= {{start:DateTime}} AS current,
            if(current, toStartOfInterval(time, toIntervalSecond({{step:UInt32}}), 'UTC'), toDateTime(0, 'UTC')) AS bucket,
            sumForEach(latency_buckets),
            {_FIRST_CALL}
        FROM {window.table} FINAL
        WHERE {where}
        GROUP BY current, bucket
        ORDER BY bucket
    """  # noqa: S608 (tables and conditions are constants, values are bound)
    return sql, parameters


def usage_query(scope: Scope, window: Window) -> tuple[str, Parameters]:
    """Return SQL and parameters: rows of `ModelUsage`."""
    where, parameters = _where(scope, window, since="start")
    parameters["step"] = window.step_s
    sql = f"""
        SELECT
            toStartOfInterval(time, toIntervalSecond({{step:UInt32}}), 'UTC') AS bucket,
            model,
            sum(calls),
            sum(input_tokens),
            sum(output_tokens),
            sum(cost_usd),
            sum(calls_with_cost)
        FROM {window.table} FINAL
        WHERE {where}
        GROUP BY bucket, model
        ORDER BY bucket, model
    """  # noqa: S608 (tables and conditions are constants, values are bound)
    return sql, parameters


def outcomes_query(scope: Scope, window: Window) -> tuple[str, Parameters]:
    """Return SQL and parameters: rows of `Outcome`."""
    where, parameters = _where(scope, window, since="start")
    sql = f"""
        SELECT status, error_type, sum(calls) AS number
        FROM {window.table} FINAL
        WHERE {where}
        GROUP BY status, error_type
        ORDER BY number DESC, status, error_type
    """  # noqa: S608 (tables and conditions are constants, values are bound)
    return sql, parameters


def _where(scope: Scope, window: Window, *, since: str) -> tuple[str, Parameters]:
    conditions, parameters = scope_conditions(scope)
    # a label set whose calls turned out to be duplicates stays as a row of zeros
    conditions += ["calls > 0", f"time >= {{{since}:DateTime}}", "time < {end:DateTime}"]
    parameters |= {
        "end": window.end,
        since: window.previous.start if since == "previous_start" else window.start,
    }
    return " AND ".join(conditions), parameters


def _traffic(sums: tuple[object, ...]) -> Traffic:
    *counts, cost_usd, priced = sums
    calls, ok, errors, cancelled, input_tokens, output_tokens, with_usage = map(as_int, counts)
    return Traffic(
        calls,
        ok,
        errors,
        cancelled,
        input_tokens,
        output_tokens,
        with_usage,
        as_float(cost_usd),
        as_int(priced),
    )


def _counts(value: object) -> tuple[int, ...]:
    return tuple(as_int(count) for count in as_list(value))
