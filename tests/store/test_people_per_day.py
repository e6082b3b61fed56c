"""Sums of people by day: always what the summaries of traces say, whatever comes late, changes or goes."""

from __future__ import annotations

import random
import time as clock
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, get_args

import pytest
from tests.dashboard import seed

from gnomon_collector.operations.trace_summaries import TraceSummariesJob
from gnomon_collector.store import erasure, people_per_day, retention, rollups
from gnomon_collector.store.people_per_day import DAY, TABLES, Kind
from gnomon_collector.store.queries import people
from gnomon_collector.store.queries.filters import Scope, Window
from gnomon_collector.store.queries.person_rows import PersonRows, person_rows

if TYPE_CHECKING:
    from gnomon_collector.store.engine import Store

PROJECT = seed.PROJECT
SHOP = Scope(PROJECT)
DAYS = 5
NOW = datetime.now(UTC).replace(minute=5, second=0, microsecond=0) - timedelta(hours=1)
MIDNIGHT = datetime.combine(NOW.date() - timedelta(days=1), time(), UTC)
EVERYTHING = Window(NOW - timedelta(days=DAYS + 1), NOW, 3600)
KINDS: tuple[Kind, ...] = get_args(Kind)


def traces(rng: random.Random, count: int) -> list[seed.Span]:
    """Traces with one to three calls at any time: people come back on other days, some spans have nobody."""
    spans = []
    for number in range(count):
        start = NOW - timedelta(seconds=rng.uniform(60, DAYS * 86400))
        user = rng.randrange(12)
        for position in range(rng.randint(1, 3)):
            spans.append(call(rng, f"{number:032x}", start + timedelta(seconds=300 * position), user))
    return spans


def call(rng: random.Random, trace_id: str, start: datetime, user: int) -> seed.Span:
    return seed.Span(
        project=PROJECT,
        trace_id=trace_id,
        span_id=f"{rng.getrandbits(64):016x}",
        start_time=start,
        duration_ns=rng.randrange(10**9),
        kind="generation",
        name="chat",
        status=rng.choice(["ok", "ok", "error", "cancelled"]),
        user_id=f"u{user}" if user else "",
        # a session has one user, so that there is no doubt who is its first
        session_id=f"s{user}-{rng.randrange(3)}" if user % 3 else "",
        company_id=["", "acme", "globex"][user % 3],
        input_tokens=rng.choice([None, 10, 20]),
        output_tokens=rng.choice([None, 5]),
        cost_usd=rng.choice([None, 0.01, rng.random()]),
    )


@pytest.fixture
def shop(store: Store) -> Store:
    spans = traces(random.Random(7), 250)
    seed.insert(store, spans)
    run_job(store)
    return store


def run_job(store: Store) -> None:
    TraceSummariesJob(store).run_once(NOW)


