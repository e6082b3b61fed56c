"""What a stranger may send at all: FastAPI reads a body to its end before it asks who sends it.

`BoundedBodies` stops reading in time, and `explain_invalid` answers a body of the wrong shape. The answer of
FastAPI repeats the body, passwords included, and itself fails where it holds NaN or half a surrogate pair.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES: Final = 4 * 2**20
"""Of a body with SQL, settings, or what a page of the dashboard knows: the largest of ours have kilobytes."""

MostBytes = Callable[[str], int | None]


class _TooLargeError(Exception):
    pass


class BoundedBodies:
    """ASGI middleware that answers 413 to a body that is too large, as soon as that is known."""

    def __init__(self, app: ASGIApp, most_bytes: MostBytes) -> None:
        """Wrap an application.

        Args:
            most_bytes: limit of a path; None where the route has one of its own.
        """
        self.app = app
        self.most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = self.most_bytes(scope["path"]) if scope["type"] == "http" else None
        if most is None:
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > most:
            await _too_large(most)(scope, receive, send)
            return
        body = _Counted(receive, send, most)
        try:
            await self.app(scope, body.receive, body.send)
        except _TooLargeError:
            pass
        if body.is_too_large and not body.is_answered:
            await _too_large(most)(scope, receive, send)


class _Counted:
    """Counts what is read of a body. Once it is too large, the application's own answer is not sent."""

    def __init__(self, receive: Receive, send: Send, most_bytes: int) -> None:
        self._receive, self._send = receive, send
        self._left_bytes = most_bytes
        self.is_too_large = False
        self.is_answered = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._left_bytes -= len(message.get("body", b""))
        if self._left_bytes < 0:
            self.is_too_large = True
            raise _TooLargeError
        return message

    async def send(self, message: Message) -> None:
        if self.is_answered or not self.is_too_large:
            self.is_answered = True
            await self._send(message)


def _too_large(most_bytes: int) -> Response:
    detail = f"The request body is larger than {most_bytes} bytes: send less at a time."
    return JSONResponse({"detail": detail}, status_code=413, headers={"Connection": "close"})


def explain_invalid(app: FastAPI) -> None:
    """Have an application answer 422 to what does not fit, with where and why, and without the body."""

    @app.exception_handler(RequestValidationError)
    async def explain(_request: Request, error: RequestValidationError) -> Response:
        detail = [{name: each[name] for name in ("type", "loc", "msg")} for each in error.errors()]
        # escaped, since names in the body may be anything
        return Response(json.dumps({"detail": detail}), 422, media_type="application/json")
