"""What real instrumentations send, posted to a real server, counts as what really happened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.ingest.payloads import gzipped
from tests.ingest.server_process import ServerProcess

HERE = Path(__file__).parent
# Those with a truth of their own are in `recorded`.
FOLDERS = tuple(
    sorted(
        path.name
        for path in HERE.iterdir()
        if any(path.glob("*.traces.pb")) and not (path / "truth.json").exists()
    )
)
TRUTH: dict[str, dict[str, int | None]] = json.loads((HERE / "truth.json").read_text(encoding="utf-8"))
CAPTURES = {
    (folder, path.name.removesuffix(".traces.pb")): path.read_bytes()
    for folder in FOLDERS
    for path in sorted((HERE / folder).glob("*.traces.pb"))
}
LOGS = {
    (folder, path.name.removesuffix(".logs.pb")): path.read_bytes()
    for folder in FOLDERS
    for path in sorted((HERE / folder).glob("*.logs.pb"))
}
METRICS = {
    folder: path.read_bytes() for folder in FOLDERS for path in sorted((HERE / folder).glob("*.metrics.pb"))
}
CACHE_AND_REASONING = {"cache_read_tokens", "cache_write_tokens", "reasoning_tokens"}
NO_REASONING_OF_ANTHROPIC = {"anthropic": {"reasoning_tokens"}}
# What an SDK does not say, by the beginning of the scenario (see README.md).
UNSAID: dict[str, dict[str, set[str]]] = {
    "langfuse": {},
    "mlflow": NO_REASONING_OF_ANTHROPIC,
    "openinference": NO_REASONING_OF_ANTHROPIC,
    "openllmetry": NO_REASONING_OF_ANTHROPIC
    | {
        name: {"cache_write_tokens"}
        for name in ("chat", "feedback", "rag", "responses", "retry", "session", "tools")
    }
    | {name: {"reasoning_tokens"} for name in ("chat_stream", "lc_")},
    "openllmetry-0.40-legacy": NO_REASONING_OF_ANTHROPIC
    | {
        name: {"cache_write_tokens", "reasoning_tokens"}
        for name in ("chat", "feedback", "lc_", "rag", "retry", "session", "tools")
    }
    | {
        name: {"input_tokens", "output_tokens", *CACHE_AND_REASONING}
        for name in ("chat_stream", "anthropic_stream")
    },
    "otel-genai-event": NO_REASONING_OF_ANTHROPIC,
    "otel-genai-span": NO_REASONING_OF_ANTHROPIC,
    "otel-openai-v2-latest-event": {"": CACHE_AND_REASONING},
    "otel-openai-v2-latest-span": {"": CACHE_AND_REASONING},
    "otel-openai-v2-legacy": {"": CACHE_AND_REASONING},
    "vercel-ai-7": {"": {"reasoning_tokens"}},
}
# What happened otherwise than in the truth: a failed stream that is told from an aborted one by nothing, a
# generation reported by hand beside the call, and the Vercel scenarios, written for another language with other
# prompts (`rag` embeds its question, `retry_500` is Vercel's alone).
OTHERWISE: dict[tuple[str, str], dict[str, int | None]] = {
    ("langfuse", "chat_stream_error"): {"errors": 0},
    ("openllmetry", "chat_stream_error"): {"errors": 0},
    ("langfuse", "session_user"): {
        "calls": 2,
        "input_tokens": 124,
        "output_tokens": 41,
        "cache_read_tokens": 67,
    },
    ("vercel-ai-7", "chat_ru"): {"input_tokens": 109},
    ("vercel-ai-7", "rag"): {"calls": 2, "input_tokens": 120},
    ("vercel-ai-7", "responses"): {"input_tokens": 106},
    ("vercel-ai-7", "session_user"): {"input_tokens": 106},
    ("vercel-ai-7", "tools"): {"input_tokens": 212},
    ("vercel-ai-7", "retry_500"): TRUTH["error_500"],
}
FIGURES = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
TOKENS = ", ".join(f"sum(c.{name}) AS {name}" for name in FIGURES)
COUNTS = (
    f"SELECT project, count() AS calls, {TOKENS}, countIf(status = 'error') AS errors"
    " FROM calls AS c GROUP BY project"
)
ROLLUPS = (
    f"SELECT project, sum(c.calls) AS calls, {TOKENS}, sumIf(c.calls, status = 'error') AS errors"
    " FROM {table} AS c FINAL GROUP BY project"
)

ROWS = (
    "SELECT (SELECT count() FROM spans) AS spans, (SELECT count() FROM log_records) AS log_records,"
    " (SELECT count() FROM metric_points) AS points, (SELECT count() FROM scores FINAL) AS scores"
)
Counts = Mapping[str, int | None]


def truth_of(folder: str, scenario: str) -> Counts:
    """Return the truth, null where the capture says nothing."""
    unsaid = {name for start, names in UNSAID[folder].items() for name in names if scenario.startswith(start)}
    happened = TRUTH.get(scenario, {}) | OTHERWISE.get((folder, scenario), {})
    return {name: None if name in unsaid else value for name, value in happened.items()}


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

    def post(self, project: str, body: bytes, path: str = "/v1/traces", **headers: str) -> None:
        key = self._keys.get(project) or self._keys.setdefault(project, self.server.key(project))
        assert self.server.post(path, body, key, **headers).status_code == 200

    def counts(self, sql: str = COUNTS) -> dict[str, Counts]:
        self.server.wait_until_written()
        return {row.pop("project"): row for row in self.server.query(sql)}


def project_of(folder: str, scenario: str) -> str:
    return f"{folder}.{scenario}"


@pytest.fixture(scope="module")
def posted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posted]:
    """Every scenario under a project of its own, and all of a folder under one more; logs before or after."""
    with ServerProcess(tmp_path_factory.mktemp("captures") / "data") as server:
        posted = Posted(server)
        for number, ((folder, scenario), body) in enumerate(CAPTURES.items()):
            requests = [("/v1/traces", body)]
            if (folder, scenario) in LOGS:
                requests.insert(number % 2, ("/v1/logs", LOGS[folder, scenario]))
            for path, sent in requests:
                posted.post(project_of(folder, scenario), sent, path)
                posted.post(folder, sent, path)
        for folder, body in METRICS.items():
            posted.post(folder, body, "/v1/metrics")
        yield posted


@pytest.fixture(scope="module")
def counts(posted: Posted) -> dict[str, Counts]:
    return posted.counts()


def test_every_scenario_of_the_truth_is_captured() -> None:
    assert {scenario for folder, scenario in CAPTURES if folder == "otel-genai-span"} == set(TRUTH)
    assert set(UNSAID) == set(FOLDERS)


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


@pytest.mark.parametrize("folder", ["otel-genai-span", "otel-openai-v2-latest-span"])
def test_one_response_id_in_two_scenarios_is_two_calls(posted: Posted, folder: str) -> None:
    posted.server.wait_until_written()
    rows = posted.server.query(
        f"SELECT response_id, count() AS calls FROM calls WHERE project = '{folder}'"
        " AND response_id != '' GROUP BY response_id HAVING calls > 1"
    )
    assert [row["calls"] for row in rows] == [2]


def test_every_call_says_its_dialect_and_model(posted: Posted) -> None:
    posted.server.wait_until_written()
    rows = posted.server.query(
        "SELECT scope_name, count() AS calls FROM calls WHERE dialect = '' OR model = '' GROUP BY scope_name"
    )
    assert rows == []


def test_what_the_user_asked_is_readable_in_every_dialect(posted: Posted) -> None:
    posted.server.wait_until_written()
    rows = posted.server.query(
        "SELECT project, input_text, output_text, status, language FROM calls WHERE project LIKE '%.chat_ru'"
    )
    assert len(rows) == len(FOLDERS)
    for row in rows:
        assert row["language"] == "ru"
        assert row["input_text"].startswith("Здравствуйте! Как оформить возврат"), row
        assert row["output_text"].startswith("Срок возврата — 14 дней"), row


def test_an_aborted_stream_is_cancelled_where_the_sdk_leaves_a_trace_of_it(posted: Posted) -> None:
    posted.server.wait_until_written()
    rows = posted.server.query(
        "SELECT project, status FROM calls WHERE project LIKE '%.chat_stream_abort' ORDER BY project"
    )
    cancelled = {row["project"].split(".chat")[0] for row in rows if row["status"] == "cancelled"}
    # MLflow and OpenLLMetry 0.40 drop the span; openai-v2 says it on the span or in its log record
    assert cancelled == set(FOLDERS) - {"mlflow", "openllmetry-0.40-legacy"}
    assert not [row for row in rows if row["status"] == "error"]


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


def test_log_records_give_each_call_its_content(posted: Posted) -> None:
    posted.server.wait_until_written()
    rows = posted.server.query(
        "SELECT project, response_id FROM calls WHERE kind = 'generation' AND status = 'ok'"
        f" AND splitByChar('.', project)[1] IN {tuple(sorted({folder for folder, _ in LOGS}))}"
        " AND (output_text = '' OR NOT mapContains(attributes, 'gen_ai.output.messages'))"
    )
    assert rows == []


def test_an_evaluation_event_is_one_score(posted: Posted) -> None:
    posted.server.wait_until_written()
    rows = posted.server.query(
        "SELECT project, name, value, label, comment, source, span_id != '' AS of_span FROM scores FINAL"
        " WHERE project LIKE '%.feedback' ORDER BY project"
    )
    assert [row.pop("project") for row in rows] == ["otel-genai-event.feedback", "otel-genai-span.feedback"]
    for row in rows:
        assert row == {
            "name": "user_feedback",
            "value": 1,
            "label": "thumbs_up",
            "comment": "Спасибо, помогло",
            "source": "user",
            "of_span": 1,
        }


def test_metrics_are_kept_and_cost_nothing(posted: Posted, counts: dict[str, Counts]) -> None:
    rows = posted.server.query(
        "SELECT project, max(m.sum) AS tokens FROM metric_points AS m"
        " WHERE name = 'gen_ai.client.token.usage' AND attributes['gen_ai.token.type'] = 'input' GROUP BY project"
    )
    assert {row["project"]: row["tokens"] for row in rows} == dict.fromkeys(METRICS, 106)


def test_posted_again_nothing_changes(posted: Posted, counts: dict[str, Counts]) -> None:
    rollups = [posted.counts(ROLLUPS.format(table=table)) for table in ("calls_per_minute", "calls_per_hour")]
    spans = posted.server.query(ROWS)

    for (folder, scenario), body in CAPTURES.items():
        posted.post(project_of(folder, scenario), gzipped(body), content_encoding="gzip")
        posted.post(folder, body)
    for (folder, scenario), body in LOGS.items():
        posted.post(project_of(folder, scenario), gzipped(body), "/v1/logs", content_encoding="gzip")
    for folder, body in METRICS.items():
        posted.post(folder, body, "/v1/metrics")

    assert posted.counts() == counts
    assert posted.server.query(ROWS) == spans
    again = [posted.counts(ROLLUPS.format(table=table)) for table in ("calls_per_minute", "calls_per_hour")]
    assert again == rollups
