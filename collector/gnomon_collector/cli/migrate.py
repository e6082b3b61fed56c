"""``gnomon migrate``."""

from __future__ import annotations

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.reach import reach


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what is pending and change nothing.")
@data_option
def migrate(dry_run: bool) -> None:
    """Show what the database lacks of this version's tables and views, and apply it.

    The server does this by itself when it starts. Applying twice changes nothing. With GNOMON_STORE set
    to a ClickHouse server it works there, and with GNOMON_CLUSTER on the whole cluster.

    \b
    Examples:
      gnomon migrate --dry-run
      GNOMON_STORE=clickhouse://default:pw@db:8123/gnomon gnomon migrate
    """
    from rich.console import Console
    from rich.progress import Progress

    with reach(settings_of(), may_create=not dry_run) as way:
        waiting = way.pending()
        if not waiting:
            click.echo("The database is up to date.")
            return
        for text in waiting:
            click.echo(f"pending  {text['kind']:<10}  {text['name']}")
        if dry_run:
            return
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("Applying", total=len(waiting))
            applied = way.migrate(lambda: progress.advance(task))
    for text in applied:
        click.echo(f"applied  {text['kind']:<10}  {text['name']}  {text['duration_ms']:.0f} ms")
