"""``gnomon prices``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.price_reach import known_periods, price_desk
from gnomon_collector.cli.reach import Json
from gnomon_schemas.money import Currency
from gnomon_schemas.price_units import EXTRA_UNITS, extra_prices

EXIT_UNPRICED = 1
TIMES = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")
_EVER = datetime(2015, 1, 1, tzinfo=UTC)
_RATES = (
    ("input", "input_usd"),
    ("output", "output_usd"),
    ("cache read", "cache_read_usd"),
    ("cache write", "cache_write_usd"),
    ("reasoning", "reasoning_usd"),
)
_PLAIN = (
    ("input_mtok", "input_usd"),
    ("output_mtok", "output_usd"),
    ("cache_read_mtok", "cache_read_usd"),
    ("cache_write_mtok", "cache_write_usd"),
    ("output_reasoning_mtok", "reasoning_usd"),
)
_SEARCHES = ("web_searches", "storage_searches")
_DAY_S = 86_400


@click.group()
@data_option
def prices() -> None:
    """Show what models cost, and which have no price.

    Prices come from the list that genai-prices ships, and before it from the file that the setting price_file
    names: your own models, and prices you negotiated.
    """


@prices.command()
@click.argument("model")
@click.option(
    "--provider", default="", help="Provider, such as openai or azure.ai.openai; else told by the model."
)
@click.option(
    "--at", type=click.DateTime(TIMES), help="Only the price that holds then (UTC).  [default: all periods]"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array of periods.")
@data_option
def show(model: str, provider: str, at: datetime | None, as_json: bool) -> None:
    """Show the prices of a MODEL, per million tokens, by period, hours and tier.

    Exit code 0 when there is a price, 1 when there is none.

    \b
    Examples:
      gnomon prices show gpt-4o-mini
      gnomon prices show gpt-4o --provider azure.ai.openai --at 2026-03-01
      gnomon prices show deepseek-chat            has other prices at some hours
    """
    settings = settings_of()
    periods = known_periods(settings, provider.lower(), model)
    chosen = _holding(periods, at.replace(tzinfo=UTC)) if at is not None else periods
    known = [period for period in chosen if period["tier_starts"]]
    if as_json:
        click.echo(json.dumps(known, indent=2))
    elif known:
        _print_periods(known, Currency(settings.currency, settings.currency_per_usd))
    else:
        _say_unknown(model, provider, at)
    click.get_current_context().exit(0 if known else EXIT_UNPRICED)


@prices.command()
@click.option("--since", type=click.DateTime(TIMES), help="Only calls from then on (UTC).  [default: all]")
@click.option("--project", default="", help="Only this project's calls.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="One JSON array of models.")
@data_option
def check(since: datetime | None, project: str, as_json: bool) -> None:
    """List the models that were seen without a price, those with the most calls first.

    Exit code 0 when every model has a price, 1 when one has none: for CI and cron.

    \b
    Examples:
      gnomon prices check
      gnomon prices check --since 2026-11-01 --project shop --json
    """
    with price_desk(settings_of()) as desk:
        found = desk.unpriced(since.replace(tzinfo=UTC) if since is not None else _EVER, project)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        _print_unpriced(found)
    else:
        click.echo("Every model that was seen has a price.")
    click.get_current_context().exit(EXIT_UNPRICED if found else 0)


def _holding(periods: Sequence[Mapping[str, Json]], at: datetime) -> list[Mapping[str, Json]]:
    """Return the period that holds at a time, if any."""
    begun = [period for period in periods if datetime.fromisoformat(period["valid_from"]) <= at]
    return begun[-1:]


def _say_unknown(model: str, provider: str, at: datetime | None) -> None:
    of = f" of {provider}" if provider else ""
    then = f" at {at:%Y-%m-%d}" if at is not None else ""
    click.echo(
        f"No price is known for {model}{of}{then}. Write one into the file that price_file names:"
        f'\n\n[[price]]\nmodel = "{model}"\ninput = 0.5    # USD per million tokens\noutput = 1.5',
        err=True,
    )


def _print_periods(periods: Sequence[Mapping[str, Json]], currency: Currency) -> None:
    from rich.table import Table

    rates = [(title, name) for title, name in _RATES if any(any(period[name]) for period in periods)]
    has_request = any(any(period["request_usd"]) for period in periods)
    extras = _extras_in(periods)
    titles = [*(title for title, _ in rates), *map(_extra_title, extras)]
    table = Table("from", "hours (UTC)", "service tier", "input above", *titles, box=None)
    for column in table.columns[3:]:
        column.justify = "right"
    for title in (["per request"] if has_request else []) + ["source"]:
        table.add_column(title, justify="left" if title == "source" else "right")
    for period in periods:
        for number, start in enumerate(period["tier_starts"]):
            cells = [_rate(currency, period[name][number]) for _, name in rates]
            prices = _extra_prices(period, number)
            cells += [_rate(currency, prices.get(name), 1e-6 if name in _SEARCHES else 1) for name in extras]
            request = [_rate(currency, period["request_usd"][number], 1e-6)] if has_request else []
            hours = _hours(period["from_s"][number], period["until_s"][number])
            tier, above = period["service_tiers"][number], f"{start:,}" if start else ""
            table.add_row(_since(period), hours, tier, above, *cells, *request, period["version"])
    table_console().print(table)
    click.echo(
        f"\n{currency.code} per million tokens. A call is priced whole by the last line that holds for it."
    )


def _extras_in(periods: Sequence[Mapping[str, Json]]) -> list[str]:
    """Return what is billed beside plain tokens, in a fixed order."""
    named = {unit for period in periods for units in period["extra_units"] for unit in units}
    return [unit for unit in EXTRA_UNITS if unit in named]


def _extra_title(unit: str) -> str:
    return (
        f"per {unit[: -len('es')].replace('_', ' ')}"
        if unit in _SEARCHES
        else unit[: -len("_tokens")].replace("_", " ")
    )


def _extra_prices(period: Mapping[str, Json], number: int) -> dict[str, float]:
    """Return what each of them costs in all, per million."""
    plain = {name: period[column][number] for name, column in _PLAIN if period[column][number] is not None}
    return extra_prices(period["extra_units"][number], period["extra_usd"][number], plain)


def _rate(currency: Currency, usd: float | None, factor: float = 1.0) -> str:
    return "" if usd is None else currency.show(usd * factor)


def _since(period: Mapping[str, Json]) -> str:
    at = datetime.fromisoformat(period["valid_from"])
    return "always" if at <= _EVER else f"{at:%Y-%m-%d}"


def _hours(from_s: int, until_s: int) -> str:
    if (from_s, until_s) == (0, _DAY_S):
        return ""
    return f"{_clock(from_s)}–{_clock(until_s)}"


def _clock(second: int) -> str:
    return (
        f"{timedelta(seconds=second).seconds // 3600 if second < _DAY_S else 24:02}:{second % 3600 // 60:02}"
    )


def _print_unpriced(found: Sequence[Mapping[str, Json]]) -> None:
    from rich.table import Table

    table = Table("model", "provider", "calls", "tokens", "last seen (UTC)", "projects", "", box=None)
    for column in table.columns[2:4]:
        column.justify = "right"
    for each in found:
        advice = "has a price now: gnomon reprice" if each["is_known_now"] else ""
        table.add_row(
            each["model"],
            each["provider"],
            f"{each['calls']:,}",
            f"{each['tokens']:,}",
            each["last_hour"][:16].replace("T", " "),
            ", ".join(each["projects"]),
            advice,
        )
    table_console().print(table)
    click.echo(
        "\nWrite their prices into the file that price_file names, then run: gnomon reprice --since DATE",
        err=True,
    )
