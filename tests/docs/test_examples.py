"""The Python in the guides runs: real client, real server, a provider on loopback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs import markdown
from tests.docs.conftest import RunningServer

import gnomon
from gnomon import testing
from gnomon_schemas import attributes

SDK_PAGE = markdown.DOCS / "sdk.md"
# Other guides run their programs against the same server.
OF_PAGE = "release = '2.4.0'"
OTHER_PAGES = [markdown.README, markdown.DOCS / "getting-started.md"]


def _run(page: Path, server: RunningServer, provider_url: str, folder: Path, **more: str) -> None:
    """Run all Python of a page as one program, with a provider on loopback and the server's key."""
    program = folder / "program.py"
    program.write_text("\n".join(block.text for block in markdown.blocks(page, "python")), encoding="utf-8")
    env = server.environment() | {"OPENAI_BASE_URL": provider_url, "OPENAI_API_KEY": "none"} | more
    command = [sys.executable, str(program)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def sdk_server(
    server: RunningServer, provider_url: str, tmp_path_factory: pytest.TempPathFactory
) -> RunningServer:
    """The server, after the program of the SDK page ran."""
    _run(SDK_PAGE, server, provider_url, tmp_path_factory.mktemp("sdk-page"))
    return server


@pytest.mark.parametrize("page", OTHER_PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_are_a_program_whose_calls_arrive(
    page: Path, server: RunningServer, provider_url: str, tmp_path: Path
) -> None:
    _run(page, server, provider_url, tmp_path, GNOMON_RELEASE=page.stem)
    rows = server.wait_for(f"SELECT model, status, input_tokens FROM calls WHERE release = '{page.stem}'")
    assert all(row["status"] == "ok" and row["input_tokens"] for row in rows), rows


def test_the_spans_of_the_sdk_page_arrive(sdk_server: RunningServer) -> None:
    kinds = sdk_server.wait_for("SELECT kind, count() AS n FROM spans WHERE release = '2.4.0' GROUP BY kind")
    assert {row["kind"]: row["n"] for row in kinds} == {
        "generation": 6,
        "embedding": 1,
        "step": 1,
        "tool": 1,
        "retrieval": 1,
        "cache": 1,
        "workflow": 1,
    }


def test_the_session_of_the_sdk_page_is_on_its_call(sdk_server: RunningServer) -> None:
    columns = "company_id, session_id, prompt_name, prompt_version, tags, metadata"
    found = sdk_server.wait_for(f"SELECT {columns} FROM calls WHERE company_id != '' AND {OF_PAGE}")
    assert found == [
        {
            "company_id": "acme",
            "session_id": "conversation-7",
            "prompt_name": "answer",
            "prompt_version": "v4",
            "tags": ["beta"],
            "metadata": {"shop": "shoes", "channel": "chat"},
        }
    ]
    carried = "SELECT kind FROM calls WHERE user_id = 'u-42' AND company_id = '' AND release = '2.4.0'"
    assert sdk_server.ask(carried) == [{"kind": "embedding"}]


def test_the_scores_of_the_sdk_page_arrive(sdk_server: RunningServer) -> None:
    traces = f"SELECT trace_id FROM spans WHERE {OF_PAGE}"
    scores = sdk_server.wait_for(
        f"SELECT name, value, label FROM scores FINAL WHERE trace_id IN ({traces}) ORDER BY value"
    )
    assert [(row["name"], row["value"], row["label"]) for row in scores] == [
        ("user_feedback", 0, "wrong_language"),
        ("helpfulness", 0.8, ""),
        ("user_feedback", 1, ""),
    ]


def test_the_sdk_page_names_the_whole_public_surface() -> None:
    text = SDK_PAGE.read_text(encoding="utf-8")
    missing = [name for name in gnomon.__all__ if f"gnomon.{name}" not in text and name != "Stats"]
    assert missing == []
    assert all(f"testing.{name}" in text or name == "Captured" for name in testing.__all__)


def test_the_sdk_page_names_every_kind_of_span() -> None:
    text = markdown.section(SDK_PAGE, "gnomon.observe: your own steps")
    assert [kind for kind in attributes.SPAN_KINDS if f"`{kind}`" not in text] == []


def test_the_attributes_on_the_sdk_page_exist() -> None:
    rows = markdown.table(SDK_PAGE, "gnomon.span(): a step inside a function")
    known = {value for value in vars(attributes).values() if isinstance(value, str)}
    assert {row["Attribute"] for row in rows} <= known
