"""The console script hands over to the collector, and says what to install without it."""

import sys
import types
from importlib.metadata import entry_points

import pytest

from gnomon import _entrypoint


def test_the_console_script_is_this_function() -> None:
    (script,) = entry_points(group="console_scripts", name="gnomon")
    assert script.load() is _entrypoint.main


def test_it_runs_the_collectors_command(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    module = types.ModuleType("gnomon_collector.cli")
    module.main = lambda: called.append("main")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gnomon_collector.cli", module)
    _entrypoint.main()
    assert called == ["main"]


def test_without_the_server_parts_it_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    def missing(target: str) -> object:
        raise ModuleNotFoundError("No module named 'click'", name="click")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(_entrypoint, "load", missing)
        _entrypoint.main()
    assert stop.value.code == 2
    assert "pip install 'gnomon[server]'" in capsys.readouterr().err


def test_a_fault_of_our_own_is_not_blamed_on_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_entrypoint, "COMMANDS", "gnomon_collector.spam:main")
    with pytest.raises(ModuleNotFoundError, match=r"gnomon_collector\.spam"):
        _entrypoint.main()
