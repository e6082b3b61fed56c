"""The worker: one verdict each, the budget held, failures seen, through errors and stops."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from tests.quality.conftest import (
    MODEL,
    NOW,
    Judge,
    answered,
    completion,
    error,
    first_label,
    insert,
    make_setup,
    policy_text,
)

from gnomon_collector.quality import worker as worker_module
from gnomon_collector.quality.planner import Backfill, estimate_backfill, plan_backfill, plan_online
from gnomon_collector.quality.running import work_off
from gnomon_collector.quality.setup import JudgeSetup
from gnomon_collector.quality.worker import Worker
from gnomon_collector.store import judge_queue, quality
from gnomon_collector.store.engine import Store
from gnomon_collector.store.own_projects import JUDGE_PROJECT
from gnomon_collector.store.queries.filters import Window


def planned(store: Store, setup: JudgeSetup, answers: int = 20) -> None:
    insert(store, *(answered(number) for number in range(answers)))
    plan_online(store, setup.policy, setup.evaluators, setup.model, NOW)


def work(store: Store, setup: JudgeSetup) -> Worker:
    worker = Worker(setup.parts(store))
    asyncio.run(worker.run(until_empty=True))
    return worker


def states(store: Store) -> dict[str, int]:
    return dict(store.query("SELECT state, count() FROM judge_tasks FINAL GROUP BY state").rows)  # type: ignore[arg-type]


def scores(store: Store) -> list[dict[str, object]]:
    return store.query("SELECT * FROM scores FINAL WHERE source = 'judge' ORDER BY score_id").dicts()


def again_now(store: Store) -> None:
    """Let the wait before the next try be over."""
    store.command(
        "INSERT INTO judge_tasks SELECT * REPLACE (toDateTime64(0, 3) AS not_before,"
        " toUnixTimestamp64Nano(now64(9)) AS version) FROM judge_tasks FINAL WHERE state = 'waiting'"
    )


def test_each_answer_gets_one_verdict_with_its_probability(
    store: Store, judge: Judge, tmp_path: Path
) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text(evaluators='"relevance", "refusal"'))
    planned(store, setup)
    work(store, setup)
    found = scores(store)
    assert len(judge.calls) == 40 and states(store) == {"judged": 40} and len(found) == 40
    one = found[0]
    assert (one["value"], one["label"], one["author"]) == (1.0, first_name(str(one["name"])), "gpt-4o-mini")
    assert (one["inclusion_probability"], one["comment"], one["session_id"]) == (1.0, "as asked", "")
    assert one["evaluator_version"] in setup.versions.values()
    assert one["cost_usd"] == pytest.approx((500 * 0.15 + 40 * 0.6) / 1e6)
    work(store, setup)
    assert len(judge.calls) == 40, "nothing is judged twice"


def first_name(evaluator: str) -> str:
    return {"relevance": "relevant", "refusal": "answered"}[evaluator]


def test_calls_are_asked_as_they_should_be(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 1)
    work(store, setup)
    (body,) = judge.calls
    assert body["temperature"] == 0 and body["model"] == "gpt-4o-mini"
    assert body["response_format"]["json_schema"]["strict"] is True
    assert "parcel 0" in body["messages"][1]["content"] and "parcel" not in body["messages"][0]["content"]


def test_judge_calls_are_spans_of_their_own_project_without_content(
    store: Store, judge: Judge, tmp_path: Path
) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup)
    work(store, setup)
    rows = store.query(
        "SELECT count(), sum(cost_usd), sum(input_tokens), any(prompt_name), countIf(toString(attributes) LIKE"
        " '%parcel%' OR output_text != '' OR input_text != '') FROM calls WHERE project = {p:String}",
        {"p": JUDGE_PROJECT},
    ).rows[0]
    assert rows == (20, pytest.approx(20 * 99e-6), 10_000, "relevance", 0)
    plan_online(store, setup.policy, setup.evaluators, setup.model, NOW + timedelta(hours=1))
    assert store.query("SELECT DISTINCT project FROM judge_tasks").rows == [("shop",)], "never judged itself"
    with pytest.raises(KeyError):
        dict.fromkeys(setup.policy.policies_of(JUDGE_PROJECT))[0]


def test_a_price_of_ones_own_is_what_a_verdict_costs(store: Store, judge: Judge, tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(f'[[price]]\nmodel = "{MODEL}"\ninput = 10.0\noutput = 20.0\n', encoding="utf-8")
    setup = make_setup(judge.url, tmp_path, policy_text(), price_file=str(own))
    planned(store, setup, 2)
    work(store, setup)
    cost_usd = (500 * 10 + 40 * 20) / 1e6
    spent = judge_queue.spent(store, "shop", datetime.now(UTC).date())
    assert spent.usd == pytest.approx(2 * cost_usd)
    rows = store.query(
        "SELECT cost_usd, price_version FROM calls WHERE project = {p:String}", {"p": JUDGE_PROJECT}
    ).rows
    assert {version for _, version in rows} <= setup.prices.versions
    assert [cost for cost, _ in rows] == [pytest.approx(cost_usd)] * 2


def test_the_budget_is_hard_and_what_it_left_out_is_counted(
    store: Store, judge: Judge, tmp_path: Path
) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text(usd=0.003))
    planned(store, setup, 40)
    work(store, setup)
    spent = judge_queue.spent(store, "shop", datetime.now(UTC).date())
    assert 0 < spent.usd <= 0.003 and 0 < len(judge.calls) < 40
    (state,) = quality.queue_states(store, "shop", NOW - timedelta(days=1))
    assert state.judged == len(judge.calls) and state.over_budget == 40 - state.judged


def test_a_budget_in_calls(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text() + "calls_per_day = 7\n")
    planned(store, setup)
    work(store, setup)
    assert len(judge.calls) == 7 and states(store) == {"judged": 7, "skipped": 13}
    judge_queue.retry_failed(store, "shop", datetime.now(UTC))
    assert states(store) == {"judged": 7, "waiting": 13}


def test_what_was_cut_off_counts_whole_against_the_budget(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text(usd=0.01))
    planned(store, setup)
    today = datetime.now(UTC)
    lost = judge_queue.Attempt("shop", today.date(), "t", 1, "dead", "relevance", None, today, 0.0099)
    judge_queue.claim(store, [lost])
    work(store, setup)
    assert judge.calls == [] and states(store) == {"skipped": 20}


def test_what_has_a_verdict_is_not_asked_again(store: Store, judge: Judge, tmp_path: Path) -> None:
    """A worker that was killed between the score and the mark."""
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup)
    work(store, setup)
    store.command("TRUNCATE TABLE judge_tasks")
    store.command("TRUNCATE TABLE judge_attempts")
    store.command("TRUNCATE TABLE judge_marks")
    plan_online(store, setup.policy, setup.evaluators, setup.model, NOW)
    assert states(store) == {"waiting": 20}
    work(store, setup)
    assert len(judge.calls) == 20 and states(store) == {"judged": 20} and len(scores(store)) == 20


def test_a_task_that_another_worker_holds_is_left_alone(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 2)
    now = datetime.now(UTC)
    first, _ = judge_queue.ready_tasks(store, "shop", list(setup.versions.values()), now, 10)
    held = judge_queue.Attempt(
        "shop", now.date(), first.task_id, 1, "other", "relevance", None, now + timedelta(minutes=5), 0.001
    )
    judge_queue.claim(store, [held])
    work(store, setup)
    assert len(judge.calls) == 1 and states(store) == {"judged": 1, "waiting": 1}


def test_of_two_workers_the_first_has_it(store: Store) -> None:
    now = datetime.now(UTC)
    one = judge_queue.Attempt(
        "shop", now.date(), "t", 1, "first", "relevance", None, now + timedelta(minutes=5), 0.1
    )
    other = replace(one, worker="second")
    judge_queue.claim(store, [one])
    time.sleep(0.01)
    judge_queue.claim(store, [other])
    assert [won.worker for won in judge_queue.won(store, [one])] == ["first"]
    assert judge_queue.won(store, [other]) == []
    judge_queue.withdraw(store, [other], now)
    assert judge_queue.spent(store, "shop", now.date()).usd == pytest.approx(0.1)


def test_two_workers_share_a_queue(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 150)
    workers = [Worker(setup.parts(store)) for _ in range(2)]
    threads = [
        threading.Thread(target=asyncio.run, args=(worker.run(until_empty=True),)) for worker in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work(store, setup)
    assert states(store) == {"judged": 150} and len(scores(store)) == 150
    assert len(judge.calls) == 150


def test_a_malformed_verdict_is_tried_again_and_then_fails(
    store: Store, judge: Judge, tmp_path: Path
) -> None:
    judge.reply = lambda body, number: completion("it is fine")
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 1)
    for _ in range(6):
        work(store, setup)
        again_now(store)
    (state,) = quality.queue_states(store, "shop", NOW - timedelta(days=1))
    assert len(judge.calls) == 4 and state.failed == 1 and scores(store) == []
    assert state.reasons == ("the judge's answer is no JSON",)


def test_backoff_waits_before_the_next_try(store: Store, judge: Judge, tmp_path: Path) -> None:
    judge.reply = lambda body, number: (
        error(500, "server_error") if number == 1 else first_label(body, number)
    )
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 1)
    work(store, setup)
    (wait_s,) = store.query(
        "SELECT dateDiff('millisecond', now64(3), not_before) / 1000 FROM judge_tasks FINAL"
    ).rows[0]
    assert len(judge.calls) == 1 and 1 < float(str(wait_s)) <= 5
    again_now(store)
    work(store, setup)
    assert states(store) == {"judged": 1}


def test_an_endpoint_that_is_down_stops_the_asking(store: Store, judge: Judge, tmp_path: Path) -> None:
    judge.reply = lambda body, number: error(503, "overloaded")
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 100)
    worker = work(store, setup)
    assert worker.trouble == "HTTP 503 overloaded: the endpoint is in trouble" and len(judge.calls) < 30
    assert states(store) == {"waiting": 100}, "what was not asked stays in the queue"


def test_a_wrong_key_opens_the_breaker_at_once(store: Store, judge: Judge, tmp_path: Path) -> None:
    judge.reply = lambda body, number: error(401, "invalid_api_key", "Incorrect API key provided: sk-canary")
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 50)
    worker = work(store, setup)
    assert worker.trouble.startswith("HTTP 401 invalid_api_key: the endpoint does not take the key")
    assert len(judge.calls) <= 8
    assert "sk-canary" not in json.dumps(store.query("SELECT * FROM judge_attempts").rows, default=str)


def test_an_endpoint_that_refuses_parameters_is_asked_without_them(
    store: Store, judge: Judge, tmp_path: Path
) -> None:
    def picky(body: dict[str, Any], number: int) -> Response:
        for name in ("temperature", "response_format", "max_completion_tokens"):
            if name in body:
                return error(400, "unsupported_value", f"Unsupported parameter: '{name}'")
        return completion('```json\n{"reasoning": "r", "label": "relevant"}\n```')

    judge.reply = picky
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 3)
    work(store, setup)
    assert states(store) == {"judged": 3} and "max_tokens" in judge.calls[-1]


def test_a_worker_with_a_fault_ends_and_says_so(
    store: Store, judge: Judge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 2)
    monkeypatch.setattr(worker_module, "verdict_of", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        work(store, setup)


def test_pause_and_go_on(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 3)
    judge_queue.set_paused(store, True, NOW)
    assert work_off(store, setup, "shop", 5).is_paused and judge.calls == []
    judge_queue.set_paused(store, False, NOW)
    done = work_off(store, setup, "shop", 30)
    assert (done.judged, done.waiting, done.is_paused) == (3, 0, False)


def test_a_stop_is_quick_and_loses_nothing(store: Store, judge: Judge, tmp_path: Path) -> None:
    gate = threading.Event()

    def slow(body: dict[str, Any], number: int) -> Response:
        gate.wait(0.05)
        return first_label(body, number)

    judge.reply = slow
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 200)
    worker = Worker(setup.parts(store))
    thread = threading.Thread(target=asyncio.run, args=(worker.run(),))
    thread.start()
    while len(judge.calls) < 10:
        time.sleep(0.02)
    worker.stop()
    begin = time.monotonic()
    thread.join()
    assert time.monotonic() - begin < 10
    found = states(store)
    assert sum(found.values()) == 200 and found["judged"] == len(scores(store)) > 0
    work(store, setup)
    assert states(store) == {"judged": 200} and len(scores(store)) == 200


def test_what_cannot_be_judged_is_skipped_with_the_reason(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text(evaluators='"groundedness", "correctness"'))
    documents = [("d1", "Returns are free within 30 days.", 0.9)]
    retrieval = answered(
        1, span_id="c" * 16, kind="retrieval", documents=documents, retrieval_query="q",
        start_time=NOW - timedelta(minutes=31),
    )  # fmt: skip
    insert(store, answered(0), answered(1), retrieval)
    plan_online(store, setup.policy, setup.evaluators, setup.model, NOW)
    work(store, setup)
    found = store.query(
        "SELECT evaluator, state, reason, count() FROM judge_tasks FINAL GROUP BY 1, 2, 3 ORDER BY 1, 2"
    ).rows
    assert found == [
        ("correctness", "skipped", "no reference", 2),
        ("groundedness", "judged", "", 1),
        ("groundedness", "skipped", "no documents", 1),
    ]
    assert "Returns are free" in judge.calls[0]["messages"][1]["content"]


def test_a_correction_is_the_reference(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text(evaluators='"correctness"'))
    insert(store, answered(1))
    columns = ("score_id", "project", "trace_id", "name", "comment", "source", "created_at", "received_at")
    row = ["c1", "shop", f"{1:032x}", "correction", "It is 14 days.", "human", NOW, NOW]
    store.insert_rows("scores", columns, [row])
    plan_online(store, setup.policy, setup.evaluators, setup.model, NOW)
    work(store, setup)
    assert states(store) == {"judged": 1} and "It is 14 days." in judge.calls[0]["messages"][1]["content"]


def test_sessions_and_traces_are_judged_whole(store: Store, judge: Judge, tmp_path: Path) -> None:
    more = (
        '[[policies]]\nname = "talks"\nproject = "shop"\nunit = "session"\nevaluators = ["feedback_uptake"]\n'
        "rate = 1.0\nlookback_hours = 9600\nsession_idle_minutes = 1\n"
        '[[policies]]\nname = "runs"\nproject = "shop"\nunit = "trace"\nevaluators = ["goal_achieved"]\n'
        "rate = 1.0\nlookback_hours = 9600\n"
    )
    setup = make_setup(judge.url, tmp_path, policy_text(rate=0.0, more=more))
    insert(store, *(answered(number, session_id="one") for number in range(3)))
    plan_online(store, setup.policy, setup.evaluators, setup.model, NOW)
    work(store, setup)
    rows = store.query(
        "SELECT evaluator, unit, count(), any(session_id) FROM judge_tasks FINAL WHERE state = 'judged'"
        " GROUP BY 1, 2 ORDER BY 1"
    ).rows
    assert rows == [("feedback_uptake", "session", 1, "one"), ("goal_achieved", "trace", 3, "one")]
    talk = next(call for call in judge.calls if "Feedback taken in" in call["messages"][0]["content"])
    assert all(
        f"[turn {n}] user: How do I return parcel" in talk["messages"][1]["content"] for n in (1, 2, 3)
    )
    assert {row["session_id"] for row in scores(store) if row["name"] == "feedback_uptake"} == {"one"}


def test_documents_get_scores_of_their_own(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text(evaluators='"retrieval_relevance"'))
    documents = [("d1", "Returns are free.", 0.9), ("d2", "Coats are warm.", 0.3)]
    insert(store, answered(1, documents=documents))
    plan_online(store, setup.policy, setup.evaluators, setup.model, NOW)
    work(store, setup)
    found = [(row["name"], row["label"], row["comment"]) for row in scores(store)]
    assert sorted(found, key=str) == [
        ("retrieval_relevance", "sufficient", "as asked"),
        ("retrieval_relevance_document", "relevant", "d1: "),
        ("retrieval_relevance_document", "relevant", "d2: "),
        ("retrieval_relevance_precision", "", ""),
    ]


def test_a_new_version_judges_again(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text())
    planned(store, setup, 5)
    work(store, setup)
    stronger = replace(setup, model="gpt-4o")
    backfill = Backfill("shop", ["relevance"], "span", 1.0, NOW - timedelta(hours=1), NOW)
    plan_backfill(store, backfill, stronger.evaluators, stronger.model)
    work(store, stronger)
    assert len(judge.calls) == 10 and len(scores(store)) == 10
    (name,) = quality.judged_names(store, "shop", Window(NOW - timedelta(hours=1), NOW, 3600))
    assert name.version == stronger.versions["relevance"], "the newest version is what is shown"


def test_an_estimate_queues_nothing_and_is_about_right(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text())
    insert(store, *(answered(number) for number in range(30)))
    backfill = Backfill("shop", ["relevance", "refusal"], "span", 1.0, NOW - timedelta(hours=1), NOW)
    found = estimate_backfill(store, backfill, setup.evaluators, setup.model, setup.price)
    assert (found.population, found.sampled, found.calls) == (30, 30, 60)
    assert found.cost_usd is not None and 0.002 < found.cost_usd < 0.02
    assert states(store) == {} and judge.calls == []
    plan_backfill(store, backfill, setup.evaluators, setup.model)
    work(store, setup)
    known = estimate_backfill(store, backfill, setup.evaluators, setup.model, setup.price)
    assert known.basis == {"relevance": "recent verdicts", "refusal": "recent verdicts"}
    assert known.cost_usd == pytest.approx(60 * 99e-6)
