"""Questions of the dashboard with a name, and how long an answer takes; what the Traces and the Trace page ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tests.bench.generated import PROJECT, Generated
from tests.bench.quantiles import quantile

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import trace, traces
from gnomon_dashboard import state
from gnomon_dashboard.state import ViewState

PAGE_ROWS: Final = 100
_FEWEST_REPEATS: Final = 5
_CASE_BUDGET_S: Final = 12.0

Question = Callable[[Store, datetime], object]


@dataclass(frozen=True)
class Case:
    """A question of the dashboard, asked again and again for a clock that moves a minute each time."""

    page: str
    name: str
    range: str
    ask: Question


@dataclass(frozen=True)
class CaseTime:
    """How long a question took, in ms.

    Attributes:
        rows: in the first answer, 0 where it is not a list.
        first_ms: the first answer, before any cache was warm.
    """

    page: str
    name: str
    range: str
    repeats: int
    rows: int
    first_ms: float
    p50_ms: float
    p95_ms: float


def traces_cases(preset: str) -> Iterator[Case]:
    """Yield what the Traces page asks for one range."""
    views = {
        "traces, newest first": ViewState(range=preset),
        "traces, slowest first": ViewState(range=preset, sort="-latency_ms"),
        "traces, of one model": ViewState(range=preset, models=("gpt-4o",)),
        "traces, with a text": ViewState(range=preset, text="voucher express password"),
        "traces, failed ones": ViewState(range=preset, filter=state.equals_filter("status", "error")),
        "calls, newest first": ViewState(range=preset, rows="calls"),
        "calls, dearest first": ViewState(range=preset, rows="calls", sort="-cost_usd"),
    }
    for name, view in views.items():
        yield Case("Traces", name, preset, _page(view))
    yield Case("Traces", "number of traces", preset, _count(ViewState(range=preset)))


def _page(view: ViewState) -> Question:
    return lambda store, now: traces.page(
        store, state.trace_query(view, PROJECT, now), offset=0, limit=PAGE_ROWS
    )


def _count(view: ViewState) -> Question:
    return lambda store, now: traces.count(store, state.trace_query(view, PROJECT, now))


def trace_cases(store: Store, made: Generated) -> Iterator[Case]:
    """Yield what the page of one trace asks; the trace is one from the middle of all."""
    middle = made.now - timedelta(days=made.days / 2)
    query = state.trace_query(ViewState(range="24h"), PROJECT, middle)
    found = traces.page(store, query, offset=0, limit=1)
    if not found:
        return
    trace_id = str(found[0]["trace_id"])
    span_id = trace.spans(store, PROJECT, trace_id)[-1].span_id
    yield Case("Trace", "waterfall", "", lambda store, _: trace.spans(store, PROJECT, trace_id))
    yield Case("Trace", "one span", "", lambda store, _: trace.span(store, PROJECT, trace_id, span_id))
    yield Case("Trace", "scores", "", lambda store, _: trace.scores(store, PROJECT, trace_id))


def time_case(store: Store, case: Case, now: datetime, repeats: int) -> CaseTime:
    """Ask `repeats` times, fewer when that takes too long, and return how long it took."""
    took_ms: list[float] = []
    rows = 0
    began = time.monotonic()
    for number in range(repeats):
        started = time.perf_counter()
        answer = case.ask(store, now - timedelta(minutes=number))
        took_ms.append(1e3 * (time.perf_counter() - started))
        rows = rows or (len(answer) if isinstance(answer, list) else 0)
        if number + 1 >= _FEWEST_REPEATS and time.monotonic() - began > _CASE_BUDGET_S:
            break
    return CaseTime(
        case.page,
        case.name,
        case.range,
        len(took_ms),
        rows,
        took_ms[0],
        quantile(took_ms, 0.5),
        quantile(took_ms, 0.95),
    )
