"""``gnomon budgets``."""

from __future__ import annotations

import json

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.reach import reach

EXIT_OVER = 3


@click.command()
@click.option("--project", default="*", help="Only this project.  [default: all]")
@click.option(
    "--all", "with_ok", is_flag=True, help="Also those who came near a limit once and are well below now."
)
@click.option("--json", "as_json", is_flag=True, help="JSON, one array.")
@click.option("--fail", is_flag=True, help=f"Exit with {EXIT_OVER} when somebody is over.")
@data_option
def budgets(project: str, with_ok: bool, as_json: bool, fail: bool) -> None:
    """Show who is near or over a budget. Budgets stand in DATA/alerts.toml; docs/budgets.md has examples.

    \b
    Examples:
      gnomon budgets --project shop
      gnomon budgets --fail
    """
    from rich.table import Table

    with reach(settings_of()) as way:
        found = [one for one in way.run("list_budgets", project=project) if with_ok or one["state"] != "ok"]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("Nobody is near a budget.")
    else:
        table = Table(
            "project", "budget", "who", "state", "spent", "limit", "calls are", "since (UTC)", box=None
        )
        for one in found:
            table.add_row(
                one["project"],
                one["budget"],
                one["subject"] or "the project",
                one["state"],
                _amount(one["spent"], one["measure"]),
                _amount(one["limit_value"], one["measure"]),
                "refused" if one["is_blocking"] and one["state"] == "over" else "let through",
                one["since"][:16].replace("T", " "),
            )
        table_console().print(table)
    if fail and any(one["state"] == "over" for one in found):
        click.get_current_context().exit(EXIT_OVER)


def _amount(value: float, measure: str) -> str:
    """What was spent with its unit: ``$0.0238``, ``1,200 tokens``, ``31 calls``."""
    if measure == "cost_usd":
        return f"${value:,.2f}" if value >= 1 or not value else f"${value:.3g}"
    return f"{value:,.0f} {'tokens' if measure == 'total_tokens' else 'calls'}"
