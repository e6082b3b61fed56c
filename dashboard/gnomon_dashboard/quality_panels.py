"""What the panels of the Quality page ask, and how they draw it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from dash import dcc, html

from gnomon_collector.store import quality, quality_satisfaction, reviews
from gnomon_collector.store.canaries import CanaryState
from gnomon_collector.store.engine import Store
from gnomon_collector.store.quality import Example, Judged, QueueState
from gnomon_collector.store.quality_agreement import Agreement
from gnomon_collector.store.quality_checks import CheckRate
from gnomon_collector.store.quality_estimates import (
    Difference,
    Estimate,
    difference,
    estimate,
    share,
    total,
)
from gnomon_collector.store.quality_satisfaction import Correlation
from gnomon_collector.store.queries.filters import Window
from gnomon_dashboard import links, quality_figures, state, units
from gnomon_dashboard.components import tiles
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.components.tiles import Tile
from gnomon_dashboard.context import View
from gnomon_dashboard.quality_figures import interval_text

_DIMENSIONS: Final = {
    "prompt_version": "prompt version",
    "model": "model",
    "service": "service",
    "language": "language",
}
_REVIEW_DAYS: Final = 90
_MOST_POINTS: Final = 28
_EXAMPLES_EACH: Final = 4
_MOST_EXAMPLES: Final = 12


@dataclass(frozen=True, slots=True)
class Scored:
    """An evaluator's mean, and its change against the time before."""

    judged: Judged
    mean: Estimate
    change: Difference
    good: float | None


@dataclass(frozen=True, slots=True)
class Broken:
    """An evaluator's mean for one label, and how it differs from all others."""

    title: str
    label: str
    mean: Estimate
    against_others: Difference


@dataclass(frozen=True, slots=True)
class Trust:
    """How far an evaluator and people agree."""

    title: str
    with_people: Agreement
    weeks: list[tuple[datetime, Agreement]]
    threshold: float | None


def ask_scores(store: Store, view: View) -> list[Scored]:
    found = []
    thresholds = reviews.thresholds(store, view.project)
    for one in quality.judged_names(store, view.project, view.window):
        now, before = (
            total(quality.score_sums(store, view.scope, window, one.evaluator, one.version).values())
            for window in (view.window, view.window.previous)
        )
        mean = estimate(now)
        if mean.mean is not None:
            good = thresholds.get(one.version)
            found.append(Scored(one, mean, difference(estimate(before), mean), good))
    return found


def draw_scores(found: Sequence[Scored], _view: View) -> Any:
    if not found:
        return None
    return tiles.render([_tile(one) for one in found])


def _tile(one: Scored) -> Tile:
    change, mean = one.change, one.mean
    sure = (
        ""
        if change.value is None
        else " · change is certain"
        if change.is_significant
        else " · within chance"
    )
    return Tile(
        one.judged.evaluator,
        one.judged.title,
        units.NOTHING if mean.mean is None else f"{mean.mean:.3f}",
        change.value if change.is_enough else None,
        "more",
        f"{mean.low:.2f} to {mean.high:.2f} · {mean.count} judged{'' if mean.is_enough else ', few'}{sure}",
        points=True,
        is_compared=change.is_enough,
        hint=f"{one.judged.description} Weighted by how answers were drawn; interval of 95 %."
        f" Version {one.judged.version}.",
    )


def ask_series(store: Store, view: View) -> dict[str, list[tuple[datetime, Estimate]]]:
    names = quality.judged_names(store, view.project, view.window)
    # Verdicts are a sample: wider buckets than those of traffic, so that each says something.
    wanted_s = view.window.seconds / _MOST_POINTS
    step_s = view.window.step_s * max(1, math.ceil(wanted_s / view.window.step_s))
    window = Window(view.window.start, view.window.end, step_s)
    return {
        one.title: [
            (at, estimate(sums))
            for at, sums in quality.score_series(store, view.scope, window, one.evaluator, one.version)
        ]
        for one in sorted(names, key=lambda one: -one.count)[: quality_figures.MOST_LINES]
    }


def draw_series(series: Mapping[str, list[tuple[datetime, Estimate]]], view: View) -> Any:
    some = {name: points for name, points in series.items() if points}
    return quality_figures.score_bands(some, view.canvas) if some else None


def ask_groups(store: Store, view: View) -> list[Broken]:
    by = view.state.option("by", "prompt_version", tuple(_DIMENSIONS))
    rows = []
    for one in quality.judged_names(store, view.project, view.window):
        groups = quality.score_sums(store, view.scope, view.window, one.evaluator, one.version, by)
        for label, sums in groups.items():
            others = estimate(total(part for other, part in groups.items() if other != label))
            mean = estimate(sums)
            rows.append(Broken(one.title, label or "(none)", mean, difference(others, mean)))
    return rows


