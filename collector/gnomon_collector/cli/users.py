"""``gnomon users``."""

from __future__ import annotations

import sys

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.reach import reach

_ROLES = ("viewer", "editor", "admin")


@click.group()
@data_option
def users() -> None:
    """Create, list and remove people who may log in to the dashboard."""


@users.command("list")
@data_option
def list_() -> None:
    """List the people and their roles."""
    from rich.table import Table

    table = Table("user", "role", "created", box=None)
    with reach(settings_of()) as way:
        for user in way.run("list_users"):
            table.add_row(user["username"], user["role"], user["created_at"][:16].replace("T", " "))
    table_console().print(table)


@users.command()
@click.argument("username")
@click.option(
    "--role", type=click.Choice(_ROLES), default="viewer", show_default=True, help="What the person may do."
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@data_option
def create(username: str, role: str, password_stdin: bool) -> None:
    """Let somebody in. Unless one is given, a password is made and shown this once.

    \b
    Example:
      gnomon users create anna --role editor
    """
    with reach(settings_of(), may_create=True) as way:
        made = way.run("create_user", username=username, role=role, password=_password(password_stdin))
    click.echo(f"User {username}, role {role}.")
    _show(made["password"])


@users.command("password")
@click.argument("username")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@data_option
def password_(username: str, password_stdin: bool) -> None:
    """Change a password. Unless one is given, one is made and shown this once."""
    with reach(settings_of()) as way:
        made = way.run("reset_password", username=username, password=_password(password_stdin))
    click.echo(f"The password of {username} is changed.")
    _show(made["password"])


@users.command()
@click.argument("username")
@data_option
def delete(username: str) -> None:
    """Take somebody's access away; open sessions end within half a minute."""
    with reach(settings_of()) as way:
        way.run("delete_user", username=username)
    click.echo(f"{username} may no longer log in.")


def _password(from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else ""


def _show(made: str) -> None:
    if made:
        click.echo(f"Password, shown only now:\n{made}")
