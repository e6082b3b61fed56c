"""The reading API: who may read what, and whether it says what the database says."""

from __future__ import annotations

import csv
import io
import json

import pytest
from tests.api.conftest import OTHER, Api
from tests.dashboard import seed

from gnomon.client import Client
from gnomon_collector.store import datasets

PATHS = (
    "/metrics/catalogue",
    "/metrics?name=requests",
    "/traces",
    "/calls",
    "/traces/0123",
    "/scores",
    "/datasets",
    "/export/calls",
    "/export/fine-tuning",
    "/openapi.json",
)


@pytest.mark.parametrize("path", PATHS)
def test_nobody_reads_without_a_key_that_may(api: Api, path: str) -> None:
    assert api.get(path, key="").status_code == 401
    assert api.get(path, key="gnm_r_wrong").status_code == 401
    assert api.get(path, key=api.ingest).status_code == 403


@pytest.mark.parametrize(
    "path", [path for path in PATHS if "catalogue" not in path and "openapi" not in path]
)
def test_a_key_reads_its_own_project_only(api: Api, path: str) -> None:
    separator = "&" if "?" in path else "?"
    assert api.get(f"{path}{separator}project={OTHER}").status_code == 403
    refused = api.get(path, key=api.admin)
    assert refused.status_code == 400 and "?project=NAME" in refused.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/traces?limit=1000", "/calls?limit=1000", "/export/calls", "/export/traces"]
)
def test_nothing_of_another_project_is_seen(api: Api, path: str) -> None:
    assert "canary" not in api.get(path).text
    assert "canary" in api.get(path, key=api.other).text
    separator = "&" if "?" in path else "?"
    assert "canary" in api.get(f"{path}{separator}project={OTHER}", key=api.admin).text


def test_metrics_are_those_of_the_calls(api: Api) -> None:
    answer = api.get("/metrics", name=["requests", "cost_usd"], range="12h", by="prompt_version").json()
    found = {(one["metric"], one["group"]["prompt_version"]): one for one in answer}
    for version in ("v8", "v9"):
        calls, cost_usd = api.store.query(
            "SELECT count(), sum(cost_usd) FROM calls WHERE project = {p:String} AND prompt_version = {v:String}",
            {"p": seed.PROJECT, "v": version},
        ).rows[0]
        one = found["requests", version]
        assert one["total"] == calls
        assert sum(point["value"] for point in one["points"]) == calls
        assert found["cost_usd", version]["total"] == pytest.approx(float(str(cost_usd)))


def test_metrics_are_filtered_by_any_dimension(api: Api) -> None:
    whole = api.get("/metrics", name="requests", range="12h").json()[0]["total"]
    some = api.get("/metrics", name="requests", range="12h", prompt_version="v9").json()[0]["total"]
    assert (whole, some) == (60, 30)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/metrics?name=nosuch", "There is no metric"),
        ("/metrics?name=requests&by=nosuch", "cannot be filtered or grouped"),
        ("/metrics?name=requests&range=forever", "no range"),
        ("/metrics?name=requests&range=60d&step=60", "step must be"),
        ("/metrics?name=requests&start=2026-01-02&end=2026-01-01", "must end after it starts"),
        ("/traces?sort=nosuch", "no column"),
        ("/calls?q=nosuch:1", "There is no field"),
        ("/export/fine-tuning?format=csv", "JSON Lines only"),
    ],
)
def test_what_cannot_be_answered_is_explained(api: Api, path: str, says: str) -> None:
    refused = api.get(path)
    assert refused.status_code == 400
    assert says in refused.json()["detail"]


def test_pages_of_traces_are_the_whole(api: Api) -> None:
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        answer = api.get("/traces", limit=50, offset=offset, range="12h").json()
        seen += [row["trace_id"] for row in answer["traces"]]
        offset = answer["next_offset"]
    assert sorted(seen) == sorted(api.trace_ids)
    slowest = api.get("/traces", sort="-latency_ms", limit=5, range="12h").json()["traces"]
    latencies = [row["latency_ms"] for row in slowest]
    assert latencies == sorted(latencies, reverse=True)


def test_the_query_language_is_that_of_the_page(api: Api) -> None:
    tagged = api.get("/traces", q="tag:beta", limit=1000, range="12h").json()["traces"]
    assert {row["trace_id"] for row in tagged} == set(api.trace_ids[::4])
    bad = api.get("/traces", q="score.user_feedback<0.5", limit=1000, range="12h").json()["traces"]
    (expected,) = api.store.query("SELECT countIf(value < 0.5) FROM scores FINAL").rows[0]
    assert len(bad) == expected


