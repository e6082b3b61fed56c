"""Every route of the collector and what it asks for: a route that is not named here fails the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import grpc
import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from gnomon_collector.ingest.app import IngestParts
from gnomon_collector.ingest.authorize import authorize_by_key
from gnomon_collector.ingest.flusher import FlushStats
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.intake import Intake
from gnomon_collector.ingest.metrics import IngestMetrics
from gnomon_collector.ingest.otlp_grpc import OtlpGrpcServer
from gnomon_collector.ingest.signals import SIGNALS
from gnomon_collector.jobs import JobBoard
from gnomon_collector.price_desk import LocalDesk
from gnomon_collector.serve import collector_app
from gnomon_collector.settings import load_settings
from gnomon_collector.store.access import ALL_PROJECTS, KeyRing, create_key
from gnomon_collector.store.engine import Store
from gnomon_collector.store.price_source import PriceSource

NOBODY: Final = "nobody"
SCOPES: Final = ("ingest", "feedback", "read", "admin")
EVERYBODY: Final = frozenset({*SCOPES, NOBODY})
READING: Final = frozenset({"read", "admin"})
OPEN_TO: Final[Mapping[str, frozenset[str]]] = {
    "/healthz": EVERYBODY,
    "/readyz": EVERYBODY,
    "/metrics": EVERYBODY,
    "/v1/traces": frozenset({"ingest"}),
    "/v1/logs": frozenset({"ingest"}),
    "/v1/metrics": frozenset({"ingest"}),
    "/api/public/otel": frozenset({"ingest"}),
    "/api/public/otel/v1/traces": frozenset({"ingest"}),
    "/v1/feedback": frozenset({"ingest", "feedback"}),
    "/v1/allow": frozenset({"ingest"}),
    "/api/v1/openapi.json": READING,
    "/api/v1/metrics/catalogue": READING,
    "/api/v1/metrics": READING,
    "/api/v1/traces": READING,
    "/api/v1/calls": READING,
    "/api/v1/traces/{trace_id}": READING,
    "/api/v1/scores": READING,
    "/api/v1/datasets": READING,
    "/api/v1/export/{kind}": READING,
    "/api/v1/query": frozenset({"admin"}),
    "/api/v1/keys": frozenset({"admin"}),
    "/api/v1/keys/{key_id:path}": frozenset({"admin"}),
    "/api/v1/migrate": frozenset({"admin"}),
    "/api/v1/status": frozenset({"admin"}),
    "/api/v1/prices": frozenset({"admin"}),
    "/api/v1/prices/refresh": frozenset({"admin"}),
    "/api/v1/prices/unpriced": frozenset({"admin"}),
    "/api/v1/reprice": frozenset({"admin"}),
    "/api/v1/operations/{name}": frozenset({"admin"}),
}
"""Which scopes open a route."""


@pytest.fixture
def app(store: Store, tmp_path: Path) -> Iterator[FastAPI]:
    """The real application of a collector."""
    settings = load_settings(data=tmp_path)
    with contextlib.closing(Inbox(tmp_path / "inbox.sqlite", 10**9)) as inbox, KeyRing(store) as keys:
        metrics = IngestMetrics(inbox, FlushStats())
        parts = IngestParts(settings, authorize_by_key(keys), inbox, store, metrics)
        app = collector_app(
            parts, keys, "token-of-this-test", LocalDesk(store, PriceSource(settings.price_file)), JobBoard()
        )
        app.state.keys, app.state.parts = keys, parts
        yield app


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Return (method, path) of every route."""
    nested = [getattr(each, "original_router", None) for each in app.routes]
    flat = [each for each, router in zip(app.routes, nested, strict=True) if router is None]
    flat += [each for router in nested if router is not None for each in router.routes]
    assert all(isinstance(each, Route) for each in flat), "a route of a kind that this test does not know"
    return [
        (method, each.path)
        for each in flat
        if isinstance(each, Route)
        for method in sorted(each.methods or ())
    ]


def test_each_route_is_open_to_its_scopes_and_to_no_other(app: FastAPI, store: Store) -> None:
    keys = {
        scope: create_key(store, ALL_PROJECTS if scope == "admin" else "shop", scope).key for scope in SCOPES
    }
    app.state.keys.refresh()
    found = routes(app)
    assert {path for _, path in found} - set(OPEN_TO) == set(), "say in OPEN_TO who may use it"
    wrong = asyncio.run(_wrong_answers(app, found, keys))
    assert wrong == []


def test_each_method_of_grpc_is_open_to_ingest_keys_alone(app: FastAPI, store: Store, tmp_path: Path) -> None:
    keys = {
        scope: create_key(store, ALL_PROJECTS if scope == "admin" else "shop", scope).key for scope in SCOPES
    }
    app.state.keys.refresh()
    parts: IngestParts = app.state.parts
    intake = Intake(parts.settings, parts.authorize, parts.inbox, parts.metrics, parts.limits, parts.quotas)
    server = OtlpGrpcServer(intake, "127.0.0.1", 0, "")
    expected = {NOBODY: "UNAUTHENTICATED", "ingest": "OK"}
    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            for signal in SIGNALS:
                method = channel.unary_unary(f"/{signal.service}/Export")
                for caller in (NOBODY, *SCOPES):
                    said = _grpc_code(method, keys.get(caller))
                    assert said == expected.get(caller, "PERMISSION_DENIED"), (signal.name, caller)
    finally:
        server.stop()


def _grpc_code(method: Any, key: str | None) -> str:
    try:
        method(b"", metadata=(("authorization", f"Bearer {key}"),) if key else ())
    except grpc.RpcError as refusal:
        return str(refusal.code().name)
    return "OK"


async def _wrong_answers(
    app: FastAPI, found: list[tuple[str, str]], keys: Mapping[str, str]
) -> list[tuple[str, str, str, int]]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    wrong = []
    async with httpx.AsyncClient(transport=transport, base_url="http://collector") as client:
        for method, path in found:
            if method == "OPTIONS":  # a browser's preflight: answers no data
                continue
            for caller in (NOBODY, *SCOPES):
                status = await _status(client, method, path, keys.get(caller))
                is_let_in = status not in (401, 403)
                if is_let_in != (caller in OPEN_TO[path]) or (caller == NOBODY and status == 403):
                    wrong.append((method, path, caller, status))
    return wrong


async def _status(client: httpx.AsyncClient, method: str, path: str, key: str | None) -> int:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    url = path.replace("{key_id:path}", "gnm_i_none").replace("{name}", "list_users")
    url = url.replace("{trace_id}", "0" * 32).replace("{kind}", "calls")
    async with client.stream(method, url, headers=headers, json={} if method == "POST" else None) as answer:
        return answer.status_code
