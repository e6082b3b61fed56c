"""The routes under /api/v1, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.cli.conftest import run_here

from gnomon_collector.runfile import ServerFile

ROUTES = [
    ("POST", "/query"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("DELETE", "/keys/gnm_i_x"),
    ("GET", "/migrate"),
    ("POST", "/migrate"),
    ("GET", "/status"),
]


@pytest.fixture
def http(server: ServerFile) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.http_url}/api/v1", trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def admin(http: httpx.Client, server: ServerFile) -> httpx.Client:
    http.headers["Authorization"] = f"Bearer {server.admin_token}"
    return http


@pytest.fixture(scope="session")
def keys(server_dir: Path) -> dict[str, str]:
    """A key of each scope."""
    made = {}
    for scope in ("ingest", "feedback", "read", "admin"):
        project = "*" if scope == "admin" else "shop"
        done = run_here("keys", "create", "--project", project, "--scope", scope, "--data", str(server_dir))
        made[scope] = done.stdout.splitlines()[-1]
    return made


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer gnm_a_000000000000000000000000000000"},
        {"Authorization": "Basic YTpi"},
        {"x-gnomon-api-key": "wrong"},
    ],
)
def test_strangers_stay_out(http: httpx.Client, method: str, path: str, headers: dict[str, str]) -> None:
    assert http.request(method, path, headers=headers, json={}).status_code == 401


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("scope", ["ingest", "feedback", "read"])
def test_a_lower_scope_is_not_enough(
    http: httpx.Client, keys: dict[str, str], method: str, path: str, scope: str
) -> None:
    answer = http.request(method, path, headers={"x-gnomon-api-key": keys[scope]}, json={})
    assert answer.status_code == 403
    assert scope in answer.json()["detail"] and keys[scope] not in answer.text


@pytest.mark.parametrize("header", ["Authorization", "x-gnomon-api-key"])
def test_an_admin_key_is_let_in_by_either_header(
    http: httpx.Client, keys: dict[str, str], header: str
) -> None:
    value = f"Bearer {keys['admin']}" if header == "Authorization" else keys["admin"]
    assert http.get("/status", headers={header: value}).status_code == 200


def test_json_lines_and_csv(admin: httpx.Client) -> None:
    sql = "SELECT number AS n FROM numbers(2)"
    as_json = admin.post("/query", json={"sql": sql})
    as_csv = admin.post("/query", json={"sql": sql, "format": "csv"})
    assert [json.loads(line) for line in as_json.text.splitlines()] == [{"n": 0}, {"n": 1}]
    assert as_csv.text == '"n"\n0\n1\n'
    assert as_csv.headers["content-type"].startswith("text/csv")


@pytest.mark.parametrize(
    ("body", "status_code"),
    [
        ({"sql": "SELEC 1"}, 400),
        ({"sql": "DROP TABLE spans"}, 400),
        ({"sql": "SELECT file('/etc/hostname')"}, 400),
        ({"sql": ""}, 422),
        ({}, 422),
        ({"sql": "SELECT 1", "format": "xml"}, 422),
        ({"sql": "SELECT 1", "readonly": 0}, 422),
    ],
)
def test_what_cannot_be_served_has_a_reason(
    admin: httpx.Client, body: dict[str, object], status_code: int
) -> None:
    answer = admin.post("/query", json=body)
    assert answer.status_code == status_code
    assert answer.json()["detail"]


def test_a_key_is_shown_once(admin: httpx.Client) -> None:
    made = admin.post("/keys", json={"project": "shop", "scope": "ingest", "name": "n"})
    listed = admin.get("/keys")
    assert made.status_code == 201
    assert made.json()["key"] not in listed.text
    assert made.json()["key_id"] in {key["key_id"] for key in listed.json()}
    assert admin.delete(f"/keys/{made.json()['key_id']}").json()["revoked_at"] is not None
