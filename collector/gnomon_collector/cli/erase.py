"""``gnomon erase``."""

from __future__ import annotations

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.reach import reach

_KINDS = ("user", "session", "trace")


@click.command()
@click.option("--project", required=True, help="Project to erase from.")
@click.option("--user", help="User id: every trace that the user occurs in goes as a whole.")
@click.option("--session", help="Session id: every trace of the session goes.")
@click.option("--trace", help="Trace id.")
@click.option("--everything", is_flag=True, help="The whole project; its keys are revoked.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def erase(project: str, everything: bool, yes: bool, **subjects: str | None) -> None:
    """Delete a person, a session, a trace or a project for good, wherever Gnomon keeps it.

    Spans, scores, rollups, the inbox and the quarantine are reached, and spans of an erased trace that come
    again later are left out. No query finds it when the command ends; the files that held it go within 15
    minutes. The audit log keeps a hash of the id.

    \b
    Examples:
      gnomon erase --project shop --user u-4711
      gnomon erase --project shop --trace 4bf92f3577b34da6a3ce929d0e0e4736 --yes
    """
    named = [(kind, subjects[kind]) for kind in _KINDS if subjects[kind]]
    if len(named) + everything != 1:
        raise click.UsageError("Say what to erase: one of --user, --session, --trace, --everything.")
    kind, value = named[0] if named else ("project", "")
    if not yes:
        click.confirm(f"Delete {kind} {value} of project {project} for good?".replace("  ", " "), abort=True)
    from rich.console import Console

    with reach(settings_of()) as way, Console(stderr=True).status("Erasing: this takes up to a minute"):
        done = way.run("erase_subject", kind=kind, project=project, value=value)
    rows = ", ".join(f"{count} from {table}" for table, count in done["rows"].items()) or "nothing"
    click.echo(f"Deleted {rows}; {done['quarantined_requests']} requests from the quarantine.")
    if done["rows"]:
        click.echo("No query finds it any more; the database removes the old files within 15 minutes.")
