"""Latency & errors: is it slow, is it failing, where, and why."""

from collections.abc import Sequence
from typing import Any, Final

from dash import Dash, html

from gnomon_collector.store.queries import reliability, usage
from gnomon_collector.store.queries.overview import LatencySeries
from gnomon_collector.store.queries.reliability import ErrorClass, Example, FirstToken, SecondTry, TimeSplit
from gnomon_collector.store.queries.usage import Group
from gnomon_dashboard import charts, links, state, units
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.pages import panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.overview import ask_latency, ask_traffic, draw_quantiles, draw_success
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

_FAILED: Final = f"rows=calls&filter={state.equals_filter('status', 'error')}"


def draw_heat_map(series: LatencySeries, view: View) -> Any:
    return charts.heat_map(series.buckets, view.canvas)


def draw_errors(rows: Sequence[ErrorClass], view: View) -> Any:
    points = [(row.time, row.error_type or "(no type)", float(row.calls)) for row in rows]
    return charts.stacked(charts.folded(points), view.canvas, "count") if points else None


def draw_first_tokens(rows: Sequence[FirstToken], view: View) -> Any:
    if not rows:
        return None
    series = {
        "p50": {row.time: row.p50_ms for row in rows},
        "p95": {row.time: row.p95_ms for row in rows},
    }
    return charts.lines(series, view.canvas, "duration", view.canvas.palette.quantiles)


def draw_split(split: TimeSplit, view: View) -> Any:
    if not split.requests:
        return None
    colours = view.canvas.palette.series
    parts = (
        ("Model calls", split.model_ms, colours[0]),
        ("Retrieval", split.retrieval_ms, colours[2]),
        ("Tools", split.tool_ms, colours[1]),
        ("Guardrails", split.other_ms, colours[3]),
        ("Own code", split.own_ms, view.canvas.palette.neutral),
    )
    shown = [(name, ms / split.requests, colour) for name, ms, colour in parts if ms > 0]
    return charts.split(shown, view.canvas, "duration") if shown else None


def draw_models(groups: Sequence[Group], view: View) -> Any:
    if not groups:
        return None
    slowest = max((group.latency.p95_ms or 0 for group in groups), default=0) or 1
    link = links.to_calls(view.state)
    rows = [
        [
            Cell(group.value or "(unnamed)", link("model", group.value) if group.value else ""),
            Cell(units.whole(group.totals.calls)),
            Cell(units.duration(group.latency.p50_ms)),
            Cell(units.duration(group.latency.p95_ms), share=(group.latency.p95_ms or 0) / slowest),
            Cell(units.duration(group.latency.p99_ms)),
            Cell(units.duration(group.totals.mean_ttft_ms)),
            Cell(_rate(group.totals.tokens_per_second)),
            _error_rate(group),
        ]
        for group in groups
    ]
    headers = ("Model", "Calls", "p50", "p95", "p99", "First token", "Tokens/s", "Errors")
    return ranking(headers, rows)


def draw_providers(groups: Sequence[Group], view: View) -> Any:
    if not groups:
        return None
    link = links.to_calls(view.state)
    rows = [
        [
            Cell(group.value or "(unnamed)", link("provider", group.value) if group.value else ""),
            Cell(units.whole(group.totals.calls)),
            Cell(units.duration(group.latency.p50_ms)),
            Cell(units.duration(group.latency.p95_ms)),
            _error_rate(group),
        ]
        for group in groups
    ]
    return ranking(("Provider", "Calls", "p50", "p95", "Errors"), rows)


def draw_second_tries(rows: Sequence[SecondTry], _view: View) -> Any:
    if not rows:
        return None
    most = max(row.calls for row in rows)
    cells = [
        [
            Cell(row.kind),
            Cell(row.reason),
            Cell(f"{row.of_model} → {row.to_model}" if row.of_model else row.to_model),
            Cell(units.whole(row.calls), share=row.calls / most),
            Cell(units.percent(row.ok / row.calls, 0)),
            Cell(units.usd(row.cost_usd)),
            Cell(units.duration(row.duration_ms / row.calls)),
        ]
        for row in rows
    ]
    headers = ("Kind", "Reason", "Model", "Calls", "Ended well", "Cost", "Mean duration")
    return ranking(headers, cells, texts=3)


def draw_examples(rows: Sequence[Example], view: View) -> Any:
    if not rows:
        return None
    cells = [
        [
            Cell(row.name, links.to_trace(view.state, row.trace_id, row.span_id)),
            Cell(row.error_type or row.model, hint=row.message),
            Cell(units.moment(row.time.astimezone(view.zone))[:-4]),
            Cell(units.duration(row.duration_ms)),
        ]
        for row in rows
    ]
    what = "Error" if any(row.status == "error" for row in rows) else "Model"
    return ranking(("Call", what, "Time", "Duration"), cells, texts=3)


