"""``gnomon keys``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from gnomon_collector.cli.options import DURATION, data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.reach import Json, reach

_SCOPES = ("ingest", "feedback", "read", "admin")


@click.group()
@data_option
def keys() -> None:
    """Create, list and revoke API keys.

    A key belongs to one project, and whatever is sent with it lands in that project.
    """


@keys.command()
@click.option(
    "--project", required=True, help="Project of the key; it is made if need be. '*' for admin keys."
)
@click.option(
    "--scope", type=click.Choice(_SCOPES), default="ingest", show_default=True, help="What it may do."
)
@click.option("--name", default="", help="What you want to know it by, such as the service that uses it.")
@click.option("--expires", type=DURATION, help="How long it works, as in 90d or 12h.  [default: for good]")
@data_option
def create(project: str, scope: str, name: str, expires: timedelta | None) -> None:
    """Create a key. The key alone is the last line of the output, and is shown only this once.

    \b
    Examples:
      gnomon keys create --project shop --scope ingest
      export GNOMON_API_KEY=$(gnomon keys create --project shop | tail -n 1)
    """
    with reach(settings_of(), may_create=True) as way:
        new = way.create_key(project, scope, name, datetime.now(UTC) + expires if expires else None)
    click.echo(
        f"Key {new['key_id']} of project {new['project']}, scope {new['scope']}. It is shown only now:"
    )
    click.echo(new["key"])


@keys.command("list")
@click.option("--all", "with_revoked", is_flag=True, help="Revoked keys too.")
@data_option
def list_(with_revoked: bool) -> None:
    """List the keys by id, without the keys themselves."""
    from rich.table import Table

    with reach(settings_of()) as way:
        found = [key for key in way.list_keys() if with_revoked or key["revoked_at"] is None]
    if not found:
        click.echo("No keys. Make one with: gnomon keys create --project NAME --scope ingest", err=True)
        return
    table = Table(
        "id",
        "project",
        "scope",
        "name",
        "created",
        "expires",
        *(["revoked"] if with_revoked else []),
        box=None,
    )
    for key in found:
        shown = ("created_at", "expires_at", *(["revoked_at"] if with_revoked else []))
        times = [_minute(key[time]) for time in shown]
        table.add_row(key["key_id"], key["project"], key["scope"], key["name"], *times)
    table_console().print(table)


@keys.command()
@click.argument("key_id")
@data_option
def revoke(key_id: str) -> None:
    """Revoke the key with this id, for good. Running servers refuse it within seconds.

    \b
    Example:
      gnomon keys revoke gnm_i_Ab12Cd34
    """
    with reach(settings_of()) as way:
        info = way.revoke_key(key_id)
    click.echo(f"Revoked {info['key_id']} of project {info['project']}.")


@keys.command()
@click.argument("key_id")
@click.option(
    "--grace", type=DURATION, default="24h", show_default=True, help="How long the old key goes on working."
)
@data_option
def rotate(key_id: str, grace: timedelta) -> None:
    """Make a key like the one with this id, which expires after a time of grace.

    \b
    Example:
      gnomon keys rotate gnm_i_Ab12Cd34 --grace 2h
    """
    with reach(settings_of()) as way:
        new = way.run("rotate_key", key_id=key_id, grace_s=grace.total_seconds())
    click.echo(f"Key {new['key_id']} replaces {key_id}. It is shown only now:")
    click.echo(new["key"])


def _minute(time: Json) -> str:
    """Show a time, which is ISO text from a server and a datetime from the database itself."""
    return str(time or "")[:16].replace("T", " ")
