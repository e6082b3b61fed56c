"""The composition root: starts the parts in order, stops them in reverse.

The collector and the dashboard each have an event loop, port and thread of their own, so that a slow page
does not hold up an acknowledgement. Parts are named by import string and loaded only when wanted.
"""

from __future__ import annotations

import importlib
import ipaddress
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from fastapi import FastAPI

from gnomon_collector.admin import AdminParts, InboxStatus, admin_router
from gnomon_collector.api.router import ApiParts, reading_router
from gnomon_collector.bounded_bodies import MOST_BYTES, BoundedBodies, explain_invalid
from gnomon_collector.errors import ConfigError
from gnomon_collector.identity import provider_of
from gnomon_collector.ingest.allow import AllowBook, add_allow_route
from gnomon_collector.ingest.app import IngestParts, add_ingest_routes
from gnomon_collector.ingest.authorize import Authorize, authorize_all, authorize_by_key
from gnomon_collector.ingest.flusher import Flusher
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.intake import Intake
from gnomon_collector.ingest.metrics import IngestMetrics
from gnomon_collector.ingest.otlp_grpc import OtlpGrpcServer
from gnomon_collector.ingest.rollup_worker import RollupWorker
from gnomon_collector.jobs import JobBoard, JobParts, JobRunner
from gnomon_collector.operations.operator import Operator
from gnomon_collector.operations.registry import run as run_operation
from gnomon_collector.price_desk import LocalDesk, PriceDesk
from gnomon_collector.runfile import DataDirLock, ServerFile, remove_server_file, write_server_file
from gnomon_collector.settings import Settings
from gnomon_collector.store.access import KeyRing, create_key, list_keys
from gnomon_collector.store.engine import Store, open_store
from gnomon_collector.store.engine_text import release_engine_text
from gnomon_collector.store.migrations import migrate
from gnomon_collector.store.price_source import PriceSource
from gnomon_collector.store.prices import are_in_step, refresh_prices
from gnomon_collector.store.users import create_user, list_users, new_password
from gnomon_collector.web_servers import WebServers, shown_host
from gnomon_schemas.money import Currency

DASHBOARD = "gnomon_dashboard.app:create_dashboard"
# Each takes `JobParts` and returns its jobs.
JOBS: Sequence[str] = (
    "gnomon_collector.alerts.job:create_alert_jobs",
    "gnomon_collector.operations.retention:create_retention_jobs",
    "gnomon_collector.operations.trace_summaries:create_trace_summaries_jobs",
    "gnomon_collector.drift.job:create_drift_jobs",
    "gnomon_collector.quality.job:create_judge_jobs",
)
DEFAULT_PROJECT = "default"
ADMIN_USER = "admin"

_SECRET_FILE = "session-secret"


def run(settings: Settings, parts: Sequence[str]) -> None:
    """Run the server until SIGINT or SIGTERM.

    One that comes while the server starts stops it as soon as it has; the second ends the process at once.

    Args:
        settings: of this process.
        parts: of ``collector``, ``dashboard``, ``jobs``.

    Raises:
        ConfigError: settings that do not go together, or a port is taken.
        DataDirHeld: another process works in the data directory.
        StoreError: the database cannot be opened or migrated.
    """
    _check(settings)
    prices = PriceSource(settings.price_file)
    _configure_logging(settings)
    stop = threading.Event()
    with _set_by_signals(stop), ExitStack() as stack:
        _start(settings, parts, prices, stack, stop)
        stop.wait()