PANELS: Final = (
    Panel(
        "latency-quantiles",
        "Latency over time",
        "Half of the calls were faster than p50, all but one in twenty faster than p95, all but one in a"
        " hundred"
        " faster than p99. From log-spaced buckets, six to the octave.",
        "",
        ask_latency,
        draw_quantiles,
        explore="rows=calls&sort=-latency_ms",
    ),
    Panel(
        "latency-heat",
        "Latency distribution over time",
        "Each column is one step of time, each cell the share of its calls that took that long; darker"
        " (lighter on"
        " dark) is more. Two bands mean two kinds of calls, which an average would hide.",
        "share of calls",
        ask_latency,
        draw_heat_map,
        explore="rows=calls&sort=-latency_ms",
    ),
    Panel(
        "success-rate",
        "Success over time",
        "Share of calls that ended well among those that ended well or failed. Bars: failed calls.",
        "",
        ask_traffic,
        draw_success,
        explore=_FAILED,
    ),
    Panel(
        "errors-by-class",
        "Errors by class",
        "Failed calls by error type, as the SDK reported it.",
        "calls",
        lambda store, view: reliability.error_classes(store, view.scope, view.window),
        draw_errors,
        explore=_FAILED,
        empty="No failed calls in this time range",
    ),
    Panel(
        "first-token",
        "Time to first token",
        "p50 and p95 of the time from the request to the first piece of a streamed answer, over the calls"
        " whose SDK"
        " reported it.",
        "",
        lambda store, view: reliability.first_tokens(store, view.scope, view.window),
        draw_first_tokens,
        explore="rows=calls&sort=-ttft_ms",
        empty="No streamed call reported a first token",
        empty_code="client.chat.completions.create(..., stream=True)",
    ),
    Panel(
        "time-split",
        "Where the time of a request goes",
        "Mean time per request (root span) in model calls, retrieval, tools and guardrails; the rest is the"
        " service's own code. Parts that run in parallel are counted each. Over the last 24 hours of a"
        " longer range;"
        " a filter by model does not apply.",
        "per request",
        lambda store, view: reliability.time_split(store, view.scope, view.window),
        draw_split,
        explore="sort=-latency_ms",
        empty="No whole requests in this time range",
        has_time_axis=False,
        empty_code='with gnomon.span("answer", kind="workflow"):\n    ...',
    ),
    Panel(
        "model-comparison",
        "Models",
        "Calls by model, slowest p95 marked by its bar. Tokens/s: output"
        " tokens per"
        " second of generations that ended well.",
        "",
        lambda store, view: usage.by_label(
            store, view.scope, view.window, "model", order="calls", has_latency=True
        ),
        draw_models,
        kind="content",
        is_wide=True,
    ),
    Panel(
        "provider-comparison",
        "Providers",
        "Calls by provider.",
        "",
        lambda store, view: usage.by_label(
            store, view.scope, view.window, "provider", order="calls", has_latency=True
        ),
        draw_providers,
        kind="content",
    ),
    Panel(
        "second-tries",
        "Retries and fallbacks",
        "Calls made because another one failed: how often, why, and what they cost.",
        "",
        lambda store, view: reliability.second_tries(store, view.scope, view.window),
        draw_second_tries,
        kind="content",
        empty="No call said that it is a retry or a fallback",
        empty_code='with gnomon.span("fall_back", attributes={\n    "gnomon.fallback.of": "gpt-4.1",'
        ' "gnomon.fallback.reason": "timeout"}):\n    ...',
    ),
    Panel(
        "slowest-calls",
        "Slowest calls",
        "The slowest calls that did not fail. A click opens the trace.",
        "",
        lambda store, view: reliability.examples(store, view.scope, view.window, "slowest"),
        draw_examples,
        kind="content",
        explore="rows=calls&sort=-latency_ms",
    ),
    Panel(
        "failing-calls",
        "Latest failures",
        "The latest failed calls. A click opens the trace.",
        "",
        lambda store, view: reliability.examples(store, view.scope, view.window, "failing"),
        draw_examples,
        kind="content",
        explore=_FAILED,
        empty="No failed calls in this time range",
    ),
)


def layout(_path: str, _view: ViewState) -> Any:
    """Return the page; its figures come by callbacks."""
    return [html.H1("Latency and errors", className="visually-hidden"), panel.grid(PANELS)]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, PANELS, is_telemetry=True)


def _rate(value: float | None) -> str:
    return units.NOTHING if value is None else f"{value:,.0f}"


def _error_rate(group: Group) -> Cell:
    rate = group.totals.error_rate
    return Cell(units.percent(rate), tone="bad" if rate and rate > 0.05 else "")


PAGE: Final = Entry(
    "/latency", "Latency & errors", "Monitor", "latency", layout, register, letter="l", panels=PANELS
)
