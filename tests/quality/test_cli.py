"""``gnomon judge`` as people run it, on a directory without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import run_gnomon
from tests.dashboard.conftest import served
from tests.quality.conftest import answered, insert

from gnomon_collector.demo.provider import make_provider_app
from gnomon_collector.store.engine import open_store
from gnomon_collector.store.migrations import migrate

IN_SHOP = ("--project", "shop", "--since", "2h")


@pytest.fixture
def judged_dir(data_dir: Path) -> Path:
    """A directory with ten answers, of which two refuse."""
    data_dir.mkdir()
    with open_store(f"chdb://{data_dir / 'chdb'}", data_dir=data_dir) as store:
        migrate(store)
        texts = ["I'm sorry, I cannot help with that."] * 2 + ["You have 30 days."] * 8
        insert(store, *(answered(number, output_text=text) for number, text in enumerate(texts)))
    return data_dir


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with served(make_provider_app(seed=1, latency_scale=0, error_rate=0)) as url:
        yield url


def test_from_estimate_to_a_failing_build(judged_dir: Path, provider: str) -> None:
    env = {"GNOMON_JUDGE_BASE_URL": f"{provider}/v1", "GNOMON_JUDGE_MODEL": "gpt-4o-mini"}

    def judge(*words: str) -> tuple[int, str]:
        done = run_gnomon("judge", *words, "--data", str(judged_dir), env=env)
        return done.returncode, done.stdout + done.stderr

    code, text = judge("estimate", *IN_SHOP, "-e", "refusal")
    assert code == 0 and "10 of 10 answers, 10 calls, cost about $0.00" in text
    assert judge("backfill", *IN_SHOP, "-e", "refusal") == (0, "10 judgements queued, 10 wait.\n")
    assert judge("backfill", *IN_SHOP, "-e", "refusal") == (0, "0 judgements queued, 10 wait.\n")
    code, text = judge("run", *IN_SHOP, "--fail-under", "0.9")
    assert code == 3 and "10 judged, 0 failed, 0 left" in text and "0.800" in text and "Below 0.9." in text
    code, text = judge("scores", *IN_SHOP, "--by", "prompt_version", "--json")
    (found,) = json.loads(text)
    (group,) = found["groups"]
    assert code == 0 and (group["label"], group["mean"], group["count"]) == ("v1", pytest.approx(0.8), 10)
    assert group["low"] < 0.6 < 0.9 < group["high"] and not group["is_enough"]
    code, text = judge("status", "--json")
    (project,) = json.loads(text)["projects"]
    assert project["calls_today"] == 10 and project["queue"][0]["judged"] == 10


def test_golden_sets_against_the_endpoint_of_the_openai_variables(data_dir: Path, provider: str) -> None:
    env = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": f"{provider}/v1"}
    words = ("judge", "golden", "-e", "relevance", "--model", "gpt-4o-mini", "--data", str(data_dir))
    done = run_gnomon(*words, "--estimate", env=env)
    assert done.returncode == 0 and "calls of gpt-4o-mini, about $0.00" in done.stdout, done.stderr
    assert "evaluator" not in done.stdout, "nothing was asked"
    done = run_gnomon(*words, env=env)
    assert done.returncode == 0 and "Cost: $0.00" in done.stdout and "relevance" in done.stdout, done.stderr
    done = run_gnomon(*words)
    assert done.returncode == 1 and "OPENAI_API_KEY" in done.stderr


def test_without_a_judge_it_says_how_to_get_one(judged_dir: Path) -> None:
    done = run_gnomon("judge", "backfill", *IN_SHOP, "-e", "refusal", "--data", str(judged_dir))
    assert done.returncode == 1 and "GNOMON_JUDGE_BASE_URL" in done.stderr
    done = run_gnomon("judge", "status", "--data", str(judged_dir))
    assert done.returncode == 0 and "LLM judging is off" in done.stdout


def test_a_wrong_time_is_named() -> None:
    done = run_gnomon("judge", "scores", "--project", "x", "--since", "yesterday")
    assert done.returncode == 2 and "'yesterday' is no time" in done.stderr
