"""Costs that are stored already, computed anew with the prices of `model_prices`.

Running it again changes nothing: only rows whose cost or price version differs are written, and rollups whose
cost is not that of their calls are computed anew, whoever left them so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise, zip_longest
from typing import Any, Final, cast

from gnomon_collector.store.engine import Store
from gnomon_collector.store.prices import Model, saved_prices
from gnomon_collector.store.rollups import recompute
from gnomon_schemas.prices import COST_USD, IS_CACHE_HIT, PRICE_ARRAY_TYPES, PRICE_ARRAYS, Price, no_price

# The last digits depend on the order of additions.
_DIFFERS: Final = (
    "(isNull({new}) != isNull(cost_usd) OR ifNull(abs(cost_usd - {new}) > 1e-9 * greatest(abs({new}), 1e-6), false)"
    " OR price_version != {version})"
)

_SELECTED: Final = f"""\
start_time >= {{since:DateTime64(9, 'UTC')}} AND start_time < {{until:DateTime64(9, 'UTC')}}
    AND kind IN ('generation', 'embedding') AND usage_source != 'none' AND NOT {IS_CACHE_HIT}
    AND ({{project:String}} = '' OR project = {{project:String}})
    AND ({{provider:String}} = '' OR provider = {{provider:String}})
    AND ({{model:String}} = '' OR if(response_model != '', response_model, request_model) = {{model:String}})"""

_FOUND: Final = f"""
SELECT provider, model, count() AS calls, countIf(differs) AS changed,
    sum(ifNull(cost_usd, 0)) AS before_usd, sum(ifNull(new_usd, 0)) AS after_usd,
    countIf(isNull(new_usd)) AS unpriced, groupUniqArray(new_version) AS versions
FROM (
    SELECT provider, model, cost_usd, price_version, p.p_version AS new_version, duplicate_of,
        if(p.p_version = '', NULL, {COST_USD.format(**{name: name for name in PRICE_ARRAYS})}) AS new_usd,
        {_DIFFERS.format(new="new_usd", version="new_version")} AS differs
    FROM (
        SELECT *, if(response_model != '', response_model, request_model) AS model,
            toDateTime(start_time, 'UTC') AS priced_at
        FROM spans
        WHERE {_SELECTED}
    ) AS c
    ASOF LEFT JOIN (
        SELECT provider AS p_provider, model AS p_model, valid_from, {", ".join(PRICE_ARRAYS)},
            price_version AS p_version
        FROM model_prices FINAL
    ) AS p
    ON c.provider = p.p_provider AND c.model = p.p_model AND c.priced_at >= p.valid_from
)
GROUP BY provider, model
ORDER BY provider, model
"""  # noqa: S608  (constants of this module and of the schemas)

_BOUND_COST: Final = COST_USD.format(
    **{name: f"{{{name}:{type_}}}" for name, type_ in PRICE_ARRAY_TYPES.items()}
)

_UPDATE: Final = f"""
UPDATE spans
SET cost_usd = {_BOUND_COST}, price_version = {{price_version:String}}
WHERE {_SELECTED}
    AND {_DIFFERS.format(new=f"({_BOUND_COST})", version="{price_version:String}")}
"""  # noqa: S608

_TAKE_AWAY: Final = f"""
UPDATE spans
SET cost_usd = NULL, price_version = ''
WHERE {_SELECTED} AND price_version != ''
"""  # noqa: S608

_OUT_OF_STEP: Final = """
SELECT project, minute
FROM (
    SELECT project, toStartOfMinute(start_time) AS minute, sum(ifNull(cost_usd, 0)) AS usd, 0. AS rolled_up_usd,
        count(cost_usd) AS with_cost, 0 AS rolled_up_with_cost
    FROM calls
    WHERE start_time >= {since:DateTime64(9, 'UTC')} AND start_time < {until:DateTime64(9, 'UTC')}
        AND ({project:String} = '' OR project = {project:String})
    GROUP BY project, minute
    UNION ALL
    SELECT project, m.time AS minute, 0., sum(m.cost_usd), 0, sum(m.calls_with_cost)
    FROM calls_per_minute AS m FINAL
    WHERE m.time >= toStartOfMinute(toDateTime({since:DateTime64(9, 'UTC')}, 'UTC'))
        AND m.time < {until:DateTime64(9, 'UTC')}
        AND ({project:String} = '' OR project = {project:String})
    GROUP BY project, minute
)
GROUP BY project, minute
HAVING abs(sum(usd) - sum(rolled_up_usd)) > 1e-9 * greatest(abs(sum(usd)), 1e-6)
    OR sum(with_cost) != sum(rolled_up_with_cost)
