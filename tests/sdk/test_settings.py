"""Arguments over GNOMON_* over OTEL_* over defaults, and what happens to unusable values."""

import dataclasses
import inspect
from typing import Any

import pytest

import gnomon
from gnomon._settings import SETTINGS, Settings, resolve


def settings_of(arguments: dict[str, Any] | None = None, **environ: str) -> Settings:
    settings, problems = resolve(arguments or {}, environ)
    assert problems == []
    return settings


def problems_of(arguments: dict[str, Any] | None = None, **environ: str) -> tuple[Settings, list[str]]:
    return resolve(arguments or {}, environ)


def test_the_table_the_fields_and_the_arguments_of_init_are_the_same_names() -> None:
    names = {setting.name for setting in SETTINGS}
    fields = {field.name for field in dataclasses.fields(Settings)}
    assert fields - names == {"traces_path", "given"}
    assert names == set(inspect.signature(gnomon.init).parameters)


def test_every_setting_is_documented_and_has_its_gnomon_variable() -> None:
    for setting in SETTINGS:
        assert setting.help.endswith("."), setting.name
        if setting.sources:
            assert setting.sources[0].variable == f"GNOMON_{setting.name.upper()}"
        else:
            assert "An argument only" in setting.help, setting.name
        assert f"        {setting.name}: " in (gnomon.init.__doc__ or ""), setting.name


def test_defaults() -> None:
    settings = settings_of()
    assert settings.traces_url == "http://127.0.0.1:4318/v1/traces"
    assert settings.feedback_url == "http://127.0.0.1:4318/v1/feedback"
    assert (settings.service_name, settings.api_key, settings.capture_content) == (None, None, "all")
    assert (settings.instrument, settings.enabled, settings.exit_timeout_s) == (("auto",), True, 1.5)


@pytest.mark.parametrize(
    ("name", "argument", "ours", "standard"),
    [
        ("service_name", "by-arg", {"GNOMON_SERVICE_NAME": "ours"}, {"OTEL_SERVICE_NAME": "std"}),
        (
            "environment",
            "by-arg",
            {"GNOMON_ENVIRONMENT": "ours"},
            {"OTEL_RESOURCE_ATTRIBUTES": "a=b,deployment.environment.name=std"},
        ),
        (
            "release",
            "by-arg",
            {"GNOMON_RELEASE": "ours"},
            {"OTEL_RESOURCE_ATTRIBUTES": "service.version=std"},
        ),
    ],
)
def test_argument_over_gnomon_over_otel(
    name: str, argument: str, ours: dict[str, str], standard: dict[str, str]
) -> None:
    assert getattr(settings_of({name: argument}, **ours, **standard), name) == "by-arg"
    assert getattr(settings_of({}, **ours, **standard), name) == "ours"
    assert getattr(settings_of({}, **standard), name) == "std"


def test_endpoint_precedence() -> None:
    otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318/"}
    ours = {"GNOMON_ENDPOINT": "https://gnomon.example/base/"}
    assert settings_of({}, **otel).traces_url == "http://otel:4318/v1/traces"
    assert settings_of({}, **otel, **ours).traces_url == "https://gnomon.example/base/v1/traces"
    assert settings_of({"endpoint": "http://arg"}, **otel, **ours).traces_url == "http://arg/v1/traces"


def test_an_endpoint_that_names_the_traces_path_already() -> None:
    settings = settings_of({"endpoint": "http://c:1/v1/traces"})
    assert (settings.traces_url, settings.feedback_url) == ("http://c:1/v1/traces", "http://c:1/v1/feedback")


def test_the_traces_endpoint_of_otel_is_used_as_it_is() -> None:
    settings = settings_of({}, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://c:1/otlp/t")
    assert settings.traces_url == "http://c:1/otlp/t"


def test_headers_of_otel_go_to_the_endpoint_of_otel_only() -> None:
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20other, x-a=1"}
    assert settings_of({}, **headers).headers == {"authorization": "Bearer other", "x-a": "1"}
    assert settings_of({"endpoint": "http://gnomon"}, **headers).headers == {}
    assert settings_of({"headers": {"x": "y"}, "endpoint": "http://gnomon"}, **headers).headers == {"x": "y"}


def test_disabling_by_either_variable() -> None:
    assert settings_of({}, OTEL_SDK_DISABLED="true").enabled is False
    assert settings_of({}, OTEL_SDK_DISABLED="false").enabled is True
    assert settings_of({}, GNOMON_ENABLED="0").enabled is False
    assert settings_of({"enabled": True}, GNOMON_ENABLED="0").enabled is True


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("auto", ("auto",)),
        ("none", ()),
        (False, ()),
        ([], ()),
        (["OpenAI"], ("openai",)),
        ("a, b", ("a", "b")),
    ],
)
def test_instrument(value: object, expected: tuple[str, ...]) -> None:
    assert settings_of({"instrument": value}).instrument == expected


@pytest.mark.parametrize(
    ("variable", "text", "name", "used"),
    [
        ("GNOMON_ENDPOINT", "collector:4444", "endpoint", "http://127.0.0.1:4318"),
        ("GNOMON_ENDPOINT", "http://u:secret@host", "endpoint", "http://127.0.0.1:4318"),
        ("GNOMON_QUEUE_BYTES", "lots", "queue_bytes", 32 * 1024 * 1024),
        ("GNOMON_QUEUE_SPANS", "-7", "queue_spans", 50_000),
        ("GNOMON_EXIT_TIMEOUT_S", "nan", "exit_timeout_s", 1.5),
        ("GNOMON_ENABLED", "perhaps", "enabled", True),
        ("OTEL_SDK_DISABLED", "perhaps", "enabled", True),
        ("GNOMON_API_KEY", "a\nb", "api_key", None),
        ("GNOMON_COMPRESSION", "brotli", "compression", "auto"),
    ],
)
def test_an_unusable_value_is_reported_by_name_and_replaced(
    variable: str, text: str, name: str, used: object
) -> None:
    settings, problems = problems_of({}, **{variable: text})
    assert len(problems) == 1
    assert problems[0].startswith(variable)
    assert text not in problems[0]
    assert getattr(settings, name) == used


def test_a_mistyped_wish_for_privacy_records_nothing() -> None:
    settings, problems = problems_of({"capture_content": "nothing"})
    assert settings.capture_content == "none"
    assert "must be one of all, redacted, none" in problems[0]


def test_grpc_is_taken_from_otel_with_its_endpoint() -> None:
    settings = settings_of(
        {}, OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4317", OTEL_EXPORTER_OTLP_PROTOCOL="grpc"
    )
    assert (settings.protocol, settings.endpoint) == ("grpc", "http://c:4317")
    assert settings.feedback_url == "http://c:4318/v1/feedback"


def test_otels_protocol_is_for_others_when_gnomon_has_an_endpoint_of_its_own() -> None:
    settings = settings_of({"endpoint": "http://c"}, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert settings.protocol == "http"
    assert settings_of({}, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf").protocol == "http"


def test_grpc_has_its_own_port() -> None:
    assert settings_of({"protocol": "grpc"}).endpoint == "http://127.0.0.1:4317"
    given = settings_of({"protocol": "grpc", "endpoint": "https://[::1]:9", "feedback_endpoint": "https://f"})
    assert (given.endpoint, given.feedback_url) == ("https://[::1]:9", "https://f/v1/feedback")


def test_given_are_the_names_said_to_gnomon_itself() -> None:
    settings = settings_of({"release": "1"}, GNOMON_ENVIRONMENT="e", OTEL_SERVICE_NAME="s")
    assert settings.given == {"release", "environment"}
