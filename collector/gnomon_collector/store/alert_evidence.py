"""What goes with a firing: examples, what changed shortly before, and sums per dimension value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_queries import Window
from gnomon_collector.store.queries.cells import as_float, as_int, as_time, optional_float
from gnomon_schemas.metrics import CALL_DIMENSIONS

Kind: TypeAlias = Literal["failures", "latency", "cost", "volume"]

EXPLAINING: Final = (
    "service_name",
    "environment",
    "provider",
    "model",
    "prompt_name",
    "prompt_version",
    "company_id",
    "user_id",
    "error_type",
    "cache_status",
    "release",
    "language",
    "finish_reason",
)
"""Dimensions that may explain a firing."""

CHANGING: Final = ("model", "prompt_version", "release", "provider", "service_name")
"""Dimensions whose new values are told as changes."""

_MOST_VALUES: Final = 2_000
_LIMITS: Final[dict[str, object]] = {"max_execution_time": 20}


@dataclass(frozen=True)
class Where:
    """Which calls: of a project, with these values."""

    project: str
    labels: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Example:
    """A call that shows what is wrong."""

    trace_id: str
    span_id: str
    start_time: datetime
    model: str
    duration_ms: float
    status: str
    error_type: str
    cost_usd: float | None


@dataclass(frozen=True)
class Share:
    """What one value of a dimension had, in the firing's window and before it.

    Attributes:
        now, before: the measure: failed calls, slow calls, USD, or calls
        calls_now, calls_before: all calls
    """

    dimension: str
    value: str
    now: float
    before: float
    calls_now: float
    calls_before: float


@dataclass(frozen=True)
class Novelty:
    """A value that was not there before."""

    dimension: str
    value: str
    first_seen: datetime
    calls: int


def examples(
    store: Store, where: Where, window: Window, kind: Kind, around: float | None, limit: int = 3
) -> list[Example]:
    """Return typical calls, of different traces.

    Failures: of the most frequent kinds of error, the newest. Latency: those nearest to `around` from above, so
    typical slow ones rather than the one that hung. Cost: the dearest.

    Args:
        around: the value that fired, in ms for latency
    """
    conditions, bound = _conditions(where, window)
    order = "start_time DESC"
    if kind == "failures":
        conditions.append("status = 'error'")
        order = "of_type DESC, start_time DESC"
    elif kind == "latency":
        bound["around_ns"] = (around or 0.0) * 1e6
        order = "duration_ns < {around_ns:Float64}, abs(duration_ns - {around_ns:Float64})"
    elif kind == "cost":
        order = "ifNull(cost_usd, 0) DESC"
    sql = f"""
        SELECT trace_id, span_id, start_time, model, duration_ns / 1e6, status, error_type, cost_usd
        FROM (SELECT *, count() OVER (PARTITION BY error_type) AS of_type
            FROM (SELECT trace_id, span_id, start_time, model, duration_ns, status, error_type, cost_usd
                FROM calls WHERE {" AND ".join(conditions)}))
        ORDER BY {order}
        LIMIT 1 BY trace_id LIMIT {int(limit)}
        """  # noqa: S608  (conditions of this module)
    return [
        Example(
            str(row[0]),
            str(row[1]),
            as_time(row[2]),
            str(row[3]),
            as_float(row[4]),
            str(row[5]),
            str(row[6]),
            optional_float(row[7]),
        )
        for row in store.query(sql, bound, settings=_LIMITS).rows
    ]


def shares(
    store: Store, where: Where, now: Window, before: Window, kind: Kind, slow_ms: float | None
) -> list[Share]:
    """Return the sums of every value of every explaining dimension, in both windows.

    Args:
        slow_ms: for latency: a call counts when it is slower
    """
    conditions, bound = _conditions(where, Window(min(now.start, before.start), max(now.end, before.end)))
    measure = {
        "failures": "status = 'error'",
        "latency": "duration_ns / 1e6 > {slow_ms:Float64}",
        "cost": "ifNull(cost_usd, 0)",
        "volume": "1",
    }[kind]
    if kind == "latency":
        bound["slow_ms"] = slow_ms or 0.0
    pairs = ", ".join(f"('{name}', toString({name}))" for name in EXPLAINING)
    bound |= {
        "now_start": now.start,
        "now_end": now.end,
        "before_start": before.start,
        "before_end": before.end,
    }
    is_now, is_before = (
        f"start_time >= {{{one}_start:DateTime64(3, 'UTC')}} AND start_time < {{{one}_end:DateTime64(3, 'UTC')}}"
        for one in ("now", "before")
    )
    sql = f"""
        SELECT pair.1, pair.2, toFloat64(sumIf(measure, is_now)), toFloat64(sumIf(measure, is_before)),
            countIf(is_now), countIf(is_before)
        FROM (SELECT {measure} AS measure, {is_now} AS is_now, {is_before} AS is_before,
                [{pairs}] AS pairs
            FROM calls WHERE {" AND ".join(conditions)})
        ARRAY JOIN pairs AS pair
        GROUP BY pair
        ORDER BY 3 DESC LIMIT {_MOST_VALUES}
        """  # noqa: S608
    return [
        Share(str(row[0]), str(row[1]), *(as_float(cell) for cell in row[2:]))
        for row in store.query(sql, bound, settings=_LIMITS).rows
    ]


def novelties(store: Store, where: Where, window: Window, past: Window) -> list[Novelty]:
    """Return values that came up in `window` and were not there in `past`, oldest first.

    Where there were no calls in `past` everything would be new: then nothing is told.
    """
    conditions, bound = _conditions(where, Window(past.start, window.end))
    pairs = ", ".join(f"('{name}', toString({name}))" for name in CHANGING)
    sql = f"""
        SELECT pair.1, pair.2, min(start_time), count(), min(min(start_time)) OVER () AS first_call
        FROM (SELECT start_time, [{pairs}] AS pairs FROM calls WHERE {" AND ".join(conditions)})
        ARRAY JOIN pairs AS pair
        WHERE pair.2 != ''
        GROUP BY pair
        ORDER BY 3
        LIMIT {_MOST_VALUES}
        """  # noqa: S608
    return [
        Novelty(str(row[0]), str(row[1]), as_time(row[2]), as_int(row[3]))
        for row in store.query(sql, bound, settings=_LIMITS).rows
        if as_time(row[2]) >= window.start and as_time(row[4]) < past.end
    ]


def _conditions(where: Where, window: Window) -> tuple[list[str], dict[str, object]]:
    conditions = [
        "project = {project:String}",
        "start_time >= {start:DateTime64(3, 'UTC')}",
        "start_time < {end:DateTime64(3, 'UTC')}",
    ]
    bound: dict[str, object] = {"project": where.project, "start": window.start, "end": window.end}
    for place, (dimension, values) in enumerate(where.labels.items()):
        if dimension not in CALL_DIMENSIONS:
            raise ValueError(f"Calls have no dimension {dimension!r}.")
        conditions.append(f"{dimension} IN {{label_{place}:Array(String)}}")
        bound[f"label_{place}"] = list(values)
    return conditions, bound
