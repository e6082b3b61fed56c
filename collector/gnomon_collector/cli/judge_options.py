"""Options that several commands of ``gnomon judge`` have."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import click

EXIT_BELOW = 3
_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

_Function = TypeVar("_Function", bound=Callable[..., object])


class Moment(click.ParamType[datetime]):
    """A time: ``7d`` ago, ``now``, or ISO 8601 (UTC when it says no zone)."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value)
        ago = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", text)
        if text == "now" or ago:
            seconds = float(ago.group(1)) * _UNITS[ago.group(2)] if ago else 0.0
            return datetime.now(UTC) - timedelta(seconds=seconds)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no time: 30m, 24h, 7d, now, or 2026-11-23T10:00.", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def in_project(command: _Function) -> _Function:
    """Give a command ``--project``."""
    return click.option("--project", required=True, help="Project to look at.")(command)


def in_time(command: _Function) -> _Function:
    """Give a command ``--since`` and ``--until``."""
    since = click.option(
        "--since", type=Moment(), default="7d", show_default=True, help="From: 24h, 7d, or ISO 8601 (UTC)."
    )
    until = click.option("--until", type=Moment(), default="now", show_default=True, help="To, likewise.")
    return since(until(command))


def of_evaluators(command: _Function) -> _Function:
    """Give a command ``-e``."""
    return click.option(
        "-e", "--evaluator", "evaluators", multiple=True, help="Only this one; may be given several times."
    )(command)


def what(command: _Function) -> _Function:
    """Give a command ``--unit`` and ``--rate``."""
    unit = click.option(
        "--unit",
        type=click.Choice(("span", "trace", "session")),
        default="span",
        show_default=True,
        help="Judge single calls, whole traces, or whole conversations.",
    )
    rate = click.option(
        "--rate",
        type=click.FloatRange(0, 1, min_open=True),
        default=1.0,
        show_default=True,
        help="Share to draw.",
    )
    return unit(rate(command))


def as_json(command: _Function) -> _Function:
    """Give a command ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")(command)


def fail_under(command: _Function) -> _Function:
    """Give a command ``--fail-under``."""
    return click.option(
        "--fail-under",
        type=click.FloatRange(0, 1),
        help=f"Exit code {EXIT_BELOW} when the mean of an evaluator is lower, or nothing was judged; for CI.",
    )(command)
