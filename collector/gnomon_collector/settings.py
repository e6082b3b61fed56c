"""All settings, in one table: name, type, default, help.

A value is looked up in this order: flags, ``GNOMON_*`` environment variables, the TOML file, the default.
The TOML file is the one that ``GNOMON_CONFIG`` names, else ``gnomon.toml`` in the current directory if there
is one. Its keys are the names of the fields below.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ByteSize, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gnomon_collector.errors import ConfigError

ENV_PREFIX = "GNOMON_"
CONFIG_FILE_VARIABLE = "GNOMON_CONFIG"
DEFAULT_CONFIG_FILE = "gnomon.toml"

Port = Annotated[int, Field(ge=0, le=65_535)]


class Settings(BaseSettings):
    """The settings of one process. Make one with `load_settings`.

    Ports may be 0: the system then picks a free one, which the running server writes to ``server.json``.
    Sizes take bytes or a unit (``"16MiB"``).
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, validate_default=True
    )

    data: Path = Field(
        Path("gnomon-data"), description="Directory of everything Gnomon keeps: database files, inbox, keys."
    )
    store: str = Field(
        "",
        repr=False,  # it may hold a password
        description="Where spans are kept: chdb:///abs/dir (embedded; empty means DATA/chdb) or"
        " clickhouse://user:password@host:8123/database (clickhouses:// for TLS).",
    )
    cluster: str = Field(
        "", description="Name of the ClickHouse cluster to create tables on; empty for a single server."
    )
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all interfaces.")
    otlp_http_port: Port = Field(4318, description="Port for OTLP over HTTP and the REST API.")
    otlp_grpc_port: Port = Field(4317, description="Port for OTLP over gRPC.")
    ui_port: Port = Field(8050, description="Port of the dashboard.")
    public_url: str = Field(
        "",
        description="Address at which people reach the dashboard, for links in messages"
        " (https://gnomon.example.com); empty means the address it listens on.",
    )
    auth: Literal["on", "off"] = Field(
        "on",
        description="off lets everybody on this machine in without key or login; only with a loopback host.",
    )
    secure_cookies: bool = Field(
        False, description="Send the login cookie over TLS only; for a dashboard behind a TLS proxy."
    )
    oidc_issuer: str = Field(
        "",
        description="Identity provider that people may log in to the dashboard with"
        " (https://accounts.google.com); empty: passwords alone.",
    )
    oidc_client_id: str = Field("", description="What the provider knows Gnomon by.")
    oidc_client_secret: str = Field(
        "", repr=False, description="Secret of that client; empty for a public one."
    )
    oidc_scopes: str = Field("openid email profile", description="What the provider is asked for.")
    oidc_label: str = Field("single sign-on", description="What the login page calls the provider.")
    oidc_username_claim: str = Field("email", description="The claim that people are named by.")
    oidc_email_domains: str = Field(
        "",
        description="Only verified addresses of these domains come in, separated by commas; empty for all.",
    )
    oidc_role_claim: str = Field(
        "", description="Claim with groups or roles; dots lead inside (realm_access.roles)."
    )
    oidc_roles: str = Field(
        "",
        description="What these are worth here: VALUE=ROLE or VALUE=ROLE@PROJECT, separated by commas"
        " (ops=admin,shop-team=editor@shop); empty: roles are given in Gnomon.",
    )
    oidc_default_role: Literal["none", "viewer", "editor", "admin"] = Field(
        "none", description="Role on all projects of who has no other at the first login."
    )
    feedback_origins: str = Field(
        "",
        description="Web pages that may send feedback with a publishable key, separated by commas"
        " (https://shop.example.com); * for all, empty for none.",
    )
    feedback_per_minute: int = Field(
        60,
        ge=1,
        description="How many scores one address may send in a minute with a publishable key; more is refused"
        " with 429.",
    )
    max_request_bytes: ByteSize = Field(
        ByteSize(16 * 1024**2), ge=1024, description="Largest accepted request, after decompression."
    )
    max_request_spans: int = Field(
        100_000, ge=1, description="Most spans, log records or data points in one request."
    )
    inbox_max_bytes: ByteSize = Field(
        ByteSize(2 * 1024**3),
        ge=1024**2,
        description="Most bytes acknowledged but not yet in the database; beyond it clients get 503.",
    )
    judge_base_url: str = Field(
        "",
        description="Endpoint of the LLM judge that speaks OpenAI's chat completions"
        " (https://api.openai.com/v1); empty: nothing is judged.",
    )
    judge_api_key: str = Field("", repr=False, description="Key for the judge's endpoint.")
    judge_model: str = Field("", description="Model that judges (gpt-4.1-mini).")
    judge_policy: str = Field(
        "",
        description="TOML file that says what is judged, how often and for how much a day; empty means"
        " DATA/judge.toml, and without that file two answers in a hundred.",
    )
    judge_concurrency: int = Field(32, ge=1, le=512, description="Calls of the judge at the same time.")
    judge_timeout_s: float = Field(60.0, gt=0, le=600, description="Longest wait for a verdict, in seconds.")
    judge_answer_tokens: int = Field(
        800,
        ge=100,
        le=100_000,
        description="Most tokens of a verdict; a model that thinks before it answers needs some thousands."
        " This much is reserved of the budget for each call under way.",
    )
    judge_input_usd_per_million: float | None = Field(
        None,
        ge=0,
        description="Price of the judge's input tokens, for a model that the price list does not have; empty:"
        " from the list.",
    )
    judge_output_usd_per_million: float | None = Field(
        None, ge=0, description="Price of the judge's output tokens, likewise."
    )
    drift: Literal["on", "off"] = Field(
        "on", description="off leaves the job that looks for drift out, every hour, in every project."
    )
    drift_current_hours: int = Field(
        24, ge=1, le=168, description="Hours of the window in which drift is looked for; it ends now."
    )
    drift_reference_days: int = Field(
        7,
        ge=1,
        le=60,
        description="Days before that window which it is compared with, unless a project has a pinned"
        " reference (gnomon drift pin).",
    )
    alerts_file: str = Field(
        "",
        description="TOML file of alert rules, channels, budgets and objectives; empty means DATA/alerts.toml"
        " if it is there.",
    )
    alert_default_rules: bool = Field(
        True, description="Whether the alert rules that come with Gnomon are on."
    )
    alert_step_s: int = Field(
        60, ge=1, le=3600, description="Seconds between two evaluations of the alert rules."
    )
    alert_allowance_s: float = Field(
        10.0,
        ge=0,
        le=3600,
        description="Alert rules look at data that is at least so many seconds old: calls arrive late.",
    )
    alert_allow_private: bool = Field(
        False, description="Alert messages may go to private, link-local and loopback addresses."
    )
    alert_allow_http: bool = Field(
        False, description="Alert messages may go over connections that are not encrypted."
    )
    allow_when_unknown: Literal["open", "closed"] = Field(
        "open",
        description="What GET /v1/allow answers while budgets cannot be read: open lets calls through, closed"
        " does not.",
    )
    price_file: Path | None = Field(
        None,
        description="TOML file with prices of your own models and negotiated ones, which go before the price"
        " list; empty: the list alone.",
    )
    currency: str = Field(
        "USD",
        pattern=r"^[A-Z]{3}$",
        description="Currency in which amounts are shown, three letters, such as EUR; kept they are always in"
        " USD.",
    )
    currency_per_usd: float = Field(
        1.0, gt=0, description="How many units of `currency` one US dollar is: a fixed rate of your own."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much the server writes to its log."
    )

    @field_validator("data", "price_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        # at once: the server works in its data directory later
        return None if value is None else value.expanduser().absolute()

    @property
    def data_dir(self) -> Path:
        """The data directory, absolute. It need not exist yet."""
        return self.data

    @property
    def store_url(self) -> str:
        """The store's URL: `store` when it is set, else the embedded engine in the data directory."""
        return self.store or f"chdb://{self.data / 'chdb'}"

    @property
    def is_embedded(self) -> bool:
        """Whether the database runs inside this process."""
        return self.store_url.startswith("chdb:")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings)


