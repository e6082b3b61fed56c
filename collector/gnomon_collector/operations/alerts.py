"""Alerts as people handle them: what fires, rules, previews, silences, and trying a channel."""

from __future__ import annotations

import secrets
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gnomon_collector.alerts import heartbeat
from gnomon_collector.alerts.config import parse_rule, split_matcher
from gnomon_collector.alerts.delivery import Limits, Outbox
from gnomon_collector.alerts.grouping import Message
from gnomon_collector.alerts.job import OUTBOX
from gnomon_collector.alerts.model import Rule
from gnomon_collector.alerts.preview import as_json, preview
from gnomon_collector.alerts.rulebook import Rulebook
from gnomon_collector.alerts.slo import SloState, slo_states
from gnomon_collector.alerts.wording import comparison
from gnomon_collector.errors import BadRequest
from gnomon_collector.operations.operator import Json, Operator
from gnomon_collector.runfile import read_server_file
from gnomon_collector.settings import Settings, load_settings
from gnomon_collector.store.alerts import AlertRecords, Incident, Silence, StoredRule, short_hash
from gnomon_collector.store.budgets import budget_states

_LONGEST_SILENCE = timedelta(days=90)


def list_alerts(operator: Operator, project: str = "*", hours: float = 0, limit: int = 100) -> Json:
    """Return what fires, and with `hours` also what fired since then; newest first."""
    since = datetime.now(UTC) - timedelta(hours=hours)
    records = AlertRecords(operator.store)
    found = records.incidents(project, since=since, is_open=None if hours else True, limit=limit)
    return [_incident(one) for one in found]


def list_rules(operator: Operator, project: str = "*") -> Json:
    """Return the rules in force of a project or of all, the channels' names, and how the heartbeat fares."""
    book = _rulebook(operator)
    return {
        "rules": [
            rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            for rule in book.rules()
            if project == "*" or project in rule.projects([project])
        ],
        "channels": [one.name for one in book.config.channels],
        "heartbeat": heartbeat.outcome(operator.store) if book.config.heartbeat else None,
    }


def preview_rule(
    operator: Operator, project: str, definition: str = "", name: str = "", days: int = 30
) -> Json:
    """Return what a rule would have done: one given as TOML, or one in force by its name."""
    if not 1 <= days <= 60:
        raise BadRequest("A preview covers 1 to 60 days.")
    rule = parse_rule(definition) if definition else _rule_in_force(operator, project, name)
    return as_json(preview(operator.store, rule, project, datetime.now(UTC), days))


def save_rule(operator: Operator, project: str, definition: str) -> Json:
    """Keep a rule for a project, in the place of one of the same name."""
    rule = parse_rule(definition)
    operator.record("alert_rule.save", project=project, target=rule.name)
    stored = StoredRule(project, rule.name, definition, rule.enabled, False, operator.actor)
    AlertRecords(operator.store).save_rules([stored])
    return {"project": project, "name": rule.name}


def delete_rule(operator: Operator, project: str, name: str) -> Json:
    """Take away a rule that was kept with `save_rule`."""
    records = AlertRecords(operator.store)
    stored = next((one for one in records.rules(project) if one.name == name), None)
    if stored is None:
        raise BadRequest(f"There is no rule {name!r} of the project {project!r} that was made here.")
    operator.record("alert_rule.delete", project=project, target=name)
    records.save_rules([replace(stored, is_deleted=True)])
    return {"project": project, "name": name}


def silence_alerts(
    operator: Operator, project: str, matchers: list[str], hours: float, comment: str = ""
) -> Json:
    """Keep messages back for a while: those whose labels fit all matchers."""
    length = timedelta(hours=hours)
    if not timedelta() < length <= _LONGEST_SILENCE:
        raise BadRequest("A silence lasts more than 0 hours and at most 90 days.")
    for one in matchers:
        try:
            split_matcher(one)
        except ValueError as error:
            raise BadRequest(f"{error}.") from None
    now = datetime.now(UTC)
    silence_id = secrets.token_hex(4)
    silence = Silence(silence_id, project, tuple(matchers), now, now + length, operator.actor, comment)
    operator.record("alert.silence", project=project, target=silence_id, details={"matchers": matchers})
    AlertRecords(operator.store).save_silences([silence])
    return _silence(silence)


def list_silences(operator: Operator, project: str = "*") -> Json:
    """Return the silences that are on."""
    return [_silence(one) for one in AlertRecords(operator.store).silences(project, datetime.now(UTC))]


