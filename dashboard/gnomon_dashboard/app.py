"""`create_dashboard`: the dashboard as an ASGI application."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from dash import Dash
from fastapi import FastAPI, Request
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import JSONResponse, Response

from gnomon_collector.bounded_bodies import MOST_BYTES, BoundedBodies, explain_invalid
from gnomon_collector.errors import StoreError
from gnomon_collector.identity import Provider
from gnomon_collector.store import sessions, users
from gnomon_collector.store.engine import Store
from gnomon_collector.store.sessions import SESSION_S
from gnomon_collector.store.users import User
from gnomon_dashboard import (
    alert_writes,
    auth,
    dataset_routes,
    failures,
    headers,
    panel_routes,
    review_routes,
    rights,
    rows,
    settings_writes,
    span_routes,
    writes,
)
from gnomon_dashboard.components.shell import shell
from gnomon_dashboard.components.still import packed
from gnomon_dashboard.context import Context, ProjectList, utc_now
from gnomon_dashboard.currency import ShownCurrency
from gnomon_dashboard.login_throttle import LoginThrottle
from gnomon_dashboard.pages import frame
from gnomon_dashboard.pages.catalogue import PAGES
from gnomon_dashboard.paths import Pages
from gnomon_dashboard.translation import Translation
from gnomon_schemas.money import Currency

_MOST_BYTES_OF_STRANGERS: Final = 64 * 1024
_INDEX: Final = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{%title%}</title>
<link rel="icon" href="/assets/favicon.svg" type="image/svg+xml">
<script src="/assets/boot.js"></script>
{%css%}
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


@dataclass(frozen=True, slots=True)
class StoreAccounts:
    """Users and sessions as the store keeps them."""

    store: Store

    def verify(self, username: str, password: str) -> User | None:
        return users.verify_password(self.store, username, password)

    def begin(self, user: User) -> str:
        return sessions.begin_session(self.store, user)

    def find(self, token: str) -> User | None:
        return sessions.session_user(self.store, token)

    def end(self, token: str) -> None:
        sessions.end_session(self.store, token)


def create_dashboard(
    store: Store,
    *,
    secret: str,
    endpoint: str = "http://127.0.0.1:4318",
    auth_required: bool = True,
    secure_cookies: bool = False,
    currency: Currency | None = None,
    operate: settings_writes.Operate | None = None,
    provider: Provider | None = None,
    now: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """Return the dashboard, an ASGI application of its own: it must not share an app or a port with an API.

    Args:
        store: where everything is read from; it stays open as long as the application runs.
        secret: signs the session cookies; 32 random characters or more, the same after a restart.
        endpoint: address that services send to, shown to who has no data yet.
        auth_required: False lets everyone in; for a server that listens on loopback only.
        secure_cookies: True where the dashboard is reached over TLS.
        currency: what amounts are shown in; US dollars unless given.
        operate: runs an operation of the collector, for the page Settings; None leaves it read-only.
        provider: identity provider that people may log in with; None for passwords alone.
        now: the clock, in UTC.

    Raises:
        ValueError: `secret` is too short.
    """
    if len(secret) < 32:
        raise ValueError("The dashboard's secret must have at least 32 characters.")
    # FastAPI would report its own requests to the host's OpenTelemetry, which may be ours
    server = FastAPI(
        telemetry={"tracing": False, "metrics": False, "logs": False},
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    # pages ask a store that holds every statement to what the person may see
    held = cast(Store, rights.RightsStore(store))
    context = Context(held, ProjectList(store), endpoint, now)
    checked = auth.Sessions(StoreAccounts(store))
    rows.add_routes(server, context)
    span_routes.add_routes(server, context)
    writes.add_routes(server, context)
    alert_writes.add_routes(server, context)
    dataset_routes.add_routes(server, context)
    review_routes.add_routes(server, context)
    settings_writes.add_routes(server, store, operate)
    panel_routes.add_routes(server, context, [panel for page in PAGES for panel in page.panels])
    auth.add_routes(server, checked, LoginThrottle(store), provider.label if provider else "")
    if provider is not None:
        from gnomon_dashboard import oidc  # authlib takes its time to import

        oidc.add_routes(server, store, checked, provider)
    explain_invalid(server)
    server.add_exception_handler(rights.NotAllowed, _refused)
    server.add_exception_handler(StoreError, _no_database)
    server.add_middleware(failures.LoggedFailures)
    dash = _dash(server, context, auth_required)
    server.add_middleware(ShownCurrency, currency=currency or Currency())
    _add_middleware(server, dash, checked, secret, auth_required, secure_cookies)
    return server


async def _refused(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=403)


async def _no_database(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=503)


def _dash(server: FastAPI, context: Context, auth_required: bool) -> Dash:
    # Dash sets the level of its logger and prints to standard output unless told not to
    dash = Dash(
        "gnomon_dashboard",
        server=server,  # type: ignore[arg-type]  # Dash's annotation forgets FastAPI
        title="Gnomon",
        update_title="",
        index_string=_INDEX,
        serve_locally=True,
        suppress_callback_exceptions=True,
        assets_ignore=r"boot\.js|favicon\.svg",
        add_log_handler=False,
        enable_mcp=False,
        use_pages=False,
        pages_folder="",
    )
    # callbacks go over HTTP, where the guard sees them
    dash.backend.websocket_capability = False
    dash.layout = packed(shell(PAGES, user_menu=auth_required))
    frame.register(dash, context, PAGES)
    for page in PAGES:
        page.register(dash, context)
    logging.getLogger("dash").setLevel(logging.WARNING)
    return dash


def _add_middleware(
    server: FastAPI,
    dash: Dash,
    checked: auth.Sessions,
    secret: str,
    auth_required: bool,
    secure_cookies: bool,
) -> None:
    """The last one added is the outermost."""
    server.add_middleware(Translation)
    server.add_middleware(Pages)
    server.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    if auth_required:
        server.add_middleware(auth.Guard, sessions=checked)
    else:
        server.add_middleware(auth.SameSiteOnly)
    server.add_middleware(
        SessionMiddleware,
        secret_key=secret,
        session_cookie=auth.SESSION_COOKIE,
        max_age=SESSION_S,
        same_site="lax",
        https_only=secure_cookies,
    )
    server.add_middleware(BoundedBodies, most_bytes=_most_bytes)
    server.add_middleware(headers.SecurityHeaders, script_hashes=_script_hashes(dash))


def _most_bytes(path: str) -> int:
    """Return the limit of a body; to the paths that are open to everybody nobody has much to say."""
    return _MOST_BYTES_OF_STRANGERS if path in auth.PUBLIC else MOST_BYTES


def _script_hashes(dash: Dash) -> list[str]:
    hashes: list[Any] = list(dash.csp_hashes())
    return [str(one) for one in hashes]
