"""The rollup ``drift_features``: which hours are out of date, and computing them anew.

The version of a row is the version of the rollup of calls that its hour had just before. So an hour is out of
date when its calls were rolled up again since (late spans, duplicates found), and computing it twice does no
harm: nothing has to be remembered between runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from gnomon_collector.store.drift_catalogue import MOST_CATEGORIES, OTHER, Feature, Source, features_of
from gnomon_collector.store.engine import Store
from gnomon_collector.store.queries.cells import as_int, as_time
from gnomon_schemas.sqltext import quoted, strings

SOURCES: Final[tuple[Source, ...]] = ("calls", "retrieval", "cache")
HOURS_PER_STATEMENT: Final = 24

_LABELS: Final = "service_name, model, prompt_name, prompt_version"
ROWS: Final[Mapping[Source, str]] = {
    "calls": "SELECT * EXCEPT (model), if(request_model != '', request_model, response_model) AS asked_model,"
    " asked_model AS model FROM calls WHERE kind = 'generation' AND",
    "retrieval": "SELECT *, '' AS model FROM spans WHERE kind = 'retrieval' AND",
    "cache": "SELECT *, '' AS model FROM spans WHERE cache_status != '' AND duplicate_of = '' AND",
}
_STALE: Final = """
SELECT rolled.time, rolled.version
FROM (
    SELECT time, max(version) AS version FROM calls_per_hour
    WHERE project = {project:String} AND time >= {since:DateTime} AND time < {until:DateTime}
    GROUP BY time
) AS rolled
LEFT JOIN (
    SELECT time, max(version) AS version FROM drift_features
    WHERE project = {project:String} AND feature = 'error' AND time >= {since:DateTime} AND time < {until:DateTime}
    GROUP BY time
) AS counted ON rolled.time = counted.time
WHERE rolled.version > counted.version
ORDER BY rolled.time
"""


def stale_hours(store: Store, project: str, since: datetime, until: datetime) -> list[tuple[datetime, int]]:
    """Return the hours of ``[since, until)`` (UTC) to compute anew, each with the version of its rollup."""
    rows = store.query(_STALE, {"project": project, "since": since, "until": until}).rows
    return [(as_time(time), as_int(version)) for time, version in rows]


def refresh(
    store: Store, project: str, since: datetime, until: datetime, *, most_hours: int | None = None
) -> int:
    """Compute the hours of ``[since, until)`` (UTC) that are out of date, the oldest first.

    Args:
        most_hours: how many to compute at most; None for all.

    Returns:
        how many are still out of date.
    """
    stale = stale_hours(store, project, since, until)
    due = stale[:most_hours]
    for at in range(0, len(due), HOURS_PER_STATEMENT):
        _recompute(store, project, due[at : at + HOURS_PER_STATEMENT])
    return len(stale) - len(due)


def rolled_up_s(store: Store, project: str, before: datetime) -> float:
    """Return when (seconds since 1970) calls from before a time (UTC) were last rolled up; 0 for never."""
    rows = store.query(
        "SELECT max(version) FROM calls_per_hour WHERE project = {project:String} AND time < {before:DateTime}",
        {"project": project, "before": before},
    ).rows
    return as_int(rows[0][0]) / 1e9 if rows else 0.0


def _recompute(store: Store, project: str, hours: Sequence[tuple[datetime, int]]) -> None:
    """Calls come last: an hour counts as done once its feature ``error`` is there."""
    times = [time for time, _ in hours]
    parameters = {
        "project": project,
        "hours": times,
        "versions": [version for _, version in hours],
        "start": _nanoseconds(min(times)),
        "end": _nanoseconds(max(times) + timedelta(hours=1)),
    }
    for source in reversed(SOURCES):
        store.command(refresh_sql(source), parameters)


def _nanoseconds(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp()) * 10**9


def refresh_sql(source: Source) -> str:
    """Return the statement that computes the features of one source for some hours of one project.

    Parameters: project, hours, versions (of the same length), start and end (nanoseconds since 1970) around
    the hours.
    """
    items = ", ".join(_item(feature) for feature in features_of(source))
    names = strings(feature.name for feature in features_of(source))
    # A feature whose rows are gone (its calls were duplicates) is written once more, empty.
    return f"""
INSERT INTO drift_features (project, time, feature, {_LABELS}, buckets, categories, version)
SELECT {{project:String}}, hour, feature, {_LABELS},
    arrayMap(i -> counts[indexOf(numbers, i)], range(1, arrayMax(numbers) + 1)) AS buckets,
    mapFromArrays(arrayMap(x -> x.1, named), arrayMap(x -> x.2, named)) AS categories,
    {{versions:Array(UInt64)}}[indexOf({{hours:Array(DateTime('UTC'))}}, hour)] AS version
FROM (
    SELECT hour, feature, {_LABELS},
        groupArrayIf(bucket, n > 0 AND bucket > 0) AS numbers,
        groupArrayIf(toUInt32(n), n > 0 AND bucket > 0) AS counts,
        arraySort(x -> (-toInt64(x.2), x.1), groupArrayIf((category, toUInt32(n)), n > 0 AND category != '')) AS ranked,
        arrayConcat(arraySlice(ranked, 1, {MOST_CATEGORIES}), if(length(ranked) <= {MOST_CATEGORIES}, [],
            [({quoted(OTHER)}, toUInt32(arraySum(x -> x.2, arraySlice(ranked, {MOST_CATEGORIES + 1}))))])) AS named
    FROM (
        SELECT toDateTime(toStartOfHour(start_time), 'UTC') AS hour, item.1 AS feature, {_LABELS},
            item.2 AS bucket, item.3 AS category, count() AS n
        FROM (
            {ROWS[source]} project = {{project:String}}
                AND start_time >= fromUnixTimestamp64Nano({{start:Int64}}, 'UTC') AND start_time < fromUnixTimestamp64Nano({{end:Int64}}, 'UTC')
                AND toStartOfHour(start_time) IN {{hours:Array(DateTime('UTC'))}}
        )
        ARRAY JOIN [{items}] AS item
        WHERE item.2 > 0 OR item.3 != ''
        GROUP BY hour, feature, {_LABELS}, bucket, category
        UNION ALL
        SELECT time AS hour, toString(feature), {_LABELS}, toUInt16(0) AS bucket, '' AS category, 0 AS n
        FROM drift_features FINAL
        WHERE project = {{project:String}} AND feature IN ({names}) AND time IN {{hours:Array(DateTime('UTC'))}}
            AND (notEmpty(buckets) OR notEmpty(categories))
    )
    GROUP BY hour, feature, {_LABELS}
)
"""  # noqa: S608  (identifiers and expressions from this package's catalogue)


def _item(feature: Feature) -> str:
    if feature.kind == "number":
        return f"({quoted(feature.name)}, toUInt16({feature.sql}), '')"
    return f"({quoted(feature.name)}, toUInt16(0), toString({feature.sql}))"
