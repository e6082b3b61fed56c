"""Marking the calls that are reported twice: which are looked at together, and setting `duplicate_of`.

Which of them are one call is decided in `gnomon_collector.store.duplicates`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from gnomon_collector.store.duplicates import Call, changed_duplicates
from gnomon_collector.store.engine import Store
from gnomon_collector.store.ingest import (
    RECEIVED_WITH,
    Batch,
    BatchReport,
    Minutes,
    received_between,
    with_neighbours,
)

MAX_CALL_S: Final = 1800
"""Two views of a call are found as long as it takes no longer than this."""

_MINUTE: Final = timedelta(minutes=1)
_LONG_CALL_S: Final = 60
_MOST_LONG_CALLS: Final = 10_000
_KEYS_PER_UPDATE: Final = 2000
_CALLS_PER_QUERY: Final = 20_000
# The calls of two steps from the batch may have to change, and two more tell what they become. Fewer would compare
# a call with some of those that report it, and take the mark off what another batch marked.
_STEPS_THAT_CHANGE: Final = 2
_STEPS: Final = 4
_MINUTE_NS: Final = 60 * 10**9
_IS_CALL: Final = "kind IN ('generation', 'embedding')"

_SCOPES: Final = f"""
SELECT project, groupUniqArray(2)(scope_name)
FROM spans
WHERE project IN {{projects:Array(String)}} AND {_IS_CALL}
GROUP BY project
"""  # noqa: S608  (SQL of this module)

_LONG_CALLS: Final = f"""
SELECT toUnixTimestamp64Nano(start_time) AS start_ns, start_ns + duration_ns AS end_ns,
    {RECEIVED_WITH} AS is_of_batch
FROM spans
WHERE project IN {{projects:Array(String)}} AND {_IS_CALL} AND duration_ns >= {_LONG_CALL_S} * 1000000000
    AND start_time BETWEEN {{earliest:DateTime('UTC')}} AND {{latest:DateTime('UTC')}}
ORDER BY is_of_batch DESC, duration_ns DESC
LIMIT {_MOST_LONG_CALLS} BY project
"""  # noqa: S608

_AROUND: Final = f"""\
FROM spans
    WHERE project IN {{projects:Array(String)}}
        AND toStartOfMinute(start_time) IN {{minutes:Array(DateTime('UTC'))}} AND {_IS_CALL}"""

_CALL: Final = "cityHash64(project, trace_id, span_id)"
# Two calls of a project with a key in common may be one: the trace, the response, and what both used where one of several
# instrumentations gives no response. Of Logfire's streams see `_stream_ends`.
_KEYS: Final = """[
        ('trace', cityHash64(project, trace_id)),
        ('response', if(response_id = '', 0, cityHash64(project, response_id))),
        ('usage', cityHash64(project, kind, ifNull(input_tokens, 0), ifNull(output_tokens, 0))),
        ('stream', if(response_id = '' AND parent_span_id = '' AND startsWith(scope_name, 'logfire'),
            cityHash64(project, scope_name, input_text), 0))]"""


def _links(start: str) -> str:
    """SQL for the calls that have a key in common, as far as `start`, a condition, is true of one of them."""
    return f"""
SELECT groupArray(call) AS calls
FROM (
    SELECT arrayJoin({_KEYS}) AS key, {_CALL} AS call, {start} AS is_start, response_id, scope_name
    {_AROUND}
)
WHERE key.2 != 0
GROUP BY key
HAVING count() > 1 AND max(is_start)
    AND (key.1 != 'usage' OR countIf(response_id = '') > 0 AND min(scope_name) != max(scope_name))
