"""Options that several commands have."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from gnomon_collector.settings import Settings

_Function = TypeVar("_Function", bound=Callable[..., object])
_KEY = "gnomon_collector.data"


class _Duration(click.ParamType[timedelta]):
    """A length of time, as in 90d, 12h, 30m or 45s."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no length of time: write 90d, 12h, 30m or 45s.", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


_DURATION = re.compile(r"([1-9]\d{0,8})([dhms])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
DURATION = _Duration()


def data_option(command: _Function) -> _Function:
    """Give a command ``--data DIR``. It is not passed on: `settings_of` has it.

    The group has it too, so that it may stand before or after the command's name.
    """
    option = click.option(
        "--data",
        metavar="DIR",
        expose_value=False,
        callback=_remember,
        help="Data directory.  [default: $GNOMON_DATA, else ./gnomon-data]",
    )
    return option(command)


def settings_of(**flags: object) -> Settings:
    """Return the settings for the running command.

    Args:
        flags: values of other flags by field name, None for those not given

    Raises:
        ConfigError: a setting is wrong
    """
    from gnomon_collector.settings import load_settings

    return load_settings(data=click.get_current_context().meta.get(_KEY), **flags)


def _remember(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        context.meta[_KEY] = value
    return value
