"""The alerts file: rules, channels, how messages are grouped, mute times, budgets and objectives; in TOML."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from gnomon_collector.alerts.model import Duration, Name, Rule, explain_validation
from gnomon_collector.alerts.target_guard import WEBHOOK_PREFIX
from gnomon_collector.errors import ConfigError

DEFAULT_FILE = "alerts.toml"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MATCHER = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")

Matcher: TypeAlias = Annotated[str, Field(max_length=500)]
Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def split_matcher(text: str) -> tuple[str, str, str]:
    """Return label, operator and value of ``severity=critical``, ``model=~gpt-.*``, ``team!=search``.

    Raises:
        ValueError: it is none, or the regular expression is wrong
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no matcher: write label=value, label!=value, label=~regex or label!~regex"
        )
    label, operator, value = found.groups()
    value = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    if operator in ("=~", "!~"):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from None
    return label, operator, value


class _Matching(_Strict):
    matchers: tuple[Matcher, ...] = ()

    @field_validator("matchers")
    @classmethod
    def _readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            split_matcher(one)
        return value


class Channel(_Matching):
    """Where messages go.

    Attributes:
        url: of apprise (``slack://…``, ``mailtos://…``), or ``webhook+https://host/path`` for JSON in
            Alertmanager's format. ``${NAME}`` is taken from the environment.
        matchers: only alerts that fit all of these
    """

    name: Name
    url: SecretStr
    send_resolved: bool = True


class Heartbeat(_Strict):
    """Where a sign of life goes while alerts are evaluated.

    Attributes:
        url: ``webhook+https://host/path`` of a service that wakes people when it no longer comes; ``${NAME}``
            is taken from the environment
        every: seconds between two
    """

    url: SecretStr
    every: Annotated[Duration, Field(ge=10)] = 60.0

    @field_validator("url")
    @classmethod
    def _webhook(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(WEBHOOK_PREFIX):
            raise ValueError("the address of a heartbeat is webhook+https://host/path")
        return value


class Notify(_Strict):
    """How alerts become messages; the words are Alertmanager's.

    Attributes:
        group_by: alerts that agree in these labels share a message
        group_wait: seconds before the first message of a group, so that what belongs together comes together
        group_interval: seconds between two messages of a group
        repeat_interval: seconds after which a message is repeated while alerts fire; 0 for never
    """

    group_by: tuple[str, ...] = ("project", "rule")
    group_wait: Duration = 30.0
    group_interval: Duration = 300.0
    repeat_interval: Duration = 14_400.0


class Mute(_Matching):
    """Hours in which no messages are sent; what still fires afterwards is told then.

    Attributes:
        start, end: ``HH:MM`` in `zone`; an end before the start is on the next day
    """

    name: Name
    days: tuple[Day, ...] = DAYS
    start: str = "00:00"
    end: str = "24:00"
    zone: str = "UTC"

    @field_validator("start", "end")
    @classmethod
    def _clock(cls, value: str) -> str:
        if not _CLOCK.fullmatch(value):
            raise ValueError(f"{value!r} is no time of day: write HH:MM")
        return value

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {value!r}: write for example Europe/Berlin") from None
        return value


class Budget(_Strict):
    """A limit over a rolling window.

    Attributes:
        per: what has a budget each: every user, company, project, model, service or prompt
        filter: only calls with these values count
        limits: limit of a single subject where it differs, by its name
        notify_at: shares of the limit at which a notification is sent
        block: whether `allow` answers no above the limit
    """

    name: Name
    project: Annotated[str, Field(min_length=1, max_length=100)] = "*"
    per: Literal["project", "user", "company", "model", "service", "prompt"] = "project"
    measure: Literal["cost_usd", "total_tokens", "requests"] = "cost_usd"
    limit: float = Field(ge=0)
    window: Duration = 86_400.0
    filter: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    limits: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    notify_at: tuple[Annotated[float, Field(gt=0, le=10)], ...] = (0.8, 1.0)
    block: bool = True
    enabled: bool = True


class Slo(_Strict):
    """A service level objective: a share of good calls over a rolling window.

    Attributes:
        objective: such as 0.995
        latency_ms: a call is good when it is faster than this; without it, when it does not fail
    """

    name: Name
    project: Annotated[str, Field(min_length=1, max_length=100)] = "*"
    filter: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    group_by: tuple[str, ...] = ("service_name",)
    objective: float = Field(gt=0, lt=1)
    latency_ms: float | None = Field(None, gt=0)
    window: Duration = 30 * 86_400.0
    alert: bool = True


class AlertConfig(_Strict):
    """What an alerts file says."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    rules: tuple[Rule, ...] = Field((), alias="rule")
    channels: tuple[Channel, ...] = Field((), alias="channel")
    notify: Notify = Notify()
    heartbeat: Heartbeat | None = None
    mutes: tuple[Mute, ...] = Field((), alias="mute")
    budgets: tuple[Budget, ...] = Field((), alias="budget")
    slos: tuple[Slo, ...] = Field((), alias="slo")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind, named in (
            ("rule", self.rules),
            ("channel", self.channels),
            ("budget", self.budgets),
            ("slo", self.slos),
        ):
            names = [(getattr(one, "project", ""), one.name) for one in named]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two of [[{kind}]] have the name {twice[0][1]!r}")
        return self


def default_rules() -> tuple[Rule, ...]:
    """Return the rules that come with Gnomon."""
    text = (files("gnomon_collector.alerts") / "default_rules.toml").read_text(encoding="utf-8")
    return parse_config(text, "the default rules", {}).rules


def read_config(path: Path, environment: Mapping[str, str] = os.environ) -> AlertConfig:
    """Return what an alerts file says.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong; the message says what and where
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the alerts file {path}: {error}.") from None
    return parse_config(text, f"the alerts file {path}", environment)


def parse_config(text: str, origin: str, environment: Mapping[str, str]) -> AlertConfig:
    """Return what TOML text says.

    Args:
        origin: what the text is, for messages
        environment: values of ``${NAME}`` in the addresses of channels
    """
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin[0].upper()}{origin[1:]} is not valid TOML: {error}.") from None
    try:
        return AlertConfig.model_validate(_with_variables(said, environment))
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise ConfigError(f"In {origin}: {explain_validation(list(problems))}.") from None


