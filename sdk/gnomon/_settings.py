"""Every setting of the SDK in one table, and the one pure function that resolves them.

Order: argument of `gnomon.init`, then ``GNOMON_*``, then the standard ``OTEL_*``, then the default.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

CaptureContent = Literal["all", "redacted", "none"]
Compression = Literal["gzip", "none"]
TRACES_PATH: Final = "/v1/traces"
FEEDBACK_PATH: Final = "/v1/feedback"
AUTO: Final = "auto"


@dataclass(frozen=True, slots=True)
class Source:
    """One environment variable a setting may come from.

    ``key`` picks one entry of a ``key=value,…`` list; ``inverted`` negates a boolean.
    """

    variable: str
    key: str = ""
    inverted: bool = False

    def read(self, environ: Mapping[str, str]) -> str | None:
        """Return the text found, or None when it is absent or blank."""
        text = environ.get(self.variable, "").strip()
        if self.key:
            text = parse_pairs(text).get(self.key, "")
        return (str(not parse_bool(text)) if self.inverted else text) if text else None


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
        return self.endpoint + FEEDBACK_PATH


def parse_pairs(text: str) -> dict[str, str]:
    """Parse ``a=1,b=two%20words`` as OpenTelemetry writes headers and resource attributes."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {unquote(key.strip()): unquote(value.strip()) for key, _, value in pairs}


def parse_bool(value: object) -> bool:
    """Parse a boolean; raises ValueError for anything else than true/false words."""
    word = str(value).strip().lower()
    if word in ("true", "1", "yes", "on"):
        return True
    if word in ("false", "0", "no", "off"):
        return False
    raise ValueError("must be true or false")


def _parse_text(value: object) -> str | None:
    text = str(value).strip()
    return text or None


def _as_given(value: object) -> object:
    return value


def _parse_secret(value: object) -> str | None:
    text = _parse_text(value)
    if text and not (text.isascii() and text.isprintable()):
        raise ValueError("must be printable ASCII without line breaks")
    return text


def _parse_url(value: object) -> str:
    url = str(value).strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL such as http://127.0.0.1:4318")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or password: use GNOMON_API_KEY or GNOMON_HEADERS")
    if parts.port == 0:
        raise ValueError("has port 0")
    return url


def _parse_headers(value: object) -> dict[str, str]:
    pairs = dict(value) if isinstance(value, Mapping) else parse_pairs(str(value))
    if any(_parse_secret(f"{name}={content}") is None for name, content in pairs.items()):
        raise ValueError("must be name=value pairs separated by commas")
    return {str(name): str(content) for name, content in pairs.items()}


def _parse_instrument(value: object) -> tuple[str, ...]:
    if value is False:
        return ()
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list | tuple | set | frozenset):
        raise ValueError('must be "auto", "none" or a list of library names such as openai')
    names = tuple(str(word).strip().lower() for word in words if str(word).strip())
    return () if names == ("none",) else names


