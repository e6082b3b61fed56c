"""The pages about masking, checks, fallbacks, caches, limits and feedback: their programs run, and it shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs import markdown
from tests.docs.conftest import RunningServer

from gnomon import checks
from gnomon._recognisers import CLASSES
from gnomon_schemas import attributes

PAGES = ("masking", "checks", "fallbacks", "caches", "limits", "feedback")


@pytest.fixture(scope="module")
def ran(server: RunningServer, provider_url: str, tmp_path_factory: pytest.TempPathFactory) -> RunningServer:
    """The server, after the programs of all pages ran, all at once."""
    folder = tmp_path_factory.mktemp("coping")
    env = server.environment() | {"OPENAI_BASE_URL": provider_url, "OPENAI_API_KEY": "none"}
    running = []
    for page in PAGES:
        program = folder / f"{page}.py"
        found = markdown.blocks(markdown.DOCS / f"{page}.md", "python")
        program.write_text("\n".join(block.text for block in found), encoding="utf-8")
        command = [sys.executable, str(program)]
        running.append(
            subprocess.Popen(
                command, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    for page, process in zip(PAGES, running, strict=True):
        _, complaints = process.communicate(timeout=120)
        assert process.returncode == 0, f"{page}: {complaints}"
    return server


def rows(server: RunningServer, page: str, columns: str, where: str) -> list[dict[str, object]]:
    return server.wait_for(f"SELECT {columns} FROM spans WHERE release = '{page}-page' AND {where}")


def test_masking(ran: RunningServer) -> None:
    (mail,) = rows(
        ran, "masking", "input_text, attributes['gnomon.masked.email'] AS n", "name = 'support mail'"
    )
    assert mail == {"input_text": "I am [EMAIL], [PHONE], card [CARD]", "n": "1"}
    (own,) = rows(ran, "masking", "input_text", "name = 'own rules'")
    assert own["input_text"] == "Order [ORDER] for [PROJECT]"


def test_checks(ran: RunningServer) -> None:
    found = ran.wait_for(
        "SELECT s.name AS name, s.label AS label, c.kind AS kind, count() AS n"
        " FROM (SELECT * FROM scores FINAL WHERE source = 'check') AS s"
        " JOIN spans AS c ON s.span_id = c.span_id WHERE c.release = 'checks-page' GROUP BY ALL"
    )
    assert {row["kind"] for row in found} == {"generation"}
    by_name = {(row["name"], row["label"]): row["n"] for row in found}
    assert by_name["json", "fail"] == 3 and by_name["min_length", "fail"] == 1
    assert by_name["max_length", "pass"] == 2 and by_name["forbidden", "pass"] == 1
    assert {name for name, _ in by_name} >= {"sure", "names_days", "not_empty"}
    attempts = rows(ran, "checks", "attempt", "kind = 'generation' AND attempt > 0")
    assert sorted(int(str(row["attempt"])) for row in attempts) == [1, 1, 2]


def test_fallbacks(ran: RunningServer) -> None:
    retries = rows(ran, "fallbacks", "attributes['gnomon.retry.cause'] AS cause, attempt", "name = 'retry'")
    assert {row["cause"] for row in retries} == {"http_429", "http_500", "timeout"}
    answered = rows(
        ran,
        "fallbacks",
        "name, attributes['gnomon.fallback.answered'] AS who",
        "startsWith(name, 'fallback ')",
    )
    told = {(row["name"], row["who"]) for row in answered}
    assert told >= {("fallback answer", "ask"), ("fallback by model", "gpt-4.1-mini")}
    later = rows(
        ran, "fallbacks", "attempt, fallback_of, fallback_reason", "kind = 'generation' AND fallback_of != ''"
    )
    assert {"attempt": 2, "fallback_of": "err-429", "fallback_reason": "http_429"} in later
    assert {"attempt": 2, "fallback_of": "ask_big", "fallback_reason": "http_500"} in later


def test_caches(ran: RunningServer) -> None:
    found = rows(
        ran, "caches", "attributes['gnomon.cache.name'] AS name, cache_status AS status", "kind = 'cache'"
    )
    assert {(row["name"], row["status"]) for row in found} == {
        ("answers", "miss"), ("answers", "hit"), ("sqlite", "miss"), ("disk", "hit"),
        ("gptcache", "semantic_hit"), ("careful", "semantic_hit"),
    }  # fmt: skip
    (saved,) = rows(
        ran,
        "caches",
        "toFloat64(attributes['gnomon.cache.saved.cost_usd']) AS usd",
        "cache_status = 'hit' AND attributes['gnomon.cache.name'] = 'answers'",
    )
    assert float(str(saved["usd"])) > 0
    assert ran.wait_for("SELECT value FROM scores FINAL WHERE name = 'cache_hit_right'")


def test_limits(ran: RunningServer) -> None:
    (call,) = rows(ran, "limits", "user_id, company_id", "kind = 'generation'")
    assert call == {"user_id": "u-42", "company_id": "acme"}


def test_feedback(ran: RunningServer) -> None:
    found = ran.wait_for(
        "SELECT name, value, comment FROM scores FINAL WHERE trace_id IN"
        " (SELECT trace_id FROM spans WHERE release = 'feedback-page') ORDER BY name"
    )
    assert [(row["name"], row["value"], row["comment"]) for row in found] == [
        ("correction", None, "Ваш заказ приедет завтра."),
        ("helpfulness", 0.25, "answered in English"),
        ("user_feedback", 1, ""),
    ]


def test_the_pages_name_what_there_is() -> None:
    masking, checks_page = markdown.DOCS / "masking.md", markdown.DOCS / "checks.md"
    assert [row["Class"] for row in markdown.table(masking, "What is found")] == list(CLASSES)
    told = {
        row["Check"].partition("(")[0].removeprefix("checks.")
        for row in markdown.table(checks_page, "Checking")
    }
    assert told == set(checks.__all__) - {"Check", "Verdict"}
    known = {value for value in vars(attributes).values() if isinstance(value, str)}
    for page, heading in (
        ("fallbacks", "Retries inside of the provider's client"),
        ("fallbacks", "Fallbacks"),
    ):
        told = {row["Attribute"] for row in markdown.table(Path(markdown.DOCS / f"{page}.md"), heading)}
        assert told <= known
