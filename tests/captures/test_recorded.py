"""SDKs as they were when recorded: calls, tokens, errors and conversations are what the provider answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.captures.recorded import (
    FIGURES,
    SENT,
    TRUTHS,
    differences,
    expected,
)
from tests.conformance.sdks import SDKS
from tests.ingest.server_process import ServerProcess

from gnomon_schemas.conversation import Conversation, parse_conversation

TOKENS = ", ".join(f"sum(c.{name}) AS {name}" for name in FIGURES)
COUNTS = (
    f"SELECT project, count() AS calls, {TOKENS}, countIf(status = 'error') AS errors"
    " FROM calls AS c GROUP BY project"
)
CALLS = (
    "SELECT project, kind, dialect, model, status, input_text, output_text, session_id, user_id, attributes,"
    " toString(start_time) AS began FROM calls ORDER BY project, start_time"
)
EVENTS = (
    "SELECT project, event.2 AS name, event.3 AS attributes FROM (SELECT project, arrayJoin(events) AS event"
    " FROM spans WHERE duplicate_of = '' AND kind = 'generation')"
)
Row = Mapping[str, Any]


def project_of(folder: str, scenario: str) -> str:
    return f"{folder}.{scenario}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Every scenario under a project of its own."""
    with ServerProcess(tmp_path_factory.mktemp("recorded") / "data") as server:
        for (folder, scenario), bodies in SENT.items():
            key = server.key(project_of(folder, scenario))
            for signal, body in bodies.items():
                assert server.post(f"/v1/{signal}", body, key).status_code == 200
        server.wait_until_written()
        yield server


@pytest.fixture(scope="module")
def counts(server: ServerProcess) -> dict[str, Row]:
    return {row.pop("project"): row for row in server.query(COUNTS)}


@pytest.fixture(scope="module")
def calls(server: ServerProcess) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in server.query(CALLS):
        found.setdefault(row["project"], []).append(row)
    return found


def test_every_folder_is_of_an_sdk_that_is_run() -> None:
    assert set(TRUTHS) <= set(SDKS)
    assert all("traces" in bodies for bodies in SENT.values())


@pytest.mark.parametrize(("folder", "scenario"), SENT)
def test_calls_tokens_and_errors_are_the_truth(counts: dict[str, Row], folder: str, scenario: str) -> None:
    assert differences(counts.get(project_of(folder, scenario)), expected(folder, scenario)) == []


@pytest.mark.parametrize("folder", TRUTHS)
def test_calls_are_of_the_dialect(calls: dict[str, list[Row]], folder: str) -> None:
    of_folder = [row for project, rows in calls.items() if project.startswith(f"{folder}.") for row in rows]
    assert {row["dialect"] for row in of_folder} == SDKS[folder].dialects
    assert not [row for row in of_folder if row["status"] == "ok" and not row["model"]]


@pytest.mark.parametrize(("folder", "scenario"), SENT)
def test_what_was_asked_and_answered_is_read(calls: dict[str, list[Row]], folder: str, scenario: str) -> None:
    rows = calls.get(project_of(folder, scenario), [])
    for said in _told(folder, scenario, rows):
        asked = [row for row in rows if _flat(said["question"]) in _flat(row["input_text"])]
        assert asked, (said["question"], [row["input_text"] for row in rows])
        answered = [_flat(row["output_text"]) for row in asked]
        assert any(_flat(said["answer"]) in text for text in answered), (said["answer"], answered)


def _told(folder: str, scenario: str, rows: list[Row]) -> list[Mapping[str, Any]]:
    """What was said in calls that succeeded; embeddings and failed calls say less, or in other words."""
    # smolagents puts words of its own around the question
    if (
        TRUTHS[folder][scenario]["errors"]
        or not rows
        or scenario in ("embeddings", "rag")
        or (folder, scenario) == ("smolagents", "tools")
    ):
        return []
    return [said for said in TRUTHS[folder][scenario]["said"] if said["question"] and said["answer"]]


def _flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("folder", [folder for folder in TRUTHS if "tools" in TRUTHS[folder]])
def test_a_tool_call_is_read_as_one(server: ServerProcess, calls: dict[str, list[Row]], folder: str) -> None:
    events = [_Event(row) for row in server.query(EVENTS) if row["project"] == project_of(folder, "tools")]
    talks = [_conversation(row, events) for row in calls[project_of(folder, "tools")]]
    kinds = {
        (part.kind, part.title)
        for talk in talks
        for each in (*talk.input, *talk.output)
        for part in each.parts
    }
    wanted = {name for said in TRUTHS[folder]["tools"]["said"] for name in said["tool_calls"]}
    assert {("tool_call", name) for name in wanted} <= kinds


class _Event:
    def __init__(self, row: Row) -> None:
        self.name: str = row["name"]
        self.attributes: Mapping[str, str] = row["attributes"]


def _conversation(row: Row, events: list[_Event]) -> Conversation:
    return parse_conversation(
        row["attributes"], dialect=row["dialect"], kind=row["kind"], events=events,
        input_text=row["input_text"], output_text=row["output_text"],
    )  # fmt: skip


SESSION, USER = "session-7", "user-42"
SESSIONS = "SELECT project, groupUniqArray((session_id, user_id)) AS said FROM spans GROUP BY project"


def test_sessions_and_users_are_found(server: ServerProcess) -> None:
    said = {
        row["project"].removesuffix(".session_user"): {tuple(pair) for pair in row["said"]}
        for row in server.query(SESSIONS)
        if row["project"].endswith(".session_user")
    }
    # set by OpenInference, which is not there
    del said["openai-agents-logfire"]
    # the session stays within LiteLLM
    assert ("", USER) in said.pop("litellm")
    assert {folder: (SESSION, USER) in pairs for folder, pairs in said.items()} == dict.fromkeys(said, True)


def test_posted_again_nothing_changes(server: ServerProcess, counts: dict[str, Row]) -> None:
    for (folder, scenario), bodies in SENT.items():
        key = server.key(project_of(folder, scenario))
        server.export(bodies["traces"], key)
    server.wait_until_written()
    assert {row.pop("project"): row for row in server.query(COUNTS)} == counts
