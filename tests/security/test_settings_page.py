"""Settings in a real Chromium over the real operations: an admin changes, and the audit log says who."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tests.dashboard import rich
from tests.dashboard.conftest import PASSWORD, SECRET, served
from tests.e2e.browser import chromium, page, until  # noqa: F401

from gnomon_collector.ingest.inbox import Inbox
from gnomon_collector.operations.operator import Operator
from gnomon_collector.operations.registry import run
from gnomon_collector.store import access, users
from gnomon_collector.store.projects import project_settings
from gnomon_dashboard.app import create_dashboard

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from gnomon_collector.store.engine import Store


@pytest.fixture
def address(store: Store, tmp_path: Path) -> Iterator[str]:
    rich.fill(store, datetime.now(UTC))
    users.create_user(store, "ada", PASSWORD, "admin")
    users.create_user(store, "ben", PASSWORD, "", project_roles={"shop": "editor"})
    access.create_key(store, "shop", "ingest", "checkout")
    with closing(Inbox(tmp_path / "inbox.sqlite", 10**9)) as inbox:
        app = create_dashboard(
            store,
            secret=SECRET,
            operate=lambda name, actor, given: run(name, Operator(store, inbox, tmp_path, actor), given),
        )
        with served(app) as url:
            yield url


def open_settings(page: Page, address: str, username: str) -> None:  # noqa: F811
    page.goto(f"{address}/login?next=/settings%3Fproject%3Dshop%26refresh%3D0")
    page.fill("#username", username)
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.locator(".rank").first.wait_for()


def press(page: Page, action: str, value: str = "") -> str:  # noqa: F811
    """Press a button and return what is said."""
    page.evaluate("document.getElementById('settings-answer').replaceChildren()")
    page.locator(f"[data-action={action}]" + (f"[data-value='{value}']" if value else "")).click()
    page.locator("#settings-answer p").wait_for()
    return page.inner_text("#settings-answer")


def test_an_admin_changes_keys_people_and_projects(address: str, page: Page, store: Store) -> None:  # noqa: F811
    open_settings(page, address, "ada")
    page.on("dialog", lambda dialog: dialog.accept())
    page.fill("#settings-key-name", "made here")
    press(page, "settings-key-create")
    secret = page.inner_text(".settings-secret")
    with access.KeyRing(store) as keys:
        info = keys.lookup(secret)
    assert info is not None and (info.project, info.name) == ("shop", "made here")
    until(page, f"document.querySelector('[data-action=settings-key-revoke][data-value={info.key_id}]')")
    assert "revoked" in press(page, "settings-key-revoke", info.key_id)
    page.fill("#settings-content-days", "14")
    page.check("#settings-mask")
    assert press(page, "settings-project") == "Saved for shop."
    assert (project_settings(store)["shop"].content_days, project_settings(store)["shop"].mask_content) == (
        14,
        True,
    )
    page.fill("#settings-user-name", "eve")
    press(page, "settings-user-create")
    password = page.inner_text(".settings-secret")
    eve = users.verify_password(store, "eve", password)
    assert eve is not None and eve.project_roles == {"shop": "viewer"}
    assert "removed" in press(page, "settings-user-delete", "ben")
    assert users.find_user(store, "ben") is None
    rows = store.query("SELECT actor, action FROM audit_log ORDER BY time").rows
    expected = ["keys.create", "keys.revoke", "projects.set", "users.create", "users.delete"]
    assert rows == [("ada", action) for action in expected]


def test_who_is_no_admin_sees_and_changes_nothing(address: str, page: Page) -> None:  # noqa: F811
    open_settings(page, address, "ben")
    page.get_by_text("An admin of the project can change what stands here.").wait_for()
    assert page.locator("[data-action^=settings-]").count() == 0
