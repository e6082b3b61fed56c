from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gnomon_collector.store.queries.trace import SpanRow
from gnomon_dashboard import waterfall


def span(span_id: str, parent: str = "", start: int = 0, duration: int = 10, **other: object) -> SpanRow:
    values: dict[str, object] = {
        "name": span_id, "kind": "step", "service": "s", "status": "ok", "model": "", "tokens": 0,
        "cost_usd": None, "is_call": False,
    }  # fmt: skip
    return SpanRow(span_id, parent, start, duration, **(values | other))  # type: ignore[arg-type]


def test_children_follow_their_parent_by_start() -> None:
    spans = [span("b", "root", 5), span("root", "", 0, 100), span("a", "root", 3), span("b1", "b", 6)]
    found = [(row.span.span_id, row.depth, row.descendants) for row in waterfall.rows(spans)]
    assert found == [("root", 0, 3), ("a", 1, 0), ("b", 1, 1), ("b1", 2, 0)]


def test_places_are_shares_of_the_whole_time() -> None:
    rows = waterfall.rows([span("root", "", 1000, 200), span("a", "root", 1050, 100)])
    assert [(row.left, row.width) for row in rows] == [(0.0, 1.0), (0.25, 0.5)]


def test_orphans_and_circles_are_shown() -> None:
    spans = [span("a", "gone", 1), span("x", "y", 2), span("y", "x", 3), span("self", "self", 4)]
    assert [(row.span.span_id, row.depth) for row in waterfall.rows(spans)] == [
        ("a", 0), ("self", 0), ("x", 0), ("y", 1),
    ]  # fmt: skip


def test_sums_cover_billable_calls_only() -> None:
    spans = [
        span("root", "", 0, 100, tokens=30, cost_usd=9.0),
        span("c1", "root", 10, 20, tokens=10, cost_usd=0.5, is_call=True),
        span("c2", "root", 40, 20, tokens=20, is_call=True, status="error"),
    ]
    total = waterfall.summary(spans)
    assert (total.name, total.calls, total.errors, total.tokens, total.cost_usd) == ("root", 2, 1, 30, 0.5)
    assert waterfall.summary(spans[:1]).cost_usd is None


def test_a_trace_opens_with_what_matters() -> None:
    good, bad = span("c1", is_call=True), span("c2", is_call=True, status="error")
    assert waterfall.first_interesting([span("root"), good, bad, good]) == "c2"
    assert waterfall.first_interesting([span("root"), good]) == "c1"
    assert waterfall.first_interesting([span("root")]) == "root"
    assert waterfall.first_interesting([]) == ""


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 99), st.integers(0, 99)),
        max_size=30,
        unique_by=lambda item: item[0],
    )
)
def test_every_span_is_shown_once_whatever_its_parent(items: list[tuple[int, int, int, int]]) -> None:
    spans = [span(str(own), str(parent), start, duration) for own, parent, start, duration in items]
    rows = waterfall.rows(spans)
    assert sorted(row.span.span_id for row in rows) == sorted(one.span_id for one in spans)
    for index, row in enumerate(rows):
        below = rows[index + 1 : index + 1 + row.descendants]
        assert all(one.depth > row.depth for one in below)
        assert 0 <= row.left <= 1


def test_a_thousand_levels_are_no_trouble() -> None:
    spans = [span(str(level), str(level - 1), level) for level in range(1, 3000)]
    rows = waterfall.rows(spans)
    assert len(rows) == 2999
    assert rows[-1].depth == waterfall.DEEPEST
