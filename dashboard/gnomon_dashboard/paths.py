"""Which paths are pages: addresses that people open, follow and share."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_NO_PAGES: Final = (
    "/_dash",
    "/_reload-hash",
    "/_favicon",
    "/api/",
    "/export/",
    "/assets/",
    "/login",
    "/logout",
    "/oidc/",
)


def is_page(path: str) -> bool:
    """Return whether a GET of `path` is answered with the application's HTML."""
    return not path.startswith(_NO_PAGES)


class Pages:
    """ASGI middleware: every page is served as ``/`` is, since the browser decides what it shows.

    Dash has a route for other paths, but collects scripts and style sheets only when ``/`` is asked for (an
    address such as ``/traces`` opened first would come without), and serves the application that was made
    last in the process.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and is_page(scope["path"]):
            scope = {**scope, "path": "/", "raw_path": b"/"}
        await self.app(scope, receive, send)
