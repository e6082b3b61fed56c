"""What makes calls slow or fail: errors by class, retries and fallbacks, examples, where the time of a request goes."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_int, as_list, as_time, optional_float
from gnomon_collector.store.queries.filters import Parameters, Scope, Window, scope_conditions
from gnomon_collector.store.queries.histogram import quantile_ms
from gnomon_collector.store.queries.trace_columns import IS_CALL, MODEL

LONGEST_SPLIT: Final = timedelta(hours=24)
"""The time split reads every span: at most those of the last 24 hours of a window."""

_EXAMPLES: Final = 8
_IS_MARKED: Final = "(attempt > 1 OR fallback_of != '')"
_MOST_TRACES: Final = 1000
"""That are named one by one: beyond that the query looks for them a second time."""


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """Failed calls of one class in one bucket of time."""

    time: datetime
    error_type: str
    calls: int


@dataclass(frozen=True, slots=True)
class SecondTry:
    """Calls that were made because another one failed.

    Attributes:
        kind: ``retry`` of the same model, or ``fallback`` to another one.
        reason: why: the service's own word, else the error of the attempt before it.
        cost_usd: of these calls; None where none of them has a known price.
        ok: how many of them ended well.
    """

    kind: str
    reason: str
    of_model: str
    to_model: str
    calls: int
    ok: int
    cost_usd: float | None
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Example:
    """A call to look at."""

    trace_id: str
    span_id: str
    time: datetime
    name: str
    model: str
    status: str
    error_type: str
    message: str
    duration_ms: float
    ttft_ms: float | None


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Where the time of requests goes, in ms, summed over `requests` whole requests (root spans).

    Parts may overlap where a service works in parallel; `own_ms` is what the root took beyond them.
    """

    requests: int
    total_ms: float
    model_ms: float
    retrieval_ms: float
    tool_ms: float
    other_ms: float

    @property
    def own_ms(self) -> float:
        known = self.model_ms + self.retrieval_ms + self.tool_ms + self.other_ms
        return max(0.0, self.total_ms - known)


@dataclass(frozen=True, slots=True)
class FirstToken:
    """Quantiles of the time to the first token in one bucket, in ms, over `calls` that reported it."""

    time: datetime
    p50_ms: float
    p95_ms: float
    calls: int


def error_classes(store: Store, scope: Scope, window: Window) -> list[ErrorClass]:
    """Return failed calls per bucket and error type, in order of time."""
    conditions, parameters = scope_conditions(scope)
    conditions += ["calls > 0", "status = 'error'", "time >= {start:DateTime}", "time < {end:DateTime}"]
    rows = store.query(
        f"""
        SELECT toStartOfInterval(time, toIntervalSecond({{step:UInt32}}), 'UTC') AS bucket, error_type, sum(calls)
        FROM {window.table} FINAL
        WHERE {" AND ".join(conditions)}
        GROUP BY bucket, error_type
        ORDER BY bucket, error_type
        """,  # noqa: S608 (tables and conditions are constants, values are bound)
        parameters | {"start": window.start, "end": window.end, "step": window.step_s},
    ).rows
    return [ErrorClass(as_time(time), str(kind), as_int(calls)) for time, kind, calls in rows]


