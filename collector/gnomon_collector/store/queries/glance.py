"""What the Overview says beside traffic and latency: speed, caches, quality, satisfaction, alerts, drift, changes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gnomon_collector.store import drift_results
from gnomon_collector.store.alerts import AlertRecords
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries import usage
from gnomon_collector.store.queries.cells import as_float, as_int, as_time
from gnomon_collector.store.queries.filters import Scope, Window, scope_conditions
from gnomon_collector.store.queries.usage import Totals

_LOOK_BACK: Final = timedelta(days=1)
_MOST_MARKERS: Final = 12
_LATE_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Glance:
    """Figures of a window, and some of the window before.

    Attributes:
        good, rated: ratings by users, and how many of them are 0.5 or more.
        judged: mean of the most frequent judge's score (weighted by 1 / inclusion probability), its name, number.
        firing: alerts that fire now; `drifting`: drift alarms in the window.
    """

    now: Totals
    before: Totals
    good: int
    rated: int
    judge: str
    judge_mean: float | None
    judge_count: int
    cache_hits: int
    cache_lookups: int
    firing: int
    drifting: int


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that changed: a release or a prompt version was first seen."""

    time: datetime
    text: str


def glance(store: Store, scope: Scope, window: Window) -> Glance:
    """Return what the tiles of the Overview show."""
    good, rated, judge, mean, count = _scores(store, scope, window)
    hits, lookups = _lookups(store, scope, window)
    instances = AlertRecords(store).instances(scope.project)
    return Glance(
        now=_totals(store, scope, window),
        before=_totals(store, scope, window.previous) if _was_in_use(store, scope, window) else Totals(),
        good=good,
        rated=rated,
        judge=judge,
        judge_mean=mean,
        judge_count=count,
        cache_hits=hits,
        cache_lookups=lookups,
        firing=sum(one.is_firing for one in instances),
        drifting=len(drift_results.alarms(store, scope.project, window.start, window.end)),
    )


def markers(store: Store, scope: Scope, window: Window) -> list[Marker]:
    """Return releases and prompt versions first seen in a window, oldest first, at most twelve.

    A service or prompt that is new as a whole is no change: there must have been an earlier one of its own.
    """
    conditions, parameters = scope_conditions(Scope(scope.project, scope.services, scope.environments))
    where = " AND ".join(conditions)
    rows = store.query(
        f"""
        SELECT what, owner, value, first_seen FROM (
            SELECT 'release' AS what, service_name AS owner, release AS value, min(start_time) AS first_seen
            FROM calls
            WHERE {where} AND start_time >= {{since:DateTime64(9)}} AND start_time < {{end:DateTime64(9)}} AND release != ''
            GROUP BY owner, value
            UNION ALL
            SELECT 'prompt', prompt_name, prompt_version, toDateTime64(min(time), 9, 'UTC')
            FROM {window.table} FINAL
            WHERE {where} AND calls > 0 AND time >= {{since:DateTime64(9)}} AND time < {{end:DateTime64(9)}} AND prompt_version != ''
            GROUP BY prompt_name, prompt_version
        )
        ORDER BY first_seen
        LIMIT 1000
        """,  # noqa: S608 (tables and conditions are constants, values are bound)
        parameters | {"since": window.start - _LOOK_BACK, "end": window.end},
    ).rows
    known: set[tuple[str, str]] = set()
    found = []
    for what, owner, value, first_seen in rows:
        key = (str(what), str(owner))
        time = as_time(first_seen)
        if key in known and time >= window.start:
            found.append(Marker(time, f"{owner} {value}"))
        known.add(key)
    return _joined(found, window)[-_MOST_MARKERS:]


def _joined(found: list[Marker], window: Window) -> list[Marker]:
    """What changed at the same step of time shares a line."""
    joined: list[Marker] = []
    for marker in found:
        if joined and (marker.time - joined[-1].time).total_seconds() <= window.step_s:
            joined[-1] = Marker(joined[-1].time, f"{joined[-1].text}, {marker.text}")
        else:
            joined.append(marker)
    return joined


def _was_in_use(store: Store, scope: Scope, window: Window) -> bool:
    """Whether the project had calls through most of the window before: else a comparison would mislead."""
    rows = store.query(
        "SELECT min(time), count() FROM calls_per_hour WHERE project = {project:String} AND calls > 0",
        {"project": scope.project},
    ).rows
    late = window.previous.start + (window.previous.end - window.previous.start) * _LATE_SHARE
    return bool(rows[0][1]) and as_time(rows[0][0]) <= late


def _totals(store: Store, scope: Scope, window: Window) -> Totals:
    groups = usage.by_label(store, scope, window, "kind", limit=100)
    return usage.added([group.totals for group in groups])


def _scores(store: Store, scope: Scope, window: Window) -> tuple[int, int, str, float | None, int]:
    rows = store.query(
        """
        SELECT source = 'user' AS by_user, name, countIf(value >= 0.5), count(),
            sum(value / ifNull(inclusion_probability, 1)) / sum(1 / ifNull(inclusion_probability, 1))
        FROM scores FINAL
        WHERE project = {project:String} AND source IN ('user', 'judge') AND value IS NOT NULL
            AND created_at >= {start:DateTime64(9)} AND created_at < {end:DateTime64(9)}
        GROUP BY by_user, name
        ORDER BY count() DESC, name
        """,
        {"project": scope.project, "start": window.start, "end": window.end},
    ).rows
    by_user = [row for row in rows if row[0]]
    judge = next((row for row in rows if not row[0]), None)
    good, rated = (sum(as_int(row[at]) for row in by_user) for at in (2, 3))
    if judge is None:
        return good, rated, "", None, 0
    return good, rated, str(judge[1]), as_float(judge[4]), as_int(judge[3])


def _lookups(store: Store, scope: Scope, window: Window) -> tuple[int, int]:
    conditions, parameters = scope_conditions(Scope(scope.project, scope.services, scope.environments))
    rows = store.query(
        f"""
        SELECT countIf(cache_status IN ('hit', 'semantic_hit')), count()
        FROM spans
        WHERE {" AND ".join(conditions)} AND cache_status != ''
            AND start_time >= {{start:DateTime64(9)}} AND start_time < {{end:DateTime64(9)}}
        """,  # noqa: S608 (as above)
        parameters | {"start": window.start, "end": window.end},
    ).rows
    return as_int(rows[0][0]), as_int(rows[0][1])
