"""Which rows report the same model call twice, and which of them counts.

Two instrumentations of one service often see the same call: a framework's and the client library's, or the
library's own spans beside a wrapper's. Everything here is pure; `gnomon_collector.store.ingest` reads the
calls and writes `duplicate_of`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_SNAPSHOT: Final = re.compile(
    r"[-@:](latest|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|\d{2}-\d{2}|\d{8}|\d{6}|\d{4}|\d{3})$"
)
"""What names a snapshot of a model: a date in one of the forms in use, or a number (gemini-1.5-pro-002)."""

Key = tuple[str, str]
"""Project and ``trace_id:span_id``."""


@dataclass(frozen=True)
class Call:
    """A row of `spans` of kind generation or embedding, as far as telling duplicates needs it.

    Attributes:
        key: ``trace_id:span_id``
        parent_key: ``trace_id:parent_span_id``
        kind: generation or embedding
        start_ns, end_ns: nanoseconds since 1970
        known_values: how many of its token counts and texts are filled: the richest row counts
        duplicate_of: what the row says now
        model: the response's, else the request's
        input_tokens, output_tokens: null when not reported
        text_hash: of the input text; 0 where it has none
        is_wire: reported by the provider's own client library, whose token counts are the wire's
        is_stream_end: Logfire's second span of a stream, which says how it went
    """

    project: str
    key: str
    parent_key: str
    scope_name: str
    response_id: str
    start_ns: int
    end_ns: int
    known_values: int
    duplicate_of: str
    kind: str = "generation"
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    text_hash: int = 0
    is_wire: bool = False
    is_stream_end: bool = False


class _Views:
    """Rows joined into the calls that they are views of; rows with different response ids never join."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._leader: dict[Key, Key] = {}
        self._response: dict[Key, str] = {}
        for call in calls:
            self._leader[_key(call)] = _key(call)
            self._response[_key(call)] = call.response_id

    def of(self, call: Call) -> Key:
        """Return the name of the call that a row is a view of."""
        key = _key(call)
        while self._leader[key] != key:
            self._leader[key] = self._leader[self._leader[key]]
            key = self._leader[key]
        return key

    def response(self, call: Call) -> str:
        """Return the response id of the call that a row is a view of; empty where none is known."""
        return self._response[self.of(call)]

    def join(self, first: Call, second: Call) -> None:
        """Join two rows and what they are joined with, if they can be one call."""
        if len({self.response(first), self.response(second)} - {""}) < 2:
            name, other = sorted((self.of(first), self.of(second)))
            self._response[name] = self._response[name] or self._response[other]
            self._leader[other] = name


def changed_duplicates(calls: Iterable[Call], parents: Mapping[Key, str] | None = None) -> dict[Key, str]:
    """Return what `duplicate_of` has to become, by (project, key), for the rows where it is something else.

    The answer depends on the set of calls alone, not on their order.

    Args:
        calls: the calls of the traces looked at
        parents: the parent's key of spans that are not calls, by (project, key): through them a call is found
            that stands in a chain in another call
    """
    listed = sorted(calls, key=_key)
    below = _below(listed, parents or {})
    views = _Views(listed)
    for first, second in _pairs(listed, below):
        views.join(first, second)
    aggregates = _join_upwards(listed, below, views)
    return {
        _key(call): wanted
        for call, wanted in _verdicts(listed, below, views, aggregates)
        if call.duplicate_of != wanted
    }


def _key(call: Call) -> Key:
    return call.project, call.key


def _below(calls: list[Call], parents: Mapping[Key, str]) -> Mapping[Key, list[Call]]:
    """Return the calls of the same kind below each call, however deep."""
    by_key = {_key(call): call for call in calls}
    above = dict(parents) | {key: call.parent_key for key, call in by_key.items()}
    below: Mapping[Key, list[Call]] = defaultdict(list)
    for key, call in by_key.items():
        for upper in _way_up(key, above):
            if upper in by_key and by_key[upper].kind == call.kind:
                below[upper].append(call)
    return below


def _way_up(key: Key, above: Mapping[Key, str]) -> Iterator[Key]:
    seen = {key}
    while key in above:
        key = (key[0], above[key])
        if key in seen:
            return
        seen.add(key)
        yield key


def _join_upwards(calls: list[Call], below: Mapping[Key, list[Call]], views: _Views) -> set[Key]:
    """Join a call with the one call below it; return those that stand above several and sum them up.

    One that has an answer of its own, which none of several below it has, is a call of its own.
    """
    aggregates: set[Key] = set()
    for call in sorted(
        (each for each in calls if below.get(_key(each))), key=lambda each: len(below[_key(each)])
    ):
        lower = [each for each in below[_key(call)] if _key(each) not in aggregates]
        if len({views.of(each) for each in lower}) == 1:
            views.join(call, lower[0])
        elif any(_sums_up(call, each, views) for each in lower):
            aggregates.add(_key(call))
    return aggregates


def _sums_up(call: Call, lower: Call, views: _Views) -> bool:
    return not call.response_id or call.response_id == views.response(lower)


