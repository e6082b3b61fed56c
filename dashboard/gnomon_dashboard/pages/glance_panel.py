"""The second row of tiles of the Overview: speed, caches, quality, satisfaction, alerts, drift."""

from typing import Any, Final

from gnomon_collector.store.queries import glance
from gnomon_collector.store.queries.glance import Glance
from gnomon_dashboard import intervals, units
from gnomon_dashboard.components import tiles
from gnomon_dashboard.components.tiles import Tile
from gnomon_dashboard.context import View
from gnomon_dashboard.pages.panel import Panel


def draw(shown: Glance, _view: View) -> Any:
    """Return the tiles; None without a single call."""
    if not shown.now.calls:
        return None
    return tiles.render([*_speed(shown), *_caches(shown), *_quality(shown), *_watch(shown)])


def _speed(shown: Glance) -> list[Tile]:
    now, before = shown.now, shown.before
    rate = now.tokens_per_second
    return [
        Tile(
            "ttft",
            "Time to first token",
            units.duration(now.mean_ttft_ms),
            units.change(now.mean_ttft_ms, before.mean_ttft_ms),
            "less",
            "mean",
            is_compared=now.mean_ttft_ms is not None,
        ),
        Tile(
            "speed",
            "Tokens per second",
            units.NOTHING if rate is None else f"{rate:,.0f}",
            units.change(rate, before.tokens_per_second),
            "more",
            is_compared=rate is not None,
        ),
    ]


def _caches(shown: Glance) -> list[Tile]:
    ratio = shown.cache_hits / shown.cache_lookups if shown.cache_lookups else None
    note = f"prompt cache {units.percent(shown.now.prompt_cache_share, 0)} of input"
    return [Tile("cache", "Cache hit ratio", units.percent(ratio), None, "more", note, is_compared=False)]


def _quality(shown: Glance) -> list[Tile]:
    share = shown.good / shown.rated if shown.rated else None
    bounds = intervals.around_share(shown.good, shown.rated)
    satisfied = (
        f"{units.percent(bounds[0], 0)}–{units.percent(bounds[1], 0)}, {shown.rated} ratings"
        if bounds
        else ""
    )
    quality = units.NOTHING if shown.judge_mean is None else f"{shown.judge_mean:.2f}"
    judged = f"{shown.judge}, {shown.judge_count} judged" if shown.judge else "no judge has run"
    return [
        Tile(
            "satisfaction",
            "User satisfaction",
            units.percent(share),
            None,
            "more",
            satisfied or "no ratings",
            is_compared=False,
            hint="Good ratings (0.5 or more) among the users' ratings; interval of 95 %.",
        ),
        Tile("judged", "Judged quality", quality, None, "more", judged, is_compared=False),
    ]


def _watch(shown: Glance) -> list[Tile]:
    drift = "in this time range" if shown.drifting else "none in this time range"
    alerts = "firing now" if shown.firing else "none firing"
    return [
        Tile("alerts", "Alerts", units.whole(shown.firing), None, "less", alerts, is_compared=False),
        Tile("drift", "Drift alarms", units.whole(shown.drifting), None, "less", drift, is_compared=False),
    ]


PANEL: Final = Panel(
    "glance",
    "Speed, caches, quality, alerts and drift",
    "",
    "",
    lambda store, view: glance.glance(store, view.scope, view.window),
    draw,
    kind="tiles",
)
