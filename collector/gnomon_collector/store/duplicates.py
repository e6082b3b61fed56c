"""Which rows report the same model call twice, and which of them counts.

Two instrumentations of one service often see the same call: a framework's and the client library's, or the
library's own spans beside a wrapper's. Everything here is pure; `gnomon_collector.store.ingest` reads the
calls and writes `duplicate_of`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """A row of `spans` of kind generation or embedding, as far as telling duplicates needs it.

    Attributes:
        key: ``trace_id:span_id``
        parent_key: ``trace_id:parent_span_id``
        start_ns, end_ns: nanoseconds since 1970
        known_values: how many of its token counts and texts are filled: the richest row counts
        duplicate_of: what the row says now
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


def changed_duplicates(calls: Iterable[Call]) -> dict[tuple[str, str], str]:
    """Return what `duplicate_of` has to become, by (project, key), for the rows where it is something else.

    The answer depends on the set of calls alone, not on their order.
    """
    listed = sorted(calls, key=lambda call: (call.project, call.key))
    return {
        (call.project, call.key): wanted
        for group in _families(listed)
        for call, wanted in _verdicts(group)
        if call.duplicate_of != wanted
    }


def _verdicts(family: list[Call]) -> Iterable[tuple[Call, str]]:
    """Yield each call of a family with what its `duplicate_of` should be.

    A family with several response ids is several calls under one that sums them up; whoever has no id of its
    own is then an aggregate, never billable.
    """
    by_response: Mapping[str, list[Call]] = defaultdict(list)
    for call in family:
        by_response[call.response_id].append(call)
    responses = sorted(response for response in by_response if response)
    if len(responses) < 2:
        billable = _richest(family)
        yield from ((call, "" if call is billable else billable.key) for call in family)
        return
    for response in responses:
        billable = _richest(by_response[response])
        yield from ((call, "" if call is billable else billable.key) for call in by_response[response])
    first = _richest(by_response[responses[0]])
    yield from ((call, first.key) for call in by_response[""])


def _richest(calls: Iterable[Call]) -> Call:
    return max(calls, key=lambda call: (call.known_values, call.start_ns, call.key))


def _families(calls: list[Call]) -> list[list[Call]]:
    """Cut `calls` into groups that report one call each, or calls and an aggregate of them."""
    leader = {id(call): call for call in calls}

    def find(call: Call) -> Call:
        while leader[id(call)] is not call:
            call = leader[id(call)]
        return call

    for first, second in _pairs(calls):
        leader[id(find(second))] = find(first)
    groups: Mapping[int, list[Call]] = defaultdict(list)
    for call in calls:
        groups[id(find(call))].append(call)
    return list(groups.values())


def _pairs(calls: list[Call]) -> Iterable[tuple[Call, Call]]:
    by_key = {(call.project, call.key): call for call in calls}
    by_response: Mapping[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        parent = by_key.get((call.project, call.parent_key))
        if parent is not None:
            yield parent, call
        if call.response_id:
            by_response[(call.project, call.response_id)].append(call)
    for same in by_response.values():
        yield from _two_views(same)


def _two_views(same: list[Call]) -> Iterable[tuple[Call, Call]]:
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
