"""What each role may do: every route, callback and page of the dashboard, by anonymous, viewer, editor and admin."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Mount, Route
from tests.dashboard.conftest import PASSWORD, SECRET, served
from tests.security import rival, walk

from gnomon_collector.store import users
from gnomon_collector.store.access import create_key
from gnomon_dashboard import rights
from gnomon_dashboard.app import create_dashboard
from gnomon_dashboard.auth import PUBLIC

if TYPE_CHECKING:
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store

READ: Final = {
    "/api/traces/rows",
    "/api/traces/count",
    "/api/traces/suggest",
    "/export/traces.{form}",
    "/export/trace/{trace_id}.jsonl",
    "/api/spans/{trace_id}/{span_id}",
    "/api/spans/{trace_id}/{span_id}/replay",
    "/api/views",
    "/api/review/progress",
    "/api/review/next",
    "/api/datasets",
    "/export/datasets/{kind}.jsonl",
    "/api/panels/{panel_id}/sql",
    "/export/panels/{panel_id}.csv",
    "/_dash-update-component",
}
"""Routes that answer with data of a project: `walk.everything` asks each, with projects of all kinds."""
WITHOUT_DATA: Final = {
    "/login",
    "/logout",
    "/assets",
    "/_dash-component-suites/{package_name}/{fingerprinted_path:path}",
    "/_dash-layout",
    "/_dash-dependencies",
    "/_reload-hash",
    "/_favicon.ico",
    "/_dash-ws-callback",
    "/",
}
"""Pages are all the same HTML, and what stands in them comes by callbacks."""
PEOPLE: Final[Mapping[str, dict[str, Any]]] = {
    "viewer": {"project_roles": {"shop": "viewer"}},
    "editor": {"project_roles": {"shop": "editor"}},
    "admin": {"project_roles": {"shop": "admin"}},
    "nobody": {},
}
RANKS: Final = ("viewer", "editor", "admin", "admin of all")


@dataclass
class Operations:
    """Takes down what is to be done."""

    done: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, name: str, actor: str, arguments: Mapping[str, Any]) -> Any:
        self.done.append((name, actor))
        return {"key": "gnm_i_made", "password": "made", "project": "shop"}


@pytest.fixture(scope="module")
def operations() -> Operations:
    return Operations()


@pytest.fixture(scope="module")
def app(_embedded_database: SharedDatabase, operations: Operations) -> FastAPI:
    store = _embedded_database.empty()
    for name, roles in PEOPLE.items():
        users.create_user(store, name, PASSWORD, "", **roles)
    users.create_user(store, "admin-of-all", PASSWORD, "admin")
    create_key(store, "shop", "ingest")
    create_key(store, rival.PROJECT, "ingest", rival.CANARY)
    return create_dashboard(store, secret=SECRET, operate=operations)


@pytest.fixture(scope="module")
def address(app: FastAPI) -> Iterator[str]:
    with served(app) as url:
        yield url


@pytest.fixture(scope="module")
def clients(address: str) -> Iterator[dict[str, httpx.Client]]:
    """A client for each person, logged in; and one for nobody."""
    found = {"": httpx.Client(base_url=address)}
    for name in (*PEOPLE, "admin-of-all"):
        found[name] = httpx.Client(base_url=address, timeout=60)
        form = {"username": name, "password": PASSWORD}
        assert found[name].post("/login", data=form, headers=walk.OWN_PAGE).status_code == 303
    yield found
    for client in found.values():
        client.close()


def paths(app: FastAPI) -> set[str]:
    return {route.path for route in app.routes if isinstance(route, (Route, Mount)) or hasattr(route, "path")}


def send(client: httpx.Client, method: str, path: str, body: Mapping[str, Any]) -> httpx.Response:
    where = {"params": body} if method == "DELETE" else {"json": body}
    return client.request(method, path, headers=walk.OWN_PAGE, **where)  # type: ignore[arg-type]


def test_every_route_is_known_to_these_tests(app: FastAPI) -> None:
    writing = {re.sub("/views/none$", "/views/{view_id}", path) for _, path, _, _ in walk.writes("shop")}
    assert paths(app) - READ - WITHOUT_DATA - writing == set(), "say in this file who may use it"


def test_every_reading_route_is_walked(clients: dict[str, httpx.Client]) -> None:
    asked = [one.asked.split()[1] for one in walk.data(clients["viewer"], "shop")]
    for pattern in READ - {
        "/_dash-update-component",
        "/api/panels/{panel_id}/sql",
        "/export/panels/{panel_id}.csv",
    }:
        form = re.compile(re.sub(r"\{\w+\}", "[^/]+", pattern))
        assert any(form.fullmatch(path) for path in asked), pattern


def test_anonymous_gets_nothing(clients: dict[str, httpx.Client], app: FastAPI) -> None:
    nobody, open_to_all = clients[""], ("/assets", "/_dash-ws-callback", *PUBLIC)
    for path in paths(app) - set(open_to_all):
        for method in ("GET", "POST", "DELETE"):
            status = nobody.request(method, path, headers=walk.OWN_PAGE).status_code
            assert status in (401, 303), (method, path, status)


def test_no_callback_answers_anonymous(clients: dict[str, httpx.Client]) -> None:
    found = walk.callbacks(clients["viewer"])
    assert len(found) > 100
    for callback in found:
        body = callback.body("?project=shop", "/")
        answer = clients[""].post("/_dash-update-component", json=body, headers=walk.OWN_PAGE)
        assert answer.status_code == 401


def test_each_role_writes_what_it_may_and_nothing_more(clients: dict[str, httpx.Client]) -> None:
    wrong = []
    for method, path, body, needed in walk.writes("shop"):
        for name in (*PEOPLE, "admin-of-all"):
            status = send(clients[name], method, path, body).status_code
            rank = name.replace("-", " ")
            may = rank in RANKS and RANKS.index(rank) >= RANKS.index(needed)
            if (status == 403) == may or status >= 500:
                wrong.append((name, method, path, status))
    assert wrong == []


def test_no_role_on_one_project_writes_to_another(clients: dict[str, httpx.Client]) -> None:
    for method, path, body, _ in walk.writes(rival.PROJECT):
        for name in PEOPLE:
            assert send(clients[name], method, path, body).status_code == 403, (name, path)


def test_a_refusal_says_what_is_missing(clients: dict[str, httpx.Client]) -> None:
    body = {"project": "shop", "trace_id": "a" * 32, "value": 1}
    refused = send(clients["viewer"], "POST", "/api/scores", body).json()["error"]
    assert (
        refused
        == "viewer may look at the project 'shop', but not change anything: that needs the role editor."
    )
    foreign = send(clients["editor"], "POST", "/api/scores", body | {"project": "rival"}).json()["error"]
    assert foreign == "You have no role on the project 'rival'. An admin can give you one."


@pytest.mark.parametrize(("name", "path"), [("viewer", "/traces?project=rival"), ("nobody", "/")])
def test_a_page_of_a_foreign_project_is_a_readable_403(
    clients: dict[str, httpx.Client], name: str, path: str
) -> None:
    answer = clients[name].get(path)
    assert answer.status_code == 403 and "text/html" in answer.headers["content-type"]
    assert "An admin of this server can give you one" in answer.text and "<script>" not in answer.text


def test_the_project_in_the_page_is_escaped(clients: dict[str, httpx.Client]) -> None:
    answer = clients["viewer"].get("/", params={"project": "<script>alert(1)</script>"})
    assert answer.status_code == 403 and "<script>alert" not in answer.text


def test_the_list_of_projects_is_the_persons(clients: dict[str, httpx.Client]) -> None:
    callback = next(one for one in walk.callbacks(clients["viewer"]) if "filter-project" in one.output)
    for name, expected in (("viewer", {"shop"}), ("admin-of-all", {"shop", rival.PROJECT})):
        body = callback.body("", "/")
        answer = clients[name].post("/_dash-update-component", json=body, headers=walk.OWN_PAGE).json()
        data = answer["response"]["filter-project"]["data"]
        assert {one["value"] for one in data} == expected


def test_operations_run_in_the_name_of_who_asks(
    clients: dict[str, httpx.Client], operations: Operations
) -> None:
    operations.done.clear()
    made = send(clients["admin"], "POST", "/api/settings/keys", {"project": "shop", "scope": "ingest"})
    assert made.json()["secret"] == "gnm_i_made"
    assert operations.done == [("create_key", "admin")]


def test_nobody_locks_themselves_out(clients: dict[str, httpx.Client]) -> None:
    me = {"username": "admin-of-all"}
    for path, body in (("delete", me), ("role", {**me, "role": "none", "project": "*"})):
        answer = send(clients["admin-of-all"], "POST", f"/api/settings/users/{path}", body)
        assert answer.status_code == 400 and "Another admin" in answer.json()["error"]


def test_a_statement_that_is_bound_to_no_project_is_refused(app: FastAPI, store: Store) -> None:
    held = rights.RightsStore(store)
    person = users.create_user(store, "vera", PASSWORD, "", project_roles={"shop": "viewer"})
    with rights.asked_by(person):
        held.query("SELECT count() FROM spans WHERE project = {project:String}", {"project": "shop"})
        for sql, bound in (
            ("SELECT count() FROM spans", {}),
            ("SELECT count() FROM spans WHERE project = {project:String}", {"project": "rival"}),
            ("SELECT count() FROM spans WHERE project = {project:String}", {"project": "*"}),
            (
                "SELECT count() FROM spans WHERE project IN {projects:Array(String)}",
                {"projects": ["shop", "x"]},
            ),
            ("SELECT max(version) FROM alert_rules UNION ALL SELECT 1 FROM spans", {}),
        ):
            with pytest.raises(rights.NotAllowed):
                held.query(sql, bound)
            with pytest.raises(rights.NotAllowed):
                held.query_text(sql, bound)
        with pytest.raises(rights.NotAllowed):
            held.insert_rows("scores", ("project", "name"), [("shop", "x")])
    with pytest.raises(rights.NotAllowed, match="Nobody"):
        held.query("SELECT 1")
