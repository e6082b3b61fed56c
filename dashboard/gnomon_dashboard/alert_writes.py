"""What the pages of alerts write: rules, silences, and who looks after an incident."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from gnomon_collector.alerts.config import parse_rule, split_matcher
from gnomon_collector.alerts.model import parse_duration_s
from gnomon_collector.errors import BadRequest, ConfigError
from gnomon_collector.store import audit
from gnomon_collector.store.alerts import AlertRecords, Silence, StoredRule
from gnomon_collector.store.engine import Store
from gnomon_dashboard.context import Context
from gnomon_dashboard.rule_form import write_form
from gnomon_dashboard.writes import write

_LONGEST_SILENCE_S = 90 * 86_400


class RuleBody(BaseModel):
    """A rule as TOML."""

    model_config = ConfigDict(extra="forbid")
    project: str = Field(min_length=1, max_length=100)
    definition: str = Field(min_length=1, max_length=20_000)


class SilenceBody(BaseModel):
    """A silence to begin: matchers separated by commas, and how long."""

    model_config = ConfigDict(extra="forbid")
    project: str = Field(min_length=1, max_length=100)
    matchers: str = Field(min_length=1, max_length=2_000)
    length: str = Field("2h", max_length=20)
    comment: str = Field("", max_length=500)


class IdBody(BaseModel):
    """What to act on."""

    model_config = ConfigDict(extra="forbid")
    project: str = Field(min_length=1, max_length=100)
    id: str = Field(min_length=1, max_length=100)


def add_routes(app: FastAPI, context: Context) -> None:
    """Add the routes under ``/api/alerts``. Who only may look is refused."""
    store = context.store

    @app.post("/api/alerts/rules", include_in_schema=False)
    async def save(body: RuleBody) -> Response:
        return await write(body.project, lambda author: save_rule(store, body, author))

    @app.post("/api/alerts/rules/delete", include_in_schema=False)
    async def delete(body: RuleBody) -> Response:
        return await write(body.project, lambda author: delete_rule(store, body, author))

    @app.post("/api/alerts/rules/switch", include_in_schema=False)
    async def switch(body: RuleBody) -> Response:
        return await write(body.project, lambda author: switch_rule(store, body, author))

    @app.post("/api/alerts/silences", include_in_schema=False)
    async def silence(body: SilenceBody) -> Response:
        return await write(body.project, lambda author: begin_silence(store, body, author))

    @app.post("/api/alerts/silences/end", include_in_schema=False)
    async def unsilence(body: IdBody) -> Response:
        return await write(body.project, lambda author: end_silence(store, body, author))

    @app.post("/api/alerts/acknowledge", include_in_schema=False)
    async def acknowledge(body: IdBody) -> Response:
        return await write(body.project, lambda author: take_incident(store, body, author))


def save_rule(store: Store, body: RuleBody, author: str) -> dict[str, Any]:
    """Keep a rule for the project, in the place of one of the same name."""
    rule = _explained(lambda: parse_rule(body.definition))
    audit.record(store, author, "alert_rule.save", project=body.project, target=rule.name)
    stored = StoredRule(body.project, rule.name, body.definition, rule.enabled, False, author)
    AlertRecords(store).save_rules([stored])
    return {"message": f"Saved: {rule.name} is in force for this project within a minute."}


def switch_rule(store: Store, body: RuleBody, author: str) -> dict[str, Any]:
    """Save a rule switched off, or on again where its text says off; the answer has the new text."""
    rule = _explained(lambda: parse_rule(body.definition))
    definition = write_form(body.definition, {"enabled": not rule.enabled})
    save_rule(store, RuleBody(project=body.project, definition=definition), author)
    said = "on again" if not rule.enabled else "off for this project"
    return {"message": f"{rule.name} is {said}, within a minute.", "definition": definition}


def delete_rule(store: Store, body: RuleBody, author: str) -> dict[str, Any]:
    """Take away the rule of that name, if it was made here."""
    rule = _explained(lambda: parse_rule(body.definition))
    records = AlertRecords(store)
    stored = next((one for one in records.rules(body.project) if one.name == rule.name), None)
    if stored is None:
        raise BadRequest(
            f"{rule.name!r} was not made here. Switch it off instead: that holds for this project."
        )
    audit.record(store, author, "alert_rule.delete", project=body.project, target=rule.name)
    records.save_rules([replace(stored, is_deleted=True)])
    return {"message": f"Deleted: {rule.name}."}


def begin_silence(store: Store, body: SilenceBody, author: str) -> dict[str, Any]:
    """Keep messages back for a while."""
    matchers = tuple(one.strip() for one in body.matchers.split(",") if one.strip())
    for one in matchers:
        _explained(lambda text=one: split_matcher(text))  # type: ignore[misc]
    length_s = _explained(lambda: parse_duration_s(body.length))
    if not matchers or not 0 < length_s <= _LONGEST_SILENCE_S:
        raise BadRequest("A silence has a label at least, and lasts up to 90 days.")
    now = datetime.now(UTC)
    silence = Silence(
        token_hex(4), body.project, matchers, now, now + timedelta(seconds=length_s), author, body.comment
    )
    audit.record(store, author, "alert.silence", project=body.project, target=silence.silence_id)
    AlertRecords(store).save_silences([silence])
    return {"message": f"Silent until {silence.ends_at:%H:%M} UTC."}


def end_silence(store: Store, body: IdBody, author: str) -> dict[str, Any]:
    """End a silence now."""
    now, records = datetime.now(UTC), AlertRecords(store)
    found = next((one for one in records.silences(body.project, now) if one.silence_id == body.id), None)
    if found is None:
        raise BadRequest("This silence is over already.")
    audit.record(store, author, "alert.unsilence", project=body.project, target=body.id)
    records.save_silences([replace(found, ends_at=now)])
    return {"message": "The silence is over."}


def take_incident(store: Store, body: IdBody, author: str) -> dict[str, Any]:
    """Say that somebody looks after an incident: messages about it are not repeated."""
    records = AlertRecords(store)
    found = records.incident(body.project, body.id)
    if found is None:
        raise BadRequest("There is no such incident in this project.")
    who = author or "somebody"
    audit.record(store, who, "alert.acknowledge", project=body.project, target=body.id)
    records.save_incidents([replace(found, acknowledged_by=who, acknowledged_at=datetime.now(UTC))])
    return {"message": f"{who} looks after it."}


def _explained(parse: Callable[[], Any]) -> Any:
    try:
        return parse()
    except (ConfigError, ValueError) as error:
        raise BadRequest(str(error)) from None