def draw_groups(rows: Sequence[Broken], view: View) -> Any:
    if not rows:
        return None
    by = view.state.option("by", "prompt_version", tuple(_DIMENSIONS))
    cells = [
        [
            Cell(row.title),
            Cell(row.label),
            Cell(interval_text(row.mean), share=row.mean.mean),
            Cell(units.whole(row.mean.count), hint="" if row.mean.is_enough else "too few to rely on"),
            _difference_cell(row.against_others),
        ]
        for row in rows
    ]
    headers = ("Evaluator", _DIMENSIONS[by].capitalize(), "Mean [95 %]", "Judged", "Against the others")
    return [_switch(view, by), ranking(headers, cells, texts=2)]


def _switch(view: View, chosen: str) -> Any:
    return html.Div(
        [
            dcc.Link(
                label,
                href="/quality" + state.to_query(view.state.with_options(by=name)),
                className=f"chip-button{' active' if name == chosen else ''}",
            )
            for name, label in _DIMENSIONS.items()
        ],
        className="chips",
        style={"display": "flex", "gap": "6px", "flexWrap": "wrap", "padding": "0 0 8px"},
    )


def _difference_cell(change: Difference) -> Cell:
    if change.value is None:
        return Cell(units.NOTHING)
    tone = "" if not change.is_significant else "good" if change.value > 0 else "bad"
    return Cell(f"{change.value:+.3f}  [{change.low:+.2f}, {change.high:+.2f}]", tone=tone)


def ask_examples(store: Store, view: View) -> list[tuple[str, Example]]:
    found: list[tuple[str, Example]] = []
    for one in quality.judged_names(store, view.project, view.window):
        worst = quality.worst_examples(
            store, view.scope, view.window, one.evaluator, one.version, _EXAMPLES_EACH
        )
        found += [(one.title, example) for example in worst]
    return sorted(found, key=lambda one: (one[1].value or 0.0, -one[1].happened_at.timestamp()))[
        :_MOST_EXAMPLES
    ]


def draw_examples(rows: Sequence[tuple[str, Example]], view: View) -> Any:
    if not rows:
        return None
    cells = [
        [
            Cell(f"{row.happened_at.astimezone(view.zone):%d %b %H:%M}", _trace_of(row, view)),
            Cell(title),
            Cell(row.label.replace("_", " "), tone="bad" if (row.value or 0) < 0.5 else ""),
            Cell(row.reasoning),
            Cell(row.prompt_version or units.NOTHING),
            Cell(row.model),
        ]
        for title, row in rows
    ]
    return ranking(("When", "Evaluator", "Verdict", "Why", "Prompt", "Model"), cells, texts=6)


def _trace_of(row: Example, view: View) -> str:
    return links.to_trace(view.state, row.trace_id, row.span_id) if row.trace_id else ""


def ask_satisfaction(store: Store, view: View) -> list[tuple[str, str, Estimate]]:
    rows = []
    for by in ("prompt version", "model", "company"):
        found = quality_satisfaction.satisfaction(store, view.scope, view.window, by)
        rows += [(by, label, one) for label, one in found[:6]]
    return rows


def draw_satisfaction(rows: Sequence[tuple[str, str, Estimate]], _view: View) -> Any:
    if not rows:
        return None
    cells = [
        [
            Cell(by),
            Cell(label or "(none)"),
            Cell(_percent(one), share=one.mean),
            Cell(units.whole(one.count), hint="" if one.is_enough else "too few to rely on"),
        ]
        for by, label, one in rows
    ]
    return ranking(("By", "Which", "Satisfied [95 %]", "Ratings"), cells, texts=2)


def _percent(one: Estimate) -> str:
    if one.mean is None:
        return units.NOTHING
    return f"{one.mean:.0%}  [{one.low:.0%}, {one.high:.0%}]"


def draw_correlation(rows: Sequence[Correlation], _view: View) -> Any:
    if not rows:
        return None
    cells = [
        [
            Cell(row.evaluator),
            Cell(_rho(row)),
            Cell(units.whole(row.pairs)),
        ]
        for row in rows
    ]
    return ranking(("Evaluator", "Rank correlation [95 %]", "Answers both judged"), cells)


def _rho(row: Correlation) -> str:
    if row.rho is None:
        return "not enough variation" if row.pairs >= 10 else "too few"
    return f"{row.rho:+.2f}  [{row.low:+.2f}, {row.high:+.2f}]"


