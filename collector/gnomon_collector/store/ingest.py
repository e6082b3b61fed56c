"""Writing spans: insert a batch, and put right what can only be known once it is in.

A batch may be inserted any number of times: `spans` takes each span once (see the views of
`gnomon_schemas.normalise`), and the steps after the insert come to the same result when run again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import cast

from gnomon_collector.store.engine import Store
from gnomon_schemas.dialects import with_trait
from gnomon_schemas.otlp import BATCH_FORMAT, BATCH_TABLE, batch_settings
from gnomon_schemas.prices import COST_USD, PRICE_ARRAY_TYPES, PRICE_ARRAYS, Price, no_price

# Which rows came with the requests of a batch. Not by batch id: a batch that was cut off comes again under
# another id, and then its rows may be there already.
RECEIVED_WITH = (
    "received_at BETWEEN fromUnixTimestamp64Nano({first_received_at_ns:Int64}, 'UTC')"
    " AND fromUnixTimestamp64Nano({last_received_at_ns:Int64}, 'UTC')"
)

_BATCH_REPORT = f"""
SELECT project,
    countIf(batch = {{batch:String}}) AS spans,
    groupUniqArrayIf(2)(scope_name, kind IN ('generation', 'embedding')) AS call_scopes,
    countIf(dialect IN {{nesting:Array(String)}} AND kind IN ('generation', 'embedding')) AS nesting_calls,
    groupUniqArrayIf((provider, model), is_unpriced) AS unpriced
FROM (
    SELECT project, batch, scope_name, dialect, kind, provider,
        if(response_model != '', response_model, request_model) AS model,
        kind IN ('generation', 'embedding') AND price_version = '' AND usage_source != 'none'
            AND {RECEIVED_WITH} AS is_unpriced
    FROM spans
    WHERE project IN {{projects:Array(String)}}
        AND toStartOfMinute(start_time) IN {{minutes:Array(DateTime('UTC'))}}
)
GROUP BY project
"""  # noqa: S608  (SQL of this module)

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

_UNDER_WAY = "SELECT count() FROM system.processes WHERE Settings['log_comment'] = {writer:String}"
_UNDER_WAY_ON_CLUSTER = (
    "SELECT count() FROM clusterAllReplicas({cluster:String}, system.processes)"
    " WHERE Settings['log_comment'] = {writer:String}"
)
_PRICED_MODELS = "SELECT DISTINCT provider, model FROM model_prices"
_PRICE_COLUMNS = ("provider", "model", "valid_from", *PRICE_ARRAYS, "price_version", "version")
_FOREVER = datetime(2100, 1, 1, tzinfo=UTC)
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
        call_scopes: by project, the instrumentations that calls around the batch come from, two at most
        nesting_projects: projects with calls from an instrumentation that reports calls within calls
        unpriced: (provider, model) of calls with usage that have no price yet
    """

    spans: int
    call_scopes: Mapping[str, frozenset[str]]
    nesting_projects: frozenset[str]
    unpriced: frozenset[tuple[str, str]]


def insert_batch(
    store: Store,
    envelopes: bytes | Iterable[bytes],
    writer: str = "",
    turn: AbstractContextManager[object] | None = None,
) -> None:
    """Insert envelopes (`gnomon_schemas.otlp.encode_envelope`); spans that are there already are left out.

    Two inserts of the same spans at the same time would not see each other's: see `inserts_under_way`.

    Args:
        writer: names who inserts, for `inserts_under_way`.
        turn: entered when the envelopes are ready, held while they are inserted.

    Raises:
        StoreUnavailable: no answer, or none that tells what happened; insert the same again.
        StoreError: the database does not take these bytes.
    """
    named = {"log_comment": writer} if writer else {}
    settings = {**batch_settings(), **_INSERT_SETTINGS, **named}
    store.insert_raw(BATCH_TABLE, envelopes, BATCH_FORMAT, settings, turn)


def inserts_under_way(store: Store, writer: str, cluster: str = "") -> int:
    """Return how many inserts of a writer a server still works on, though their answers were given up on.

    Args:
        cluster: name of the ClickHouse cluster, behind whose address any replica may answer.
    """
    if cluster:
        parameters = {"writer": writer, "cluster": cluster}
        return cast(int, store.query(_UNDER_WAY_ON_CLUSTER, parameters).rows[0][0])
    return cast(int, store.query(_UNDER_WAY, {"writer": writer}).rows[0][0])


def report_batch(store: Store, batch: Batch) -> BatchReport:
    """Look at a batch after its insert."""
    parameters = {"batch": batch.id, "nesting": list(with_trait("nests_calls")), **_scope(batch)}
    rows = store.query(_BATCH_REPORT, parameters).dicts()
    return BatchReport(
        spans=sum(cast(int, row["spans"]) for row in rows),
        call_scopes={str(row["project"]): frozenset(cast(list[str], row["call_scopes"])) for row in rows},
        nesting_projects=frozenset(str(row["project"]) for row in rows if row["nesting_calls"]),
        unpriced=frozenset(
            pair for row in rows for pair in cast(list[tuple[str, str]], row["unpriced"]) if pair[1]
        ),
    )


_INSERT_SETTINGS: Mapping[str, object] = {
    # Merging the expressions of the ingest views takes the planner 20 ms and saves nothing on a batch.
    "query_plan_merge_expressions": 0,
    # Nor is there a comparison to be deduced in them, for which this looks at each anew: a fifth of a small insert.
    "optimize_and_compare_chain": 0,
    # Replacing within the block before it is written costs a quarter of the insert, and the last view of the
    # ingest has left nothing to replace.
    "optimize_on_insert": 0,
}
_UPDATE_SETTINGS: Mapping[str, object] = {"enable_lightweight_update": 1}


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


def price_batch(store: Store, batch: Batch, provider: str, model: str, periods: Sequence[Price]) -> None:
    """Set the cost of the calls of a model that came before its price was known; none without periods."""
    for price, after in zip_longest(periods, periods[1:]):
        if not price.is_known:
            continue
        valid_to = after.valid_from if after is not None else _FOREVER
        if not any(price.valid_from <= minute < valid_to for minute in batch.minutes):
            continue
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
