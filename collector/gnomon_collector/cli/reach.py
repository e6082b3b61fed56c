"""How a command reaches the database: it asks the server that runs on the data directory, or opens it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from gnomon_collector.errors import ConfigError, ServerUnreachable
from gnomon_collector.runfile import ServerFile, find_server

if TYPE_CHECKING:
    import httpx

    from gnomon_collector.operations.operator import Operator
    from gnomon_collector.settings import Settings
    from gnomon_collector.store.engine import Store

Json = Any
"""Parsed JSON."""

_TIMEOUT_S = 90.0
# Erasing waits for the files of the database to go, and a backup copies them.
_OPERATION_TIMEOUT_S = 3600.0


class Reach(Protocol):
    """What commands need, whichever way it goes. Answers are shaped like those of the admin API."""

    def query(self, sql: str, fmt: str) -> Iterator[bytes]: ...
    def create_key(
        self, project: str, scope: str, name: str, expires_at: datetime | None = None
    ) -> Mapping[str, Json]: ...
    def list_keys(self) -> list[Mapping[str, Json]]: ...
    def revoke_key(self, key_id: str) -> Mapping[str, Json]: ...
    def pending(self) -> list[Mapping[str, Json]]: ...
    def migrate(self, on_applied: Callable[[], None]) -> list[Mapping[str, Json]]: ...
    def status(self) -> Mapping[str, Json]: ...
    def run(self, operation: str, **arguments: Json) -> Json: ...


@contextlib.contextmanager
def reach(settings: Settings, *, may_create: bool = False) -> Iterator[Reach]:
    """Yield the way to the database of `settings`.

    Args:
        settings: of the command
        may_create: whether a data directory that is not there shall be made

    Raises:
        ConfigError: there is no data yet, or no permission
        DataDirHeld: another process that is not a server works in the directory
        StoreUnavailable: no database there
    """
    server = find_server(settings.data_dir)
    if server is not None:
        with server_client(server) as client:
            yield ViaServer(client)
        return
    if not may_create:
        require_data(settings)
    from gnomon_collector.store.engine import open_store

    with open_store(settings.store_url, data_dir=settings.data_dir) as store:
        yield Direct(store, settings)


def server_client(server: ServerFile) -> httpx.Client:
    import httpx

    return httpx.Client(
        base_url=f"{server.http_url}/api/v1",
        headers={"Authorization": f"Bearer {server.admin_token}"},
        timeout=_TIMEOUT_S,
        trust_env=False,
    )


def require_data(settings: Settings) -> None:
    """Make sure that there is data to open.

    Raises:
        ConfigError: there is none.
    """
    if settings.is_embedded and not (settings.data_dir / "chdb").is_dir() and not settings.store:
        raise ConfigError(
            f"There is no Gnomon data in {settings.data_dir}. Start with `gnomon serve` or `gnomon demo`, or"
            " name the right directory with --data DIR."
        )


class Direct:
    """The database, opened by this process."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def query(self, sql: str, fmt: str) -> Iterator[bytes]:
        """Yield the answer to `sql` in blocks."""
        from gnomon_collector.store.engine import ANSWER_FORMATS

        return self._store.readonly().query_text(sql, None, ANSWER_FORMATS[fmt])

    def create_key(
        self, project: str, scope: str, name: str, expires_at: datetime | None = None
    ) -> Mapping[str, Json]:
        """Make a key; the database too, if it is not there."""
        from gnomon_collector.admin import LOCAL_ACTOR
        from gnomon_collector.store import access, audit
        from gnomon_collector.store.migrations import migrate

        migrate(self._store, cluster=self._settings.cluster)
        new = access.create_key(self._store, project, scope, name, expires_at=expires_at)
        audit.record(self._store, LOCAL_ACTOR, "keys.create", project=new.project, target=new.key_id)
        return {"key": new.key, "key_id": new.key_id, "project": new.project, "scope": new.scope}

    def list_keys(self) -> list[Mapping[str, Json]]:
        """Return all keys, without the key."""
        from gnomon_collector.store import access

        return [vars(info) for info in access.list_keys(self._store)]

    def revoke_key(self, key_id: str) -> Mapping[str, Json]:
        """Revoke a key."""
        from gnomon_collector.admin import LOCAL_ACTOR
        from gnomon_collector.store import access, audit

        info = access.revoke_key(self._store, key_id)
        audit.record(self._store, LOCAL_ACTOR, "keys.revoke", project=info.project, target=info.key_id)
        return vars(info)

    def pending(self) -> list[Mapping[str, Json]]:
        """Return what `migrate` would apply."""
        from gnomon_collector.store.migrations import pending

        return [{"name": text.name, "kind": text.kind} for text in pending(self._store)]

    def migrate(self, on_applied: Callable[[], None]) -> list[Mapping[str, Json]]:
        """Apply what is pending."""
        from gnomon_collector.store.migrations import migrate

        applied = migrate(self._store, cluster=self._settings.cluster, on_applied=lambda _: on_applied())
        return [vars(text) for text in applied]

    def status(self) -> Mapping[str, Json]:
        """Return what can be said without a server."""
        from gnomon_collector.store.status import store_status

        return {**vars(store_status(self._store)), **_left_in_inbox(self._settings)}

    def run(self, operation: str, **arguments: Json) -> Json:
        """Run an operation of `gnomon_collector.operations`."""
        from gnomon_collector.operations.registry import run

        with _operator(self._store, self._settings) as operator:
            return run(operation, operator, arguments)


