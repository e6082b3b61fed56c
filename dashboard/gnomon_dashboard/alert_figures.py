"""Figures of alerts: what a rule would have done, and the evidence of an incident. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gnomon_collector.alerts.preview import GroupPreview, Preview
from gnomon_collector.alerts.wording import shown
from gnomon_collector.store.alerts import Incident
from gnomon_dashboard.figures import (
    Canvas,
    Figure,
    base_layout,
    duration_ticks,
    faint,
    highest,
    line,
    naive_time,
    short_name,
)
from gnomon_schemas.metrics import Unit

MOST_LINES = 4


def preview_figure(found: Preview, canvas: Canvas) -> Figure:
    """Return the values of the label sets that would have fired most, their firings shaded."""
    palette, unit = canvas.palette, found.rule.definition.unit
    traces, shapes = [], []
    for place, group in enumerate(found.groups[:MOST_LINES]):
        colour = palette.series[place % len(palette.series)]
        traces.append(_values(group, colour, canvas, unit))
        shapes += [
            _shade(fired.began, fired.ended or found.end, faint(palette.bad), canvas)
            for fired in group.result.fired
        ]
    if found.groups:
        traces.append(_limit(found.groups[0], palette.bad, canvas, unit))
    layout = _over(found.start, found.end, canvas)
    layout |= {"shapes": shapes}
    layout["yaxis"] |= {"rangemode": "tozero"} | _ticks(unit, highest(traces) if traces else 1)
    return {"data": traces, "layout": layout}


def incident_figure(
    times: Sequence[datetime],
    values: Sequence[float | None],
    levels: Sequence[tuple[str, float | None]],
    fired_at: datetime,
    unit: Unit,
    canvas: Canvas,
) -> Figure | None:
    """Return the frozen series of an incident, the moment it fired, and levels such as what is normal."""
    if not times:
        return None
    palette = canvas.palette
    local = [naive_time(time, canvas.zone) for time in times]
    traces = [
        line("value", local, values, palette.series[0])
        | {"customdata": [shown(value, unit) for value in values], "hovertemplate": "%{customdata}"}
    ]
    for (name, level), colour in zip(levels, (palette.good, palette.bad), strict=False):
        if level is not None:
            traces.append(_level(name, level, [local[0], local[-1]], colour, unit))
    layout = _over(times[0], max(times[-1], fired_at), canvas)
    at = naive_time(fired_at, canvas.zone)
    layout["shapes"] = [
        {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1,
         "line": {"color": palette.bad, "width": 1.5, "dash": "dot"}}
    ]  # fmt: skip
    layout["yaxis"] |= {"rangemode": "tozero"} | _ticks(unit, highest(traces))
    return {"data": traces, "layout": layout}


def with_firings(figure: Figure, incidents: Sequence[Incident], canvas: Canvas) -> Figure:
    """Return a figure over time with a band where alerts fired."""
    window, colour = canvas.window, faint(canvas.palette.bad)
    bands = [
        _shade(
            max(one.fired_at, window.start), min(one.resolved_at or window.end, window.end), colour, canvas
        )
        for one in incidents
        if one.fired_at < window.end and (one.resolved_at is None or one.resolved_at > window.start)
    ]
    layout = figure["layout"]
    return {**figure, "layout": layout | {"shapes": [*layout.get("shapes", []), *bands]}}


def _ticks(unit: Unit, top: float) -> dict[str, Any]:
    if unit == "ms":
        return duration_ticks(top)
    if unit == "ratio":
        return {"tickformat": ".0%" if top > 0.08 else ".1%"}
    # by thousands only: "20m" would be read as millions
    plain = {"tickformat": "~s" if top >= 1 else "~f"}
    return plain | {"tickprefix": "$"} if unit == "usd" else plain


def _values(group: GroupPreview, colour: str, canvas: Canvas, unit: Unit) -> Figure:
    name = ", ".join(value for value in group.labels.values() if value) or "all"
    times = [naive_time(time, canvas.zone) for time in group.times]
    texts = [shown(value, unit) for value in group.values]
    return line(short_name(name), times, group.values, colour) | {
        "customdata": texts,
        "hovertemplate": "%{customdata}",
    }


def _limit(group: GroupPreview, colour: str, canvas: Canvas, unit: Unit) -> Figure:
    times = [naive_time(time, canvas.zone) for time in group.times]
    drawn = line("limit", times, group.limits, colour)
    drawn["line"] |= {"dash": "dot", "width": 1.2}
    texts = [shown(value, unit) for value in group.limits]
    return drawn | {"customdata": texts, "hovertemplate": "%{customdata}"}


def _level(name: str, level: float, ends: Sequence[str], colour: str, unit: Unit) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(ends),
        "y": [level, level],
        "line": {"color": colour, "width": 1.2, "dash": "dot"},
        "hovertemplate": shown(level, unit),
    }


def _shade(began: datetime, ended: datetime, colour: str, canvas: Canvas) -> dict[str, Any]:
    return {
        "type": "rect",
        "x0": naive_time(began, canvas.zone),
        "x1": naive_time(ended, canvas.zone),
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "fillcolor": colour,
        "line": {"width": 0},
        "layer": "below",
    }


def _over(start: datetime, end: datetime, canvas: Canvas) -> Figure:
    layout = base_layout(canvas)
    layout["xaxis"]["range"] = [naive_time(start, canvas.zone), naive_time(end, canvas.zone)]
    return layout
