"""``gnomon reprice``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.price_reach import price_desk
from gnomon_collector.cli.prices import TIMES
from gnomon_collector.cli.reach import Json
from gnomon_schemas.money import Currency

_SUMMED = ("calls", "changed", "unpriced", "before_usd", "after_usd")


@click.command()
@click.option("--since", type=click.DateTime(TIMES), required=True, help="Calls from then on (UTC).")
@click.option("--until", type=click.DateTime(TIMES), help="Calls before then (UTC).  [default: now]")
@click.option("--model", default="", help="Only this model.  [default: all]")
@click.option("--provider", default="", help="Only this provider.  [default: all]")
@click.option("--project", default="", help="Only this project.  [default: all]")
@click.option("--dry-run", is_flag=True, help="Only say what would change in stored costs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of models.")
@data_option
def reprice(
    since: datetime,
    until: datetime | None,
    model: str,
    provider: str,
    project: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Compute the cost of stored calls anew, with today's price list and price file, and their rollups.

    The price list and the price file are read again first (by the server, where one runs): from then on new
    calls get their prices, also after --dry-run. Once it is done, running it again changes nothing; when it
    was cut off, run it again.

    \b
    Examples:
      gnomon reprice --since 2026-11-01 --dry-run
      gnomon reprice --since 2026-11-01 --model our-llama-70b
    """
    from gnomon_collector.price_desk import RepriceBody
    from gnomon_collector.store.reprice import days

    settings = settings_of()
    start, end = since.replace(tzinfo=UTC), (until or datetime.now(UTC)).replace(tzinfo=UTC)
    if start >= end:
        raise click.UsageError("--since must be before --until, and not in the future.")
    with price_desk(settings) as desk:
        desk.refresh()
        bodies = [
            RepriceBody(
                since=first, until=last, model=model, provider=provider, project=project, dry_run=dry_run
            )
            for first, last in days(start, end)
        ]
        found = _total(row for body in _with_progress(bodies) for row in desk.reprice(body))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _print(found, dry_run, Currency(settings.currency, settings.currency_per_usd))


def _with_progress(bodies: Sequence[Json]) -> Iterable[Json]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(bodies, "Days", console=console, transient=True, disable=not console.is_terminal)


def _total(rows: Iterable[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """Sum rows by model; those that change the most come first."""
    totals: dict[tuple[str, str], dict[str, Json]] = {}
    for row in rows:
        key = (row["provider"], row["model"])
        total = totals.setdefault(key, {"provider": key[0], "model": key[1], **dict.fromkeys(_SUMMED, 0)})
        for name in _SUMMED:
            total[name] += row[name]
    return sorted(totals.values(), key=lambda total: (-total["changed"], total["provider"], total["model"]))


def _print(found: Sequence[Mapping[str, Json]], dry_run: bool, currency: Currency) -> None:
    from rich.table import Table

    table = Table("model", "provider", "calls", "changed", "without price", "before", "after", box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    for each in found:
        counts = [f"{each[name]:,}" for name in ("calls", "changed", "unpriced")]
        amounts = [currency.show(each[name]) for name in ("before_usd", "after_usd")]
        table.add_row(each["model"], each["provider"], *counts, *amounts)
    if found:
        table_console().print(table)
    changed = sum(each["changed"] for each in found)
    verb = "would change" if dry_run else "changed"
    click.echo(f"{changed:,} of {sum(each['calls'] for each in found):,} calls {verb}.")
