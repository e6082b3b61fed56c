"""Alerts: what fires, what fired, the rules with a preview of each, silences, and the messages sent."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Dash, html

from gnomon_collector.alerts.config import default_rules
from gnomon_collector.alerts.model import Rule
from gnomon_collector.store.alerts import AlertRecords, Delivery, Incident, Silence
from gnomon_collector.store.budgets import CONFIG_DOCUMENT, document
from gnomon_collector.store.engine import Store
from gnomon_dashboard import links, state, units
from gnomon_dashboard.components import alert_list, tiles
from gnomon_dashboard.components.attributes import aria, data
from gnomon_dashboard.components.tiles import Tile
from gnomon_dashboard.context import Context, View
from gnomon_dashboard.pages import panel, rule_editor
from gnomon_dashboard.pages.entry import Entry
from gnomon_dashboard.pages.panel import Panel
from gnomon_dashboard.state import ViewState


@dataclass(frozen=True, slots=True)
class Summary:
    """What the tiles show."""

    firing: Sequence[Incident]
    lately: Sequence[Incident]
    silences: Sequence[Silence]
    deliveries: Sequence[Delivery]


def rules_in_force(store: Store, project: str) -> list[Rule]:
    """Return the rules for a project, as the job that evaluates them published them."""
    said = document(store, CONFIG_DOCUMENT)
    rules = [Rule.model_validate(one) for one in json.loads(said)["rule"]] if said else list(default_rules())
    return [rule for rule in rules if rule.projects([project])]


def ask_summary(store: Store, view: View) -> Summary:
    records, since = AlertRecords(store), view.window.start
    found = records.incidents(view.project, since=since)
    return Summary(
        [one for one in found if one.resolved_at is None],
        [one for one in found if one.fired_at >= since],
        records.silences(view.project, _now()),
        records.deliveries(view.project, since=since),
    )


def draw_summary(found: Summary, view: View) -> Any:
    critical = sum(one.severity == "critical" for one in found.firing)
    undelivered = [one for one in found.deliveries if one.status in ("failed", "given_up")]
    weeks = view.window.seconds / (7 * 86_400)
    pace = f"{len(found.lately) / weeks:.1f} a week" if weeks >= 1 else ""
    return tiles.render(
        [
            _tile("alerts-now", "Firing now", len(found.firing), f"{critical} critical" if critical else ""),
            _tile("alerts-fired", "Fired", len(found.lately), pace),
            _tile("alerts-silences", "Silences", len(found.silences), ""),
            _tile("alerts-sent", "Messages", len(found.deliveries), ""),
            _tile(
                "alerts-unsent",
                "Not delivered",
                len(undelivered),
                undelivered[0].error if undelivered else "",
            ),
        ]
    )


def ask_firing(store: Store, view: View) -> Sequence[Incident]:
    return AlertRecords(store).incidents(view.project, since=_now() - timedelta(days=365), is_open=True)


def draw_firing(found: Sequence[Incident], view: View) -> Any:
    return alert_list.firing_list(found, incident_link(view.state), _now())


def ask_history(store: Store, view: View) -> Sequence[Incident]:
    return AlertRecords(store).incidents(view.project, since=view.window.start)


def draw_history(found: Sequence[Incident], view: View) -> Any:
    return alert_list.history_table(found, incident_link(view.state), _now(), view.zone) if found else None


def ask_rules(store: Store, view: View) -> Sequence[Rule]:
    return rule_editor.known_rules(store, view.project, rules_in_force(store, view.project))


def draw_rules(found: Sequence[Rule], view: View) -> Any:
    def link(name: str) -> str:
        return "/alerts" + state.to_query(links.kept(view.state).with_options(rule=name))

    return alert_list.rule_table(found, view.project, link) if found else None


def ask_silences(store: Store, view: View) -> Sequence[Silence]:
    return AlertRecords(store).silences(view.project, _now())


def draw_silences(found: Sequence[Silence], view: View) -> Any:
    return alert_list.silence_list(found, view.zone)


def ask_deliveries(store: Store, view: View) -> Sequence[Delivery]:
    return AlertRecords(store).deliveries(view.project, since=view.window.start, limit=200)


def draw_deliveries(found: Sequence[Delivery], view: View) -> Any:
    return alert_list.delivery_table(found, view.zone) if found else None


def incident_link(view: ViewState) -> alert_list.Link:
    """Return what makes the address of an incident's page."""
    return lambda incident_id: f"/incident/{incident_id}" + state.to_query(links.kept(view))


