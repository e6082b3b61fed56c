"""What one reads first."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from tests.cli.conftest import run_gnomon, run_here

from gnomon_collector.cli.app import COMMANDS, cli


def all_commands() -> list[tuple[str, click.Command]]:
    context = click.Context(cli)
    found: list[tuple[str, click.Command]] = [("", cli)]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", inner) for sub, inner in command.commands.items()]
    return found


# Works with the SDK alone, without data: its help is the SDK's.
OF_THE_SDK = "doctor"


@pytest.mark.parametrize(("name", "command"), [each for each in all_commands() if each[0] != OF_THE_SDK])
def test_every_command_takes_the_data_directory_and_explains_itself(
    name: str, command: click.Command
) -> None:
    assert "--data" in {flag for option in command.params for flag in option.opts}
    assert command.help and command.help.strip()
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, f"{name} {option.name} has no help"


def test_help_lists_the_commands_with_examples() -> None:
    done = run_gnomon("--help")
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert "gnomon demo" in done.stdout


@pytest.mark.parametrize(
    "name",
    [name for name, _ in all_commands() if name not in ("", "keys", "keys list", "status", OF_THE_SDK)],
)
def test_help_of_a_command_has_an_example(name: str) -> None:
    done = run_here(*name.split(), "--help")
    assert done.returncode == 0
    assert f"gnomon {name}" in done.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from gnomon_collector.cli.app import run; code = run(['--help']);"
        "heavy = {'chdb', 'fastapi', 'pydantic', 'clickhouse_connect', 'httpx', 'rich', 'dash'};"
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


def test_version() -> None:
    done = run_gnomon("--version")
    assert done.returncode == 0 and done.stdout.startswith("gnomon, version ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["keys", "create"], "Missing option '--project'"),
        (["keys", "create", "--project", "p", "--scope", "root"], "'root' is not one of"),
        (["query"], "Missing argument 'SQL'"),
        (["query", "SELECT 1", "--format", "xml"], "'xml' is not one of"),
        (["serve", "everything"], "'everything' is not one of"),
        (["serve", "--ui-port", "70000"], "70000 is not in the range"),
        (["demo", "--history-days", "-1"], "-1 is not in the range"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], message: str) -> None:
    done = run_here(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
