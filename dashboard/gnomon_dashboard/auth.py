"""Who may see the dashboard: sessions, login with throttling, and the guard in front of every route.

The session is a random text in a signed cookie (HttpOnly, SameSite=Lax); what it stands for is in the
database. A request that changes something must come from our own pages: browsers say so in
``Sec-Fetch-Site``, older ones by ``Origin``.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Form, Request
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gnomon_collector.errors import StoreError
from gnomon_collector.store.users import User
from gnomon_dashboard import rights, state
from gnomon_dashboard.login_throttle import LoginThrottle
from gnomon_dashboard.paths import is_page

SESSION_COOKIE: Final = "gnomon_session"
_TOKEN: Final = "session"
_PUBLIC_PREFIXES: Final = ("/assets/",)
OIDC_LOGIN: Final = "/oidc/login"
OIDC_CALLBACK: Final = "/oidc/callback"
PUBLIC: Final = ("/login", OIDC_LOGIN, OIDC_CALLBACK)
"""Paths that are open to everybody."""
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")

Clock = Callable[[], float]


class Accounts(Protocol):
    """Where users and sessions are kept. The methods may block; they are called in a thread."""

    def verify(self, username: str, password: str) -> User | None:
        """Return the user when the password is right."""

    def begin(self, user: User) -> str:
        """Start a session and return the text for its cookie."""

    def find(self, token: str) -> User | None:
        """Return whose session it is, None when it has ended."""

    def end(self, token: str) -> None:
        """End a session."""


@dataclass
class Sessions:
    """Whose session it is, asked for again after `fresh_s` seconds: so long may an ended one live on.

    While the database does not answer, what it said last holds for `keep_s` seconds, so that pages can say
    what is wrong.
    """

    accounts: Accounts
    clock: Clock = time.monotonic
    fresh_s: float = 2.5
    keep_s: float = 60.0
    _known: dict[str, tuple[User | None, float]] = field(default_factory=dict)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def begin(self, session: MutableMapping[str, Any], user: User) -> None:
        """Start a session for who has just logged in. What the cookie said before is forgotten."""
        session.clear()
        session[_TOKEN] = await asyncio.to_thread(self.accounts.begin, user)

    async def person(self, session: Mapping[str, Any]) -> User | None:
        """Return who is logged in.

        Raises:
            StoreError: the database does not answer, and said nothing of this session lately.
        """
        token = session.get(_TOKEN)
        if not isinstance(token, str):
            return None
        async with self._asking:  # one of the many requests of a page asks for all of them
            return await self._found(token)

    async def end(self, session: MutableMapping[str, Any]) -> None:
        """End a session in every browser that has its cookie."""
        token = session.get(_TOKEN)
        session.clear()
        if isinstance(token, str):
            async with self._asking:  # a question under way must not be answered after the end
                await asyncio.to_thread(self.accounts.end, token)
                self._known[token] = (None, self.clock())

    async def _found(self, token: str) -> User | None:
        known, asked = self._known.get(token, (None, float("-inf")))
        age_s = self.clock() - asked
        if age_s < self.fresh_s:
            return known
        try:
            found = await asyncio.to_thread(self.accounts.find, token)
        except StoreError:
            if age_s < self.keep_s:
                return known
            raise
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[token] = (found, self.clock())
        return found


class Guard:
    """ASGI middleware: lets in who has a session, and says for the request who it is (`rights`).

    Refuses requests forged by other sites. Must run inside starlette's SessionMiddleware. Pages redirect to
    the login, everything else answers 401; the page of a project that the person may not see answers 403.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self.app = app
        self.sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # no page of ours uses one
            await send({"type": "websocket.close", "code": 4003})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        elif _is_forged(scope):
            await _refused(scope, receive, send)
        elif scope["path"] in PUBLIC or scope["path"].startswith(_PUBLIC_PREFIXES):
            await self.app(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            person = await self.sessions.person(scope.get("session", {}))
        except StoreError as error:
            answer = PlainTextResponse(f"Nobody can be let in now: {error}\n", status_code=503)
            await answer(scope, receive, send)
            return
        if person is None:
            await _to_login(scope)(scope, receive, send)
            return
        with rights.asked_by(person):
            refusal = _forbidden_page(scope, person)
            await (refusal or self.app)(scope, receive, send)


def _to_login(scope: Scope) -> Response:
    path = scope["path"]
    if scope["method"] in _SAFE_METHODS and is_page(path):
        query = scope["query_string"].decode("latin-1")
        return RedirectResponse(
            f"/login?next={quote(path + (f'?{query}' if query else ''))}", status_code=303
        )
    return JSONResponse({"error": "not logged in"}, status_code=401)


def _forbidden_page(scope: Scope, person: User) -> Response | None:
    """Return a readable 403 for the page of a project that the person may not see."""
    if not is_page(scope["path"]):
        return None
    project = state.parse(scope["query_string"].decode("latin-1")).project
    if project and not person.may("viewer", project):
        said = f"You have no role on the project {project}. An admin of this server can give you one."
    elif not person.sees_all and not person.project_roles:
        said = f"{person.username} has no role on any project yet. An admin of this server can give you one."
    else:
        return None
    return HTMLResponse(_filled("forbidden.html", message=escape(said)), status_code=403)


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
            with rights.asked_by(rights.EVERYBODY):
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


def add_routes(app: FastAPI, sessions: Sessions, throttle: LoginThrottle, other: str = "") -> None:
    """Add ``GET /login``, ``POST /login`` and ``POST /logout``.

    Args:
        other: name of the identity provider that people may log in with instead; "" for none.
    """

    @app.get("/login", include_in_schema=False)
    async def show_login(request: Request, next: str = "/") -> Response:
        if await sessions.person(request.session):
            return RedirectResponse(safe_next(next), status_code=303)
        return HTMLResponse(login_page(safe_next(next), other=other))

    @app.post("/login", include_in_schema=False)
    async def log_in(
        request: Request,
        username: str = Form("", max_length=200),
        password: str = Form("", max_length=1000),
        next: str = Form("/", max_length=4000),
    ) -> Response:
        keys = (f"user {username}", f"address {request.client.host if request.client else ''}")
        wait_s = await throttle.admit(*keys)
        if wait_s > 0:
            message = f"Too many failed attempts. Try again in {int(wait_s) + 1} s."
            page = login_page(safe_next(next), message, username, other)
            return HTMLResponse(page, status_code=429, headers={"Retry-After": str(int(wait_s) + 1)})
        user = await asyncio.to_thread(sessions.accounts.verify, username, password)
        if user is None:
            return HTMLResponse(
                login_page(safe_next(next), "Wrong user name or password.", username, other), status_code=401
            )
        await throttle.succeeded(*keys)
        await sessions.begin(request.session, user)
        return RedirectResponse(safe_next(next), status_code=303)

    @app.post("/logout", include_in_schema=False)
    async def log_out(request: Request) -> Response:
        await sessions.end(request.session)
        return RedirectResponse("/login", status_code=303)


def login_page(next_path: str, message: str = "", username: str = "", other: str = "") -> str:
    """Return the login page's HTML; every value is escaped. `other` names an identity provider."""
    link = (
        f'<a class="login-other" href="{OIDC_LOGIN}?next={quote(next_path)}">Log in with {escape(other)}</a>'
    )
    shown = f'<p class="login-error" role="alert">{escape(message)}</p>' if message else ""
    slots = {"message": shown, "next": escape(next_path), "username": escape(username)}
    return _filled("login.html", **slots, other=link if other else "")


def _filled(template: str, **slots: str) -> str:
    """Return a page with its slots filled; values are HTML already."""
    text = (files("gnomon_dashboard") / template).read_text(encoding="utf-8")
    for slot, value in slots.items():
        text = text.replace(f"<!--{slot}-->", value).replace(f"__{slot}__", value)
    return text
