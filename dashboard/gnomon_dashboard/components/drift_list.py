"""What drift says in words: alarms, the parts of the traffic, an explanation, examples."""

from collections.abc import Callable, Sequence
from typing import Any

from dash import dcc, html

from gnomon_collector.store.drift_catalogue import LABELS
from gnomon_collector.store.drift_results import DriftResult, SetState
from gnomon_collector.store.drift_samples import EXAMPLE_CHARS, Example
from gnomon_collector.store.drift_windows import ALL, DimensionSet
from gnomon_dashboard import units
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.drift_figures import STATES

Link = Callable[[DimensionSet, DriftResult | None], str]
"""Makes the address of the page for a part of the traffic, and for one result of it."""


def alarm_list(alarms: Sequence[DriftResult], link: Link, zone: Any) -> Any:
    """Return the alarms, a sentence for each metric, of the widest part of the traffic that it drifts in."""
    by_metric: dict[str, list[DriftResult]] = {}
    for one in alarms:
        by_metric.setdefault(one.metric, []).append(one)
    return html.Ul(
        [_alarm(_widest_first(found), link, zone) for found in by_metric.values()], className="drift-alarms"
    )


def _widest_first(found: Sequence[DriftResult]) -> list[DriftResult]:
    order = ("all", "service", "model", "prompt")
    return sorted(found, key=lambda one: (order.index(one.dimension_set.dimension), -one.severity))


def _alarm(found: Sequence[DriftResult], link: Link, zone: Any) -> Any:
    one, *others = found
    when = f"{one.time.astimezone(zone):%a %d %b, %H:%M}"
    return html.Li(
        dcc.Link(
            [
                html.Span(
                    [
                        html.Span(LABELS.get(one.metric, one.metric), className="drift-metric"),
                        f" of {one.dimension_set.label}",
                    ],
                    className="drift-alarm-head",
                ),
                html.Span(f"{when} · {one.severity:.1f}× the threshold", className="drift-when"),
                html.Span(one.summary, className="drift-words"),
                *([html.Span(_also(others), className="drift-words")] if others else []),
            ],
            href=link(one.dimension_set, one),
        )
    )


def _also(others: Sequence[DriftResult]) -> list[Any]:
    """Return in which other parts it drifts; names apart from our words, which alone are translated."""
    named = others[:4] if len(others) > 5 else others
    parts: list[Any] = [html.Span("Also in:")]
    for at, one in enumerate(named):
        parts += ["," if at else "", " ", *_part(one.dimension_set)]
    return [*parts, *([" ", html.Span(f"and {len(others) - 4} more")] if named is not others else []), "."]


def _part(chosen: DimensionSet) -> list[Any]:
    if chosen.dimension == "all":
        return [html.Span(chosen.label)]
    return [html.Span(chosen.dimension), " ", html.Span(chosen.name, className="data")]


def quiet(results: Sequence[DriftResult]) -> Any:
    """Return what stands in the place of alarms: that all is well, or what is missing to say so."""
    missing = sorted({str(one.explanation["missing"]) for one in results if one.explanation.get("missing")})
    judged = sum(one.state != "not_enough_data" for one in results)
    if not results:
        text = "Not evaluated yet. Each whole hour is evaluated some minutes after its end."
    elif judged:
        text = f"Nothing drifts: {judged} metrics of all traffic stay below their thresholds."
    else:
        text = "Not enough data to say whether anything drifts."
    return html.Div([html.P(text), *([_missing(missing)] if missing else [])], className="drift-quiet")


def _missing(missing: Sequence[str]) -> Any:
    return html.Div(
        [html.P("Still missing:", className="muted"), html.Ul([html.Li(text) for text in missing[:6]])]
    )


def set_list(states: Sequence[SetState], chosen: DimensionSet, link: Link) -> Any:
    """Return the parts of the traffic with the number of metrics that drift in each."""
    most = max((one.drifting for one in states), default=0) or 1
    rows = [
        [
            Cell(
                one.dimension_set.name or one.dimension_set.label,
                link(one.dimension_set, None),
                kind="" if one.dimension_set == ALL else one.dimension_set.dimension,
                tone="current" if one.dimension_set == chosen else "",
            ),
            Cell(units.whole(one.drifting), share=one.drifting / most if one.drifting else None),
            Cell(units.whole(one.breached)),
        ]
        for one in states
    ]
    return ranking(("Part of the traffic", "Drift", "Over once"), rows)


def explanation(one: DriftResult, zone: Any) -> Any:
    """Return one result in words and figures."""
    windows = one.windows
    return html.Div(
        [
            html.P(
                [
                    html.Span(STATES.get(one.state, one.state), className=f"drift-state drift-{one.state}"),
                    html.Strong(f"{LABELS.get(one.metric, one.metric)} of {one.dimension_set.label}"),
                ],
                className="drift-title",
            ),
            html.P(one.summary or "No change that a person would ask about."),
            _statistics(one),
            html.P(
                [
                    f"Current: {_span(windows.current_start, windows.current_end, zone)},",
                    f" {units.whole(one.current_count)} counted.",
                    html.Br(),
                    f"Reference: {_span(windows.reference_start, windows.reference_end, zone)},",
                    f" {units.whole(one.reference_count)} counted.",
                ],
                className="muted",
            ),
        ],
        className="drift-explanation",
    )


def _statistics(one: DriftResult) -> Any:
    listed = one.explanation.get("statistics") or (
        [{"label": one.statistic, "value": one.value, "threshold": one.threshold}] if one.statistic else []
    )
    rows = [
        [Cell(str(row["label"])), Cell(f"{row['value']:.3g}"), Cell(f"{row['threshold']:.3g}")]
        for row in listed
    ]
    return ranking(("Statistic", "Value", "Threshold"), rows) if rows else None


def metric_links(results: Sequence[DriftResult], chosen: str, link: Link) -> Any:
    """Return a chip per metric that was evaluated, the most severe first."""
    return html.Div(
        [
            dcc.Link(
                [html.Span(className=f"drift-dot drift-{one.state}"), LABELS.get(one.metric, one.metric)],
                href=link(one.dimension_set, one),
                className=f"chip-button{' active' if one.metric == chosen else ''}",
                title=f"{LABELS.get(one.metric, one.metric)}: {STATES.get(one.state, one.state)}",
            )
            for one in results
        ],
        className="chip-row",
    )


def example_list(
    shown: Sequence[tuple[str, Sequence[Example]]], link: Callable[[Example], str], zone: Any
) -> Any:
    """Return example calls under their headings."""
    return html.Div(
        [
            html.Div([html.H3(heading), *[_example(one, link, zone) for one in examples]])
            for heading, examples in shown
            if examples
        ],
        className="drift-examples",
    )


def _example(one: Example, link: Callable[[Example], str], zone: Any) -> Any:
    said = [
        html.P(
            [html.Span(label, className="drift-speaker"), f"{text}…" if len(text) >= EXAMPLE_CHARS else text]
        )
        for label, text in (("asked", one.input_text), ("answered", one.output_text))
        if text
    ]
    time = f"{one.time.astimezone(zone):%d %b %H:%M:%S}"
    return html.Article(
        [dcc.Link(time, href=link(one)), *(said or [html.P("no content captured", className="muted")])]
    )


def _span(start: Any, end: Any, zone: Any) -> str:
    return f"{start.astimezone(zone):%d %b %H:%M} to {end.astimezone(zone):%d %b %H:%M}"
