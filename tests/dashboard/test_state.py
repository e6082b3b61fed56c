from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon_collector.store.queries.trace_columns import columns
from gnomon_collector.store.queries.trace_filters import ColumnFilter, Condition
from gnomon_dashboard import links, state
from gnomon_dashboard.state import DEFAULT_REFRESH_S, PRESETS, REFRESHES_S, ViewState

NOW = datetime(2026, 11, 23, 10, 17, 31, 500_000, UTC)
WORDS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)
LISTS = st.lists(WORDS, max_size=4, unique=True).map(tuple)


@st.composite
def views(draw: st.DrawFn) -> ViewState:
    rows = draw(st.sampled_from(("traces", "calls")))
    names = [one.id for one in columns(rows)]
    moments = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1))
    start = draw(st.none() | moments.map(lambda moment: moment.replace(microsecond=0, tzinfo=UTC)))
    return ViewState(
        project=draw(WORDS | st.just("")),
        range=draw(st.sampled_from(list(PRESETS))) if start is None else state.DEFAULT_RANGE,
        start=start,
        end=start + timedelta(seconds=draw(st.integers(1, 10**8))) if start else None,
        refresh_s=draw(st.sampled_from(REFRESHES_S)),
        services=draw(LISTS),
        environments=draw(LISTS),
        models=draw(LISTS),
        rows=rows,
        text=draw(WORDS | st.just("")),
        sort=draw(st.sampled_from(("", "-"))) + draw(st.sampled_from(names)),
        filter=draw(st.just("") | WORDS.map(lambda word: state.equals_filter("user", word))),
        columns=tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=5))),
        span=draw(WORDS | st.just("")),
    )


@given(views())
def test_every_view_survives_the_url(view: ViewState) -> None:
    assert state.parse(state.to_query(view)) == view


def test_the_default_view_needs_no_query() -> None:
    assert state.to_query(ViewState()) == ""
    assert state.parse("") == state.parse(None) == ViewState()


@pytest.mark.parametrize(
    "search",
    [
        "?range=7y&refresh=3&sort=;DROP TABLE spans&rows=x&cols=a,b,../c&from=yesterday&to=tomorrow",
        "?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "?from=0001-01-01&to=9999-12-31",
        "?from=2026-01-01T00:00:00Z",
        "?" + "service=a&" * 2000,
        "?q=" + "x" * 100_000,
        "?%ff=%00&&&===",
    ],
)
def test_nonsense_gives_a_view_that_works(search: str) -> None:
    view = state.parse(search)
    assert view.range == state.DEFAULT_RANGE
    assert view.refresh_s == DEFAULT_REFRESH_S
    assert not view.is_custom
    assert (view.rows, view.sort, view.columns) == ("traces", "-time", ())
    assert state.window(view, NOW).seconds > 0


@pytest.mark.parametrize(
    ("preset", "step_s", "table"),
    [
        ("15m", 60, "calls_per_minute"),
        ("1h", 60, "calls_per_minute"),
        ("6h", 300, "calls_per_minute"),
        ("24h", 900, "calls_per_minute"),
        ("7d", 7200, "calls_per_hour"),
        ("30d", 21600, "calls_per_hour"),
    ],
)
def test_a_preset_is_cut_into_buckets_that_its_rollup_has(preset: str, step_s: int, table: str) -> None:
    window = state.window(ViewState(range=preset), NOW)
    assert (window.step_s, window.table) == (step_s, table)
    assert window.end == NOW
    assert window.start.timestamp() % window.grain_s == 0
    assert timedelta(0) <= (NOW - PRESETS[preset]) - window.start < timedelta(seconds=window.grain_s)
    assert 15 <= len(window.buckets()) <= 127


@given(st.integers(60, 3600 * 86_400))
def test_no_range_has_too_many_buckets(seconds: int) -> None:
    length = timedelta(seconds=seconds)
    assert seconds / state.step_s(length) <= 125
    if length > timedelta(hours=36):
        assert state.step_s(length) % 3600 == 0


def test_the_period_before_ends_where_the_window_starts() -> None:
    window = state.window(ViewState(range="7d"), NOW)
    before = window.previous
    assert before.end == window.start
    assert window.seconds <= before.seconds < window.seconds + 3600


def test_the_first_bucket_of_a_window_may_start_before_it() -> None:
    window = state.window(ViewState(range="6h"), NOW)
    assert window.start == datetime(2026, 11, 23, 4, 17, tzinfo=UTC)
    assert window.buckets()[0] == datetime(2026, 11, 23, 4, 15, tzinfo=UTC)
    assert window.buckets()[-1] == datetime(2026, 11, 23, 10, 15, tzinfo=UTC)


def test_the_grids_filters_become_typed() -> None:
    model = {
        "user": {"filterType": "text", "type": "equals", "filter": "u42"},
        "latency_ms": {"filterType": "number", "type": "inRange", "filter": 10, "filterTo": 20.5},
        "name": {
            "operator": "OR",
            "conditions": [{"type": "contains", "filter": "a"}, {"type": "blank"}],
        },
    }
    assert state.column_filters(json.dumps(model), "traces") == (
        ColumnFilter("user", (Condition("equals", "u42"),)),
        ColumnFilter("latency_ms", (Condition("inRange", 10.0, 20.5),)),
        ColumnFilter("name", (Condition("contains", "a"), Condition("blank")), any_of=True),
    )


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '"x"',
        '{"nosuch": {"type": "equals"}}',
        '{"user": 3}',
        '{"user": {"type": "; DROP"}}',
        "[" * 9999,
    ],
)
def test_filters_that_make_no_sense_are_left_out(text: str) -> None:
    assert state.column_filters(text, "traces") == ()


def test_links_keep_time_and_filters_and_forget_the_rest() -> None:
    view = ViewState(project="shop", range="6h", services=("a&b",), text="x", sort="-cost_usd", span="1")
    assert links.to_page("/traces", view) == "/traces?project=shop&range=6h&service=a%26b"
    assert (
        links.to_trace(view, "ab/..?", "c d")
        == "/trace/ab%2F..%3F?project=shop&range=6h&service=a%26b&span=c+d"
    )
    calls = state.parse(links.to_calls(view)("error_type", 'ti"me').split("?")[1])
    assert calls.rows == "calls"
    assert state.column_filters(calls.filter, "calls") == (
        ColumnFilter("error_type", (Condition("equals", 'ti"me'),)),
    )
