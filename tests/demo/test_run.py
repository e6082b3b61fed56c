"""The demo as a whole, around an intake: children start, the history goes in, everything ends in order."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest
from tests.demo.conftest import Intake

from gnomon_collector.demo.children import Child
from gnomon_collector.demo.run import look_after, run_demo, start_provider, start_service
from gnomon_collector.demo.sending import Sent
from gnomon_collector.errors import GnomonError

NOW = datetime(2026, 11, 18, 6, 30, tzinfo=UTC)


def children_of_this_process() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_demo_sends_history_and_live_calls_and_leaves_nothing_behind(intake: Intake, tmp_path: Path) -> None:
    before = children_of_this_process()
    stop, sent = threading.Event(), list[Sent]()
    demo = threading.Thread(
        target=run_demo,
        args=(intake.url, "gn_key"),
        kwargs={
            "now": NOW,
            "logs": tmp_path,
            "stop": stop,
            "history_days": 1,
            "requests_per_second": 10,
            "history_sent": sent.append,
        },
    )
    demo.start()
    try:
        wait_until(lambda: bool(sent) and live_chats(intake) > 10)
    finally:
        stop.set()
        demo.join(timeout=20)
    assert not demo.is_alive()
    assert sent[0].spans > 1000 and live_chats(intake) > 10
    assert children_of_this_process() <= before


def wait_until(true: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + 40
    while not true():
        assert time.monotonic() < give_up_s
        time.sleep(0.1)


def live_chats(intake: Intake) -> int:
    simulated = "gnomon.simulated"
    return sum(
        span.name.startswith("chat ") and simulated not in {pair.key for pair in resource.attributes}
        for resource, _, span in intake.spans
    )


def test_provider_starts_answers_and_stops(tmp_path: Path) -> None:
    provider = start_provider(logs=tmp_path)
    try:
        assert httpx.get(f"{provider.url}/v1/models").json()["object"] == "list"
    finally:
        provider.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{provider.url}/v1/models")


def test_service_ends_cleanly_on_a_signal(provider_url: str, intake: Intake, tmp_path: Path) -> None:
    service = start_service(provider_url, intake.url, "gn_key", logs=tmp_path)
    wait_until(lambda: len(intake.spans) > 0)
    os.kill(service.pid, signal.SIGTERM)
    wait_until(lambda: service.exit_code() is not None)
    assert service.stop() == 0
    assert service.log.read_text() == ""


def test_a_child_that_does_not_start_is_reported_with_its_log(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(GnomonError, match=r"(?s)provider ended with exit code 1.*already in use"):
            start_provider(port, logs=tmp_path)


def test_a_child_that_ends_by_itself_ends_the_demo(tmp_path: Path) -> None:
    child = Child("gnomon_collector.demo.service", [], {}, tmp_path / "service.log")
    with pytest.raises(GnomonError, match=r"(?s)service ended with exit code 2.*--provider-url"):
        look_after({"service": child}, threading.Event())
    assert child.stop() == 2
