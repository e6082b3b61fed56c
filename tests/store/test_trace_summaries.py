"""The summaries of traces: always what the spans say, whatever comes late, changes or goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.dashboard import seed

from gnomon_collector.operations.trace_summaries import TraceSummariesJob
from gnomon_collector.store import erasure, retention, rollups, trace_summaries
from gnomon_collector.store.queries import people, person_rows, prompts, reliability, trace_finding, traces
from gnomon_collector.store.queries.filters import Scope, Window
from gnomon_collector.store.queries.trace_filters import ColumnFilter, Condition
from gnomon_collector.store.queries.trace_language import ScoreFilter, TextFilter
from gnomon_collector.store.queries.traces import TraceQuery
from gnomon_collector.store.trace_summaries import EVERYTHING, SLOT, Coverage, adjoining, cut

if TYPE_CHECKING:
    from gnomon_collector.store.engine import Store

NOW = datetime.now(UTC).replace(minute=5, second=0, microsecond=0) - timedelta(hours=1)
START = NOW - timedelta(days=2)
PROJECT = seed.PROJECT
SHOP = Scope(PROJECT)


def run_job(store: Store, now: datetime = NOW) -> None:
    TraceSummariesJob(store).run_once(now)


def query(**values: Any) -> TraceQuery:
    return TraceQuery(**{"scope": SHOP, "start": START, "end": NOW} | values)


def by_id(rows: list[dict[str, object]]) -> dict[object, dict[str, object]]:
    return {row["trace_id"]: row for row in rows}


def both_ways(store: Store, wanted: TraceQuery) -> list[dict[str, object]]:
    """Return the page that the summaries give, after a look whether the spans give the same."""
    page = traces.page(store, wanted, offset=0, limit=500)
    found = trace_finding.find(store, wanted, 0, 500)
    among_spans = trace_finding.find_among_spans(store, wanted, wanted.start, limit=500)
    assert [one.trace_id for one in found] == [one.trace_id for one in among_spans]
    assert any(one.summary_ns for one in found) or not found
    assert by_id(page) == by_id(traces._whole_traces(store, wanted, found) if found else [])
    assert traces.count(store, wanted) == len(page)
    return page


@pytest.fixture
def shop(store: Store) -> Store:
    history = [
        *seed.history(NOW, days=1.5, traces_per_day=60, seed=3),
        *seed.hostile(NOW - timedelta(hours=5)),
    ]
    other = [replace(span, project="other") for span in seed.history(NOW, days=1, traces_per_day=5, seed=5)]
    seed.insert(store, [*history, *other])
    run_job(store)
    return store


def test_everything_is_summarised_in_one_run(shop: Store) -> None:
    assert trace_summaries.coverage(shop, PROJECT) == Coverage(EVERYTHING, NOW.replace(minute=0))
    assert trace_summaries.coverage(shop, "other") == Coverage(EVERYTHING, NOW.replace(minute=0))


QUERIES = {
    "newest": query(),
    "oldest": query(descending=False),
    "slowest": query(sort="latency_ms"),
    "dearest": query(sort="cost_usd"),
    "by name": query(sort="name", descending=False),
    "by user": query(sort="user"),
    "by tags": query(sort="tags"),
    "failed": query(filters=(ColumnFilter("status", (Condition("equals", "error"),)),)),
    "slow": query(filters=(ColumnFilter("latency_ms", (Condition("greaterThan", 900.0),)),)),
    "of users": query(filters=(ColumnFilter("user", (Condition("contains", "1"),)),)),
    "with a text": query(text="ORDER"),
    "without a text": query(texts=(TextFilter("order", negated=True),)),
    "with no such score": query(scores=(ScoreFilter("helpful", ">", 0.5, negated=True),)),
    "a part": query(start=NOW - timedelta(hours=20), end=NOW - timedelta(hours=4), sort="latency_ms"),
}


def test_summaries_answer_as_the_spans_do(shop: Store) -> None:
    for name, wanted in QUERIES.items():
        assert both_ways(shop, wanted), name


@pytest.mark.parametrize("name", ["newest", "failed", "of users"])
def test_the_newest_are_found_in_the_latest_part_that_fills_the_page(shop: Store, name: str) -> None:
    wanted = QUERIES[name]
    among_spans = trace_finding.find_among_spans(shop, wanted, wanted.start, limit=60)
    for limit, offset in ((1, 0), (5, 0), (5, 7), (20, 20), (60, 0)):
        found = trace_finding.find(shop, wanted, offset, limit)
        expected = among_spans[offset : offset + limit]
        assert [one.trace_id for one in found] == [one.trace_id for one in expected]


def test_labels_must_stand_on_one_span(shop: Store) -> None:
    labels = shop.query(
        "SELECT service_name, environment, model FROM calls WHERE project = {p:String} ORDER BY ALL LIMIT 1",
        {"p": PROJECT},
    ).dicts()[0]
    names = {"service_name": "services", "environment": "environments", "model": "models"}
    for dimensions in (("service_name",), ("model",), tuple(names)):
        scope = replace(SHOP, **{names[one]: (str(labels[one]), "a.b|c") for one in dimensions})
        assert both_ways(shop, query(scope=scope)), dimensions
        assert not both_ways(shop, query(scope=replace(scope, models=("no.*",)))), dimensions


def test_a_late_span_changes_its_trace_and_not_another(shop: Store) -> None:
    row = both_ways(shop, query(sort="latency_ms"))[0]
    late = seed.Span(
        project=PROJECT,
        trace_id=str(row["trace_id"]),
        span_id="f" * 16,
        duration_ns=1_000_000,
        parent_span_id="e" * 16,
        start_time=row["time"] + timedelta(minutes=25),  # type: ignore[operator]
        name="late",
        kind="step",
    )
    seed.insert(shop, [late])
    run_job(shop)
    after = {one["trace_id"]: one for one in both_ways(shop, query())}
    assert after[row["trace_id"]]["spans"] == row["spans"] + 1  # type: ignore[operator]
    assert after[row["trace_id"]]["time"] == row["time"]


def test_a_span_before_the_first_moves_the_trace(shop: Store) -> None:
    row = both_ways(shop, query(sort="latency_ms"))[0]
    first = seed.Span(
        project=PROJECT,
        trace_id=str(row["trace_id"]),
        span_id="f" * 16,
        duration_ns=1_000_000,
        parent_span_id="e" * 16,
        start_time=row["time"] - timedelta(minutes=12),  # type: ignore[operator]
        name="first",
        kind="step",
    )
    before = traces.count(shop, query())
    seed.insert(shop, [first])
    run_job(shop)
    assert len(both_ways(shop, query())) == before


def test_what_is_not_summarised_yet_is_there(shop: Store) -> None:
    before = traces.count(shop, query())
    fresh = list(seed.history(NOW, days=0.1, traces_per_day=400, seed=8))
    recent = [replace(span, trace_id=span.trace_id[:-4] + "beef") for span in fresh]
    recent = [span for span in recent if span.start_time >= NOW.replace(minute=0) - SLOT / 2]
    seed.insert(shop, recent)
    assert len(both_ways(shop, query(sort="latency_ms"))) == before + len({one.trace_id for one in recent})


def test_calls_found_to_be_duplicates_leave_the_sums(shop: Store) -> None:
    row = both_ways(shop, query(sort="tokens"))[0]
    shop.command(
        "UPDATE spans SET duplicate_of = 'x:y' WHERE project = {p:String} AND trace_id = {t:String}",
        {"p": PROJECT, "t": row["trace_id"]},
        settings={"enable_lightweight_update": 1},
    )
    rollups.recompute(shop, [PROJECT], [row["time"].replace(second=0, microsecond=0)])  # type: ignore[attr-defined]
    run_job(shop)
    after = {one["trace_id"]: one for one in both_ways(shop, query(sort="tokens"))}
    assert after[row["trace_id"]]["calls"] == 0


def test_what_is_erased_or_expired_is_gone(shop: Store) -> None:
    user = str(next(row["user"] for row in traces.page(shop, query(), offset=0, limit=100) if row["user"]))
    erasure.erase(shop, "user", PROJECT, user, "e1", lambda _: None)
    run_job(shop)
    rows = both_ways(shop, query())
    assert rows and user not in {row["user"] for row in rows}
    retention.delete_expired_content(shop, PROJECT, NOW)
    assert not shop.query(
        "SELECT 1 FROM trace_summaries WHERE project = {p:String} AND (input != '' OR output != '')",
        {"p": PROJECT},
    ).rows
    retention.delete_expired(shop, PROJECT, NOW - timedelta(hours=12))
    run_job(shop)
    left = both_ways(shop, query())
    assert 0 < len(left) < len(rows)
    erasure.erase(shop, "project", PROJECT, "", "e2", lambda _: None)
    assert trace_summaries.coverage(shop, PROJECT) is None
    assert traces.count(shop, query()) == 0


def test_a_job_that_is_cut_off_goes_on(store: Store) -> None:
    seed.insert(store, list(seed.history(NOW, days=1.5, traces_per_day=30, seed=4)))
    until = NOW.replace(minute=0)
    assert not trace_summaries.bring_up_to_date(store, PROJECT, until, lambda: True)
    assert trace_finding.find(store, query(sort="latency_ms"), 0, 10)
    while not trace_summaries.bring_up_to_date(store, PROJECT, until, lambda: True):
        pass
    assert both_ways(store, query(sort="latency_ms"))


def test_pieces_and_ranges() -> None:
    at = [NOW + number * SLOT for number in range(5)]
    assert adjoining([at[0], at[1], at[3]], SLOT) == [(at[0], at[2]), (at[3], at[4])]
    counts = [(at[0], 60), (at[1], 60), (at[2], 500), (at[3], 10)]
    assert list(cut(at[0], at[4], counts, 100)) == [
        (at[0], at[1]), (at[1], at[2]), (at[2], at[3]), (at[3], at[4])
    ]  # fmt: skip
    assert list(cut(at[0], at[4], [], 100)) == [(at[0], at[4])]


@pytest.mark.parametrize("kind", ["user", "session", "company"])
def test_people_are_summed_from_summaries_as_from_calls(
    shop: Store, kind: people.Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_job(shop, NOW - timedelta(hours=3))  # the newest come from the spans
    window = Window(START, NOW + timedelta(minutes=1), 3600)
    assert person_rows.person_rows(shop, SHOP, window).requests == "count()"
    summed = people.people(shop, SHOP, window, kind)
    assert summed
    busiest = summed[0].value
    activity = people.activity(shop, SHOP, window, kind, busiest)
    monkeypatch.setattr(
        people, "person_rows", lambda _store, scope, within, by_day=None: person_rows._calls(scope, within)
    )
    by_call = people.people(shop, SHOP, window, kind)
    assert [figures(one) for one in summed] == [figures(one) for one in by_call]
    of_calls = people.activity(shop, SHOP, window, kind, busiest)
    for name in ("calls", "ok", "errors", "tokens", "priced", "cost_usd", "duration_ms"):
        sums = [sum(getattr(one.totals, name) for one in found) for found in (activity, of_calls)]
        assert sums[0] == pytest.approx(sums[1]), name


def figures(one: people.Person) -> tuple[object, ...]:
    return (
        *(one.value, one.sessions, one.requests, one.calls, one.errors, one.tokens),
        pytest.approx(one.cost_usd),
    )


def test_with_a_filter_or_a_short_window_people_are_summed_from_calls(shop: Store) -> None:
    run_job(shop)
    long, short = Window(START, NOW, 3600), Window(NOW - timedelta(hours=1), NOW, 60)
    assert person_rows.person_rows(shop, SHOP, short).requests == "uniq(trace_id)"
    filtered = Scope(PROJECT, services=("shop-assistant",))
    assert person_rows.person_rows(shop, filtered, long).requests == "uniq(trace_id)"


def exact(version: prompts.Version) -> tuple[object, ...]:
    """What is the same each time it is asked; of sums the last digit is not, parts are added up in any order."""
    return version.version, version.first_seen, version.calls, version.p50_ms, version.p95_ms, version.models


def test_rollups_from_before_an_upgrade_leave_the_answer_to_the_calls(shop: Store) -> None:
    window = Window(START.replace(minute=0), NOW, 3600)
    name = str(shop.query("SELECT any(prompt_name) FROM calls WHERE prompt_name != ''").rows[0][0])
    summed = prompts._summed_versions(shop, SHOP, window, name)
    by_call = prompts._versions_of_calls(shop, SHOP, window, name)
    assert summed
    # by version: the rollup knows to the hour when one was first seen, so those of an hour stand in any order
    pairs = [sorted(found, key=lambda one: one.version) for found in (summed, by_call)]
    assert [(one.version, one.calls, one.errors) for one in pairs[0]] == [
        (one.version, one.calls, one.errors) for one in pairs[1]
    ]
    for one, other in zip(*pairs, strict=True):
        assert one.duration.deviation == pytest.approx(other.duration.deviation)
        assert one.cost.mean == pytest.approx(other.cost.mean)
        assert one.p50_ms == pytest.approx(other.p50_ms, rel=0.13)
    tokens = reliability._summed_first_tokens(shop, SHOP, window)
    assert tokens
    shop.command(
        "ALTER TABLE calls_per_hour UPDATE ttft_buckets = [], duration_ms_squares = 0 WHERE 1",
        settings={"mutations_sync": 2},
    )
    assert prompts._summed_versions(shop, SHOP, window, name) is None
    assert reliability._summed_first_tokens(shop, SHOP, window) is None
    asked_anew = prompts.versions(shop, SHOP, window, name)
    assert [exact(one) for one in asked_anew] == [exact(one) for one in by_call]
    assert [one.duration.deviation for one in asked_anew] == pytest.approx(
        [one.duration.deviation for one in by_call]
    )
    assert [one.calls for one in reliability.first_tokens(shop, SHOP, window)] == [
        one.calls for one in tokens
    ]
