"""The table `model_prices`: kept in step with the price list, and what no price is known of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, cast

from gnomon_collector.store.engine import Store
from gnomon_collector.store.ingest import save_prices
from gnomon_schemas.price_file import price_at
from gnomon_schemas.prices import PRICE_ARRAYS, Price, no_price, price_of

Model = tuple[str, str]
"""Provider and model, as in `spans.provider` and `calls.model`."""

PriceList = Callable[[str, str], list[Price]]

_SAVED: Final = f"""
SELECT provider, model, valid_from, {", ".join(PRICE_ARRAYS)}, price_version
FROM model_prices FINAL
ORDER BY provider, model, valid_from
"""  # noqa: S608  (column names of the schemas)

_SAVED_VERSIONS: Final = "SELECT DISTINCT provider, model, price_version FROM model_prices FINAL"

_SEEN: Final = """
SELECT DISTINCT provider, model
FROM calls_per_hour FINAL
WHERE calls_with_usage > 0 AND model != ''
"""

_UNPRICED: Final = """
SELECT provider, model,
    sum(h.calls_with_usage) - sum(least(h.calls_with_cost, h.calls_with_usage)) AS unpriced_calls,
    sum(h.input_tokens) + sum(h.output_tokens) AS tokens,
    min(h.time) AS first_hour, max(h.time) AS last_hour, groupUniqArray(h.project) AS projects
FROM calls_per_hour AS h FINAL
WHERE h.calls_with_usage > h.calls_with_cost AND model != '' AND h.time >= {since:DateTime('UTC')}
    AND ({project:String} = '' OR h.project = {project:String})
GROUP BY provider, model
ORDER BY unpriced_calls DESC, provider, model
"""


@dataclass(frozen=True)
class UnpricedModel:
    """A model whose calls have no cost.

    Attributes:
        calls: those with usage
        tokens: input and output
        first_hour, last_hour: when it was seen (UTC)
        is_known_now: the price list has a price for it by now: `gnomon reprice` sets it
    """

    provider: str
    model: str
    calls: int
    tokens: int
    first_hour: datetime
    last_hour: datetime
    projects: list[str]
    is_known_now: bool


def saved_prices(store: Store) -> dict[Model, list[Price]]:
    """Return the prices that ingest works with, by model, each list by ascending `valid_from`."""
    found: dict[Model, list[Price]] = {}
    for provider, model, valid_from, *arrays, version in store.query(_SAVED).rows:
        price = price_of(cast(datetime, valid_from), (list(cast(Any, each)) for each in arrays), str(version))
        found.setdefault((str(provider), str(model)), []).append(price)
    return found


def refresh_prices(store: Store, price_list: PriceList) -> dict[Model, list[Price]]:
    """Ask the price list again for every model that was ever seen, and keep what changed.

    From then on new calls get the new prices; what is stored keeps its cost until `reprice_window`.

    Returns:
        The models whose prices changed, with the new ones.
    """
    saved = saved_prices(store)
    seen = {(str(provider), str(model)) for provider, model in store.query(_SEEN).rows}
    changed = {
        pair: rows
        for pair in sorted(seen | saved.keys())
        if (rows := rows_instead(saved.get(pair, ()), price_list(*pair))) != saved.get(pair)
    }
    save_prices(store, changed)
    return changed


def are_in_step(store: Store, versions: frozenset[str]) -> bool:
    """Whether every model seen has the prices of these versions: asking for thousands of models takes seconds.

    Args:
        versions: of the price list and the price file in use
    """
    rows = store.query(_SAVED_VERSIONS).rows
    saved = {(str(provider), str(model)) for provider, model, _ in rows}
    seen = {(str(provider), str(model)) for provider, model in store.query(_SEEN).rows}
    found = {str(version) for *_, version in rows} - {""}
    return seen <= saved and found <= versions and (len(versions) == 1 or versions <= found)


def rows_instead(saved: Sequence[Price], now: Sequence[Price]) -> list[Price]:
    """Return the rows that make the table say `now`, sorted.

    A row cannot be taken away, only be written over: where a saved period starts and none does now, a row
    repeats the price that holds there.
    """
    wanted = {price.valid_from: price for price in now or [no_price()]}
    for stale in saved:
        if stale.valid_from not in wanted:
            price = price_at(now, stale.valid_from) or no_price()
            wanted[stale.valid_from] = replace(price, valid_from=stale.valid_from)
    return [wanted[start] for start in sorted(wanted)]


def unpriced_models(
    store: Store, price_list: PriceList, since: datetime, project: str = ""
) -> list[UnpricedModel]:
    """Return the models with calls that have usage but no cost, those with the most calls first.

    Args:
        price_list: what is known by now
        since: UTC
        project: "" for all
    """
    rows: Iterable[Mapping[str, Any]] = store.query(_UNPRICED, {"since": since, "project": project}).dicts()
    return [
        UnpricedModel(
            provider=str(row["provider"]),
            model=str(row["model"]),
            calls=int(row["unpriced_calls"]),
            tokens=int(row["tokens"]),
            first_hour=row["first_hour"],
            last_hour=row["last_hour"],
            projects=sorted(map(str, row["projects"])),
            is_known_now=any(price.is_known for price in price_list(str(row["provider"]), str(row["model"]))),
        )
        for row in rows
    ]
