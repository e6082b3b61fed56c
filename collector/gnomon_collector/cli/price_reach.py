"""How commands reach the prices: they ask the server that runs on the data directory, or open it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from gnomon_collector.cli.reach import Json, ViaServer, require_data, server_client
from gnomon_collector.runfile import find_server
from gnomon_collector.store.price_source import PriceSource

if TYPE_CHECKING:
    from gnomon_collector.price_desk import PriceDesk, RepriceBody
    from gnomon_collector.settings import Settings


@contextlib.contextmanager
def price_desk(settings: Settings) -> Iterator[PriceDesk]:
    """Yield prices together with the calls they are of.

    Raises:
        ConfigError: there is no data yet, or the price file is wrong
        DataDirHeld: another process that is not a server works in the directory
        StoreUnavailable: no database there
    """
    server = find_server(settings.data_dir)
    if server is not None:
        with server_client(server) as client:
            yield DeskOfServer(client)
        return
    require_data(settings)
    from gnomon_collector.price_desk import LocalDesk
    from gnomon_collector.store.engine import open_store
    from gnomon_collector.store.migrations import migrate

    source = PriceSource(settings.price_file)
    with open_store(settings.store_url, data_dir=settings.data_dir) as store:
        migrate(store, cluster=settings.cluster)
        yield LocalDesk(store, source)


def known_periods(settings: Settings, provider: str, model: str) -> list[Mapping[str, Json]]:
    """Return the price periods of a model as the running server has them, else as these settings say.

    Raises:
        ConfigError: the price file is wrong.
    """
    server = find_server(settings.data_dir)
    if server is not None:
        with server_client(server) as client:
            return DeskOfServer(client).periods(provider, model)
    from gnomon_collector.price_desk import shown_periods

    return shown_periods(PriceSource(settings.price_file).periods(provider, model))


class DeskOfServer(ViaServer):
    """The prices of a running server, over its admin API."""

    def periods(self, provider: str, model: str) -> list[Mapping[str, Json]]:
        """Return the price periods of a model, oldest first."""
        from urllib.parse import urlencode

        return list(self._ask("GET", f"/prices?{urlencode({'provider': provider, 'model': model})}"))

    def refresh(self) -> list[Mapping[str, Json]]:
        """Let the server read its price file again; return the models whose prices changed."""
        return list(self._ask("POST", "/prices/refresh"))

    def unpriced(self, since: datetime, project: str) -> list[Mapping[str, Json]]:
        """Return the models with calls that have no cost."""
        from urllib.parse import urlencode

        asked = urlencode({"since": since.isoformat(), "project": project})
        return list(self._ask("GET", f"/prices/unpriced?{asked}"))

    def reprice(self, body: RepriceBody) -> list[Mapping[str, Json]]:
        """Price calls anew, and return the costs before and after by model."""
        return list(self._ask("POST", "/reprice", body.model_dump(mode="json")))
