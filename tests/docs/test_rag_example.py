"""The example service, run as its users would: every mechanism shows in spans, scores and on the trace's page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.docs import markdown
from tests.docs.conftest import _free_port, _listens, _stop, clean_environment
from tests.e2e.browser import chromium, page
from tests.ingest.server_process import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["chromium", "page"]
EXAMPLE = markdown.DOCS / "examples" / "rag_service.py"
QUESTION = "How long does delivery take? I am ann@example.org, +7 916 123-45-67, order A-10442"


@dataclass
class Rag:
    """The running service, and the server that it reports to."""

    server: ServerProcess
    url: str
    trace_ids: list[str]

    def ask(self, question: str, path: str = "/ask") -> Any:
        body = {"user": "ann@example.org", "company": "acme", "session": "s-1", "question": question}
        answer = httpx.post(self.url + path, json=body, timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json() if path == "/ask" else answer.text

    def rows(self, sql: str, timeout_s: float = 60.0) -> list[dict[str, Any]]:
        end_s = time.monotonic() + timeout_s
        while not (found := self.server.query(sql)):
            assert time.monotonic() < end_s, sql
            time.sleep(0.2)
        return found


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory, provider_url: str) -> Iterator[Rag]:
    """The service after two questions that mean the same, a stream and a thumb."""
    folder = tmp_path_factory.mktemp("rag")
    shutil.copy(EXAMPLE, folder)
    with ServerProcess(folder / "data", ("collector", "dashboard")) as server:
        port = _free_port()
        env = clean_environment() | {
            "GNOMON_ENDPOINT": server.url,
            "GNOMON_API_KEY": server.key("shop"),
            "OPENAI_BASE_URL": provider_url,
            "OPENAI_API_KEY": "none",
            "RAG_MODEL": "err-500",  # the big model is down: the client repeats, then the small one answers
            "RAG_SHADOW_RATE": "1",
        }
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "rag_service:app",
            "--port",
            str(port),
            "--log-level",
            "warning",
        ]
        service = subprocess.Popen(command, cwd=folder, env=env)
        try:
            end_s = time.monotonic() + 60
            while not _listens(port):
                assert service.poll() is None and time.monotonic() < end_s
                time.sleep(0.05)
            rag = Rag(server, f"http://127.0.0.1:{port}", [])
            use(rag)
            yield rag
        finally:
            _stop(service)


def use(rag: Rag) -> None:
    for question in (QUESTION, QUESTION.replace("delivery", "the delivery")):
        rag.trace_ids.append(rag.ask(question)["trace_id"])
    assert rag.ask("Can I return shoes?", "/ask/stream")
    thumb = {"trace_id": rag.trace_ids[0], "good": False, "correction": "Three days."}
    assert httpx.post(f"{rag.url}/judge", json=thumb, trust_env=False).status_code == 200
    rag.rows("SELECT 1 FROM scores WHERE name = 'cache_hit_right'")
    rag.rows("SELECT 1 FROM scores WHERE name = 'correction'")
    rag.rows(f"SELECT 1 FROM spans WHERE trace_id = '{rag.trace_ids[1]}' AND name = 'POST /ask'")


def spans(rag: Rag, trace: int, where: str, columns: str) -> list[dict[str, Any]]:
    return rag.rows(f"SELECT {columns} FROM spans WHERE trace_id = '{rag.trace_ids[trace]}' AND {where}")


def test_for_whom_and_with_which_prompt(rag: Rag) -> None:
    (call,) = spans(
        rag,
        0,
        "kind = 'generation' AND fallback_of != ''",
        "company_id, session_id, prompt_name, prompt_version",
    )
    assert call == {
        "company_id": "acme",
        "session_id": "s-1",
        "prompt_name": "rag-answer",
        "prompt_version": "2",
    }


def test_nothing_personal_left_the_service(rag: Rag) -> None:
    text = str(rag.rows("SELECT * FROM spans"))
    for secret in ("ann@example.org", "916 123", "A-10442"):
        assert secret not in text
    users = {row["user_id"] for row in rag.rows("SELECT DISTINCT user_id FROM spans WHERE user_id != ''")}
    assert len(users) == 1 and re.fullmatch(r"\[EMAIL:[0-9a-f]{8}\]", users.pop())
    (asked,) = spans(
        rag, 0, "name = 'POST /ask'", "input_text, toUInt64(attributes['gnomon.masked.phone']) AS phones"
    )
    assert "[ORDER:" in asked["input_text"] and int(asked["phones"]) >= 1


def test_retrieved_documents(rag: Rag) -> None:
    (found,) = spans(rag, 0, "kind = 'retrieval'", "documents, retrieval_query")
    assert len(found["documents"]) == 2
    assert "delivery" in found["retrieval_query"]


def test_retries_of_the_client_and_the_fallback(rag: Rag) -> None:
    retries = spans(rag, 0, "name = 'retry' AND kind = 'event'", "attributes['gnomon.retry.cause'] AS cause")
    assert [row["cause"] for row in retries].count("http_500") == 2
    (chain,) = spans(
        rag, 0, "name = 'fallback answer'", "attributes['gnomon.fallback.answered'] AS who, fallback_reason"
    )
    assert chain == {"who": "complete_small", "fallback_reason": "http_500"}


def test_cache_a_miss_then_a_semantic_hit_that_a_shadow_call_checks(rag: Rag) -> None:
    assert spans(rag, 0, "kind = 'cache'", "cache_status") == [{"cache_status": "miss"}]
    (hit,) = spans(
        rag,
        1,
        "kind = 'cache'",
        "span_id, cache_status, cache_similarity, attributes['gnomon.cache.saved.output_tokens'] AS saved",
    )
    assert hit["cache_status"] == "semantic_hit" and hit["cache_similarity"] > 0.92
    assert int(hit["saved"]) > 0
    assert spans(rag, 1, "kind = 'evaluation'", "name") == [{"name": "cache shadow answers"}]
    (score,) = rag.rows("SELECT span_id, source FROM scores FINAL WHERE name = 'cache_hit_right'")
    assert score == {"span_id": hit["span_id"], "source": "check"}


def test_guard_and_checks(rag: Rag) -> None:
    (guard,) = spans(rag, 0, "kind = 'guardrail'", "attempt, fallback_reason")
    assert guard == {"attempt": 2, "fallback_reason": "check:intent_schema"}
    scores = rag.rows(
        f"SELECT name, label FROM scores FINAL WHERE trace_id = '{rag.trace_ids[0]}' AND source = 'check'"
    )
    names = [row["name"] for row in scores]
    assert names.count("intent_schema") == 2
    assert set(names) >= {"not_empty", "forbidden", "language", "max_length"}


def test_the_stream(rag: Rag) -> None:
    (call,) = rag.rows("SELECT trace_id, status, ttft_ms FROM spans WHERE stream AND kind = 'generation'")
    assert call["status"] == "ok" and call["ttft_ms"] > 0
    checked = rag.rows(f"SELECT name FROM scores FINAL WHERE trace_id = '{call['trace_id']}'")
    assert {row["name"] for row in checked} == {"max_length", "not_empty"}


def test_the_thumb_and_the_correction(rag: Rag) -> None:
    said = rag.rows(
        f"SELECT name, value FROM scores FINAL WHERE trace_id = '{rag.trace_ids[0]}' AND source = 'user' ORDER BY name"
    )
    assert said == [{"name": "correction", "value": None}, {"name": "user_feedback", "value": 0}]


def test_all_of_it_is_on_the_page_of_the_trace(rag: Rag, page: Page) -> None:
    printed = rag.server.log.read_text(encoding="utf-8")
    address = re.search(r"dashboard\s+(http://\S+)", printed)
    password = re.search(r"admin / (\S+)", printed)
    assert address and password, printed
    page.goto(address[1])
    page.fill("#username", "admin")
    page.fill("#password", password[1])
    page.click("button[type=submit]")
    page.wait_for_url(re.compile(r"^(?!.*/login)"))
    page.goto(f"{address[1]}/trace/{rag.trace_ids[0]}?project=shop")
    page.get_by_text("fallback answer").first.wait_for()
    shown = page.inner_text("body")
    for name in (
        "POST /ask",
        "guard intent_of",
        "cache answers",
        "find documents",
        "retry",
        "complete_small",
    ):
        assert name in shown, name
