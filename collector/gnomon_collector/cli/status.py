"""``gnomon status``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.reach import Json, reach
from gnomon_collector.runfile import ServerFile, find_server

_KIB = 1024


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@data_option
def status(as_json: bool) -> None:
    """Show whether the server runs, its version, and how much it holds.

    Exit code 0 when a server runs on the data directory, 1 when none does.
    """
    settings = settings_of()
    server = find_server(settings.data_dir)
    with reach(settings) as way:
        found = dict(way.status())
    facts = {
        "server": "running" if server else "not running",
        **_addresses(server),
        "data": str(settings.data_dir),
        "version": version("gnomon"),
        "disk_free_bytes": shutil.disk_usage(settings.data_dir).free if settings.data_dir.exists() else None,
        **({"server_version": found.pop("version")} if "version" in found else {}),
        **found,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _print(facts)
    click.get_current_context().exit(0 if server else 1)


def _addresses(server: ServerFile | None) -> dict[str, Json]:
    if server is None:
        return {}
    return {"http_url": server.http_url, "ui_url": server.ui_url, "started_at": server.started_at}


def _print(facts: Mapping[str, Json]) -> None:
    for name, value in facts.items():
        if name == "jobs":
            _print_jobs(value)
            continue
        if value is None or value == "":
            continue
        label = name.removesuffix("_bytes").replace("_", " ")
        click.echo(f"{label:<20} {human(name, value)}")


def _print_jobs(jobs: list[Mapping[str, Json]]) -> None:
    for job in jobs:
        late = f", {job['lag_s']:.0f} s late" if job["lag_s"] else ""
        failed = f", {job['failures']:,} failed, the last: {job['last_error']}" if job["last_error"] else ""
        label = f"job {job['name']}"
        took = f"the last took {job['last_duration_s']:.2f} s"
        click.echo(f"{label:<20} {job['runs']:,} runs, {took}{late}{failed}")


def human(name: str, value: Json) -> str:
    """Show the fact called `name`: sizes with a unit, counts with thousands separators."""
    if name.endswith("_bytes"):
        return human_bytes(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if name == "pid" or not isinstance(value, int) else f"{value:,}"


def human_bytes(size: int) -> str:
    """Show a number of bytes in a unit that leaves it below 1,024."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < _KIB:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIB
    return f"{amount:.1f} TiB"
