"""What the pages write: saved views and judgements; and who may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient
from tests.dashboard import seed
from tests.dashboard.conftest import PASSWORD, SECRET

from gnomon_collector.errors import BadRequest
from gnomon_collector.store import saved_views, users
from gnomon_dashboard.app import create_dashboard

if TYPE_CHECKING:
    from gnomon_collector.store.engine import Store

TRACE = "a" * 32
SAME_SITE = {"sec-fetch-site": "same-origin"}


def browser(store: Store, username: str, role: str) -> Iterator[TestClient]:
    users.create_user(store, username, PASSWORD, role)
    with TestClient(create_dashboard(store, secret=SECRET), headers=SAME_SITE) as client:
        client.post("/login", data={"username": username, "password": PASSWORD})
        yield client


@pytest.fixture
def editor(store: Store) -> Iterator[TestClient]:
    yield from browser(store, "ada", "editor")


@pytest.fixture
def viewer(store: Store) -> Iterator[TestClient]:
    yield from browser(store, "vera", "viewer")


def test_a_view_is_saved_replaced_and_deleted(editor: TestClient, store: Store) -> None:
    body = {"project": "shop", "name": " slow  calls ", "path": "/traces", "query": "?q=latency%3E3s"}
    saved = editor.post("/api/views", json=body).json()
    assert (saved["name"], saved["author"]) == ("slow calls", "ada")
    again = editor.post("/api/views", json=body | {"query": "?q=latency%3E5s"}).json()
    assert again["view_id"] == saved["view_id"]
    assert [one.query for one in saved_views.list_views(store, "shop")] == ["?q=latency%3E5s"]
    assert editor.get("/api/views", params={"project": "other"}).json() == {"views": []}
    gone = editor.delete(f"/api/views/{saved['view_id']}", params={"project": "shop"})
    assert gone.status_code == 200
    assert editor.get("/api/views", params={"project": "shop"}).json() == {"views": []}


@pytest.mark.parametrize(
    "values",
    [
        {"name": " "},
        {"path": "//evil.example/x"},
        {"path": "https://evil.example"},
        {"path": "/\\evil.example"},
        {"query": "javascript:alert(1)"},
    ],
)
def test_a_view_leads_to_a_page_of_ours(store: Store, values: dict[str, str]) -> None:
    given = {"name": "a", "path": "/traces", "query": ""} | values
    with pytest.raises(BadRequest):
        saved_views.save_view(store, "shop", given["name"], given["path"], given["query"], "")


def test_deleting_what_is_gone_is_said(editor: TestClient) -> None:
    refused = editor.delete("/api/views/nosuch", params={"project": "shop"})
    assert refused.status_code == 400 and "no such view" in refused.json()["error"]


def test_a_judgement_and_its_correction_are_two_scores(editor: TestClient, store: Store) -> None:
    body = {
        "project": seed.PROJECT,
        "trace_id": TRACE,
        "value": 0,
        "comment": "wrong",
        "correction": "It is 42.",
    }
    assert editor.post("/api/scores", json=body).status_code == 200
    rows = store.query(
        "SELECT name, value, label, comment, source, author FROM scores FINAL WHERE trace_id = {t:String} ORDER BY name",
        {"t": TRACE},
    ).rows
    assert rows == [
        ("correction", None, "correction", "It is 42.", "human", "ada"),
        ("review", 0.0, "", "wrong", "human", "ada"),
    ]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"value": 2},
        {"value": 1, "trace_id": "x"},
        {"value": 1, "source": "judge"},
        {"value": 1, "author": "eve"},
    ],
)
def test_a_judgement_that_makes_no_sense_is_refused(editor: TestClient, store: Store, values: object) -> None:
    body = {"project": seed.PROJECT, "trace_id": TRACE} | values  # type: ignore[operator]
    assert editor.post("/api/scores", json=body).status_code == 422
    assert store.query("SELECT count() FROM scores").rows[0][0] == 0


def test_a_viewer_may_look_only(viewer: TestClient, store: Store) -> None:
    score = {"project": seed.PROJECT, "trace_id": TRACE, "value": 1}
    view = {"project": seed.PROJECT, "name": "a", "path": "/traces"}
    assert viewer.post("/api/scores", json=score).status_code == 403
    assert viewer.post("/api/views", json=view).status_code == 403
    assert viewer.delete("/api/views/x", params={"project": seed.PROJECT}).status_code == 403
    assert viewer.get("/api/views", params={"project": seed.PROJECT}).status_code == 200


def test_strangers_and_other_sites_change_nothing(editor: TestClient, store: Store) -> None:
    score = {"project": seed.PROJECT, "trace_id": TRACE, "value": 1}
    forged = editor.post("/api/scores", json=score, headers={"sec-fetch-site": "cross-site"})
    assert forged.status_code == 403
    editor.cookies.clear()
    assert editor.post("/api/scores", json=score).status_code == 401
    assert store.query("SELECT count() FROM scores").rows[0][0] == 0
