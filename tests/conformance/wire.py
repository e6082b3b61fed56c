"""The stand-in provider and an OTLP endpoint on one port, writing down what passes: the truth, and what SDKs say of it.

What the provider answered is the truth of a call, whichever library asked. A service names each scenario with
``POST /scenario/NAME`` before it begins.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gnomon_collector.demo.provider import make_provider_app

CALLS = ("/chat/completions", "/responses", "/embeddings")
SIGNALS = ("traces", "logs", "metrics")
SERVER_ERROR_EVENT = b"event: error"


@dataclass
class Scenario:
    """One scenario: the calls that reached the provider, and the OTLP bodies by signal."""

    calls: list[Mapping[str, Any]] = field(default_factory=list)
    sent: dict[str, list[bytes]] = field(default_factory=dict)


class Wire:
    """What passed, by scenario."""

    def __init__(self) -> None:
        self.scenarios: dict[str, Scenario] = {}
        self._now = Scenario()

    def app(self) -> Starlette:
        """Return the endpoints: the provider's, OTLP's under any path, and the scenario's name."""
        provider = make_provider_app(seed=7, latency_scale=0.02, error_rate=0.0)
        signals = [
            Route(f"{path}/v1/{signal}", self._otlp, methods=["POST"])
            for signal in SIGNALS
            for path in ("", "/otel", "/api/public/otel")
        ]
        named = Route("/scenario/{name}", self._begin, methods=["POST"])
        return Starlette(routes=[named, *signals, Mount("/", Recorded(provider, self._called))])

    async def _begin(self, request: Request) -> Response:
        self._now = self.scenarios.setdefault(request.path_params["name"], Scenario())
        return Response()

    async def _otlp(self, request: Request) -> Response:
        body = await request.body()
        signal = request.url.path.rsplit("/", 1)[1]
        plain = gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body
        self._now.sent.setdefault(signal, []).append(plain)
        return Response(media_type="application/x-protobuf")

    def _called(self, call: Mapping[str, Any], *, is_retry: bool) -> None:
        # what a client repeats by itself is one call of the service
        if is_retry:
            self._now.calls.pop()
        self._now.calls.append(call)


class Recorded:
    """An ASGI app that hands on each call of a model, and tells what was asked and answered."""

    def __init__(self, app: ASGIApp, tell: Any) -> None:
        self._app = app
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].endswith(CALLS):
            await self._app(scope, receive, send)
            return
        asked, answered, state = bytearray(), bytearray(), {"status": 0, "ended": False}

        async def listen() -> Message:
            message = await receive()
            asked.extend(message.get("body", b""))
            state["left"] = state.get("left", False) or message["type"] == "http.disconnect"
            return message

        async def say(message: Message) -> None:
            if message["type"] == "http.response.start":
                state["status"] = message["status"]
            answered.extend(message.get("body", b""))
            await send(message)
            state["ended"] = message["type"] == "http.response.body" and not message.get("more_body")

        try:
            await self._app(scope, listen, say)
        finally:
            retries = dict(scope["headers"]).get(b"x-stainless-retry-count", b"0")
            self._tell(call_of(bytes(asked), bytes(answered), state), is_retry=retries != b"0")


def call_of(asked: bytes, answered: bytes, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call as the provider saw it; tokens are null where it reported none."""
    request = json.loads(asked)
    bodies = list(_events(answered)) if request.get("stream") else [json.loads(answered or b"{}")]
    usage = next((found for body in reversed(bodies) if (found := _usage(body))), {})
    return {
        "model": request.get("model"),
        "question": _question(request),
        "answer": "".join(filter(None, map(_text, bodies))),
        "tool_calls": [name for body in bodies for name in _tool_names(body)],
        "status": _status(state, answered),
        **usage,
    }


def _status(state: Mapping[str, Any], answered: bytes) -> str:
    if (
        state["status"] >= 400
        or SERVER_ERROR_EVENT in answered
        or (not state["ended"] and not state.get("left"))
    ):
        return "error"
    return "ok" if state["ended"] else "cancelled"


def _events(answered: bytes) -> Iterator[Any]:
    for line in answered.splitlines():
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])


def _usage(body: Mapping[str, Any]) -> dict[str, int | None]:
    usage = body.get("usage") or (body.get("response") or {}).get("usage")
    if not usage:
        return {}
    into = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    out = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    return {
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
        "cache_read_tokens": into.get("cached_tokens"),
        "reasoning_tokens": out.get("reasoning_tokens"),
    }


def _question(request: Mapping[str, Any]) -> str:
    given = request.get("messages") or request.get("input") or ""
    if isinstance(given, str):
        return given
    if all(isinstance(each, str) for each in given):
        return str(given[-1])
    said = [each.get("content") for each in given if each.get("role") == "user"]
    last = said[-1] if said else ""
    if isinstance(last, list):
        return " ".join(str(part.get("text", "")) for part in last)
    return str(last)


def _text(body: Mapping[str, Any]) -> str:
    if body.get("type") == "response.output_text.delta":
        return str(body.get("delta") or "")
    if body.get("object") == "response":
        return "".join(part.get("text", "") for item in body["output"] for part in item.get("content", ()))
    choices = body.get("choices") or [{}]
    message = choices[0].get("message") or choices[0].get("delta") or {}
    return str(message.get("content") or "")


def _tool_names(body: Mapping[str, Any]) -> Iterator[str]:
    choices = body.get("choices") or [{}]
    message = choices[0].get("message") or choices[0].get("delta") or {}
    for call in message.get("tool_calls") or ():
        if name := (call.get("function") or {}).get("name"):
            yield name
    if body.get("object") == "response":
        yield from (item["name"] for item in body["output"] if item.get("type") == "function_call")
    if body.get("type") == "response.completed":
        yield from _tool_names(body["response"])
