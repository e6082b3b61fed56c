"""Figures of the Quality page: means with their bands, failures of checks, cost of judging. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Final

from gnomon_collector.store.quality_estimates import Estimate
from gnomon_dashboard import charts, units
from gnomon_dashboard.figures import Canvas, Figure, base_layout, faint, line, local_times, short_name

MOST_LINES: Final = 6
_MOST_BANDS: Final = 2

EstimateSeries = Sequence[tuple[datetime, Estimate]]


def score_bands(series: Mapping[str, EstimateSeries], canvas: Canvas) -> Figure:
    """Return a line per evaluator with the band of its interval of 95 %.

    Buckets in which nothing was judged are left out: a line goes on to the next one that has verdicts.
    """
    traces: list[Figure] = []
    for index, (name, points) in enumerate(list(series.items())[:MOST_LINES]):
        colour = canvas.palette.series[index % len(canvas.palette.series)]
        known = [(at, one) for at, one in points if one.mean is not None]
        times = local_times([at for at, _ in known], canvas)
        if len(series) <= _MOST_BANDS or index == 0:
            traces.append(_band(name, times, [one for _, one in known], colour))
        traces.append(
            line(short_name(name), times, [one.mean for _, one in known], colour)
            | {"customdata": [_said(one) for _, one in known], "hovertemplate": "%{customdata}"}
            | {"legendgroup": name}
        )
    layout = base_layout(canvas)
    layout["yaxis"] |= {"range": [_floor(series), 1.02], "tickformat": ".2f"}
    return {"data": traces, "layout": layout}


def failure_rates(rates: Mapping[str, Mapping[datetime, float | None]], canvas: Canvas) -> Figure:
    """Return the share of failing answers over time, a line per check."""
    return charts.lines(rates, canvas, "percent")


def cost_by_day(rows: Sequence[tuple[date, str, float, int]], canvas: Canvas) -> Figure:
    """Return what judging cost a day, stacked by evaluator."""
    days = sorted({day for day, _, _, _ in rows})
    costs: dict[str, dict[date, float]] = {}
    for day, name, usd, _ in rows:
        costs.setdefault(name, {})[day] = usd
    bars = [
        {
            "type": "bar",
            "name": short_name(name),
            "x": [datetime.combine(day, time(12), UTC).replace(tzinfo=None).isoformat() for day in days],
            "y": [by_day.get(day, 0.0) for day in days],
            "customdata": [units.usd(by_day.get(day, 0.0)) for day in days],
            "hovertemplate": "%{customdata}",
            "marker": {"color": canvas.palette.series[index % len(canvas.palette.series)]},
        }
        for index, (name, by_day) in enumerate(costs.items())
    ]
    layout = base_layout(canvas) | {"barmode": "stack", "bargap": 0.4}
    layout["xaxis"] |= {"tickformat": "%d %b", "hoverformat": "%d %b (UTC)", "dtick": 86_400_000}
    layout["xaxis"].pop("range", None)
    if len(days) > 10:
        layout["xaxis"].pop("dtick")
    layout["yaxis"] |= {"tickprefix": "$", "tickformat": "~f", "rangemode": "tozero"}
    return {"data": bars, "layout": layout}


def interval_text(one: Estimate) -> str:
    """Return an estimate as text: the mean and its interval."""
    if one.mean is None:
        return units.NOTHING
    return f"{one.mean:.3f}  [{one.low:.2f}, {one.high:.2f}]"


def _said(one: Estimate) -> str:
    return f"{interval_text(one)} · {one.count} judged{'' if one.is_enough else ' (few)'}"


def _band(name: str, times: Sequence[str], points: Sequence[Estimate], colour: str) -> Figure:
    return {
        "type": "scatter",
        "x": [*times, *reversed(times)],
        "y": [*(one.high for one in points), *(one.low for one in reversed(points))],
        "fill": "toself",
        "fillcolor": faint(colour),
        "line": {"width": 0, "color": colour},
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": name,
        "name": short_name(name),
    }


def _floor(series: Mapping[str, EstimateSeries]) -> float:
    lowest = min(
        (one.mean for points in series.values() for _, one in points if one.mean is not None), default=0
    )
    return max(0.0, min(0.8, lowest - 0.15))
