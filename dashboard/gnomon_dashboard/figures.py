"""Rows to Plotly figures. Pure: the same rows and colours give the same figure.

A figure is the plain dictionary that `dcc.Graph` takes. Times are shown in the viewer's zone, so the axis
carries naive local times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from math import log2
from typing import Any, Final

from gnomon_collector.store.queries.filters import Window
from gnomon_collector.store.queries.histogram import (
    BUCKETS_PER_OCTAVE,
    add,
    lower_bound_ms,
    quantile_ms,
    upper_bound_ms,
)
from gnomon_collector.store.queries.overview import LatencySeries, ModelUsage, Traffic, TrafficSeries
from gnomon_dashboard import units
from gnomon_dashboard.theme import FONT, Palette

Figure = dict[str, Any]

QUANTILES: Final = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
MOST_MODELS: Final = 7
OTHER: Final = "other models"

CONFIG: Final[dict[str, Any]] = {
    "displaylogo": False,
    "responsive": True,
    "plotlyServerURL": "",
    # named one by one: some of the others lead to a host of Plotly's
    "modeBarButtons": [["toImage", "zoom2d", "resetScale2d"]],
    "toImageButtonOptions": {"format": "png", "scale": 2},
    "doubleClick": "reset",
    # exchanged for the viewer's language by `gnomon_dashboard.translation`
    "locale": "en",
}
_MILLISECOND_TICKS: Final = tuple(factor * 10**exponent for exponent in range(7) for factor in (1, 2, 5))
_HOUR_MS: Final = 3_600_000
_DURATION_TICKS: Final = (
    *(tick for tick in _MILLISECOND_TICKS if tick <= 20_000),
    *(minutes * 60_000 for minutes in (0.5, 1, 2, 5, 10, 20, 30)),
    *(hours * _HOUR_MS for hours in (1, 2, 6, 12, 24, 48, 120, 240)),
)


@dataclass(frozen=True, slots=True)
class Canvas:
    """How figures are drawn: the colours, the viewer's zone, and what keeps a zoom over a refresh."""

    palette: Palette
    zone: tzinfo
    window: Window
    revision: str = ""


def blank() -> Figure:
    """Return a figure without anything in it, for a panel that has no answer."""
    hidden = {"visible": False}
    clear = "rgba(0,0,0,0)"
    layout = {"xaxis": hidden, "yaxis": hidden, "paper_bgcolor": clear, "plot_bgcolor": clear}
    return {"data": [], "layout": layout}


def latency_over_time(series: LatencySeries, canvas: Canvas) -> Figure:
    """Return p50, p95 and p99 per bucket, in ms."""
    by_time = dict(series.buckets)
    times = canvas.window.buckets()
    traces = []
    for (q, name), colour in zip(QUANTILES, canvas.palette.quantiles, strict=True):
        values = [quantile_ms(by_time.get(time, ()), q) for time in times]
        traces.append(
            line(name, local_times(times, canvas), values, colour)
            | {"customdata": [units.duration(value) for value in values], "hovertemplate": "%{customdata}"}
        )
    layout = base_layout(canvas)
    layout["yaxis"] |= {"rangemode": "tozero", **duration_ticks(highest(traces))}
    return {"data": traces, "layout": layout}


