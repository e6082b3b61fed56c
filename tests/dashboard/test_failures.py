"""A callback that fails leaves a trace in the log; a viewer who leaves does not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gnomon_dashboard.failures import LoggedFailures

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Message

OWN_PAGE = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def address(shop: Any) -> Any:
    from tests.dashboard.conftest import SECRET, served

    from gnomon_dashboard.app import create_dashboard

    with served(create_dashboard(shop, secret=SECRET, auth_required=False)) as url:
        yield url


def test_a_failing_callback_is_logged(address: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = httpx.post(f"{address}/_dash-update-component", json={"output": "no.such"}, headers=OWN_PAGE)
    assert answer.status_code == 500
    (record,) = [one for one in caplog.records if one.name == "gnomon_dashboard.failures"]
    assert record.getMessage() == "POST /_dash-update-component failed"
    assert record.exc_info is not None


@pytest.mark.parametrize(("arrives", "is_logged"), [("http.request", True), ("http.disconnect", False)])
def test_who_leaves_is_no_failure(arrives: str, is_logged: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def stumble(_scope: object, _receive: object, _send: object) -> None:
        raise AttributeError("no body")

    with pytest.raises(AttributeError):
        asyncio.run(_ask(LoggedFailures(stumble), {"type": arrives}))
    assert bool(caplog.records) is is_logged


async def _ask(app: Callable[..., Awaitable[None]], message: Message) -> None:
    async def receive() -> Message:
        return message

    async def send(_message: Message) -> None:
        raise AssertionError("nothing is answered here")

    await app({"type": "http", "method": "POST", "path": "/x", "headers": []}, receive, send)
