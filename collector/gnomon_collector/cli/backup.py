"""``gnomon backup`` and ``gnomon restore``."""

from __future__ import annotations

from pathlib import Path

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.reach import reach
from gnomon_collector.cli.status import human_bytes


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_option
def backup(file: Path) -> None:
    """Copy everything in the data directory into one FILE, while the server goes on working.

    The file holds prompts and answers and is readable by its owner alone. It must be on the server's machine.

    \b
    Example:
      gnomon backup /var/backups/gnomon-$(date +%F).tar
    """
    from rich.console import Console

    with reach(settings_of()) as way, Console(stderr=True).status("Copying"):
        done = way.run("write_backup", path=str(file.absolute()))
    click.echo(f"Wrote {done['path']}, {human_bytes(done['bytes'])}.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
def restore(file: Path) -> None:
    """Make a new data directory from a FILE of `gnomon backup`, and bring it up to date.

    \b
    Example:
      gnomon restore /var/backups/gnomon-2026-11-23.tar --data /var/lib/gnomon-restored
    """
    from rich.console import Console

    from gnomon_collector.operations.backup import restore_backup

    settings = settings_of()
    with Console(stderr=True).status("Restoring"):
        done = restore_backup(file, settings.data_dir)
    click.echo(f"Restored {done['rows']:,} rows of {done['taken_at']} into {settings.data_dir}.")