def _verdicts(
    calls: list[Call], below: Mapping[Key, list[Call]], views: _Views, aggregates: set[Key]
) -> Iterator[tuple[Call, str]]:
    """Yield each call with what its `duplicate_of` should be."""
    members: Mapping[Key, list[Call]] = defaultdict(list)
    for call in calls:
        if _key(call) not in aggregates:
            members[views.of(call)].append(call)
    billable = {view: _billable(same) for view, same in members.items()}
    for view, same in members.items():
        yield from ((call, "" if call is billable[view] else billable[view].key) for call in same)
    for call in calls:
        if _key(call) in aggregates:
            summed = {views.of(each) for each in below[_key(call)] if _sums_up(call, each, views)}
            target = min({view for view in summed if view in billable}, default=None)
            yield call, billable[target].key if target else ""


def _billable(same: list[Call]) -> Call:
    """Return the richest row; where rows disagree on tokens, the richest of those that have the wire's."""
    wire = [call for call in same if call.is_wire and call.output_tokens is not None]
    said = {(call.input_tokens, call.output_tokens) for call in same if call.output_tokens is not None}
    return max(
        wire if wire and len(said) > 1 else same,
        key=lambda call: (call.known_values, call.is_stream_end, call.start_ns, call.key),
    )


def _pairs(calls: list[Call], below: Mapping[Key, list[Call]]) -> Iterator[tuple[Call, Call]]:
    """Yield pairs of rows that are views of one call, whatever stands above or below them."""
    by_response: Mapping[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        if call.response_id:
            by_response[(call.project, call.response_id)].append(call)
        for lower in below.get(_key(call), ()):
            if call.response_id and call.response_id == lower.response_id:
                yield call, lower
    for same in by_response.values():
        yield from _two_views(same)
    # By tokens too, which views must have in common: thousands of calls may run at a time.
    alike: Mapping[tuple[object, ...], list[Call]] = defaultdict(list)
    for call in calls:
        alike[(call.project, call.kind, call.input_tokens, call.output_tokens)].append(call)
    for same in alike.values():
        yield from _without_response(same)
    yield from _stream_ends(calls)


def _two_views(same: list[Call]) -> Iterator[tuple[Call, Call]]:
    """Yield pairs of calls with one response id that are one call seen twice.

    The same instrumentation does not report a call twice, and two views of a call overlap in time: without
    that, a cached answer replayed later would pass for the call that first got it.
    """
    by_start = sorted(same, key=lambda call: call.start_ns)
    for index, first in enumerate(by_start):
        for later in range(index + 1, len(by_start)):
            second = by_start[later]
            if second.start_ns > first.end_ns:
                break
            if first.scope_name != second.scope_name:
                yield first, second


def _without_response(same: list[Call]) -> Iterator[tuple[Call, Call]]:
    """Yield pairs of an outer and an inner view of a call of which one has no response id, such as a failed one.

    They are told by what both say: one happens during the other, and model, tokens and text are the same.
    An inner view has one outer view of an instrumentation at most, the one that began last.
    """
    if len({call.scope_name for call in same}) < 2:
        return
    running: list[Call] = []
    taken: set[tuple[str, str]] = set()
    for inner in sorted(same, key=lambda call: (call.start_ns, -call.end_ns, call.key)):
        running = [outer for outer in running if outer.end_ns >= inner.start_ns]
        matching = [
            outer
            for outer in running
            if (outer.key, inner.scope_name) not in taken and _look_the_same(outer, inner)
        ]
        if matching:
            taken.add((matching[-1].key, inner.scope_name))
            yield matching[-1], inner
        running.append(inner)


def _look_the_same(outer: Call, inner: Call) -> bool:
    return (
        outer.scope_name != inner.scope_name
        and not (outer.response_id and inner.response_id)
        and outer.end_ns >= inner.end_ns
        and _same_model(outer.model, inner.model)
        and (outer.input_tokens, outer.output_tokens) == (inner.input_tokens, inner.output_tokens)
        and (not outer.text_hash or not inner.text_hash or outer.text_hash == inner.text_hash)
    )


def _same_model(one: str, other: str) -> bool:
    """Tell whether two names are one model: the same name, or that and its dated or latest version.

    Not claude-sonnet-4 and claude-sonnet-4-5: what follows must be a date or the number of a snapshot.
    """
    short, long = sorted((one, other), key=len)
    return bool(short) and (one == other or _undated(short) == _undated(long))


def _undated(model: str) -> str:
    return _SNAPSHOT.sub("", model)


def _stream_ends(calls: list[Call]) -> Iterator[tuple[Call, Call]]:
    """Yield pairs of a Logfire stream's request and the span that says, when the stream has ended, how it went."""
    alike: Mapping[tuple[object, ...], list[Call]] = defaultdict(list)
    for call in calls:
        if call.scope_name.startswith("logfire") and not call.response_id:
            parent = "" if call.parent_key.endswith(":") else call.parent_key
            alike[(call.project, call.kind, call.scope_name, parent, call.text_hash)].append(call)
    for same in alike.values():
        waiting: list[Call] = []
        for call in sorted(same, key=lambda each: (each.end_ns, each.key)):
            if not call.is_stream_end:
                waiting.append(call)
            elif waiting:
                yield waiting.pop(), call
