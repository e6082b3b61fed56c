"""``gnomon projects`` and ``gnomon audit``."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.reach import Json, reach

_NO_LIMIT = "none"


class _Limit(click.ParamType[str]):
    name = "number|none"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if text != _NO_LIMIT and not text.isdigit():
            self.fail(f"{text!r} is neither a number nor {_NO_LIMIT!r}.", param, ctx)
        return text


@click.group()
@data_option
def projects() -> None:
    """Show and set how long a project's data is kept, how much it may send, and whether it is masked."""


@projects.command("list")
@data_option
def list_() -> None:
    """List the projects that have settings; all others keep their data for good, without limits."""
    from rich.table import Table

    with reach(settings_of()) as way:
        found = way.run("list_projects")
    if not found:
        click.echo("No project has settings.", err=True)
        return
    table = Table(*(name.replace("_", " ") for name in found[0]), box=None)
    for each in found:
        table.add_row(*(_shown(value) for value in each.values()))
    table_console().print(table)


@projects.command("set")
@click.argument("project")
@click.option("--span-days", type=_Limit(), help="Days to keep spans and scores.")
@click.option("--content-days", type=_Limit(), help="Days to keep texts; numbers stay longer.")
@click.option("--max-spans-per-minute", type=_Limit(), help="Beyond it the project's senders get 429.")
@click.option("--max-bytes-per-minute", type=_Limit(), help="The same in bytes.")
@click.option(
    "--mask/--no-mask",
    "mask_content",
    default=None,
    help="Whether personal data is masked before it is written.",
)
@data_option
def set_(project: str, mask_content: bool | None, **limits: str | None) -> None:
    """Change settings of a project; "none" takes a limit away. Servers follow within seconds.

    \b
    Examples:
      gnomon projects set shop --span-days 90 --content-days 14
      gnomon projects set shop --max-spans-per-minute 60000
      gnomon projects set shop --mask
    """
    changes: dict[str, Json] = {
        name: None if value == _NO_LIMIT else int(value)
        for name, value in limits.items()
        if value is not None
    }
    if mask_content is not None:
        changes["mask_content"] = mask_content
    if not changes:
        raise click.UsageError("Say what to set, such as --span-days 90.")
    with reach(settings_of(), may_create=True) as way:
        changed: Mapping[str, Json] = way.run("set_project", project=project, changes=changes)
    for name, value in changed.items():
        click.echo(f"{name:<22} {_shown(value)}")


@click.command()
@click.option("--days", type=click.IntRange(1), default=30, show_default=True, help="How far back.")
@click.option("--action", default="", help="Only this action, such as keys.create or erase.user.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most entries shown."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@data_option
def audit(days: int, action: str, limit: int, as_json: bool) -> None:
    """Show who made keys and users, erased, exported or looked into the quarantine, newest first."""
    from rich.table import Table

    with reach(settings_of()) as way:
        found = way.run("list_audit", days=days, action=action, limit=limit)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    table = Table("time", "actor", "action", "project", "target", "details", box=None)
    for each in found:
        details = json.dumps(each["details"], ensure_ascii=False) if each["details"] else ""
        time = each["time"][:19].replace("T", " ")
        table.add_row(time, each["actor"], each["action"], each["project"], each["target"], details)
    table_console().print(table)


def _shown(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "no limit" if value is None else str(value)
