"""Every panel of every page on a real database: it answers, its SQL runs as shown, its CSV is readable."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.dashboard import rich, seed
from tests.dashboard.conftest import fill

from gnomon_collector.store.queries import arrivals, caches, glance, people, prompts, reliability, usage
from gnomon_collector.store.queries.filters import Scope
from gnomon_dashboard import state
from gnomon_dashboard.context import View
from gnomon_dashboard.markers import Timeline
from gnomon_dashboard.pages import cache, cost, glance_panel, latency, prompt_list
from gnomon_dashboard.pages import people as people_page
from gnomon_dashboard.pages import prompts as prompts_page
from gnomon_dashboard.pages.panel import Panel, answered, brushed, zoomed
from gnomon_dashboard.panel_routes import as_csv, sql_of
from gnomon_dashboard.state import ViewState
from gnomon_schemas.metrics import metric

if TYPE_CHECKING:
    from tests.conftest import SharedDatabase

    from gnomon_collector.store.engine import Store

PAGES: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("/", (glance_panel.PANEL,)),
    ("/latency", latency.PANELS),
    ("/cost", cost.PANELS),
    ("/cache", cache.PANELS),
    ("/users", people_page.PAGES[1].panels[:1]),
    ("/sessions", people_page.PAGES[0].panels[:1]),
    ("/companies", people_page.PAGES[2].panels[:1]),
    ("/users/rich-u1", people_page.PAGES[1].panels[1:]),
    ("/sessions/rich-s3", people_page.PAGES[0].panels[1:]),
    ("/companies/initech", people_page.PAGES[2].panels[1:]),
    ("/prompts", prompt_list.LIST),
    ("/prompts/reply", prompts_page.ONE),
)
CASES = [(path, panel) for path, panels in PAGES for panel in panels]
# no judge has run, every model has a price: these have nothing to show
BARE = ("judge-spend", "price-gaps", "prompt-cache-savings", "prompt-cache-models")
SHOP = Scope(seed.PROJECT)


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def shop(_embedded_database: SharedDatabase, now: datetime) -> Store:
    store = _embedded_database.empty()
    fill(store, now)
    rich.fill(store, now)
    return store


def view_of(now: datetime, path: str = "/", **values: object) -> View:
    shown = ViewState(**({"range": "24h", "project": seed.PROJECT} | values))  # type: ignore[arg-type]
    return View(shown, seed.PROJECT, state.window(shown, now + timedelta(minutes=1)), UTC, "light", path)


@pytest.mark.parametrize(("path", "panel"), CASES, ids=[f"{path}:{panel.id}" for path, panel in CASES])
def test_a_panel_shows_something_and_says_its_sql(
    shop: Store, now: datetime, path: str, panel: Panel
) -> None:
    view = view_of(now, path)
    _, over = answered(shop, view, panel, Timeline(shop))
    if panel.id not in BARE:
        assert over is None, over
    for statement in sql_of(shop, view, panel).split("\n\n"):
        assert "SELECT" in statement
    rows = list(csv.reader(io.StringIO(as_csv(panel.ask(shop, view)))))
    assert len({len(row) for row in rows}) <= 1


@pytest.mark.parametrize("label", usage.LABELS)
def test_sums_by_any_label_are_those_of_the_calls(shop: Store, now: datetime, label: str) -> None:
    window = view_of(now).window
    groups = usage.by_label(shop, SHOP, window, label, limit=10_000)
    total = usage.added([group.totals for group in groups])
    calls, cost_usd, tokens = shop.query(
        "SELECT count(), sum(cost_usd), sum(ifNull(input_tokens, 0) + ifNull(output_tokens, 0)) FROM calls"
        " WHERE project = {p:String} AND start_time >= {a:DateTime64(6)} AND start_time < {b:DateTime64(6)}",
        {"p": seed.PROJECT, "a": window.start, "b": window.end},
    ).rows[0]
    assert (total.calls, total.tokens) == (calls, tokens)
    assert total.cost_usd == pytest.approx(float(str(cost_usd)))
    points = usage.over_time(shop, SHOP, window, label)
    assert sum(point.totals.calls for point in points) == calls


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("success_rate", lambda one: one.success_rate),
        ("error_rate", lambda one: one.error_rate),
        ("ttft_mean_ms", lambda one: one.mean_ttft_ms),
        ("tokens_per_s", lambda one: one.tokens_per_second),
        ("prompt_cache_ratio", lambda one: one.prompt_cache_share),
        ("cost_per_request_usd", lambda one: one.cost_per_call_usd),
    ],
)
def test_a_figure_is_what_the_catalogue_says(shop: Store, now: datetime, name: str, value: object) -> None:
    window = view_of(now).window
    total = usage.added([group.totals for group in usage.by_label(shop, SHOP, window, "kind")])
    (expected,) = shop.query(
        f"SELECT {metric(name).sql} FROM {window.table} FINAL WHERE project = {{p:String}}"
        " AND time >= {a:DateTime} AND time < {b:DateTime}",
        {"p": seed.PROJECT, "a": window.start, "b": window.end},
    ).rows[0]
    assert value(total) == pytest.approx(float(str(expected)))  # type: ignore[operator]


def test_sources_are_told_apart_by_all_their_names(shop: Store, now: datetime) -> None:
    window = view_of(now).window
    found = arrivals.sources(shop, SHOP, window)
    expected = shop.query(
        "SELECT service_name, dialect, scope_name, scope_version, count(), countIf(duplicate_of != '') FROM spans"
        " WHERE project = {p:String} AND start_time >= {a:DateTime64(6)} AND start_time < {b:DateTime64(6)}"
        " GROUP BY ALL",
        {"p": seed.PROJECT, "a": window.start, "b": window.end},
    ).rows
    told = [(one.service, one.dialect, one.scope, one.version, one.spans, one.duplicates) for one in found]
    assert len(told) > 1 and sorted(told) == sorted(expected)


def test_the_delay_of_arrival_is_from_the_end_of_a_span(shop: Store, now: datetime) -> None:
    window = view_of(now).window
    found = arrivals.arrivals(shop, SHOP, window)
    spans, delay_ms = shop.query(
        "SELECT count(), avg(greatest(0, dateDiff('microsecond', start_time, received_at) / 1e3 - duration_ns / 1e6))"
        " FROM spans WHERE project = {p:String} AND start_time >= {a:DateTime64(6)} AND start_time < {b:DateTime64(6)}",
        {"p": seed.PROJECT, "a": window.start, "b": window.end},
    ).rows[0]
    assert sum(one.spans for one in found) == spans
    mean_ms = sum(one.delay_ms * one.spans for one in found) / int(str(spans))
    assert mean_ms == pytest.approx(float(str(delay_ms)), abs=0.01)


def test_an_unknown_label_is_refused(shop: Store, now: datetime) -> None:
    with pytest.raises(ValueError, match="There is no label"):
        usage.by_label(shop, SHOP, view_of(now).window, "x; DROP TABLE spans")


def test_caches_say_what_hits_save(shop: Store, now: datetime) -> None:
    found = caches.outcomes(shop, SHOP, view_of(now).window)
    requests = {one.status: one.requests for one in found}
    assert requests == {"miss": 60, "hit": 30, "semantic_hit": 30}
    saved = caches.saving(found)
    assert saved.hit_ratio == pytest.approx(0.5)
    assert 55 * 1500 < saved.saved_ms < 60 * 2000
    assert saved.saved_usd == pytest.approx(60 * 0.003, rel=0.01)


def test_second_tries_have_a_reason(shop: Store, now: datetime) -> None:
    tries = {one.kind: one for one in reliability.second_tries(shop, SHOP, view_of(now).window)}
    assert (tries["fallback"].reason, tries["fallback"].of_model, tries["fallback"].calls) == (
        "timeout",
        "gpt-4.1",
        10,
    )
    assert tries["retry"].calls == 10
    assert tries["fallback"].cost_usd == pytest.approx(10 * 0.003, rel=0.35)


def test_second_tries_of_more_traces_than_are_named_are_the_same(
    shop: Store, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = view_of(now).window
    named = reliability.second_tries(shop, SHOP, window)
    monkeypatch.setattr(reliability, "_MOST_TRACES", 1)
    assert reliability.second_tries(shop, SHOP, window) == named != []


def test_people_know_their_spend_and_their_ratings(shop: Store, now: datetime) -> None:
    window = view_of(now).window
    users = {one.value: one for one in people.people(shop, SHOP, window, "user", text="rich-u")}
    assert len(users) == 7
    assert sum(one.calls for one in users.values()) == 60
    assert sum(one.ratings for one in users.values()) == 60
    assert all(0 <= (one.satisfaction or 0) <= 1 for one in users.values())
    turns = people.turns(shop, SHOP, window, "session", "rich-s3")
    assert [turn.question for turn in turns] == [f"question {number}" for number in range(18, 24)]
    assert all(turn.ratings for turn in turns)


def test_versions_differ_where_they_do(shop: Store, now: datetime) -> None:
    view = view_of(now, "/prompts/reply")
    versions = prompts.versions(shop, SHOP, view.window, "reply")
    assert [one.version for one in versions] == ["v9", "v8"]
    found = prompts_page.differences(versions, view)
    assert found is not None
    verdicts = {one.name: one.is_significant for one in found[2]}
    assert verdicts["Cost per call"]
    assert not verdicts["Error rate"]
    old, new = (prompts.texts(shop, SHOP, view.window, "reply", version) for version in ("v8", "v9"))
    # the documents differ from call to call, so they are no part of the prompt
    assert old.splitlines() == ["You help the customers of a shoe shop.", "Answer briefly."]
    assert new.splitlines()[1] == "Answer in two sentences."


def test_a_release_and_a_prompt_version_are_marked(shop: Store, now: datetime) -> None:
    texts = " ".join(marker.text for marker in glance.markers(shop, SHOP, view_of(now).window))
    assert "shop-assistant 2.0.0" in texts
    assert "reply v9" in texts


def test_a_zoom_offers_the_traces_of_its_time(now: datetime) -> None:
    view = view_of(now, "/latency")
    zoom = {"xaxis.range[0]": "2026-11-22 10:00:00.123456", "xaxis.range[1]": "2026-11-22T10:30:00"}
    assert zoomed(zoom, view) == (
        datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC),
        datetime(2026, 11, 22, 10, 30, tzinfo=UTC),
    )
    traces, page = brushed(view, zoom, latency.PANELS[0])
    assert traces.href.startswith("/traces?") and "from=2026-11-22T10%3A00%3A00Z" in traces.href
    assert "rows=calls" in traces.href
    assert page.href.startswith("/latency?")
    for nothing in (None, {}, {"xaxis.autorange": True}, {"xaxis.range[0]": "x", "xaxis.range[1]": "y"}):
        assert brushed(view, nothing, latency.PANELS[0]) is None


def test_csv_of_a_panel_runs_no_formula() -> None:
    assert as_csv([{"name": "=1+1", "calls": 3}]).splitlines() == ["name,calls", "'=1+1,3"]
    assert as_csv(None) == "\r\n"