def run_job_after_a_rest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the days computed that changed, though they were computed a moment ago."""
    monkeypatch.setattr(people_per_day, "REST", timedelta(0))
    run_job(store)


def held(store: Store, start: datetime = EVERYTHING.start, end: datetime = NOW) -> list[date]:
    return list(people_per_day.computed(store, PROJECT, start, end))


def compare(store: Store, *windows: Window) -> None:
    """Look whether lists summed from days are those summed from traces."""
    for window in windows or (EVERYTHING,):
        for kind in KINDS:
            by_day = person_rows(store, SHOP, window, kind)
            by_trace = person_rows(store, SHOP, window)
            assert listed(store, by_day, kind) == listed(store, by_trace, kind), (kind, window)


def listed(store: Store, rows: PersonRows, kind: Kind) -> list[object]:
    figures = people._figures(store, rows, kind, f"{people._PERSON[kind]} != ''", {})
    return [
        (
            *(one.value, one.user, one.sessions, one.requests, one.calls, one.errors, one.tokens),
            *(one.first_seen, one.last_seen, pytest.approx(one.cost_usd)),
        )
        for one in sorted(figures.values(), key=lambda one: one.value)
    ]


def test_whole_days_that_are_over_are_summed(shop: Store) -> None:
    days = held(shop)
    assert MIDNIGHT.date() in days or NOW.hour < 2
    assert len(days) >= DAYS - 2 and max(days) < NOW.date()
    assert "users_per_day" in person_rows(shop, SHOP, EVERYTHING, "user").sql
    assert held(shop, MIDNIGHT - DAY + timedelta(seconds=1), MIDNIGHT) == []
    assert held(shop, MIDNIGHT - DAY, MIDNIGHT) == [MIDNIGHT.date() - DAY]


@pytest.mark.parametrize("seeded", [1, 2])
def test_days_answer_as_traces_do(store: Store, seeded: int) -> None:
    rng = random.Random(seeded)
    seed.insert(store, traces(rng, 300))
    run_job(store)
    windows = [
        Window(NOW - timedelta(hours=rng.uniform(30, 150)), NOW - timedelta(hours=rng.uniform(-1, 28)), 3600)
        for _ in range(6)
    ]
    compare(store, EVERYTHING, Window(MIDNIGHT - 2 * DAY, MIDNIGHT, 3600), *windows)
    touched = rng.sample(held(store), 2)
    people_per_day.touch(store, [PROJECT], touched)  # days between days that hold
    assert not set(touched) & set(held(store))
    compare(store, EVERYTHING, *windows)


@pytest.mark.parametrize("kind", KINDS)
def test_lists_are_sorted_and_found_alike(shop: Store, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    def pages() -> list[list[object]]:
        return [
            [(one.value, one.requests) for one in people.people(shop, SHOP, EVERYTHING, kind, order=order, text=text, limit=9)]
            for order in people.ORDERS
            for text in ("", "1")
            if order != "user"
        ]  # fmt: skip

    by_day = pages()
    monkeypatch.setattr(
        people, "person_rows", lambda store, scope, within, by_day=None: person_rows(store, scope, within)
    )
    assert by_day == pages()


def test_a_late_span_is_in_the_list_at_once_and_in_its_day_later(
    shop: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = held(shop)
    late = MIDNIGHT - timedelta(hours=10)
    seed.insert(shop, [call(random.Random(1), "e" * 32, late, user=99)])
    run_job(shop)
    assert late.date() not in held(shop)  # computed a moment ago: the traces answer
    compare(shop)
    assert "u99" in {one.value for one in people.people(shop, SHOP, EVERYTHING, "user")}
    run_job_after_a_rest(shop, monkeypatch)
    assert held(shop) == days
    compare(shop)
    assert shop.query("SELECT 1 FROM users_per_day WHERE user_id = 'u99'").rows


@pytest.mark.slow
def test_a_day_computed_again_leaves_nothing_of_before(shop: Store) -> None:
    day = MIDNIGHT.date() - DAY
    rows = shop.query("SELECT count() FROM sessions_per_day").rows
    people_per_day.compute(shop, PROJECT, day)
    give_up_at = clock.monotonic() + 60
    while shop.query("SELECT count() FROM sessions_per_day").rows != rows and clock.monotonic() < give_up_at:
        clock.sleep(0.2)  # the deletion is not waited for
    assert shop.query("SELECT count() FROM sessions_per_day").rows == rows
    compare(shop)


def test_a_computation_that_was_cut_off_does_not_hold(shop: Store) -> None:
    day = MIDNIGHT.date() - DAY
    shop.command(people_per_day._BEGIN, {"project": PROJECT, "day": day})
    shop.command(
        people_per_day.compute_sql(TABLES["user"]),
        {
            "project": PROJECT,
            "day": day,
            "run": 2**63,
            "start": MIDNIGHT - DAY,
            "end": MIDNIGHT,
        },
    )
    assert day not in held(shop)
    compare(shop)


def test_calls_found_to_be_duplicates_leave_the_sums(shop: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    days = held(shop)
    trace_id, start = shop.query(
        "SELECT trace_id, min(start_time) FROM spans WHERE start_time < {until:DateTime64(9)}"
        " AND start_time >= {since:DateTime64(9)} AND user_id != '' GROUP BY trace_id ORDER BY trace_id LIMIT 1",
        {"since": MIDNIGHT - DAY, "until": MIDNIGHT},
    ).rows[0]
    shop.command(
        "UPDATE spans SET duplicate_of = 'x:y' WHERE project = {p:String} AND trace_id = {t:String}",
        {"p": PROJECT, "t": trace_id},
        settings={"enable_lightweight_update": 1},
    )
    rollups.recompute(shop, [PROJECT], [start.replace(second=0, microsecond=0, tzinfo=UTC)])  # type: ignore[attr-defined]
    run_job_after_a_rest(shop, monkeypatch)
    assert held(shop) == days
    compare(shop)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("user", "u4"),
        ("session", "s4-1"),
        ("trace", f"{5:032x}"),
    ],
)
def test_what_is_erased_is_gone_from_the_sums(
    shop: Store, kind: erasure.Kind, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    erasure.erase(shop, kind, PROJECT, value, "e1", lambda _: None)
    compare(shop)
    for column, table in (
        ("user_id", "users_per_day"),
        ("session_id", "sessions_per_day"),
        ("user_id", "sessions_per_day"),
    ):
        assert not shop.query(f"SELECT 1 FROM {table} WHERE {column} = {{v:String}}", {"v": value}).rows
    run_job_after_a_rest(shop, monkeypatch)
    compare(shop)


@pytest.mark.slow
def test_what_is_too_old_goes_from_the_sums(shop: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = MIDNIGHT - DAY + timedelta(hours=7)
    retention.delete_expired(shop, PROJECT, before)
    assert not shop.query("SELECT 1 FROM users_per_day WHERE day < {d:Date}", {"d": before.date()}).rows
    assert before.date() not in held(shop)
    compare(shop)
    run_job_after_a_rest(shop, monkeypatch)
    assert before.date() in held(shop)
    compare(shop)


def test_a_job_that_is_cut_off_computes_the_other_days_next(store: Store) -> None:
    seed.insert(store, traces(random.Random(3), 40))
    run_job(store)
    days = held(store)
    for table in ("people_days", "users_per_day", "sessions_per_day", "companies_per_day"):
        store.command(f"TRUNCATE TABLE {table}")
    until = NOW.replace(minute=0)
    found = 1
    while not people_per_day.bring_up_to_date(store, PROJECT, EVERYTHING.start, until, lambda: True):
        assert held(store) == days[-found:]  # newest first
        compare(store)
        found += 1
    assert held(store) == [day for day in days if day > EVERYTHING.start.date()]
