"""``gnomon slo``."""

from __future__ import annotations

import json

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.reach import reach

EXIT_MISSED = 3


@click.command()
@click.option("--project", required=True, help="Project to look at.")
@click.option("--json", "as_json", is_flag=True, help="JSON, one array.")
@click.option("--fail", is_flag=True, help=f"Exit with {EXIT_MISSED} when an error budget is used up.")
@data_option
def slo(project: str, as_json: bool, fail: bool) -> None:
    """Show what is left of the error budget of each objective. Objectives stand in DATA/alerts.toml.

    \b
    Examples:
      gnomon slo --project shop
      gnomon slo --project shop --fail || echo "no more releases this month"
    """
    from rich.table import Table

    with reach(settings_of()) as way:
        found = way.run("list_slos", project=project)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("No objectives: add [[slo]] to the alerts file.")
    else:
        table = Table("objective", "where", "promise", "kept", "budget left", "bad", "calls", box=None)
        for one in found:
            where = ", ".join(value for value in one["labels"].values() if value) or "all"
            kept = "–" if one["good_share"] is None else f"{one['good_share']:.3%}"
            left = "–" if one["budget_left"] is None else f"{one['budget_left']:.0%}"
            counts = (f"{one['bad']:,.0f}", f"{one['total']:,.0f}")
            table.add_row(one["name"], where, f"{one['objective']:.2%}", kept, left, *counts)
        table_console().print(table)
    if fail and any((one["budget_left"] or 0) < 0 for one in found):
        click.get_current_context().exit(EXIT_MISSED)
