"""Policy files, checks by code, reviews, satisfaction, canaries, pairs, golden sets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from tests.dashboard.conftest import served
from tests.quality.conftest import (
    NOW,
    Judge,
    answered,
    completion,
    first_label,
    insert,
    make_setup,
    policy_text,
)

from gnomon_collector.demo.provider import make_provider_app
from gnomon_collector.errors import BadRequest, ConfigError
from gnomon_collector.quality.calibration import calibrate_evaluator
from gnomon_collector.quality.canaries import CanaryJob
from gnomon_collector.quality.checks import ChecksJob, checks_of
from gnomon_collector.quality.evaluators import built_in
from gnomon_collector.quality.golden_run import run_golden
from gnomon_collector.quality.pairwise import combined, compare
from gnomon_collector.quality.policy import DEFAULT_POLICY, check_evaluators, load_policy, parse_policy
from gnomon_collector.quality.verdicts import Verdict
from gnomon_collector.store import judge_queue, quality_checks, quality_satisfaction, reviews
from gnomon_collector.store.canaries import canary_states
from gnomon_collector.store.engine import Store
from gnomon_collector.store.judge_pairs import answer_pairs
from gnomon_collector.store.judge_sampling import Sample, plan
from gnomon_collector.store.own_projects import CANARY_PROJECT, JUDGE_PROJECT
from gnomon_collector.store.quality_checks import Check
from gnomon_collector.store.queries.filters import Scope, Window

HOUR = Window(NOW - timedelta(hours=1), NOW, 60)


def test_without_a_file_there_is_a_policy(tmp_path: Path) -> None:
    assert load_policy(tmp_path / "none.toml") is DEFAULT_POLICY
    assert [one.name for one in DEFAULT_POLICY.policies_of("any")] == ["default"]
    assert DEFAULT_POLICY.policies_of("gnomon-judge") == []
    check_evaluators(DEFAULT_POLICY.policies, built_in())


def test_a_project_with_a_policy_of_its_own_has_only_that() -> None:
    text = policy_text() + policy_text().replace('"shop"', '"*"')
    policy = parse_policy(text, "x")
    assert [one.project for one in policy.policies_of("shop")] == ["shop"]
    assert [one.project for one in policy.policies_of("other")] == ["*"]
    assert policy.budget_of("other").project == "*"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policies = 1", "policies"),
        ("[[policies", "not valid TOML"),
        (policy_text(rate=2), "less than or equal to 1"),
        (
            policy_text(more='[[policies.strata]]\nwhere = { colour = "red" }\nrate = 1'),
            "service, environment",
        ),
        (policy_text() + policy_text(), "same name"),
        ('[[checks]]\nname = "a"\nkind = "regex"', "needs a pattern"),
    ],
)
def test_a_wrong_policy_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match="my-policy") as caught:
        parse_policy(text, "my-policy")
    assert said in str(caught.value)


def test_a_policy_with_an_evaluator_that_does_not_fit() -> None:
    with pytest.raises(ConfigError, match="'nonsense', which is none of"):
        check_evaluators(parse_policy(policy_text(evaluators='"nonsense"'), "x").policies, built_in())
    with pytest.raises(ConfigError, match="judges a trace"):
        check_evaluators(parse_policy(policy_text(evaluators='"goal_achieved"'), "x").policies, built_in())


SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'


@pytest.mark.parametrize(
    ("check", "fails", "holds"),
    [
        (Check("c", "empty"), " \n ", "x"),
        (Check("c", "json"), '```json\n{"a": 1,}\n```', '```json\n{"a": 1}\n```'),
        (Check("c", "json", prompt="answer"), "Sure! Here it is", '{"a": [1]}'),
        (Check("c", "python"), "```python\nprint(')' if True)\n```", "```python\nprint('(')\n```"),
        (Check("c", "python"), "```py\n" + "(" * 9_000 + "\n```", "```py\n  x = 1\n  y = [x]\n```"),
        (Check("c", "python"), "First:\n```python\nx = 1\n```\nthen\n```python\nif\n```", "```python\n```"),
        (Check("c", "json_schema", schema=SCHEMA), '{"n": "1"}', '```json\n{"n": 1}\n```'),
        (Check("c", "json_schema", schema=SCHEMA), '{"n": 1', '{"n": 1, "m": []}'),
        (Check("c", "max_length", characters=3), "日本語だ", "日本語"),
        (Check("c", "min_length", characters=3), "ab", "abc"),
        (Check("c", "language"), "Ваш заказ уже в пути и будет завтра.", "Your parcel comes tomorrow."),
        (Check("c", "refusal"), "I'm sorry, but I can't help with that.", "I can help with that!"),
        (Check("c", "refusal"), "К сожалению, я не могу помочь с этим.", "Я помогу, не могу дождаться."),
        (Check("c", "regex", pattern=r"^\d+$"), "twelve", "12"),
        (Check("c", "no_regex", pattern=r"'; DROP"), "x '; DROP TABLE", "x"),
    ],
    ids=lambda value: value.kind if isinstance(value, Check) else None,
)
def test_checks(store: Store, check: Check, fails: str, holds: str) -> None:
    answers = [answered(1, output_text=fails), answered(2, output_text=holds, service_name="holds")]
    insert(store, *answers)
    minutes = [one.start_time.replace(second=0, microsecond=0) for one in answers]
    quality_checks.count_checks(store, "shop", [check], minutes)
    rows = store.query("SELECT service_name, checked, failed FROM checks_per_minute FINAL").rows
    assert sorted(rows) == [("holds", 1, 0), ("shop-assistant", 1, 1)]


@pytest.mark.parametrize("schema", ["", "{", '{"type": "nonsense"}'])
def test_a_schema_that_is_none_is_named_when_the_policy_is_read(schema: str) -> None:
    text = f"[[checks]]\nname = 'order'\nkind = 'json_schema'\nschema = '{schema}'"
    with pytest.raises(ConfigError, match="schema"):
        parse_policy(text, "x")


def test_a_schema_fetches_nothing(store: Store) -> None:
    check = Check("c", "json_schema", schema='{"$ref": "http://127.0.0.1:9/schema.json"}')
    insert(store, answered(1, output_text="{}"))
    with pytest.raises(ConfigError, match="127"):
        quality_checks.count_checks(store, "shop", [check], [answered(1).start_time.replace(second=0)])


def test_counts_of_checks_follow_what_comes_in(store: Store) -> None:
    policy = parse_policy('[[checks]]\nname = "short"\nkind = "max_length"\ncharacters = 5', "x")
    job = ChecksJob(store, policy)
    insert(store, *(answered(number) for number in range(5)))
    job.run_once(NOW)
    later = NOW + timedelta(minutes=1)
    insert(store, answered(9, received_at=NOW + timedelta(seconds=20), output_text="ok"))
    job.run_once(later)
    job.run_once(later)
    sums: dict[str, list[int]] = {}
    for row in quality_checks.check_rates(store, Scope("shop", models=("gpt-4o-2024-08-06",)), HOUR):
        found = sums.setdefault(row.name, [0, 0])
        found[0] += row.checked
        found[1] += row.failed
    assert sums["short"] == [6, 5] and sums["refusal_phrase"] == [6, 0] and "empty_answer" in sums
    assert [one.name for one in checks_of(policy, "shop")][-1] == "short"


def test_checks_write_nothing_while_nothing_comes_in_and_go_on_after_a_restart(store: Store) -> None:
    def checked() -> int:
        return sum(
            row.checked
            for row in quality_checks.check_rates(store, Scope("shop"), HOUR)
            if row.name == "refusal_phrase"
        )

    job = ChecksJob(store, DEFAULT_POLICY)
    insert(store, answered(1))
    job.run_once(NOW)
    marked = judge_queue.read_mark(store, "*", "checks")
    for minutes in (1, 2):
        job.run_once(NOW + timedelta(minutes=minutes))
    assert judge_queue.read_mark(store, "*", "checks") == marked is not None
    insert(store, answered(2, received_at=NOW + timedelta(minutes=1)))  # found late, by one who starts anew
    ChecksJob(store, DEFAULT_POLICY).run_once(NOW + timedelta(minutes=3))
    assert checked() == 2


@pytest.fixture
def judged(store: Store) -> list[judge_queue.Task]:
    """60 judged answers: every third one is bad."""
    insert(store, *(answered(number) for number in range(60)))
    versions = [("relevance", "relevance-1-x")]
    plan(
        store,
        Sample("shop", "span", "p", 1.0, versions, NOW - timedelta(hours=2), NOW, NOW - timedelta(hours=3)),
    )
    tasks = judge_queue.ready_tasks(
        store, "shop", ["relevance-1-x"], datetime.now(UTC) + timedelta(seconds=5), 100
    )
    from dataclasses import replace

    done = [
        replace(task, state="judged", value=float(good), label="good" if good else "bad")
        for number, task in enumerate(tasks)
        for good in [number % 3 > 0]
    ]
    judge_queue.save_tasks(store, done, NOW)
    labels = [("good", 1.0, "it is"), ("bad", 0.0, "it is not")]
    row = {
        "name": "relevance",
        "evaluator_version": "relevance-1-x",
        "title": "Relevance",
        "description": "d",
    }
    judge_queue.register_evaluators(
        store, [{**row, "unit": "span", "labels": labels, "judge_model": "m"}], NOW
    )
    return done


def test_reviews_are_the_same_for_all_and_agreement_is_measured(
    store: Store, judged: list[judge_queue.Task], judge: Judge, tmp_path: Path
) -> None:
    verdicts = {task.task_id: task.label for task in judged}
    since = NOW - timedelta(days=1)
    scale = reviews.scale(store, "relevance")
    assert scale is not None and [one.label for one in scale.labels] == ["good", "bad"]
    seen: dict[str, list[str]] = {"anna": [], "ben": []}
    for author, items in seen.items():
        for number in range(24):
            item = reviews.next_item(store, "shop", "relevance", author, since)
            assert item is not None
            items.append(item.task_id)
            agrees = number % 6 > 0
            label = next(one for one in scale.labels if (one.label == verdicts[item.task_id]) == agrees)
            reviews.save_label(store, "shop", item, author, label, "", NOW)
    assert seen["anna"] == seen["ben"] and len(set(seen["anna"])) == 24
    (progress,) = reviews.progress(store, "shop", "anna", since)
    assert (progress.judged, progress.by_author, progress.by_anyone) == (60, 24, 24)
    pairs = reviews.pairs(store, "shop", "relevance", "relevance-1-x", since, NOW + timedelta(days=1))
    found = reviews.agreement_of(pairs)
    assert found.pairs == 48 and found.observed == pytest.approx(40 / 48)
    assert reviews.agreement_of_people(store, "shop", "relevance").kappa == 1.0
    from dataclasses import replace

    setup = make_setup(judge.url, tmp_path)
    rubric = setup.evaluators["relevance"]
    store.command("INSERT INTO judge_tasks SELECT * REPLACE ({v:String} AS evaluator_version, version + 1 AS version)"
                  " FROM (SELECT * FROM judge_tasks FINAL)", {"v": setup.versions["relevance"]})  # fmt: skip
    store.command("TRUNCATE TABLE judge_thresholds")
    answer = calibrate_evaluator(
        store,
        replace(setup, evaluators={"relevance": rubric}),
        "shop",
        "relevance",
        since,
        NOW + timedelta(days=1),
    )
    assert answer["threshold"] == 0.5 and answer["is_saved"]
    assert reviews.thresholds(store, "shop") == {setup.versions["relevance"]: 0.5}


def test_the_same_person_labels_an_answer_once(store: Store, judged: list[judge_queue.Task]) -> None:
    item = reviews.next_item(store, "shop", "relevance", "anna", NOW - timedelta(days=1))
    assert item is not None
    for label in (reviews.ScaleLabel("bad", 0.0, ""), reviews.ScaleLabel("good", 1.0, "")):
        reviews.save_label(store, "shop", item, "anna", label, "", datetime.now(UTC))
    rows = store.query("SELECT label, author, source FROM scores FINAL").rows
    assert rows == [("good", "anna", "human")]
    assert reviews.next_item(store, "shop", "relevance", "anna", NOW - timedelta(days=1)) != item


def test_satisfaction_and_what_the_judge_says_of_the_same(
    store: Store, judged: list[judge_queue.Task]
) -> None:
    columns = ("score_id", "project", "trace_id", "name", "value", "source", "created_at", "received_at")
    rows = [[f"u{t.trace_id}", "shop", t.trace_id, "f", t.value, "user", NOW, NOW] for t in judged]
    store.insert_rows("scores", columns, rows)
    ((label, found),) = quality_satisfaction.satisfaction(store, Scope("shop"), HOUR, "prompt version")
    assert label == "answer v1" and found.mean == pytest.approx(40 / 60) and found.count == 60
    assert found.low == pytest.approx(0.5396, abs=1e-3), "Wilson's interval"
    (both,) = quality_satisfaction.judge_and_users(store, Scope("shop"), HOUR)
    assert both.pairs == 60 and both.rho == pytest.approx(1.0)


def test_canaries_ask_each_slot_once_and_show_a_silent_change(
    store: Store, judge: Judge, tmp_path: Path
) -> None:
    text = (
        '[[canaries]]\nname = "capital"\nprompt = "Capital of France?"\nmodels = ["m"]\nevery_minutes = 10\n'
        'reference = "Paris"\npattern = "Paris"\n'
    )
    setup = make_setup(judge.url, tmp_path, text)
    job = CanaryJob(store, setup)
    job.run_once(NOW)
    job.run_once(NOW)
    assert len(judge.calls) == 1
    judge.reply = lambda body, number: completion("London.", model="m-other")
    job.run_once(NOW + timedelta(minutes=10))
    (state,) = canary_states(store, NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert state.answers == 2 and state.has_new_snapshot and state.missed == 1 and state.texts == 2
    assert [one.name for one in setup.policy.policies_of(CANARY_PROJECT)] == ["canary"]


@pytest.mark.parametrize(
    ("forward", "backward", "value", "disagreed"),
    [
        (1.0, 0.0, 1.0, False),
        (0.0, 1.0, 0.0, False),
        (1.0, 1.0, 0.5, True),
        (0.5, 0.5, 0.5, False),
        (1.0, 0.5, 0.5, True),
    ],
)
def test_a_pair_whose_orders_disagree_is_a_tie(
    forward: float, backward: float, value: float, disagreed: bool
) -> None:
    assert combined(Verdict("", forward, ""), Verdict("", backward, "")) == (value, disagreed)


def test_versions_are_compared_on_the_same_questions(store: Store, judge: Judge, tmp_path: Path) -> None:
    setup = make_setup(judge.url, tmp_path, policy_text())
    for number in range(5):
        question = f"What about {number}?"
        insert(
            store,
            answered(number, input_text=question),
            answered(number + 50, input_text=question.upper(), prompt_version="v2", output_text="better"),
        )
    pairs = answer_pairs(store, "shop", "answer", ("v1", "v2"), NOW - timedelta(hours=2), NOW, 10)
    assert len(pairs) == 5 and {pair.second for pair in pairs} == {"better"}

    def likes_better(body: dict[str, Any], number: int) -> Response:
        user = body["messages"][1]["content"]
        label = "second" if '"answer_2": "better"' in user else "first"
        return completion(f'{{"reasoning": "r", "label": "{label}"}}')

    judge.reply = likes_better
    found = asyncio.run(compare(setup, store, "shop", pairs, NOW))
    assert (found.wins, found.ties, found.losses, found.disagreed, found.failed) == (5, 0, 0, 0, 0)
    assert len(judge.calls) == 10 and judge_queue.spent(store, "shop", NOW.date()).calls == 10
    judge.reply = first_label
    again = asyncio.run(compare(setup, store, "shop", pairs, NOW))
    assert again.ties == again.disagreed == 5, "who always says the first is not heard"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with served(make_provider_app(seed=1, latency_scale=0, error_rate=0)) as url:
        yield url


async def test_golden_sets_are_judged_and_attacked(store: Store, provider: str, tmp_path: Path) -> None:
    setup = make_setup(provider, tmp_path)
    names = ["groundedness", "relevance", "language_match", "refusal"]
    answer = await run_golden(setup, store, names, with_injections=True, now=datetime.now(UTC))
    found = answer["results"]
    assert sorted(one["evaluator"] for one in found) == sorted(names) and not any(
        one["failed"] for one in found
    )
    assert sum(one["right"] for one in found) >= 0.35 * sum(one["cases"] for one in found)
    assert all(one["attacked"] == 12 * one["cases"] for one in found)
    spent = judge_queue.spent(store, JUDGE_PROJECT, datetime.now(UTC).date())
    assert spent.usd == pytest.approx(answer["cost_usd"]) and spent.calls == 13 * sum(
        one["cases"] for one in found
    )
    rows = store.query(
        "SELECT count(), sum(cost_usd) FROM calls WHERE project = {p:String}", {"p": JUDGE_PROJECT}
    ).rows
    assert rows == [(spent.calls, pytest.approx(spent.usd))]


async def test_golden_sets_keep_to_the_budget(store: Store, provider: str, tmp_path: Path) -> None:
    budget = '[[budgets]]\nproject = "gnomon-judge"\ncalls_per_day = 7\n'
    setup = make_setup(provider, tmp_path, budget)
    with pytest.raises(BadRequest, match="7 calls and "):
        await run_golden(setup, store, [], with_injections=False, now=datetime.now(UTC))
    setup = make_setup(provider, tmp_path, budget.replace("calls_per_day = 7", "usd_per_day = 0.02"))
    answer = await run_golden(setup, store, ["relevance"], with_injections=True, now=datetime.now(UTC))
    assert answer["stopped"].startswith("Stopped before relevance. "), "it could cost more than is left"
    assert judge_queue.spent(store, JUDGE_PROJECT, datetime.now(UTC).date()).calls == 0
