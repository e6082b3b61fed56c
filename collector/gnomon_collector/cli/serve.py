"""``gnomon serve``."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.errors import ConfigError, DataDirHeld
from gnomon_collector.runfile import find_server

if TYPE_CHECKING:
    from gnomon_collector.settings import Settings

PARTS = ("collector", "dashboard", "jobs")
# Which part listens on the port of which setting.
_LISTENERS = {"otlp_http_port": "collector", "otlp_grpc_port": "collector", "ui_port": "dashboard"}

_Function = TypeVar("_Function", bound=Callable[..., object])


def listen_options(command: _Function) -> _Function:
    """Give a command the flags for where to listen. Their values are None when not given."""
    port = click.IntRange(0, 65_535)
    for option in (
        click.option("--ui-port", type=port, help="Port of the dashboard.  [default: 8050]"),
        click.option("--otlp-grpc-port", type=port, help="Port for OTLP over gRPC.  [default: 4317]"),
        click.option(
            "--otlp-http-port", type=port, help="Port for OTLP over HTTP and REST.  [default: 4318]"
        ),
        click.option("--host", help="Address to listen on; 0.0.0.0 is all.  [default: 127.0.0.1]"),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS), metavar="[PART]...")
@listen_options
@click.option(
    "--store", metavar="URL", help="Database, as in GNOMON_STORE.  [default: embedded, in the data directory]"
)
@data_option
def serve(parts: tuple[str, ...], **flags: object) -> None:
    """Run the collector, the dashboard and the jobs in this process, or only the parts named.

    The first start makes an admin password and an ingest key, and prints them once. Ctrl-C stops: what was
    acknowledged is on disk.

    \b
    Parts:
      collector  takes in OpenTelemetry and feedback
      dashboard  the web pages
      jobs       work in the background

    \b
    Examples:
      gnomon serve
      gnomon serve --data /var/lib/gnomon --host 0.0.0.0
      GNOMON_STORE=clickhouse://default:pw@db:8123/gnomon gnomon serve collector
    """
    settings = settings_of(**flags)
    wanted = parts or PARTS
    check_free(settings, wanted)
    from gnomon_collector.serve import run

    run(settings, wanted)


def check_free(settings: Settings, parts: Sequence[str]) -> None:
    """Make sure, before anything is started, that nobody is in the way.

    Raises:
        DataDirHeld: a server runs on the data directory already
        ConfigError: a port is taken, or the host is none of this machine's
    """
    server = find_server(settings.data_dir)
    if server is not None:
        raise DataDirHeld(
            f"Gnomon already runs on {settings.data_dir}: process {server.pid},"
            f" {server.ui_url or server.http_url}. Stop it first, or choose another directory with"
            " --data DIR.",
            pid=server.pid,
        )
    for setting, part in _LISTENERS.items():
        if part in parts:
            check_port(settings.host, getattr(settings, setting), setting)


def check_port(host: str, port: int, setting: str) -> None:
    """Make sure that `port` can be listened on. 0 always can.

    Raises:
        ConfigError: it cannot, and the flag that changes it
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except socket.gaierror:
        raise ConfigError(
            f"{host!r} is not an address of this machine. Choose another with --host."
        ) from None
    except OSError as error:
        raise ConfigError(_explain_bind(error, host, port, setting)) from None


def _explain_bind(error: OSError, host: str, port: int, setting: str) -> str:
    flag = f"--{setting.replace('_', '-')}"
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken by another program. Stop that one, or choose another with {flag} PORT."
    if error.errno == errno.EACCES:
        return f"No permission to listen on port {port}. Choose one from 1024 up with {flag} PORT."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine. Choose another with --host."
    return f"Cannot listen on {host}:{port}: {error.strerror}. Choose another port with {flag} PORT."
