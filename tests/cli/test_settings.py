"""The table of settings, and where values come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnomon_collector.errors import ConfigError
from gnomon_collector.settings import Settings, environment_variable, load_settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory without a settings file, and no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for field in Settings.model_fields:
        monkeypatch.delenv(environment_variable(field), raising=False)
    monkeypatch.delenv("GNOMON_CONFIG", raising=False)


def test_defaults(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.data_dir == tmp_path / "gnomon-data"
    assert settings.store_url == f"chdb://{tmp_path / 'gnomon-data' / 'chdb'}"
    assert (settings.otlp_http_port, settings.otlp_grpc_port, settings.ui_port) == (4318, 4317, 8050)
    assert (settings.max_request_bytes, settings.inbox_max_bytes) == (16 * 2**20, 2 * 2**30)
    assert settings.host == "127.0.0.1" and settings.auth == "on"


def test_every_setting_has_help() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_flags_go_before_the_environment_before_the_file_before_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gnomon.toml").write_text(
        'ui_port = 1\notlp_http_port = 1\notlp_grpc_port = 1\nhost = "::1"\n'
    )
    monkeypatch.setenv("GNOMON_OTLP_HTTP_PORT", "2")
    monkeypatch.setenv("GNOMON_OTLP_GRPC_PORT", "2")
    settings = load_settings(otlp_grpc_port=3, ui_port=None)
    assert (settings.ui_port, settings.otlp_http_port, settings.otlp_grpc_port) == (1, 2, 3)
    assert (settings.host, settings.max_request_spans) == ("::1", 100_000)


def test_an_empty_variable_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNOMON_UI_PORT", "")
    assert load_settings().ui_port == 8050


def test_the_settings_of_the_sdk_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNOMON_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv("GNOMON_API_KEY", "secret")
    assert "secret" not in repr(load_settings())


def test_a_named_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text('inbox_max_bytes = "5MiB"\ndata = "/srv/g"\n')
    monkeypatch.setenv("GNOMON_CONFIG", str(tmp_path / "mine.toml"))
    settings = load_settings()
    assert (settings.inbox_max_bytes, settings.data_dir) == (5 * 2**20, Path("/srv/g"))


def test_data_dir_is_another_name_of_data(tmp_path: Path) -> None:
    assert load_settings(data_dir="x").data_dir == load_settings(data=Path("x")).data_dir == tmp_path / "x"


def test_a_store_elsewhere_is_not_embedded_and_its_password_not_shown() -> None:
    settings = load_settings(store="clickhouse://me:hidden@h/db")
    assert settings.store_url == "clickhouse://me:hidden@h/db"
    assert not settings.is_embedded and load_settings().is_embedded
    assert "hidden" not in repr(settings) and "hidden" not in str(settings)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("ui_port = ", "is not valid TOML"),
        ("ui_prot = 1", "unknown settings: ui_prot. Known are: data, store"),
        ("ui_port = 70000", "ui_port in .*gnomon.toml is wrong"),
        ('auth = "perhaps"', "auth in .*gnomon.toml is wrong"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, toml: str, message: str) -> None:
    (tmp_path / "gnomon.toml").write_text(toml)
    with pytest.raises(ConfigError, match=message):
        load_settings()


def test_a_named_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNOMON_CONFIG", "/nowhere/gnomon.toml")
    with pytest.raises(ConfigError, match=r"/nowhere/gnomon\.toml: No such file"):
        load_settings()


def test_a_wrong_variable_and_a_wrong_flag_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNOMON_MAX_REQUEST_BYTES", "many")
    with pytest.raises(ConfigError, match="GNOMON_MAX_REQUEST_BYTES is wrong"):
        load_settings()
    monkeypatch.delenv("GNOMON_MAX_REQUEST_BYTES")
    with pytest.raises(ConfigError, match="--ui-port is wrong"):
        load_settings(ui_port=-1)
    with pytest.raises(ConfigError, match="no setting 'nonsense'"):
        load_settings(nonsense=1)
