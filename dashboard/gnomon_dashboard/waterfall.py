"""The spans of a trace as rows of a waterfall, in the order of the tree. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gnomon_collector.store.queries.trace import SpanRow
from gnomon_dashboard import units

DEEPEST: Final = 200


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    """A span at its place: `left` and `width` are shares (0..1) of the whole trace's time."""

    span: SpanRow
    depth: int
    descendants: int
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """What a trace comes to. Tokens and cost of its billable calls, cost None where none
    is known; `start_ns` in Unix nanoseconds."""

    name: str
    start_ns: int
    duration_ns: int
    spans: int
    calls: int
    errors: int
    tokens: int
    cost_usd: float | None


def rows(spans: Sequence[SpanRow]) -> list[WaterfallRow]:
    """Return one row per span, parents before their children, siblings by start.

    A span whose parent is not here (or that is its own ancestor) stands at the top level.
    """
    if not spans:
        return []
    start, duration = _extent(spans)
    ordered = _depth_first(spans)
    below = _descendants([depth for _, depth in ordered])
    return [
        WaterfallRow(
            span=span,
            depth=min(depth, DEEPEST),
            descendants=count,
            left=(span.start_ns - start) / duration,
            width=span.duration_ns / duration,
        )
        for (span, depth), count in zip(ordered, below, strict=True)
    ]


def summary(spans: Sequence[SpanRow]) -> TraceSummary:
    """Return the sums over a trace.

    Raises:
        ValueError: there are no spans.
    """
    start, duration = _extent(spans)
    entry = next((row.span for row in rows(spans)), spans[0])
    calls = [span for span in spans if span.is_call]
    return TraceSummary(
        name=entry.name,
        start_ns=start,
        duration_ns=duration,
        spans=len(spans),
        calls=len(calls),
        errors=sum(span.status == "error" for span in spans),
        tokens=sum(span.tokens for span in calls),
        cost_usd=sum(costs)
        if (costs := [span.cost_usd for span in calls if span.cost_usd is not None])
        else None,
    )


def first_interesting(spans: Sequence[SpanRow]) -> str:
    """Return the id of the span to open with: the first failed call, else the last call, else the entry."""
    failed = [span for span in spans if span.status == "error" and span.is_call]
    calls = [span for span in spans if span.is_call]
    chosen = failed[:1] or calls[-1:] or [row.span for row in rows(spans)[:1]]
    return chosen[0].span_id if chosen else ""


def as_data(row: WaterfallRow) -> dict[str, Any]:
    """Return a row as assets/waterfall.js takes it; every text is put into the page as text."""
    span = row.span
    facts = [units.number(span.tokens) + " tok"] if span.is_call and span.tokens else []
    if span.is_call and span.cost_usd:
        facts.append(units.usd(span.cost_usd))
    return {
        "id": span.span_id,
        "depth": row.depth,
        "below": row.descendants,
        "name": span.name[:200] or "(no name)",
        "kind": span.kind,
        "status": span.status,
        "left": round(row.left, 6),
        "width": round(row.width, 6),
        "duration": units.duration(span.duration_ns / 1e6),
        "facts": " · ".join(facts),
        "service": span.service[:80],
    }


def _extent(spans: Sequence[SpanRow]) -> tuple[int, int]:
    if not spans:
        raise ValueError("a trace has at least one span")
    start = min(span.start_ns for span in spans)
    return start, max(1, max(span.start_ns + span.duration_ns for span in spans) - start)


def _depth_first(spans: Sequence[SpanRow]) -> list[tuple[SpanRow, int]]:
    known = {span.span_id for span in spans}
    children: dict[str, list[SpanRow]] = {}
    for span in sorted(spans, key=lambda one: (one.start_ns, one.span_id)):
        parent = (
            span.parent_span_id
            if span.parent_span_id in known and span.parent_span_id != span.span_id
            else ""
        )
        children.setdefault(parent, []).append(span)
    ordered: list[tuple[SpanRow, int]] = []
    seen: set[str] = set()
    for root in [*children.get("", []), *spans]:
        _walk(root, children, seen, ordered)
    return ordered


def _walk(
    root: SpanRow, children: dict[str, list[SpanRow]], seen: set[str], ordered: list[tuple[SpanRow, int]]
) -> None:
    stack = [(root, 0)]
    while stack:
        span, depth = stack.pop()
        if span.span_id in seen:
            continue
        seen.add(span.span_id)
        ordered.append((span, depth))
        stack.extend((child, depth + 1) for child in reversed(children.get(span.span_id, [])))


def _descendants(depths: Sequence[int]) -> list[int]:
    counts = [0] * len(depths)
    open_rows: list[int] = []
    for index, depth in enumerate([*depths, -1]):
        while open_rows and depths[open_rows[-1]] >= depth:
            row = open_rows.pop()
            counts[row] = index - row - 1
        if index < len(depths):
            open_rows.append(index)
    return counts