def _one_of(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        word = str(value).strip().lower()
        if word not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return word

    return parse


def _at_least(minimum: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        try:
            number = int(str(value))
        except ValueError:
            raise ValueError(f"must be a whole number of at least {minimum}") from None
        if number < minimum:
            raise ValueError(f"must be at least {minimum}")
        return number

    return parse


def _parse_seconds(value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        raise ValueError("must be a number of seconds") from None
    if not 0 <= seconds < 86_400:
        raise ValueError("must be between 0 and 86400 seconds")
    return seconds


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
        _parse_text,
        "Name of the service, the first thing every chart is filtered by. "
        "Without one OpenTelemetry says `unknown_service:python`.",
    ),
    Setting(
        "environment",
        "text",
        None,
        _env("GNOMON_ENVIRONMENT") + _resource("deployment.environment.name", "deployment.environment"),
        _parse_text,
        "Deployment environment, such as `production` or `staging`.",
    ),
    Setting(
        "release",
        "text",
        None,
        _env("GNOMON_RELEASE") + _resource("service.version"),
        _parse_text,
        "Version of the service: a release number or a commit.",
    ),
    Setting(
        "endpoint",
        "URL",
        "http://127.0.0.1:4318",
        _env("GNOMON_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        _parse_url,
        "Base URL of the Gnomon collector; `/v1/traces` and `/v1/feedback` are added to it.",
    ),
    Setting(
        "api_key",
        "text",
        None,
        _env("GNOMON_API_KEY"),
        _parse_secret,
        "Key with the ingest scope (`gnomon keys create`), sent as `Authorization: Bearer`. "
        "It decides which project the data belongs to.",
    ),
    Setting(
        "headers",
        "name=value,…",
        {},
        _env("GNOMON_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"),
        _parse_headers,
        "Further request headers. Those of `OTEL_*` are sent only when the endpoint is not set for Gnomon "
        "apart, so that another vendor's key never goes to Gnomon's collector.",
    ),
    Setting(
        "capture_content",
        "all | redacted | none",
        "all",
        _env("GNOMON_CAPTURE_CONTENT"),
        _one_of("all", "redacted", "none"),
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
        _as_given,
        "What to mask in every text before it leaves the process: see [masking](masking.md). From the "
        "environment: classes and options such as `email,phone,pseudonyms`, or `all`.",
    ),
    Setting(
        "instrument",
        "auto | none | list",
        (AUTO,),
        _env("GNOMON_INSTRUMENT"),
        _parse_instrument,
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
        _at_least(64 * 1024),
        "Memory that unsent spans may take. Beyond it new spans are dropped and counted.",
    ),
    Setting(
        "queue_spans",
        "count",
        50_000,
        _env("GNOMON_QUEUE_SPANS"),
        _at_least(1),
        "How many unsent spans are kept at most.",
    ),
    Setting(
        "max_export_bytes",
        "bytes",
        4_000_000,
        _env("GNOMON_MAX_EXPORT_BYTES"),
        _at_least(16 * 1024),
        "Size of one request before compression. Lower it when a proxy answers 413.",
    ),
    Setting(
        "max_value_chars",
        "characters",
        262_144,
        _env("GNOMON_MAX_VALUE_CHARS"),
        _at_least(256),
        "How much of one captured argument list or result is kept.",
    ),
    Setting(
        "export_interval_s",
        "seconds",
        0.5,
        _env("GNOMON_EXPORT_INTERVAL_S"),
        _parse_seconds,
        "How long finished spans wait for company before they are sent.",
    ),
    Setting(
        "request_timeout_s",
        "seconds",
        10.0,
        _env("GNOMON_REQUEST_TIMEOUT_S"),
        _parse_seconds,
        "How long one request may wait for the collector. It runs in the background.",
    ),
    Setting(
        "exit_timeout_s",
        "seconds",
        2.0,
        _env("GNOMON_EXIT_TIMEOUT_S"),
        _parse_seconds,
        "How long the end of the process may be delayed to send what is left.",
    ),
    Setting(
        "compression",
        "gzip | none",
        "gzip",
        _env("GNOMON_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"),
        _one_of("gzip", "none"),
        "Compression of request bodies.",
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
        _parse_text,
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
    if _is_others_header(found):
        values["headers"] = {}
    problems = [item.problem for item in found.values() if item.problem]
    given = frozenset(name for name, item in found.items() if item.variable and "OTEL_" not in item.variable)
    return Settings(**values, given=given), problems + _protocol_problems(found["endpoint"].variable, environ)


def _split_traces_path(endpoint: _Found) -> tuple[str, str]:
    url: str = endpoint.value
    if url.endswith(TRACES_PATH):
        return url.removesuffix(TRACES_PATH), TRACES_PATH
    if endpoint.variable == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":
        # OpenTelemetry's rule: the signal's own variable is used as it is, nothing is added.
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}", parts.path or "/"
    return url, TRACES_PATH


def _is_others_header(found: Mapping[str, _Found]) -> bool:
    endpoint, headers = found["endpoint"].variable, found["headers"].variable
    return headers.startswith("OTEL_") and bool(endpoint) and not endpoint.startswith("OTEL_")


def _protocol_problems(endpoint_variable: str, environ: Mapping[str, str]) -> list[str]:
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol == "grpc" and endpoint_variable.startswith("OTEL_"):
        return [
            f"{endpoint_variable} is meant for gRPC (OTEL_EXPORTER_OTLP_PROTOCOL=grpc), Gnomon sends OTLP "
            "over HTTP: set GNOMON_ENDPOINT to the collector's HTTP address"
        ]
    return []