def latency_distribution(series: LatencySeries, canvas: Canvas) -> Figure:
    """Return how many calls took how long, over log-spaced buckets, with the quantiles marked."""
    counts = add(row for _, row in series.buckets)
    used = [index for index, count in enumerate(counts) if count]
    first, last = (max(0, used[0] - 1), min(len(counts) - 1, used[-1] + 1)) if used else (30, 60)
    shown = list(range(first, last + 1))
    total = sum(counts) or 1
    bars = {
        "type": "bar",
        "x": [index + 1 for index in shown],
        "y": [counts[index] for index in shown],
        "marker": {"color": canvas.palette.series[0]},
        "customdata": [
            [
                f"{units.duration(lower_bound_ms(index + 1))} – {units.duration(upper_bound_ms(index + 1))}",
                units.percent(counts[index] / total),
            ]
            for index in shown
        ],
        "hovertemplate": "%{customdata[0]}<br><b>%{y:,}</b> calls (%{customdata[1]})<extra></extra>",
        "name": "calls",
    }
    layout = base_layout(canvas)
    layout |= {"bargap": 0.08, "showlegend": False, "hovermode": "closest"}
    layout["xaxis"] |= {
        "type": "linear",
        **_log_ticks(first + 1, last + 1),
        "range": [first + 0.4, last + 1.6],
    }
    layout["xaxis"].pop("tickformatstops", None)
    layout["yaxis"] |= {"rangemode": "tozero", "tickformat": "~s"}
    layout["shapes"], layout["annotations"] = _quantile_marks(counts, canvas.palette)
    layout["margin"]["t"] = 38
    return {"data": [bars], "layout": layout}


def success_over_time(series: TrafficSeries, canvas: Canvas) -> Figure:
    """Return the success rate per bucket, and the number of failed calls as bars."""
    by_time = dict(series.buckets)
    times = canvas.window.buckets()
    local = local_times(times, canvas)
    rates = [_rate(by_time.get(time)) for time in times]
    failed = [by_time[time].errors if time in by_time else 0 for time in times]
    palette = canvas.palette
    rate_line = line("success rate", local, rates, palette.good) | {
        "hovertemplate": "%{y:.2f} %",
        "fill": "tozeroy",
        "fillcolor": faint(palette.good),
    }
    failures = {
        "type": "bar",
        "name": "failed calls",
        "x": middles(times, canvas),
        "y": failed,
        "yaxis": "y2",
        "marker": {"color": palette.bad},
        "opacity": 0.85,
        "hovertemplate": "%{y:,}",
    }
    layout = base_layout(canvas)
    lowest = min((rate for rate in rates if rate is not None), default=0)
    layout["yaxis"] |= {"ticksuffix": " %", "range": [_floor_of_rate(lowest), 100.4], "nticks": 5}
    layout["yaxis2"] = {
        "overlaying": "y",
        "side": "right",
        "showgrid": False,
        "zeroline": False,
        "rangemode": "tozero",
        "range": [0, max(3, 3 * max(failed, default=0))],
        "tickfont": {"color": palette.muted, "size": 11},
        **_count_ticks(max(failed, default=0)),
        "fixedrange": True,
    }
    layout["margin"]["r"] = 34
    return {"data": [rate_line, failures], "layout": layout}


def tokens_by_model(rows: Sequence[ModelUsage], canvas: Canvas) -> Figure:
    """Return tokens (input and output) per bucket, stacked by model."""
    figure = _stacked(rows, {id(row): row.input_tokens + row.output_tokens for row in rows}, canvas)
    figure["layout"]["yaxis"] |= {"tickformat": "~s"}
    for bars in figure["data"]:
        bars["hovertemplate"] = "%{y:,.0f}"
    return figure


def cost_by_model(rows: Sequence[ModelUsage], canvas: Canvas) -> Figure:
    """Return cost per bucket in the shown currency, stacked by model."""
    figure = _stacked(rows, {id(row): row.cost_usd for row in rows}, canvas)
    for bars in figure["data"]:
        bars["hovertemplate"] = "%{customdata}"
        bars["customdata"] = [units.usd(value) for value in bars["y"]]
        bars["y"] = [rounded(units.amount(value)) for value in bars["y"]]
    figure["layout"]["yaxis"] |= units.money_axis() | {"tickformat": "~f" if _small(figure) else "~s"}
    return figure


