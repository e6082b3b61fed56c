"""The program of the page on context runs, and what it promises is in the database."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.docs import markdown
from tests.docs.conftest import RunningServer

import gnomon
from gnomon_schemas import attributes

PAGE = markdown.DOCS / "sdk-context.md"
PRODUCTION = markdown.DOCS / "sdk-production.md"


@pytest.fixture(scope="module")
def context_server(
    server: RunningServer, provider_url: str, tmp_path_factory: pytest.TempPathFactory
) -> RunningServer:
    program = tmp_path_factory.mktemp("context-page") / "program.py"
    program.write_text("\n".join(block.text for block in markdown.blocks(PAGE, "python")), encoding="utf-8")
    env = server.environment() | {"OPENAI_BASE_URL": provider_url, "OPENAI_API_KEY": "none"}
    run = subprocess.run([sys.executable, str(program)], env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return server


def test_the_kinds_of_the_page_arrive(context_server: RunningServer) -> None:
    sql = "SELECT kind, count() AS n FROM spans WHERE release = 'context-page' GROUP BY kind ORDER BY kind"
    found = {row["kind"]: row["n"] for row in context_server.wait_for(sql)}
    assert found == {"agent": 1, "generation": 4, "retrieval": 2, "step": 1, "tool": 2, "workflow": 1}


def test_prompts_documents_and_streams_are_in_their_columns(context_server: RunningServer) -> None:
    where = "release = 'context-page'"
    prompts = context_server.wait_for(
        f"SELECT prompt_name, prompt_version, attributes['gnomon.prompt.template'] AS template FROM spans "
        f"WHERE {where} AND prompt_name != '' LIMIT 1"
    )
    assert (prompts[0]["prompt_name"], prompts[0]["prompt_version"]) == ("answer", "4")
    assert "{passages}" in str(prompts[0]["template"])
    found = context_server.ask(
        f"SELECT retrieval_query, documents FROM spans WHERE {where} AND kind = 'retrieval' LIMIT 1"
    )
    assert [document["id"] for document in found[0]["documents"]] == ["returns-1", "returns-2"]
    streams = context_server.ask(
        f"SELECT request_model, ttft_ms > 0 AS timed, output_text FROM spans WHERE {where} AND stream"
    )
    assert streams == [{"request_model": "alpaca-13b", "timed": 1, "output_text": "The parcel is late."}]


def test_what_the_page_continues_is_one_trace(context_server: RunningServer) -> None:
    sql = "SELECT uniqExact(trace_id) AS traces FROM spans WHERE name IN ('caller', 'serve')"
    assert context_server.ask(sql) == [{"traces": 1}]


def test_attributes_and_functions_on_the_pages_exist() -> None:
    text = PAGE.read_text(encoding="utf-8") + PRODUCTION.read_text(encoding="utf-8")
    for name in ("PROMPT_NAME", "PROMPT_VERSION", "PROMPT_TEMPLATE", "TOKENS_PER_SECOND"):
        assert getattr(attributes, name) in text
    for name in ("prompt", "retrieval", "tool", "agent", "llm_call", "headers", "continued"):
        assert f"gnomon.{name}" in text and name in gnomon.__all__
