"""Drift as Plotly figures: the heat map of metrics over time, and distributions one over the other. Pure."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from gnomon_collector.store.drift_catalogue import LABELS, METRICS, Feature, LogScale
from gnomon_collector.store.drift_results import Cell
from gnomon_collector.store.drift_windows import Counts, total
from gnomon_dashboard import units
from gnomon_dashboard.figures import Canvas, Figure, base_layout, local_times, short_name

STATES: Final[Mapping[str, str]] = {
    "drift": "drift",
    "breach": "over the threshold for the first time",
    "ok": "unchanged",
    "not_enough_data": "not enough data",
}
_WORST: Final = 2.0
_MOST_CATEGORIES: Final = 10
_DATE_ONLY: Final = ("range", "hoverformat", "type", "nticks")


def heat_map(cells: Sequence[Cell], step_s: int, canvas: Canvas) -> Figure | None:
    """Return how far each metric was from its threshold, per step of time; dots mark drift.

    Colours run from "unchanged" over the threshold (in the middle) to twice the threshold.
    """
    if not cells:
        return None
    by_place = {(one.metric, one.time): one for one in cells}
    first, last = min(one.time for one in cells), max(one.time for one in cells)
    count = round((last - first).total_seconds()) // step_s + 1
    times = [first + timedelta(seconds=step_s * number) for number in range(count)]
    seen = {one.metric for one in cells}
    rows = [name for name in METRICS if name in seen][::-1]
    # a cell stands in the middle of the time it was found in
    local = local_times([time + timedelta(seconds=step_s / 2) for time in times], canvas)
    placed = [[by_place.get((metric, time)) for time in times] for metric in rows]
    palette = canvas.palette
    layout = base_layout(canvas) | {"hovermode": "closest", "showlegend": False}
    layout["xaxis"] |= {"range": [*local_times([first, last + timedelta(seconds=step_s)], canvas)]}
    labels = [LABELS[name] for name in rows]
    layout["yaxis"] |= {
        "type": "category",
        "showgrid": False,
        "tickmode": "array",
        "tickvals": labels,
        "tickfont": {"color": palette.text, "size": 11},
    }
    layout["xaxis"] |= {"nticks": 5, "tickangle": 0, "tickformat": "%H:%M<br>%d %b"}
    layout["margin"] |= {"l": 128, "t": 4}
    map_ = {
        "type": "heatmap",
        "x": local,
        "y": labels,
        "z": [[_depth(cell) for cell in line] for line in placed],
        "customdata": [[_told(cell) for cell in line] for line in placed],
        "hovertemplate": "%{y}<br>%{x}<br>%{customdata}<extra></extra>",
        "colorscale": [
            [0, palette.heat[0]],
            [0.49, palette.heat[1]],
            [0.5, palette.series[1]],
            [1, palette.bad],
        ],
        "zmin": 0,
        "zmax": _WORST,
        "showscale": False,
        "xgap": 1,
        "ygap": 2,
    }
    return {"data": [map_, _dots(placed, rows, local, canvas)], "layout": layout}


def overlaid(feature: Feature, reference: Counts, current: Counts, canvas: Canvas) -> Figure | None:
    """Return the distribution of a feature in both windows, as shares of the calls of each."""
    if not total(reference) and not total(current):
        return None
    if isinstance(reference, Mapping) or isinstance(current, Mapping):
        return _category_bars(_shares(reference), _shares(current), canvas)
    return _number_lines(feature, reference, current, canvas)


def term_bars(terms: Sequence[Mapping[str, Any]], canvas: Canvas) -> Figure | None:
    """Return the share of texts with each term in both windows."""
    if not terms:
        return None
    before = {str(one["term"]): float(one["reference"]) for one in terms}
    after = {str(one["term"]): float(one["current"]) for one in terms}
    return _category_bars(before, after, canvas)


def _depth(cell: Cell | None) -> float | None:
    if cell is None or cell.state == "not_enough_data":
        return None
    return min(cell.severity, _WORST)


def _told(cell: Cell | None) -> str:
    if cell is None:
        return "not evaluated"
    if cell.state == "not_enough_data":
        return STATES[cell.state]
    return f"{STATES.get(cell.state, cell.state)}: {units.percent(cell.severity, 0)} of the threshold"


def _dots(
    placed: Sequence[Sequence[Cell | None]], rows: Sequence[str], local: Sequence[str], canvas: Canvas
) -> Figure:
    points = [
        (local[at], LABELS[metric])
        for metric, line in zip(rows, placed, strict=True)
        for at, cell in enumerate(line)
        if cell is not None and cell.state == "drift"
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "marker": {"color": canvas.palette.surface, "size": 4, "line": {"width": 0}},
        "hoverinfo": "skip",
    }


def _number_lines(feature: Feature, reference: Counts, current: Counts, canvas: Canvas) -> Figure:
    is_log = isinstance(feature.scale, LogScale)
    layout = _plain_layout(canvas)
    layout["xaxis"] |= {
        "type": "log" if is_log else "linear",
        "showgrid": True,
        "dtick": "D2" if is_log else None,
        "hoverformat": ",.4~g",
    }
    layout["xaxis"] |= (
        {"tickprefix": "$"}
        if feature.unit == "USD"
        else {"ticksuffix": " ms"}
        if feature.unit == "ms"
        else {}
    )
    layout["xaxis"] |= {"tickformat": "~s", "nticks": 8} if feature.unit != "USD" else {"nticks": 6}
    layout["yaxis"] |= {"rangemode": "tozero", "tickformat": ".0%"}
    lines = []
    for name, counts, colour in _windows(reference, current, canvas):
        rows = counts if isinstance(counts, tuple) else ()
        shares = _coarse([count / max(1, sum(rows)) for count in rows])
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": [_middle(feature, bucket) for bucket, _ in shares],
                "y": [share for _, share in shares],
                "line": {"color": colour, "width": 2, "shape": "spline", "smoothing": 0.6},
                "fill": "tozeroy",
                "fillcolor": _faint(colour),
                "hovertemplate": "%{y:.1%}",
            }
        )
    return {"data": lines, "layout": layout}


def _category_bars(before: Mapping[str, float], after: Mapping[str, float], canvas: Canvas) -> Figure:
    ranked = sorted(
        {*before, *after}, key=lambda name: (-abs(after.get(name, 0) - before.get(name, 0)), name)
    )
    shown = ranked[:_MOST_CATEGORIES][::-1]
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": [short_name(one) for one in shown],
            "x": [shares.get(one, 0) for one in shown],
            "marker": {"color": colour},
            "hovertemplate": "%{x:.1%}",
        }
        for name, shares, colour in _windows(before, after, canvas)
    ][::-1]
    layout = _plain_layout(canvas) | {"barmode": "group", "bargap": 0.3, "hovermode": "y unified"}
    layout["xaxis"] |= {
        "type": "linear",
        "tickformat": ".0%",
        "rangemode": "tozero",
        "showgrid": True,
        "nticks": 6,
    }
    layout["yaxis"] |= {
        "type": "category",
        "showgrid": False,
        "tickfont": {"color": canvas.palette.text, "size": 11},
    }
    layout["legend"] |= {"traceorder": "reversed"}
    return {"data": bars, "layout": layout}


def _windows(reference: Any, current: Any, canvas: Canvas) -> tuple[tuple[str, Any, str], ...]:
    return (
        ("reference", reference, canvas.palette.neutral),
        ("current", current, canvas.palette.series[0]),
    )


def _plain_layout(canvas: Canvas) -> Figure:
    layout = base_layout(canvas)
    layout["xaxis"] = {name: value for name, value in layout["xaxis"].items() if name not in _DATE_ONLY}
    layout["margin"] |= {"t": 26}
    return layout


def _shares(counts: Counts) -> dict[str, float]:
    named = counts if isinstance(counts, Mapping) else {}
    return {name: number / max(1, sum(named.values())) for name, number in named.items()}


def _coarse(shares: Sequence[float]) -> list[tuple[float, float]]:
    """Pairs of buckets, with an empty one on each side, so that a line falls to zero."""
    pairs = [(at + 1.5, sum(shares[at : at + 2])) for at in range(0, len(shares), 2)]
    used = [at for at, (_, share) in enumerate(pairs) if share]
    if not used:
        return []
    return [*pairs[max(0, used[0] - 1) : used[-1] + 1], (pairs[used[-1]][0] + 2, 0.0)]


def _middle(feature: Feature, position: float) -> float:
    low = feature.scale.lower_bound(int(position))
    high = feature.scale.lower_bound(int(position) + 1)
    return max((low + high) / 2, 1e-9) if isinstance(feature.scale, LogScale) else (low + high) / 2


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.12)"
