"""Every setting of the SDK in one table, and the one pure function that resolves them.

Order: argument of `gnomon.init`, then ``GNOMON_*``, then the standard ``OTEL_*``, then the default.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from gnomon._settings_parse import (
    Source,
    as_given,
    at_least,
    one_of,
    parse_bool,
    parse_headers,
    parse_instrument,
    parse_protocol,
    parse_seconds,
    parse_secret,
    parse_share,
    parse_text,
    parse_url,
)

CaptureContent = Literal["all", "redacted", "none"]
Compression = Literal["auto", "gzip", "none"]
Protocol = Literal["http", "grpc"]
TRACES_PATH: Final = "/v1/traces"
FEEDBACK_PATH: Final = "/v1/feedback"
GRPC_ENDPOINT: Final = "http://127.0.0.1:4317"
AUTO: Final = "auto"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: what it is called, what it takes, and where it may come from."""

    name: str
    type: str
    default: object
    sources: tuple[Source, ...]
    parse: Callable[[object], Any]
    help: str
    on_error: object = None
    """Used instead of the default when the value given is unusable (None: the default)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Resolved settings; the fields are the rows of `SETTINGS`."""

    service_name: str | None
    environment: str | None
    release: str | None
    endpoint: str
    traces_path: str
    api_key: str | None
    headers: Mapping[str, str]
    capture_content: CaptureContent
    mask: object
    sample: float
    baggage: bool
    protocol: Protocol
    feedback_endpoint: str
    instrument: tuple[str, ...]
    enabled: bool
    export_all_spans: bool
    queue_bytes: int
    queue_spans: int
    max_export_bytes: int
    max_value_chars: int
    export_interval_s: float
    request_timeout_s: float
    exit_timeout_s: float
    compression: Compression
    certificate_file: str | None
    given: frozenset[str] = frozenset()
    """Names set by an argument or a ``GNOMON_*`` variable: these win over an existing provider's resource."""

    @property
    def traces_url(self) -> str:
        """Where spans are posted."""
        return self.endpoint + self.traces_path

    @property
    def feedback_url(self) -> str:
        """Where scores are posted."""
        return self.feedback_endpoint + FEEDBACK_PATH


def _env(*names: str) -> tuple[Source, ...]:
    return tuple(Source(name) for name in names)


