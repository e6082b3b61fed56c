"""Cache: how often own caches and prompt caches answer, what that saves, and whether it is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dash import Dash, html

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import caches, money, usage
from gnomon_collector.store.queries.caches import CacheLookups, CacheOutcome, CacheQuality, Saving, Similarity
from gnomon_collector.store.queries.usage import Point
from gnomon_dashboard import charts, links, units
from gnomon_dashboard.components import tiles
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.components.tiles import Tile, plain
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.pages import cost, panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

NAMES: Final = {"hit": "exact hit", "semantic_hit": "semantic hit", "miss": "miss"}
_SEND: Final = (
    'with gnomon.span("look up", kind="cache", attributes={\n'
    '    "gnomon.cache.status": "semantic_hit", "gnomon.cache.similarity": 0.93}):\n    ...'
)


@dataclass(frozen=True, slots=True)
class Summary:
    """What the tiles show."""

    saving: Saving
    semantic_hits: int
    hit_right: CacheQuality | None
    recall: CacheQuality | None
    prompt_cache_share: float | None
    prompt_cache_saved_usd: float


def summary(store: Store, view: View) -> Summary:
    """Return the figures of the tiles."""
    found = caches.outcomes(store, view.scope, view.window)
    prompt = money.prompt_caches(store, view.scope, view.window)
    tokens = sum(row.input_tokens for row in prompt)
    shadow = caches.shadowed(store, view.scope, view.window)
    return Summary(
        caches.saving(found),
        sum(one.requests for one in found if one.status == "semantic_hit"),
        shadow.get("cache_hit_right"),
        shadow.get("cache_recall"),
        sum(row.cache_read_tokens for row in prompt) / tokens if tokens else None,
        sum(row.saved_usd or 0 for row in prompt),
    )


def draw_summary(shown: Summary, _view: View) -> Any:
    return tiles.render([*_own_caches(shown), *_right(shown), *_prompt_cache(shown)])


def _own_caches(shown: Summary) -> list[Tile]:
    saving = shown.saving
    looked_up = f"{units.whole(saving.hits)} of {units.whole(saving.lookups)}"
    semantic = units.percent(shown.semantic_hits / saving.hits) + " of hits" if saving.hits else ""
    time_saved = units.duration(saving.saved_ms) if saving.hits else units.NOTHING
    money_saved = units.usd(saving.saved_usd) if saving.hits else units.NOTHING
    against = "against a miss"
    time_hint = "For each hit the mean duration of a missed request less that of a hit."
    money_hint = "For each hit the mean cost of a missed request less that of a hit."
    return [
        plain("hit-ratio", "Hit ratio, own caches", units.percent(saving.hit_ratio), "more", looked_up),
        plain("semantic", "Semantic hits", units.whole(shown.semantic_hits), "more", semantic),
        plain("time-saved", "Time saved", time_saved, "more", against, time_hint),
        plain("money-saved", "Money saved", money_saved, "more", against, money_hint),
    ]


def _right(shown: Summary) -> list[Tile]:
    return [
        _shadow_tile("false-hits", "False hits", shown.hit_right, is_inverse=True),
        _shadow_tile("recall", "Recall", shown.recall),
    ]


def _prompt_cache(shown: Summary) -> list[Tile]:
    share = units.percent(shown.prompt_cache_share)
    saved = units.usd(shown.prompt_cache_saved_usd)
    return [
        plain("prompt-cache", "Prompt cache", share, "more", "of input tokens"),
        plain("prompt-saved", "Saved by prompt caches", saved, "more"),
    ]


def _shadow_tile(key: str, label: str, found: CacheQuality | None, *, is_inverse: bool = False) -> Tile:
    """A figure of the shadow calls that `gnomon.cache(shadow=…)` makes."""
    mean = found.mean if found else None
    value = None if mean is None else 1 - mean if is_inverse else mean
    note = f"of {found.scores} shadow calls" if found else "no shadow calls"
    better: tiles.Better = "less" if is_inverse else "more"
    hint = "From shadow calls: a sample of look-ups compared with what the model answers (gnomon.Shadow)."
    return Tile(key, label, units.percent(value), None, better, note, is_compared=False, hint=hint)


def draw_lookups(rows: Sequence[CacheLookups], view: View) -> Any:
    if not rows:
        return None
    series = {
        label: {row.time: float(row.lookups) for row in rows if row.status == status}
        for status, label in NAMES.items()
    }
    palette = view.canvas.palette
    return charts.stacked(series, view.canvas, "count", (palette.good, palette.series[1], palette.neutral))


def draw_ratio(rows: Sequence[CacheLookups], view: View) -> Any:
    if not rows:
        return None
    total: dict[Any, int] = {}
    for row in rows:
        total[row.time] = total.get(row.time, 0) + row.lookups
    series: dict[str, dict[Any, float | None]] = {
        "exact": dict.fromkeys(total, 0.0),
        "exact and semantic": dict.fromkeys(total, 0.0),
    }
    for row in rows:
        if row.status == "hit":
            series["exact"][row.time] = row.lookups / total[row.time]
        if row.status in caches.HITS:
            so_far = series["exact and semantic"][row.time] or 0
            series["exact and semantic"][row.time] = so_far + row.lookups / total[row.time]
    palette = view.canvas.palette
    return charts.lines(series, view.canvas, "percent", (palette.good, palette.series[1]))


def draw_outcomes(rows: Sequence[CacheOutcome], view: View) -> Any:
    if not rows:
        return None
    link = links.to_traces(view.state)
    slowest = max(row.mean_ms for row in rows) or 1
    cells = [
        [
            Cell(NAMES.get(row.status, row.status), link("cache_status", row.status)),
            Cell(units.whole(row.requests)),
            Cell(units.duration(row.mean_ms), share=row.mean_ms / slowest),
            Cell(units.duration(row.p95_ms)),
            Cell(units.usd(row.mean_cost_usd)),
        ]
        for row in rows
    ]
    return ranking(("Cache", "Requests", "Mean duration", "p95", "Mean cost"), cells)


def draw_quality(rows: Sequence[CacheQuality], _view: View) -> Any:
    if not rows:
        return None
    cells = [
        [
            Cell(row.name),
            Cell(NAMES.get(row.status, row.status)),
            Cell(units.whole(row.scores)),
            Cell("–" if row.mean is None else f"{row.mean:.2f}", share=row.mean),
            Cell(units.percent(row.bad / row.scores), tone="bad" if row.bad / row.scores > 0.3 else ""),
        ]
        for row in rows
    ]
    return ranking(("Score", "Cache", "Scores", "Mean", "Below 0.5"), cells, texts=2)


def draw_similarities(rows: Sequence[Similarity], view: View) -> Any:
    if not rows:
        return None
    return charts.columns(
        [f"{row.low:.2f}" for row in rows],
        {"hits": [row.hits for row in rows], "misses": [row.misses for row in rows]},
        view.canvas,
    )


def draw_prompt_share(points: Sequence[Point], view: View) -> Any:
    tokens: dict[str, float] = {}
    for point in points:
        tokens[point.value] = tokens.get(point.value, 0) + point.totals.cache_read_tokens
    shown = [name for name in charts.greatest(tokens) if tokens[name]]
    series = {
        name: {point.time: point.totals.prompt_cache_share for point in points if point.value == name}
        for name in shown
    }
    return charts.lines(series, view.canvas, "percent") if series else None


PANELS: Final = (
    Panel("cache-summary", "Caches at a glance", "", "", summary, draw_summary, kind="tiles"),
    Panel(
        "cache-lookups",
        "Look-ups of own caches",
        "Spans that say how a cache of the service answered: exact hit, semantic hit (a similar question),"
        " miss.",
        "look-ups",
        lambda store, view: caches.lookups(store, view.scope, view.window),
        draw_lookups,
        explore="",
        empty="No span says how a cache answered",
        empty_code=_SEND,
    ),
    Panel(
        "cache-ratio",
        "Hit ratio over time",
        "Hits among look-ups; the space between the lines is the semantic cache.",
        "",
        lambda store, view: caches.lookups(store, view.scope, view.window),
        draw_ratio,
        explore="",
        empty="No span says how a cache answered",
    ),
    Panel(
        "cache-latency",
        "Hit against miss",
        "Whole requests by how their cache answered: how long they took, and what their model calls cost.",
        "",
        lambda store, view: caches.outcomes(store, view.scope, view.window),
        draw_outcomes,
        kind="content",
        explore="sort=-latency_ms",
        empty="No span says how a cache answered",
    ),
    Panel(
        "cache-quality",
        "Are hits right?",
        "Scores of requests that were answered from the cache beside those that were not. Semantic hits"
        " with worse scores are false hits: raise the threshold.",
        "",
        lambda store, view: caches.quality(store, view.scope, view.window),
        draw_quality,
        kind="content",
        explore="",
        empty="No request with a cache look-up has a score",
        empty_code='gnomon.feedback("correctness", 1.0, trace_id=trace_id)',
    ),
    Panel(
        "cache-similarity",
        "Similarity of what was found",
        "Look-ups by the similarity of the nearest stored question, in steps of 0.02.",
        "look-ups",
        lambda store, view: caches.similarities(store, view.scope, view.window),
        draw_similarities,
        explore="",
        empty="No look-up reported a similarity",
        empty_code=_SEND,
        has_time_axis=False,
    ),
    Panel(
        "prompt-cache-share",
        "Prompt cache of the provider, by model",
        "Share of the input tokens that came out of the provider's prompt cache.",
        "",
        lambda store, view: usage.over_time(store, view.scope, view.window, "model"),
        draw_prompt_share,
        explore="rows=calls&sort=-cache_read_tokens",
        empty="No call read from a prompt cache",
    ),
    Panel(
        "prompt-cache-models",
        "What prompt caches saved",
        "Cached tokens times the difference between the list prices of input and cached input, at the"
        " first tier.",
        "",
        lambda store, view: money.prompt_caches(store, view.scope, view.window),
        cost.draw_prompt_caches,
        kind="content",
        explore="rows=calls&sort=-cache_read_tokens",
        empty="No call read from a prompt cache",
        is_wide=True,
    ),
)


def layout(_path: str, _view: ViewState) -> Any:
    """Return the page; its figures come by callbacks."""
    return [html.H1("Cache", className="visually-hidden"), panel.grid(PANELS)]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, PANELS, is_telemetry=True)


PAGE: Final = Entry("/cache", "Cache", "Monitor", "cache", layout, register, letter="h", panels=PANELS)
