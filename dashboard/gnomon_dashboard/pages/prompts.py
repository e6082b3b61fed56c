"""Prompts: the versions of each one side by side, whether they differ, and what changed in the text."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from dash import Dash, dcc, html

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import prompts, usage
from gnomon_collector.store.queries.prompts import Moments, Version
from gnomon_collector.store.queries.usage import Point
from gnomon_dashboard import charts, intervals, links, units
from gnomon_dashboard.components.pager import find_field
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.components.text_diff import text_diff
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.intervals import Difference
from gnomon_dashboard.pages import panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.pages.people import value_of
from gnomon_dashboard.pages.prompt_list import LIST, SEND, address
from gnomon_dashboard.state import ViewState

_LESS_IS_BETTER: Final = ("Error rate", "Mean latency", "Cost per call")
_NEITHER: Final = ("Output tokens",)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two versions, the older one first, and their texts."""

    old: str
    new: str
    old_text: str
    new_text: str


def draw_versions(rows: Sequence[Version], view: View) -> Any:
    if not rows:
        return None
    names = list(dict.fromkeys(score.name for row in rows for score in row.scores))
    headers = (
        "Version",
        "Calls",
        "p50",
        "p95",
        "First token",
        "Cost per call",
        "Error rate",
        *names,
        "First seen",
        "Models",
    )
    return ranking(headers, [_version_row(row, names, view) for row in rows])


def _version_row(row: Version, names: Sequence[str], view: View) -> list[Cell]:
    scores = {score.name: score for score in row.scores}
    return [
        Cell(
            row.version or "(none)",
            links.to_calls(view.state)("prompt_version", row.version) if row.version else "",
        ),
        Cell(units.whole(row.calls)),
        Cell(units.duration(row.p50_ms)),
        Cell(units.duration(row.p95_ms)),
        Cell(units.duration(row.ttft_ms)),
        _with_interval(units.usd(row.cost.mean), intervals.around(row.cost.mean, row.cost.error), units.usd),
        _with_interval(
            units.percent(row.errors / (row.ok + row.errors)) if row.ok + row.errors else units.NOTHING,
            intervals.around_share(row.errors, row.ok + row.errors),
            units.percent,
        ),
        *[_score(scores.get(name)) for name in names],
        Cell(f"{row.first_seen.astimezone(view.zone):%d %b %H:%M}"),
        Cell(", ".join(row.models) or units.NOTHING),
    ]


def _score(score: prompts.ScoreMoments | None) -> Cell:
    if score is None:
        return Cell(units.NOTHING)
    bounds = intervals.around(score.mean, score.error)
    cell = _with_interval(f"{score.mean:.2f}", bounds, lambda value: f"{min(1, max(0, value or 0)):.2f}")
    return Cell(cell.text, hint=f"{score.count} scores")


def _with_interval(text: str, bounds: tuple[float, float] | None, form: Any) -> Cell:
    if bounds is None:
        return Cell(text)
    low, high = (form(max(0.0, edge)) for edge in bounds)
    return Cell(f"{text}  [{low}, {high}]", hint="interval of 95 %")


def differences(rows: Sequence[Version], view: View) -> tuple[Version, Version, list[Difference]] | None:
    """Return the chosen versions, older first, and how their figures differ; None with fewer than two."""
    pair = chosen(rows, view)
    if pair is None:
        return None
    old, new = pair
    found = []
    if old.ok + old.errors and new.ok + new.errors:
        found.append(
            intervals.of_shares(
                "Error rate", (old.errors, old.ok + old.errors), (new.errors, new.ok + new.errors)
            )
        )
    figures: tuple[tuple[str, Moments, Moments], ...] = (
        ("Mean latency", old.duration, new.duration),
        ("Cost per call", old.cost, new.cost),
        ("Output tokens", old.output_tokens, new.output_tokens),
    )
    found += [
        intervals.of_means(
            name, (one.mean, one.error or 0.0, one.count), (two.mean, two.error or 0.0, two.count)
        )
        for name, one, two in figures
        if one.mean is not None and two.mean is not None
    ]
    others = {score.name: score for score in new.scores}
    found += [
        intervals.of_means(
            f"Score {score.name}",
            (score.mean, score.error or 0.0, score.count),
            (other.mean, other.error or 0.0, other.count),
        )
        for score in old.scores
        if (other := others.get(score.name))
    ]
    return old, new, intervals.holm(found)


