"""The operations page: routes, paths and statements that it names."""

from __future__ import annotations

from pathlib import Path

from fastapi.routing import APIRoute
from tests.docs import markdown
from tests.docs.conftest import RunningServer

from gnomon_collector.admin import AdminParts, admin_router
from gnomon_collector.settings import Settings
from gnomon_collector.store.access import KeyRing
from gnomon_collector.store.engine import Store
from gnomon_schemas.otlp import batch_settings

PAGE = markdown.DOCS / "operations.md"
_SINCE = """
SELECT version, change.1 AS setting
FROM system.settings_changes ARRAY JOIN changes AS change
WHERE change.1 IN {names:Array(String)}
"""


def test_every_port_is_on_the_page() -> None:
    said = {(row["Setting"], int(row["Port"])) for row in markdown.table(PAGE, "Ports")}
    fields = Settings.model_fields
    assert said == {(name, fields[name].default) for name in fields if name.endswith("_port")}


def test_every_admin_route_is_on_the_page(store: Store, tmp_path: Path) -> None:
    with KeyRing(store) as keys:
        router = admin_router(AdminParts(store, keys, "token", tmp_path))
    there = {
        f"{method} {route.path.replace(':path', '')}"
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert {row["Route"] for row in markdown.table(PAGE, "The admin API")} == there


def test_what_a_server_leaves_in_its_data_directory_is_on_the_page(server: RunningServer) -> None:
    text = " ".join(row["Path"] for row in markdown.table(PAGE, "The data directory"))
    said = {word.strip("/(),") for word in text.split()}
    there = {path.name.removesuffix("-wal").removesuffix("-shm") for path in server.data_dir.iterdir()}
    assert there - {"server.log"} <= said


def test_the_oldest_clickhouse_is_as_old_as_the_settings_we_use(store: Store) -> None:
    names = [*batch_settings(), "enable_lightweight_update"]
    rows = store.query(_SINCE, {"names": names}).rows
    assert rows
    newest = max(tuple(map(int, str(version).split("."))) for version, _ in rows)
    wanted = f"version {'.'.join(map(str, newest))} or newer"
    for page in (PAGE, markdown.ROOT / "deploy" / "README.md"):
        assert wanted in " ".join(page.read_text(encoding="utf-8").lower().split())
