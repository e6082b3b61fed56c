"""What goes wrong in a callback is in the log."""

import logging

from dash.exceptions import PreventUpdate
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

_log = logging.getLogger(__name__)


class LoggedFailures:
    """ASGI middleware inside of Dash's, which answers 500 to an exception and says nothing of it anywhere.

    Who leaves a page amid its questions is no failure, though Dash stumbles over the missing body.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except PreventUpdate:
            raise
        except Exception:
            if not await Request(scope, receive).is_disconnected():
                _log.exception("%s %s failed", scope["method"], scope["path"])
            raise
