"""Security headers on every answer."""

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OF_DATA: Final = "default-src 'none'; frame-ancestors 'none'"
"""The policy of what is no page: nothing is loaded by it. Short, for a page asks for fifty such things."""

_CACHED_PREFIXES: Final = ("/assets/", "/_dash-component-suites/")


def content_security_policy(script_hashes: Sequence[str]) -> str:
    """Return a policy that allows this host only, and of inline scripts only those of `script_hashes`.

    Inline styles are allowed: Plotly, Mantine and AG Grid set them. Images may be data URLs (our icons, PNG
    download of charts).
    """
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {' '.join(script_hashes)}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "object-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )


class SecurityHeaders:
    """ASGI middleware that adds the headers; what carries data is never cached."""

    def __init__(self, app: ASGIApp, script_hashes: Sequence[str]) -> None:
        self.app = app
        self.of_pages = content_security_policy(script_hashes)
        self.headers = {
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_cached = scope["path"].startswith(_CACHED_PREFIXES)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self.headers)
                is_page = headers.get("content-type", "").startswith("text/html")
                headers["Content-Security-Policy"] = self.of_pages if is_page else _OF_DATA
                if not is_cached:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self.app(scope, receive, send_with_headers)
