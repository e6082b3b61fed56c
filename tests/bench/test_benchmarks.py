"""Each benchmark runs, at a tiny size, and reports what it should. Nothing here is about time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.bench import dashboard, freshness, ingest, insert_chain, peers, stages
from tests.bench.dashboard_panels import panel_cases, trace_cases
from tests.bench.dashboard_questions import time_case
from tests.bench.generated import generated, sizes
from tests.bench.gnomon_server import gnomon_server
from tests.bench.idle import background_work, come_to_rest, measure_idle
from tests.bench.ingest_case import drain, run_load
from tests.bench.load import LoadOptions, Marker
from tests.bench.profile import leaf_shares, stage_shares
from tests.bench.visibility import chart_lags

if TYPE_CHECKING:
    from gnomon_collector.store.engine import Store


def _report(directory: Path, name: str) -> dict[str, object]:
    assert (directory / f"{name}.md").read_text(encoding="utf-8").startswith("# ")
    report: dict[str, object] = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
    return report


def test_ingest_counts_what_it_sent(tmp_path: Path) -> None:
    sizes = ["--seconds", "0.5", "--spans", "20", "--connections", "2", "--parts", "collector"]
    sizes += ["--encodings", "gzip"]
    off = ["--profile-seconds", "0", "--stage-batches", "0"]
    ingest.main([*sizes, *off, "--reports", str(tmp_path)])
    raw = _report(tmp_path, "ingest")["raw"]
    assert isinstance(raw, dict)
    assert [case["encoding"] for case in raw["cases"]] == ["gzip"]
    for case in raw["cases"]:
        sent = case["load"]["spans"]
        assert sent > 0 and sent % 20 == 0
        assert case["queryable"] == case["unique"] == case["in_rollups"] == sent
        assert case["part_bytes"] > 0 and case["server_cpu_s"] > 0 and case["peak_rss_bytes"] > 0


def test_stages_measure_every_step(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    stages.main(["--batches", "1", "--requests", "1", "--json"])
    measured = json.loads(capsys.readouterr().out)
    assert all(stage["wall_us"] > 0 for stage in measured)
    names = " ".join(stage["name"] for stage in measured)
    assert all(step in names for step in ("check", "commit", "read", "insert", "report", "forget", "rollups"))


def test_samples_become_shares_of_stages() -> None:
    flusher = "thread (12): gnomon-flusher;Thread.run (threading.py:9);Flusher._run (f.py:7)"
    samples = {
        f"{flusher};insert_batch (i.py:1);Store.insert_raw (e.py:2)": 3,
        f"{flusher};Event.wait (threading.py:3)": 1,
        "thread (1): MainThread;main (x.py:1)": 9,
    }
    assert stage_shares(samples) == {"gnomon-flusher": {"insert": 0.75, "wait": 0.25}}
    assert leaf_shares({"a (x.py:1);b (y.py:2)": 3, "c (x.py:3);b (y.py:9)": 1}) == {"b (y.py)": 1.0}


def test_the_insert_is_measured_view_by_view(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    insert_chain.main(["--repeats", "1", "--requests", "2", "--json"])
    names = [cost["name"] for cost in json.loads(capsys.readouterr().out)]
    assert names[0] == "decode protobuf" and names[-1] == "→ spans"


def test_freshness_finds_every_request(tmp_path: Path) -> None:
    sizes = ["--seconds", "1", "--rate", "100", "--spans", "10", "--idle-seconds", "0"]
    freshness.main([*sizes, "--reports", str(tmp_path)])
    raw = _report(tmp_path, "freshness")["raw"]
    assert isinstance(raw, dict)
    visible = raw["visibility"]
    assert visible["load"]["spans"] == 100 and visible["missing"] == 0
    assert len(visible["spans_s"]) == len(visible["charts_s"]) == 10


def test_a_server_is_not_at_rest_before_its_traces_are_summarised(tmp_path: Path) -> None:
    with gnomon_server(tmp_path) as server:
        options = LoadOptions(server.traces_url, server.headers, spans=10, max_spans=10)
        assert run_load(options).spans == 10
        assert come_to_rest(server, most_s=0).left  # in the inbox, or in the database and not summarised
        drain(server, 10)
        assert "10 spans of traces to be summarised" in background_work(server)


@pytest.mark.slow
def test_idling_is_measured_with_a_page_open(tmp_path: Path) -> None:
    with gnomon_server(tmp_path) as server:
        options = LoadOptions(server.traces_url, server.headers, spans=10, max_spans=10)
        assert run_load(options).spans == 10
        phases = measure_idle(server, each_s=0.5, settle_s=2)
    assert len(phases) == 3
    assert all(phase.rss_bytes > 0 and phase.seconds >= 0.5 for phase in phases)


def test_a_request_is_in_the_charts_once_all_before_it_are() -> None:
    markers = [Marker("a", 10.0, 50), Marker("b", 11.0, 100)]
    assert chart_lags(markers, [(10.5, 0), (12.0, 70), (13.0, 100)]) == [2.0, 2.0]
    assert chart_lags(markers, [(12.0, 70)]) == [2.0]


def test_every_panel_of_every_page_is_asked(store: Store) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    made = generated(store, spans=4000, days=2, now=now)
    assert made.spans == sizes(store)["spans"][0] == 4000
    cases = [*panel_cases(store, "7d"), *trace_cases(store, made)]
    times = [time_case(store, case, now, 1) for case in cases]
    pages = {one.page for one in times}
    assert {"Overview /", "Cost & tokens /cost", "Traces", "Trace"} <= pages and len(times) > 80
    assert {one.name: one.rows for one in times}["traces, newest first"] == 100
    assert any(page.startswith("Users /users/u") for page in pages)


@pytest.mark.slow
def test_pages_and_viewers_are_measured(tmp_path: Path) -> None:
    sizes = ["--rows", "4000", "--days", "2", "--ranges", "24h", "--repeats", "1", "--viewers", "4"]
    dashboard.main([*sizes, "--seconds", "12", "--rate", "200", "--reports", str(tmp_path)])
    raw = _report(tmp_path, "dashboard")["raw"]
    assert isinstance(raw, dict)
    assert all(one["transferred_bytes"] > 0 and one["interactive_ms"] > 0 for one in raw["loads"])
    alone, watched = raw["beside"]
    assert watched["answers_ms"] and not watched["failed"] and not alone["answers_ms"]
    assert alone["stored"] == alone["load"]["spans"] and watched["stored"] == watched["load"]["spans"]


def test_the_comparison_measures_gnomon_twice(tmp_path: Path) -> None:
    peers.main(["--peers", "--spans", "200", "--seconds", "0.3", "--reports", str(tmp_path)])
    raw = _report(tmp_path, "peers")["raw"]
    assert isinstance(raw, dict)
    same, full = raw["results"]
    assert same["visible"] == same["load"]["spans"] == 200
    assert full["visible"] == full["load"]["spans"] > 0
    assert same["disk_bytes"] > 0 and same["idle_rss_bytes"] > 0


@pytest.mark.slow
def test_peers_answer_in_their_own_words(tmp_path: Path) -> None:
    peers.main(["--spans", "100", "--seconds", "5", "--wait", "60", "--reports", str(tmp_path)])
    raw = _report(tmp_path, "peers")["raw"]
    assert isinstance(raw, dict)
    assert [one["visible"] for one in raw["results"][:3]] == [100, 100, 100]
