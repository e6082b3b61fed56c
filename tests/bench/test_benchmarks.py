"""Each benchmark runs, at a tiny size, and reports what it should. Nothing here is about time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.bench import ingest, stages
from tests.bench.profile import leaf_shares, stage_shares


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
    samples = {
        "thread (0x7F): gnomon-flusher;_run (f.py);insert_batch (i.py);insert (c.py)": 3,
        "thread (0x7F): gnomon-flusher;_run (f.py);wait (threading.py)": 1,
        "thread (0x1);main (x.py)": 9,
    }
    assert stage_shares(samples) == {"gnomon-flusher": {"insert": 0.75, "wait": 0.25}}
    assert leaf_shares({"a;b": 3, "c;b": 1}) == {"b": 1.0}
