"""``gnomon demo``: the server, and beside it the demo's provider and service."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gnomon_collector.cli.options import data_option, settings_of
from gnomon_collector.cli.reach import ViaServer, server_client
from gnomon_collector.cli.serve import PARTS, check_free, listen_options
from gnomon_collector.errors import GnomonError
from gnomon_collector.runfile import ServerFile, find_server

if TYPE_CHECKING:
    from gnomon_collector.settings import Settings

DEMO_PROJECT = "demo"
DEMO_KEY_NAME = "made by gnomon demo"
_POLL_S = 0.1
_HAS_SPANS = "SELECT count() > 0 AS found FROM spans WHERE project = 'demo'"


@click.command()
@listen_options
@click.option(
    "--history-days", type=click.IntRange(0, 30), default=7, show_default=True, help="Days of made-up past."
)
@click.option(
    "--requests-per-second",
    type=click.FloatRange(0.1, 100),
    default=2.0,
    show_default=True,
    help="How busy the simulated service is.",
)
@data_option
def demo(history_days: int, requests_per_second: float, **flags: object) -> None:
    """Start everything on embedded ClickHouse, with a simulated LLM service to look at.

    A shop assistant makes real calls with the openai client against a stand-in provider on this machine,
    and is instrumented by gnomon.init() alone. Its spans are in the project "demo". Nothing leaves this
    machine. Your own service may send to the same server: give it a key from `gnomon keys create`.

    \b
    Examples:
      gnomon demo
      gnomon demo --data /tmp/look --ui-port 9000 --history-days 1
    """
    settings, provider_port = _with_judge(settings_of(**flags), flags)
    check_free(settings, PARTS)
    # Its line for each request would bury what the server has to say.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    company = _Company(settings, history_days, requests_per_second, provider_port)
    from gnomon_collector.demo.alerts import write_alerts_file
    from gnomon_collector.serve import run

    write_alerts_file(settings.data_dir)
    company.start()
    try:
        run(settings, PARTS)
    finally:
        company.stop()
    if company.error is not None:
        raise company.error


def _with_judge(settings: Settings, flags: Mapping[str, object]) -> tuple[Settings, int]:
    """Return the settings, with the stand-in as judge unless there is one, and the stand-in's port."""
    from gnomon_collector.demo.children import free_port
    from gnomon_collector.demo.judge import POLICY

    port = free_port()
    if settings.judge_base_url or settings.judge_model:
        return settings, port
    path = settings.data_dir / "demo-judge.toml"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(POLICY, encoding="utf-8")
    return settings_of(
        **flags,
        judge_base_url=f"http://127.0.0.1:{port}/v1",
        judge_model="gpt-4o-mini",
        judge_policy=settings.judge_policy or str(path),
        judge_concurrency=8,
    ), port


class _Company:
    """The demo's thread: waits for the server, then runs provider and service until it is stopped.

    Attributes:
        error: why the demo ended by itself, None as long as it did not
    """

    def __init__(
        self, settings: Settings, history_days: int, requests_per_second: float, provider_port: int
    ) -> None:
        self.error: GnomonError | None = None
        self._settings = settings
        self._history_days = history_days
        self._requests_per_second = requests_per_second
        self._provider_port = provider_port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gnomon-demo")

    def start(self) -> None:
        """Start waiting for the server."""
        self._thread.start()

    def stop(self) -> None:
        """End provider and service, and wait for it."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            server = self._wait_for_server()
            if server is not None:
                self._run_beside(server)
        except GnomonError as error:
            self.error = error
            # The server in the main thread ends the way Ctrl-C ends it.
            os.kill(os.getpid(), signal.SIGINT)

    def _wait_for_server(self) -> ServerFile | None:
        while not self._stop.wait(_POLL_S):
            server = find_server(self._settings.data_dir)
            if server is not None and server.pid == os.getpid():
                return server
        return None

    def _run_beside(self, server: ServerFile) -> None:
        from gnomon_collector.demo.run import run_demo

        with server_client(server) as client:
            way = ViaServer(client)
            days = 0 if _has_spans(way) else self._history_days
            key = fresh_key(way)
        with closing(_HistoryBar(days)) as bar:
            run_demo(
                server.http_url,
                key,
                now=datetime.now(UTC),
                logs=_log_dir(self._settings),
                stop=self._stop,
                history_days=days,
                requests_per_second=self._requests_per_second,
                provider_port=self._provider_port,
                progress=bar.show,
                started=lambda: click.echo("The shop assistant is at work; see the project demo."),
                history_sent=lambda sent: bar.finish(f"{sent.spans:,} spans of history are in."),
            )


def fresh_key(way: ViaServer) -> str:
    """Return a new ingest key for the demo, and revoke those of earlier runs."""
    for key in way.list_keys():
        if key["name"] == DEMO_KEY_NAME and key["revoked_at"] is None:
            way.revoke_key(key["key_id"])
    return str(way.create_key(DEMO_PROJECT, "ingest", DEMO_KEY_NAME)["key"])


def _has_spans(way: ViaServer) -> bool:
    return bool(json.loads(b"".join(way.query(_HAS_SPANS, "json_lines")))["found"])


def _log_dir(settings: Settings) -> Path:
    return settings.data_dir / "demo-logs"


class _HistoryBar:
    """A progress bar that goes away when the history is in."""

    def __init__(self, days: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._progress = Progress(console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(f"Sending {days} days of history", total=1.0)
        if days > 0:
            self._progress.start()

    def show(self, share: float) -> None:
        """Show that `share` (0 to 1) is done."""
        self._progress.update(self._task, completed=share)

    def finish(self, message: str) -> None:
        """Take the bar away and say something instead."""
        self.close()
        click.echo(message)

    def close(self) -> None:
        """Take the bar away. Doing so twice does no harm."""
        self._progress.stop()
