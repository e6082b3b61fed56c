"""``gnomon judge``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from gnomon_collector.cli import judge_tables
from gnomon_collector.cli.judge_options import (
    EXIT_BELOW,
    Moment,
    as_json,
    fail_under,
    in_project,
    in_time,
    of_evaluators,
    what,
)
from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.reach import Json, reach

_GROUPS = ("service", "environment", "model", "prompt", "prompt_version", "language", "company", "policy")


@click.group()
@data_option
def judge() -> None:
    """Have answers judged by a model, and see how good they are and how sure that is.

    The judge runs in `gnomon serve` once GNOMON_JUDGE_BASE_URL and GNOMON_JUDGE_MODEL are set; what it judges
    is in judge.toml. All commands work beside the running server, or without one.

    \b
    In CI, over what a test run sent to the project "ci":
      gnomon judge backfill --project ci --since 1h -e groundedness -e relevance
      gnomon judge run --project ci --since 1h --fail-under 0.9
    """


@judge.command()
@data_option
def evaluators() -> None:
    """List the evaluators, those of your own rubrics included, with their scales."""
    with reach(settings_of()) as way:
        found = way.run("judge_evaluators")
    rows = [
        (
            one["name"],
            ", ".join(one["units"]),
            ", ".join(_label(label) for label in one["labels"]),
            one["version"],
        )
        for one in found
    ]
    judge_tables.show(("evaluator", "judges", "labels", "version"), rows)


def _label(label: Mapping[str, Json]) -> str:
    return label["label"] if label["value"] is None else f"{label['label']} {label['value']:g}"


@judge.command()
@click.option("--project", default="", help="Only this project.")
@as_json
@data_option
def status(project: str, as_json: bool) -> None:
    """Show the queue, its lag, failures with their reasons, and what today's budget has left."""
    with reach(settings_of()) as way:
        found = way.run("judge_status", project=project)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        judge_tables.show_status(found)


@judge.command()
@in_project
@in_time
@of_evaluators
@what
@as_json
@data_option
def estimate(
    project: str, since: datetime, until: datetime, evaluators: Sequence[str], unit: str, rate: float,
    as_json: bool,
) -> None:  # fmt: skip
    """Say what a backfill would come to: answers, calls and USD. Nothing is queued, nothing is asked.

    \b
    Example:
      gnomon judge estimate --project shop --since 30d -e groundedness --rate 0.1
    """
    with reach(settings_of()) as way:
        found = way.run("judge_estimate", **_wanted(project, since, until, evaluators, unit, rate))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    cost = (
        "unknown (no price for this judge)"
        if found["cost_usd"] is None
        else f"about ${found['cost_usd']:.4f}"
    )
    click.echo(
        f"{found['sampled']:,} of {found['population']:,} answers, {found['calls']:,} calls, cost {cost}"
    )
    for name, basis in found["basis"].items():
        click.echo(f"  {name}: estimated from {basis}")


@judge.command()
@in_project
@in_time
@of_evaluators
@what
@data_option
def backfill(
    project: str, since: datetime, until: datetime, evaluators: Sequence[str], unit: str, rate: float
) -> None:
    """Queue judgements of the past. What the current version of an evaluator judged already is left out.

    The running server works the queue off within the day's budget; so does `gnomon judge run`. After a rubric
    or the judge's model changed, the same command judges the same answers again, by the new version.
    """
    with reach(settings_of()) as way:
        found = way.run("judge_backfill", **_wanted(project, since, until, evaluators, unit, rate))
    click.echo(f"{found['queued']:,} judgements queued, {found['waiting']:,} wait.")


