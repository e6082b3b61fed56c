"""What a message says: what, where, since when, against what is normal, three traces, what changed. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from gnomon_collector.alerts.grouping import Message, labels_of
from gnomon_collector.alerts.wording import (
    headline,
    incident_link,
    lasting,
    moment,
    shown,
    trace_link,
    unit_of,
)
from gnomon_collector.store.alerts import Incident

_MOST_SHOWN = 5


def title(message: Message) -> str:
    """Return the subject of a message, in one line."""
    first = message.incidents[0]
    word = {"firing": first.severity.upper(), "repeat": f"STILL {first.severity.upper()}"}.get(
        message.kind, "RESOLVED" if message.kind == "resolved" else message.kind.upper()
    )
    rest = len(message.incidents) - 1
    text = f"{first.rule}: it is over" if message.kind == "resolved" else headline(first)
    return f"[{word}] {first.project}: {text}{f' and {rest} more' if rest else ''}".replace("\n", " ")


def text(message: Message, base_url: str, now: datetime) -> str:
    """Return a message as plain text."""
    blocks = [_block(one, base_url, now) for one in message.incidents[:_MOST_SHOWN]]
    hidden = len(message.incidents) - _MOST_SHOWN
    if hidden > 0:
        blocks.append(f"and {hidden} more: {base_url}/alerts")
    return "\n\n".join(blocks)


def html(message: Message, base_url: str, now: datetime) -> str:
    """Return a message as HTML. Whatever came from outside is escaped."""
    parts = [_html_block(one, base_url, now) for one in message.incidents[:_MOST_SHOWN]]
    hidden = len(message.incidents) - _MOST_SHOWN
    if hidden > 0:
        parts.append(f'<p>and <a href="{escape(base_url)}/alerts">{hidden} more</a></p>')
    return "".join(parts)


def alertmanager_payload(message: Message, base_url: str) -> dict[str, Any]:
    """Return a message in the format of Alertmanager's webhook, version 4.

    https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    """
    alerts = [_alert(one, base_url) for one in message.incidents]
    return {
        "version": "4",
        "groupKey": message.group_key,
        "truncatedAlerts": 0,
        "status": "firing" if message.firing else "resolved",
        "receiver": message.channel.name,
        "groupLabels": dict(message.group_labels),
        "commonLabels": _common([one["labels"] for one in alerts]),
        "commonAnnotations": _common([one["annotations"] for one in alerts]),
        "externalURL": base_url,
        "alerts": alerts,
    }


def evidence_of(incident: Incident) -> dict[str, Any]:
    """Return the evidence of an incident; empty when it was lost."""
    try:
        found = json.loads(incident.evidence)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def facts(incident: Incident, now: datetime) -> list[str]:
    """Return what there is to say about an incident, line by line, but for the links."""
    evidence, unit = evidence_of(incident), unit_of(incident)
    since = f"since {moment(incident.fired_at)}"
    lines = [incident.summary] if incident.summary else []
    if incident.resolved_at is not None:
        lines.append(
            f"It lasted {lasting(incident, now)}, {since}; at its worst {shown(incident.peak, unit)}."
        )
    else:
        lines.append(f"Firing for {lasting(incident, now)}, {since}.")
    lines += [_cause(one) for one in evidence.get("causes", [])[:3]]
    changes = evidence.get("changes", [])
    if changes:
        lines.append(f"Changed near then: {'; '.join(changes)}.")
    return lines


def example_lines(incident: Incident, base_url: str) -> list[tuple[str, str]]:
    """Return (text, address) of the typical traces."""
    return [
        (_example(one), trace_link(base_url, incident.project, one["trace_id"], one["span_id"]))
        for one in evidence_of(incident).get("examples", [])[:3]
    ]


def _block(incident: Incident, base_url: str, now: datetime) -> str:
    lines = [headline(incident), *facts(incident, now)]
    if incident.resolved_at is None:
        lines += [f"Trace: {address}  ({label})" for label, address in example_lines(incident, base_url)]
    if incident.runbook:
        lines.append(f"Runbook: {incident.runbook}")
    lines.append(f"More: {incident_link(base_url, incident)}")
    return "\n".join(lines)


def _html_block(incident: Incident, base_url: str, now: datetime) -> str:
    items = "".join(f"<p>{escape(line)}</p>" for line in facts(incident, now))
    traces = ""
    if incident.resolved_at is None:
        traces = "".join(
            f'<li><a href="{escape(address)}">{escape(label)}</a></li>'
            for label, address in example_lines(incident, base_url)
        )
    runbook = f'<p><a href="{escape(incident.runbook)}">Runbook</a></p>' if incident.runbook else ""
    more = f'<p><a href="{escape(incident_link(base_url, incident))}">Open the incident</a></p>'
    examples = f"<p>Typical calls:</p><ul>{traces}</ul>" if traces else ""
    return f"<h3>{escape(headline(incident))}</h3>{items}{examples}{runbook}{more}"


def _cause(cause: Mapping[str, Any]) -> str:
    name = str(cause["dimension"]).removesuffix("_name").removesuffix("_id").replace("_", " ")
    return f"{min(1.0, cause['power']) * 100:.0f} % of it is explained by {name} {cause['value']}."


def _example(one: Mapping[str, Any]) -> str:
    parts = [str(one["model"]), shown(one["duration_ms"], "ms")]
    if one.get("error_type"):
        parts.append(str(one["error_type"]))
    if one.get("cost_usd"):
        parts.append(shown(one["cost_usd"], "usd"))
    return ", ".join(parts)


def _alert(incident: Incident, base_url: str) -> dict[str, Any]:
    annotations = {
        "summary": headline(incident),
        "description": incident.summary,
        "runbook_url": incident.runbook,
    }
    traces = {
        f"trace_{place}": address for place, (_, address) in enumerate(example_lines(incident, base_url), 1)
    }
    ended = incident.resolved_at.isoformat() if incident.resolved_at else "0001-01-01T00:00:00Z"
    return {
        "status": "resolved" if incident.resolved_at else "firing",
        "labels": labels_of(incident),
        "annotations": {name: one for name, one in (annotations | traces).items() if one},
        "startsAt": incident.fired_at.isoformat(),
        "endsAt": ended,
        "generatorURL": incident_link(base_url, incident),
        "fingerprint": incident.fingerprint,
    }


def _common(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = maps
    return {name: one for name, one in first.items() if all(other.get(name) == one for other in others)}
