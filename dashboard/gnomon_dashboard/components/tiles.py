"""Tiles: one figure each, with its change against the period before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dash import html

from gnomon_collector.store.queries.filters import Window
from gnomon_collector.store.queries.histogram import add, quantile_ms
from gnomon_collector.store.queries.overview import LatencySeries, Traffic, TrafficSeries
from gnomon_dashboard import units
from gnomon_dashboard.components.icons import icon

Better = Literal["more", "less", "neither"]
_NOISE = 0.005


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile.

    `change` is relative (0.1: 10 % more), or a difference of shares where `points` is set. Where there is
    nothing to compare with in the nature of the figure, `is_compared` is False.
    """

    key: str
    label: str
    value: str
    change: float | None
    better: Better
    note: str = ""
    points: bool = False
    is_compared: bool = True
    hint: str = ""


def plain(key: str, label: str, value: str, better: Better, note: str = "", hint: str = "") -> Tile:
    """Return a tile with a figure that is compared with nothing."""
    return Tile(key, label, value, None, better, note, is_compared=False, hint=hint)


def traffic_tiles(series: TrafficSeries, window: Window) -> list[Tile]:
    """Return requests, success rate, cost and tokens.

    Sums are compared per second: the period before is widened to whole rows of the rollup, and the window's
    last bucket is still open.
    """
    now, before = total(series), series.previous or Traffic()
    scale = window.previous.seconds / window.seconds if window.seconds else 1.0

    def per_second(current: float, previous: float) -> float | None:
        return units.change(current * scale, previous) if before.calls else None

    rate, old_rate = now.success_rate, before.success_rate
    tokens, old_tokens = now.input_tokens + now.output_tokens, before.input_tokens + before.output_tokens
    return [
        Tile("requests", "Requests", units.number(now.calls), per_second(now.calls, before.calls), "neither",
             f"{units.whole(now.errors)} failed" if now.errors else "none failed" if now.calls else ""),
        Tile("success", "Success rate", units.percent(rate, 2 if rate and rate > 0.99 else 1),
             None if rate is None or old_rate is None else rate - old_rate, "more", points=True),
        Tile("cost", "Cost", units.usd(now.cost_usd if now.priced or not now.calls else None),
             per_second(now.cost_usd, before.cost_usd), "less", _priced_note(now)),
        Tile("tokens", "Tokens", units.number(tokens), per_second(tokens, old_tokens), "neither",
             _tokens_note(now) if tokens else ""),
    ]  # fmt: skip


def latency_tiles(series: LatencySeries) -> list[Tile]:
    """Return p50, p95 and p99 of all calls of the window."""
    counts = add(row for _, row in series.buckets)
    tiles = []
    for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
        value, before = quantile_ms(counts, q), quantile_ms(series.previous, q)
        tiles.append(
            Tile(name, f"Latency {name}", units.duration(value), units.change(value, before), "less")
        )
    return tiles


def total(series: TrafficSeries) -> Traffic:
    """Return the sums over the whole window."""
    rows = [traffic for _, traffic in series.buckets]
    return Traffic(
        calls=sum(row.calls for row in rows),
        ok=sum(row.ok for row in rows),
        errors=sum(row.errors for row in rows),
        cancelled=sum(row.cancelled for row in rows),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        with_usage=sum(row.with_usage for row in rows),
        cost_usd=sum(row.cost_usd for row in rows),
        priced=sum(row.priced for row in rows),
    )


def render(tiles: Sequence[Tile]) -> list[Any]:
    """Return the tiles' HTML."""
    return [_tile(tile) for tile in tiles]


def placeholders(keys: Sequence[tuple[str, str]]) -> list[Any]:
    """Return tiles that are still loading."""
    return [
        html.Div(
            [
                html.Div(label, className="tile-label"),
                html.Div(className="tile-value loading"),
                html.Div(" ", className="tile-change"),
            ],
            className=f"tile tile-{key}",
        )
        for key, label in keys
    ]


def _tile(tile: Tile) -> Any:
    return html.Div(
        className=f"tile tile-{tile.key}",
        children=[
            html.Div(tile.label, className="tile-label"),
            html.Div(tile.value, className="tile-value"),
            html.Div(
                [*([_change(tile)] if tile.is_compared else []), html.Span(tile.note, className="tile-note")],
                className="tile-change",
            ),
        ],
        title=tile.hint or None,
    )


def _change(tile: Tile) -> Any:
    if tile.change is None:
        return html.Span("no data before", className="change change-none")
    if abs(tile.change) < (_NOISE / 10 if tile.points else _NOISE):
        return html.Span("unchanged", className="change change-none")
    rose = tile.change > 0
    amount = f"{abs(tile.change) * 100:.2f} pp" if tile.points else _relative(abs(tile.change))
    direction = "rose" if rose else "fell"
    return html.Span(
        [icon("up" if rose else "down", 10), amount],
        className=f"change change-{_judgement(tile.better, rose)}",
        title=f"{direction} by {amount} against the period before",
    )


def _judgement(better: Better, rose: bool) -> str:
    if better == "neither":
        return "neutral"
    return "good" if rose == (better == "more") else "bad"


def _relative(change: float) -> str:
    return (
        f"{change * 100:.1f}%"
        if change < 0.0995
        else f"{change * 100:.0f}%"
        if change < 9.995
        else f"{change + 1:.0f}×"
    )


def _tokens_note(traffic: Traffic) -> str:
    return f"{units.number(traffic.input_tokens)} in · {units.number(traffic.output_tokens)} out"


def _priced_note(traffic: Traffic) -> str:
    if not traffic.with_usage or traffic.priced >= traffic.with_usage:
        return ""
    return f"{units.percent(traffic.priced / traffic.with_usage, 0)} priced"
