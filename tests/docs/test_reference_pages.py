"""What the guides say of settings, commands and metrics is what the code has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.docs import markdown, reference

from gnomon._settings import SETTINGS as SDK_SETTINGS
from gnomon_collector.ingest.flusher import FlushStats
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.metrics import IngestMetrics
from gnomon_collector.jobs import JobStatus
from gnomon_collector.settings import Settings, environment_variable
from gnomon_collector.store.access import SCOPES

SETTINGS_PAGE = markdown.DOCS / "settings.md"
CLI_PAGE = markdown.DOCS / "cli.md"
METRICS_PAGE = markdown.DOCS / "metrics.md"


@pytest.mark.parametrize("page", sorted(markdown.DOCS.glob("*.md")), ids=lambda page: page.name)
def test_parts_from_the_code_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == reference.render(text), f"docs/{page.name} differs from the code: run `make docs`"


def test_every_part_from_the_code_is_on_its_page() -> None:
    on_pages = [
        name for page in markdown.DOCS.glob("*.md") for name in reference.names_in(page.read_text("utf-8"))
    ]
    assert sorted(on_pages) == sorted(reference.generated_parts())


def test_every_sdk_setting_is_documented_with_its_default_and_variables() -> None:
    rows = {row["Argument"]: row for row in markdown.table(SETTINGS_PAGE, "SDK")}
    assert list(rows) == [setting.name for setting in SDK_SETTINGS]
    for setting in SDK_SETTINGS:
        row = rows[setting.name]
        said = re.findall(r"[A-Z_]{5,}", row["Environment, the first set one wins"])
        assert said == [source.variable for source in setting.sources]
        assert row["Meaning"] == setting.help.replace("`", "")


def test_every_server_setting_is_documented_with_its_variable_and_default() -> None:
    rows = {row["In gnomon.toml"]: row for row in markdown.table(SETTINGS_PAGE, "Server")}
    assert list(rows) == list(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        assert rows[name]["Environment"] == environment_variable(name)
        assert rows[name]["Default"].partition(" (")[0] == (_shown(field.default) or "empty")


def _shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_the_toml_example_is_a_valid_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gnomon_collector.settings import load_settings

    (example,) = markdown.blocks(SETTINGS_PAGE, "toml")
    (tmp_path / "gnomon.toml").write_text(example.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(environment_variable(name), raising=False)
    assert load_settings().inbox_max_bytes == 8 * 1024**3


def test_every_command_has_a_heading_and_its_help() -> None:
    commands = [" ".join(path) for path in reference.command_paths()]
    assert [heading for heading in markdown.headings(CLI_PAGE) if heading.startswith("gnomon")] == commands


def test_every_scope_is_explained() -> None:
    assert [row["scope"] for row in markdown.table(CLI_PAGE, "gnomon keys")] == list(SCOPES)


_CALL = re.compile(r"(?:^|[\s/(])gnomon (?!gnomon )([^|)>&]*)")


def _command_lines() -> list[tuple[str, list[str]]]:
    """Return every call of ``gnomon`` in the code blocks of the guides: where it stands, and its words."""
    found = []
    for page in markdown.guides():
        for block in markdown.blocks(page, "bash"):
            for line in block.text.replace("\\\n", " ").splitlines():
                if not line.startswith(("docker run", "docker build", "docker logs", "sudo")):
                    calls = _CALL.findall(line.split(" #")[0])
                    found += [(f"{block}: gnomon {call}", _words(call)) for call in calls]
    return found


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # quoted SQL that was cut at a bracket
        return shlex.split(text + '"')


def test_every_command_line_in_the_guides_exists() -> None:
    lines = _command_lines()
    assert len(lines) > 10
    for where, words in lines:
        _check_command_line(where, words)


def _check_command_line(where: str, words: list[str]) -> None:
    path = ["gnomon"]
    command = reference.find_command(path)
    rest = iter(words)
    for word in rest:
        if word.startswith("-"):
            name, _, value = word.partition("=")
            options = {name: option for option in command.params for name in option.opts}
            assert name in {*options, "--help", "-h"}, f"{where}: no option {name}"
            if not (value or name in ("--help", "-h") or getattr(options[name], "is_flag", False)):
                next(rest)
        elif isinstance(command, click.Group):
            path.append(word)
            command = reference.find_command(path)


def test_every_metric_is_documented_with_its_type_and_labels(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.sqlite", 1000)
    try:
        metrics = IngestMetrics(inbox, FlushStats())
        metrics.requests.labels("/v1/traces", 200).inc()
        metrics.query_timer("api")("query", 0.1)
        metrics.watch_jobs(lambda: [JobStatus("alerts", 10.0)])
        text = metrics.text().decode()
    finally:
        inbox.close()
    families = [
        family for family in text_string_to_metric_families(text) if not family.name.endswith("_created")
    ]
    rows = {row["Metric"]: row for row in markdown.table(METRICS_PAGE, "What GET /metrics gives")}
    assert set(rows) == {_shown_name(family.name, family.type) for family in families}
    for family in families:
        row = rows[_shown_name(family.name, family.type)]
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert row["Type"] == family.type
        assert {label.strip() for label in row["Labels"].split(",") if label.strip()} == labels


def _shown_name(name: str, kind: str) -> str:
    return f"{name}_total" if kind == "counter" else name
