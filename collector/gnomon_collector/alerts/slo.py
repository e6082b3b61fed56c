"""Service level objectives: how much of the error budget is left, and how it was used up over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gnomon_collector.alerts.config import Slo
from gnomon_collector.alerts.model import BurnRate
from gnomon_collector.alerts.rulebook import rule_of
from gnomon_collector.alerts.watch import ask_for
from gnomon_collector.store.engine import Store
from gnomon_collector.store.metric_queries import Series, Window, read_series

_HOUR_S = 3600


@dataclass(frozen=True)
class SloState:
    """How one label set stands with an objective.

    Attributes:
        labels: dimension → value
        total: calls that ended well or badly in the window
        bad: those that were not good
        burned: time (UTC) and share of the error budget that is left then, over the window
        hour_burn: how many times too fast the last hour used the budget; None without calls
    """

    slo: Slo
    labels: dict[str, str]
    total: float
    bad: float
    burned: list[tuple[datetime, float]]
    hour_burn: float | None

    @property
    def good_share(self) -> float | None:
        """Share of good calls; None without calls."""
        return 1 - self.bad / self.total if self.total else None

    @property
    def budget_left(self) -> float | None:
        """Share of the error budget that is left; below 0 the objective is missed. None without calls."""
        if not self.total:
            return None
        return 1 - self.bad / (self.total * (1 - self.slo.objective))


def slo_states(store: Store, slo: Slo, project: str, now: datetime) -> list[SloState]:
    """Return how every label set of an objective stands in a project, the worst first.

    Raises:
        StoreError: the database does not answer
    """
    rule = rule_of(slo)
    condition = rule.condition
    assert isinstance(condition, BurnRate)
    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    window = Window(end - timedelta(seconds=max(_HOUR_S, slo.window)), end)
    series = read_series(store, ask_for(rule, (project,)), window, step_s=_HOUR_S, window_s=_HOUR_S)
    is_good = slo.latency_ms is None
    found = [
        _state(slo, dict(zip(slo.group_by, key[1:], strict=True)), one, is_good)
        for key, one in series.items()
    ]
    return sorted(found, key=lambda one: one.budget_left if one.budget_left is not None else 2.0)


def _state(slo: Slo, labels: dict[str, str], series: Series, is_good: bool) -> SloState:
    totals = [float(one) for one in series.readings.second]
    first = [float(one) for one in series.readings.first]
    bad = [total - one for total, one in zip(totals, first, strict=True)] if is_good else first
    return SloState(
        slo,
        labels,
        sum(totals),
        sum(bad),
        left_over_time(series.times, bad, totals, slo.objective),
        _burn(bad, totals, slo),
    )


def left_over_time(
    times: Sequence[datetime], bad: Sequence[float], totals: Sequence[float], objective: float
) -> list[tuple[datetime, float]]:
    """Return the share of the error budget of the whole window that is left after each hour.

    The budget is that of all calls of the window, so the line falls with every bad call and ends at what
    is left.
    """
    budget = sum(totals) * (1 - objective)
    left, found = budget, []
    for time, one in zip(times, bad, strict=True):
        left -= one
        found.append((time, left / budget if budget else 1.0))
    return found


def _burn(bad: Sequence[float], totals: Sequence[float], slo: Slo) -> float | None:
    if not totals or not totals[-1]:
        return None
    return bad[-1] / totals[-1] / (1 - slo.objective)