def second_tries(store: Store, scope: Scope, window: Window) -> list[SecondTry]:
    """Return retries and fallbacks with their reasons, most frequent first.

    The mark may stand on the call itself, or on the step around it: then the calls in that step count. A
    filter by model does not apply.
    """
    where, parameters = _spans(scope, window)
    traces = store.query(
        f"SELECT DISTINCT trace_id FROM spans WHERE {where} AND {_IS_MARKED} LIMIT {_MOST_TRACES + 1}",  # noqa: S608
        parameters,
    ).rows
    if not traces:
        return []
    of_marked = "SELECT trace_id FROM marked"
    if len(traces) <= _MOST_TRACES:
        of_marked, parameters = "{traces:Array(String)}", parameters | {"traces": [one for (one,) in traces]}
    rows = store.query(
        f"""
        WITH marked AS (
            SELECT trace_id, span_id, kind, duplicate_of, if(fallback_of != '', 'fallback', 'retry') AS try_kind,
                fallback_reason, fallback_of, {MODEL} AS own_model, status, cost_usd, duration_ns
            FROM spans
            WHERE {where} AND {_IS_MARKED}
        )
        SELECT marked.try_kind,
            multiIf(marked.fallback_reason != '', marked.fallback_reason, failed.error_type IS NOT NULL,
                concat('after ', failed.error_type), '(no reason given)') AS reason,
            marked.fallback_of,
            if(marked.own_model != '', marked.own_model, ifNull(inner.model, '')) AS to_model,
            count() AS calls, countIf(marked.status = 'ok') AS ok,
            sumOrNull(if(marked.cost_usd IS NULL, inner.cost, marked.cost_usd)) AS cost,
            sum(marked.duration_ns) / 1e6 AS duration
        FROM marked
        LEFT JOIN (
            SELECT trace_id, parent_span_id, any({MODEL}) AS model, sumOrNull(cost_usd) AS cost
            FROM spans
            WHERE {where} AND {IS_CALL} AND trace_id IN ({of_marked})
            GROUP BY trace_id, parent_span_id
        ) AS inner ON marked.trace_id = inner.trace_id AND marked.span_id = inner.parent_span_id
        LEFT JOIN (
            SELECT trace_id, argMin(error_type, start_time) AS error_type
            FROM spans
            WHERE {where} AND {IS_CALL} AND status = 'error' AND trace_id IN ({of_marked})
            GROUP BY trace_id
        ) AS failed ON marked.trace_id = failed.trace_id
        WHERE marked.duplicate_of = ''
        GROUP BY marked.try_kind, reason, marked.fallback_of, to_model
        ORDER BY calls DESC, marked.try_kind, reason, marked.fallback_of, to_model
        LIMIT 50
        SETTINGS join_use_nulls = 1
        """,  # noqa: S608 (as above)
        parameters,
    ).rows
    return [
        SecondTry(
            str(kind), str(reason), str(of), str(to), as_int(calls), as_int(ok), optional_float(cost), as_float(ms)
        )
        for kind, reason, of, to, calls, ok, cost, ms in rows
    ]  # fmt: skip


def examples(
    store: Store, scope: Scope, window: Window, which: Literal["slowest", "failing"]
) -> list[Example]:
    """Return the slowest calls that ended well, or the latest failed ones."""
    which_sql, order, parts = {
        "slowest": ("status != 'error'", "duration_ns DESC", (window,)),
        "failing": ("status = 'error'", "start_time DESC", window.latest_parts),
    }[which]
    rows: list[tuple[object, ...]] = []
    for part in parts:
        where, parameters = _calls(scope, part)
        rows = store.query(
            f"""
            SELECT trace_id, span_id, start_time, name, {MODEL}, status, error_type, substringUTF8(status_message, 1, 300),
                duration_ns / 1e6, ttft_ms
            FROM calls
            WHERE {where} AND {which_sql}
            ORDER BY {order}, span_id
            LIMIT {_EXAMPLES}
            """,  # noqa: S608 (as above)
            parameters,
        ).rows
        if len(rows) == _EXAMPLES:
            break
    return [
        Example(
            str(row[0]), str(row[1]), as_time(row[2]), str(row[3]), str(row[4]), str(row[5]), str(row[6]),
            str(row[7]), as_float(row[8]), optional_float(row[9]),
        )
        for row in rows
    ]  # fmt: skip


def first_tokens(store: Store, scope: Scope, window: Window) -> list[FirstToken]:
    """Return the time to the first token per bucket, from the calls that reported it."""
    found = _summed_first_tokens(store, scope, window)
    return _first_tokens_of_calls(store, scope, window) if found is None else found