def models_shown(rows: Sequence[ModelUsage]) -> list[str]:
    """Return the models that get a colour of their own: the dearest ones, then those with most tokens."""
    totals: dict[str, tuple[float, int]] = {}
    for row in rows:
        cost, tokens = totals.get(row.model, (0.0, 0))
        totals[row.model] = (cost + row.cost_usd, tokens + row.input_tokens + row.output_tokens)
    ranked = sorted(totals, key=lambda model: (*(-part for part in totals[model]), model))
    return ranked if len(ranked) <= MOST_MODELS + 1 else ranked[:MOST_MODELS]


def _stacked(rows: Sequence[ModelUsage], values: Mapping[int, float], canvas: Canvas) -> Figure:
    shown = models_shown(rows)
    times = canvas.window.buckets()
    sums: dict[tuple[str, datetime], float] = {}
    for row in rows:
        key = (row.model if row.model in shown else OTHER, row.time)
        sums[key] = sums.get(key, 0) + values[id(row)]
    names = [*shown, *([OTHER] if any(name == OTHER for name, _ in sums) else [])]
    colours = (*canvas.palette.series[:MOST_MODELS], canvas.palette.neutral)
    bars = [
        {
            "type": "bar",
            "name": short_name(name or "unnamed model"),
            "x": middles(times, canvas),
            "y": [sums.get((name, time), 0) for time in times],
            "marker": {"color": colours[index % len(colours)]},
        }
        for index, name in enumerate(names)
    ]
    layout = base_layout(canvas)
    layout |= {"barmode": "stack", "bargap": 0.15, "showlegend": True}
    return {"data": bars, "layout": layout}


def base_layout(canvas: Canvas) -> Figure:
    palette = canvas.palette
    axis = {
        "gridcolor": palette.grid,
        "linecolor": palette.grid,
        "zerolinecolor": palette.grid,
        "tickfont": {"color": palette.muted, "size": 11},
        "automargin": True,
    }
    start, end = (naive_time(moment, canvas.zone) for moment in (canvas.window.start, canvas.window.end))
    return {
        "autosize": True,
        "margin": {"l": 46, "r": 12, "t": 8, "b": 30},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": palette.text},
        "xaxis": axis
        | {
            "type": "date",
            "range": [start, end],
            "showgrid": False,
            "nticks": 8,
            "ticks": "outside",
            "ticklen": 4,
            "tickcolor": palette.grid,
            "hoverformat": "%a %d %b, %H:%M",
        },
        "yaxis": axis | {"fixedrange": True, "zeroline": False, "nticks": 6, "showline": False},
        "hovermode": "x unified",
        "hoverlabel": {
            "bgcolor": palette.surface,
            "bordercolor": palette.grid,
            "font": {"family": FONT, "size": 12, "color": palette.text},
            "namelength": 40,
        },
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"size": 11, "color": palette.muted},
            "bgcolor": "rgba(0,0,0,0)",
            "itemsizing": "constant",
            "traceorder": "normal",
        },
        "showlegend": True,
        "uirevision": canvas.revision,
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": palette.muted, "activecolor": palette.text},
    }


def line(name: str, x: Sequence[str], y: Sequence[float | None], colour: str) -> Figure:
    lonely = [
        value is not None
        and (index == 0 or y[index - 1] is None)
        and (index + 1 == len(y) or y[index + 1] is None)
        for index, value in enumerate(y)
    ]
    return {
        "type": "scatter",
        "mode": "lines+markers" if any(lonely) else "lines",
        "name": name,
        "x": list(x),
        "y": [rounded(value) for value in y],
        "line": {"color": colour, "width": 2, "shape": "linear"},
        # a line cannot show a value that has no neighbour
        "marker": {
            "color": colour,
            # one size of 0 for all would be drawn as Plotly's own, 6
            "size": [5 if alone else 0 for alone in lonely] if any(lonely) else 5,
            "line": {"width": 0},
        },
        "connectgaps": False,
    }