def _check(settings: Settings) -> None:
    provider_of(settings)
    if settings.auth == "off" and not _is_loopback(settings.host):
        raise ConfigError(
            f"auth = off lets everybody in, so it works on loopback only, not on {settings.host}."
            " Set --host 127.0.0.1, or leave authentication on."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _configure_logging(settings: Settings) -> None:
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _start(
    settings: Settings, parts: Sequence[str], prices: PriceSource, stack: ExitStack, stop: threading.Event
) -> None:
    lock = DataDirLock.acquire(settings.data_dir)
    stack.callback(lock.release)
    # The embedded engine writes a cache of the OTLP schema to the current directory, which may be anybody's.
    os.chdir(settings.data_dir)
    store = stack.enter_context(open_store(settings.store_url, data_dir=settings.data_dir))
    migrate(store, cluster=settings.cluster or None)
    first = _first_credentials(store) if settings.auth == "on" else None
    keys = stack.enter_context(KeyRing(store))
    token = secrets.token_urlsafe(32)
    servers = WebServers(settings.host, stack, stop)
    http_url = ui_url = ""
    grpc_address = ""
    collector: IngestParts | None = None
    jobs = JobBoard()
    if "collector" in parts:
        if not are_in_step(store, prices.versions):
            refresh_prices(store, prices.periods)
        collector = _start_collector(settings, store, keys, prices, stack)
        grpc_address = _start_grpc(settings, collector, stack)
        app = collector_app(collector, keys, token, LocalDesk(store, prices), jobs)
        collector.metrics.watch_jobs(jobs.status)
        http_url = servers.start("gnomon-http", app, settings.otlp_http_port, "--otlp-http-port")
    if "dashboard" in parts:
        inbox = collector.inbox if collector else stack.enter_context(closing(_inbox(settings)))
        watched = _observed(store, collector, "dashboard")
        dashboard = _dashboard_app(settings, watched, http_url, _operate(settings, store, inbox, keys))
        ui_url = servers.start("gnomon-ui", dashboard, settings.ui_port, "--ui-port")
    if "jobs" in parts:
        runner = _start_jobs(JobParts(settings, store, settings.public_url or ui_url, prices), stack)
        jobs.watch(runner.status)
    if store.is_embedded:
        # A third of what is resident then. Little of it is used again: docs/adr/0026.
        release_engine_text()
    if http_url:
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        server = ServerFile(os.getpid(), http_url, ui_url, token, started_at, grpc_address)
        write_server_file(settings.data_dir, server)
        stack.callback(remove_server_file, settings.data_dir)
    _greet(settings, http_url, grpc_address, ui_url, first)


@dataclass(frozen=True)
class _Credentials:
    """What the first start makes and prints once."""

    password: str
    ingest_key: str


def _first_credentials(store: Store) -> _Credentials | None:
    """Make the first user and key where there are none yet."""
    password = key = ""
    if not list_users(store):
        password = new_password()
        create_user(store, ADMIN_USER, password, "admin")
    if not list_keys(store):
        key = create_key(store, DEFAULT_PROJECT, "ingest", "first start").key
    return _Credentials(password, key) if password or key else None


def _start_collector(
    settings: Settings, store: Store, keys: KeyRing, prices: PriceSource, stack: ExitStack
) -> IngestParts:
    """Open the inbox and start the threads that empty it."""
    inbox = stack.enter_context(closing(_inbox(settings)))
    flusher = Flusher(inbox, store, prices.periods, settings.cluster)
    for worker in (flusher, RollupWorker(inbox, store)):
        stack.callback(worker.stop)
        worker.start()
    authorize: Authorize = authorize_by_key(keys) if settings.auth == "on" else authorize_all
    return IngestParts(settings, authorize, inbox, store, IngestMetrics(inbox, flusher.stats), keys.settings)


def _inbox(settings: Settings) -> Inbox:
    return Inbox(settings.data_dir / "inbox.sqlite", settings.inbox_max_bytes)


def _start_grpc(settings: Settings, collector: IngestParts, stack: ExitStack) -> str:
    """Start OTLP over gRPC and return its address."""
    intake = Intake(
        settings,
        collector.authorize,
        collector.inbox,
        collector.metrics,
        collector.limits,
        collector.quotas,
    )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    server = OtlpGrpcServer(intake, host, settings.otlp_grpc_port, "--otlp-grpc-port")
    stack.callback(server.stop)
    return f"{shown_host(settings.host)}:{server.port}"


def _start_jobs(parts: JobParts, stack: ExitStack) -> JobRunner:
    runner = JobRunner([job for reference in JOBS for job in _load(reference)(parts)])
    stack.callback(runner.stop)
    runner.start()
    return runner


def collector_app(
    collector: IngestParts, keys: KeyRing, token: str, prices: PriceDesk, jobs: JobBoard
) -> FastAPI:
    """Return the collector's HTTP side with all its routes."""
    settings, inbox = collector.settings, collector.inbox
    app = FastAPI(title="Gnomon", **_BARE)
    add_ingest_routes(app, collector)
    add_allow_route(app, collector.authorize, AllowBook(collector.store, settings.allow_when_unknown))
    admin = AdminParts(
        _observed(collector.store, collector, "admin"),
        keys,
        token,
        settings.data_dir,
        settings.cluster,
        lambda: InboxStatus(inbox.waiting_requests, inbox.waiting_bytes),
        _operate(settings, collector.store, inbox, keys),
        prices,
        jobs.status,
    )
    app.include_router(reading_router(ApiParts(_observed(collector.store, collector, "api"), keys, token)))
    app.include_router(admin_router(admin))
    explain_invalid(app)
    app.add_middleware(BoundedBodies, most_bytes=_most_bytes)
    return app


def _most_bytes(path: str) -> int | None:
    """Return the limit of a body; what services send is limited by the settings, after decompression too."""
    return MOST_BYTES if path.startswith("/api/v1/") else None


def _observed(store: Store, collector: IngestParts | None, part: str) -> Store:
    """Return the store as a part of the server uses it: how long its statements take is in the metrics."""
    return store.observed(collector.metrics.query_timer(part)) if collector else store


def _operate(
    settings: Settings, store: Store, inbox: Inbox, keys: KeyRing
) -> Callable[[str, str, Mapping[str, Any]], object]:
    def operate(name: str, actor: str, arguments: Mapping[str, Any]) -> object:
        operator = Operator(
            store, inbox, settings.data_dir, actor, keys_changed=keys.refresh, settings=settings
        )
        return run_operation(name, operator, arguments)

    return operate


# FastAPI reports its own requests to a global TracerProvider when there is one: not to ours. Its pages of
# documentation are open to everybody and load scripts from another host.
_BARE: dict[str, Any] = {
    "telemetry": {"tracing": False, "metrics": False, "logs": False},
    "openapi_url": None,
    "docs_url": None,
    "redoc_url": None,
}


def _dashboard_app(settings: Settings, store: Store, http_url: str, operate: Callable[..., object]) -> Any:
    create = _load(DASHBOARD)
    return create(
        store,
        secret=_session_secret(settings),
        endpoint=http_url or f"http://127.0.0.1:{settings.otlp_http_port}",
        auth_required=settings.auth == "on",
        secure_cookies=settings.secure_cookies,
        currency=Currency(settings.currency, settings.currency_per_usd),
        operate=operate,
        provider=provider_of(settings),
    )


def _load(reference: str) -> Callable[..., Any]:
    module, _, name = reference.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return loaded


def _session_secret(settings: Settings) -> str:
    """Return the secret that signs sessions: made once, so that a restart logs nobody out."""
    path = settings.data_dir / _SECRET_FILE
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        secret = secrets.token_urlsafe(48)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret)
        return secret


@contextmanager
def _set_by_signals(stop: threading.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set `stop`. The first gives both their meaning back."""

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: FrameType | None) -> None:
        restore()
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        restore()


def _greet(
    settings: Settings, http_url: str, grpc_address: str, ui_url: str, first: _Credentials | None
) -> None:
    """Say on stdout where everything is; passwords and keys only at the start that made them."""
    lines = ["", "Gnomon is running."]
    if ui_url:
        lines.append(f"  dashboard   {ui_url}")
    if http_url:
        lines.append(f"  OTLP/HTTP   {http_url}/v1/traces")
        lines.append(f"  OTLP/gRPC   {grpc_address}")
    lines.append(f"  data        {settings.data_dir}")
    if settings.auth == "off":
        lines.append("  Authentication is off: everybody on this machine may read and write.")
    if first is not None:
        lines += ["", "Made now and shown only this once:"]
        if first.password:
            lines.append(f"  login       {ADMIN_USER} / {first.password}")
        if first.ingest_key:
            lines.append(f"  ingest key  {first.ingest_key}   (project {DEFAULT_PROJECT})")
    lines += ["", "Ctrl-C stops it.", ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()
