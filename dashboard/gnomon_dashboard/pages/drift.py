"""Drift: what changed, when, in which part of the traffic, and what it looks like."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from dash import Dash, html

from gnomon_collector.store import drift_results, drift_samples
from gnomon_collector.store.drift_catalogue import BY_NAME, METRICS
from gnomon_collector.store.drift_results import Cell, DriftResult, SetState
from gnomon_collector.store.drift_samples import Example
from gnomon_collector.store.drift_windows import ALL, DimensionSet, Distribution, added, distributions
from gnomon_collector.store.engine import Store
from gnomon_dashboard import drift_figures, links, state
from gnomon_dashboard.components import drift_list
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.pages import panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

LEAST_SHOWN: Final = timedelta(days=3)
_MOST_COLUMNS: Final = 96
_HOUR_S: Final = 3600
_EXAMPLES: Final = 4
_EVERYTHING: Final = "all"


@dataclass(frozen=True, slots=True)
class Alarms:
    """The alarms of a time, and the newest evaluation of all traffic."""

    alarms: Sequence[DriftResult]
    newest: Sequence[DriftResult]


@dataclass(frozen=True, slots=True)
class Explained:
    """One evaluation of a part of the traffic, and the metric of it that is looked at."""

    results: Sequence[DriftResult]
    chosen: DriftResult | None


@dataclass(frozen=True, slots=True)
class Overlay:
    """What the distributions of a metric are drawn from."""

    result: DriftResult
    found: Distribution | None


@dataclass(frozen=True, slots=True)
class Examples:
    """Example calls of each window."""

    current: Sequence[Example]
    reference: Sequence[Example]


def looked_at(view: View) -> DimensionSet:
    """Return the part of the traffic that the URL names, else what the filters name, else everything."""
    if view.state.option("of") == _EVERYTHING:
        return ALL
    pairs = dict(parse_qsl(view.state.option("of")))
    named = {name: pairs[name] for name in asdict(ALL) if name in pairs}
    if named:
        return DimensionSet(**named)
    if len(view.state.services) == 1:
        return DimensionSet(service_name=view.state.services[0])
    return DimensionSet(model=view.state.models[0]) if len(view.state.models) == 1 else ALL


def shown_time(view: View) -> tuple[datetime, datetime]:
    """Return the time (UTC) whose evaluations are shown: three days at least, since they come by the hour."""
    end = view.window.end
    return min(view.window.start, end - LEAST_SHOWN), end


def step_s(view: View) -> int:
    """Return the seconds of a column of the heat map: whole hours."""
    start, end = shown_time(view)
    hours = (end - start).total_seconds() / _HOUR_S
    return _HOUR_S * max(1, -(-int(hours) // _MOST_COLUMNS))


def address(view: View) -> drift_list.Link:
    """Return what makes the address of this page for a part of the traffic, and for one result."""

    def make(dimension_set: DimensionSet, result: DriftResult | None) -> str:
        of = urlencode({name: value for name, value in asdict(dimension_set).items() if value})
        options = {"of": of or _EVERYTHING, "metric": "", "at": ""}
        if result is not None:
            options |= {"metric": result.metric, "at": f"{result.time:%Y-%m-%dT%H:%M}"}
        return "/drift" + state.to_query(links.kept(view.state).with_options(**options))

    return make


def evaluation(store: Store, view: View) -> Explained:
    """Return the evaluation that the URL names, else the newest one, and the metric that is looked at."""
    start, end = shown_time(view)
    chosen_set = looked_at(view)
    time = _moment(view.state.option("at")) or drift_results.last_time_of(
        store, view.project, chosen_set, end
    )
    if time is None or time <= start:
        return Explained((), None)
    results = drift_results.results_at(store, view.project, chosen_set, time)
    metric = view.state.option("metric", "", METRICS)
    named = next((one for one in results if one.metric == metric), None)
    if metric and named is None:
        # texts are looked at every six hours only
        named = drift_results.newest_before(store, view.project, chosen_set, metric, time)
    return Explained(results, named or (results[0] if results else None))


def ask_alarms(store: Store, view: View) -> Alarms:
    start, end = shown_time(view)
    newest = drift_results.last_time_of(store, view.project, ALL, end)
    return Alarms(
        drift_results.alarms(store, view.project, start, end),
        drift_results.results_at(store, view.project, ALL, newest) if newest else (),
    )


def draw_alarms(found: Alarms, view: View) -> Any:
    if found.alarms:
        return drift_list.alarm_list(found.alarms, address(view), view.zone)
    return drift_list.quiet(found.newest)


def ask_sets(store: Store, view: View) -> list[SetState]:
    return drift_results.set_states(store, view.project, *shown_time(view))


def draw_sets(states: Sequence[SetState], view: View) -> Any:
    return drift_list.set_list(states, looked_at(view), address(view)) if states else None


def ask_cells(store: Store, view: View) -> list[Cell]:
    return drift_results.cells(store, view.project, looked_at(view), *shown_time(view), step_s(view))


def draw_cells(cells: Sequence[Cell], view: View) -> Any:
    return drift_figures.heat_map(cells, step_s(view), view.canvas)


def draw_explanation(found: Explained, view: View) -> Any:
    if found.chosen is None:
        return None
    return html.Div(
        [
            drift_list.explanation(found.chosen, view.zone),
            drift_list.metric_links(found.results, found.chosen.metric, address(view)),
        ]
    )


def ask_overlay(store: Store, view: View) -> Overlay | None:
    chosen = evaluation(store, view).chosen
    if chosen is None:
        return None
    if chosen.metric not in BY_NAME:
        return Overlay(chosen, None)
    found = distributions(store, view.project, chosen.windows, chosen.dimension_set, chosen.metric)
    return Overlay(chosen, found.get((chosen.dimension_set, chosen.metric)))


def draw_overlay(overlay: Overlay | None, view: View) -> Any:
    if overlay is None:
        return None
    if overlay.found is None:
        return drift_figures.term_bars(overlay.result.explanation.get("terms", ()), view.canvas)
    feature = BY_NAME[overlay.result.metric]
    return drift_figures.overlaid(feature, added(overlay.found.periods), overlay.found.current, view.canvas)


def ask_examples(store: Store, view: View) -> Examples | None:
    """Return calls that show what is new: in the buckets or categories that grew, or the typical texts."""
    chosen = evaluation(store, view).chosen
    if chosen is None:
        return None
    if chosen.metric in BY_NAME:
        keys = [str(key) for key in chosen.explanation.get("keys", ())]
        windows = chosen.windows
        found = drift_samples.examples(
            store, view.project, chosen.dimension_set, BY_NAME[chosen.metric], keys,
            windows.current_start, windows.current_end, _EXAMPLES,
        ) if keys else []  # fmt: skip
        return Examples(found, ())
    listed = chosen.explanation.get("examples", {})
    current, reference = (
        drift_samples.calls_by_id(
            store, view.project, [(str(trace), str(span)) for trace, span in listed.get(name, ())][:_EXAMPLES]
        )
        for name in ("current", "reference")
    )
    return Examples(current, reference)


def draw_examples(found: Examples | None, view: View) -> Any:
    if found is None or not (found.current or found.reference):
        return None
    return drift_list.example_list(
        [("Now", found.current), ("Before", found.reference)],
        lambda one: links.to_trace(view.state, one.trace_id, one.span_id),
        view.zone,
    )


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError:
        return None


_NOT_EVALUATED: Final = (
    "Not evaluated in this time. Each whole hour is, some minutes after its end; a verdict takes 100 calls in"
    " the last day and 300 before it"
)

PANELS: Final = (
    Panel(
        "drift-alarms",
        "What drifts",
        "Metrics that were over their threshold in two evaluations in a row, with what changed. A click shows"
        " the evaluation below.",
        "",
        ask_alarms,
        draw_alarms,
        kind="content",
        explore="",
    ),
    Panel(
        "drift-sets",
        "By service, model and prompt",
        "How many metrics drift in each part of the traffic, by its newest evaluation in this time. A click"
        " shows that part.",
        "metrics",
        ask_sets,
        draw_sets,
        kind="content",
        explore="",
        empty=_NOT_EVALUATED,
    ),
    Panel(
        "drift-heat",
        "Metrics over time",
        "How far each metric was from its reference: the colour changes at the threshold, and a dot marks"
        " drift: twice in a row over it. Empty: not enough data. Three days at least, whatever the time"
        " range.",
        "share of the threshold",
        ask_cells,
        draw_cells,
        explore="",
        empty=_NOT_EVALUATED,
        is_wide=True,
    ),
    Panel(
        "drift-explanation",
        "What changed",
        "One metric at one evaluation. Thresholds are effect sizes, raised by what chance does with so few"
        " calls, and by how much the days of the reference differ among themselves.",
        "",
        evaluation,
        draw_explanation,
        kind="content",
        explore="",
        empty=_NOT_EVALUATED,
    ),
    Panel(
        "drift-overlay",
        "Now and before",
        "The distribution in the current window over that of the reference, each as shares of its own calls;"
        " for texts the share of texts with a term.",
        "share of calls",
        ask_overlay,
        draw_overlay,
        explore="",
        empty="No counts of this metric in these windows",
        has_time_axis=False,
    ),
    Panel(
        "drift-examples",
        "Examples",
        "Calls in the buckets or categories whose share grew most; for texts those that look least like the"
        " other window.",
        "",
        ask_examples,
        draw_examples,
        kind="content",
        explore="",
        empty="No example: the metric is unchanged, or its calls were erased",
        is_wide=True,
    ),
)


def layout(_path: str, _view: ViewState) -> Any:
    """Return the page; its content comes by callbacks."""
    return [
        html.H1("Drift", className="visually-hidden"),
        html.Div(panel.grid(PANELS), className="drift-page"),
    ]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, PANELS)


PAGE: Final = Entry("/drift", "Drift", "Quality", "drift", layout, register, letter="d", panels=PANELS)