def chosen(rows: Sequence[Version], view: View) -> tuple[Version, Version] | None:
    """Return the versions that the URL names, else the two newest ones; the older one first."""
    if len(rows) < 2:
        return None
    by_name = {row.version: row for row in rows}
    new = by_name.get(view.state.option("new"), rows[0])
    older = [row for row in rows if row is not new]
    old = by_name.get(view.state.option("old"), older[0])
    return (old, new) if old is not new else (older[0], new)


def draw_differences(rows: Sequence[Version], view: View) -> Any:
    found = differences(rows, view)
    if found is None:
        return None
    old, new, compared = found
    cells = [_difference_row(one) for one in compared]
    headers = ("Figure", old.version or "(none)", new.version or "(none)", "Difference, 95 %", "p", "Verdict")
    return html.Div([_version_links(rows, old, new, view), ranking(headers, cells)])


def _difference_row(one: Difference) -> list[Cell]:
    form = _form(one.name)
    return [
        Cell(one.name),
        Cell(form(one.old)),
        Cell(form(one.new)),
        Cell(f"{_signed(form, one.change)}  [{_signed(form, one.low)}, {_signed(form, one.high)}]"),
        Cell(
            units.NOTHING
            if one.p_value is None
            else "<0.001"
            if one.p_value < 0.001
            else f"{one.p_value:.3f}"
        ),
        _verdict(one),
    ]


def _verdict(one: Difference) -> Cell:
    if one.p_value is None:
        return Cell("too few", hint="Fewer than five values in a version")
    if not one.is_significant:
        return Cell("no clear difference", hint="Not significant at 5 % after Holm's correction")
    if one.name in _NEITHER:
        return Cell("differs")
    is_better = (one.change < 0) == (one.name in _LESS_IS_BETTER)
    return Cell("better" if is_better else "worse", tone="good" if is_better else "bad")


def _form(name: str) -> Any:
    return {
        "Error rate": units.percent,
        "Mean latency": units.duration,
        "Cost per call": units.usd,
        "Output tokens": lambda value: f"{value:,.0f}",
    }.get(name, lambda value: f"{value:.3f}")


def _signed(form: Any, value: float) -> str:
    return f"{'−' if value < 0 else '+'}{form(abs(value))}"


def _version_links(rows: Sequence[Version], old: Version, new: Version, view: View) -> Any:
    """The other pairs that can be compared."""
    if len(rows) < 3:
        return None
    name = value_of(view.path)
    shown = [
        dcc.Link(
            f"{older.version or '(none)'} → {newer.version or '(none)'}",
            href=address(view.state.with_options(old=older.version, new=newer.version), name, keep=True),
            className=f"chip-button{' active' if (older, newer) == (old, new) else ''}",
        )
        for newer, older in itertools.pairwise(rows)
    ]
    return html.Div(shown, className="chip-row")


def ask_texts(store: Store, view: View) -> Pair | None:
    """Return the texts of the two versions."""
    name = value_of(view.path)
    pair = chosen(prompts.versions_without_scores(store, view.scope, view.window, name), view)
    if pair is None:
        return None
    old, new = (one.version for one in pair)
    return Pair(
        old,
        new,
        prompts.texts(store, view.scope, view.window, name, old),
        prompts.texts(store, view.scope, view.window, name, new),
    )


def draw_texts(pair: Pair | None, _view: View) -> Any:
    if pair is None or not (pair.old_text or pair.new_text):
        return None
    if pair.old_text == pair.new_text:
        return html.Div(
            [
                html.P("Both versions have the same instructions.", className="muted"),
                text_diff(pair.old_text, pair.new_text),
            ]
        )
    return text_diff(pair.old_text, pair.new_text)