def end_silence(operator: Operator, silence_id: str) -> Json:
    """End a silence now."""
    now = datetime.now(UTC)
    records = AlertRecords(operator.store)
    found = next((one for one in records.silences("*", now) if one.silence_id == silence_id), None)
    if found is None:
        raise BadRequest(f"There is no silence {silence_id!r} that is on: see `gnomon alerts silences`.")
    operator.record("alert.unsilence", project=found.project, target=silence_id)
    ended = replace(found, ends_at=now)
    records.save_silences([ended])
    return _silence(ended)


def acknowledge_alert(operator: Operator, incident_id: str) -> Json:
    """Say that somebody looks after an incident: messages about it are not repeated."""
    records = AlertRecords(operator.store)
    found = records.incident_by_start(incident_id)
    if len(found) != 1:
        raise BadRequest(
            f"{'No' if not found else 'More than one'} incident has an id that begins with {incident_id!r}:"
            " see `gnomon alerts list`."
        )
    operator.record("alert.acknowledge", project=found[0].project, target=found[0].incident_id)
    taken = replace(found[0], acknowledged_by=operator.actor, acknowledged_at=datetime.now(UTC))
    records.save_incidents([taken])
    return _incident(taken)


def test_channel(operator: Operator, channel: str) -> Json:
    """Send a test message to a channel and return what came of it."""
    settings = _settings(operator)
    book = _rulebook(operator)
    found = next((one for one in book.config.channels if one.name == channel), None)
    if found is None:
        known = ", ".join(one.name for one in book.config.channels) or "none"
        raise BadRequest(f"There is no channel {channel!r} in the alerts file: it has {known}.")
    now = datetime.now(UTC)
    server = read_server_file(operator.data_dir)
    base_url = settings.public_url or (server.ui_url if server else "")
    limits = Limits(settings.alert_allow_private, settings.alert_allow_http)
    outbox = Outbox(AlertRecords(operator.store), operator.data_dir / OUTBOX, base_url, limits)
    incident = _test_incident(now)
    message = Message(
        short_hash(["test", channel, now.isoformat()]),
        found,
        "test",
        {"rule": "Test"},
        "test",
        (incident,),
        (),
    )
    operator.record("alert.test", target=channel)
    (delivery,) = outbox.send([message], now)
    return {"channel": channel, "status": delivery.status, "error": delivery.error}


def _test_incident(now: datetime) -> Incident:
    return Incident(
        incident_id="test",
        project="default",
        rule="Test",
        metric="error_rate",
        fingerprint="test",
        labels={"service_name": "test-service"},
        severity="info",
        fired_at=now,
        value=0.5,
        normal=0.01,
        summary="This is a test of the channel: nothing is wrong.",
    )


def _rule_in_force(operator: Operator, project: str, name: str) -> Rule:
    rules = _rulebook(operator).rules()
    found = next((one for one in rules if one.name == name and one.projects([project])), None)
    if found is None:
        raise BadRequest(f"There is no rule {name!r} for the project {project!r}: see `gnomon alerts rules`.")
    return found


def _rulebook(operator: Operator) -> Rulebook:
    return Rulebook(_settings(operator), AlertRecords(operator.store))


def _settings(operator: Operator) -> Settings:
    return operator.settings or load_settings(data=operator.data_dir)


def _incident(one: Incident) -> dict[str, Any]:
    said = asdict(one)
    del said["evidence"]
    return {**_plain(said), "text": comparison(one)}


def _silence(one: Silence) -> dict[str, Any]:
    return _plain(asdict(one))


def _plain(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in said.items()}


def list_budgets(operator: Operator, project: str = "*") -> Json:
    """Return who ever came near a budget, and how they stand."""
    return [_plain(asdict(one)) for one in budget_states(operator.store, project)]


def list_slos(operator: Operator, project: str) -> Json:
    """Return how each objective of a project stands, the worst first."""
    now = datetime.now(UTC)
    slos = [one for one in _rulebook(operator).config.slos if one.project in ("*", project)]
    return [_slo(state) for slo in slos for state in slo_states(operator.store, slo, project, now)]


def _slo(state: SloState) -> dict[str, Any]:
    return {
        "name": state.slo.name,
        "objective": state.slo.objective,
        "labels": state.labels,
        "total": state.total,
        "bad": state.bad,
        "good_share": state.good_share,
        "budget_left": state.budget_left,
        "hour_burn": state.hour_burn,
    }
