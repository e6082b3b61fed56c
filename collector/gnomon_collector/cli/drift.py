"""``gnomon drift``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.reach import Json, reach

EXIT_DRIFT = 3
_FAIL_ON = ("never", "drift", "breach", "not-enough-data")
_FAILING: Mapping[str, frozenset[str]] = {
    "never": frozenset(),
    "drift": frozenset({"drift"}),
    "breach": frozenset({"drift", "breach"}),
    "not-enough-data": frozenset({"drift", "breach", "not_enough_data"}),
}
_COLOURS = {"drift": "bold red", "breach": "yellow", "ok": "green", "not_enough_data": "dim"}


@click.group()
@data_option
def drift() -> None:
    """Find what changed: inputs, answers, latency, cost, errors, refusals, users, model snapshots.

    The last hours are compared with the days before them, or with a pinned reference.
    """


@drift.command()
@click.option("--project", required=True, help="Project to look at.")
@click.option(
    "--hours",
    type=click.IntRange(1, 744),
    help="Length of the current window.  [default: setting drift_current_hours]",
)
@click.option(
    "--reference-days",
    type=click.IntRange(1, 400),
    help="Days before it to compare with.  [default: setting drift_reference_days]",
)
@click.option(
    "--reference", "reference", metavar="FROM..TO", help="Compare with this window instead (ISO 8601, UTC)."
)
@click.option("--at", metavar="TIME", help="End of the current window (ISO 8601, UTC).  [default: now]")
@click.option("--service", default="", help="Only the calls of this service.")
@click.option("--model", default="", help="Only the calls that asked this model.")
@click.option("--prompt", default="", metavar="NAME[:VERSION]", help="Only the calls of this prompt version.")
@click.option(
    "--texts/--no-texts", default=True, show_default=True, help="Look at samples of texts and embeddings too."
)
@click.option("--all", "with_ok", is_flag=True, help="Show the metrics that did not change too.")
@click.option(
    "--format",
    "fmt",
    type=click.Choice(("table", "json")),
    default="table",
    show_default=True,
    help="json has everything, explanations included.",
)
@click.option(
    "--fail-on",
    type=click.Choice(_FAIL_ON),
    default="never",
    show_default=True,
    help="Worst state that still ends with exit code 3; for CI.",
)
@data_option
def report(
    project: str, hours: int | None, reference_days: int | None, reference: str | None, at: str | None,
    service: str, model: str, prompt: str, texts: bool, with_ok: bool, fmt: str, fail_on: str,
) -> None:  # fmt: skip
    """Show what drifts now, computed anew from the spans.

    A metric drifts when it is over its threshold twice, an hour apart; once is a breach. Thresholds are
    effect sizes, raised where the reference's own days differ that much. Without enough calls it says so.

    \b
    Exit codes: 0 done, 1 it did not work, 2 wrong command line, 3 what --fail-on names was found.

    \b
    Examples:
      gnomon drift report --project shop
      gnomon drift report --project shop --service checkout --hours 6 --format json
      gnomon drift report --project shop --reference 2026-11-01..2026-11-08 --fail-on drift
    """
    if sum(map(bool, (service, model, prompt))) > 1:
        raise click.UsageError("Choose one of --service, --model and --prompt.")
    settings = settings_of()
    moment = _moment(at, "--at") if at else None
    window = _window(reference) if reference else None
    with reach(settings) as way:
        found = way.run(
            "drift_report",
            project=project,
            current_hours=hours or settings.drift_current_hours,
            reference_days=reference_days or settings.drift_reference_days,
            at=moment,
            reference=window,
            dimension_set=_dimension_set(service, model, prompt),
            with_texts=texts,
        )
    if fmt == "json":
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        _print(found, with_ok)
    states = {one["state"] for one in found["results"]}
    if states & _FAILING[fail_on] or (fail_on == "not-enough-data" and not states):
        click.get_current_context().exit(EXIT_DRIFT)


@drift.command()
@click.argument("window", metavar="FROM..TO", required=False)
@click.option("--project", required=True, help="Project to pin it for.")
@click.option("--trailing", is_flag=True, help="Compare with the days before again.")
@data_option
def pin(window: str | None, project: str, trailing: bool) -> None:
    """Pin the reference: compare all further traffic of a project with one window that was good.

    \b
    Examples:
      gnomon drift pin 2026-11-01..2026-11-08 --project shop
      gnomon drift pin --trailing --project shop
    """
    if bool(window) == trailing:
        raise click.UsageError("Name a window (FROM..TO), or --trailing.")
    pinned = _window(window) if window else None
    with reach(settings_of()) as way:
        way.run("pin_drift_reference", project=project, reference=pinned)
    click.echo(f"Project {project} is compared with {window or 'the days before'} from the next hour on.")


def _window(text: str) -> list[str]:
    start, separator, end = text.partition("..")
    if not separator:
        raise click.UsageError("A window is written FROM..TO, such as 2026-11-01..2026-11-08.")
    return [_moment(start, "the window"), _moment(end, "the window")]


def _moment(text: str, what: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text!r} in {what} is no time in ISO 8601 (2026-11-01T12:00).") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _dimension_set(service: str, model: str, prompt: str) -> dict[str, str] | None:
    if not (service or model or prompt):
        return None
    name, _, version = prompt.partition(":")
    return {"service_name": service, "model": model, "prompt_name": name, "prompt_version": version}


def _print(found: Mapping[str, Json], with_ok: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    shown = [one for one in found["results"] if with_ok or one["state"] in ("drift", "breach")]
    click.echo(
        f"Project {found['project']}: {_span(found['current'])} against {_span(found['reference'])} (UTC)."
    )
    if shown:
        table = Table("state", "of", "metric", "statistic", "value", "threshold", "what", box=None)
        for one in shown:
            # Text, not str: brackets in the name of somebody's prompt are not markup.
            state = Text(one["state"].replace("_", " "), style=_COLOURS.get(one["state"], ""))
            figures = (f"{one['value']:.3g}", f"{one['threshold']:.3g}") if one["statistic"] else ("", "")
            what = str(one["explanation"].get("summary", ""))
            table.add_row(state, *map(Text, (one["set"], one["metric"], one["statistic"], *figures, what)))
        table_console().print(table)
    click.echo(_closing(found["results"]))


def _closing(results: Sequence[Mapping[str, Json]]) -> str:
    counts = {state: sum(one["state"] == state for one in results) for state in _COLOURS}
    text = (
        f"{counts['drift']} drift, {counts['breach']} over the threshold for the first time,"
        f" {counts['ok']} unchanged, {counts['not_enough_data']} without enough data."
    )
    missing = next((one["explanation"]["missing"] for one in results if "missing" in one["explanation"]), "")
    return f"{text} The first of these lacks: {missing}." if missing and not counts["ok"] else text


def _span(window: Mapping[str, str]) -> str:
    return " to ".join(window[edge][:16].replace("T", " ") for edge in ("start", "end"))
