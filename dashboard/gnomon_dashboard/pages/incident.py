"""One incident, with the evidence that was frozen when it fired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from dash import Dash, dcc, html

from gnomon_collector.alerts.message import evidence_of
from gnomon_collector.alerts.wording import headline, lasting, shown, spoken, unit_of
from gnomon_collector.store.alerts import AlertRecords, Delivery, Incident
from gnomon_collector.store.engine import Store
from gnomon_dashboard import alert_figures, links, state, units
from gnomon_dashboard.components import alert_list
from gnomon_dashboard.components.attributes import data
from gnomon_dashboard.components.ranking import Cell, ranking
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.figures import Figure
from gnomon_dashboard.pages import panel
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState

PREFIX: Final = "/incident/"


@dataclass(frozen=True, slots=True)
class Told:
    """An incident, and the messages about it."""

    incident: Incident
    deliveries: Sequence[Delivery]


def ask(store: Store, view: View) -> Incident | None:
    """Return the incident that the address names."""
    return AlertRecords(store).incident(view.project, view.path.removeprefix(PREFIX))


def ask_told(store: Store, view: View) -> Told | None:
    found = ask(store, view)
    if found is None:
        return None
    made = AlertRecords(store).deliveries(view.project, since=found.fired_at)
    return Told(found, [one for one in made if any(found.incident_id in entry for entry in one.incidents)])


def draw_head(found: Incident | None, view: View) -> Any:
    if found is None:
        return None
    now, unit = datetime.now(UTC), unit_of(found)
    fired = f"{found.fired_at.astimezone(view.zone):%a %d %b %Y, %H:%M}"
    ended = "it still fires" if found.resolved_at is None else "it is over"
    pairs = {
        "State": f"{found.severity}; fired {fired}, for {lasting(found, now)}; {ended}",
        "Where": alert_list.place(found.labels),
        "Value": f"{shown(found.value, unit)} when it fired, {shown(found.peak, unit)} at its worst",
        "Normal": shown(found.normal, unit) if found.normal is not None else "",
        "Limit": shown(found.threshold, unit) if found.threshold is not None else "",
        "What": found.summary,
        "Changed near then": [html.Div(one) for one in evidence_of(found).get("changes", [])],
        "Runbook": dcc.Link(found.runbook, href=found.runbook, target="_blank") if found.runbook else "",
        "Looked after by": found.acknowledged_by,
    }
    return html.Div([html.H1(headline(found)), alert_list.facts(pairs), _buttons(found, view)])


def draw_series(found: Incident | None, view: View) -> Figure | None:
    if found is None:
        return None
    series = evidence_of(found).get("series") or {}
    times = [datetime.fromisoformat(one) for one in series.get("times", [])]
    levels = (("normal", found.normal), ("limit", found.threshold))
    return alert_figures.incident_figure(
        times, series.get("values", []), levels, found.fired_at, unit_of(found), view.canvas
    )


def draw_causes(found: Incident | None, _view: View) -> Any:
    causes: list[Mapping[str, Any]] = evidence_of(found).get("causes", []) if found else []
    if not causes:
        return None
    rows = [
        [
            Cell(spoken(str(one["dimension"]))),
            Cell(str(one["value"])),
            Cell(units.percent(min(1.0, one["power"]), 0), share=one["power"]),
            Cell(units.number(one["now"]) if one["now"] >= 10 else f"{one['now']:.3g}"),
            Cell(units.number(one["expected"]) if one["expected"] >= 10 else f"{one['expected']:.3g}"),
            Cell(units.whole(one["calls_now"])),
        ]
        for one in causes
    ]
    return ranking(("Dimension", "Value", "Explains", "Seen", "Expected", "Calls"), rows, texts=2)


def draw_examples(found: Incident | None, view: View) -> Any:
    examples: list[Mapping[str, Any]] = evidence_of(found).get("examples", []) if found else []
    if not examples:
        return None
    rows = [
        [
            Cell(
                f"{datetime.fromisoformat(one['start_time']).astimezone(view.zone):%H:%M:%S}",
                links.to_trace(view.state, one["trace_id"], one["span_id"]),
            ),
            Cell(one["model"]),
            Cell(one["error_type"] or one["status"], tone="bad" if one["status"] == "error" else ""),
            Cell(units.duration(one["duration_ms"])),
            Cell(units.usd(one["cost_usd"])),
        ]
        for one in examples
    ]
    return ranking(("Call at", "Model", "Outcome", "Latency", "Cost"), rows, texts=3)


def draw_told(found: Told | None, view: View) -> Any:
    return alert_list.delivery_table(found.deliveries, view.zone) if found and found.deliveries else None


def _buttons(found: Incident, view: View) -> Any:
    taken = (
        []
        if found.acknowledged_by or found.resolved_at
        else [
            html.Button(
                "I look after it",
                type="button",
                className="chip-button",
                **data(action="alert-ack", value=found.incident_id),
            )
        ]
    )
    rule = "/alerts" + state.to_query(links.kept(view.state).with_options(rule=found.rule))
    return html.Div(
        [
            *taken,
            dcc.Link("The rule", href=rule, className="chip-button"),
            dcc.Link("All alerts", href=links.to_page("/alerts", view.state), className="chip-button"),
            html.Span(id="alert-ack-state", className="alert-state", role="status"),
        ],
        className="chip-row",
    )


_GONE: Final = "There is no such incident in this project"
PANELS: Final = (
    Panel("incident-head", "Incident", "What fired, when, and how it compares.", "", ask, draw_head,
          kind="content", explore="", empty=_GONE, is_wide=True),
    Panel("incident-series", "The value before it fired", "As it was seen then; calls that came later change"
          " nothing here. The dotted lines are what is normal, and the limit.", "", ask, draw_series,
          explore="", empty="The series was not kept", is_wide=True),
    Panel("incident-causes", "What explains it", "The value of each dimension that explains most of the"
          " deviation: how much was seen, and how much was expected by the day before. Contribution analysis"
          " after Adtributor (NSDI 2014).", "", ask, draw_causes, kind="content", explore="",
          empty="No dimension stands out"),
    Panel("incident-examples", "Typical calls", "Failures of the most frequent kind, calls about as slow"
          " as the"
          " value, or the dearest ones.", "", ask, draw_examples, kind="content", explore="",
          empty="No example was kept"),
    Panel("incident-told", "Messages", "Who was told of it.", "", ask_told, draw_told, kind="content",
          explore="", empty="Nobody was told", is_wide=True),
)  # fmt: skip


def layout(_path: str, _view: ViewState) -> Any:
    """Return the page; its content comes by callbacks."""
    return html.Div(panel.grid(PANELS), className="incident-page")


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, PANELS)


PAGE: Final = Entry(
    "/incident",
    "Incident",
    "Monitor",
    "bell",
    layout,
    register,
    under=(PREFIX,),
    is_listed=False,
    panels=PANELS,
)
