"""The command group, and how errors end a command.

Exit codes: 0 done; 1 it did not work; 2 the command line or a setting is wrong.
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from gnomon_collector.cli.options import data_option
from gnomon_collector.errors import ConfigError, GnomonError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

# Name of a command → where it is and what the list of commands says of it.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("gnomon_collector.cli.demo:demo", "Start everything with a simulated LLM service to look at."),
    "serve": ("gnomon_collector.cli.serve:serve", "Run the collector, the dashboard and the jobs."),
    "status": ("gnomon_collector.cli.status:status", "Show whether the server runs, and what it holds."),
    "doctor": ("gnomon_collector.cli.doctor:doctor", "Check whether a service is set up to be seen."),
    "keys": ("gnomon_collector.cli.keys:keys", "Create, list and revoke API keys."),
    "users": ("gnomon_collector.cli.users:users", "Create, list and remove people who may log in."),
    "projects": ("gnomon_collector.cli.projects:projects", "Retention, quotas and masking by project."),
    "query": ("gnomon_collector.cli.query:query", "Run SQL on the spans."),
    "export": (
        "gnomon_collector.cli.export:export",
        "Write calls, traces, scores or the fine-tuning set to a file.",
    ),
    "prices": ("gnomon_collector.cli.prices:prices", "Show what models cost, and which have no price."),
    "reprice": ("gnomon_collector.cli.reprice:reprice", "Compute the cost of stored calls anew."),
    "judge": ("gnomon_collector.cli.judge:judge", "Have answers judged, and see how good they are."),
    "drift": ("gnomon_collector.cli.drift:drift", "Find what changed in inputs, answers, models and users."),
    "alerts": (
        "gnomon_collector.cli.alerts:alerts",
        "See what fires, try rules on the past, silence, test channels.",
    ),
    "budgets": ("gnomon_collector.cli.budgets:budgets", "Show who is near or over a budget."),
    "slo": ("gnomon_collector.cli.slo:slo", "Show what is left of each error budget."),
    "quarantine": ("gnomon_collector.cli.quarantine:quarantine", "Requests that the database refused."),
    "erase": ("gnomon_collector.cli.erase:erase", "Delete a user, session, trace or project for good."),
    "audit": ("gnomon_collector.cli.projects:audit", "Show who did what to data and access."),
    "backup": ("gnomon_collector.cli.backup:backup", "Copy the data directory into one file, hot."),
    "restore": ("gnomon_collector.cli.backup:restore", "Make a data directory from a backup."),
    "migrate": ("gnomon_collector.cli.migrate:migrate", "Show what the database lacks, and apply it."),
}

EPILOG = """\b
First steps:
  gnomon demo                                      look at it with made-up traffic
  gnomon serve                                     run it; the first start prints keys and a password
  gnomon keys create --project shop --scope ingest a key for a service
  gnomon query "SELECT count() FROM calls"         ask the database

\b
Settings come from flags, GNOMON_* variables and gnomon.toml, in this order.
Exit codes: 0 done, 1 it did not work, 2 the command line or a setting is wrong.
"""


class _Commands(click.Group):
    """Imports a command when it is needed, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gnomon", prog_name="gnomon")
@data_option
def cli() -> None:
    """Gnomon: observability for LLM services. OpenTelemetry in, ClickHouse inside."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code. Errors are one line on standard error."""
    try:
        code = cli.main(arguments, prog_name="gnomon", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left (`| head`). Python must not try to flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except GnomonError as error:
        click.echo(f"Error: {error}", err=True)
        return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED
    return code if isinstance(code, int) else 0
