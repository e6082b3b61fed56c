"""What real instrumentations send, posted to a real server, counts as what really happened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.ingest.payloads import gzipped
from tests.ingest.server_process import ServerProcess

HERE = Path(__file__).parent
FOLDERS = ("otel-genai-span", "otel-openai-v2-latest-span")
TRUTH: dict[str, dict[str, int | None]] = json.loads((HERE / "truth.json").read_text(encoding="utf-8"))
CAPTURES = {
    (folder, path.name.removesuffix(".traces.pb")): path.read_bytes()
    for folder in FOLDERS
    for path in sorted((HERE / folder).glob("*.traces.pb"))
}
# What an SDK does not say (see README.md).
UNSAID = {
    "otel-genai-span": {"anthropic": {"reasoning_tokens"}},
    "otel-openai-v2-latest-span": {"": {"cache_read_tokens", "cache_write_tokens", "reasoning_tokens"}},
}
FIGURES = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
TOKENS = ", ".join(f"sum(c.{name}) AS {name}" for name in FIGURES)
COUNTS = (
    f"SELECT project, count() AS calls, {TOKENS}, countIf(status = 'error') AS errors"  # noqa: S608
    " FROM calls AS c GROUP BY project"
)
ROLLUPS = (
    f"SELECT project, sum(c.calls) AS calls, {TOKENS}, sumIf(c.calls, status = 'error') AS errors"  # noqa: S608
    " FROM {table} AS c FINAL GROUP BY project"
)

Counts = Mapping[str, int | None]


def truth_of(folder: str, scenario: str) -> Counts:
    """Return the truth, null where the capture says nothing."""
    unsaid = {name for start, names in UNSAID[folder].items() for name in names if scenario.startswith(start)}
    return {name: None if name in unsaid else value for name, value in TRUTH[scenario].items()}


def truth_of_folder(folder: str) -> Counts:
    """Return the sum over all scenarios of a folder."""
    listed = [truth_of(folder, scenario) for at, scenario in CAPTURES if at == folder]
    said = {name: [each[name] for each in listed if each[name] is not None] for name in listed[0]}
    return {name: sum(filter(None, values)) if values else None for name, values in said.items()}


class Posted:
    """A server, and a key for each project that the captures went to."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self._keys: dict[str, str] = {}

    def post(self, project: str, body: bytes, **headers: str) -> None:
        key = self._keys.get(project) or self._keys.setdefault(project, self.server.key(project))
        assert self.server.post("/v1/traces", body, key, **headers).status_code == 200

    def counts(self, sql: str = COUNTS) -> dict[str, Counts]:
        self.server.wait_until_written()
        return {row.pop("project"): row for row in self.server.query(sql)}


def project_of(folder: str, scenario: str) -> str:
    return f"{folder}.{scenario}"


@pytest.fixture(scope="module")
def posted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posted]:
    """Every scenario under a project of its own, and all of a folder under one more."""
    with ServerProcess(tmp_path_factory.mktemp("captures") / "data") as server:
        posted = Posted(server)
        for (folder, scenario), body in CAPTURES.items():
            posted.post(project_of(folder, scenario), body)
            posted.post(folder, body)
        yield posted


@pytest.fixture(scope="module")
def counts(posted: Posted) -> dict[str, Counts]:
    return posted.counts()


def test_every_scenario_of_the_truth_is_captured() -> None:
    assert {scenario for folder, scenario in CAPTURES if folder == "otel-genai-span"} == set(TRUTH)


@pytest.mark.parametrize(("folder", "scenario"), CAPTURES)
def test_calls_tokens_and_errors_are_the_truth(counts: dict[str, Counts], folder: str, scenario: str) -> None:
    assert counts[project_of(folder, scenario)] == truth_of(folder, scenario)


@pytest.mark.parametrize("folder", FOLDERS)
def test_all_scenarios_in_one_project_are_the_sum(counts: dict[str, Counts], folder: str) -> None:
    assert counts[folder] == truth_of_folder(folder)


@pytest.mark.parametrize("table", ["calls_per_minute", "calls_per_hour"])
def test_rollups_say_the_same(posted: Posted, counts: dict[str, Counts], table: str) -> None:
    rolled_up = posted.counts(ROLLUPS.format(table=table))
    assert rolled_up == {
        project: {name: value or 0 for name, value in said.items()} for project, said in counts.items()
    }


def test_one_response_id_in_two_scenarios_is_two_calls(posted: Posted) -> None:
    posted.server.wait_until_written()
    rows = posted.server.query(
        "SELECT response_id, count() AS calls FROM calls WHERE project IN ('otel-genai-span',"
        " 'otel-openai-v2-latest-span') AND response_id != '' GROUP BY project, response_id HAVING calls > 1"
    )
    assert [row["calls"] for row in rows] == [2, 2]


def test_a_call_seen_by_two_instrumentations_keeps_both_rows(posted: Posted) -> None:
    posted.server.wait_until_written()
    rows = posted.server.query(
        "SELECT scope_name, duplicate_of = '' AS is_billable FROM spans"
        " WHERE project = 'otel-genai-span.anthropic_chat' ORDER BY scope_name"
    )
    assert [row["scope_name"] for row in rows] == [
        "com.anthropic.sdk.python",
        "opentelemetry.instrumentation.genai.anthropic",
    ]
    assert sum(row["is_billable"] for row in rows) == 1


def test_posted_again_nothing_changes(posted: Posted, counts: dict[str, Counts]) -> None:
    rollups = [posted.counts(ROLLUPS.format(table=table)) for table in ("calls_per_minute", "calls_per_hour")]
    spans = posted.server.query("SELECT count() AS spans FROM spans")

    for (folder, scenario), body in CAPTURES.items():
        posted.post(project_of(folder, scenario), gzipped(body), content_encoding="gzip")
        posted.post(folder, body)

    assert posted.counts() == counts
    assert posted.server.query("SELECT count() AS spans FROM spans") == spans
    again = [posted.counts(ROLLUPS.format(table=table)) for table in ("calls_per_minute", "calls_per_hour")]
    assert again == rollups
