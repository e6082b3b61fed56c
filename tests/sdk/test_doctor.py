"""``gnomon doctor`` against collectors that work, refuse, hang and are not there."""

import subprocess
import sys

import pytest
from tests.sdk.collector_double import Answer, CollectorDouble, dead_collector, hanging_collector

from gnomon import _doctor, _entrypoint


def diagnose(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = _doctor.main(["--service-name", "shop", *arguments])
    return code, capsys.readouterr().out


def test_all_is_well(collector: CollectorDouble, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = diagnose(capsys, "--endpoint", collector.url, "--api-key", "gnm_i_secret-part")
    assert code == 0, text
    assert "ok  connection" in text
    assert "ok  key" in text
    assert "ok  round trip" in text
    assert "openai (gnomon)" in text
    assert "secret-part" not in text
    assert [span.name for span in collector.spans] == ["gnomon doctor"]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "the collector does not know this key"),
        (403, "needs the ingest scope"),
        (404, "there is no Gnomon collector at this address"),
    ],
)
def test_a_refusal_says_what_to_do(
    status: int, advice: str, collector: CollectorDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    collector.always = Answer(status)
    code, text = diagnose(capsys, "--endpoint", collector.url)
    assert code == 1
    assert advice in text
    assert "round trip" not in text


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    with dead_collector() as url:
        code, text = diagnose(capsys, "--endpoint", url)
    assert code == 1
    assert "start it with `gnomon serve`" in text


def test_a_collector_that_hangs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNOMON_REQUEST_TIMEOUT_S", "0.3")
    with hanging_collector() as url:
        code, text = diagnose(capsys, "--endpoint", url)
    assert code == 1
    assert "does not answer" in text


def test_it_says_what_is_switched_off(
    collector: CollectorDouble, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNOMON_ENABLED", "false")
    monkeypatch.setenv("GNOMON_INSTRUMENT", "none")
    monkeypatch.setenv("GNOMON_SAMPLE", "much")
    code, text = diagnose(capsys, "--endpoint", collector.url)
    assert code == 1
    assert "Gnomon is switched off" in text
    assert "GNOMON_INSTRUMENT leaves it out" in text
    assert "GNOMON_SAMPLE must be a number from 0 to 1" in text
    assert collector.requests == []


def test_the_console_script_runs_it_with_the_sdk_alone(
    collector: CollectorDouble, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_entrypoint, "COMMANDS", "gnomon_absent:main")
    monkeypatch.setattr(sys, "argv", ["gnomon", "doctor", "--endpoint", collector.url])
    with pytest.raises(SystemExit) as stop:
        _entrypoint.main()
    assert stop.value.code == 0, capsys.readouterr().out


def test_it_is_listed_among_the_commands(collector: CollectorDouble) -> None:
    code = "from gnomon_collector.cli.app import cli; cli()"
    listed = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True
    )
    assert "doctor" in listed.stdout
    run = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--endpoint", collector.url],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "round trip" in run.stdout