def _summed_first_tokens(store: Store, scope: Scope, window: Window) -> list[FirstToken] | None:
    """The same from the rollup, or None where rows of it are from before it had a histogram of these times."""
    conditions, parameters = scope_conditions(scope)
    conditions += ["calls_with_ttft > 0", "time >= {start:DateTime}", "time < {end:DateTime}"]
    rows = store.query(
        f"""
        SELECT toStartOfInterval(time, toIntervalSecond({{step:UInt32}}), 'UTC') AS bucket, sum(calls_with_ttft),
            sumForEach(ttft_buckets)
        FROM {window.table} FINAL
        WHERE {" AND ".join(conditions)}
        GROUP BY bucket
        ORDER BY bucket
        """,  # noqa: S608 (tables and conditions are constants, values are bound)
        parameters | {"start": window.start, "end": window.end, "step": window.step_s},
    ).rows
    found = [
        (as_time(time), as_int(calls), list(map(as_int, as_list(counts)))) for time, calls, counts in rows
    ]
    if any(calls != sum(counts) for _, calls, counts in found):
        return None
    return [
        FirstToken(time, quantile_ms(counts, 0.5) or 0.0, quantile_ms(counts, 0.95) or 0.0, calls)
        for time, calls, counts in found
    ]


def _first_tokens_of_calls(store: Store, scope: Scope, window: Window) -> list[FirstToken]:
    where, parameters = _calls(scope, window)
    rows = store.query(
        f"""
        SELECT toStartOfInterval(start_time, toIntervalSecond({{step:UInt32}}), 'UTC') AS bucket,
            quantiles(0.5, 0.95)(ttft_ms) AS ttft, count()
        FROM calls
        WHERE {where} AND ttft_ms IS NOT NULL
        GROUP BY bucket
        ORDER BY bucket
        """,  # noqa: S608 (as above)
        parameters | {"step": window.step_s},
    ).rows
    return [FirstToken(as_time(time), *_two(both), as_int(calls)) for time, both, calls in rows]


def time_split(store: Store, scope: Scope, window: Window) -> TimeSplit:
    """Return where the time of requests goes; over the last `LONGEST_SPLIT` of a longer window."""
    last_day = replace(window, start=max(window.start, window.end - LONGEST_SPLIT))
    where, parameters = _spans(scope, last_day)
    rows = store.query(
        f"""
        SELECT
            countIf(is_root), sumIf(ms, is_root),
            sumIf(ms, kind IN ('generation', 'embedding') AND duplicate_of = '' AND NOT is_root),
            sumIf(ms, kind IN ('retrieval', 'rerank') AND NOT is_root),
            sumIf(ms, kind = 'tool' AND NOT is_root),
            sumIf(ms, kind IN ('guardrail', 'evaluation', 'cache') AND NOT is_root)
        FROM (
            SELECT kind, duplicate_of, duration_ns / 1e6 AS ms, parent_span_id = '' AS is_root
            FROM spans
            WHERE {where}
        )
        """,  # noqa: S608 (as above)
        parameters,
    ).rows
    requests, *parts = rows[0]
    return TimeSplit(as_int(requests), *(as_float(part) for part in parts))


def _calls(scope: Scope, window: Window) -> tuple[str, Parameters]:
    conditions, parameters = scope_conditions(scope)
    conditions += ["start_time >= {start:DateTime64(9)}", "start_time < {end:DateTime64(9)}"]
    return " AND ".join(conditions), parameters | {"start": window.start, "end": window.end}


def _spans(scope: Scope, window: Window) -> tuple[str, Parameters]:
    """Conditions on spans of any kind."""
    conditions, parameters = scope_conditions(replace(scope, models=()))
    conditions += ["start_time >= {start:DateTime64(9)}", "start_time < {end:DateTime64(9)}"]
    return " AND ".join(conditions), parameters | {"start": window.start, "end": window.end}


def _two(values: object) -> tuple[float, float]:
    first, second = values if isinstance(values, (list, tuple)) else (0.0, 0.0)
    return as_float(first), as_float(second)
