"""What people do with prices, the same for the command line and the admin API; answers are plain JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gnomon_collector.errors import BadRequest, ConfigError
from gnomon_collector.store.engine import Store
from gnomon_collector.store.price_source import PriceSource
from gnomon_collector.store.prices import refresh_prices, unpriced_models
from gnomon_collector.store.reprice import Selection, reprice_window
from gnomon_schemas.prices import Price

Json = Any


class RepriceBody(BaseModel):
    """Which calls to price anew; "" stands for all."""

    model_config = ConfigDict(extra="forbid")
    since: AwareDatetime
    until: AwareDatetime
    project: str = Field("", max_length=100)
    provider: str = Field("", max_length=200)
    model: str = Field("", max_length=500)
    dry_run: bool = False


class PriceDesk(Protocol):
    """Prices, in this process or in the server that runs on the data directory."""

    def periods(self, provider: str, model: str) -> list[Mapping[str, Json]]:
        """Return the price periods of a model, oldest first."""

    def refresh(self) -> list[Mapping[str, Json]]:
        """Read the price file again, ask the list for every model seen, and return those that changed."""

    def unpriced(self, since: datetime, project: str) -> list[Mapping[str, Json]]:
        """Return the models with calls that have no cost."""

    def reprice(self, body: RepriceBody) -> list[Mapping[str, Json]]:
        """Price calls anew, and return the costs before and after by model."""


class LocalDesk:
    """Prices of this process, with the database it has open."""

    def __init__(self, store: Store, source: PriceSource) -> None:
        self._store = store
        self._source = source

    def periods(self, provider: str, model: str) -> list[Mapping[str, Json]]:
        """Return the price periods of a model, oldest first."""
        return shown_periods(self._source.periods(provider, model))

    def refresh(self) -> list[Mapping[str, Json]]:
        """Read the price file again, ask the list for every model seen, and return those that changed.

        Raises:
            BadRequest: the file is wrong; nothing changed.
        """
        try:
            self._source.reload()
        except ConfigError as error:
            raise BadRequest(str(error)) from error
        changed = refresh_prices(self._store, self._source.periods)
        return [{"provider": provider, "model": model} for provider, model in changed]

    def unpriced(self, since: datetime, project: str) -> list[Mapping[str, Json]]:
        """Return the models with calls that have no cost."""
        found = unpriced_models(self._store, self._source.periods, since, project)
        return [
            {**asdict(each), "first_hour": _iso(each.first_hour), "last_hour": _iso(each.last_hour)}
            for each in found
        ]

    def reprice(self, body: RepriceBody) -> list[Mapping[str, Json]]:
        """Price calls anew, and return the costs before and after by model."""
        selection = Selection(body.since, body.until, body.project, body.provider, body.model)
        return [asdict(each) for each in reprice_window(self._store, selection, dry_run=body.dry_run)]


def shown_periods(periods: Sequence[Price]) -> list[Mapping[str, Json]]:
    """Return price periods as JSON values."""
    return [{**asdict(price), "valid_from": _iso(price.valid_from)} for price in periods]


def add_price_routes(router: APIRouter, desk: PriceDesk) -> None:
    """Add the routes under ``/prices`` and ``/reprice``."""

    @router.get("/prices")
    def get_prices(model: str, provider: str = "") -> list[dict[str, Any]]:
        return [dict(each) for each in desk.periods(provider, model)]

    @router.post("/prices/refresh")
    def post_refresh() -> list[dict[str, Any]]:
        return [dict(each) for each in desk.refresh()]

    @router.get("/prices/unpriced")
    def get_unpriced(since: AwareDatetime, project: str = "") -> list[dict[str, Any]]:
        return [dict(each) for each in desk.unpriced(since.astimezone(UTC), project)]

    @router.post("/reprice")
    def post_reprice(body: RepriceBody) -> list[dict[str, Any]]:
        return [dict(each) for each in desk.reprice(body)]


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()
