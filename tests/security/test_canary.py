"""Two projects: a viewer of one asks for everything there is, and sees nothing of the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from tests.dashboard import rich, seed
from tests.dashboard.conftest import PASSWORD, SECRET, served
from tests.security import rival, walk

from gnomon_collector.ingest.app import IngestParts
from gnomon_collector.ingest.authorize import authorize_by_key
from gnomon_collector.ingest.flusher import FlushStats
from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.ingest.metrics import IngestMetrics
from gnomon_collector.jobs import JobBoard
from gnomon_collector.price_desk import LocalDesk
from gnomon_collector.serve import collector_app
from gnomon_collector.settings import load_settings
from gnomon_collector.store import access, users
from gnomon_collector.store.access import KeyRing
from gnomon_collector.store.price_source import PriceSource
from gnomon_dashboard.app import create_dashboard
from gnomon_dashboard.pages.rule_editor import EDITOR

if TYPE_CHECKING:
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store


@pytest.fixture(scope="module")
def store(_embedded_database: SharedDatabase) -> Store:
    """Both projects in every table; vera sees the seed's, robin the rival's."""
    store = _embedded_database.empty()
    rich.fill(store, datetime.now(UTC))
    filled = rival.add(store)
    assert len(filled) > 20
    users.create_user(store, "vera", PASSWORD, "", project_roles={seed.PROJECT: "viewer"})
    users.create_user(store, "robin", PASSWORD, "", project_roles={rival.PROJECT: "viewer"})
    users.create_user(store, f"{rival.CANARY}-person", PASSWORD, "", project_roles={rival.PROJECT: "admin"})
    return store


@pytest.fixture(scope="module")
def address(store: Store) -> Iterator[str]:
    with served(create_dashboard(store, secret=SECRET)) as url:
        yield url


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


def log_in(client: httpx.Client, name: str) -> None:
    form = {"username": name, "password": PASSWORD}
    assert client.post("/login", data=form, headers=walk.OWN_PAGE).status_code == 303


@pytest.mark.parametrize("project", [seed.PROJECT, pytest.param("", marks=pytest.mark.slow)])
def test_a_viewer_of_one_project_sees_nothing_of_the_other(client: httpx.Client, project: str) -> None:
    log_in(client, "vera")
    answers = list(walk.everything(client, project))
    assert [one.asked for one in answers if rival.CANARY in one.said] == []
    refused = [(one.asked, one.status) for one in answers if one.status not in (200, 204)]
    named = ("/api/views", "/api/review", "/api/datasets", "/export/datasets")  # must name what there is
    assert [one for one in refused if not any(path in one[0] for path in named)] == []


@pytest.mark.parametrize("project", [rival.PROJECT, "*"])
def test_another_project_in_the_address_is_refused(client: httpx.Client, project: str) -> None:
    log_in(client, "vera")
    answers = list(walk.everything(client, project))
    assert [one.asked for one in answers if rival.CANARY in one.said] == []
    let_in = [one for one in answers if one.status != 403]
    # the form of the rule editor is the same for everybody
    frame = ("..page.children", "..filter-project.data", f"{EDITOR}.children")
    assert [one.asked for one in let_in if not one.asked.startswith(frame)] == []
    assert any("no role on the project" in one.text for one in let_in)


def test_who_may_see_the_other_project_does(client: httpx.Client) -> None:
    """The control: the canaries are where somebody would find them."""
    log_in(client, "robin")
    seen = [one.asked for one in walk.everything(client, rival.PROJECT) if rival.CANARY in one.said]
    assert len(seen) > 60
    for part in (
        "alerts",
        "users",
        "sessions",
        "prompts",
        "export/traces",
        "export/trace/",
        "/api/views",
        "suggest",
    ):
        assert any(part in asked for asked in seen), part


@pytest.fixture(scope="module")
def api(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, KeyRing]]:
    """Base URL of a collector's HTTP side, and the keys it knows."""
    folder = tmp_path_factory.mktemp("collector")
    with closing(Inbox(folder / "inbox.sqlite", 10**9)) as inbox, KeyRing(store) as keys:
        settings = load_settings(data=folder)
        metrics = IngestMetrics(inbox, FlushStats())
        parts = IngestParts(settings, authorize_by_key(keys), inbox, store, metrics)
        desk = LocalDesk(store, PriceSource(settings.price_file))
        with served(collector_app(parts, keys, "token-of-this-test", desk, JobBoard())) as url:
            yield url, keys


API: Final = (
    "metrics?name=requests&name=cost_usd&by=user_id&by=service_name",
    "metrics?name=requests&user_id=canary7f3a rich-u1",
    "metrics/catalogue",
    "traces",
    "traces?q=canary7f3a",
    "calls?limit=1000",
    f"traces/{rival.TRACE_ID}",
    "scores?limit=1000",
)


def asked_of_api(address: str, key: str, project: str) -> list[tuple[str, httpx.Response]]:
    """Return every reading route's answer to a key."""
    with httpx.Client(base_url=address, headers={"authorization": f"Bearer {key}"}, timeout=60) as client:
        described = client.get(f"/api/v1/openapi.json?{project[1:]}").json()
        kinds = _export_kinds(described) if "paths" in described else []
        return [
            (path, client.get(f"/api/v1/{path}{'&' if '?' in path else '?'}range=24h{project}"))
            for path in (*API, *(f"export/{kind}" for kind in kinds))
        ]


def _export_kinds(described: dict[str, Any]) -> list[str]:
    parameters = described["paths"]["/api/v1/export/{kind}"]["get"]["parameters"]
    return next(one["schema"]["enum"] for one in parameters if one["name"] == "kind")


def test_a_key_of_one_project_reads_nothing_of_the_other(api: tuple[str, KeyRing], store: Store) -> None:
    address, keys = api
    key = access.create_key(store, seed.PROJECT, "read").key
    own = access.create_key(store, rival.PROJECT, "read").key
    keys.refresh()
    for path, answer in asked_of_api(address, key, ""):
        assert answer.status_code in (200, 404) or "dataset" in answer.text, (path, answer.text)
        assert rival.CANARY not in answer.text.replace("canary7f3a rich-u1", ""), path
    for path, answer in asked_of_api(address, key, f"&project={rival.PROJECT}"):
        assert answer.status_code == 403 and rival.CANARY not in answer.text, path
    seen = [path for path, answer in asked_of_api(address, own, "") if rival.CANARY in answer.text]
    assert len(seen) >= 6, "the control sees nothing: this test would find no leak"
