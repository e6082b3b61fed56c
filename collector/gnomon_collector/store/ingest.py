"""Writing spans: insert a batch, and put right what can only be known once it is in.

A batch may be inserted any number of times: `spans` takes each span once (see the views of
`gnomon_schemas.normalise`), and the steps after the insert come to the same result when run again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import cast

from gnomon_collector.store.duplicates import Call, changed_duplicates
from gnomon_collector.store.engine import Store
from gnomon_schemas.dialects import with_trait
from gnomon_schemas.otlp import BATCH_FORMAT, BATCH_TABLE, batch_settings
from gnomon_schemas.prices import COST_USD, PRICE_ARRAY_TYPES, PRICE_ARRAYS, Price, no_price

# Which rows came with the requests of a batch. Not by batch id: a batch that was cut off comes again under
# another id, and then its rows may be there already.
_OF_REQUESTS = (
    "received_at BETWEEN fromUnixTimestamp64Nano({first_received_at_ns:Int64}, 'UTC')"
    " AND fromUnixTimestamp64Nano({last_received_at_ns:Int64}, 'UTC')"
)

_BATCH_REPORT = f"""
SELECT project,
    countIf(batch = {{batch:String}}) AS spans,
    uniqExactIf(scope_name, kind IN ('generation', 'embedding')) AS call_scopes,
    countIf(dialect IN {{nesting:Array(String)}} AND kind IN ('generation', 'embedding')) AS nesting_calls,
    groupUniqArrayIf((provider, model), is_unpriced) AS unpriced
FROM (
    SELECT project, batch, scope_name, dialect, kind, provider,
        if(response_model != '', response_model, request_model) AS model,
        kind IN ('generation', 'embedding') AND price_version = '' AND usage_source != 'none'
            AND {_OF_REQUESTS} AS is_unpriced
    FROM spans
    WHERE project IN {{projects:Array(String)}}
        AND toStartOfMinute(start_time) IN {{minutes:Array(DateTime('UTC'))}}
)
GROUP BY project
"""  # noqa: S608  (SQL of this module)

_CALLS_AROUND = """\
FROM spans
    WHERE project = {project:String} AND toStartOfMinute(start_time) IN {minutes:Array(DateTime('UTC'))}
        AND kind IN ('generation', 'embedding')"""

# What two views of a call have in common when one of them has no response id.
_USED = "(kind, ifNull(input_tokens, 0), ifNull(output_tokens, 0))"

# Two steps out from the batch: a call of the batch, another view of it, and that one's family. One step would
# compare a call with half of those that report it.
_CALLS_SEEN_TWICE = f"""
WITH of_batch AS (
    SELECT trace_id, response_id, {_USED} AS used
    {_CALLS_AROUND} AND {_OF_REQUESTS}
), related AS (
    SELECT trace_id, response_id
    {_CALLS_AROUND} AND (trace_id IN (SELECT trace_id FROM of_batch)
        OR response_id != '' AND response_id IN (SELECT response_id FROM of_batch)
        OR {_USED} IN (SELECT used FROM of_batch WHERE response_id = '')
        OR response_id = '' AND {_USED} IN (SELECT used FROM of_batch))
)
SELECT project, trace_id, span_id, parent_span_id, scope_name, response_id,
    toUnixTimestamp64Nano(start_time) AS start_ns, start_ns + duration_ns AS end_ns,
    isNotNull(input_tokens) + isNotNull(output_tokens) + isNotNull(cache_read_tokens)
        + isNotNull(cache_write_tokens) + isNotNull(reasoning_tokens) + (input_text != '')
        + (output_text != '') AS known_values,
    duplicate_of, kind, if(response_model != '', response_model, request_model) AS model,
    input_tokens, output_tokens, if(input_text = '', 0, cityHash64(input_text)) AS text_hash,
    dialect = 'anthropic-native' AS is_wire
FROM (
    SELECT *, count() OVER (PARTITION BY trace_id) AS in_trace,
        count() OVER (PARTITION BY response_id) AS with_response,
        count() OVER (PARTITION BY {_USED}) AS with_usage,
        countIf(response_id = '') OVER (PARTITION BY {_USED}) AS without_response
    {_CALLS_AROUND} AND (trace_id IN (SELECT trace_id FROM related)
        OR response_id != '' AND response_id IN (SELECT response_id FROM related))
)
WHERE in_trace > 1 OR response_id != '' AND with_response > 1 OR with_usage > 1 AND without_response > 0
"""  # noqa: S608  (SQL of this module)

_SPANS_BETWEEN = """
SELECT project, concat(trace_id, ':', span_id), concat(trace_id, ':', parent_span_id)
FROM spans
WHERE project = {project:String} AND toStartOfMinute(start_time) IN {minutes:Array(DateTime('UTC'))}
    AND kind NOT IN ('generation', 'embedding') AND parent_span_id != ''
    AND trace_id IN {traces:Array(String)}
