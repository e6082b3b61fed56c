"""How sure a figure is: intervals, and whether two versions differ. Pure.

Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Final

from gnomon_collector.store.wilson import Z95, wilson

_FEWEST: Final = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of two versions.

    Attributes:
        change: new less old, in the figure's unit; `low` and `high` are its interval of 95 %.
        p_value: probability of a difference at least this large were there none; None with too few values.
        is_significant: the difference holds after Holm's correction over all figures compared.
    """

    name: str
    old: float
    new: float
    low: float
    high: float
    p_value: float | None
    is_significant: bool = False

    @property
    def change(self) -> float:
        return self.new - self.old


def around_share(hits: int, total: int) -> tuple[float, float] | None:
    """Return Wilson's interval of 95 % for a share; None without any observation."""
    return wilson(hits / total, total) if total > 0 else None


def around(mean: float | None, error: float | None) -> tuple[float, float] | None:
    """Return the interval of 95 % around a mean, by the normal distribution."""
    return None if mean is None or error is None else (mean - Z95 * error, mean + Z95 * error)


def of_means(name: str, old: tuple[float, float, int], new: tuple[float, float, int]) -> Difference:
    """Return the difference of two means, each given as mean, standard error and number of values (Welch)."""
    error = sqrt(old[1] ** 2 + new[1] ** 2)
    few = min(old[2], new[2]) < _FEWEST
    change = new[0] - old[0]
    p_value = None if few else 1.0 if error == 0 and change == 0 else _two_sided(change, error)
    return Difference(name, old[0], new[0], change - Z95 * error, change + Z95 * error, p_value)


def of_shares(name: str, old: tuple[int, int], new: tuple[int, int]) -> Difference:
    """Return the difference of two shares, each given as hits and total (pooled z-test).

    Raises:
        ZeroDivisionError: a total is 0.
    """
    first, second = old[0] / old[1], new[0] / new[1]
    pooled = (old[0] + new[0]) / (old[1] + new[1])
    null_error = sqrt(pooled * (1 - pooled) * (1 / old[1] + 1 / new[1]))
    error = sqrt(first * (1 - first) / old[1] + second * (1 - second) / new[1])
    few = min(old[1], new[1]) < _FEWEST
    change = second - first
    p_value = None if few else 1.0 if change == 0 else _two_sided(change, null_error)
    return Difference(name, first, second, change - Z95 * error, change + Z95 * error, p_value)


def holm(differences: Sequence[Difference], alpha: float = 0.05) -> list[Difference]:
    """Return the differences, those marked that hold though several were tested at once (Holm 1979)."""
    tested = sorted((one.p_value, index) for index, one in enumerate(differences) if one.p_value is not None)
    kept: set[int] = set()
    for rank, (p_value, index) in enumerate(tested):
        if p_value > alpha / (len(tested) - rank):
            break
        kept.add(index)
    return [_marked(one, index in kept) for index, one in enumerate(differences)]


def _marked(one: Difference, is_significant: bool) -> Difference:
    return Difference(one.name, one.old, one.new, one.low, one.high, one.p_value, is_significant)


def _two_sided(change: float, error: float) -> float:
    return 0.0 if error == 0 else erfc(abs(change) / error / sqrt(2))