def test_a_trace_has_its_spans_and_scores(api: Api) -> None:
    found = api.get(f"/traces/{api.trace_ids[10]}").json()
    assert {span["name"] for span in found["spans"]} == {"answer", "look up", "chat gpt-4o"}
    assert {score["name"] for score in found["scores"]} == {"user_feedback", "correction"}
    assert found["spans"][0]["start_time"].endswith("Z")
    assert api.get("/traces/nosuch").status_code == 404
    assert api.get(f"/traces/{api.trace_ids[10]}", key=api.other).status_code == 404


def test_exports_are_whole_and_csv_runs_no_formula(api: Api) -> None:
    lines = [json.loads(line) for line in api.get("/export/calls", range="12h").text.splitlines()]
    rows = list(csv.DictReader(io.StringIO(api.get("/export/calls", range="12h", format="csv").text)))
    assert len(lines) == len(rows) == 60
    assert {line["span_id"] for line in lines} == {row["span_id"] for row in rows}
    scores = api.get("/scores", range="12h").text.splitlines()
    assert len(scores) == 120 + 12


def test_feedback_becomes_the_fine_tuning_set(api: Api) -> None:
    text = api.get("/export/fine-tuning", range="12h", with_ids=True).text
    lines = {line["metadata"]["trace_id"]: line for line in map(json.loads, text.splitlines())}
    good = {
        str(row[0])
        for row in api.store.query(
            "SELECT trace_id FROM scores FINAL WHERE name = 'user_feedback' AND value = 1"
            " AND trace_id IN (SELECT trace_id FROM calls)"
        ).rows
    }
    corrected = {api.trace_ids[number] for number in range(10, 120, 10) if number % 4 in (2, 3)}
    # answered from the cache: no call whose messages could be learned from
    assert set(lines) == good | corrected
    for trace_id in corrected:
        number = api.trace_ids.index(trace_id)
        messages = lines[trace_id]["messages"]
        assert [message["role"] for message in messages] == ["system", "user", "assistant"]
        assert messages[1]["content"] == f"question {number}"
        assert messages[2]["content"] == f"Corrected answer {number}"
    kept = next(iter(good - corrected))
    assert lines[kept]["messages"][-1]["content"] == f"answer {api.trace_ids.index(kept)}"


def test_corrections_become_preferences(api: Api) -> None:
    lines = [json.loads(line) for line in api.get("/export/preferences", range="12h").text.splitlines()]
    assert len(lines) == 6
    for line in lines:
        assert set(line) == {"input", "preferred_output", "non_preferred_output"}
        number = line["input"]["messages"][-1]["content"].removeprefix("question ")
        assert line["preferred_output"] == [{"role": "assistant", "content": f"Corrected answer {number}"}]
        assert line["non_preferred_output"] == [{"role": "assistant", "content": f"answer {number}"}]


def test_the_openapi_document_names_every_route(api: Api) -> None:
    document = api.get("/openapi.json").json()
    assert set(document["paths"]) == {
        f"/api/v1{path}"
        for path in (
            "/metrics/catalogue",
            "/metrics",
            "/traces",
            "/calls",
            "/traces/{trace_id}",
            "/scores",
            "/datasets",
            "/export/{kind}",
        )
    }
    assert all("description" in one["get"] for one in document["paths"].values())


def test_a_dataset_is_read_as_it_is_learned(api: Api) -> None:
    made = datasets.create_dataset(api.store, seed.PROJECT, "hard ones", "for the API", "ann")
    datasets.add_examples(api.store, made, [(one, "") for one in api.trace_ids], "ann")
    [shown] = api.get("/datasets").json()
    assert (shown["name"], shown["description"]) == ("hard ones", "for the API") and shown["examples"]
    lines = api.get("/export/examples", dataset="hard ones").text.splitlines()
    assert len(lines) == shown["examples"]
    assert {"input", "output", "expected_output", "scores"} <= set(json.loads(lines[0]))
    trained = api.get("/export/fine-tuning", dataset="hard ones", with_ids=True).text.splitlines()
    assert trained and all(json.loads(line)["metadata"]["trace_id"] in api.trace_ids for line in trained)
    assert api.get("/datasets", key=api.other).json() == []
    assert api.get("/export/examples", key=api.other, dataset="hard ones").status_code == 400
    client = Client(api.url, api_key=api.read)
    assert [one["name"] for one in client.datasets()] == ["hard ones"]
    assert len(client.dataset("hard ones")) == len(lines)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/export/examples", "Name the dataset"),
        ("/export/calls?dataset=x", "not as calls"),
        ("/export/examples?dataset=none", "no dataset 'none'"),
        ("/export/examples?dataset=x&format=csv", "JSON Lines only"),
    ],
)
def test_a_dataset_that_makes_no_sense_is_refused(api: Api, path: str, message: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 400 and message in answer.json()["detail"]
