"""``gnomon doctor``: the SDK's own check, listed among the commands."""

from __future__ import annotations

import sys

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False
)
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Check whether this environment is set up to be seen.

    Looks at the settings, the instrumented libraries, the connection, the key, and sends one span there.
    Run it where the service runs; it needs the SDK alone. `gnomon doctor --help` lists its options.
    """
    from gnomon._doctor import main

    sys.exit(main(ctx.args))
