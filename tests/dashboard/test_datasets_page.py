"""Datasets in a real Chromium: filled from a trace and from a query, put right, downloaded; and who may not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.testclient import TestClient
from tests.dashboard import rich
from tests.dashboard.conftest import PASSWORD, SECRET, served
from tests.dashboard.seed import PROJECT
from tests.dashboard.test_writes import SAME_SITE
from tests.e2e.browser import chromium, page, until  # noqa: F401

from gnomon_collector.store import datasets, users
from gnomon_dashboard.app import create_dashboard

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store


@pytest.fixture(scope="module")
def shop(_embedded_database: SharedDatabase) -> Store:
    store = _embedded_database.empty()
    rich.fill(store, datetime.now(UTC))
    return store


@pytest.fixture(scope="module")
def url(shop: Store) -> Iterator[str]:
    with served(create_dashboard(shop, secret=SECRET, auth_required=False)) as address:
        yield address


def shows(page: Page, selector: str, text: str) -> None:  # noqa: F811
    until(page, f"(document.querySelector({selector!r})?.innerText ?? '').includes({json.dumps(text)})")


def a_trace(store: Store) -> str:
    sql = (
        "SELECT max(trace_id) FROM spans WHERE project = {p:String} AND kind = 'generation' AND status = 'ok'"
        " AND output_text != ''"
    )
    return str(store.query(sql, {"p": PROJECT}).rows[0][0])


def test_from_a_query_to_the_fine_tuning_file(page: Page, url: str, shop: Store) -> None:  # noqa: F811
    page.goto(f"{url}/traces?project={PROJECT}&range=24h&refresh=0&q=status%3Aok%20model%3Agpt*")
    page.locator(".ag-row .cell-link").first.wait_for()
    page.get_by_text("Add to dataset").click()
    page.locator(".dataset-limit input").fill("30")
    page.get_by_label("Name of a new dataset").fill("hard ones")
    page.keyboard.press("Enter")
    shows(page, ".menu-state", "30 added to hard ones, 0 were in it, 0 called no model.")
    assert datasets.find_dataset(shop, PROJECT, "hard ones").examples == 30

    page.goto(f"{url}/datasets?project={PROJECT}&refresh=0")
    page.locator("#datasets-list").get_by_role("link", name="hard ones").click()
    page.locator(".example").first.wait_for()
    assert page.locator(".example").count() == 20
    page.get_by_role("link", name="Next →").click()
    until(page, "document.querySelectorAll('.example').length === 10")
    answered = page.locator(".example").filter(has_text=re.compile(r"answer \d+")).first
    answered.get_by_role("button", name="Expected output").click()
    page.locator(".sheet-text").fill("What it should have said.")
    page.locator("dialog.sheet").get_by_role("button", name="Save").click()
    shows(page, "#dataset-examples", "What it should have said.")

    others = page.locator(".example").filter(has_not_text="What it should have said.")
    others.first.get_by_role("button", name="Remove").click()
    until(page, "document.querySelectorAll('.example').length === 9")
    page.get_by_text("Download", exact=True).first.click()
    with page.expect_download() as download:
        page.get_by_text("Fine-tuning (JSON Lines)").click()
    lines = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert "What it should have said." in {line["messages"][-1]["content"] for line in lines}
    assert len(lines) <= 29


def test_a_trace_is_added_once(page: Page, url: str, shop: Store) -> None:  # noqa: F811
    page.goto(f"{url}/datasets?project={PROJECT}&refresh=0")
    page.fill("#dataset-name", "one by one")
    page.keyboard.press("Enter")
    shows(page, "#dataset-state", "Made: one by one.")
    page.goto(f"{url}/trace/{a_trace(shop)}?project={PROJECT}&refresh=0")
    menu = page.locator(".trace-id .dataset-menu")
    menu.locator("summary").click()
    menu.get_by_role("button", name="one by one").click()
    shows(page, ".trace-id .menu-state", "Added to one by one.")
    menu.get_by_role("button", name="one by one").click()
    shows(page, ".trace-id .menu-state", "It is in one by one already.")
    assert datasets.find_dataset(shop, PROJECT, "one by one").examples == 1


def test_a_dataset_is_deleted_by_a_second_click(page: Page, url: str, shop: Store) -> None:  # noqa: F811
    datasets.create_dataset(shop, PROJECT, "short lived", "", "")
    page.goto(f"{url}/datasets/short%20lived?project={PROJECT}&refresh=0")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it for good").click()
    page.wait_for_url("**/datasets?**")
    assert "short lived" not in {one.name for one in datasets.list_datasets(shop, PROJECT)}


def test_a_csv_has_all_pages(url: str, shop: Store) -> None:
    made = datasets.create_dataset(shop, PROJECT, "for a sheet", "", "")
    ids = [
        str(row[0])
        for row in shop.query("SELECT DISTINCT trace_id FROM calls WHERE project = 'shop' LIMIT 25").rows
    ]
    datasets.add_examples(shop, made, [(one, "") for one in ids], "")
    asked = {"project": PROJECT, "path": "/datasets/for a sheet"}
    text = httpx.get(f"{url}/export/panels/dataset-examples.csv", params=asked).text
    assert all(one in text for one in ids)


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("", {"name": "x" * 80 + "y"}, None),
        ("/add", {"dataset": "none such", "trace_id": "a" * 32}, "no dataset 'none such'"),
        ("/add", {"dataset": "one by one", "trace_id": "../../etc"}, None),
        ("/expect", {"dataset": "none such", "example": "x"}, "no dataset"),
    ],
)
def test_what_makes_no_sense_is_refused(
    url: str, path: str, body: dict[str, str], message: str | None
) -> None:
    answer = httpx.post(f"{url}/api/datasets{path}", json={"project": PROJECT, **body}, headers=SAME_SITE)
    assert answer.status_code == (422 if message is None else 400)
    assert message is None or message in answer.json()["error"]


def test_who_may_look_may_not_change(store: Store) -> None:
    users.create_user(store, "vera", PASSWORD, "viewer")
    with TestClient(create_dashboard(store, secret=SECRET), headers=SAME_SITE) as client:
        client.post("/login", data={"username": "vera", "password": PASSWORD})
        assert client.get("/api/datasets", params={"project": PROJECT}).json() == {"datasets": []}
        for path, body in (
            ("", {"name": "x"}),
            ("/delete", {"dataset": "x"}),
            ("/add", {"dataset": "x", "trace_id": "a" * 32}),
            ("/add-result", {"dataset": "x"}),
            ("/expect", {"dataset": "x", "example": "y"}),
            ("/remove", {"dataset": "x", "example": "y"}),
        ):
            assert client.post(f"/api/datasets{path}", json={"project": PROJECT, **body}).status_code == 403
