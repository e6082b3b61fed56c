"""``gnomon alerts``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.reach import Json, reach

EXIT_FIRING = 3


@click.group()
@data_option
def alerts() -> None:
    """See what fires, try rules on the past, keep messages back, try channels.

    Rules, channels and mute times stand in DATA/alerts.toml (GNOMON_ALERTS_FILE names another file). Rules
    may also be made in the dashboard. docs/alerts.md has examples.
    """


@alerts.command("list")
@click.option("--project", default="*", help="Only this project.  [default: all]")
@click.option(
    "--hours", type=click.FloatRange(0, 24 * 90), default=0, help="Also what fired in the last hours."
)
@click.option("--json", "as_json", is_flag=True, help="JSON, one array.")
@click.option("--fail", is_flag=True, help=f"Exit with {EXIT_FIRING} when something fires.")
@data_option
def list_(project: str, hours: float, as_json: bool, fail: bool) -> None:
    """Show what fires now.

    \b
    Examples:
      gnomon alerts list
      gnomon alerts list --hours 24 --project shop
      gnomon alerts list --fail || echo "do not deploy now"
    """
    with reach(settings_of()) as way:
        found = way.run("list_alerts", project=project, hours=hours)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("Nothing fires." if not hours else f"Nothing fired in the last {hours:g} hours.")
    else:
        _table(found)
    if fail and any(one["resolved_at"] is None for one in found):
        click.get_current_context().exit(EXIT_FIRING)


@alerts.command()
@click.option("--project", default="*", help="Only rules that look at this project.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="JSON.")
@data_option
def rules(project: str, as_json: bool) -> None:
    """Show the rules in force: Gnomon's own, those of the alerts file and of the dashboard."""
    from rich.table import Table

    with reach(settings_of()) as way:
        found = way.run("list_rules", project=project)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    table = Table("rule", "project", "metric", "by", "condition", "severity", box=None)
    for rule in found["rules"]:
        table.add_row(
            rule["name"],
            rule.get("project", "*"),
            rule["metric"],
            ", ".join(rule.get("group_by", [])),
            _condition(rule["condition"]),
            rule.get("severity", "warning"),
        )
    table_console().print(table)
    click.echo(f"Channels: {', '.join(found['channels']) or 'none: add [[channel]] to the alerts file'}")
    click.echo(f"Heartbeat: {_heartbeat(found['heartbeat'])}")


@alerts.command()
@click.argument("rule")
@click.option("--project", required=True, help="Project whose past it is tried on.")
@click.option(
    "--days", type=click.IntRange(1, 60), default=30, show_default=True, help="How much of the past."
)
@click.option("--json", "as_json", is_flag=True, help="JSON.")
@data_option
def preview(rule: str, project: str, days: int, as_json: bool) -> None:
    """Show what a RULE would have done: its name, or a file with one rule in TOML ("-": standard input).

    \b
    Examples:
      gnomon alerts preview "Latency spike" --project shop
      gnomon alerts preview slow.toml --project shop --days 14
    """
    definition = _definition(rule, sys.stdin)
    with reach(settings_of()) as way:
        found = way.run(
            "preview_rule", project=project, definition=definition, name="" if definition else rule, days=days
        )
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(
        f"{found['rule']}: fired {_times(found['firings'])} in {days} days,"
        f" {found['firings_per_week']:g} a week, on {found['groups_tried']} of {found['groups']} label sets."
    )
    if found["noise"] is not None:
        click.echo(f"{found['noise']:.0%} of them were over within 15 minutes.")
    _fired(found["fired"])


@alerts.command()
@click.argument("definition", type=click.File("r"))
@click.option("--project", required=True, help="Project that the rule is for.")
@data_option
def add(definition: TextIO, project: str) -> None:
    """Keep the rule of a TOML file ("-": standard input) in the database, as the dashboard does."""
    with reach(settings_of()) as way:
        saved = way.run("save_rule", project=project, definition=definition.read())
    click.echo(
        f"The rule {saved['name']!r} is in force for the project {saved['project']} from the next minute on."
    )


@alerts.command()
@click.argument("name")
@click.option("--project", required=True, help="Project that the rule is of.")
@data_option
def remove(name: str, project: str) -> None:
    """Take away a rule that was made with `add` or in the dashboard."""
    with reach(settings_of()) as way:
        way.run("delete_rule", project=project, name=name)
    click.echo(f"The rule {name!r} of the project {project} is gone.")


