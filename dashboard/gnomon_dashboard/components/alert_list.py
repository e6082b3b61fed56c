"""What alerts say in words: what fires, what fired, rules, silences, messages."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from dash import dcc, html

from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.wording import comparison, lasting, shown, spoken, unit_of, where
from gnomon_collector.store.alerts import Delivery, Incident, Silence
from gnomon_dashboard.components.attributes import data
from gnomon_dashboard.components.icons import icon
from gnomon_dashboard.components.ranking import Cell, ranking

Link = Callable[[str], str]
"""Makes an address of an id or a name."""

_CONDITIONS = {
    "threshold": "limit",
    "change": "change",
    "spike": "unusual for the time of day",
    "burn_rate": "error budget burns",
    "absence": "nothing comes",
}


def firing_list(incidents: Sequence[Incident], link: Link, now: datetime) -> Any:
    """Return what fires, worst first; all is well where nothing does."""
    if not incidents:
        return html.Div([icon("check", 18), html.Span("Nothing fires.")], className="alert-quiet")
    order = {"critical": 0, "warning": 1, "info": 2}
    ranked = sorted(incidents, key=lambda one: (order.get(one.severity, 3), -one.fired_at.timestamp()))
    return html.Ul([_firing(one, link, now) for one in ranked], className="alert-list")


def history_table(incidents: Sequence[Incident], link: Link, now: datetime, zone: tzinfo) -> Any:
    """Return the incidents of a time as a table."""
    rows = [
        [
            Cell(one.rule, link(one.incident_id)),
            _where(one),
            Cell(f"{one.fired_at.astimezone(zone):%a %d %b, %H:%M}"),
            Cell(lasting(one, now) if one.resolved_at else "fires", tone="" if one.resolved_at else "bad"),
            Cell(shown(one.peak, unit_of(one))),
            Cell(shown(one.normal, unit_of(one))),
        ]
        for one in incidents
    ]
    return ranking(("Rule", "Where", "Fired", "Lasted", "At its worst", "Normal"), rows, texts=3)


def _where(one: Incident) -> Cell:
    """The label set; of a single label the name apart, so that it is translated."""
    if len(one.labels) == 1 and "service_name" not in one.labels:
        ((name, value),) = one.labels.items()
        if value:
            return Cell(value, kind=spoken(name))
    return Cell(where(one.labels) or one.project)


def rule_table(rules: Sequence[Rule], project: str, link: Link) -> Any:
    """Return the rules in force for a project."""
    rows = [
        [
            Cell(one.name, link(one.name)),
            Cell(one.definition.title),
            Cell(", ".join(map(spoken, one.group_by)) or "–"),
            Cell(_CONDITIONS.get(one.condition.kind, one.condition.kind)),
            Cell(one.severity, tone="bad" if one.severity == "critical" else ""),
            Cell("this project" if one.project == project else "all projects"),
            Cell("on" if one.enabled else "off", tone="" if one.enabled else "bad"),
        ]
        for one in rules
    ]
    return ranking(("Rule", "Metric", "For each", "Fires on", "Severity", "Of", "State"), rows, texts=7)


def place(labels: Mapping[str, str]) -> list[Any]:
    """Return a label set as `where` has it, the names apart from the values, which nobody translates."""
    parts: list[Any] = []
    for name, value in labels.items():
        if value:
            told = [] if name == "service_name" else [html.Span(spoken(name)), " "]
            parts += [*([", "] if parts else []), *told, html.Span(value, className="data")]
    return parts


def silence_list(silences: Sequence[Silence], zone: tzinfo) -> Any:
    """Return the silences that are on, each with a button that ends it."""
    if not silences:
        return html.P("No silence is on.", className="muted alert-none")
    return html.Ul([_silence(one, zone) for one in silences], className="alert-list")


def delivery_table(deliveries: Sequence[Delivery], zone: tzinfo) -> Any:
    """Return the messages that were sent, or were to be."""
    tones = {"sent": "good", "failed": "bad", "given_up": "bad"}
    rows = [
        [
            Cell(one.channel),
            Cell(one.kind),
            Cell(one.status.replace("_", " "), tone=tones.get(one.status, ""), hint=one.error),
            Cell(one.error or "–"),
            Cell(f"{one.created_at.astimezone(zone):%a %d %b, %H:%M:%S}"),
            Cell(str(one.attempts)),
            Cell(str(len(one.incidents))),
        ]
        for one in deliveries
    ]
    return ranking(("Channel", "Message", "State", "Error", "Made", "Attempts", "Alerts"), rows, texts=5)


def facts(pairs: Mapping[str, Any]) -> Any:
    """Return facts under each other: name and value."""
    rows = [html.Tr([html.Th(name), html.Td(value)]) for name, value in pairs.items() if value]
    return html.Table(html.Tbody(rows), className="table key-values")


def _firing(one: Incident, link: Link, now: datetime) -> Any:
    taken = f" · {one.acknowledged_by} looks after it" if one.acknowledged_by else ""
    return html.Li(
        dcc.Link(
            [
                html.Span(
                    [html.Span(one.severity, className=f"alert-severity {one.severity}"), f" {one.rule}"],
                    className="alert-head",
                ),
                html.Span(f"for {lasting(one, now)}{taken}", className="alert-when"),
                html.Span([*place(one.labels), *([": "] if one.labels else []), html.Span(comparison(one))]),
            ],
            href=link(one.incident_id),
        )
    )


def _silence(one: Silence, zone: tzinfo) -> Any:
    who = f" by {one.author}" if one.author else ""
    return html.Li(
        [
            html.Code("  ".join(one.matchers)),
            html.Span(f"until {one.ends_at.astimezone(zone):%a %d %b, %H:%M}{who}", className="alert-when"),
            html.Span(one.comment),
            html.Button(
                "End it",
                type="button",
                className="chip-button",
                **data(action="alert-unsilence", value=one.silence_id),
            ),
        ],
        className="alert-silence",
    )