@judge.command()
@in_project
@in_time
@of_evaluators
@click.option("--most-s", type=float, default=600.0, show_default=True, help="Stop after so many seconds.")
@fail_under
@data_option
def run(
    project: str, since: datetime, until: datetime, evaluators: Sequence[str], most_s: float,
    fail_under: float | None,
) -> None:  # fmt: skip
    """Work off the queue of a project now, then show the scores.

    Exit code 0 when all is judged, 1 when something is left (the judge does not answer, the time is up), 3
    when a mean is under --fail-under.
    """
    with reach(settings_of()) as way:
        done = way.run("judge_run", project=project, most_s=most_s)
        asked_until = max(until, datetime.now(UTC))
        found = way.run(
            "judge_scores",
            project=project,
            since=_iso(since),
            until=_iso(asked_until),
            evaluators=list(evaluators),
        )
    click.echo(
        f"{done['judged']:,} judged, {done['failed']:,} failed, {done['waiting']:,} left,"
        f" ${done['cost_usd']:.4f}, {done['seconds']:.0f} s"
    )
    if done["trouble"]:
        click.echo(f"The judge does not answer: {done['trouble']}", err=True)
    if done["is_paused"]:
        click.echo("The judge is paused: gnomon judge resume", err=True)
    judge_tables.show_scores(found, "")
    _exit(found, fail_under, is_incomplete=bool(done["waiting"]))