def _points(store: Store, view: View) -> list[Point]:
    return usage.over_time(
        store, view.scope, view.window, "prompt_version", prompt=value_of(view.path), has_latency=True
    )


def draw_calls(points: Sequence[Point], view: View) -> Any:
    found = [(point.time, point.value, float(point.totals.calls)) for point in points]
    return charts.stacked(charts.folded(found), view.canvas, "count") if found else None


def draw_latency(points: Sequence[Point], view: View) -> Any:
    shown = charts.greatest(_calls_of(points))
    series = {
        name: {point.time: point.latency.p95_ms for point in points if point.value == name} for name in shown
    }
    return charts.lines(series, view.canvas, "duration") if series else None


def draw_errors(points: Sequence[Point], view: View) -> Any:
    shown = charts.greatest(_calls_of(points))
    series = {
        name: {point.time: point.totals.error_rate for point in points if point.value == name}
        for name in shown
    }
    return charts.lines(series, view.canvas, "percent") if series else None


def _calls_of(points: Sequence[Point]) -> dict[str, float]:
    calls: dict[str, float] = {}
    for point in points:
        calls[point.value] = calls.get(point.value, 0) + point.totals.calls
    return calls


def _versions(store: Store, view: View) -> list[Version]:
    return prompts.versions(store, view.scope, view.window, value_of(view.path))


ONE: Final = (
    Panel(
        "prompt-versions",
        "Versions",
        "Newest first. In brackets the interval of 95 %: Wilson's for rates, by the normal distribution"
        " for means. Scores count 1 / their inclusion probability.",
        "",
        _versions,
        draw_versions,
        kind="content",
        is_wide=True,
        explore="",
        empty="No call of this prompt in this time range",
        empty_code=SEND,
    ),
    Panel(
        "prompt-differences",
        "Do they differ?",
        "The newer version against the older one: difference, its interval of 95 %, and whether it is"
        " significant at 5 % after Holm's correction for comparing several figures at once. Traffic may"
        " differ in other ways too: this is no experiment.",
        "",
        _versions,
        draw_differences,
        kind="content",
        is_wide=True,
        explore="",
        empty="Only one version was used in this time range: choose a longer one",
    ),
    Panel(
        "prompt-text",
        "What changed in the text",
        "Instructions (system message) of the older version against the newer one: the lines that most of"
        " the latest calls have in common.",
        "",
        ask_texts,
        draw_texts,
        kind="content",
        is_wide=True,
        explore="",
        empty="Calls of two versions that show their messages are needed",
    ),
    Panel("prompt-calls", "Calls by version", "", "calls", _points, draw_calls, explore=""),
    Panel("prompt-latency", "Latency p95 by version", "", "", _points, draw_latency, explore=""),
    Panel("prompt-errors", "Error rate by version", "", "", _points, draw_errors, explore=""),
)


def layout(path: str, view: ViewState) -> Any:
    """Return the list, or the page of the prompt that the path names."""
    name = value_of(path)
    if not name:
        head = [html.H1("Prompts"), find_field(view, "Find a prompt")]
        return [html.Div(head, className="page-bar"), html.Div(panel.grid(LIST), className="tall")]
    crumb = dcc.Link("Prompts", href=links.to_page("/prompts", view), className="crumb")
    calls = links.to_calls(view)("prompt", name)
    return [
        html.Div(
            [
                crumb,
                html.Span("/", className="crumb-rule"),
                html.H1(name),
                dcc.Link("Calls", href=calls, className="chip-button"),
            ],
            className="page-bar",
        ),
        html.Div(panel.grid(ONE), className="tall"),
    ]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, (*LIST, *ONE))


PAGE: Final = Entry(
    "/prompts",
    "Prompts",
    "Explore",
    "prompt",
    layout,
    register,
    under=("/prompts/",),
    letter="p",
    panels=(*LIST, *ONE),
)