def load_settings(**overrides: object) -> Settings:
    """Return the settings of this process.

    Args:
        overrides: values of flags by field name; None means "flag not given". ``data_dir`` is another name
            for ``data``.

    Raises:
        ConfigError: a value is wrong, or the settings file cannot be read or has unknown keys.
    """
    flags = {_field_name(name): value for name, value in overrides.items() if value is not None}
    path = _config_file()
    values = {**_without_set_variables(_read_toml(path)), **flags} if path else flags
    try:
        return Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError(_explain(error.errors(), flags, path)) from None


def environment_variable(field: str) -> str:
    """Return the name of the environment variable that sets `field`."""
    return ENV_PREFIX + field.upper()


def _field_name(name: str) -> str:
    return "data" if name == "data_dir" else name


def _config_file() -> Path | None:
    named = os.environ.get(CONFIG_FILE_VARIABLE, "")
    path = Path(named or DEFAULT_CONFIG_FILE)
    if not named and not path.is_file():
        return None
    return path


def _read_toml(path: Path) -> dict[str, object]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the settings file {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The settings file {path} is not valid TOML: {error}.") from None
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        raise ConfigError(
            f"The settings file {path} has unknown settings: {', '.join(unknown)}."
            f" Known are: {', '.join(Settings.model_fields)}."
        )
    return values


def _without_set_variables(values: dict[str, object]) -> dict[str, object]:
    """Leave out what the environment sets: it goes before the file."""
    return {name: value for name, value in values.items() if not os.environ.get(environment_variable(name))}


def _explain(errors: list[ErrorDetails], flags: Mapping[str, object], path: Path | None) -> str:
    return " ".join(_explain_one(error, flags, path) for error in errors)


def _explain_one(error: ErrorDetails, flags: Mapping[str, object], path: Path | None) -> str:
    field = str(error["loc"][0]) if error["loc"] else ""
    if field not in Settings.model_fields:
        return f"There is no setting {field!r}."
    return f"{_origin(field, flags, path)}: {error['msg']}. {Settings.model_fields[field].description}"


def _origin(field: str, flags: Mapping[str, object], path: Path | None) -> str:
    if field in flags:
        return f"--{field.replace('_', '-')} is wrong"
    if os.environ.get(environment_variable(field)):
        return f"{environment_variable(field)} is wrong"
    return f"{field} in {path} is wrong"
