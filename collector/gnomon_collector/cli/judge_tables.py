"""How ``gnomon judge`` shows what it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import click

from gnomon_collector.cli.output import table_console
from gnomon_collector.cli.reach import Json


def show(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print a table; `right` are the columns of numbers."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*titles, box=None, header_style="bold")
    for index in right:
        table.columns[index].justify = "right"
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    table_console().print(table)


def show_status(found: Mapping[str, Json]) -> None:
    """Print what `judge_status` answers."""
    click.echo(f"Judge: {found['judge']}" if found["judge"] else found["notice"])
    if found["is_paused"]:
        click.echo("Paused. Go on with: gnomon judge resume")
    if found["judge"] and not found["price_known"]:
        click.echo(
            "The price of this judge is not known: the budget in USD cannot be held, that in calls is."
        )
    for project in found["projects"]:
        click.echo(
            f"\n{project['project']}: today ${project['spent_today_usd']:.4f}"
            f" of ${project['budget_usd']:.2f}, {project['calls_today']:,}"
            f" of {project['budget_calls']:,} calls (UTC day)"
        )
        rows = [_queue_row(one) for one in project["queue"]]
        titles = ("evaluator", "waiting", "judged", "failed", "skipped", "over budget", "lag", "reasons")
        show(titles, rows, right=range(1, 7))


def _queue_row(one: Mapping[str, Json]) -> list[str]:
    counts = [f"{one[name]:,}" for name in ("waiting", "judged", "failed", "skipped", "over_budget")]
    return [one["evaluator"], *counts, duration(one["lag_s"]), "; ".join(one["reasons"])]


def duration(seconds: float) -> str:
    """Show seconds as a person would."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def show_scores(found: Sequence[Mapping[str, Json]], by: str) -> None:
    """Print what `judge_scores` answers."""
    titles = ["evaluator", *([by] if by else []), "mean", "95 % interval", "judged", "note"]
    if any(
        "change" in group or "difference_from_others" in group for one in found for group in one["groups"]
    ):
        titles.insert(-1, "against the others" if by else "change")
    rows = []
    for one in found:
        for group in one["groups"]:
            rows.append(_score_row(one, group, by, len(titles)))
    show(titles, rows)


def _score_row(one: Mapping[str, Json], group: Mapping[str, Json], by: str, columns: int) -> list[str]:
    row = [one["evaluator"], *([group["label"] or "(none)"] if by else [])]
    row += [mean(group), f"{group['low']:.3f} to {group['high']:.3f}", f"{group['count']:,}"]
    change = group.get("difference_from_others", group.get("change"))
    if columns > len(row) + 1:
        row.append(_change(change) if change else "")
    note = "" if group["is_enough"] else f"small sample (worth {group['effective']:.0f})"
    return [*row, note]


def mean(group: Mapping[str, Json]) -> str:
    """Show a mean that may not be there."""
    return "-" if group["mean"] is None else f"{group['mean']:.3f}"


def _change(change: Mapping[str, Json]) -> str:
    if change["value"] is None:
        return "-"
    sure = " *" if change["is_significant"] else ""
    return f"{change['value']:+.3f} ({change['low']:+.3f} to {change['high']:+.3f}){sure}"


def show_calibration(found: Mapping[str, Json]) -> None:
    """Print what `judge_calibrate` answers."""
    click.echo(f"{found['evaluator']} ({found['version']})")
    click.echo(f"  judge and people   {_kappa(found['agreement'])}")
    click.echo(f"  people among them  {_kappa(found['people'])}")
    labels = found["agreement"]["labels"]
    click.echo("\nRows: what people said. Columns: what the judge said.")
    rows = [
        [label, *map(str, row)] for label, row in zip(labels, found["agreement"]["confusion"], strict=True)
    ]
    show(("", *labels), rows, right=range(1, len(labels) + 1))
    if found["threshold"] is None:
        click.echo("\nNo threshold: people, or the judge, said only one thing.")
        return
    click.echo(
        f"\nA value from {found['threshold']:g} counts as good: {_kappa(found['threshold_agreement'])}"
    )
    click.echo("Kept." if found["is_saved"] else "Not kept: too few answers have both labels.")


def _kappa(one: Mapping[str, Json]) -> str:
    answers = f"{one['pairs']} answer{'' if one['pairs'] == 1 else 's'}"
    if one["kappa"] is None:
        return f"no kappa ({answers})"
    if one["low"] is None:  # too few for an interval
        return f"too few to say: {one['observed']:.0%} equal, {answers}"
    interval = f"{one['low']:.2f} to {one['high']:.2f}"
    return f"kappa {one['kappa']:.2f} ({interval}), {one['observed']:.0%} equal, {answers}"


def show_golden_cost(cost: Mapping[str, Json]) -> None:
    """Print what the golden sets would cost, as `judge_golden` estimates it."""
    click.echo(
        f"{cost['calls']} calls of {cost['judge']}, about {_usd(cost['usd'])}, at the most"
        f" {_usd(cost['most_usd'])}; of today's budget ${cost['left_usd']:.2f} and {cost['left_calls']} calls"
        " are left."
    )


def _usd(amount: float | None) -> str:
    return "an unknown price" if amount is None else f"${amount:.3f}"


def show_golden(found: Mapping[str, Json]) -> None:
    """Print what `judge_golden` answers."""
    click.echo(f"Judge: {found['judge']}. Cost: {_usd(found['cost_usd'])}.")
    if found["stopped"]:
        click.echo(found["stopped"])
    rows = [
        [
            one["evaluator"],
            f"{one['right']} of {one['cases']}",
            f"{one['accuracy']:.0%}",
            f"{one['near']:.2f}",
            "-" if one["moved"] is None else f"{one['moved']:+.3f} ({one['attacked']} attacks)",
            str(one["failed"]),
        ]
        for one in found["results"]
    ]
    show(
        ("evaluator", "right", "accuracy", "distance", "moved by attacks", "failed"), rows, right=(1, 2, 3, 5)
    )
    for one in found["failures"]:
        click.echo(f"{one['evaluator']}: {one['calls']} without a verdict: {one['reason']}.")