def parse_rule(text: str) -> Rule:
    """Return one rule written as TOML: its keys at the top, or one [[rule]].

    Raises:
        ConfigError: it is none
    """
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The rule is not valid TOML: {error}.") from None
    if isinstance(said.get("rule"), list) and len(said["rule"]) == 1:
        said = said["rule"][0]
    try:
        return Rule.model_validate(said)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise ConfigError(f"The rule is wrong: {explain_validation(list(problems))}.") from None


def merged_rules(*layers: Sequence[Rule]) -> tuple[Rule, ...]:
    """Return the rules of several layers; a later one takes the place of an earlier one of the same name."""
    found: dict[tuple[str, str], Rule] = {}
    for layer in layers:
        for rule in layer:
            if rule.project != "*":
                _exclude(found, rule)
            found[rule.project, rule.name] = rule
    return tuple(found.values())


def _exclude(found: dict[tuple[str, str], Rule], rule: Rule) -> None:
    """A rule of one project takes the place of the one for all there; that one stays for the rest."""
    general = found.get(("*", rule.name))
    if general is not None:
        excluded = (*general.except_projects, rule.project)
        found["*", rule.name] = general.model_copy(update={"except_projects": excluded})


def _with_variables(said: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Fill ``${NAME}`` in the addresses of channels and of the heartbeat, which hold secrets."""
    filled = dict(said)
    if isinstance(said.get("channel"), list):
        filled["channel"] = [_with_address(one, environment) for one in said["channel"]]
    if "heartbeat" in said:
        filled["heartbeat"] = _with_address(said["heartbeat"], environment)
    return filled


def _with_address(one: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(one, dict) and isinstance(one.get("url"), str):
        return {**one, "url": _filled(one["url"], environment)}
    return one


def _filled(url: str, environment: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in environment:
            raise ConfigError(f"An address in the alerts file needs the environment variable {name}: set it.")
        return environment[name]

    return _VARIABLE.sub(value, url)
