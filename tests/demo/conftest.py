"""Servers on free loopback ports: the stand-in provider, and a recorder of what arrives over OTLP."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from openai import OpenAI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gnomon_collector.demo.provider import make_provider_app


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Serve `app` from a thread; gives its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline_s = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline_s:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@pytest.fixture(scope="module")
def provider_url() -> Iterator[str]:
    with serving(make_provider_app(seed=7, latency_scale=0.02, error_rate=0.0)) as url:
        yield url


@pytest.fixture
def client(provider_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{provider_url}/v1", api_key="sk-demo", max_retries=0, timeout=10) as client:
        yield client


@dataclass
class Intake:
    """Records what is sent over OTLP/HTTP; answers `refusals` first, one per request.

    It stands where faults are wanted at will; what a real collector makes of the same data is for
    the end-to-end tests.
    """

    url: str = ""
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    refusals: list[Response] = field(default_factory=list)

    @property
    def spans(self) -> list[tuple[Resource, str, Span]]:
        """Resource, scope name and span of everything accepted."""
        return [
            (resource.resource, scope.scope.name, span)
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/traces", self._traces, methods=["POST"]),
                Route("/v1/feedback", self._feedback, methods=["POST"]),
            ]
        )

    async def _traces(self, request: Request) -> Response:
        body = await self._body(request)
        if self.refusals:
            return self.refusals.pop(0)
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        return Response(b"", media_type="application/x-protobuf")

    async def _feedback(self, request: Request) -> Response:
        self.scores += json.loads(await self._body(request))["scores"]
        return Response(b"{}", media_type="application/json")

    async def _body(self, request: Request) -> bytes:
        self.keys.add(request.headers["authorization"])
        body = await request.body()
        return gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body


@pytest.fixture
def intake() -> Iterator[Intake]:
    intake = Intake()
    with serving(intake.app()) as url:
        intake.url = url
        yield intake
