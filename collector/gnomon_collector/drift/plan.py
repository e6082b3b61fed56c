"""Which windows are compared. Light: imports no statistics, so that a server without traffic stays small."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gnomon_collector.store import drift_results
from gnomon_collector.store.drift_windows import Windows, first_hour
from gnomon_collector.store.engine import Store


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the windows are.

    Attributes:
        current_hours: length of the current window.
        reference_days: length of the trailing reference.
        reference: another reference (UTC), instead of the trailing one and of a pinned one.
    """

    current_hours: int = 24
    reference_days: int = 7
    reference: tuple[datetime, datetime] | None = None


def windows_for(
    plan: Plan, end: datetime, *, pinned: tuple[datetime, datetime] | None, first: datetime | None
) -> Windows:
    """Return the windows of an evaluation at `end` (UTC, a whole hour).

    Args:
        pinned: the reference that somebody pinned, if so.
        first: first hour of the project with calls; no reference starts earlier.
    """
    current, reference = timedelta(hours=plan.current_hours), timedelta(days=plan.reference_days)
    trailing = Windows.trailing(end, current=current, reference=reference)
    start, stop = plan.reference or pinned or (trailing.reference_start, trailing.reference_end)
    begin = max(start, first) if first is not None and first < stop else start
    return Windows(begin, stop, trailing.current_start, end)


def windows_at(store: Store, project: str, plan: Plan, end: datetime) -> Windows:
    """Return the windows of an evaluation of a project that ends at a whole hour (UTC)."""
    pinned = None if plan.reference else drift_results.pinned_reference(store, project)
    return windows_for(plan, end, pinned=pinned, first=first_hour(store, project))