@alerts.command()
@click.argument("matchers", nargs=-1, required=True, metavar="LABEL=VALUE...")
@click.option("--project", required=True, help="Project to silence in.")
@click.option("--for", "length", default="2h", show_default=True, help="How long, such as 30m, 2h or 7d.")
@click.option("--comment", default="", help="Why, for the others.")
@data_option
def silence(matchers: tuple[str, ...], project: str, length: str, comment: str) -> None:
    """Keep messages back whose labels fit all matchers: =, !=, =~ and !~ as in Alertmanager.

    \b
    Examples:
      gnomon alerts silence rule="Latency spike" service_name=search --project shop --for 2h
      gnomon alerts silence severity!=critical --project shop --for 7d --comment "moving house"
    """
    from gnomon_collector.alerts.model import parse_duration_s

    try:
        hours = parse_duration_s(length) / 3600
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from None
    with reach(settings_of()) as way:
        made = way.run(
            "silence_alerts", project=project, matchers=list(matchers), hours=hours, comment=comment
        )
    click.echo(f"Silence {made['silence_id']} until {made['ends_at'][:16].replace('T', ' ')} UTC.")


@alerts.command()
@data_option
def silences() -> None:
    """Show the silences that are on."""
    from rich.table import Table

    with reach(settings_of()) as way:
        found = way.run("list_silences")
    if not found:
        click.echo("No silence is on.")
        return
    table = Table("id", "project", "matchers", "until (UTC)", "by", "comment", box=None)
    for one in found:
        ends_at = one["ends_at"][:16].replace("T", " ")
        table.add_row(
            one["silence_id"],
            one["project"],
            "  ".join(one["matchers"]),
            ends_at,
            one["author"],
            one["comment"],
        )
    table_console().print(table)


@alerts.command()
@click.argument("silence_id")
@data_option
def unsilence(silence_id: str) -> None:
    """End a silence now."""
    with reach(settings_of()) as way:
        way.run("end_silence", silence_id=silence_id)
    click.echo(f"The silence {silence_id} is over.")


@alerts.command()
@click.argument("incident")
@data_option
def ack(incident: str) -> None:
    """Say that you look after an INCIDENT (the beginning of its id): messages about it are not repeated."""
    with reach(settings_of()) as way:
        taken = way.run("acknowledge_alert", incident_id=incident)
    click.echo(f"{taken['rule']} of {taken['project']} is yours: {taken['text']}.")


@alerts.command()
@click.argument("channel")
@data_option
def test(channel: str) -> None:
    """Send a test message to a CHANNEL of the alerts file. Exit code 1 when it did not get through."""
    with reach(settings_of()) as way:
        result = way.run("test_channel", channel=channel)
    if result["status"] == "sent":
        click.echo(f"A test message went to {channel}.")
        return
    click.echo(f"Error: the channel {channel} did not take it: {result['error'].rstrip('.')}.", err=True)
    click.get_current_context().exit(1)


@alerts.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
def check(file: Path) -> None:
    """Read an alerts FILE and say what is wrong with it; for a test before it is merged."""
    from gnomon_collector.alerts.config import read_config

    found = read_config(file)
    counts = {
        "rule": len(found.rules),
        "channel": len(found.channels),
        "mute time": len(found.mutes),
        "budget": len(found.budgets),
        "objective": len(found.slos),
    }
    told = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
    click.echo(f"{file}: {told}.")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _heartbeat(outcome: Mapping[str, str] | None) -> str:
    if outcome is None:
        return "none: with [heartbeat] in the alerts file somebody is told when Gnomon itself is down"
    if not outcome:
        return "not given yet"
    since = f"since {outcome['since'][:16].replace('T', ' ')} UTC"
    return f"fails {since}: {outcome['error']}" if outcome["error"] else f"taken {since}"


def _definition(rule: str, stdin: TextIO) -> str:
    """The TOML of a rule that is in a file; "" for the name of one."""
    if rule == "-":
        return stdin.read()
    path = Path(rule)
    return path.read_text(encoding="utf-8") if path.suffix == ".toml" and path.is_file() else ""


def _table(found: list[Mapping[str, Json]]) -> None:
    from rich.table import Table

    table = Table("id", "project", "rule", "where", "what", "since (UTC)", "until", "by", box=None)
    for one in found:
        labels = ", ".join(f"{name}={value}" for name, value in one["labels"].items())
        ended = one["resolved_at"][11:16] if one["resolved_at"] else "fires"
        table.add_row(
            one["incident_id"][:8],
            one["project"],
            one["rule"],
            labels,
            one["text"],
            one["fired_at"][:16].replace("T", " "),
            ended,
            one["acknowledged_by"],
        )
    table_console().print(table)


def _fired(fired: list[Mapping[str, Json]]) -> None:
    from rich.table import Table

    if not fired:
        return
    table = Table("began (UTC)", "ended", "where", "at its worst", box=None)
    for one in sorted(fired, key=lambda one: str(one["began"])):
        where = ", ".join(f"{name}={value}" for name, value in one["labels"].items())
        ended = one["ended"][:16].replace("T", " ") if one["ended"] else "lasts"
        peak = "" if one["peak"] is None else f"{one['peak']:.4g}"
        table.add_row(one["began"][:16].replace("T", " "), ended, where, peak)
    table_console().print(table)


def _condition(condition: Mapping[str, Json]) -> str:
    details = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in condition.items()
        if name not in ("kind", "pairs")
    )
    kind = condition.get("kind", "threshold").replace("_", " ")
    return f"{kind} ({details})" if details else kind