@judge.command()
@in_project
@in_time
@of_evaluators
@click.option(
    "--by", type=click.Choice(_GROUPS), help="One row for each; differences are against all others."
)
@click.option("--change", "before", is_flag=True, help="Compare with the time of the same length before.")
@as_json
@fail_under
@data_option
def scores(
    project: str, since: datetime, until: datetime, evaluators: Sequence[str], by: str | None, before: bool,
    as_json: bool, fail_under: float | None,
) -> None:  # fmt: skip
    """Show the mean of each evaluator with its interval of 95 %, weighted by how answers were drawn.

    A star marks a difference whose interval leaves out 0.

    \b
    Examples:
      gnomon judge scores --project shop --since 7d --by prompt_version
      gnomon judge scores --project shop --since 24h --change
    """
    with reach(settings_of()) as way:
        found = way.run(
            "judge_scores", project=project, since=_iso(since), until=_iso(until),
            evaluators=list(evaluators), by=by or "", before=before,
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("Nothing was judged in that time.", err=True)
    else:
        judge_tables.show_scores(found, by or "")
    _exit(found, fail_under, is_incomplete=False)


@judge.command()
@in_project
@click.option("-e", "--evaluator", required=True, help="The evaluator to compare with people.")
@click.option("--since", type=Moment(), default="90d", show_default=True, help="Labels from then on.")
@as_json
@data_option
def calibrate(project: str, evaluator: str, since: datetime, as_json: bool) -> None:
    """Compare the judge with what people labelled: Cohen's kappa, confusion, and the best threshold.

    The threshold is kept when at least 20 answers have both labels; the page Quality then counts answers from
    that value on as good.
    """
    with reach(settings_of()) as way:
        found = way.run("judge_calibrate", project=project, evaluator=evaluator, since=_iso(since))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        judge_tables.show_calibration(found)


@judge.command()
@of_evaluators
@click.option("--injections", is_flag=True, help="Attack each case too, and see whether the judge is moved.")
@as_json
@click.option("--fail-under", type=click.FloatRange(0, 1), help="Exit code 3 when an accuracy is lower.")
@click.option("--model", default="", help="Another model of the same endpoint than GNOMON_JUDGE_MODEL.")
@click.option("--estimate", is_flag=True, help="Only say what it would cost.")
@data_option
def golden(
    evaluators: Sequence[str], injections: bool, as_json: bool, fail_under: float | None, model: str,
    estimate: bool,
) -> None:  # fmt: skip
    """Have the judge label the golden sets that come with Gnomon: how good is this judge?

    It makes a call for each case (55), and 12 more for each with --injections, within the budget that
    judge.toml gives the project gnomon-judge (else 1 USD a day), and says before what they cost.

    Without GNOMON_JUDGE_BASE_URL it asks the endpoint of OPENAI_BASE_URL (OpenAI itself unless set) with
    OPENAI_API_KEY. Beside a running server it is the server that asks, with its own settings.

    \b
    Example, against OpenAI:
      OPENAI_API_KEY=sk-... gnomon judge golden --model gpt-4.1-mini --injections
    """
    wanted: dict[str, Json] = {"evaluators": list(evaluators), "injections": injections, "model": model}
    with reach(settings_of(), may_create=True) as way:
        cost = way.run("judge_golden", **wanted, is_estimate=True)
        if not as_json:
            judge_tables.show_golden_cost(cost)
        found = cost if estimate else way.run("judge_golden", **wanted)
    if estimate:
        if as_json:
            click.echo(json.dumps(found, indent=2))
        return
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        judge_tables.show_golden(found)
    if fail_under is not None and (
        found["stopped"] or any(one["accuracy"] < fail_under for one in found["results"])
    ):
        click.get_current_context().exit(EXIT_BELOW)


@judge.command()
@in_project
@click.option("--prompt", required=True, help="Name of the prompt.")
@click.option("--first", required=True, metavar="VERSION", help="The version that is there.")
@click.option("--second", required=True, metavar="VERSION", help="The version that challenges it.")
@in_time
@click.option("--limit", type=click.IntRange(1, 5_000), default=100, show_default=True, help="Most pairs.")
@as_json
@data_option
def compare(
    project: str, prompt: str, first: str, second: str, since: datetime, until: datetime, limit: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Compare two versions of a prompt on questions that both answered.

    Each pair is judged in both orders; where the two verdicts differ, it is a tie.
    """
    with reach(settings_of()) as way:
        found = way.run(
            "judge_compare", project=project, prompt=prompt, first=first, second=second,
            since=_iso(since), until=_iso(until), limit=limit,
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    share = found["share"]
    click.echo(
        f"{second} won {found['wins']}, tied {found['ties']}, lost {found['losses']};"
        f" {found['disagreed']} of the ties by disagreement of the two orders,"
        f" {found['failed']} without a verdict; ${found['cost_usd']:.4f}"
    )
    click.echo(
        f"Share for {second}: {judge_tables.mean(share)} ({share['low']:.3f} to {share['high']:.3f});"
        " 0.5 means that neither is better."
    )


@judge.command()
@data_option
def pause() -> None:
    """Ask the judge nothing more, in all workers, until `gnomon judge resume`. The queue stays."""
    with reach(settings_of()) as way:
        way.run("judge_pause", paused=True)
    click.echo("Paused.")


@judge.command()
@data_option
def resume() -> None:
    """Let the judge go on after `gnomon judge pause`."""
    with reach(settings_of()) as way:
        way.run("judge_pause", paused=False)
    click.echo("The judge goes on.")


@judge.command()
@in_project
@data_option
def retry(project: str) -> None:
    """Queue again what failed for good, and what was skipped because a day's budget was used up."""
    with reach(settings_of()) as way:
        found = way.run("judge_retry", project=project)
    click.echo(f"{found['waiting']:,} judgements wait.")


def _wanted(
    project: str, since: datetime, until: datetime, evaluators: Sequence[str], unit: str, rate: float
) -> dict[str, Json]:
    return {
        "project": project,
        "evaluators": list(evaluators),
        "since": _iso(since),
        "until": _iso(until),
        "unit": unit,
        "rate": rate,
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _exit(found: Sequence[Mapping[str, Json]], fail_under: float | None, *, is_incomplete: bool) -> None:
    if is_incomplete:
        click.get_current_context().exit(1)
    if fail_under is None:
        return
    means = [group["mean"] for one in found for group in one["groups"]]
    if not means or any(value is None or value < fail_under for value in means):
        click.echo(f"Below {fail_under:g}." if means else "Nothing was judged.", err=True)
        click.get_current_context().exit(EXIT_BELOW)
