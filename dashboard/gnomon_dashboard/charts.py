"""Rows over time to Plotly figures, whatever they count. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import log2
from typing import Any, Final, Literal, TypeAlias

from gnomon_collector.store.queries.histogram import (
    BUCKETS,
    BUCKETS_PER_OCTAVE,
    lower_bound_ms,
    upper_bound_ms,
)
from gnomon_dashboard import units
from gnomon_dashboard.figures import (
    Canvas,
    Figure,
    base_layout,
    duration_tick,
    duration_ticks,
    highest,
    line,
    local_times,
    middles,
    rounded,
    short_name,
)

Format: TypeAlias = Literal["count", "usd", "duration", "percent", "rate"]
Series: TypeAlias = Mapping[str, Mapping[datetime, float | None]]
"""Values by bucket, by the name of the series."""

MOST_SERIES: Final = 7
OTHERS: Final = "others"

FORMATS: Final[dict[Format, Callable[[float | None], str]]] = {
    "count": units.whole,
    "usd": units.usd,
    "duration": units.duration,
    "percent": units.percent,
    "rate": lambda value: units.NOTHING if value is None else f"{value:,.1f}",
}


def lines(series: Series, canvas: Canvas, form: Format, colours: Sequence[str] = ()) -> Figure:
    """Return a line per series; a bucket without a value is a gap."""
    times = canvas.window.buckets()
    shown = colours or (*canvas.palette.series, canvas.palette.neutral)
    traces = []
    for index, (name, values) in enumerate(series.items()):
        numbers = [values.get(time) for time in times]
        traces.append(
            line(
                short_name(name or "(none)"),
                local_times(times, canvas),
                _drawn(numbers, form),
                shown[index % len(shown)],
            )
            | {"customdata": [FORMATS[form](value) for value in numbers], "hovertemplate": "%{customdata}"}
        )
    layout = base_layout(canvas)
    layout["yaxis"] |= {"rangemode": "tozero"} | _axis(form, highest(traces) if traces else 1)
    return {"data": traces, "layout": layout}


def stacked(series: Series, canvas: Canvas, form: Format, colours: Sequence[str] = ()) -> Figure:
    """Return bars per bucket, one colour per series, one upon the other."""
    times = canvas.window.buckets()
    shown = colours or (*canvas.palette.series[:MOST_SERIES], canvas.palette.neutral)
    bars = []
    for index, (name, values) in enumerate(series.items()):
        numbers = [values.get(time) or 0 for time in times]
        bars.append(
            {
                "type": "bar",
                "name": short_name(name or "(none)"),
                "x": middles(times, canvas),
                "y": _drawn(numbers, form),
                "marker": {"color": shown[index % len(shown)]},
                "customdata": [FORMATS[form](value) for value in numbers],
                "hovertemplate": "%{customdata}",
            }
        )
    layout = base_layout(canvas) | {"barmode": "stack", "bargap": 0.15}
    tops = [sum(column) for column in zip(*(bar["y"] for bar in bars), strict=True)]
    layout["yaxis"] |= {"rangemode": "tozero"} | _axis(form, max(tops, default=1))
    return {"data": bars, "layout": layout}


def heat_map(columns: Sequence[tuple[datetime, Sequence[int]]], canvas: Canvas) -> Figure | None:
    """Return latency over time as a heat map: one column per bucket of time, one row per
    pair of latency buckets.

    The colour follows the share of the calls of its column, so that quiet hours can be read too.
    """
    by_time = {time: _paired(counts) for time, counts in columns}
    times = canvas.window.buckets()
    used = [index for counts in by_time.values() for index, count in enumerate(counts) if count]
    if not used:
        return None
    first, last = max(0, min(used) - 1), min(BUCKETS // 2 - 1, max(used) + 1)
    rows = range(first, last + 1)
    counts = [[_at(by_time.get(time, ()), row) for time in times] for row in rows]
    sums = [sum(column) or 1 for column in zip(*counts, strict=True)]
    shares = [
        [round(count / total, 4) if count else None for count, total in zip(row, sums, strict=True)]
        for row in counts
    ]
    palette = canvas.palette
    cells = {
        "type": "heatmap",
        "x": middles(times, canvas),
        "y": list(rows),
        "z": shares,
        "customdata": [
            [f"{_range(row)}<br><b>{count:,}</b> calls" if count else None for count in line_of]
            for row, line_of in zip(rows, counts, strict=True)
        ],
        "hovertemplate": "%{x}<br>%{customdata}<extra></extra>",
        "colorscale": [[0, palette.heat[0]], [0.35, palette.heat[1]], [1, palette.heat[2]]],
        "zmin": 0,
        "showscale": False,
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 1,
    }
    layout = base_layout(canvas) | {"hovermode": "closest", "showlegend": False}
    layout["yaxis"] |= _log_axis(first, last)
    return {"data": [cells], "layout": layout}


def split(shares: Sequence[tuple[str, float, str]], canvas: Canvas, form: Format) -> Figure:
    """Return one horizontal bar per part: name, value, colour."""
    total = sum(value for _, value, _ in shares) or 1
    names = [name for name, _, _ in shares][::-1]
    bar = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "x": [value for _, value, _ in shares][::-1],
        "marker": {"color": [colour for _, _, colour in shares][::-1]},
        "text": [f"{FORMATS[form](value)} · {units.percent(value / total)}" for _, value, _ in shares][::-1],
        "textposition": "auto",
        "textfont": {"color": canvas.palette.text},
        "insidetextfont": {"color": canvas.palette.on_series},
        "hoverinfo": "skip",
    }
    layout = base_layout(canvas) | {"showlegend": False, "hovermode": False, "bargap": 0.35}
    layout["xaxis"] = {"visible": False, "fixedrange": True, "rangemode": "tozero"}
    layout["yaxis"] |= {
        "type": "category",
        "showgrid": False,
        "tickfont": {"color": canvas.palette.text, "size": 12},
    }
    layout["margin"] |= {"l": 90}
    return {"data": [bar], "layout": layout}


def columns(names: Sequence[str], values: Mapping[str, Sequence[float]], canvas: Canvas) -> Figure:
    """Return bars over named groups, one colour per series, one upon the other."""
    colours = canvas.palette.series
    bars = [
        {
            "type": "bar",
            "name": short_name(name),
            "x": list(names),
            "y": list(numbers),
            "marker": {"color": colours[index % len(colours)]},
            "hovertemplate": "%{y:,}",
        }
        for index, (name, numbers) in enumerate(values.items())
    ]
    layout = base_layout(canvas) | {"barmode": "stack", "bargap": 0.15}
    layout["xaxis"] = {
        name: value
        for name, value in layout["xaxis"].items()
        if name not in ("range", "hoverformat", "type", "nticks")
    } | {"type": "category"}
    layout["yaxis"] |= {"rangemode": "tozero", "tickformat": "~s"}
    return {"data": bars, "layout": layout}


def greatest(totals: Mapping[str, float], most: int = MOST_SERIES) -> list[str]:
    """Return the names that get a series of their own, greatest first."""
    ranked = sorted(totals, key=lambda name: (-totals[name], name))
    return ranked if len(ranked) <= most + 1 else ranked[:most]


def folded(
    points: Sequence[tuple[datetime, str, float]], most: int = MOST_SERIES
) -> dict[str, dict[datetime, float | None]]:
    """Return (bucket, name, value) as series, greatest first; the small ones are added up as `OTHERS`."""
    totals: dict[str, float] = {}
    for _, name, value in points:
        totals[name] = totals.get(name, 0) + value
    shown = greatest(totals, most)
    series: dict[str, dict[datetime, float | None]] = {name: {} for name in shown}
    for time, name, value in points:
        values = series.setdefault(name if name in shown else OTHERS, {})
        values[time] = (values.get(time) or 0) + value
    return series


def _drawn(numbers: Sequence[float | None], form: Format) -> list[float | None]:
    """Amounts in the shown currency; other numbers are themselves."""
    return [rounded(value if value is None or form != "usd" else units.amount(value)) for value in numbers]


def _axis(form: Format, top: float) -> dict[str, Any]:
    if form == "duration":
        return duration_ticks(top)
    if form == "percent":
        return {"tickformat": ".0%" if top > 0.08 else ".1%"}
    if form == "usd":
        return units.money_axis() | {"tickformat": "~f" if top < 1000 else "~s"}
    return {"tickformat": "~s"} if top >= 10 else {"tickformat": "~f"}


def _log_axis(first: int, last: int) -> dict[str, Any]:
    ticks = [
        (index, duration_tick(value))
        for value in (1, 10, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000)
        if first <= (index := _row_of(value)) <= last
    ]
    kept = ticks if len(ticks) <= 8 else ticks[::2]
    return {"tickvals": [at for at, _ in kept], "ticktext": [text for _, text in kept]}


def _row_of(ms: float) -> float:
    return BUCKETS_PER_OCTAVE / 2 * log2(ms) - 0.5


def _range(row: int) -> str:
    return f"{units.duration(lower_bound_ms(2 * row + 1))} – {units.duration(upper_bound_ms(2 * row + 2))}"


def _paired(counts: Sequence[int]) -> list[int]:
    """Three cells to the octave: at six, few calls fall into each."""
    return [sum(counts[index : index + 2]) for index in range(0, len(counts), 2)]


def _at(counts: Sequence[int], index: int) -> int:
    return counts[index] if index < len(counts) else 0