@contextlib.contextmanager
def _operator(store: Store, settings: Settings) -> Iterator[Operator]:
    """Yield an operator for a data directory that no server works in."""
    from gnomon_collector.admin import LOCAL_ACTOR
    from gnomon_collector.ingest.flusher import Flusher
    from gnomon_collector.ingest.inbox import Inbox
    from gnomon_collector.operations.operator import Operator
    from gnomon_collector.store.migrations import migrate
    from gnomon_collector.store.price_source import PriceSource

    migrate(store, cluster=settings.cluster)
    with contextlib.closing(Inbox(settings.data_dir / "inbox.sqlite", settings.inbox_max_bytes)) as inbox:
        flusher = Flusher(inbox, store, PriceSource(settings.price_file).periods)
        yield Operator(store, inbox, settings.data_dir, LOCAL_ACTOR, flusher.flush_oldest, settings=settings)


def _left_in_inbox(settings: Settings) -> dict[str, Json]:
    """Return what a stopped server acknowledged and has not put into the database yet."""
    path = settings.data_dir / "inbox.sqlite"
    if not path.exists():
        return {}
    from gnomon_collector.ingest.inbox import Inbox

    with contextlib.closing(Inbox(path, settings.inbox_max_bytes)) as inbox:
        return {"inbox_requests": inbox.waiting_requests, "inbox_bytes": inbox.waiting_bytes}


class ViaServer:
    """The server that runs on the data directory, over its admin API."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def query(self, sql: str, fmt: str) -> Iterator[bytes]:
        """Yield the answer to `sql` in blocks."""
        import httpx

        try:
            with self._client.stream("POST", "/query", json={"sql": sql, "format": fmt}) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                yield from answer.iter_bytes()
        except httpx.HTTPError as error:
            raise _broken(error) from error

    def create_key(
        self, project: str, scope: str, name: str, expires_at: datetime | None = None
    ) -> Mapping[str, Json]:
        """Make a key."""
        body: dict[str, Json] = {"project": project, "scope": scope, "name": name}
        if expires_at is not None:
            body["expires_at"] = expires_at.isoformat()
        return dict(self._ask("POST", "/keys", body))

    def list_keys(self) -> list[Mapping[str, Json]]:
        """Return all keys, without the key."""
        return list(self._ask("GET", "/keys"))

    def revoke_key(self, key_id: str) -> Mapping[str, Json]:
        """Revoke a key."""
        from urllib.parse import quote

        return dict(self._ask("DELETE", f"/keys/{quote(key_id, safe='')}"))

    def pending(self) -> list[Mapping[str, Json]]:
        """Return what `migrate` would apply."""
        return list(self._ask("GET", "/migrate"))

    def migrate(self, on_applied: Callable[[], None]) -> list[Mapping[str, Json]]:
        """Let the server apply what is pending."""
        applied = list(self._ask("POST", "/migrate"))
        for _ in applied:
            on_applied()
        return applied

    def status(self) -> Mapping[str, Json]:
        """Return the server's state."""
        return dict(self._ask("GET", "/status"))

    def run(self, operation: str, **arguments: Json) -> Json:
        """Have the server run an operation of `gnomon_collector.operations`."""
        return self._ask("POST", f"/operations/{operation}", arguments, _OPERATION_TIMEOUT_S)

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Json] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> Json:
        import httpx

        try:
            answer = self._client.request(method, path, json=body, timeout=timeout_s)
        except httpx.HTTPError as error:
            raise _broken(error) from error
        if answer.is_error:
            raise _refusal(answer)
        return answer.json()


def _refusal(answer: httpx.Response) -> ServerUnreachable:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"the server at {answer.url.copy_with(path='/')} answered with HTTP {answer.status_code}"
    return ServerUnreachable(detail if isinstance(detail, str) else "; ".join(d["msg"] for d in detail))


def _broken(error: httpx.HTTPError) -> ServerUnreachable:
    return ServerUnreachable(
        f"The running server broke off the conversation ({type(error).__name__})."
        " Look at its log, then try again."
    )