def _tile(key: str, label: str, value: int, note: str) -> Tile:
    return Tile(key, label, units.whole(value), None, "less", note, is_compared=False)


def _now() -> datetime:
    return datetime.now(UTC)


def _silence_form() -> Any:
    """The form stands apart from the list, which is drawn anew with every refresh."""
    labels = 'rule="Latency spike", service_name=search'
    fields = [
        dmc.TextInput(
            id="alert-silence-matchers",
            size="xs",
            placeholder=labels,
            className="alert-input",
            **aria(label="Labels to silence, separated by commas"),
        ),
        dmc.TextInput(
            id="alert-silence-for",
            size="xs",
            value="2h",
            className="alert-input short",
            **aria(label="For how long"),
        ),
        dmc.TextInput(
            id="alert-silence-comment",
            size="xs",
            placeholder="Why",
            className="alert-input",
            **aria(label="Comment"),
        ),
        html.Button("Silence", type="button", className="chip-button", **data(action="alert-silence")),
        html.Span(id="alert-silence-state", className="alert-state", role="status"),
    ]
    return _card(
        "Silence alerts", "labels that must all fit; how long", html.Div(fields, className="alert-form")
    )


def _card(title: str, unit: str, content: Any) -> Any:
    head = html.Header([html.H2(title), html.Span(unit, className="panel-unit")], className="panel-head")
    return html.Section([head, content], className="panel panel-wide", **aria(label=title))


_PANELS: Final = (
    Panel("alerts-tiles", "Alerts in figures", "", "", ask_summary, draw_summary, kind="tiles"),
    Panel(
        "alerts-firing",
        "Firing",
        "Alerts that fire now, whatever the time range; the worst first. A click shows what was found out.",
        "",
        ask_firing,
        draw_firing,
        kind="content",
        explore="",
        is_wide=True,
    ),
    Panel(
        "alerts-history",
        "History",
        "Alerts that fired, or still did, in the time range.",
        "",
        ask_history,
        draw_history,
        kind="content",
        explore="",
        empty="Nothing fired in this time range",
        is_wide=True,
    ),
    Panel(
        "alerts-rules",
        "Rules",
        "The rules for this project: those that come with Gnomon, those of the alerts file, and those made"
        " here. A click brings one into the editor below.",
        "",
        ask_rules,
        draw_rules,
        kind="content",
        explore="",
        is_wide=True,
    ),
)
_MORE_PANELS: Final = (
    Panel(
        "alerts-silences-list",
        "Silences",
        "Messages whose labels fit are kept back. Labels are project, rule, severity and what a rule is"
        " grouped by.",
        "",
        ask_silences,
        draw_silences,
        kind="content",
        explore="",
    ),
    Panel(
        "alerts-deliveries",
        "Messages",
        "Every message that was sent, or tried to be, in the time range. Addresses are not kept: they"
        " hold secrets.",
        "",
        ask_deliveries,
        draw_deliveries,
        kind="content",
        explore="",
        empty="No message in this time range: channels stand in the alerts file",
        empty_code='[[channel]]\nname = "ops"\nurl = "slack://…"',
    ),
)
PANELS: Final = (*_PANELS, *_MORE_PANELS)


def _rule_card(content: Any) -> Any:
    return _card("Rule editor", "tried on the last 30 days", content)


def layout(_path: str, view: ViewState) -> Any:
    """Return the page; its content comes by callbacks."""
    return [
        html.H1("Alerts", className="visually-hidden"),
        panel.grid(_PANELS),
        html.Div(
            [rule_editor.layout(_rule_card, view), _silence_form()],
            className="panels alert-editor-row",
        ),
        panel.grid(_MORE_PANELS),
    ]


def register(app: Dash, context: Context) -> None:
    """Add the page's callbacks."""
    panel.register(app, context, PANELS)
    rule_editor.register(app, context, rules_in_force, _rule_card)


PAGE: Final = Entry("/alerts", "Alerts", "Monitor", "bell", layout, register, letter="a", panels=PANELS)