"""
_FOREVER: Final = datetime(2100, 1, 1, tzinfo=UTC)
_MINUTES_AT_ONCE: Final = 1440


@dataclass(frozen=True)
class Selection:
    """Whose costs: "" stands for all.

    Attributes:
        since, until: start of the calls, UTC, the end excluded
    """

    since: datetime
    until: datetime
    project: str = ""
    provider: str = ""
    model: str = ""


@dataclass(frozen=True)
class Repriced:
    """A model's costs before and after.

    Attributes:
        calls: with usage, duplicates included
        changed: of which cost or price version changes
        unpriced: for which no price is known
        before_usd, after_usd: over all of them
    """

    provider: str
    model: str
    calls: int
    changed: int
    unpriced: int
    before_usd: float
    after_usd: float


def reprice_window(store: Store, selection: Selection, *, dry_run: bool = False) -> list[Repriced]:
    """Compute the cost of stored calls anew, and put their rollups right.

    Choose windows that one statement can work through, such as a day. `refresh_prices` goes before.

    Args:
        dry_run: only say what would change.
    """
    found = [_repriced(row) for row in store.query(_FOUND, _bound(selection)).dicts()]
    if dry_run:
        return found
    prices = saved_prices(store)
    for each in found:
        if each.changed:
            _write(store, selection, (each.provider, each.model), prices.get((each.provider, each.model), ()))
    _mend_rollups(store, selection)
    return found


def days(since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """Cut a time into days (UTC), the first and the last as long as they are."""
    cuts = [since]
    while cuts[-1] < until:
        midnight = cuts[-1].replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        cuts.append(min(midnight, until))
    return list(pairwise(cuts))


def _write(store: Store, selection: Selection, pair: Model, periods: Sequence[Price]) -> None:
    for price, after in zip_longest(periods or [no_price()], periods[1:]):
        since = max(selection.since, price.valid_from)
        until = min(selection.until, after.valid_from if after is not None else _FOREVER)
        if since >= until:
            continue
        bound = _bound(selection) | {"since": since, "until": until, "provider": pair[0], "model": pair[1]}
        if price.is_known:
            arrays = {name: getattr(price, name) for name in PRICE_ARRAYS}
            store.command(_UPDATE, bound | arrays | {"price_version": price.version}, settings=_LIGHTWEIGHT)
        else:
            store.command(_TAKE_AWAY, bound, settings=_LIGHTWEIGHT)


_LIGHTWEIGHT: Final[Mapping[str, object]] = {"enable_lightweight_update": 1}


def _mend_rollups(store: Store, selection: Selection) -> None:
    bound = {name: _bound(selection)[name] for name in ("since", "until", "project")}
    minutes: dict[str, list[datetime]] = {}
    for project, minute in store.query(_OUT_OF_STEP, bound).rows:
        minutes.setdefault(str(project), []).append(cast(datetime, minute))
    for project, touched in minutes.items():
        for start in range(0, len(touched), _MINUTES_AT_ONCE):
            recompute(store, [project], sorted(touched)[start : start + _MINUTES_AT_ONCE])


def _bound(selection: Selection) -> dict[str, object]:
    return {
        "since": selection.since,
        "until": selection.until,
        "project": selection.project,
        "provider": selection.provider,
        "model": selection.model,
    }


def _repriced(row: Mapping[str, Any]) -> Repriced:
    return Repriced(
        provider=str(row["provider"]),
        model=str(row["model"]),
        calls=int(row["calls"]),
        changed=int(row["changed"]),
        unpriced=int(row["unpriced"]),
        before_usd=float(row["before_usd"]),
        after_usd=float(row["after_usd"]),
    )
