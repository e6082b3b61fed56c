"""The reading API over a seeded store, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.dashboard import rich, seed
from tests.dashboard.conftest import served

if TYPE_CHECKING:
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store

OTHER = "canary"


@dataclass
class Api:
    """A server, and keys for it."""

    url: str
    store: Store
    trace_ids: list[str]
    read: str
    other: str
    ingest: str
    admin: str

    def get(self, path: str, key: str | None = None, **asked: object) -> httpx.Response:
        shown = self.read if key is None else key
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        # httpx drops the address's own query when it is given another one, even an empty one
        return httpx.get(f"{self.url}/api/v1{path}", params=asked or None, headers=headers, timeout=60)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def api(_embedded_database: SharedDatabase) -> Iterator[Api]:
    """The project shop, and another one with a single trace that nobody else may see."""
    from fastapi import FastAPI

    from gnomon_collector.api.router import ApiParts, reading_router
    from gnomon_collector.store.access import KeyRing, create_key

    store = _embedded_database.empty()
    now = datetime.now(UTC)
    ids = rich.fill(store, now)
    canary = list(seed.history(now, days=0.5, traces_per_day=20, seed=11))
    for span in canary:
        span.project, span.user_id = OTHER, "canary"
    seed.insert(store, canary)
    keys = [
        create_key(store, project, scope).key
        for project, scope in (
            (seed.PROJECT, "read"),
            (OTHER, "read"),
            (seed.PROJECT, "ingest"),
            ("*", "admin"),
        )
    ]
    ring = KeyRing(store)
    app = FastAPI(openapi_url=None)
    app.include_router(reading_router(ApiParts(store, ring, "token of server.json")))
    with served(app) as url:
        yield Api(url, store, ids, *keys)
    ring.close()
