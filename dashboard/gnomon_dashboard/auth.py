"""Who may see the dashboard: sessions, login with throttling, and the guard in front of every route.

The session is a signed cookie (HttpOnly, SameSite=Lax). A request that changes something must come from our
own pages: browsers say so in ``Sec-Fetch-Site``, older ones by ``Origin``.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Form, Request
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gnomon_dashboard.paths import is_page

SESSION_COOKIE: Final = "gnomon_session"
SESSION_S: Final = 14 * 86_400
_USER: Final = "user"
_PUBLIC_PREFIXES: Final = ("/assets/",)
_PUBLIC: Final = ("/login",)
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")

Clock = Callable[[], float]


class Accounts(Protocol):
    """Where users are kept. Both methods may block; they are called in a thread."""

    def verify(self, username: str, password: str) -> str | None:
        """Return the user's name when the password is right."""

    def exists(self, username: str) -> bool:
        """Return whether the user may still come in."""


@dataclass
class LoginThrottle:
    """Slows down guessing: from the fifth failure in a row on, each doubles the wait, up to 15 minutes.

    Failures are counted by user name and by client address; both are forgotten after a success or an hour.
    """

    clock: Clock = time.monotonic
    free_failures: int = 5
    first_wait_s: float = 5.0
    longest_wait_s: float = 900.0
    forget_after_s: float = 3600.0
    most_keys: int = 10_000
    _failures: dict[str, tuple[int, float]] = field(default_factory=dict)

    def wait_s(self, *keys: str) -> float:
        """Return for how many seconds no attempt under any of `keys` is let through; 0 when one may try."""
        now = self.clock()
        return max(0.0, *(self._blocked_until(key) - now for key in keys))

    def failed(self, *keys: str) -> None:
        """Count a failed attempt."""
        now = self.clock()
        for key in keys:
            count, last = self._failures.pop(key, (0, now))
            self._failures[key] = (1 if now - last > self.forget_after_s else count + 1, now)
        while len(self._failures) > self.most_keys:
            self._failures.pop(next(iter(self._failures)))

    def succeeded(self, *keys: str) -> None:
        """Forget the failures."""
        for key in keys:
            self._failures.pop(key, None)

    def _blocked_until(self, key: str) -> float:
        count, last = self._failures.get(key, (0, 0.0))
        over = count - self.free_failures
        return last + min(self.longest_wait_s, self.first_wait_s * 2 ** min(over, 20)) if over >= 0 else 0.0


@dataclass
class SessionCheck:
    """Asks at most once in `fresh_s` seconds whether the user of a session still exists."""

    accounts: Accounts
    clock: Clock = time.monotonic
    fresh_s: float = 30.0
    _known: dict[str, tuple[bool, float]] = field(default_factory=dict)

    async def allows(self, username: str) -> bool:
        known, asked = self._known.get(username, (False, float("-inf")))
        if self.clock() - asked < self.fresh_s:
            return known
        exists = await asyncio.to_thread(self.accounts.exists, username)
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[username] = (exists, self.clock())
        return exists


class Guard:
    """ASGI middleware: lets in who has a session; refuses requests forged by other sites.

    Must run inside starlette's SessionMiddleware. Pages redirect to the login, everything else answers 401.
    """

    def __init__(self, app: ASGIApp, check: SessionCheck) -> None:
        self.app = app
        self.check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = await self._refusal(scope)
            await (refusal or self.app)(scope, receive, send)
        elif scope["type"] == "websocket":
            # no page of ours uses one
            await send({"type": "websocket.close", "code": 4003})
        else:
            await self.app(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        if _is_forged(scope):
            return _refused
        path = scope["path"]
        if path in _PUBLIC or path.startswith(_PUBLIC_PREFIXES):
            return None
        user = scope.get("session", {}).get(_USER)
        if isinstance(user, str) and await self.check.allows(user):
            return None
        if scope["method"] in _SAFE_METHODS and is_page(path):
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(
                f"/login?next={quote(path + (f'?{query}' if query else ''))}", status_code=303
            )
        return JSONResponse({"error": "not logged in"}, status_code=401)


class SameSiteOnly:
    """ASGI middleware in place of `Guard` where everyone on this machine may come in.

    Still refused are other sites' requests, and hosts that are not this machine's own names: a foreign name
    that resolves to 127.0.0.1 would make a foreign page same-origin.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4003})
        elif scope["type"] == "http" and (_is_forged(scope) or not _is_loopback_name(Headers(scope=scope))):
            await _refused(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _is_forged(scope: Scope) -> bool:
    return scope["method"] not in _SAFE_METHODS and not is_same_site(Headers(scope=scope))


def _is_loopback_name(headers: Mapping[str, str]) -> bool:
    return urlsplit(f"//{headers.get('host', '')}").hostname in ("localhost", "127.0.0.1", "::1")


_refused: Final = JSONResponse({"error": "cross-site request refused"}, status_code=403)


def is_same_site(headers: Mapping[str, str]) -> bool:
    """Return whether a browser says that the request comes from our own origin."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")


def safe_next(target: str) -> str:
    """Return `target` when it is a path on this site, else the start page: no login sends people away."""
    is_path = target.startswith("/") and not target.startswith(("//", "/\\", "/login", "/logout"))
    return target if is_path and not any(ord(letter) < 32 for letter in target) else "/"


def add_routes(app: FastAPI, accounts: Accounts, throttle: LoginThrottle) -> None:
    """Add ``GET /login``, ``POST /login`` and ``POST /logout``."""

    @app.get("/login", include_in_schema=False)
    async def show_login(request: Request, next: str = "/") -> Response:
        if request.session.get(_USER):
            return RedirectResponse(safe_next(next), status_code=303)
        return HTMLResponse(login_page(safe_next(next)))

    @app.post("/login", include_in_schema=False)
    async def log_in(
        request: Request,
        username: str = Form("", max_length=200),
        password: str = Form("", max_length=1000),
        next: str = Form("/", max_length=4000),
    ) -> Response:
        keys = (f"user {username}", f"address {request.client.host if request.client else ''}")
        wait_s = throttle.wait_s(*keys)
        if wait_s > 0:
            message = f"Too many failed attempts. Try again in {int(wait_s) + 1} s."
            page = login_page(safe_next(next), message, username)
            return HTMLResponse(page, status_code=429, headers={"Retry-After": str(int(wait_s) + 1)})
        user = await asyncio.to_thread(accounts.verify, username, password)
        if user is None:
            throttle.failed(*keys)
            return HTMLResponse(
                login_page(safe_next(next), "Wrong user name or password.", username), status_code=401
            )
        throttle.succeeded(*keys)
        request.session.clear()
        request.session[_USER] = user
        return RedirectResponse(safe_next(next), status_code=303)

    @app.post("/logout", include_in_schema=False)
    async def log_out(request: Request) -> Response:
        request.session.clear()
        return RedirectResponse("/login", status_code=303)


def login_page(next_path: str, message: str = "", username: str = "") -> str:
    """Return the login page's HTML; every value is escaped."""
    template = (files("gnomon_dashboard") / "login.html").read_text(encoding="utf-8")
    shown = f'<p class="login-error" role="alert">{escape(message)}</p>' if message else ""
    for slot, value in (("message", shown), ("next", escape(next_path)), ("username", escape(username))):
        template = template.replace(f"<!--{slot}-->", value).replace(f"__{slot}__", value)
    return template
