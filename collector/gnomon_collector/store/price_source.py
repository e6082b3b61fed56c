"""Where prices come from in this process: the price list, and the file of one's own prices if there is one."""

from __future__ import annotations

from pathlib import Path

from gnomon_collector.errors import ConfigError
from gnomon_schemas.price_file import PriceBook, PriceFileError, read_prices
from gnomon_schemas.prices import Price, price_list_version, price_periods


class PriceSource:
    """Asked for the prices of a model. Safe to use from any number of threads."""

    def __init__(self, path: Path | None = None) -> None:
        """Read the file.

        Args:
            path: of the price file (setting ``price_file``); None for the price list alone

        Raises:
            ConfigError: the file cannot be read, or says something that is no price.
        """
        self._path = path
        self._book = _read(path)

    @property
    def versions(self) -> frozenset[str]:
        """The versions that its prices carry: of the list, and of the file if there is one."""
        return frozenset(filter(None, (price_list_version(), self._book.version)))

    def reload(self) -> None:
        """Read the file again; on an error what was read before stays.

        Raises:
            ConfigError: as when it is made.
        """
        self._book = _read(self._path)

    def periods(self, provider: str, model: str) -> list[Price]:
        """Return the price periods of a model by ascending `valid_from`; empty when it has no known price."""
        return self._book.periods(provider, model)


def _read(path: Path | None) -> PriceBook:
    if path is None:
        return PriceBook((), "", price_periods)
    try:
        own, version = read_prices(path.read_text(encoding="utf-8"), path.name)
    except OSError as error:
        raise ConfigError(f"Cannot read the price file {path}: {error.strerror}. Mend price_file.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"The price file {path} is not UTF-8 text.") from None
    except PriceFileError as error:
        raise ConfigError(f"price_file is wrong: {error}") from None
    return PriceBook(own, version, price_periods)
