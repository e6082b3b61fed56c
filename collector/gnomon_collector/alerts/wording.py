"""Alerts in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from gnomon_collector.store.alerts import Incident
from gnomon_schemas.metrics import Unit, metric

UNKNOWN = "–"


def shown(value: float | None, unit: Unit) -> str:
    """Return a value in its unit, as people read it."""
    if value is None:
        return UNKNOWN
    if unit == "ratio":
        return f"{value * 100:.1f} %"
    if unit in ("ms", "s"):
        return _duration(value / (1000 if unit == "ms" else 1))
    if unit == "usd":
        return f"${value:,.2f}" if abs(value) >= 1 else f"${value:.4f}"
    if unit in ("score", "effect"):
        return f"{value:.3f}"
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:,.2f}"


def _duration(seconds: float) -> str:
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 120:
        return f"{seconds:.2f} s"
    return f"{seconds / 60:.1f} min" if abs(seconds) < 7200 else f"{seconds / 3600:.1f} h"


def unit_of(incident: Incident) -> Unit:
    """Return the unit of what an incident is about."""
    try:
        return metric(incident.metric).unit
    except ValueError:
        return "count"


def where(labels: Mapping[str, str]) -> str:
    """Return a label set as people read it: the values, each with its name where that helps."""
    parts = [
        value if name == "service_name" else f"{spoken(name)} {value}"
        for name, value in labels.items()
        if value
    ]
    return ", ".join(parts)


def spoken(dimension: str) -> str:
    """Return the name of a dimension as people say it."""
    return dimension.removesuffix("_name").removesuffix("_id").replace("_", " ")


def headline(incident: Incident) -> str:
    """Return what is wrong in one line: rule, place, value against normal."""
    place = where(incident.labels)
    return f"{incident.rule}{f' ({place})' if place else ''}: {comparison(incident)}"


def comparison(incident: Incident) -> str:
    """Return the value against what is normal, or against its limit."""
    unit = unit_of(incident)
    if not incident.metric:
        return "it fired, but what was seen then is lost"
    if incident.metric == "requests" and not incident.value and incident.normal:
        return f"no calls, {incident.normal:.0f} are normal"
    title = metric(incident.metric).title
    text = f"{title} {shown(incident.value, unit)}"
    if incident.normal is not None:
        return f"{text}, {shown(incident.normal, unit)} is normal"
    return (
        f"{text}, the limit is {shown(incident.threshold, unit)}" if incident.threshold is not None else text
    )


def lasting(incident: Incident, now: datetime) -> str:
    """Return how long an incident has lasted, or lasted."""
    return span((incident.resolved_at or now) - incident.fired_at)


def span(length: timedelta) -> str:
    """Return a length of time in its two largest units."""
    minutes = max(0, round(length.total_seconds() / 60))
    if minutes < 1:
        return f"{max(0, round(length.total_seconds()))} s"
    days, hours = minutes // 1440, minutes % 1440 // 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def moment(time: datetime) -> str:
    """Return a time for messages."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def incident_link(base_url: str, incident: Incident) -> str:
    """Return the address of an incident's page."""
    query = urlencode({"project": incident.project})
    return f"{base_url}/incident/{quote(incident.incident_id, safe='')}?{query}"


def trace_link(base_url: str, project: str, trace_id: str, span_id: str) -> str:
    """Return the address of a call in the dashboard."""
    return f"{base_url}/trace/{quote(trace_id, safe='')}?{urlencode({'project': project, 'span': span_id})}"