def rounded(value: float | None) -> float | None:
    """Return a number as a chart draws it: to six digits, since the others only take time on the wire."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def local_times(times: Sequence[datetime], canvas: Canvas) -> list[str]:
    return [naive_time(time, canvas.zone) for time in times]


def middles(times: Sequence[datetime], canvas: Canvas) -> list[str]:
    """Where bars stand: the middle of their bucket, so that a bar covers the time it counts."""
    half = timedelta(seconds=canvas.window.step_s / 2)
    return [naive_time(time + half, canvas.zone) for time in times]


def naive_time(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).replace(tzinfo=None).isoformat()


def _rate(traffic: Traffic | None) -> float | None:
    rate = traffic.success_rate if traffic else None
    return None if rate is None else round(rate * 100, 3)


def _floor_of_rate(lowest: float) -> float:
    return next(floor for floor in (95, 90, 80, 50, 0) if lowest >= floor + (100 - floor) * 0.1 or floor == 0)


def highest(traces: Sequence[Figure]) -> float:
    return max((value for trace in traces for value in trace["y"] if value is not None), default=1000.0)


def duration_ticks(highest_ms: float) -> Figure:
    """About five ticks at round durations, labelled with their unit."""
    step = next((tick for tick in _DURATION_TICKS if highest_ms / tick <= 5), highest_ms / 5)
    values = [step * index for index in range(int(highest_ms // step) + 2)]
    return {"tickvals": values, "ticktext": [duration_tick(value) for value in values]}


def _count_ticks(highest: int) -> Figure:
    """Two ticks at whole numbers: the axis of a few small bars needs no more."""
    return {"tickvals": sorted({0, max(1, highest)}), "tickformat": ",d"}


def _log_ticks(first: int, last: int) -> Figure:
    ticks = [tick for tick in _MILLISECOND_TICKS if first - 1 <= _position(tick) <= last + 1]
    thinned = ticks if len(ticks) <= 8 else [tick for tick in ticks if str(tick)[0] == "1"]
    return {
        "tickvals": [_position(tick) for tick in thinned],
        "ticktext": [duration_tick(tick) for tick in thinned],
    }


def _position(ms: float) -> float:
    """Where a duration lies on the axis of bucket numbers, whose bars span number ± 0.5."""
    return BUCKETS_PER_OCTAVE * log2(ms) + 0.5


def duration_tick(ms: float) -> str:
    if ms == 0:
        return "0"
    if ms < 1000:
        return f"{ms:g} ms"
    if ms < 120_000:
        return f"{ms / 1000:g} s"
    if ms < 2 * _HOUR_MS:
        return f"{ms / 60_000:g} min"
    return f"{ms / _HOUR_MS:g} h" if ms < 48 * _HOUR_MS else f"{ms / (24 * _HOUR_MS):.3g} d"


def _quantile_marks(counts: Sequence[int], palette: Palette) -> tuple[list[Figure], list[Figure]]:
    shapes, notes = [], []
    for (q, name), colour, row in zip(QUANTILES, palette.quantiles, (0, 1, 0), strict=True):
        value = quantile_ms(counts, q)
        if not value:
            continue
        at = _position(max(value, 1.0))
        shapes.append(
            {
                "type": "line",
                "x0": at,
                "x1": at,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"color": colour, "width": 1.5, "dash": "dot"},
            }
        )
        notes.append(
            {
                "x": at,
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "yshift": 12 * row,
                "showarrow": False,
                "text": f"{name} {units.duration(value)}",
                "font": {"size": 11, "color": palette.muted},
            }
        )
    return shapes, notes


def faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.10)"


def _small(figure: Figure) -> bool:
    return (
        max((sum(column) for column in zip(*(bars["y"] for bars in figure["data"]), strict=True)), default=0)
        < 1000
    )


def short_name(name: str, most: int = 26) -> str:
    """A legend entry: bounded, and no markup, since Plotly reads a few HTML tags in texts."""
    text = name if len(name) <= most else f"{name[: most - 1]}…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
