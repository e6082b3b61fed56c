"""``gnomon quarantine``."""

from __future__ import annotations

import json

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.reach import reach
from gnomon_collector.cli.status import human_bytes


@click.group()
@data_option
def quarantine() -> None:
    """Look at requests that the database refused, and try them again or drop them.

    A request that was acknowledged but that the database does not take is set aside, so that it holds up
    nothing else. It stays until you decide.
    """


@quarantine.command("list")
@data_option
def list_() -> None:
    """List what is set aside, oldest first, without content."""
    from rich.table import Table

    with reach(settings_of()) as way:
        found = way.run("list_quarantine")
    if not found:
        click.echo("Nothing is set aside.", err=True)
        return
    table = Table("id", "project", "received", "spans", "size", "reason", box=None)
    for each in found:
        size = human_bytes(each["bytes"])
        row = (each["id"], each["project"], each["received_at"], each["spans"], size, each["reason"])
        table.add_row(*map(str, row))
    table_console().print(table)


@quarantine.command()
@click.argument("id_", metavar="ID", type=int)
@data_option
def show(id_: int) -> None:
    """Print a request as OTLP/JSON, with the reason. This shows prompts and answers, and is audited."""
    with reach(settings_of()) as way:
        click.echo(json.dumps(way.run("show_quarantined", id=id_), indent=2, ensure_ascii=False))


@quarantine.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=int)
@click.option("--all", "every", is_flag=True, help="Everything that is set aside.")
@data_option
def retry(ids: tuple[int, ...], every: bool) -> None:
    """Let requests wait for the database again, as after a repair or an upgrade."""
    _run("retry_quarantined", ids, every, "wait for the database again")


@quarantine.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=int)
@click.option("--all", "every", is_flag=True, help="Everything that is set aside.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def drop(ids: tuple[int, ...], every: bool, yes: bool) -> None:
    """Delete requests for good. Their spans were acknowledged and will be lost."""
    if not yes:
        click.confirm("Delete acknowledged data for good?", abort=True)
    _run("drop_quarantined", ids, every, "are deleted")


def _run(operation: str, ids: tuple[int, ...], every: bool, done: str) -> None:
    if bool(ids) == every:
        raise click.UsageError("Name the requests by id, or say --all.")
    with reach(settings_of()) as way:
        result = way.run(operation, ids=list(ids))
    click.echo(f"{result['requests']} requests with {result['spans']} spans {done}.")
