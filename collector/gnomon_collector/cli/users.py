"""``gnomon users``."""

from __future__ import annotations

import sys

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.reach import reach

_ROLES = ("viewer", "editor", "admin")
_ALL = "*"


@click.group()
@data_option
def users() -> None:
    """Create, list and remove people who may log in to the dashboard, and say what they may do.

    A viewer may look, an editor also judge, comment and make rules, an admin also manage keys, people and
    settings: on all projects, or on some only.
    """


@users.command("list")
@data_option
def list_() -> None:
    """List the people and their roles."""
    from rich.table import Table

    table = Table("user", "role", "on projects", "login", "created", box=None)
    with reach(settings_of()) as way:
        for user in way.run("list_users"):
            roles = ", ".join(f"{project}: {role}" for project, role in user["project_roles"].items())
            login = "OIDC" if user["subject"] else "password"
            created = user["created_at"][:16].replace("T", " ")
            table.add_row(user["username"], user["role"] or "none", roles, login, created)
    table_console().print(table)


@users.command()
@click.argument("username")
@click.option(
    "--role", type=click.Choice(_ROLES), default="viewer", show_default=True, help="What the person may do."
)
@click.option(
    "--project", "projects", multiple=True, help="Only on this project; any number of times.  [default: all]"
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@data_option
def create(username: str, role: str, projects: tuple[str, ...], password_stdin: bool) -> None:
    """Let somebody in. Unless one is given, a password is made and shown this once.

    \b
    Examples:
      gnomon users create anna --role editor
      gnomon users create ben --role viewer --project shop
    """
    asked = {"username": username, "password": _password(password_stdin)}
    roles = {"role": "", "project_roles": dict.fromkeys(projects, role)} if projects else {"role": role}
    with reach(settings_of(), may_create=True) as way:
        made = way.run("create_user", **asked, **roles)
    click.echo(f"User {username}, role {role}{' on ' + ', '.join(projects) if projects else ''}.")
    _show(made["password"])


@users.command("role")
@click.argument("username")
@click.argument("role", type=click.Choice((*_ROLES, "none")))
@click.option(
    "--project", default=_ALL, help="On this project alone.  [default: all without one of their own]"
)
@data_option
def role_(username: str, role: str, project: str) -> None:
    """Change what somebody may do. Their open sessions end within 5 s.

    \b
    Examples:
      gnomon users role anna admin
      gnomon users role ben editor --project shop
      gnomon users role ben none --project shop
    """
    with reach(settings_of()) as way:
        way.run("set_role", username=username, role="" if role == "none" else role, project=project)
    click.echo(f"{username} is now {role} on {'all projects' if project == _ALL else project}.")


@users.command("password")
@click.argument("username")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@data_option
def password_(username: str, password_stdin: bool) -> None:
    """Change a password. Unless one is given, one is made and shown this once. Open sessions end."""
    with reach(settings_of()) as way:
        made = way.run("reset_password", username=username, password=_password(password_stdin))
    click.echo(f"The password of {username} is changed.")
    _show(made["password"])


@users.command()
@click.argument("username")
@data_option
def delete(username: str) -> None:
    """Take somebody's access away; open sessions end within 5 s."""
    with reach(settings_of()) as way:
        way.run("delete_user", username=username)
    click.echo(f"{username} may no longer log in.")


def _password(from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else ""


def _show(made: str) -> None:
    if made:
        click.echo(f"Password, shown only now:\n{made}")