"""  # noqa: S608


# Of many projects in one batch most have nothing to sort out: one query instead of several for each.
_PROJECTS_TO_MARK: Final = f"""
SELECT DISTINCT project
FROM (
    SELECT project
    FROM (
        SELECT project, arrayJoin({_KEYS}) AS key, {RECEIVED_WITH} AS is_start, response_id, scope_name
        FROM spans
        WHERE project IN {{projects:Array(String)}} AND {_IS_CALL}
            AND toStartOfMinute(start_time) IN {{minutes:Array(DateTime('UTC'))}}
    )
    WHERE key.2 != 0
    GROUP BY project, key
    HAVING count() > 1 AND max(is_start)
        AND (key.1 != 'usage' OR countIf(response_id = '') > 0 AND min(scope_name) != max(scope_name))
    UNION ALL
    SELECT project
    FROM spans
    WHERE project IN {{projects:Array(String)}} AND {_IS_CALL} AND duration_ns >= {_LONG_CALL_S} * 1000000000
        AND start_time BETWEEN {{earliest:DateTime('UTC')}} AND {{latest:DateTime('UTC')}}
)
"""  # noqa: S608

_LINKS_OF_CALLS: Final = _links(f"{_CALL} IN {{calls:Array(UInt64)}}")
_LINKS_OF_BATCH: Final = _links(RECEIVED_WITH)

_CALLS: Final = f"""
SELECT project, trace_id, span_id, parent_span_id, scope_name, response_id,
    toUnixTimestamp64Nano(start_time) AS start_ns, start_ns + duration_ns AS end_ns,
    isNotNull(input_tokens) + isNotNull(output_tokens) + isNotNull(cache_read_tokens)
        + isNotNull(cache_write_tokens) + isNotNull(reasoning_tokens) + (input_text != '')
        + (output_text != '') AS known_values,
    duplicate_of, kind, if(response_model != '', response_model, request_model) AS model,
    input_tokens, output_tokens, if(input_text = '', 0, cityHash64(input_text)) AS text_hash,
    dialect = 'anthropic-native' AS is_wire,
    startsWith(scope_name, 'logfire') AND startsWith(name, 'streaming response from ') AS is_stream_end,
    {_CALL} AS call
{_AROUND} AND {_CALL} IN {{calls:Array(UInt64)}}
"""  # noqa: S608

_SPANS_BETWEEN: Final = f"""
SELECT project, concat(trace_id, ':', span_id), concat(trace_id, ':', parent_span_id)
FROM spans
WHERE project IN {{projects:Array(String)}}
    AND toStartOfMinute(start_time) IN {{minutes:Array(DateTime('UTC'))}} AND NOT {_IS_CALL} AND parent_span_id != '' AND trace_id IN {{traces:Array(String)}}
"""  # noqa: S608

_SET_DUPLICATES: Final = """
UPDATE spans
SET duplicate_of = transform(concat(project, ' ', trace_id, ':', span_id),
    {keys:Array(String)}, {winners:Array(String)}, duplicate_of)
WHERE project IN {projects:Array(String)} AND toStartOfMinute(start_time) IN {minutes:Array(DateTime('UTC'))}
    AND concat(project, ' ', trace_id, ':', span_id) IN {keys:Array(String)}
"""
_UPDATE_SETTINGS: Final[Mapping[str, object]] = {"enable_lightweight_update": 1}


class CallScopes:
    """Knows which projects have calls of more than one instrumentation, whenever those came.

    Not only of the minutes of a batch: the other view of a long call may have started long before.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._scopes: dict[str, set[str]] = {}

    def seen_twice(self, report: BatchReport) -> list[str]:
        """Return the projects of a batch whose calls may be reported twice."""
        self._learn([project for project in report.call_scopes if project not in self._scopes])
        return [
            project
            for project, scopes in report.call_scopes.items()
            if self._has_several(project, scopes) or project in report.nesting_projects
        ]

    def _learn(self, projects: Sequence[str]) -> None:
        rows = self._store.query(_SCOPES, {"projects": list(projects)}).rows if projects else []
        self._scopes |= {project: set() for project in projects}
        self._scopes |= {str(project): set(cast("list[str]", scopes)) for project, scopes in rows}

    def _has_several(self, project: str, scopes: frozenset[str]) -> bool:
        known = self._scopes[project]
        if len(known) < 2:
            known |= scopes
        return len(known) > 1


@dataclass(frozen=True)
class _LongCall:
    start_ns: int
    end_ns: int
    is_of_batch: bool

    def minutes(self) -> list[datetime]:
        return [_minute(time_ns) for time_ns in range(self.start_ns, self.end_ns + _MINUTE_NS, _MINUTE_NS)]


def projects_to_mark(store: Store, batch: Batch, projects: Sequence[str]) -> list[str]:
    """Return those of some projects in which a call of the batch may be related to another."""
    if len(projects) < 2:
        return list(projects)
    parameters = {
        "projects": list(projects),
        "minutes": with_neighbours(batch.minutes),
        **_reach(batch),
        **received_between(batch),
    }
    return [str(project) for (project,) in store.query(_PROJECTS_TO_MARK, parameters).rows]


def _reach(batch: Batch) -> dict[str, object]:
    return {
        "earliest": min(batch.minutes) - timedelta(seconds=MAX_CALL_S),
        "latest": max(batch.minutes) + _MINUTE,
    }


def mark_duplicates(store: Store, batch: Batch, projects: Sequence[str]) -> set[tuple[str, datetime]]:
    """Set `duplicate_of` on the calls of some projects that a batch made, or that made the batch's, duplicates.

    Returns:
        Project and minute (UTC) of all the calls looked at, some of which may not be the batch's own. Not only of those
        that changed: a run that was cut off may have changed them already.
    """
    if not projects:
        return set()
    minutes = _minutes_to_look_at(store, batch, projects)
    steps = _steps_from_batch(store, batch, projects, minutes)
    rows = _rows(store, projects, minutes, steps)
    calls = [_call(row) for row in rows]
    may_change = {
        (call.project, call.key)
        for call, row in zip(calls, rows, strict=True)
        if steps[cast(int, row[-1])] <= _STEPS_THAT_CHANGE
    }
    parents = _parents_between(store, projects, minutes, calls)
    changed = sorted(
        (" ".join(key), winner)
        for key, winner in changed_duplicates(calls, parents).items()
        if key in may_change
    )
    scope: dict[str, object] = {"projects": list(projects), "minutes": minutes}
    for start in range(0, len(changed), _KEYS_PER_UPDATE):
        chunk = changed[start : start + _KEYS_PER_UPDATE]
        keys = {"keys": [key for key, _ in chunk], "winners": [winner for _, winner in chunk]}
        store.command(_SET_DUPLICATES, {**scope, **keys}, settings=_UPDATE_SETTINGS)
    return {(call.project, _minute(call.start_ns)) for call in calls}


