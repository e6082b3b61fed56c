"""The API for those who run Gnomon, under ``/api/v1``: what the command line asks a running server.

SQL and keys reach over all projects, so nothing less than an admin key, or the token in ``server.json``, is
let in.
"""

from __future__ import annotations

import hmac
import itertools
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gnomon_collector.bearer import presented_key
from gnomon_collector.errors import BadRequest, GnomonError, MigrationError, StoreError, StoreUnavailable
from gnomon_collector.jobs import JobStatus
from gnomon_collector.price_desk import PriceDesk, add_price_routes
from gnomon_collector.store.access import KeyInfo, KeyRing, create_key, list_keys, revoke_key
from gnomon_collector.store.audit import record
from gnomon_collector.store.engine import ANSWER_FORMATS, Store
from gnomon_collector.store.migrations import migrate, pending
from gnomon_collector.store.status import StoreStatus, store_status

PREFIX = "/api/v1"
LOCAL_ACTOR = "command line"
"""Who acts, for the audit log, when the token of ``server.json`` is shown."""

_MEDIA_TYPES: Mapping[str, str] = {"csv": "text/csv; charset=utf-8"}


class QueryBody(BaseModel):
    """A reading statement, and the format of its answer."""

    model_config = ConfigDict(extra="forbid")
    sql: str = Field(min_length=1, max_length=100_000)
    format: Literal["csv", "json_lines", "table"] = "json_lines"


