"""Which messages are due: grouping, waiting, repeating, silences, mute times, inhibition. Pure.

What is due follows from the incidents and from what was sent already. Nothing else is remembered, so a
process that takes over, or comes back, plans the same messages with the same ids, and finds those sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gnomon_collector.alerts.config import DAYS, Channel, Mute, Notify, split_matcher
from gnomon_collector.alerts.model import SEVERITIES
from gnomon_collector.store.alerts import Delivery, DeliveryKind, Incident, Silence, short_hash


@dataclass(frozen=True)
class Message:
    """A message that is due.

    Attributes:
        delivery_id: made of what it says, so the same message has the same id
        told: what the message tells, an entry per incident: ``firing:ID`` or ``resolved:ID``
    """

    delivery_id: str
    channel: Channel
    group_key: str
    group_labels: Mapping[str, str]
    kind: DeliveryKind
    firing: tuple[Incident, ...]
    resolved: tuple[Incident, ...]

    @property
    def told(self) -> tuple[str, ...]:
        return tuple(
            [f"firing:{one.incident_id}" for one in self.firing]
            + [f"resolved:{one.incident_id}" for one in self.resolved]
        )

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """All of them, those that fire first, and of these the worst."""
        return (*sorted(self.firing, key=_rank), *sorted(self.resolved, key=_rank))


def _rank(incident: Incident) -> int:
    """Place of its severity, the worst first."""
    return SEVERITIES.index(incident.severity) if incident.severity in SEVERITIES else len(SEVERITIES)


@dataclass(frozen=True)
class Quiet:
    """What keeps messages back.

    Attributes:
        inhibits: (project, rule) → names of the rules that it keeps back
    """

    silences: Sequence[Silence] = ()
    mutes: Sequence[Mute] = ()
    inhibits: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)


def labels_of(incident: Incident) -> dict[str, str]:
    """Return all that matchers and groups can see of an incident."""
    return {
        **incident.labels,
        "project": incident.project,
        "rule": incident.rule,
        "alertname": incident.rule,
        "severity": incident.severity,
        "metric": incident.metric,
    }


def matches(matchers: Iterable[str], labels: Mapping[str, str]) -> bool:
    """Return whether labels fit all matchers. A label that is not there is empty, as in Alertmanager."""
    return all(_matches(*split_matcher(one), labels) for one in matchers)


def kept_back(incident: Incident, all_open: Sequence[Incident], quiet: Quiet, now: datetime) -> str:
    """Return why an incident is not told of now, "" when it is."""
    labels = labels_of(incident)
    for silence in quiet.silences:
        is_on = silence.project == incident.project and silence.starts_at <= now < silence.ends_at
        if is_on and matches(silence.matchers, labels):
            return f"silenced until {silence.ends_at:%Y-%m-%d %H:%M} UTC by {silence.author or 'somebody'}"
    for mute in quiet.mutes:
        if is_muted(mute, now) and matches(mute.matchers, labels):
            return f"muted by {mute.name}"
    for other in all_open:
        if incident.rule in quiet.inhibits.get((other.project, other.rule), ()) and _overlap(incident, other):
            return f"inhibited by {other.rule}"
    return ""


def is_muted(mute: Mute, now: datetime) -> bool:
    """Return whether a mute time is on."""
    local = now.astimezone(ZoneInfo(mute.zone))
    minute, start, end = local.hour * 60 + local.minute, _minute(mute.start), _minute(mute.end)
    today, yesterday = DAYS[local.weekday()], DAYS[(local.weekday() - 1) % 7]
    if start <= end:
        return today in mute.days and start <= minute < end
    return (today in mute.days and minute >= start) or (yesterday in mute.days and minute < end)


def due_messages(
    incidents: Sequence[Incident],
    sent: Sequence[Delivery],
    channels: Sequence[Channel],
    notify: Notify,
    quiet: Quiet,
    now: datetime,
) -> list[Message]:
    """Return the messages that should be sent now.

    Args:
        incidents: those that last, and those that ended lately
        sent: messages made before, sent or not: what they tell need not be told again
    """
    lasting = [one for one in incidents if one.resolved_at is None]
    told_of = [one for one in incidents if one.resolved_at or not kept_back(one, lasting, quiet, now)]
    messages = []
    for channel in channels:
        for group_labels, members in _groups(channel, told_of, notify):
            key = short_hash([channel.name, sorted(group_labels.items())])
            log = [one for one in sent if one.channel == channel.name and one.group_key == key]
            message = _due(channel, key, group_labels, members, log, notify, now)
            if message is not None:
                messages.append(message)
    return messages


def _due(
    channel: Channel,
    key: str,
    group_labels: Mapping[str, str],
    members: Sequence[Incident],
    log: Sequence[Delivery],
    notify: Notify,
    now: datetime,
) -> Message | None:
    told = {entry for one in log for entry in one.incidents}
    last = max((one.created_at for one in log), default=None)
    open_now = [one for one in members if one.resolved_at is None]
    firing = [one for one in open_now if f"firing:{one.incident_id}" not in told]
    resolved = [one for one in members if channel.send_resolved and _is_news(one, told)]
    unattended = [one for one in open_now if not one.acknowledged_by]
    kind: DeliveryKind = "firing" if firing else "resolved"
    if firing or resolved:
        if not _has_waited(firing, resolved, last, notify, now):
            return None
    elif unattended and last is not None and 0 < notify.repeat_interval <= (now - last).total_seconds():
        kind, firing = "repeat", unattended
    else:
        return None
    newest = max(log, key=lambda one: one.created_at).delivery_id if log else ""
    entries = sorted(one.incident_id for one in (*firing, *resolved))
    delivery_id = short_hash([key, kind, entries, newest])
    return Message(delivery_id, channel, key, group_labels, kind, tuple(firing), tuple(resolved))


def _is_news(one: Incident, told: set[str]) -> bool:
    """Whether the end of an incident is to be told: its beginning was, and its end was not."""
    return (
        one.resolved_at is not None
        and f"firing:{one.incident_id}" in told
        and f"resolved:{one.incident_id}" not in told
    )


def _has_waited(
    firing: Sequence[Incident],
    resolved: Sequence[Incident],
    last: datetime | None,
    notify: Notify,
    now: datetime,
) -> bool:
    """Whether what belongs together had time to come together, and the last message is long enough ago."""
    first = min([one.fired_at for one in firing] + [one.resolved_at for one in resolved if one.resolved_at])
    if last is not None and (now - last).total_seconds() < notify.group_interval:
        return False
    return (now - first).total_seconds() >= notify.group_wait


def _groups(
    channel: Channel, incidents: Sequence[Incident], notify: Notify
) -> Iterable[tuple[dict[str, str], list[Incident]]]:
    groups: dict[tuple[str, ...], list[Incident]] = {}
    for one in incidents:
        labels = labels_of(one)
        if matches(channel.matchers, labels):
            groups.setdefault(tuple(labels.get(name, "") for name in notify.group_by), []).append(one)
    for values, members in groups.items():
        yield dict(zip(notify.group_by, values, strict=True)), members


def _overlap(one: Incident, other: Incident) -> bool:
    """Whether two incidents of a project can be about the same calls: no label says otherwise."""
    if one.project != other.project or one.incident_id == other.incident_id:
        return False
    return all(other.labels.get(name, value) == value for name, value in one.labels.items())


def _matches(label: str, operator: str, value: str, labels: Mapping[str, str]) -> bool:
    found = labels.get(label, "")
    if operator in ("=", "!="):
        return (found == value) == (operator == "=")
    return bool(re.fullmatch(value, found)) == (operator == "=~")


def _minute(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def retry_at(attempts: int, now: datetime) -> datetime | None:
    """Return when a message that failed `attempts` times is tried again; None: never.

    10 s, 20 s, 40 s … at most 15 minutes apart, for about a day.
    """
    if attempts >= _MOST_ATTEMPTS:
        return None
    return now + timedelta(seconds=min(900.0, 10.0 * 2 ** (attempts - 1)))


_MOST_ATTEMPTS = 100