def ask_trust(store: Store, view: View) -> list[Trust]:
    now = view.window.end
    since = min(view.window.start, now - timedelta(days=_REVIEW_DAYS))
    thresholds = reviews.thresholds(store, view.project)
    found = []
    for one in quality.judged_names(store, view.project, view.window):
        pairs = reviews.pairs(store, view.project, one.evaluator, one.version, since, now + timedelta(days=1))
        if pairs:
            weeks = reviews.agreement_by_week(pairs)
            threshold = thresholds.get(one.version)
            found.append(Trust(one.title, reviews.agreement_of(pairs), weeks, threshold))
    return found


def draw_trust(rows: Sequence[Trust], _view: View) -> Any:
    if not rows:
        return None
    cells = [
        [
            Cell(row.title),
            Cell(_kappa(row.with_people)),
            Cell(units.percent(row.with_people.observed, 0)),
            Cell(units.whole(row.with_people.pairs)),
            Cell(" → ".join(_week(one) for _, one in row.weeks[-4:])),
            Cell(units.NOTHING if row.threshold is None else f"≥ {row.threshold:g}"),
        ]
        for row in rows
    ]
    return ranking(("Evaluator", "Kappa [95 %]", "Same label", "Labels", "By week", "Good from"), cells)


def _kappa(one: Agreement) -> str:
    if one.kappa is None:
        return units.NOTHING
    interval = f"  [{one.low:.2f}, {one.high:.2f}]" if one.low is not None else "  (few)"
    return f"{one.kappa:.2f}{interval}"


def _week(one: Agreement) -> str:
    return units.NOTHING if one.kappa is None else f"{one.kappa:.2f}"


def draw_canaries(rows: Sequence[CanaryState], view: View) -> Any:
    if not rows:
        return None
    cells = [
        [
            Cell(row.canary),
            Cell(row.model),
            Cell(" → ".join(row.snapshots) or units.NOTHING, tone="bad" if row.has_new_snapshot else ""),
            Cell(_before_now(row.value_before, row.value_now, "{:.2f}")),
            Cell(_before_now(row.tokens_before, row.tokens_now, "{:.0f}")),
            Cell(units.whole(row.answers)),
            Cell(units.whole(row.failed), tone="bad" if row.failed else ""),
            Cell(units.whole(row.missed), tone="bad" if row.missed else ""),
            Cell(f"{row.last.astimezone(view.zone):%d %b %H:%M}"),
        ]
        for row in rows
    ]
    headers = (
        "Canary", "Model", "Answered by", "Correct", "Output tokens", "Answers", "Failed", "Missed", "Last",
    )  # fmt: skip
    return ranking(headers, cells, texts=3)


def _before_now(before: float | None, now: float | None, form: str) -> str:
    return " → ".join(units.NOTHING if one is None else form.format(one) for one in (before, now))


def draw_queue(rows: Sequence[QueueState], view: View) -> Any:
    if not rows:
        return None
    cells = [
        [
            Cell(row.evaluator),
            Cell(units.whole(row.waiting)),
            Cell(_lag(row, view)),
            Cell(units.whole(row.judged)),
            Cell(units.whole(row.failed), tone="bad" if row.failed else ""),
            Cell(units.whole(row.skipped)),
            Cell(units.whole(row.over_budget), tone="bad" if row.over_budget else ""),
            Cell("; ".join(row.reasons) or units.NOTHING),
        ]
        for row in rows
    ]
    headers = ("Evaluator", "Waiting", "Lag", "Judged", "Failed", "Skipped", "Over budget", "Reasons")
    return ranking(headers, cells)


def _lag(row: QueueState, view: View) -> str:
    if row.oldest_waiting is None:
        return units.NOTHING
    return units.duration(max(0.0, (view.window.end - row.oldest_waiting).total_seconds()) * 1000)


def draw_cost(rows: Sequence[Any], view: View) -> Any:
    return quality_figures.cost_by_day(rows, view.canvas) if rows else None


def draw_checks(rows: Sequence[CheckRate], view: View) -> Any:
    series: dict[str, dict[datetime, float | None]] = {}
    for row in rows:
        series.setdefault(row.name, {})[row.time] = row.failed / row.checked if row.checked else None
    return quality_figures.failure_rates(series, view.canvas) if series else None


def draw_check_table(rows: Sequence[CheckRate], _view: View) -> Any:
    sums: dict[str, tuple[int, int]] = {}
    for row in rows:
        checked, failed = sums.get(row.name, (0, 0))
        sums[row.name] = (checked + row.checked, failed + row.failed)
    if not sums:
        return None
    cells = [
        [
            Cell(name),
            Cell(_percent(share(failed, checked)), share=failed / checked if checked else 0),
            Cell(units.whole(failed), tone="bad" if failed else ""),
            Cell(units.whole(checked)),
        ]
        for name, (checked, failed) in sums.items()
    ]
    return ranking(("Check", "Failing [95 %]", "Failed", "Looked at"), cells)