class KeyBody(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")
    project: str = Field(max_length=100)
    scope: str
    name: str = Field("", max_length=200)
    expires_at: AwareDatetime | None = None


class KeyAnswer(BaseModel):
    """A key without the key."""

    key_id: str
    project: str
    scope: str
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyAnswer(BaseModel):
    """A key just made, shown this once."""

    key: str
    key_id: str
    project: str
    scope: str


class TextAnswer(BaseModel):
    """A migration or repeatable, waiting or just applied."""

    name: str
    kind: str
    duration_ms: float | None = None


class JobAnswer(BaseModel):
    """How a job in the background is doing."""

    name: str
    runs: int
    failures: int
    lag_s: float
    last_succeeded: datetime | None
    last_duration_s: float
    last_error: str


class StatusAnswer(BaseModel):
    """The state of a server."""

    version: str
    pid: int
    place: str
    clickhouse_version: str
    is_embedded: bool
    spans: int
    disk_bytes: int
    disk_free_bytes: int
    inbox_requests: int | None
    inbox_bytes: int | None
    jobs: list[JobAnswer] = []


@dataclass(frozen=True)
class InboxStatus:
    """What is acknowledged but not yet in the database."""

    requests: int
    bytes: int


@dataclass(frozen=True)
class AdminParts:
    """What the routes work with.

    Attributes:
        store: the database
        keys: the good keys; read anew when a route changes one
        admin_token: bearer token that is let in besides admin keys
        data_dir: for the free space on its disk
        cluster: ClickHouse cluster to migrate on, "" for none
        inbox: reads the state of the inbox; None when this server takes nothing in
        operate: runs an operation (name, actor, arguments); None when this server takes nothing in
        prices: answers for prices and prices anew; None when this server takes nothing in
        jobs: reads how the jobs in the background are doing
    """

    store: Store
    keys: KeyRing
    admin_token: str
    data_dir: Path
    cluster: str = ""
    inbox: Callable[[], InboxStatus] | None = None
    operate: Callable[[str, str, Mapping[str, Any]], object] | None = None
    prices: PriceDesk | None = None
    jobs: Callable[[], list[JobStatus]] = list


def admin_router(parts: AdminParts) -> APIRouter:
    """Return the routes. Errors of ours become answers with ``{"detail": message}``."""
    reader = parts.store.readonly()
    router = APIRouter(prefix=PREFIX, route_class=_Route, dependencies=[Depends(_admin_only(parts))])
    _add_query(router, reader)
    _add_keys(router, parts)
    _add_migrate(router, parts)
    _add_operations(router, parts)
    if parts.prices is not None:
        add_price_routes(router, parts.prices)

    @router.get("/status")
    def get_status() -> StatusAnswer:
        inbox = parts.inbox() if parts.inbox is not None else None
        return _status_answer(store_status(parts.store), inbox, parts.data_dir, parts.jobs())

    return router


def _add_query(router: APIRouter, reader: Store) -> None:
    @router.post("/query")
    def post_query(body: QueryBody) -> StreamingResponse:
        blocks = reader.query_text(body.sql, None, ANSWER_FORMATS[body.format])
        media_type = _MEDIA_TYPES.get(body.format, "application/x-ndjson")
        return StreamingResponse(_started(blocks), media_type=media_type)


def _add_keys(router: APIRouter, parts: AdminParts) -> None:
    @router.get("/keys")
    def get_keys() -> list[KeyAnswer]:
        return [_key_answer(info) for info in list_keys(parts.store)]

    @router.post("/keys", status_code=201)
    def post_keys(body: KeyBody, request: Request) -> NewKeyAnswer:
        new = create_key(parts.store, body.project, body.scope, body.name, expires_at=body.expires_at)
        record(parts.store, request.state.actor, "keys.create", project=new.project, target=new.key_id)
        parts.keys.refresh()
        return NewKeyAnswer(key=new.key, key_id=new.key_id, project=new.project, scope=new.scope)

    @router.delete("/keys/{key_id:path}")
    def delete_key(key_id: str, request: Request) -> KeyAnswer:
        info = revoke_key(parts.store, key_id)
        record(parts.store, request.state.actor, "keys.revoke", project=info.project, target=info.key_id)
        parts.keys.refresh()
        return _key_answer(info)


def _add_migrate(router: APIRouter, parts: AdminParts) -> None:
    @router.get("/migrate")
    def get_migrate() -> list[TextAnswer]:
        return [TextAnswer(name=text.name, kind=text.kind) for text in pending(parts.store)]

    @router.post("/migrate")
    def post_migrate() -> list[TextAnswer]:
        return [TextAnswer(**asdict(applied)) for applied in migrate(parts.store, cluster=parts.cluster)]


def _add_operations(router: APIRouter, parts: AdminParts) -> None:
    @router.post("/operations/{name}")
    def post_operation(name: str, request: Request, arguments: dict[str, Any]) -> Any:
        if parts.operate is None:
            raise BadRequest("This server has no collector, and so no inbox: ask the one that has.")
        return parts.operate(name, request.state.actor, arguments)


def _admin_only(parts: AdminParts) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        token = presented_key(request.headers)
        if token and hmac.compare_digest(token.encode(), parts.admin_token.encode()):
            request.state.actor = LOCAL_ACTOR
            return
        info = parts.keys.lookup(token)
        if info is None:
            raise HTTPException(401, "This needs an admin key: Authorization: Bearer <key>.")
        if info.scope != "admin":
            raise HTTPException(403, f"This needs a key of scope admin; this one has scope {info.scope}.")
        request.state.actor = info.key_id

    return check


class _Route(APIRoute):
    """A route whose `GnomonError` becomes an answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(request)
            except GnomonError as error:
                return JSONResponse({"detail": str(error)}, status_code=_http_status(error))

        return handle_or_explain


def _http_status(error: GnomonError) -> int:
    if isinstance(error, StoreUnavailable):
        return 503
    if isinstance(error, MigrationError):
        return 409
    return 400 if isinstance(error, BadRequest | StoreError) else 500


def _started(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Take the first block now, while an error can still become an answer of its own."""
    first = next(blocks, b"")
    return itertools.chain((first,), blocks)


def _key_answer(info: KeyInfo) -> KeyAnswer:
    return KeyAnswer(**asdict(info))


def _status_answer(
    store: StoreStatus, inbox: InboxStatus | None, data_dir: Path, jobs: list[JobStatus]
) -> StatusAnswer:
    now = datetime.now(UTC)
    return StatusAnswer(
        **asdict(store),
        version=version("gnomon"),
        pid=os.getpid(),
        disk_free_bytes=shutil.disk_usage(data_dir).free,
        inbox_requests=inbox.requests if inbox is not None else None,
        inbox_bytes=inbox.bytes if inbox is not None else None,
        jobs=[
            JobAnswer(
                name=one.name,
                runs=one.runs,
                failures=one.failures,
                lag_s=round(one.lag_s(now), 1),
                last_succeeded=one.last_succeeded,
                last_duration_s=round(one.last_duration_s, 3),
                last_error=one.last_error,
            )
            for one in jobs
        ],
    )
