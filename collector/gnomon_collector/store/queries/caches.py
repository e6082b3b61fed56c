"""The service's own caches (`cache_status` of spans): hits over time, what they saved, how good their answers are."""

from dataclasses import dataclass, replace
from datetime import datetime

from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_float, as_int, as_time, optional_float
from gnomon_collector.store.queries.filters import Parameters, Scope, Window, scope_conditions
from gnomon_collector.store.queries.trace_columns import IS_CALL

HITS = ("hit", "semantic_hit")


@dataclass(frozen=True, slots=True)
class CacheLookups:
    """Look-ups that ended with one status (hit, semantic_hit, miss) in one bucket of time."""

    time: datetime
    status: str
    lookups: int


@dataclass(frozen=True, slots=True)
class CacheOutcome:
    """Whole requests by how their cache answered.

    Attributes:
        mean_ms: mean duration of the request; mean_cost_usd: mean cost of its model calls, 0 where none was made.
    """

    status: str
    requests: int
    mean_ms: float
    p95_ms: float
    mean_cost_usd: float


@dataclass(frozen=True, slots=True)
class CacheQuality:
    """Mean of a score over requests with one cache status."""

    name: str
    status: str
    scores: int
    mean: float | None
    bad: int


@dataclass(frozen=True, slots=True)
class Similarity:
    """Look-ups whose nearest stored question had a similarity in [`low`, `low` + 0.02)."""

    low: float
    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class Saving:
    """What hits saved beside a miss: time and money of the requests that were answered from the cache."""

    hits: int
    lookups: int
    saved_ms: float
    saved_usd: float

    @property
    def hit_ratio(self) -> float | None:
        return self.hits / self.lookups if self.lookups else None


def lookups(store: Store, scope: Scope, window: Window) -> list[CacheLookups]:
    """Return look-ups per bucket and status, in order of time."""
    where, parameters = _where(scope, window)
    rows = store.query(
        f"""
        SELECT toStartOfInterval(start_time, toIntervalSecond({{step:UInt32}}), 'UTC') AS bucket, cache_status, count()
        FROM spans
        WHERE {where} AND cache_status != ''
        GROUP BY bucket, cache_status
        ORDER BY bucket, cache_status
        """,  # noqa: S608 (conditions are constants, values are bound)
        parameters | {"step": window.step_s},
    ).rows
    return [CacheLookups(as_time(time), str(status), as_int(n)) for time, status, n in rows]


def outcomes(store: Store, scope: Scope, window: Window) -> list[CacheOutcome]:
    """Return requests (traces) by how their cache answered, most frequent first."""
    where, parameters = _where(scope, window)
    rows = store.query(
        f"""
        SELECT status, count() AS requests, avg(ms), quantile(0.95)(ms), avg(cost)
        FROM (
            SELECT trace_id, argMinIf(cache_status, start_time, cache_status != '') AS status,
                (max(toUnixTimestamp64Nano(start_time) + toInt64(duration_ns)) - min(toUnixTimestamp64Nano(start_time))) / 1e6 AS ms,
                sumIf(ifNull(cost_usd, 0), {IS_CALL}) AS cost
            FROM spans
            WHERE project = {{project:String}} AND start_time >= {{start:DateTime64(9)}} AND start_time < {{end:DateTime64(9)}}
                AND trace_id IN (SELECT trace_id FROM spans WHERE {where} AND cache_status != '')
            GROUP BY trace_id
        )
        GROUP BY status
        ORDER BY requests DESC, status
        """,  # noqa: S608 (as above)
        parameters,
    ).rows
    return [CacheOutcome(str(row[0]), as_int(row[1]), *(as_float(cell) for cell in row[2:])) for row in rows]


def quality(store: Store, scope: Scope, window: Window) -> list[CacheQuality]:
    """Return scores of requests by cache status: a cache that answers wrongly shows in its hits' scores."""
    where, parameters = _where(scope, window)
    rows = store.query(
        f"""
        SELECT judged.name, found.status, count() AS n, avg(judged.value), countIf(judged.value < 0.5)
        FROM (
            SELECT trace_id, name, value FROM scores FINAL
            WHERE project = {{project:String}} AND value IS NOT NULL AND trace_id != ''
                AND created_at >= {{start:DateTime64(9)}}
        ) AS judged
        INNER JOIN (
            SELECT trace_id, argMin(cache_status, start_time) AS status
            FROM spans
            WHERE {where} AND cache_status != ''
            GROUP BY trace_id
        ) AS found ON judged.trace_id = found.trace_id
        GROUP BY judged.name, found.status
        ORDER BY judged.name, found.status
        """,  # noqa: S608 (as above)
        parameters,
    ).rows
    return [
        CacheQuality(str(row[0]), str(row[1]), as_int(row[2]), optional_float(row[3]), as_int(row[4]))
        for row in rows
    ]


def shadowed(store: Store, scope: Scope, window: Window) -> dict[str, CacheQuality]:
    """Return what shadow calls found, by score: `cache_hit_right` and `cache_recall` (gnomon.Shadow)."""
    rows = store.query(
        """
        SELECT name, count(), sum(value / ifNull(inclusion_probability, 1)) / sum(1 / ifNull(inclusion_probability, 1)),
            countIf(value < 0.5)
        FROM scores FINAL
        WHERE project = {project:String} AND name IN ('cache_hit_right', 'cache_recall') AND value IS NOT NULL
            AND created_at >= {start:DateTime64(9)} AND created_at < {end:DateTime64(9)}
        GROUP BY name
        """,
        {"project": scope.project, "start": window.start, "end": window.end},
    ).rows
    return {
        str(name): CacheQuality(str(name), "", as_int(n), optional_float(mean), as_int(bad))
        for name, n, mean, bad in rows
    }


def similarities(store: Store, scope: Scope, window: Window) -> list[Similarity]:
    """Return look-ups by the similarity of what they found, in steps of 0.02."""
    where, parameters = _where(scope, window)
    rows = store.query(
        f"""
        SELECT floor(cache_similarity / 0.02) * 0.02 AS low, countIf(cache_status != 'miss'), countIf(cache_status = 'miss')
        FROM spans
        WHERE {where} AND cache_status != '' AND cache_similarity IS NOT NULL
        GROUP BY low
        ORDER BY low
        """,  # noqa: S608 (as above)
        parameters,
    ).rows
    return [Similarity(as_float(low), as_int(hits), as_int(misses)) for low, hits, misses in rows]


def saving(found: list[CacheOutcome]) -> Saving:
    """Return what hits saved: for each, the mean of a miss less the mean of a hit of its kind."""
    misses = next((one for one in found if one.status == "miss"), None)
    hits = [one for one in found if one.status in HITS]
    saved_ms = sum(one.requests * (misses.mean_ms - one.mean_ms) for one in hits) if misses else 0.0
    saved_usd = (
        sum(one.requests * (misses.mean_cost_usd - one.mean_cost_usd) for one in hits) if misses else 0.0
    )
    return Saving(sum(one.requests for one in hits), sum(one.requests for one in found), saved_ms, saved_usd)


def _where(scope: Scope, window: Window) -> tuple[str, Parameters]:
    """Conditions on spans of any kind; a look-up has no model, so a filter by model does not apply."""
    conditions, parameters = scope_conditions(replace(scope, models=()))
    conditions += ["start_time >= {start:DateTime64(9)}", "start_time < {end:DateTime64(9)}"]
    return " AND ".join(conditions), parameters | {"start": window.start, "end": window.end}