def _steps_from_batch(
    store: Store, batch: Batch, projects: Sequence[str], minutes: Sequence[datetime]
) -> dict[int, int]:
    """Return the calls that may be related to those of a batch, and over how many others: `_STEPS` at most.

    Those of the batch are one step away themselves, which does no harm.
    """
    scope: dict[str, object] = {"projects": list(projects), "minutes": list(minutes)}
    links = store.query(_LINKS_OF_BATCH, {**scope, **received_between(batch)}).rows
    steps: dict[int, int] = {}
    for step in range(1, _STEPS + 1):
        new = sorted({call for (calls,) in links for call in cast("list[int]", calls)} - steps.keys())
        steps |= dict.fromkeys(new, step)
        chunks = [new[start : start + _CALLS_PER_QUERY] for start in range(0, len(new), _CALLS_PER_QUERY)]
        links = [
            row for chunk in chunks for row in store.query(_LINKS_OF_CALLS, {**scope, "calls": chunk}).rows
        ]
    return steps


def _rows(
    store: Store, projects: Sequence[str], minutes: Sequence[datetime], calls: Collection[int]
) -> list[tuple[object, ...]]:
    listed = sorted(calls)
    scope: dict[str, object] = {"projects": list(projects), "minutes": list(minutes)}
    found: list[tuple[object, ...]] = []
    for start in range(0, len(listed), _CALLS_PER_QUERY):
        chunk = listed[start : start + _CALLS_PER_QUERY]
        found += store.query(_CALLS, {**scope, "calls": chunk}).rows
    return found


def _minutes_to_look_at(store: Store, batch: Batch, projects: Sequence[str]) -> list[datetime]:
    """Return the batch's minutes, their neighbours, and what long calls reach from there or into there."""
    parameters = {"projects": list(projects), **_reach(batch), **received_between(batch)}
    found = [_long_call(row) for row in store.query(_LONG_CALLS, parameters).rows]
    own = set(batch.minutes)
    reached: set[datetime] = set()
    for call in found:
        minutes = call.minutes()
        if call.is_of_batch:
            reached.update(minutes)
        elif not own.isdisjoint(minutes):
            reached.add(minutes[0])
    return sorted({*with_neighbours(batch.minutes), *with_neighbours(reached)})


def _long_call(row: Sequence[object]) -> _LongCall:
    start_ns, end_ns, is_of_batch = cast("tuple[int, int, int]", tuple(row))
    return _LongCall(start_ns, min(end_ns, start_ns + MAX_CALL_S * 10**9), bool(is_of_batch))


def _parents_between(
    store: Store, projects: Sequence[str], minutes: Minutes, calls: Sequence[Call]
) -> dict[tuple[str, str], str]:
    """Return the parents of the spans that are not calls, in traces of several calls."""
    traces = Counter(call.key.partition(":")[0] for call in calls)
    several = sorted(trace for trace, count in traces.items() if count > 1)
    if not several:
        return {}
    parameters: dict[str, object] = {"projects": list(projects), "minutes": minutes, "traces": several}
    rows = store.query(_SPANS_BETWEEN, parameters).rows
    return {(str(owner), str(key)): str(parent) for owner, key, parent in rows}


def _call(row: Sequence[object]) -> Call:
    project, trace_id, span_id, parent_id, scope, response_id, start_ns, end_ns, known, duplicate_of = row[
        :10
    ]
    kind, model, input_tokens, output_tokens, text_hash, is_wire, is_stream_end, _ = row[10:]
    return Call(
        project=str(project),
        key=f"{trace_id}:{span_id}",
        parent_key=f"{trace_id}:{parent_id}",
        scope_name=str(scope),
        response_id=str(response_id),
        start_ns=cast(int, start_ns),
        end_ns=cast(int, end_ns),
        known_values=cast(int, known),
        duplicate_of=str(duplicate_of),
        kind=str(kind),
        model=str(model),
        input_tokens=cast("int | None", input_tokens),
        output_tokens=cast("int | None", output_tokens),
        text_hash=cast(int, text_hash),
        is_wire=bool(is_wire),
        is_stream_end=bool(is_stream_end),
    )


def _minute(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // _MINUTE_NS * 60, UTC)