"""

_SET_DUPLICATES = """
UPDATE spans
SET duplicate_of = transform(concat(trace_id, ':', span_id),
    {keys:Array(String)}, {winners:Array(String)}, duplicate_of)
WHERE project = {project:String} AND toStartOfMinute(start_time) IN {minutes:Array(DateTime('UTC'))}
    AND concat(trace_id, ':', span_id) IN {keys:Array(String)}
"""

# The array slots of the cost formula are bound like any other value.
_SET_COST = f"""
UPDATE spans
SET price_version = {{price_version:String}},
    cost_usd = {COST_USD.format(**{name: f"{{{name}:{type_}}}" for name, type_ in PRICE_ARRAY_TYPES.items()})}
WHERE project IN {{projects:Array(String)}}
    AND toStartOfMinute(start_time) IN {{minutes:Array(DateTime('UTC'))}}
    AND kind IN ('generation', 'embedding') AND price_version = '' AND usage_source != 'none'
    AND provider = {{provider:String}}
    AND if(response_model != '', response_model, request_model) = {{model:String}}
    AND toDateTime(start_time) >= {{valid_from:DateTime('UTC')}}
    AND toDateTime(start_time) < {{valid_to:DateTime('UTC')}}
"""  # noqa: S608  (the formula is a constant of the schemas)

_PRICED_MODELS = "SELECT DISTINCT provider, model FROM model_prices"
_PRICE_COLUMNS = ("provider", "model", "valid_from", *PRICE_ARRAYS, "price_version", "version")
_FOREVER = datetime(2100, 1, 1, tzinfo=UTC)
_KEYS_PER_UPDATE = 2000
_MINUTE_NS = 60 * 10**9

Minutes = Collection[datetime]


@dataclass(frozen=True)
class Batch:
    """What was sent to the database together.

    Attributes:
        id: kept in `spans.batch`
        projects: tenants with spans in it
        minutes: the minutes (UTC) in which its spans start
        spans: how many spans its requests have
        first_received_at_ns, last_received_at_ns: of its requests, nanoseconds since 1970
    """

    id: str
    projects: Sequence[str]
    minutes: Minutes
    spans: int
    first_received_at_ns: int
    last_received_at_ns: int


@dataclass(frozen=True)
class BatchReport:
    """What the database says of a batch after the insert.

    Attributes:
        spans: rows of the batch; fewer than it has where a span was there already or was not decoded
        projects_seen_twice: projects whose calls come from more than one instrumentation, or from one that
            reports calls within calls
        unpriced: (provider, model) of calls with usage that have no price yet
    """

    spans: int
    projects_seen_twice: tuple[str, ...]
    unpriced: frozenset[tuple[str, str]]


def insert_batch(store: Store, envelopes: bytes) -> None:
    """Insert envelopes (`gnomon_schemas.otlp.encode_envelope`); spans that are there already are left out.

    Raises:
        StoreUnavailable: no answer, or none that tells what happened; insert the same again.
        StoreError: the database does not take these bytes.
    """
    store.insert_raw(BATCH_TABLE, envelopes, BATCH_FORMAT, {**batch_settings(), **_INSERT_SETTINGS})


def report_batch(store: Store, batch: Batch) -> BatchReport:
    """Look at a batch after its insert."""
    parameters = {"batch": batch.id, "nesting": list(with_trait("nests_calls")), **_scope(batch)}
    rows = store.query(_BATCH_REPORT, parameters).dicts()
    return BatchReport(
        spans=sum(cast(int, row["spans"]) for row in rows),
        projects_seen_twice=tuple(str(row["project"]) for row in rows if _may_repeat(row)),
        unpriced=frozenset(
            pair for row in rows for pair in cast(list[tuple[str, str]], row["unpriced"]) if pair[1]
        ),
    )


def mark_duplicates(store: Store, batch: Batch, project: str) -> set[datetime]:
    """Set `duplicate_of` on the calls of a project that a batch made, or that made the batch's, duplicates.

    Returns:
        The minutes (UTC) of all the calls looked at, some of which may not be the batch's own. Not only of those
        that changed: a run that was cut off may have changed them already.
    """
    minutes = with_neighbours(batch.minutes)
    rows = store.query(
        _CALLS_SEEN_TWICE, {"project": project, "minutes": minutes, **received_between(batch)}
    ).rows
    calls = [_call(row) for row in rows]
    changed = sorted(changed_duplicates(calls, _parents_between(store, project, minutes, calls)).items())
    for start in range(0, len(changed), _KEYS_PER_UPDATE):
        chunk = changed[start : start + _KEYS_PER_UPDATE]
        store.command(
            _SET_DUPLICATES,
            {
                "project": project,
                "minutes": minutes,
                "keys": [key for (_, key), _ in chunk],
                "winners": [winner for _, winner in chunk],
            },
            settings=_UPDATE_SETTINGS,
        )
    return {_minute(call.start_ns) for call in calls}


def _parents_between(
    store: Store, project: str, minutes: Minutes, calls: Sequence[Call]
) -> dict[tuple[str, str], str]:
    """Return the parents of the spans that are not calls, in traces of several calls."""
    traces = Counter(call.key.partition(":")[0] for call in calls)
    several = sorted(trace for trace, count in traces.items() if count > 1)
    if not several:
        return {}
    parameters: dict[str, object] = {"project": project, "minutes": minutes, "traces": several}
    rows = store.query(_SPANS_BETWEEN, parameters).rows
    return {(str(owner), str(key)): str(parent) for owner, key, parent in rows}


def _may_repeat(row: Mapping[str, object]) -> bool:
    return cast(int, row["call_scopes"]) > 1 or cast(int, row["nesting_calls"]) > 1


# Merging the expressions of the ingest views takes the planner 20 ms and saves nothing on a batch.
_INSERT_SETTINGS: Mapping[str, object] = {"query_plan_merge_expressions": 0}
_UPDATE_SETTINGS: Mapping[str, object] = {"enable_lightweight_update": 1}


def _call(row: tuple[object, ...]) -> Call:
    project, trace_id, span_id, parent_id, scope, response_id, start_ns, end_ns, known, duplicate_of = row[
        :10
    ]
    kind, model, input_tokens, output_tokens, text_hash, is_wire = row[10:]
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
    )


def priced_models(store: Store) -> set[tuple[str, str]]:
    """Return the (provider, model) pairs the price list was asked for already."""
    return {(str(provider), str(model)) for provider, model in store.query(_PRICED_MODELS).rows}


def save_prices(store: Store, periods_by_model: Mapping[tuple[str, str], Sequence[Price]]) -> None:
    """Keep what the price list says of (provider, model) pairs; no periods means that it knows none."""
    version = int(datetime.now(UTC).timestamp() * 1000)
    rows = [
        (*pair, price.valid_from, *_arrays(price), price.version, version)
        for pair, periods in periods_by_model.items()
        for price in periods or [no_price()]
    ]
    store.insert_rows("model_prices", _PRICE_COLUMNS, rows)


def price_batch(
    store: Store, batch: Batch, provider: str, model: str, periods: Sequence[Price]
) -> None:
    """Set the cost of the calls of a model that came before its price was known; none without periods."""
    for price, after in zip_longest(periods, periods[1:]):
        if not price.is_known:
            continue
        valid_to = after.valid_from if after is not None else _FOREVER
        parameters: dict[str, object] = dict(zip(PRICE_ARRAYS, _arrays(price), strict=True))
        parameters |= {"provider": provider, "model": model, "price_version": price.version}
        parameters |= {"valid_from": price.valid_from, "valid_to": valid_to}
        parameters |= {"projects": list(batch.projects), "minutes": sorted(batch.minutes)}
        store.command(_SET_COST, parameters, settings=_UPDATE_SETTINGS)


def _arrays(price: Price) -> tuple[object, ...]:
    return tuple(getattr(price, name) for name in PRICE_ARRAYS)


def with_neighbours(minutes: Minutes) -> list[datetime]:
    """Return the minutes and those beside them: two views of a call may start either side of a full minute."""
    around = (timedelta(minutes=-1), timedelta(), timedelta(minutes=1))
    return sorted({minute + offset for minute in minutes for offset in around})


def _minute(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // _MINUTE_NS * 60, UTC)


def _scope(batch: Batch) -> dict[str, object]:
    return {
        "projects": list(batch.projects),
        "minutes": with_neighbours(batch.minutes),
        **received_between(batch),
    }


def received_between(batch: Batch) -> dict[str, object]:
    """Return the parameters that tell which rows came with a batch: by when they were received."""
    return {
        "first_received_at_ns": batch.first_received_at_ns,
        "last_received_at_ns": batch.last_received_at_ns,
    }


SCORE_COLUMNS = (
    "score_id",
    "project",
    "trace_id",
    "span_id",
    "session_id",
    "name",
    "value",
    "label",
    "comment",
    "source",
    "author",
    "created_at",
    "received_at",
)


def insert_scores(store: Store, rows: Iterable[Sequence[object]]) -> None:
    """Insert scores, values in the order of `SCORE_COLUMNS`. One sent again replaces the earlier."""
    store.insert_rows("scores", SCORE_COLUMNS, list(rows))
