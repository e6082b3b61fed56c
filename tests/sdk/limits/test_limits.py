"""`gnomon.allow`: from memory, open when nobody knows, and never a request on the caller's thread."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.sdk.conftest import Start

import gnomon
from gnomon import _limits
from gnomon._guard import Guard
from gnomon._limits import Allowance, Limits, Subject
from gnomon._limits_client import NoAnswerError, read

U = ("u", "", "", "")
REFUSED = {"allowed": False, "reason": "budget used up", "retry_after_s": 60.0, "budget": "daily"}


class Collector:
    """Answers ``GET /v1/allow`` over a real socket."""

    def __init__(self) -> None:
        self.status = 200
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[dict[str, list[str]], str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                outer.asked.append((query, self.headers["Authorization"]))
                user = query.get("user", [""])[0]
                body = json.dumps(outer.answers.get(user, {"allowed": True})).encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def budgets() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


def wait_until(is_true: Callable[[], object]) -> None:
    end_s = time.monotonic() + 5
    while not is_true():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_the_first_question_is_answered_at_once_and_the_next_knows(budgets: Collector, start: Start) -> None:
    budgets.answers["u-1"] = REFUSED
    start(endpoint=budgets.url, api_key="k", service_name="shop")
    first = gnomon.allow(user="u-1", company="acme")
    assert first and not first.known
    wait_until(lambda: not gnomon.allow(user="u-1", company="acme"))
    answer = gnomon.allow(user="u-1", company="acme")
    assert answer == Allowance(False, "budget used up", 60.0, "daily", known=True)
    assert budgets.asked == [({"user": ["u-1"], "company": ["acme"], "service": ["shop"]}, "Bearer k")]


def test_others_are_asked_for_apart(budgets: Collector, start: Start) -> None:
    budgets.answers["u-1"] = REFUSED
    start(endpoint=budgets.url)
    assert not gnomon.allow("u-1", wait_s=5.0)
    assert gnomon.allow("u-2", wait_s=5.0).known
    assert gnomon.allow(company="acme", wait_s=5.0)


def test_a_collector_without_budgets_allows_and_is_left_in_peace(budgets: Collector, start: Start) -> None:
    budgets.status = 404
    start(endpoint=budgets.url)
    assert gnomon.allow("u-1", wait_s=5.0)
    assert gnomon.allow("u-1", fail_open=False)
    for number in range(20):
        gnomon.allow(f"u-{number}")
    time.sleep(0.05)
    assert len(budgets.asked) == 1


@pytest.mark.parametrize("fail_open", [True, False])
def test_nobody_answers(start: Start, fail_open: bool) -> None:
    start(endpoint="http://127.0.0.1:9")
    answer = gnomon.allow("u-1", fail_open=fail_open, wait_s=5.0)
    assert answer.allowed is fail_open and not answer.known
    assert gnomon.stats().errors >= 1


def test_without_init_everybody_may() -> None:
    assert gnomon.allow("u-1")
    assert not gnomon.allow("u-1", fail_open=False)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Asked:
    """Stands where the collector is asked; counts, answers or fails."""

    def __init__(self) -> None:
        self.answer: Allowance | Exception | None = Allowance(known=True)
        self.count = 0

    def __call__(self, subject: Subject) -> Allowance | None:
        self.count += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_answers_are_renewed_and_outlive_a_collector_that_is_away() -> None:
    clock, asked = Clock(), Asked()
    limits = Limits(asked, Guard(), clock)
    asked.answer = Allowance(False, known=True)
    assert not limits.allow(U, True, 5.0)
    assert not limits.allow(U, True, 5.0)
    assert asked.count == 1
    clock.now_s += 6
    asked.answer = OSError("away")
    assert not limits.allow(U, True, 0.0)  # the old answer, at once
    wait_until(lambda: asked.count == 2)
    wait_until(lambda: not limits._asking)
    assert not limits.allow(U, True, 0.0)
    assert asked.count == 2  # not asked again at once
    clock.now_s += 300
    assert limits.allow(U, True, 0.0)  # too old to count
    assert not limits.allow(U, False, 0.0)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_limits, "_MAX_SUBJECTS", 50)
    limits = Limits(Asked(), Guard())
    for number in range(200):
        limits.allow((str(number), "", "", ""), True, 5.0)
    assert len(limits._entries) == 50


def test_a_question_from_memory_takes_microseconds(budgets: Collector, start: Start) -> None:
    start(endpoint=budgets.url)
    assert gnomon.allow("u-1", wait_s=5.0).known
    best_s = float("inf")
    for _ in range(20):
        began_s = time.perf_counter()
        for _ in range(100):
            gnomon.allow("u-1")
        best_s = min(best_s, (time.perf_counter() - began_s) / 100)
    assert best_s < 100e-6  # about 2 µs; the bound only tells memory from a request


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_asks_for_itself() -> None:
    limits = Limits(Asked(), Guard())
    assert limits.allow(U, True, 5.0).known
    child = os.fork()
    if child == 0:
        os._exit(0 if limits.allow(U, True, 5.0).known else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("status", "body"), [(500, b""), (200, b"[]"), (200, b'{"allowed": "yes"}'), (401, b"{}"), (200, b"{")]
)
def test_what_is_no_answer(status: int, body: bytes) -> None:
    with pytest.raises((NoAnswerError, ValueError)):
        read(status, body)