def _resource(*keys: str) -> tuple[Source, ...]:
    return tuple(Source("OTEL_RESOURCE_ATTRIBUTES", key) for key in keys)


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        "service_name",
        "text",
        None,
        _env("GNOMON_SERVICE_NAME", "OTEL_SERVICE_NAME") + _resource("service.name"),
        parse_text,
        "Name of the service, the first thing every chart is filtered by. "
        "Without one OpenTelemetry says `unknown_service:python`.",
    ),
    Setting(
        "environment",
        "text",
        None,
        _env("GNOMON_ENVIRONMENT") + _resource("deployment.environment.name", "deployment.environment"),
        parse_text,
        "Deployment environment, such as `production` or `staging`.",
    ),
    Setting(
        "release",
        "text",
        None,
        _env("GNOMON_RELEASE") + _resource("service.version"),
        parse_text,
        "Version of the service: a release number or a commit.",
    ),
    Setting(
        "endpoint",
        "URL",
        "http://127.0.0.1:4318",
        _env("GNOMON_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        parse_url,
        "Base URL of the Gnomon collector; `/v1/traces` and `/v1/feedback` are added to it.",
    ),
    Setting(
        "api_key",
        "text",
        None,
        _env("GNOMON_API_KEY"),
        parse_secret,
        "Key with the ingest scope (`gnomon keys create`), sent as `Authorization: Bearer`. "
        "It decides which project the data belongs to.",
    ),
    Setting(
        "headers",
        "name=value,…",
        {},
        _env("GNOMON_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"),
        parse_headers,
        "Further request headers. Those of `OTEL_*` are sent only when the endpoint is not set for Gnomon "
        "apart, so that another vendor's key never goes to Gnomon's collector.",
    ),
    Setting(
        "capture_content",
        "all | redacted | none",
        "all",
        _env("GNOMON_CAPTURE_CONTENT"),
        one_of("all", "redacted", "none"),
        "Whether prompts, answers, arguments and results are recorded as they are, recorded with personal "
        "data masked, or left out but for their figures.",
        # Someone who tried to limit what is recorded must not end up recording everything.
        on_error="none",
    ),
    Setting(
        "mask",
        "gnomon.Masking | words | function",
        None,
        _env("GNOMON_MASK"),
        as_given,
        "What to mask in every text before it leaves the process: see [masking](masking.md). From the "
        "environment: classes and options such as `email,phone,pseudonyms`, or `all`.",
    ),
    Setting(
        "sample",
        "0 to 1",
        1.0,
        _env("GNOMON_SAMPLE"),
        parse_share,
        "Share of traces that is sent, chosen by trace id: services with the same share keep the same "
        "traces. Counts and costs are those of what was sent.",
    ),
    Setting(
        "baggage",
        "true | false",
        False,
        _env("GNOMON_BAGGAGE"),
        parse_bool,
        "Hand the session (user, company, session, tags, metadata) to the services that are called, and take "
        "it over from callers, as OpenTelemetry baggage. It goes to every host that is called, third parties "
        "too.",
    ),
    Setting(
        "protocol",
        "http | grpc",
        "http",
        _env("GNOMON_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        parse_protocol,
        "How spans are sent: OTLP over HTTP (port 4318), or over gRPC (port 4317, `gnomon[grpc]`).",
    ),
    Setting(
        "feedback_endpoint",
        "URL",
        None,
        _env("GNOMON_FEEDBACK_ENDPOINT"),
        parse_url,
        "Base URL feedback is posted to over HTTP, where that is not `endpoint`. "
        "With gRPC it is port 4318 of the same host when not set.",
    ),
    Setting(
        "instrument",
        "auto | none | list",
        (AUTO,),
        _env("GNOMON_INSTRUMENT"),
        parse_instrument,
        "Which libraries to instrument: every installed GenAI instrumentor, none, or those named.",
    ),
    Setting(
        "enabled",
        "true | false",
        True,
        (Source("GNOMON_ENABLED"), Source("OTEL_SDK_DISABLED", inverted=True)),
        parse_bool,
        "false makes `gnomon.init` and everything after it do nothing.",
    ),
    Setting(
        "export_all_spans",
        "true | false",
        False,
        _env("GNOMON_EXPORT_ALL_SPANS"),
        parse_bool,
        "Send HTTP, database and other spans too, not only those of LLM work.",
    ),
    Setting(
        "queue_bytes",
        "bytes",
        32 * 1024 * 1024,
        _env("GNOMON_QUEUE_BYTES"),
        at_least(64 * 1024),
        "Memory that unsent spans may take. Beyond it new spans are dropped and counted.",
    ),
    Setting(
        "queue_spans",
        "count",
        50_000,
        _env("GNOMON_QUEUE_SPANS"),
        at_least(1),
        "How many unsent spans are kept at most.",
    ),
    Setting(
        "max_export_bytes",
        "bytes",
        4_000_000,
        _env("GNOMON_MAX_EXPORT_BYTES"),
        at_least(16 * 1024),
        "Size of one request before compression. Lower it when a proxy answers 413.",
    ),
    Setting(
        "max_value_chars",
        "characters",
        262_144,
        _env("GNOMON_MAX_VALUE_CHARS"),
        at_least(256),
        "How much of one captured argument list or result is kept.",
    ),
    Setting(
        "export_interval_s",
        "seconds",
        0.5,
        _env("GNOMON_EXPORT_INTERVAL_S"),
        parse_seconds,
        "How long finished spans wait for company; up to four times that while more keep coming.",
    ),
    Setting(
        "request_timeout_s",
        "seconds",
        10.0,
        _env("GNOMON_REQUEST_TIMEOUT_S"),
        parse_seconds,
        "How long one request may wait for the collector. It runs in the background.",
    ),
    Setting(
        "exit_timeout_s",
        "seconds",
        1.5,
        _env("GNOMON_EXIT_TIMEOUT_S"),
        parse_seconds,
        "How long the end of the process may be delayed to send what is left; Python's own end comes on top.",
    ),
    Setting(
        "compression",
        "auto | gzip | none",
        "auto",
        _env("GNOMON_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"),
        one_of("auto", "gzip", "none"),
        "Compression of request bodies; `auto` is gzip, except to a collector on the same machine.",
    ),
    Setting(
        "certificate_file",
        "path",
        None,
        _env(
            "GNOMON_CERTIFICATE_FILE",
            "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
        ),
        parse_text,
        "PEM file with the authority that signed the collector's certificate.",
    ),
)


@dataclass(frozen=True, slots=True)
class _Found:
    value: Any
    variable: str
    problem: str = ""


def _find(setting: Setting, arguments: Mapping[str, object], environ: Mapping[str, str]) -> _Found:
    given = arguments.get(setting.name)
    if given is not None:
        return _parsed(setting, given, f"gnomon.init({setting.name}=…)")
    for source in setting.sources:
        try:
            text = source.read(environ)
        except ValueError as error:
            return _unusable(setting, source.variable, error)
        if text is not None:
            return _parsed(setting, text, source.variable)
    return _Found(setting.default, "")


def _parsed(setting: Setting, value: object, variable: str) -> _Found:
    try:
        return _Found(setting.parse(value), variable)
    except (ValueError, TypeError) as error:
        return _unusable(setting, variable, error)


def _unusable(setting: Setting, variable: str, error: Exception) -> _Found:
    fallback = setting.default if setting.on_error is None else setting.on_error
    # The value itself is left out: it may be a key.
    return _Found(fallback, "", f"{variable} {error}; {fallback!r} is used instead")


def resolve(arguments: Mapping[str, object], environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Resolve every setting.

    Args:
        arguments: what was passed to `gnomon.init`; None means "not given".
        environ: the environment variables.

    Returns:
        The settings, and one sentence per value that could not be used (its fallback was taken).
    """
    found = {setting.name: _find(setting, arguments, environ) for setting in SETTINGS}
    values = {name: item.value for name, item in found.items()}
    values["endpoint"], values["traces_path"] = _split_traces_path(found["endpoint"])
    if _is_others(found, "headers"):
        values["headers"] = {}
    if _is_others(found, "protocol"):
        values["protocol"] = "http"
    if values["protocol"] == "grpc" and not found["endpoint"].variable:
        values["endpoint"] = GRPC_ENDPOINT
    values["feedback_endpoint"] = values["feedback_endpoint"] or _feedback_endpoint(values)
    problems = [item.problem for item in found.values() if item.problem]
    given = frozenset(name for name, item in found.items() if item.variable and "OTEL_" not in item.variable)
    return Settings(**values, given=given), problems


def _feedback_endpoint(values: Mapping[str, Any]) -> str:
    endpoint: str = values["endpoint"]
    if values["protocol"] == "http":
        return endpoint
    parts = urlsplit(endpoint)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:4318"


def _split_traces_path(endpoint: _Found) -> tuple[str, str]:
    url: str = endpoint.value
    if url.endswith(TRACES_PATH):
        return url.removesuffix(TRACES_PATH), TRACES_PATH
    if endpoint.variable == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":
        # OpenTelemetry's rule: the signal's own variable is used as it is, nothing is added.
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}", parts.path or "/"
    return url, TRACES_PATH


def _is_others(found: Mapping[str, _Found], name: str) -> bool:
    """Whether a setting is from ``OTEL_*`` while the endpoint was set for Gnomon apart: it is for others."""
    endpoint, other = found["endpoint"].variable, found[name].variable
    return other.startswith("OTEL_") and bool(endpoint) and not endpoint.startswith("OTEL_")
